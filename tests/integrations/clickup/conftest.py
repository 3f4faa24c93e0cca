"""Fixtures for ClickUp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.clickup_client import move_parent

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox


@pytest.fixture(autouse=True)
def _home_list(sandbox: Sandbox) -> None:
    """Put the parent task back into its first list."""
    move_parent(sandbox, "901200000001")
