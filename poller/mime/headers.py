"""Parse header fields as real mailers write them: the block, decoded text, parameters, ids, dates.

Every function takes linear time and never raises. It follows RFC 5322 for the fields, RFC 2047 for encoded words and
RFC 2231 for parameters, and repairs mail that breaks them.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote_to_bytes

from poller.escaping import one_line
from poller.mime import charsets

HEADER_BYTES: Final = 256 * 1024  # of the message's own header; what is longer is cut
_VALUE_BYTES: Final = 16 * 1024  # of one field or parameter
_VALUE_CHARS: Final = 4000  # of its text: normalising is quadratic in runs of combining characters
_DATE_BYTES: Final = 200
CUT: Final = "…"  # ends the text of a field that was cut, see `one_line`

# Some gateways end each line with CR CR LF, which is one line end.
EOL: Final = rb"(?:\r{0,2}\n|\r)"
END_OF_HEADER: Final = re.compile(rb"(?>\r{0,2}\n|\r)(?:\r{0,2}\n|\r)")
_LINE: Final = re.compile(rb"[^\r\n]*+(?:\r{0,2}\n|\r)|[^\r\n]++")
_BLANK_LINES: Final = re.compile(rb"[\r\n]+")
_MBOX_LINE: Final = re.compile(rb">?From [^\r\n]{1,300}\d\d:\d\d[^\r\n]{0,100}+(?:\r\n|\r|\n)")
_FIELD: Final = re.compile(rb"([!-9;-~]+)[ \t]*+:")
# The first paragraph of a body may have "Note: ...", but not one of these names.
_HEADER_NAME: Final = re.compile(
    rb"(?:from|to|cc|subject|date|message-id|received|return-path|reply-to|sender|in-reply-to|references|mime-version"
    rb"|content-[a-z-]+|delivered-to|dkim-signature|user-agent|authentication-results|list-[a-z-]+|x-[a-z0-9-]+)",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?")
_PARAMETER: Final = re.compile(rb';\s*+([^=;\s"]+)\s*+=\s*+("(?:[^"\\]|\\.)*+"?|[^;]*+)', re.DOTALL)
_PARAMETER_NAME: Final = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?")
_AS_IT_STANDS: Final = frozenset(
    {b"authentication-results", b"from", b"reply-to", b"author", b"x-original-from", b"x-original-sender"}
)
_MESSAGE_ID: Final = re.compile(rb"<[^<>\s]{1,900}>")
_SPACED_ID: Final = re.compile(rb"<[^<>@\"]{1,450}@[^<>@\"]{1,450}>")
_BARE_ID: Final = re.compile(rb"[^<>\s@()\",;:]{1,450}@[^<>\s@()\",;:]{1,450}")


@dataclass(frozen=True, slots=True)
class Header:
    """The parsed header of a message."""

    fields: tuple[tuple[bytes, bytes], ...]  # (name in lower case, unfolded raw value), in order
    body_at: int  # offset of the body's first byte in what was given
    finished: bool  # False when what was given ended before the header did
    defects: tuple[str, ...]

    def first(self, name: bytes) -> bytes:
        """Return the first value of a field, b"" when there is none."""
        return next((value for field, value in self.fields if field == name), b"")

    def all(self, name: bytes) -> bytes:
        """Return every value of a field, joined by spaces."""
        return b" ".join(value for field, value in self.fields if field == name)


def take_apart(head: bytes) -> Header:
    """Parse the header at the beginning of a message, and repair it as far as possible.

    A byte order mark, blank lines and an mbox line before it are skipped. Lines that are no field are dropped where
    known fields follow them. Where none follow, the body begins with those lines. Without any known field all of it is
    body.
    """
    start, defects = _skip_what_is_before(head)
    end = END_OF_HEADER.search(head, start)
    fields: list[tuple[bytes, list[bytes]]] = []
    junk: tuple[int, int] | None = None  # offset of the first line that is no field, and the number of fields before it
    known = False
    at = start
    for raw in _LINE.findall(head, start, end.start() if end else len(head)):
        line = raw.replace(b"\0", b"")
        field = _FIELD.match(line)
        if line.startswith((b" ", b"\t")) and fields:
            fields[-1][1].append(line.rstrip(b"\r\n"))
        elif field:
            if _HEADER_NAME.fullmatch(field[1]):
                known = True
                defects += ["line in the header that is no field"] if junk else []
                junk = None
            fields.append((field[1].lower(), [line[field.end() :].rstrip(b"\r\n")]))
        elif junk is None:
            junk = at, len(fields)
        if line.startswith(b"--") and fields and not field:
            break  # the first boundary: the fields below it are those of a part
        at += len(raw)
    if not known:
        return Header((), start, finished=True, defects=(*defects, "no header"))
    body_at, count = junk or (end.end() if end else len(head), len(fields))
    defects += ["no blank line before the body"] if junk else []
    whole = tuple((name, b"".join(lines).strip()) for name, lines in fields[:count])
    return Header(whole, body_at, finished=bool(end or junk), defects=tuple(dict.fromkeys(defects)))


def fields(block: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the fields of a part's header: (name in lower case, unfolded raw value), in order."""
    found: list[tuple[bytes, list[bytes]]] = []
    for line in _LINE.findall(block.replace(b"\0", b"")):
        field = _FIELD.match(line)
        if line.startswith((b" ", b"\t")) and found:
            found[-1][1].append(line.rstrip(b"\r\n"))
        elif field:
            found.append((field[1].lower(), [line[field.end() :].rstrip(b"\r\n")]))
    return tuple((name, b"".join(lines).strip()) for name, lines in found)


