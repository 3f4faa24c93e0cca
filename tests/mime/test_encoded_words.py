"""Write header fields of our own that hold foreign text, so that every reader gets it back to the letter."""

from __future__ import annotations

from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import formataddr

import pytest

from poller.mime import headers
from poller.mime.addresses import addresses
from poller.mime.encoded_words import encoded, header_factory

TEXTS = (
    "Devis",
    "Modélisation d'un canapé",
    "TR : modélisation d’un canapé d’angle en velours côtelé, dossier réglable et accoudoirs amovibles – devis n° 4711",
    "Re: Devis for a very long plain English subject that the library would fold at its spaces, twice if need be",
    "🪑 fauteuil 👩‍🎨 et table basse 🛋️, à modéliser avant le 12 décembre 2026 s’il vous plaît, merci beaucoup !",
    "é" * 180,
    "x" * 180,
    "fichier_" + "très_long_nom_" * 12,
    'a "b" <c@d.example>, e; (f)',
    "日本語の件名です。" * 8,
    "= ?utf-8?q?x?=",
)


def message(text: str) -> bytes:
    letter = EmailMessage(policy=SMTP.clone(cte_type="7bit", header_factory=header_factory()))
    letter["From"] = formataddr((text, "support@figurative.example"))
    letter["To"] = [Address("Équipe d’accueil", addr_spec="a@b.example"), Address("", addr_spec="c@d.example")]
    letter["Subject"] = text
    letter.set_content("x")
    return letter.as_bytes(policy=SMTP.clone(max_line_length=998))


@pytest.mark.parametrize("text", TEXTS)
def test_foreign_text_in_header_comes_back_whole(text: str) -> None:
    """It does for the library's reader and for ours, in lines that every server takes (RFC 5322 section 2.1.1)."""
    raw = message(text)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert message_from_bytes(raw, policy=default)["subject"] == text
    header = headers.take_apart(raw)
    assert headers.decode(header.first(b"subject")) == text
    author = addresses(header.first(b"from"))[0]
    assert (author.display_name, author.addr_spec) == (text, "support@figurative.example")
    assert [each.addr_spec for each in addresses(header.first(b"to"))] == ["a@b.example", "c@d.example"]


@pytest.mark.parametrize("text", TEXTS)
def test_foreign_text_is_encoded_in_whole_words(text: str) -> None:
    assert headers.decode(encoded(text, "Subject").encode("ascii")) == text
