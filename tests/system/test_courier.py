"""One session on a real Courier: everything below INBOX, dots between, no MOVE."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from poller.config.settings import ImapSettings
from poller.imap.session import connect
from tests.support.courier import HOW, Courier

RAW = b"From: a@b.example\nSubject: Bonjour\nMessage-ID: <1@b.example>\n\nTexte\n"
KEYWORD, OTHERS = "Figurative-Support", ["Figurative-Failed"]


@pytest.mark.skipif(not os.environ.get("COURIER"), reason=HOW)
def test_courier_files_mail_once_and_moves_it_back() -> None:
    """Seen, read, filed under a mailbox that was not there, with its keyword; found there, and brought back."""
    with Courier() as server:
        server.deliver(RAW, "1.one.example")
        server.deliver(RAW.replace(b"<1@", b"<2@"), "2.two.example")
        names = ("host", "port", "security", "username", "password")
        imap = ImapSettings.model_validate({name: getattr(server, name) for name in names})
        with closing(connect(imap)) as session:
            first, second = session.uids()
            texts = [b"".join(session.pieces(uid, 10_000)).replace(b"\r\n", b"\n") for uid in (first, second)]
            assert sorted(texts) == sorted([RAW, RAW.replace(b"<1@", b"<2@")])
            session.label([first], "Traités/Modélisation", KEYWORD, OTHERS)
            assert session.keeps(KEYWORD)
            assert session.uids() == [second]
            assert server.mailboxes() == {"": [texts[1]], ".Traités.Modélisation": [texts[0]]}
            assert session.select("Traités/Modélisation")
            (arrival,) = session.fetch_summaries(session.uids())
            assert KEYWORD.lower() in arrival.keywords
            session.move([arrival.uid], "INBOX")
        assert {folder: len(found) for folder, found in server.mailboxes().items()} == {"": 2}
