"""The forms of the site: what is posted becomes a mail in the inbox, and goes the way of every mail.

    uvicorn poller.forms:app --no-proxy-headers --no-access-log

A post is let in by its header, written to disk and measured on the way, checked, made into a message, and put into the
mailbox. Only then it is answered with 202. Nothing of it is kept here: what was not answered is to be sent again.
"""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4
from weakref import WeakValueDictionary

import structlog
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from integrations.deadline import SLOWEST_BYTES_PER_S
from integrations.errors import ConfigurationError, TransientError
from poller import configuration, form_api, form_message, form_page, form_problems
from poller.form_access import SIGNATURE_HEADER, admit, forms_of
from poller.form_fields import KEY, Filled, Submission
from poller.form_limits import Rate, client_address, networks_of
from poller.form_problems import Problem, later
from poller.letterbox import Letterbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from poller.form_access import Form, Seal
    from poller.settings import Settings

BODY_S = 30.0  # for the body of a post, beside the time that its bytes may take
IN_HAND = 32  # posts whose bodies may lie on the disk at once
CONNECTIONS = 500
SESSIONS = 4  # with the mail server, which counts them
RETRY_S = 60.0

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Forms:
    """The application's state, and its answers."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is connected yet.

        Raises:
            ConfigurationError: there is no form, or one that nobody may post to, or no address of ours.
        """
        self.settings, self.forms = settings.forms, forms_of(settings.forms)
        if not self.forms:
            raise ConfigurationError("[forms] names: there is no form; name one")
        self._letterbox = Letterbox(settings)
        self._address = settings.imap.username if "@" in settings.imap.username else settings.sender
        if not re.fullmatch(r"[!-;=?A-~]+@[!-;=?A-~]+", self._address):
            raise ConfigurationError("[smtp] sender: forms come from it, where the IMAP login is no address; set it")
        self._origins = settings.forms.origins.split()
        self._proxies = networks_of(settings.forms.proxies)
        self._rate = Rate(settings.forms.max_per_address_per_h)
        self._document = form_api.document(self.forms, settings.forms)
        self._in_hand = 0
        self._sessions, self._asking = CapacityLimiter(SESSIONS), CapacityLimiter(1)
        # One at a time of each Message-ID: the second finds what the first has left in the mailbox.
        self._dropping: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def post(self, request: Request) -> Response:
        """`POST /forms/{form}`."""
        form = self._form(request)
        filled = Filled()
        with filled:
            try:
                reference = await self._taken(request, form, filled)
            except Problem as problem:
                log.info("form_refused", form=form.name, status=problem.status, reason=problem.detail)
                if self._wants_page(request, form):
                    page = form_page.form_page(form.name, self.settings, problem, filled.fields)
                    return HTMLResponse(page, problem.status, form_page.HEADERS | problem.headers)
                raise
        if self._wants_page(request, form):
            return HTMLResponse(form_page.thanks_page(reference), 202, form_page.HEADERS)
        return JSONResponse({"reference": reference}, 202)

    async def page(self, request: Request) -> Response:
        """`GET /forms/{form}`."""
        form = self._form(request)
        if not form.public:
            raise Problem(404, "this form has no page")
        return HTMLResponse(form_page.form_page(form.name, self.settings), headers=form_page.HEADERS)

    async def health(self, request: Request) -> Response:
        """`GET /healthz`."""
        del request
        # One at a time: while the mail server hangs, whoever asks for it must not take the threads of the others.
        if await to_thread.run_sync(self._letterbox.answers, limiter=self._asking):
            return JSONResponse({"status": "ok"})
        raise later("the mailbox does not answer", RETRY_S)

    async def api(self, request: Request) -> Response:
        """`GET /openapi.json`."""
        del request
        return JSONResponse(self._document)

    def _form(self, request: Request) -> Form:
        if form := self.forms.get(request.path_params["form"]):
            return form
        raise Problem(404, "there is no such form")

    async def _taken(self, request: Request, form: Form, filled: Filled) -> str:
        """The reference of the message that a post has become."""
        self._check_origin(request)
        self._check_rate(request)
        seal = admit(form, request.headers, time.time())
        key = _key(request.headers)
        if self._in_hand >= IN_HAND:
            raise later("too many posts are in hand", 1.0)
        self._in_hand += 1
        try:
            with tempfile.TemporaryFile() as body:
                await self._spool(request, body, seal)
                content_type = request.headers.get("content-type", "")
                submission = await to_thread.run_sync(self._read, body, content_type, filled)
            if submission is None:
                # As if it had been taken, so that the program does not learn from it; nothing is done.
                log.warning("form_dropped", form=form.name, reason="honeypot")
                return uuid4().hex[:16]
            # What was signed and is overheard may be sent once more: it is the same message then.
            key = key or submission.idempotency_key or (seal.signature if seal else "")
            return await self._dropped(submission, form, key)
        finally:
            self._in_hand -= 1

    async def _spool(self, request: Request, body: IO[bytes], seal: Seal | None) -> None:
        """Write the body to the file, and not more than may come, nor for longer than that takes."""
        most = self.settings.max_bytes
        announced = request.headers.get("content-length", "")
        size_bytes = int(announced) if re.fullmatch("[0-9]{1,15}", announced) else most
        too_big = Problem(413, f"a post may have {most} bytes")
        if size_bytes > most:
            raise too_big
        try:
            async with asyncio.timeout(BODY_S + size_bytes / SLOWEST_BYTES_PER_S):
                async for piece in request.stream():
                    if body.tell() + len(piece) > most:
                        raise too_big
                    body.write(piece)
                    if seal:
                        seal.update(piece)
        except TimeoutError as late:
            raise Problem(408, "the body came too slowly") from late
        except ClientDisconnect as gone:
            raise Problem(400, "the connection was closed before the body was complete") from gone
        if seal:
            seal.check()
        body.seek(0)

    def _read(self, body: IO[bytes], content_type: str, filled: Filled) -> Submission | None:
        """What was filled in; None where a program did it."""
        filled.take(body, content_type, self.settings)
        if filled.fields.get(self.settings.honeypot):
            return None
        return filled.submission(self.settings)

    async def _dropped(self, submission: Submission, form: Form, key: str) -> str:
        now = datetime.now(UTC)
        message = await to_thread.run_sync(form_message.written, submission, form.name, self._address, now, key)
        try:
            with message.content:
                async with self._dropping.setdefault(message.message_id, asyncio.Lock()):
                    reference = await to_thread.run_sync(self._letterbox.drop, message, limiter=self._sessions)
        except TransientError as error:
            log.warning("form_not_delivered", form=form.name, reason=str(error))
            raise later("the mailbox is out of reach; nothing was kept", error.retry_after_s or RETRY_S) from error
        except ConfigurationError as error:
            log.error("form_not_delivered", form=form.name, reason=str(error))  # noqa: TRY400  its words say it all
            raise later("the mailbox is out of reach; nothing was kept", RETRY_S) from error
        log.info("form_delivered", form=form.name, ref=reference, size_bytes=message.size_bytes)
        return reference

    def _check_origin(self, request: Request) -> None:
        """A browser names the page that posts: one of ours, or one of the configured origins."""
        origin = request.headers.get("origin")
        if origin and origin not in self._origins and origin.partition("://")[2] != request.headers.get("host"):
            raise Problem(403, "pages of this origin may not post")

    def _check_rate(self, request: Request) -> None:
        peer = request.client.host if request.client else ""
        address = client_address(peer, request.headers.getlist("x-forwarded-for"), self._proxies)
        if wait_s := self._rate.wait_s(address, time.monotonic()):
            raise later("too many posts from this address", wait_s + 1, status=429)

    def _wants_page(self, request: Request, form: Form) -> bool:
        return self.settings.page and form.public and "text/html" in request.headers.get("accept", "")


