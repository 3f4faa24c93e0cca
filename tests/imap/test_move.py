"""Moves of messages, with the commands that the server has."""

from __future__ import annotations

from contextlib import closing, suppress

import pytest

from integrations.errors import TransientError
from integrations.sandbox.dovecot import Dovecot
from poller.imap.session import connect
from tests.support.imap_account import RAW, a_mail, imap_settings
from tests.support.imap_provider import Provider
from tests.support.needs import needs_dovecot

BASIC = "IMAP4rev1 AUTH=PLAIN"
KEYWORD, OTHERS = "Figurative-Support", ["Figurative-Failed"]


@needs_dovecot
@pytest.mark.parametrize(
    ("without", "left_in_inbox"),
    [(("MOVE",), []), (("MOVE", "UIDPLUS"), [{"\\Deleted"}])],
)
def test_label_without_move_copies_and_expunges(without: tuple[str, ...], left_in_inbox: list[set[str]]) -> None:
    """COPY, then this message alone is expunged; where that is impossible it stays marked. Nobody else's goes."""
    with Dovecot(without=without) as server:
        server.deliver(RAW)
        server.deliver(RAW, flags=["\\Deleted"])
        session = connect(imap_settings(server))
        session.label(session.uids(), "Support", KEYWORD, OTHERS)
        assert session.uids() == []
        session.close()
        assert [message.flags for message in server.messages("Support")] == [{KEYWORD}]
        left = [set(message.flags) for message in server.messages()]
        assert {"\\Deleted"} in left
        assert len(left) == 1 + len(left_in_inbox)


@pytest.mark.parametrize("after", [f"{BASIC} UIDPLUS MOVE", f"{BASIC} UIDPLUS", BASIC])
def test_label_skips_message_expunged_meanwhile(after: str) -> None:
    """EXPUNGEISSUED (RFC 5530) is no trouble of the server's: its other copy is filed."""
    with Provider(BASIC, after) as server:
        taken, left = server.deliver(a_mail(1)), server.deliver(a_mail(2))
        server.taken = True
        with closing(connect(imap_settings(server))) as session:
            session.label(session.uids(), "Support", "Figurative-Support", [])
        assert "Support" in server.where(left)
        assert server.where(taken) == set()


def test_rejected_move_is_done_by_copy() -> None:
    """Some servers announce MOVE and know no such command; what an earlier try has copied is copied no second time."""
    with Provider(BASIC, f"{BASIC} UIDPLUS MOVE", denied={"UID MOVE": "BAD Command Error. 12", "STORE": ""}) as server:
        mail = server.deliver(RAW)
        for _ in range(2):
            with closing(connect(imap_settings(server))) as session, suppress(TransientError):
                session.move(session.uids(), session.ensure("Support"))
            server.denied.pop("STORE", None)
        assert server.where(mail) == {"Support"}
        assert len(server.boxes["Support"]) == 1
