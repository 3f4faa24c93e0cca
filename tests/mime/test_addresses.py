"""Parse address fields, and find the author of a mail and the address to answer."""

from __future__ import annotations

import pytest

from poller.mime.addresses import addresses, aligned, author_and_sender
from poller.mime.headers import take_apart
from poller.model import Address
from tests.support.effort import one_pass

FIELDS = {
    b"camille@example.com": [("", "camille@example.com")],
    b"Camille <camille@EXAMPLE.com>": [("Camille", "camille@example.com")],
    b'"L\xc3\xa9vy, Camille" <camille@example.com>': [("Lévy, Camille", "camille@example.com")],
    b"Dupont, Ren <x@example.com>": [("Dupont, Ren", "x@example.com")],  # a comma that should be quoted
    b"=?utf-8?q?Dupont=2C_Ren=C3=A9?= <x@example.com>": [("Dupont, René", "x@example.com")],
    b'"=?utf-8?q?Ren=C3=A9?=" <x@example.com>': [("René", "x@example.com")],
    b"Rene x@example.com": [("Rene", "x@example.com")],
    b"x@example.com (Ren\xc3\xa9)": [("René", "x@example.com")],
    b"Rene <x@example.com>.": [("Rene", "x@example.com")],
    b"'Rene' <'x@example.com'>": [("Rene", "x@example.com")],
    b'"boss@corp.example" <x@example.com>': [("boss@corp.example", "x@example.com")],
    b"Pete(chap) <pete(his account)@silly.test(his host)>": [("Pete", "pete@silly.test")],
    b"O'Neil <sean.o'neil@example.com>": [("O'Neil", "sean.o'neil@example.com")],
    "René <rené@exämple.fr>".encode(): [("René", "rené@exämple.fr")],
    b"a@example.com, B <b@example.com>; c@example.com": [
        ("", "a@example.com"),
        ("B", "b@example.com"),
        ("", "c@example.com"),
    ],
    b"team: a@example.com, b@example.com;": [("", "a@example.com"), ("", "b@example.com")],
    b"undisclosed-recipients:;": [],
    b"<>": [],
    b"Camille": [],
    b"": [],
    b"x\0@example.com\r\n ": [("", "x@example.com")],
    b"=?utf-8?q?Jean_=3Cjean=40x.fr=3E?=": [("Jean", "jean@x.fr")],
    b"=?utf-8?q?boss=40corp.example?= <x@example.com>": [("boss@corp.example", "x@example.com")],
    b"Jean <" + b"a" * 300 + b"@x.fr>": [],  # not the address of its end
    b"Jean <<jean@x.fr>>": [("Jean", "jean@x.fr")],
    b"Jean <jean @ x.fr>": [("Jean", "jean@x.fr")],
    b"jean@[127.0.0.1]": [("", "jean@[127.0.0.1]")],
    b"Jean <jean@[IPv6:::1]>": [("Jean", "jean@[ipv6:::1]")],
    b"=?utf-8?q?" + b"=C3=A9" * 250 + b"?= <jean@client.fr>": [("é" * 199 + "…", "jean@client.fr")],
    b"A Group:Ed Jones <joe@where.test>, B <b@x.fr>;": [("Ed Jones", "joe@where.test"), ("B", "b@x.fr")],
    b"=?utf-8?q?SAV:_Jean?= <jean@x.fr>": [("SAV: Jean", "jean@x.fr")],
    b"=?utf-8?q?=C3=89quipe_3D?= projet: Jean <jean@x.fr>;": [("Jean", "jean@x.fr")],
    b'"SAV: Jean" <jean@x.fr>': [("SAV: Jean", "jean@x.fr")],
    b"http://x.fr <jean@x.fr>": [("http://x.fr", "jean@x.fr")],
    b"Jean Petit [mailto:jean@x.fr]": [("Jean Petit", "jean@x.fr")],
    b"Jean\\, Petit <j@x.fr>": [("Jean, Petit", "j@x.fr")],
}  # fmt: skip


@pytest.mark.parametrize(("field", "found"), FIELDS.items(), ids=repr)
def test_address_field_is_parsed_into_mailboxes(field: bytes, found: list[tuple[str, str]]) -> None:
    assert [(address.display_name, address.addr_spec) for address in addresses(field)] == found


