"""Take a post from its header to the mailbox.

A post is admitted by its header, written to disk and measured on the way, checked, made into a message, and appended to
the mailbox.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING
from uuid import uuid4
from weakref import WeakValueDictionary

import structlog
from anyio import CapacityLimiter, to_thread

from integrations.errors import ConfigurationError, PermanentError, TransientError
from integrations.net.deadline import SLOWEST_BYTES_PER_S
from poller.forms import message as forms_message
from poller.forms.auth import admit
from poller.forms.delivery import FormDelivery, is_too_big
from poller.forms.problems import Problem, later
from poller.forms.rate_limit import ConcurrencyLimit, PublicLimits
from poller.forms.submission import KEY
from poller.triage import form_mark

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from poller.config.settings import Settings
    from poller.forms.auth import BodySignature, Form
    from poller.forms.submission import FormBody, Submission

BODY_S = 30.0  # for the body of a post, beside the time that the bytes which have come may take
SILENT_S = 10.0  # the longest time without a byte of the body
IN_HAND = 16  # posts of strangers with bodies on the disk at once; as many again of clients that have shown a secret
IN_HAND_EACH = 4  # of these, posts of one stranger
SESSIONS = 4  # with the mail server, which limits them
RETRY_S = 60.0

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Post:
    """A post as it comes over the wire."""

    headers: Mapping[str, str]
    address: str  # of the client, "" when it has none
    pieces: AsyncIterator[bytes]  # of the body; raises Problem where it ends too soon


class Intake:
    """The intake of posts, any number at once."""

    def __init__(self, settings: Settings) -> None:
        """Prepare the intake. Nothing is connected yet.

        Raises:
            ConfigurationError: there is no address of ours.
        """
        self._settings, self.letterbox = settings.forms, FormDelivery(settings)
        self._address = forms_message.address_of(settings)
        self._form_key = form_mark.key_of(settings.imap)
        self._limits = PublicLimits(settings.forms)
        self._strangers, self._known = ConcurrencyLimit(IN_HAND, IN_HAND_EACH), ConcurrencyLimit(IN_HAND, IN_HAND)
        self._sessions = CapacityLimiter(SESSIONS)
        # One at a time of each Message-ID: the second finds what the first has left in the mailbox.
        self._dropping: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def take(self, post: Post, form: Form, filled: FormBody) -> str:
        """Take a post, and return the reference of the message that it has become.

        Raises:
            Problem: it has become none.
        """
        if form.public:
            self._check_rate(post.address)
        seal = admit(form, post.headers, time.time())
        key = _key(post.headers)
        with _room(), tempfile.TemporaryFile() as body, ExitStack() as place:
            stranger = form.public or seal is not None
            place.enter_context(_held(self._strangers if stranger else self._known, post.address))
            await self._spool(post, body, seal)
            if seal:
                # The post is proven now, so clients that can prove nothing must not block it.
                place.close()
                place.enter_context(_held(self._known, post.address))
            content_type = post.headers.get("content-type", "")
            submission = await to_thread.run_sync(self._read, body, content_type, form, filled)
            if submission is None:
                # Answer as if it had been taken, so that the program does not learn from it. Nothing is done.
                log.warning("form_dropped", form=form.name, reason="honeypot")
                return uuid4().hex[:16]
            if form.public:
                self._check_bytes(post.address, body)
            if seal:
                # Only signed values count. An intercepted post that is sent again is the same message.
                key = submission.idempotency_key or seal.signature
            return await self._dropped(submission, form, key or submission.idempotency_key)

    async def _spool(self, post: Post, body: IO[bytes], seal: BodySignature | None) -> None:
        """Write the body to the file, up to its largest size and longest time."""
        most = self._settings.max_bytes
        announced = post.headers.get("content-length", "")
        too_big = Problem(413, f"a post may have {most} bytes")
        if re.fullmatch("[0-9]{1,15}", announced) and int(announced) > most:
            raise too_big
        now = asyncio.get_running_loop().time
        begun_s = now()
        try:
            async with asyncio.timeout(SILENT_S) as silence:
                async for piece in post.pieces:
                    if body.tell() + len(piece) > most:
                        raise too_big
                    body.write(piece)
                    if seal:
                        seal.update(piece)
                    # The announced length gives no extra time, or one byte would hold a place for minutes.
                    ends_s = begun_s + BODY_S + body.tell() / SLOWEST_BYTES_PER_S
                    silence.reschedule(min(now() + SILENT_S, ends_s))
        except TimeoutError as late:
            raise Problem(408, "the body came too slowly") from late
        if seal:
            seal.check()
        body.seek(0)

    def _read(self, body: IO[bytes], content_type: str, form: Form, filled: FormBody) -> Submission | None:
        """Return what was filled in. None where a program did it."""
        filled.take(body, content_type, self._settings)
        submission = filled.submission(self._settings, self._address)
        # A client that shows a secret is no such program.
        return None if form.public and filled.fields.get(self._settings.honeypot) else submission

    async def _dropped(self, submission: Submission, form: Form, key: str) -> str:
        now = datetime.now(UTC)
        message = await to_thread.run_sync(
            forms_message.written, submission, form.name, self._address, now, key, self._form_key
        )
        try:
            with message.content:
                async with self._dropping.setdefault(message.message_id, asyncio.Lock()):
                    reference = await to_thread.run_sync(self.letterbox.append, message, limiter=self._sessions)
        except TransientError as error:
            log.warning("form_not_delivered", form=form.name, reason=str(error))
            raise later("the mailbox is out of reach; nothing was kept", error.retry_after_s or RETRY_S) from error
        except PermanentError as error:
            log.error("form_not_delivered", form=form.name, reason=str(error))  # noqa: TRY400  its words say it all
            if is_too_big(error):
                raise Problem(413, "the mail server takes no message of this size") from error
            raise Problem(500, "the mail server does not take this message") from error
        except ConfigurationError as error:
            log.error("form_not_delivered", form=form.name, reason=str(error))  # noqa: TRY400  its words say it all
            raise later("the mailbox is out of reach; nothing was kept", RETRY_S) from error
        log.info("form_delivered", form=form.name, ref=reference, size_bytes=message.size_bytes)
        return reference

    def _check_rate(self, address: str) -> None:
        if wait_s := self._limits.wait_for_post_s(address, time.monotonic()):
            raise later("too many posts from this address", wait_s + 1, status=429)

    def _check_bytes(self, address: str, body: IO[bytes]) -> None:
        size_bytes = body.seek(0, os.SEEK_END)
        if wait_s := self._limits.wait_for_bytes_s(address, time.monotonic(), size_bytes):
            log.warning("form_over_budget", size_bytes=size_bytes)
            raise later("too many bytes for a day", wait_s + 1, status=429)


@contextmanager
def _held(places: ConcurrencyLimit, address: str) -> Iterator[None]:
    """Hold one of the limited places for a block, or refuse the post."""
    if not places.take(address):
        raise later("too many posts are in hand", 1.0)
    try:
        yield
    finally:
        places.leave(address)


@contextmanager
def _room() -> Iterator[None]:
    """Turn a full disk into an answer to come later: the post is not wrong, and there may be room then."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        log.error("form_not_delivered", reason="no room on the disk")  # noqa: TRY400  the trace would say no more
        raise later("there is no room for it now; nothing was kept", RETRY_S) from error


def _key(headers: Mapping[str, str]) -> str:
    """Return the sender's key for this post, "" for none (draft-ietf-httpapi-idempotency-key-header)."""
    key = headers.get("idempotency-key")
    if key is not None and not re.fullmatch(KEY, key):
        raise Problem(400, "Idempotency-Key must be 1 to 255 characters of ASCII without spaces")
    return key or ""
