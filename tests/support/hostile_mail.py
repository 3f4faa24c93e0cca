"""Mails as a stranger may write them: built to a plan in which everything can be wrong, then damaged.

A plan is drawn from few choices, so that a thousand mails are made in seconds and a failure shrinks to what causes it.
"""

from __future__ import annotations

import base64
import os
import quopri
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from hypothesis import strategies as st

from poller.cli.samples import picture, triangle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

WORDS: Final = [
    "Bonjour, voici notre fauteuil à modéliser en 3D, merci",
    "Ma facture est fausse, remboursez-moi",
    "TR: Fwd: Re: Demande",
    "De : Ana <ana@ruiz.example>\nEnvoyé : hier\nObjet : a\n\nLe 22 nov. 2026 à 10:00, X a écrit :\n> cité\n-- \nA",
    "a\r\nBcc: x@evil.example\r\n\r\nbody",
    "=?utf-8?q?a=0D=0ABcc:_x@evil.example?= =?x?b?====?= =?utf-8?Q?=?=",
    "one\u2028two\u2029three\x85four\vfive\fsix\x1cseven\x00eight\x1b[31m\x07",
    "facture\u202efdp.exe \u2066a\u2069 \u200bb\ufeff \u061c \U000e0041",
    "<script>alert(1)</script><img src=x onerror=alert(1)><!-- c --><![CDATA[x]]><?php x?></p></body>",
    "\"><a href='javascript:alert(1)' style='background:url(//evil.example)'>x</a><svg onload=alert(1)>",
    "[@Nadia](#user_mention#123) @nadia [x](javascript:alert(1)) [x]: http://evil.example 'title'\n\n[x][x]",
    "![beacon](https://evil.example/p.gif) <https://evil.example> <x@evil.example> mailto:x@evil.example",
    "http://evil.example/a?b=c www.evil.example ftp://evil.example //evil.example evil.com 3d.fr/x évil.fr",
    "https://we.tl/t-AbC](javascript:alert(1)) https://drive.google.com/file/d/1/view?x=<b> https://1drv.ms/u/s!A'\"",
    "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fwww.dropbox.com%2Fs%2Fa%22%3E%3Cb%3E&data=1",
    "```\nfence\n~~~\n`code` ~~gone~~ **b** __d__\n# title\nTitle\n===\n- item\n1. item\n> q\n| a |\n|---|\n| 1 |",
    "    code\n\tcode\n\xa0\xa0- item  \nbreak\\\nend",
    "&lt;b&gt; &#60;b&#62; &#x3c;i&#x3e; &copy; &amp;amp;",
    "[ref: 0123456789abcdef] [ref: ffffffffffffffff]",
    "{title} {body} %s %(x)s ${x} {0.__class__}",
    "begin 644 plan.glb\n%9VQ41@(`\n`\nend\n",
    "\u0f73" * 80 + "e" + "\u0301\u0323" * 60,
    "👨‍👩‍👧 می‌خواهم 模型",
    "x" * 1200,
    'a,b;c:<d>@[e]"f\\(g)',
    "",
]
CHARSETS: Final = (
    *("utf-8", "iso-8859-1", "windows-1252", "utf-16", "utf-7", "us-ascii", "x-unknown", "iso-2022-jp", "hz", "big5"),
    *("utf-32", "cp037", "punycode", "idna", "unicode_escape", "raw_unicode_escape", "rot13", "base64", "zlib"),
    *("utf_8_sig", "mbcs", "undefined", "", "''", "\x00", "utf-8\r\n\tx"),
)
ENCODINGS: Final = (
    "7bit",
    "8bit",
    "base64",
    "quoted-printable",
    "x-uuencode",
    "binary",
    "",
    "BASE64 ",
    "base32",
    "\x00",
)
TYPES: Final = (
    *("text/plain", "text/html", "text/plain", "text/html", "text/enriched", "text/calendar; method=REPLY"),
    *("application/octet-stream", "image/png", "image/svg+xml", "model/gltf-binary", "application/zip"),
    *("message/rfc822", "message/delivery-status", "message/partial", "application/ms-tnef"),
    *("application/pkcs7-mime; smime-type=signed-data", "application/pkcs7-mime; smime-type=enveloped-data"),
    *("application/pgp-encrypted", "multipart/mixed", "garbage", "/", "text/", "x" * 300 + "/y", "text/plain;;;=;"),
)
MULTIPARTS: Final = (
    *(
        "mixed",
        "mixed",
        "alternative",
        "related",
        "report; report-type=delivery-status",
        "digest",
        "signed",
        "encrypted",
    ),
    *("x" * 100, ""),
)
BOUNDARIES: Final = ("b", "b1", "b 2", "=_é", "x" * 70, 'a"b', "", "b--", "--", "b\x00")
NAMES: Final = (
    *("plan.glb", "photo été.jpg", "../../etc/passwd", "C:\\x\\a.obj", "facture.pdf.exe", "invoice\u202efdp.exe"),
    *(
        "page.html",
        "logo.svg",
        "winmail.dat",
        "smime.p7m",
        "a.zip",
        "x" * 400 + ".step",
        "con",
        ".",
        "\x00",
        "a\r\nX: y.png",
    ),
    *(
        "=?utf-8?q?a=2Eglb?=",
        "%2e%2e%2fa.glb",
        "[@N](#user_mention#1).glb",
        "<img src=x>.png",
        "www.evil.example.png",
        "",
    ),
)
CONTENTS: Final = (
    triangle(),
    picture(8, 8),
    b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
    b"MZ\x90\x00" + b"\x00" * 60,
    b"#!/bin/sh\nrm -rf /\n",
    b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    b"<!DOCTYPE html><html><body>x</body></html>",
    b"%PDF-1.4\n<script>",
    b"PK\x03\x04" + b"\x00" * 26 + b"PK\x05\x06" + b"\xff" * 18,
    b"\x78\x9f\x3e\x22\x01\x00\x01" + b"\x90\x08\x00" * 40,
    b"0\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80" + b"0\x80" * 50,
    b"solid x\nfacet normal 0 0 0\n",
    b"ISO-10303-21;\nHEADER;\n",
    b"BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nEND:VCALENDAR\r\n",
    b"\xff\xfe\x00\xd8\x00\x00" * 30,
    b"",
)
FIELDS: Final = (
    *(
        "Subject",
        "Subject",
        "From",
        "From",
        "To",
        "Reply-To",
        "Sender",
        "Date",
        "Message-ID",
        "In-Reply-To",
        "References",
    ),
    *("Return-Path", "Auto-Submitted", "Precedence", "List-Id", "List-Unsubscribe", "X-Spam-Status", "X-Autoreply"),
    *("X-Original-From", "X-Original-Sender", "Authentication-Results", "X-Figurative-Poller", "MIME-Version"),
    *("Content-Type", "Content-Transfer-Encoding", "Received", "X-" + "y" * 300, "Bad Name", "", "Sübject"),
)
ADDRESSES: Final = (
    "Jeanne Petit <jeanne@petit.example>",
    '"Petit, Jeanne\\" <x@evil.example>" <jeanne@petit.example>',
    "<jeanne@petit.example",
    "jeanne@petit.example, Mallory <mallory@evil.example>",
    "support@figurative.example",
    "Jeanne via Support <support@figurative.example>",
    '"[@N](#user_mention#1)"@evil.example',
    "undisclosed-recipients:;",
    "(" * 200,
    "@" * 50,
    "<>",
    "MAILER-DAEMON",
    "evil.fr@petit.example",
)
VALUES: Final = (
    *("Sun, 22 Nov 2026 10:00:00 +0100", "99 Foo 99999 99:99:99 +9999", "<1@petit.example>", "<", "<a@b> <c@d> <a@b>"),
    *("auto-replied", "bulk", "yes", "mx.figurative.example; dkim=pass header.d=petit.example", "1.0", "base64", "no"),
    "multipart/mixed; boundary=b",
)