def _key(headers: Mapping[str, str]) -> str:
    """What the sender calls this post by, "" for nothing (draft-ietf-httpapi-idempotency-key-header)."""
    key = headers.get("idempotency-key")
    if key is not None and not re.fullmatch(KEY, key):
        raise Problem(400, "Idempotency-Key must be 1 to 255 characters of ASCII without spaces")
    return key or ""


async def _told(request: Request, error: Exception) -> Response:
    """A problem of ours, or the framework's 404 and 405, as RFC 9457 has it."""
    del request
    if isinstance(error, HTTPException):
        error = Problem(error.status_code, error.detail, headers=dict(error.headers or {}))
    if not isinstance(error, Problem):
        error = Problem(500, "a fault of ours; the log has it")
    return JSONResponse(error.as_json(), error.status, error.headers, form_problems.CONTENT_TYPE)


def make_app(settings: Settings) -> Starlette:
    """The application that serves these forms.

    Raises:
        ConfigurationError: there is no form, or one that nobody may post to.
    """
    forms = Forms(settings)
    routes = [
        Route("/forms/{form}", forms.post, methods=["POST"]),
        Route("/healthz", forms.health),
        Route("/openapi.json", forms.api),
    ]
    if settings.forms.page:
        routes.append(Route("/forms/{form}", forms.page, methods=["GET"]))
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.forms.origins.split(),
        allow_methods=["POST"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", SIGNATURE_HEADER],
        expose_headers=["Retry-After"],
    )
    told = {Problem: _told, HTTPException: _told, Exception: _told}
    return Starlette(routes=routes, middleware=[cors], exception_handlers=told)


def __getattr__(attribute: str) -> Any:
    """`app`, made when uvicorn asks for it, of the settings in the working directory."""
    if attribute != "app":
        raise AttributeError(attribute)
    from poller import logs  # noqa: PLC0415  whoever imports this room keeps the log as it is

    try:
        app = make_app(configuration.load())
    except ConfigurationError as error:
        print(f"poller: {error}", file=sys.stderr)  # noqa: T201  there is no log yet
        raise SystemExit(78) from error
    logs.configure()
    # uvicorn's own lines would hold addresses, and of a fault of ours the words.
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
    logging.getLogger("uvicorn").propagate = True
    return app


def serve(settings: Settings, host: str, port: int) -> None:
    """Answer until SIGTERM or SIGINT, then finish what is in hand."""
    import uvicorn  # noqa: PLC0415  it brings its own when it is the one that serves

    # Once it has finished it raises anew what it was sent, and that is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.run(
        make_app(settings),
        host=host,
        port=port,
        proxy_headers=False,
        access_log=False,
        log_config=None,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=60,
    )
