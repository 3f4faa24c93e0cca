"""Fixtures that serve the forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.form_site import Site, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integrations.sandbox import Sandbox


@pytest.fixture
def site(sandbox: Sandbox) -> Iterator[Callable[..., Site]]:
    """Forms with these settings: a public one, one with a token, one that is signed."""
    begun: list[Site] = []

    def begin(**given: str) -> Site:
        begun.append(Site(settings_of(sandbox, **given)))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


@pytest.fixture(scope="module")
def standing_site(_sandbox_session: Sandbox) -> Iterator[Site]:
    """One for all tests that need no settings of their own."""
    running = Site(settings_of(_sandbox_session, FORMS_MAX_PER_ADDRESS_PER_H="0", FORMS_MAX_BYTES="2000000"))
    yield running
    running.close()
