"""What becomes of a message as a whole, where no single step tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poller.cli.samples import samples
from tests.support.pipeline_harness import Desk

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from integrations.sandbox import Sandbox

MAIL = samples()["modelisation_with_files"]


def test_file_key_survives_new_r2_credentials(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PUT whose answer was lost is tried again as the same object; who has another memory cannot guess it."""
    desk, stranger = Desk(sandbox, tmp_path), Desk(sandbox, tmp_path)
    first, other = desk.gets(MAIL).files, stranger.gets(MAIL).files
    assert len(first) == 2
    assert not set(first) & set(other)
    monkeypatch.setattr(sandbox.s3, "secret_access_key", "another")
    replaced = Desk(sandbox, tmp_path)
    replaced.facts = desk.facts
    assert replaced.gets(MAIL).files == first
