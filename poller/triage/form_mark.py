"""Prove that `poller forms` made a mail: it lays its mails into the mailbox itself, so no mail server vouches for them.

The proof is a keyed digest in the header. The daemon and `poller forms` have its key in common without a setting of its
own: both log in to the same mailbox.
"""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from poller.escaping import one_line
from poller.own_mail import FORM_HEADER, FORM_MARK_HEADER

if TYPE_CHECKING:
    from poller.config.settings import ImapSettings
    from poller.model import Request

_CHARS = 4000  # of Reply-To, as `Request.headers` has it at most


def key_of(imap: ImapSettings) -> bytes:
    """Derive the key from what opens the mailbox. Return b"" if the settings hold no such secret."""
    secret = "\0".join(each.get_secret_value() for each in (imap.password, imap.refresh_token, imap.client_secret))
    content = secret.strip("\0").encode()
    if imap.service_account_file:
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            content += Path(imap.service_account_file).read_bytes()
    return hashlib.sha256(b"figurative form\0" + content).digest() if content else b""


def mark(key: bytes, message_id: str, form: str, reply_to: str) -> str:
    """Return the mark of a form's mail: HMAC-SHA-256 in 64 hex digits, "" without a key.

    `message_id` has its <>, `reply_to` is the value of the field.
    """
    words = "\0".join((message_id, form, one_line(reply_to, _CHARS)))
    return hmac.new(key, words.encode(errors="surrogatepass"), hashlib.sha256).hexdigest() if key else ""


def is_genuine(request: Request, key: bytes) -> bool:
    """Return True if a mail bears the mark that its own Message-ID, form and Reply-To have under the key."""
    expected = mark(key, request.message_id, request.header(FORM_HEADER), request.header("reply-to"))
    return bool(expected) and hmac.compare_digest(expected.encode(), request.header(FORM_MARK_HEADER).encode())
