"""A session on the stand-in of the mail server."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from poller.imap.session import connect
from tests.support.imap_account import imap_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integrations.sandbox import Sandbox
    from poller.imap.session import ImapSession


@pytest.fixture
def session(sandbox: Sandbox) -> Iterator[ImapSession]:
    with closing(connect(imap_settings(sandbox.imap))) as session:
        yield session
