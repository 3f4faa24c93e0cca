"""Write a submitted form as the message that the customer would have written (RFC 5322).

It comes from our own address, because no other server vouches for it. Answers to it go to the customer (Reply-To). Text
from the visitor is encoded in the header and base64 in the body. It can become neither a header field nor a part.
"""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from email.utils import format_datetime
from typing import IO, TYPE_CHECKING
from uuid import uuid4

from integrations.errors import ConfigurationError
from poller.escaping import file_name, one_line, plain_text
from poller.mime.encoded_words import encoded
from poller.own_mail import FORM_HEADER, FORM_MARK_HEADER
from poller.triage import form_mark
from poller.triage.sender import is_ours, own_domains

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from poller.config.settings import Settings
    from poller.forms.submission import Submission, Upload

PIECE_BYTES = 57 * 1024  # of a file, encoded at once; 57 bytes make a line of 76 characters, as base64 in a mail has
_ADDRESS = re.compile(r"[!-;=?A-~]+@[!-;=?A-~]+")
_TOKEN = re.compile(r"(?!multipart/|message/)[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,80}", re.IGNORECASE)
_PLAIN_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,58}")
_NAME_BYTES = 60  # of a file name in one line; percent-encoding makes at most three characters of each


@dataclass(frozen=True, slots=True)
class FormMessage:
    """A form's message, ready to be appended to the mailbox."""

    message_id: str  # with <>, ASCII, of our own making
    again: bool  # whether the same submission may have come before under this Message-ID
    header: bytes  # with CRLF, up to the empty line
    content: IO[bytes]  # all of it with CRLF, at its beginning
    size_bytes: int


def address_of(settings: Settings) -> str:
    """Return our address that form messages come from.

    It is the IMAP login where that is an address, else the configured sender.

    Raises:
        ConfigurationError: there is none, or mail from it would be taken for a stranger's.
    """
    address = settings.mailbox_address
    if not _ADDRESS.fullmatch(address):
        raise ConfigurationError("[smtp] sender: forms come from it, where the IMAP login is no address; set it")
    if not is_ours(address, own_domains(settings.imap)):
        # The daemon would not take the visitor for the customer: see `sender.from_our_form`.
        domain = address.rpartition("@")[2]
        raise ConfigurationError(f"[imap] own_domains: forms come from {address}, which is not of ours; add {domain}")
    return address


def written(submission: Submission, form: str, address: str, now: datetime, key: str, form_key: bytes) -> FormMessage:
    """Write a submission's message to a temporary file, which is deleted once it is closed.

    `form` is the form's name and `address` our own. `key` is the client's name for this submission, "" for none. The
    same key with the same content gives the same message. The same key with other content gives another message, so a
    site that gives all its visitors one key loses none of them. `form_key` proves that the message is ours, see
    `form_mark`.

    Two messages of the same key and content have one reference (`mime.reference.reference_of`), whatever their Date.
    Even if both reach the mailbox, they are one request.
    """
    unique = _digest(submission, form, key) if key else uuid4().hex
    message_id = f"<form-{unique}@{address.rpartition('@')[2]}>"
    boundary = f"form-{unique}"
    name = one_line(submission.name)
    reply_to = f"{encoded(name)} <{submission.email}>" if name else submission.email
    fields = [
        ("From", f"{encoded(f'{_shown_name(submission)} via {form}')} <{address}>"),
        ("Reply-To", reply_to),
        ("To", address),
        ("Subject", encoded(one_line(submission.subject) or f"Formulaire {form}")),
        ("Date", format_datetime(now)),
        ("Message-ID", message_id),
        (FORM_HEADER, form),
        (FORM_MARK_HEADER, form_mark.mark(form_key, message_id, form, reply_to)),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/mixed; boundary="{boundary}"'),
    ]
    header = "".join(f"{name}: {value}\r\n" for name, value in fields).encode("ascii")
    with ExitStack() as unless_done:
        file = unless_done.enter_context(tempfile.TemporaryFile())
        file.write(header)
        _write_text(file, boundary, submission.message)
        for upload in submission.files:
            _write_file(file, boundary, upload)
        file.write(f"\r\n--{boundary}--\r\n".encode())
        size_bytes = file.tell()
        file.seek(0)
        unless_done.pop_all()
    return FormMessage(message_id, bool(key), header, file, size_bytes)


def _shown_name(submission: Submission) -> str:
    return one_line(submission.name) or submission.email


def _digest(submission: Submission, form: str, key: str) -> str:
    digest = hashlib.sha256()

    def add(value: bytes) -> None:
        digest.update(b"%d:" % len(value) + value)

    for text in (form, key, submission.email, submission.name, submission.subject, submission.message):
        add(text.encode("utf-8", "replace"))
    for upload in submission.files:
        add(upload.filename.encode("utf-8", "replace"))
        add(hashlib.file_digest(upload.content, "sha256").digest())
        upload.content.seek(0)
    return digest.hexdigest()[:32]


def _write_text(file: IO[bytes], boundary: str, text: str) -> None:
    file.write(f"\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n".encode())
    file.write(b"Content-Transfer-Encoding: base64\r\n\r\n")
    file.write(_base64(plain_text(text).strip().replace("\n", "\r\n").encode()))


def _write_file(file: IO[bytes], boundary: str, upload: Upload) -> None:
    # _TOKEN excludes multipart and message types, which must not be base64 (RFC 2046 sections 5.1 and 5.2.1).
    given = upload.content_type.partition(";")[0].strip()
    content_type = given.lower() if _TOKEN.fullmatch(given) else "application/octet-stream"
    lines = [
        f"\r\n--{boundary}",
        f"Content-Type: {content_type}",
        "Content-Transfer-Encoding: base64",
        ";\r\n ".join(["Content-Disposition: attachment", *_filename(file_name(upload.filename))]),
        "",
        "",
    ]
    file.write("\r\n".join(lines).encode("ascii"))
    while piece := upload.content.read(PIECE_BYTES):
        file.write(_base64(piece))


def _filename(name: str) -> Iterator[str]:
    """Yield the filename parameter, plain where safe, in lines short enough for a mail (RFC 2231 sections 3 and 4)."""
    if _PLAIN_FILE.fullmatch(name):
        yield f'filename="{name}"'
        return
    quoted = [char if re.fullmatch(r"[A-Za-z0-9.]", char := chr(byte)) else f"%{byte:02X}" for byte in name.encode()]
    lines = ["".join(quoted[start : start + _NAME_BYTES]) for start in range(0, len(quoted), _NAME_BYTES)]
    if len(lines) == 1:  # more mail programs understand this form than the one in sections
        yield f"filename*=utf-8''{lines[0]}"
        return
    for number, line in enumerate(lines):
        charset = "" if number else "utf-8''"
        yield f"filename*{number}*={charset}{line}"


def _base64(piece: bytes) -> bytes:
    return base64.encodebytes(piece).replace(b"\n", b"\r\n")