A, B, L = Address("A", "a@example.com"), Address("B", "b@example.com"), Address("B via L", "l@lists.example")
PEOPLE = {
    b"From: A <a@example.com>": (A, A),
    b"From: A <a@example.com>\r\nReply-To: B <b@example.com>": (A, B),
    b"From: A <a@example.com>\r\nReply-To: <a@example.com>": (A, A),
    b"From: A <a@example.com>\r\nReply-To: B <b@example.com>, c@example.com": (A, A),
    b"From: A <a@example.com>\r\nReply-To: personne": (A, A),
    b"From: A\r\nReply-To: B <b@example.com>": (Address("A", ""), B),
    # What nobody reads is no contact while there is another.
    **{
        b"From: A <a@example.com>\r\nReply-To: X <" + local + b"@example.com>": (A, A)
        for local in (
            b"noreply",
            b"No-Reply",
            b"no_reply",
            b"no-reply+17",
            b"comptes-noreply",
            b"donotreply",
            b"do-not-reply",
            b"ne-pas-repondre",
            b"nepasrepondre",
            b"MAILER-DAEMON",
            b"postmaster",
        )
    },
    b"From: A <a@example.com>\r\nReply-To: noreply@example.com, B <b@example.com>": (A, B),
    b"From: A <a@example.com>\r\nReply-To: noreplylison@example.com": (A, Address("", "noreplylison@example.com")),
    b"From: A <a@example.com>\r\nReply-To: bruno.replyan@example.com": (A, Address("", "bruno.replyan@example.com")),
    b"From: noreply@shop.example\r\nReply-To: B <b@example.com>": (Address("", "noreply@shop.example"), B),
    b"From: A\r\nReply-To: noreply@example.com\r\nSender: B <b@example.com>": (Address("A", ""), B),
    b"From: A\r\nReply-To: noreply@example.com": (Address("A", ""), Address("", "noreply@example.com")),
    b"From: B via L <l@lists.example>\r\nReply-To: noreply@lists.example\r\nAuthor: B <b@example.com>": (L, B),
    b"From: A\r\nReturn-Path: <b@example.com>": (Address("A", ""), Address("", "b@example.com")),
    b"Sender: B <b@example.com>": (Address("", ""), B),
    b"Subject: x": (Address("", ""), Address("", "")),
    # Sent on behalf of From by Sender, or through a list's server.
    b"From: A <a@example.com>\r\nSender: B <b@example.com>": (A, A),
    b"From: A <a@example.com>\r\nSender: list-bounces@lists.example\r\nX-Original-Sender: b@example.com": (A, A),
    # A list's own address in From, for DMARC's sake.
    b"From: B via L <l@lists.example>\r\nReply-To: B <b@example.com>\r\nX-Original-From: A <a@example.com>": (L, B),
    b"From: B via L <l@lists.example>\r\nReply-To: L <l@lists.example>, B <b@example.com>": (L, B),
    b"From: B via L <l@lists.example>\r\nReply-To: l@lists.example\r\nX-Original-From: B <b@example.com>": (L, B),
    b"From: B via L <l@lists.example>\r\nX-Original-Sender: x@example.com\r\nAuthor: B <b@example.com>": (L, B),
    b"From: B via L <l@lists.example>\r\nX-Original-Sender: b@example.com": (L, Address("", "b@example.com")),
    b"From: A <a@example.com>\r\nX-Original-From: B <b@example.com>": (A, B),
    b"From: A <a@example.com>\r\nX-Original-From: A <a@example.com>": (A, A),
    b"From: A <a@example.com>\r\nX-Original-From: nobody": (A, A),
    b"From: B via L <l@lists.example>": (L, L),
}


@pytest.mark.parametrize(("header", "people"), PEOPLE.items(), ids=repr)
def test_answer_goes_to_reply_to_if_it_is_one_other_mailbox(header: bytes, people: tuple[Address, Address]) -> None:
    assert author_and_sender(take_apart(header + b"\r\n\r\n")) == people


@pytest.mark.parametrize(
    ("domain", "other", "expected"),
    [
        ("example.com", "Example.COM", True),
        ("mail.example.com", "example.com", True),
        ("example.com", "mail.example.com", True),
        ("a.example.com", "b.example.com", False),
        ("notexample.com", "example.com", False),
        ("example.com", "com", False),
        ("com", "com", False),
        ("example.com", "", False),
        ("", "", False),
        ("exämple.fr", "xn--exmple-cua.fr", True),
        ("EXA\u0308MPLE.fr", "mail.xn--exmple-cua.fr", True),
        ("faß.example", "xn--fa-hia.example", True),
        ("faß.example", "fass.example", False),
        ("ｅxample.com", "example.com", False),
        ("exämple.fr", "exaemple.fr", False),
        ("\udce9.fr", "e.fr", False),
        ("é" * 100_000 + ".fr", "x.fr", False),
    ],
)
def test_domain_aligns_with_itself_and_subdomains(domain: str, other: str, expected: bool) -> None:
    assert aligned(domain, other) is expected


@pytest.mark.parametrize(
    "piece", [b"(", b'"', b'"\\"', b"g:", b"a@b.fr,", b"<", b"@", b",", b"a" * 50 + b"@", b"a", b"a'", b"@,"]
)
def test_hostile_address_field_is_parsed_quickly(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is read here, however long it is."""
    monkeypatch.setattr("poller.mime.addresses._FIELD_BYTES", 1_000_000)

    def read(field: bytes) -> None:
        addresses(field)
        addresses(b"a" * len(field) + field)
        addresses(b"a@," * (len(field) // 3) + field)

    one_pass(read, piece, 200_000, few=2000)
