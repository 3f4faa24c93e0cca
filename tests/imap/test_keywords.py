"""Keywords on messages, where the server keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.imap_account import RAW

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox
    from poller.imap.session import ImapSession

KEYWORD, OTHERS = "Figurative-Support", ["Figurative-Failed"]


def test_new_label_removes_old_keyword(sandbox: Sandbox, session: ImapSession) -> None:
    """A message that failed once and succeeded later says only the latter."""
    sandbox.imap.deliver(RAW, flags=["Figurative-Failed", "Important"])
    session.refresh()
    session.label(session.uids(), "Support", KEYWORD, OTHERS)
    assert sandbox.imap.messages("Support")[0].flags == {KEYWORD, "Important"}
