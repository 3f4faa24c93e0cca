"""Mailboxes by the names that people give them, whatever the server's namespace and separator."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox.dovecot import Dovecot
from poller.imap import listing
from poller.imap.session import ImapSession, connect
from tests.support.imap_account import RAW, imap_settings
from tests.support.imap_provider import GMAIL, Provider
from tests.support.needs import needs_dovecot

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.sandbox import Sandbox

KEYWORD, OTHERS = "Figurative-Support", ["Figurative-Failed"]


@pytest.mark.parametrize("name", ["Support", "Modélisation", "Réclamations & été 📦", 'Dit "oui"'])
def test_label_creates_and_subscribes_missing_mailbox(sandbox: Sandbox, session: ImapSession, name: str) -> None:
    """Whatever its name, it is created, subscribed, and the message is in it with its keyword."""
    sandbox.imap.deliver(RAW)
    session.refresh()
    session.label(session.uids(), name, KEYWORD, OTHERS)
    assert sandbox.imap.messages() == []
    assert [message.flags for message in sandbox.imap.messages(name)] == [{KEYWORD}]
    with sandbox.imap.session() as client:
        assert name in [found for _, _, found in client.list_sub_folders()]


@needs_dovecot
@pytest.mark.parametrize(("separator", "prefix"), [(".", "INBOX."), ("/", ""), (".", "")])
def test_label_uses_separator_and_namespace_of_server(separator: str, prefix: str) -> None:
    """A "/" in a label is the server's separator, and the personal namespace's prefix is put in front."""
    with Dovecot(separator=separator, namespace_prefix=prefix) as server:
        server.deliver(RAW)
        session = connect(imap_settings(server))
        session.label(session.uids(), "Traités/Support", KEYWORD, OTHERS)
        session.close()
        assert len(server.messages(f"{prefix}Traités{separator}Support")) == 1


@pytest.mark.parametrize("denied", ["NAMESPACE", 'LIST "" ""'])
def test_refused_namespace_closes_no_mailbox(denied: str) -> None:
    """Some servers announce it and reject it: names are then taken as they are."""
    after = "IMAP4rev1 MOVE" + (" NAMESPACE" if denied == "NAMESPACE" else "")
    with Provider("IMAP4rev1", after, denied={denied: "BAD command syntax error"}) as server:
        mail = server.deliver(RAW)
        with closing(connect(imap_settings(server))) as session:
            session.label(session.uids(), "Support", KEYWORD, OTHERS)
        assert server.where(mail) == {"Support"}


def test_reading_does_not_create_missing_mailbox(sandbox: Sandbox, session: ImapSession) -> None:
    """Only a message that goes there needs it."""
    assert not session.select("Échecs")
    assert sandbox.imap.mailboxes() == ["INBOX"]
    sandbox.imap.deliver(RAW)
    session.refresh()
    session.label(session.uids(), "Échecs", KEYWORD, OTHERS)
    assert session.select("Échecs")
    (arrival,) = session.fetch_summaries(session.uids())
    assert KEYWORD.lower() in arrival.keywords


@pytest.mark.parametrize("offered", ["IMAP4rev1 AUTH=PLAIN MOVE", f"{GMAIL} AUTH=PLAIN"], ids=["any", "Gmail"])
def test_mailbox_with_broken_name_stops_no_filing(offered: str, logged: Callable[[], str]) -> None:
    """Another program made it, without modified UTF-7, or with a quote that the server does not escape.

    It is passed over, and told of once in a process.
    """
    listing._told.clear()
    with Provider(offered, offered, boxes={"INBOX": {}, "R&D": {}, 'a"b': {}}) as server:
        mail = server.deliver(RAW)
        server.put(mail, "R&D")
        for name in ("Failed", "Support"):
            with closing(connect(imap_settings(server))) as session:
                session.label(session.uids(), name, KEYWORD, OTHERS, ["Failed"])
                server.put(mail, "INBOX")
        assert "Support" in server.where(mail)
        assert logged().count("mailbox_passed_over") == 2