def _skip_what_is_before(head: bytes) -> tuple[int, list[str]]:
    """Return where the first field begins, and what was skipped: byte order mark, blank lines, an mbox "From " line."""
    start = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    defects = ["byte order mark before the header"] if start else []
    for before, name in ((_BLANK_LINES, "blank line"), (_MBOX_LINE, "mbox line")):
        while match := before.match(head, start):
            start = match.end()
            defects.append(f"{name} before the header")
    return start, defects


def decode(value: bytes) -> str:
    """Return the text of an unstructured field on one line.

    Encoded words are decoded within quotes and when broken, too, and so is raw 8-bit text.
    """
    text = charsets.decode_field(value[:_VALUE_BYTES])
    return one_line(_decode_words(text)[:_VALUE_CHARS], _VALUE_CHARS)


def text_of(name: bytes, value: bytes) -> str:
    """Return the text of any field on one line. `name` is in lower case.

    A field by which our own server or a person is known is not decoded. Encoded words and raw bytes have no place in an
    address or a server's name (RFC 2047 section 5), and would let a forger write one past the server itself.
    """
    if name in _AS_IT_STANDS:
        cut = CUT if len(value) > _VALUE_BYTES else ""
        return one_line(re.sub(rb"[^\t -~]", b"?", value[:_VALUE_BYTES]).decode("ascii") + cut, _VALUE_CHARS)
    return decode(value)


def _decode_words(text: str) -> str:
    decoded: list[str] = []
    pending: list[bytes] = []  # words of one charset
    pending_charset = ""
    at = 0
    while word := _WORD.search(text, at):
        end = text.find("?=", word.end())
        gap = text[at : word.start()]
        charset = word[1].partition("*")[0].lower()  # RFC 2231 section 5: a language may follow
        if gap.strip() or charset != pending_charset:
            decoded.append(charsets.decode_words(pending, pending_charset))
            pending, pending_charset = [], charset
        if gap.strip() or at == 0:  # RFC 2047 section 6.2: white space between two words is none
            decoded.append(gap)
        pending.append(_word_bytes(word[2], text[word.end() : end if end >= 0 else None], charset))
        at = end + 2 if end >= 0 else len(text)
    return "".join([*decoded, charsets.decode_words(pending, pending_charset), text[at:]])


def _word_bytes(encoding: str, word: str, charset: str) -> bytes:
    """Decode the Base64 or Q encoding of a word. Raw letters in it, which it must not have, are of its own charset."""
    try:
        raw = word.encode("ascii" if word.isascii() else charsets.known(charset) or "utf-8")
    except UnicodeError:
        raw = word.encode("utf-8", "surrogatepass")
    if encoding in "qQ":
        return binascii.a2b_qp(raw, header=True)
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
    letters = letters[: -(len(letters) % 4 == 1) or None]  # a single base64 character is no byte
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def parameters(value: bytes) -> tuple[str, dict[str, str]]:
    """Return a Content-Type or Content-Disposition in lower case, and its decoded parameters (RFC 2231)."""
    value = value[:_VALUE_BYTES]
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[bytes, bool]]] = {}
    for match in _PARAMETER.finditer(value):
        name = _PARAMETER_NAME.fullmatch(match[1].decode("latin-1").lower())
        raw = match[2].strip()
        if raw.startswith(b'"'):
            # Any other backslash belongs to a Windows path that the mailer did not escape.
            raw = re.sub(rb'\\(["\\])', rb"\1", raw[1:].removesuffix(b'"'))
        if name and (name[2] or name[3]):
            sections.setdefault(name[1], {}).setdefault(int(name[2] or 0), (raw, bool(name[3])))
        elif name:
            plain.setdefault(name[1], decode(raw))
    joined = {name: _join([numbered[number] for number in sorted(numbered)]) for name, numbered in sections.items()}
    return value.partition(b";")[0].strip().decode("latin-1").lower(), plain | joined


def _join(sections: list[tuple[bytes, bool]]) -> str:
    """Join the sections of a parameter, some of them percent-encoded (RFC 2231 sections 3 and 4)."""
    raw = b"".join(unquote_to_bytes(section) if encoded else section for section, encoded in sections)
    charset, *rest = raw.split(b"'", 2)
    if not sections[0][1] or len(rest) < 2:  # noqa: PLR2004 - no charset'language' in front
        return decode(raw)
    return one_line(charsets.decode(rest[1], charset.decode("latin-1"))[:_VALUE_CHARS], _VALUE_CHARS)


def message_ids(value: bytes) -> tuple[str, ...]:
    """Return every message id with its <>, in order (RFC 5322 section 3.6.4).

    Some mailers leave out the <>. Such ids count only in a field that holds nothing but ids, for a phrase may name an
    address. Others fold an id, or encode it like a text.
    """
    value = _SPACED_ID.sub(lambda spaced: re.sub(rb"\s", b"", spaced[0]), value)
    found = list(_MESSAGE_ID.findall(value))
    if not found and _WORD.search(value.decode("latin-1")):
        found = _MESSAGE_ID.findall(decode(value).encode("latin-1", "replace"))
    words = re.split(rb"[\s,;]+", _MESSAGE_ID.sub(rb" \g<0> ", value).strip(b" \t,;"))
    if all(_MESSAGE_ID.fullmatch(word) or _BARE_ID.fullmatch(word) for word in words):
        found = [word if word.startswith(b"<") else b"<" + word + b">" for word in words]
    return tuple(one_line(match.decode("latin-1"), _VALUE_CHARS) for match in found)


def date(value: bytes) -> datetime | None:
    """Return the moment in UTC, None when it is no date (RFC 5322 section 3.3)."""
    try:
        moment = parsedate_to_datetime(value[:_DATE_BYTES].decode("latin-1"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
