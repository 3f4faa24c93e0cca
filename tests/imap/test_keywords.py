"""Keywords on messages, where the server keeps them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from poller.imap.session import connect
from tests.support.imap_account import RAW, imap_settings
from tests.support.imap_provider import Provider

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


@pytest.mark.parametrize("denied", ["+FLAGS", "-FLAGS"])
def test_mail_is_filed_when_server_refuses_keyword(denied: str) -> None:
    """The mailbox tells the outcome, and from then on nobody sends a keyword."""
    basic = "IMAP4rev1 AUTH=PLAIN MOVE"
    with Provider(basic, basic, denied={denied: "NO [CANNOT] Permission denied"}) as server:
        first, second = server.deliver(RAW), server.deliver(RAW.replace(b"<1@", b"<2@"))
        with closing(connect(imap_settings(server))) as session:
            session.label(session.uids()[:1], "Support", KEYWORD, OTHERS)
            assert not session.keeps(KEYWORD)
            server.commands.clear()
            session.label(session.uids(), "Support", KEYWORD, OTHERS)
        assert (server.where(first), server.where(second)) == ({"Support"}, {"Support"})
        assert not [command for command in server.commands if "STORE" in command]


def test_copy_is_not_repeated_when_server_refuses_flags() -> None:
    """No MOVE, no keyword to know the copy by, and no mark of deletion: each try finds the copy of the one before."""
    basic = "IMAP4rev1 AUTH=PLAIN"
    with Provider(basic, basic, denied={"FLAGS.SILENT": "NO Permission denied"}) as server:
        server.deliver(RAW)
        for _ in range(2):
            with (
                closing(connect(imap_settings(server))) as session,
                pytest.raises(TransientError, match="LABEL: the server says no: Permission denied"),
            ):
                session.label(session.uids(), "Support", KEYWORD, OTHERS)
        assert len(server.boxes["Support"]) == 1