ACCIDENTS: Final = ("flip", "insert", "delete", "double", "cut")
SCRAPS: Final = (b"\r\n", b"\n\n", b"\x00", b"--b", b"--b--\r\n", b"\xff\xfe", b"=?", b'"', b";", b": ", b"<", b"\r")
# Which accident, where (in 65,536ths of the mail), to how many bytes, and what is put there.
Damage = tuple[str, int, int, bytes]
T = TypeVar("T")

_DEPTH: Final = 3  # of multiparts and messages in one another
_CORPUS: Final = os.environ.get("MAIL_CORPUS")
_CORPUS_BYTES: Final = 40_000  # of a mail that is damaged thousands of times


_NUMBER: Final = st.integers(0, 4095)  # of a choice: one strategy for all of them, which is what makes a plan cheap


def mails() -> SearchStrategy[bytes]:
    """A mail of any kind, in one piece or damaged."""
    origins = [built()] * 3
    if _CORPUS:
        paths = sorted(path for path in Path(_CORPUS).rglob("*.eml") if path.stat().st_size < _CORPUS_BYTES)
        origins.append(st.sampled_from(paths).map(Path.read_bytes))
    return st.builds(damaged, st.one_of(origins), st.lists(damages(), max_size=4))


@st.composite
def damages(draw: DrawFn) -> Damage:
    """An accident."""
    where = draw(st.integers(0, 65_536))
    return _one(draw, ACCIDENTS), where, _one(draw, (1, 1, 2, 7, 60, 700)), _one(draw, SCRAPS)


