"""Read the Authentication-Results of our own server, and none that others forge."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from poller.mime.headers import CUT
from poller.model import Address, Request
from poller.parsing import parser
from poller.triage.auth_results import NAMELESS, refuted, results, vouched
from tests.support.effort import one_pass

if TYPE_CHECKING:
    from pathlib import Path

OURS = "mx.figurative.example"
DOMAIN = "atelier.example"


def request(*fields: str) -> Request:
    """Return a mail with these Authentication-Results, the topmost first."""
    author = Address("", f"claire@{DOMAIN}")
    return Request(
        reference="0123456789abcdef",
        message_id="<1@atelier.example>",
        in_reply_to=(),
        references=(),
        sender=author,
        author=author,
        subject="Bonjour",
        text="Bonjour",
        newest="Bonjour",
        sent_at=None,
        received_at=datetime(2026, 11, 22, tzinfo=UTC),
        headers=tuple(("authentication-results", field) for field in fields),
        attachments=(),
        defects=(),
    )


def verdict(field: str, name: str = OURS) -> tuple[bool, bool]:
    """Return whether the results vouch for the domain, and whether they refute it."""
    found = results(request(field), name)
    return vouched(found, DOMAIN), refuted(found)


GENUINE, REFUTED, UNPROVEN = (True, False), (False, True), (False, False)
FIELDS = {
    "mx.figurative.example; dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=atelier.example": GENUINE,
    "MX.Figurative.example 1; DMARC=Pass header.from=Atelier.example": GENUINE,
    "mx.figurative.example (a (nested) comment); dkim=pass (2048-bit key) header.d=atelier.example": GENUINE,
    "mx.figurative.example; dkim=pass header.i=@atelier.example header.s=s1 header.b=AbCd": GENUINE,
    "mx.figurative.example; dkim=pass header.i=@news.atelier.example": GENUINE,
    "mx.figurative.example; dkim/1=pass header.d = atelier.example": GENUINE,
    "mx.figurative.example; dkim=fail header.d=atelier.example; dkim=pass header.d=atelier.example": GENUINE,
    "mx.figurative.example; spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=claire@atelier.example": GENUINE,
    "mx.figurative.example; spf=pass smtp.mailfrom=<bounce@atelier.example>; dmarc=none header.from=atelier.example": (
        GENUINE
    ),
    "mx.figurative.example; dmarc=pass header.from=atelier.example; dkim=fail; spf=fail": GENUINE,
    "mx.figurative.example; dmarc=fail header.from=atelier.example; dkim=pass header.d=atelier.example": REFUTED,
    "mx.figurative.example; dmarc=pass header.from=evil.example": UNPROVEN,  # of the other From
    "mx.figurative.example; dmarc=pass header.from=atelier.example; dmarc=fail": REFUTED,
    "mx.figurative.example; dmarc=pass header.from=atelier.example; dmarc=fail header.from=evil.example": REFUTED,
    "mx.figurative.example; dkim=pass header.d=evil.example": UNPROVEN,
    "mx.figurative.example; dkim=pass header.d=example": UNPROVEN,
    "mx.figurative.example; dkim=pass header.d=notatelier.example": UNPROVEN,
    "mx.figurative.example; spf=pass smtp.mailfrom=x@evil.example": UNPROVEN,
    "mx.figurative.example; spf=pass smtp.helo=atelier.example": UNPROVEN,
    "mx.figurative.example; spf=softfail smtp.mailfrom=claire@atelier.example": UNPROVEN,
    'mx.figurative.example; spf=pass smtp.mailfrom="x@atelier.example"@evil.example': UNPROVEN,
    'mx.figurative.example; spf=pass smtp.mailfrom="; dmarc=pass header.from=atelier.example"@evil.example': UNPROVEN,
    'mx.figurative.example; dkim=fail reason="x header.d=atelier.example; dkim=pass header.d=atelier.example"': (
        UNPROVEN
    ),
    "mx.figurative.example; spf=fail (of x; dmarc=pass header.from=atelier.example) smtp.mailfrom=x@evil.example": (
        UNPROVEN
    ),
    'mx.figurative.example; spf=fail (of "x) ; dkim=pass header.d=atelier.example ("@evil.example) a=b': UNPROVEN,
    "mx.figurative.example; spf=fail (never closed; dkim=pass header.d=atelier.example": UNPROVEN,
    "mx.figurative.example; dkim=none; spf=none; dmarc=none": UNPROVEN,
    "mx.figurative.example; auth=pass (plain) smtp.auth=claire@atelier.example": GENUINE,
    "mx.figurative.example; auth=fail smtp.auth=claire@atelier.example": UNPROVEN,
    "mx.figurative.example; auth=pass smtp.auth=claire": UNPROVEN,
    "mx.figurative.example; auth=pass smtp.auth=max@evil.example": UNPROVEN,
    "mx.figurative.example; dmarc=temperror header.from=atelier.example": UNPROVEN,
    "mx.figurative.example; none": UNPROVEN,
    "mx.figurative.example": UNPROVEN,
}


@pytest.mark.parametrize(("field", "expected"), FIELDS.items())
def test_domain_is_verified_by_dmarc_or_aligned_dkim_or_spf(field: str, expected: tuple[bool, bool]) -> None:
    assert verdict(field) == expected


@pytest.mark.parametrize("written", ["xn--exmple-cua.fr", "exämple.fr", "mail.xn--exmple-cua.fr"])
def test_unicode_domain_matches_its_ascii_form(written: str) -> None:
    for said in (
        f"dmarc=pass header.from={written}",
        f"dkim=pass header.d={written}",
        f"spf=pass smtp.mailfrom={written}",
    ):
        found = results(request(f"{OURS}; {said}"), OURS)
        assert vouched(found, "exämple.fr")
        assert not vouched(found, "example.fr")


FORGED = f"; dmarc=pass header.from={DOMAIN}"


@pytest.mark.parametrize(
    "fields",
    [
        [f"{OURS}; dmarc=fail header.from={DOMAIN}", f"{OURS}{FORGED}"],
        [f"mx.elsewhere.example{FORGED}", f"{OURS}; spf=none", f"{OURS}{FORGED}"],
        [f"{OURS}; dkim=pass header.d={DOMAIN}", f"{OURS}; dmarc=fail header.from={DOMAIN}"],
        [f"{OURS}; dkim=pass header.d={DOMAIN}{CUT}"],
        [f"{OURS}; dkim=pass header.d={DOMAIN}", f"{OURS}; spf=none{CUT}"],
    ],
    ids=["failure above", "nothing above", "failure of another milter", "cut", "cut of another milter"],
)
def test_only_topmost_field_of_own_server_vouches(fields: list[str]) -> None:
    """A failure counts wherever it stands, and a field that was cut off proves nothing."""
    assert not vouched(results(request(*fields), OURS), DOMAIN)


@pytest.mark.parametrize("filler", ["x=y " * 300, "\r\n" + " " * 4_000])
def test_field_too_long_to_be_read_proves_nothing(tmp_path: Path, filler: str) -> None:
    """The failure behind it is not seen."""
    path = tmp_path / "mail.eml"
    for length, expected in ((1, True), (5, False)):
        field = f"Authentication-Results: {OURS}; dkim=pass header.d={DOMAIN}; {filler * length}; spf=none"
        path.write_bytes(f"{field}\r\nFrom: claire@{DOMAIN}\r\nSubject: x\r\n\r\nBonjour\r\n".encode())
        found = results(parser.parse(path, "account", datetime(2026, 11, 22, tzinfo=UTC)), OURS)
        assert vouched(found, DOMAIN) is expected


@pytest.mark.parametrize(
    "field",
    [f"mx.elsewhere.example{FORGED}", f"{OURS}.evil.example{FORGED}", f"x {OURS}{FORGED}", FORGED, "", "dmarc=pass"],
)
def test_results_of_other_servers_are_ignored(field: str) -> None:
    assert results(request(field), OURS) == ()
    assert results(request(), OURS) == ()


def test_results_without_server_name_are_recognised() -> None:
    """Microsoft 365 begins with the first result, and has the recipient's domain stand between two of them."""
    field = (
        "spf=fail (sender IP is 192.0.2.1) smtp.mailfrom=evil.example; figurative.example; dkim=pass (signature was"
        f" verified) header.d={DOMAIN};figurative.example; dmarc=pass action=none header.from={DOMAIN};compauth=pass"
    )
    assert verdict(field, NAMELESS) == GENUINE
    assert results(request(f"{OURS}{FORGED}"), NAMELESS) == ()


