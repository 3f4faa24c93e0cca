"""The whole job on mail servers that the other tests do not have: the same ten mails on each."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from poller.cli.samples import samples
from poller.imap.session import connect
from poller.mailbox.source import KEYWORDS
from poller.model import Outcome
from tests.support.imap_account import a_mail, imap_settings
from tests.support.unpacked_servers import CYRUS_HOW, DOVECOT_HOW, Cyrus, Dovecot24

if TYPE_CHECKING:
    from tests.conftest import Office
    from tests.support.unpacked_servers import UnpackedServer

MAILS = samples()
NAMES = ("support", "modelisation", "english", "ambiguous", "auto_reply", "hostile_name")
TEN = [
    *(MAILS[name].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for name in NAMES),
    a_mail(1, b"Subject: =?utf-8?q?Fauteuil_cass=C3=A9?="),
    a_mail(1, b"Subject: =?utf-8?q?Fauteuil_cass=C3=A9?="),  # a second copy
    a_mail(2, b"Subject: Fauteuil cass\xe9"),
    a_mail(3, b"Subject: Photos").replace(b"Message-ID", b"X-None"),
]
FILED = {"INBOX": 0, "Support": 5, "Modélisation": 4, "Ignorés": 1}
LABELS = ("Support", "Modélisation", "Ignorés", "Échecs")

has_cyrus = pytest.mark.skipif(not os.environ.get("CYRUS"), reason=CYRUS_HOW)
has_dovecot_24 = pytest.mark.skipif(not os.environ.get("DOVECOT_24") or os.getuid() != 0, reason=DOVECOT_HOW)


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [pytest.param(Cyrus, "INBOX.", marks=has_cyrus), pytest.param(Dovecot24, "", marks=has_dovecot_24)],
    ids=["Cyrus", "Dovecot 2.4"],
)
def test_ten_mails_are_dispatched_and_filed_once(office: Office, kind: type[UnpackedServer], prefix: str) -> None:
    """Each with its keyword, byte for byte. Nothing is taken up again, and the server lacks nothing."""
    with kind() as server:
        office.environment["IMAP_PORT"] = str(server.port)
        for raw in TEN:
            server.deliver(raw)
        office.once()
        assert (office.counts()["tickets"], office.counts()["subtasks"]) == (8, 4)
        assert office.once() == {}
        found = {name: server.messages(f"{prefix}{name}" if name != "INBOX" else name) for name in FILED}
        assert {name: len(messages) for name, messages in found.items()} == FILED
        filed = [message for messages in found.values() for message in messages]
        assert Counter(message.raw for message in filed) == Counter(TEN)
        assert all(message.flags & set(KEYWORDS.values()) for message in filed)
        with closing(connect(office.settings.imap)) as session:
            assert session.missing_rights(LABELS) + session.shortcomings(KEYWORDS[Outcome.SUPPORT]) == []


@has_cyrus
def test_right_that_cyrus_denies_is_named_before_and_after_mail_comes() -> None:
    """In a mailbox from which nobody may take anything."""
    with Cyrus() as server:
        server.deliver(TEN[0])
        with server.session() as client:
            client.setacl("INBOX", server.username, "-te")
        with closing(connect(imap_settings(server))) as session:
            assert session.missing_rights(LABELS) == [
                "'INBOX': \\Deleted is not permitted there",
                "'INBOX': we lack the rights t, e there (ACL)",
            ]
            with pytest.raises(TransientError, match="LABEL: the server says no: Permission denied"):
                session.label(session.uids(), "Support", KEYWORDS[Outcome.SUPPORT], [])
