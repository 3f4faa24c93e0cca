"""What the tests of several modules begin with: a scripted IMAP server, and an inbox on it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from poller.mailbox.inbox import Inbox
from tests.support.imap_account import all_settings
from tests.support.imap_provider import Provider

if TYPE_CHECKING:
    from collections.abc import Iterator

BASIC = "IMAP4rev1 AUTH=PLAIN"


@pytest.fixture
def server() -> Iterator[Provider]:
    with Provider(BASIC, f"{BASIC} UIDPLUS MOVE") as server:
        yield server


@pytest.fixture
def inbox(server: Provider) -> Iterator[Inbox]:
    with closing(Inbox(all_settings(server))) as inbox:
        yield inbox
