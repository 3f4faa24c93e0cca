"""Sessions shared by threads: few at a time, and none that blocks a scan."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from poller.imap import pool
from poller.mailbox.inbox import Inbox
from tests.support.imap_account import RAW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Office


@pytest.fixture
def inbox(office: Office) -> Iterator[Inbox]:
    with closing(Inbox(office.settings)) as inbox:
        yield inbox


def test_reclassify_mailboxes_share_two_sessions(office: Office) -> None:
    """The account's connections are few, and the polled mailbox needs them; a scan waits for no fetch there, either."""
    office.sandbox.imap.deliver(RAW)
    with closing(Inbox(office.settings, "INBOX")) as beside, beside._sessions.session(fetching=True):
        (reference,) = beside.scan()
        assert beside.confirm(reference)
        with beside._sessions.session():
            assert not beside._sessions._places.acquire(blocking=False)


def test_workers_share_few_imap_sessions(office: Office, inbox: Inbox) -> None:
    """However many are at work: servers allow a user few connections."""
    office.sandbox.imap.deliver(RAW)
    with ThreadPoolExecutor(1) as late:
        with ExitStack() as at_work:
            for _ in range(pool.IN_USE):
                at_work.enter_context(inbox._sessions.session())
            asked = late.submit(inbox.count, ["INBOX"])
            assert len(inbox.scan()) == 1
            assert not asked.done()
        assert asked.result() == {"INBOX": 1}


def test_long_fetch_blocks_only_other_fetches(office: Office, inbox: Inbox, tmp_path: Path) -> None:
    """It may take minutes, and the watchdog waits for a scan, which counts the messages of other mailboxes."""
    office.sandbox.imap.deliver(RAW)
    [reference] = inbox.scan()
    with ThreadPoolExecutor(2) as late:
        with ExitStack() as at_work:
            for _ in range(pool.IN_USE - 1):
                at_work.enter_context(inbox._sessions.session(fetching=True))
            fetched = late.submit(inbox.fetch, reference, tmp_path / "late")
            short = [
                late.submit(inbox.count, ["INBOX"]),
                late.submit(inbox.confirm, reference),
                late.submit(inbox.mark_seen, reference),
            ]
            assert [asked.result(timeout=10) for asked in short] == [{"INBOX": 1}, True, None]
            assert not fetched.done()
        assert fetched.result().oversize_bytes == 0
