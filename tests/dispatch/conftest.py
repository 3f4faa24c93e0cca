"""What the tests of several steps begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from poller.cli.samples import samples
from tests.support.pipeline_harness import StepHarness

if TYPE_CHECKING:
    from pathlib import Path

    from integrations.sandbox import Sandbox


@pytest.fixture
def bench(sandbox: Sandbox, tmp_path: Path) -> StepHarness:
    """Give a mail with a contact and a subtask."""
    harness = StepHarness(sandbox, tmp_path, samples()["modelisation"])
    harness.open_ticket()
    return harness