@pytest.mark.parametrize(
    "name",
    [
        b"=?us-ascii?q?mx=2Efigurative=2Eexample?=",
        b"mx.figu\x01rative.example",
        b"mx.figu\xe2\x80\x8brative.example",
        "mx.figurative.example".replace("k", "\u212a").replace("f", "\uff46").encode(),
    ],
)
def test_encoded_server_name_is_not_accepted(tmp_path: Path, name: bytes) -> None:
    """The server removes fields in its own name; a name that equals its own only after decoding is not believed."""
    path = tmp_path / "mail.eml"
    field = b"Authentication-Results: " + name + FORGED.encode()
    path.write_bytes(field + b"\r\nFrom: claire@atelier.example\r\nSubject: x\r\n\r\nBonjour\r\n")
    parsed = parser.parse(path, "account", datetime(2026, 11, 22, tzinfo=UTC))
    assert parsed.header("authentication-results").endswith(FORGED)
    assert results(parsed, OURS) == ()


@pytest.mark.parametrize("piece", ["(", ")", '"', '\\"', "=", ";", " = ", 'a="', "dkim=pass ", "header.d=", "()"])
def test_hostile_authentication_field_is_parsed_quickly(piece: str) -> None:
    one_pass(lambda said: results(request(f"{OURS};{said}"), OURS), piece, 2_000_000)