def damaged(mail: bytes, plan: list[Damage]) -> bytes:
    """The mail after these accidents, one after the other."""
    for accident, where, length, scrap in plan:
        at = len(mail) * where // 65_536
        hurt, rest = mail[at : at + length], mail[at + length :]
        if accident == "cut":
            mail = mail[: max(at, len(mail) // 8)]
        elif accident == "flip":
            mail = mail[:at] + bytes(byte ^ 0x80 >> where % 8 for byte in hurt) + rest
        else:
            mail = mail[:at] + {"insert": scrap + hurt, "delete": b"", "double": hurt + hurt}[accident] + rest
    return mail


@st.composite
def built(draw: DrawFn) -> bytes:
    """A mail to a plan: a header, and a part of whatever depth."""
    mail = b""
    if not _seldom(draw, 4):
        mail = b"From: " + _written(draw, ADDRESSES) + b"\r\nSubject: " + _written(draw, WORDS) + b"\r\n"
    for _ in range(_one(draw, (0, 1, 2, 3, 5))):
        value = _written(draw, _one(draw, (ADDRESSES, VALUES, WORDS)))
        mail += _one(draw, FIELDS).encode() + b": " + value + b"\r\n"
    return mail + _part(draw, 0)


def _one(draw: DrawFn, options: Sequence[T]) -> T:
    return options[draw(_NUMBER) % len(options)]


def _seldom(draw: DrawFn, times: int) -> bool:
    """True once in so many times, and never in the simplest of mails."""
    return draw(_NUMBER) % times == times - 1


def _written(draw: DrawFn, words: Sequence[str]) -> bytes:
    """One of the words, as one of the ways to write a field has it."""
    return _one(draw, _WAYS)(_one(draw, words))


def _encoded_word(charset: str, letter: str) -> Callable[[str], bytes]:
    def write(word: str) -> bytes:
        raw = word.encode("utf-8")
        coded = base64.b64encode(raw) if letter == "b" else quopri.encodestring(raw, header=True).replace(b"=\n", b"")
        return f"=?{charset}?{letter}?".encode() + coded + b"?="

    return write


_WAYS: Final[tuple[Callable[[str], bytes], ...]] = (
    lambda word: word.encode(),
    lambda word: word.encode(),
    lambda word: word.encode("latin-1", "replace"),
    lambda word: word.replace(" ", "\r\n ").encode(),
    lambda word: b'"' + word.encode() + b'"',
    _encoded_word("utf-8", "b"),
    _encoded_word("utf-8", "q"),
    _encoded_word("iso-8859-1*fr", "B"),
    _encoded_word("x-unknown", "q"),
    _encoded_word("utf-16", "b"),
)


def _part(draw: DrawFn, depth: int) -> bytes:
    if depth < _DEPTH and _seldom(draw, 2):
        return _multipart(draw, depth)
    content_type, encoding, name = _one(draw, TYPES), _one(draw, ENCODINGS), _one(draw, NAMES)
    header = f"Content-Type: {content_type}; charset={_one(draw, CHARSETS)}"
    header += _one(
        draw,
        (
            "",
            "",
            f'\r\nContent-Disposition: attachment; filename="{name}"',
            f"\r\nContent-Disposition: inline; filename*0*=utf-8''{name}; filename*1=b\r\nContent-ID: <c1>",
            f'; name="{name}"',
        ),
    )
    header += f"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return header.encode() + _coded(_content(draw, content_type, depth), encoding) + b"\r\n"


def _multipart(draw: DrawFn, depth: int) -> bytes:
    boundary = _one(draw, BOUNDARIES).encode()
    header = b"Content-Type: multipart/" + _one(draw, MULTIPARTS).encode() + b'; boundary="' + boundary + b'"'
    parts = (b"--" + boundary + b"\r\n" + _part(draw, depth + 1) for _ in range(_one(draw, (2, 1, 3, 0))))
    body = header + b"\r\n\r\npreamble\r\n" + b"".join(parts)
    return body if _seldom(draw, 4) else body + b"--" + boundary + b"--\r\n"


def _content(draw: DrawFn, content_type: str, depth: int) -> bytes:
    if content_type.startswith("message/") and depth < _DEPTH:
        return b"From: " + _written(draw, ADDRESSES) + b"\r\nSubject: x\r\n" + _part(draw, depth + 1)
    if not content_type.startswith("text/"):
        return _one(draw, CONTENTS)
    text = "\n".join(_one(draw, WORDS) for _ in range(_one(draw, (2, 1, 3, 4))))
    if _seldom(draw, 80):
        text = text * 2 + (text[:100] + "\n") * 1500
    if "html" in content_type:
        text = f'<html><body><p>{text}</p><img src="cid:c1"><a href="https://we.tl/t-x">{text}</a></body>'
    return text.encode(_one(draw, ("utf-8", "utf-8", "utf-8", "latin-1", "utf-16")), "replace")


def _coded(content: bytes, encoding: str) -> bytes:
    if encoding.lower().strip() == "base64":
        return base64.encodebytes(content)
    return quopri.encodestring(content) if encoding == "quoted-printable" else content
