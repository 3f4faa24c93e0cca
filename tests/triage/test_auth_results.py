"""Read the Authentication-Results of our own server, and none that others forge."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from poller.model import Address, Request
from poller.parsing import parser
from poller.triage.auth_results import NAMELESS, doubted, results, vouched
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
    """Return whether the results vouch for the domain, and whether they doubt it."""
    found = results(request(field), name)
    assert found is not None
    return vouched(found, DOMAIN), doubted(found, DOMAIN)


GENUINE, DOUBTFUL, SILENT = (True, False), (False, True), (False, False)
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
    "mx.figurative.example; dmarc=fail header.from=atelier.example; dkim=pass header.d=atelier.example": DOUBTFUL,
    "mx.figurative.example; dmarc=pass header.from=evil.example": DOUBTFUL,  # of the other From
    "mx.figurative.example; dmarc=pass header.from=atelier.example; dmarc=fail": DOUBTFUL,
    "mx.figurative.example; dmarc=pass header.from=atelier.example; dmarc=fail header.from=evil.example": DOUBTFUL,
    "mx.figurative.example; dkim=pass header.d=evil.example": DOUBTFUL,
    "mx.figurative.example; dkim=pass header.d=example": DOUBTFUL,
    "mx.figurative.example; dkim=pass header.d=notatelier.example": DOUBTFUL,
    "mx.figurative.example; spf=pass smtp.mailfrom=x@evil.example": DOUBTFUL,
    "mx.figurative.example; spf=pass smtp.helo=atelier.example": DOUBTFUL,
    "mx.figurative.example; spf=softfail smtp.mailfrom=claire@atelier.example": DOUBTFUL,
    'mx.figurative.example; spf=pass smtp.mailfrom="x@atelier.example"@evil.example': DOUBTFUL,
    'mx.figurative.example; spf=pass smtp.mailfrom="; dmarc=pass header.from=atelier.example"@evil.example': DOUBTFUL,
    'mx.figurative.example; dkim=fail reason="x header.d=atelier.example; dkim=pass header.d=atelier.example"': (
        DOUBTFUL
    ),
    "mx.figurative.example; spf=fail (of x; dmarc=pass header.from=atelier.example) smtp.mailfrom=x@evil.example": (
        DOUBTFUL
    ),
    'mx.figurative.example; spf=fail (of "x) ; dkim=pass header.d=atelier.example ("@evil.example) a=b': DOUBTFUL,
    "mx.figurative.example; spf=fail (never closed; dkim=pass header.d=atelier.example": DOUBTFUL,
    "mx.figurative.example; dkim=none; spf=none; dmarc=none": SILENT,
    "mx.figurative.example; auth=pass smtp.auth=claire": SILENT,
    "mx.figurative.example; none": SILENT,
    "mx.figurative.example": SILENT,
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
        assert found is not None
        assert vouched(found, "exämple.fr")
        assert not vouched(found, "example.fr")


FORGED = f"; dmarc=pass header.from={DOMAIN}"


@pytest.mark.parametrize(
    "fields",
    [
        [f"{OURS}; dmarc=fail header.from={DOMAIN}", f"{OURS}{FORGED}"],
        [f"mx.elsewhere.example{FORGED}", f"{OURS}; spf=none", f"{OURS}{FORGED}"],
    ],
)
def test_only_topmost_field_of_own_server_counts(fields: list[str]) -> None:
    found = results(request(*fields), OURS)
    assert found is not None
    assert not vouched(found, DOMAIN)


@pytest.mark.parametrize(
    "field",
    [f"mx.elsewhere.example{FORGED}", f"{OURS}.evil.example{FORGED}", f"x {OURS}{FORGED}", FORGED, "", "dmarc=pass"],
)
def test_results_of_other_servers_are_ignored(field: str) -> None:
    assert results(request(field), OURS) is None
    assert results(request(), OURS) is None


def test_results_without_server_name_are_recognised() -> None:
    """Microsoft 365 begins with the first result, and has the recipient's domain stand between two of them."""
    field = (
        "spf=fail (sender IP is 192.0.2.1) smtp.mailfrom=evil.example; figurative.example; dkim=pass (signature was"
        f" verified) header.d={DOMAIN};figurative.example; dmarc=pass action=none header.from={DOMAIN};compauth=pass"
    )
    assert verdict(field, NAMELESS) == GENUINE
    assert results(request(f"{OURS}{FORGED}"), NAMELESS) is None


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
    assert results(parsed, OURS) is None


@pytest.mark.parametrize("piece", ["(", ")", '"', '\\"', "=", ";", " = ", 'a="', "dkim=pass ", "header.d=", "()"])
def test_hostile_authentication_field_is_parsed_quickly(piece: str) -> None:
    one_pass(lambda said: results(request(f"{OURS};{said}"), OURS), piece, 2_000_000)
