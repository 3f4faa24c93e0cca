"""Serve the forms of the site over HTTP: a post becomes a mail in the inbox, and is processed like every mail.

    uvicorn poller.forms:app --no-proxy-headers --no-access-log

A post is answered with 202 once its message is in the mailbox. See `forms.intake`. Nothing of it is kept here. A client
that got no answer must send its post again.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING

import structlog
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from integrations.errors import ConfigurationError
from poller import logs
from poller.config import loader
from poller.forms import openapi, problems
from poller.forms import page as forms_page
from poller.forms.auth import SIGNATURE_HEADER, forms_of
from poller.forms.intake import RETRY_S, Intake, Post
from poller.forms.problems import Problem, later
from poller.forms.rate_limit import client_address, networks_of
from poller.forms.submission import FormBody
from poller.imap import oauth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from poller.config.settings import Settings
    from poller.forms.auth import Form

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class FormsApp:
    """The application's state and its request handlers."""

    def __init__(self, settings: Settings) -> None:
        """Read the forms from the settings. Nothing is connected yet.

        Raises:
            ConfigurationError: there is no form, or one that is neither public nor has a secret, or no address of
                ours.
        """
        self.settings, self.forms = settings.forms, forms_of(settings.forms)
        if not self.forms:
            raise ConfigurationError("[forms] names: there is no form; name one")
        self._intake = Intake(settings)
        self._origins = settings.forms.origins.split()
        self._proxies = networks_of(settings.forms.proxies)
        self._document = openapi.document(self.forms, settings.forms)
        self._asking = CapacityLimiter(1)

    async def form(self, request: Request) -> Response:
        """Handle `/forms/{form}`, by the methods of its route."""
        return await (self.post(request) if request.method == "POST" else self.page(request))

    async def post(self, request: Request) -> Response:
        """Handle `POST /forms/{form}`."""
        form = self._form(request)
        filled = FormBody()
        with filled:
            try:
                self._check_origin(request)
                reference = await self._intake.take(self._post(request), form, filled)
            except Problem as problem:
                log.info("form_refused", form=form.name, status=problem.status, reason=problem.detail)
                if self._wants_page(request, form):
                    page = forms_page.form_page(form.name, self.settings, problem, filled.fields)
                    return HTMLResponse(page, problem.status, forms_page.HEADERS | problem.headers)
                raise
        if self._wants_page(request, form):
            return HTMLResponse(forms_page.thanks_page(reference), 202, forms_page.HEADERS)
        return JSONResponse({"reference": reference}, 202)

    async def page(self, request: Request) -> Response:
        """Handle `GET /forms/{form}`."""
        form = self._form(request)
        if not form.public:
            raise Problem(404, "this form has no page")
        return HTMLResponse(forms_page.form_page(form.name, self.settings), headers=forms_page.HEADERS)

    async def health(self, request: Request) -> Response:
        """Handle `GET /healthz`."""
        del request
        # One check at a time: while the mail server hangs, checks must not take the threads that the posts need.
        if await to_thread.run_sync(self._intake.letterbox.answers, limiter=self._asking):
            return JSONResponse({"status": "ok"})
        raise later("the mailbox does not answer", RETRY_S)

    async def api(self, request: Request) -> Response:
        """Handle `GET /openapi.json`."""
        del request
        return JSONResponse(self._document)

    def _form(self, request: Request) -> Form:
        if form := self.forms.get(request.path_params["form"]):
            return form
        raise Problem(404, "there is no such form")

    def _post(self, request: Request) -> Post:
        peer = request.client.host if request.client else ""
        address = client_address(peer, request.headers.getlist("x-forwarded-for"), self._proxies)
        return Post(request.headers, address, _pieces(request))

    def _check_origin(self, request: Request) -> None:
        """Reject a browser's post from a page whose origin is neither ours nor a configured one."""
        origin = request.headers.get("origin")
        if origin and origin not in self._origins and origin.partition("://")[2] != request.headers.get("host"):
            raise Problem(403, "pages of this origin may not post")

    def _wants_page(self, request: Request, form: Form) -> bool:
        return self.settings.page and form.public and "text/html" in request.headers.get("accept", "")


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect as gone:
        raise Problem(400, "the connection was closed before the body was complete") from gone


async def _told(request: Request, error: Exception) -> Response:
    """Return an error as RFC 9457 has it: a problem of ours, or the framework's 404 and 405."""
    del request
    if isinstance(error, HTTPException):
        error = Problem(error.status_code, error.detail, headers=dict(error.headers or {}))
    if not isinstance(error, Problem):
        error = Problem(500, "a fault of ours; the log has it")
    return JSONResponse(error.as_json(), error.status, error.headers, problems.CONTENT_TYPE)


def make_app(settings: Settings) -> Starlette:
    """Build the application that serves the forms of these settings.

    Raises:
        ConfigurationError: there is no form, or one that is neither public nor has a secret.
    """
    forms = FormsApp(settings)
    # One route for all methods: with one for each, a 405 would name only the methods of the first.
    methods = ["GET", "POST"] if settings.forms.page else ["POST"]
    routes = [
        Route("/forms/{form}", forms.form, methods=methods),
        Route("/healthz", forms.health),
        Route("/openapi.json", forms.api),
    ]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.forms.origins.split(),
        allow_methods=["POST"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", SIGNATURE_HEADER],
        expose_headers=["Retry-After"],
    )
    told = {Problem: _told, HTTPException: _told, Exception: _told}
    return Starlette(routes=routes, middleware=[cors], exception_handlers=told)


def app_of_working_directory() -> Starlette:
    """Make the application of the settings in the working directory, for `uvicorn poller.forms:app`.

    Settings that cannot work end the process with exit code 78.
    """
    try:
        settings = loader.load()
        oauth.prepare(settings.imap)
        app = make_app(settings)
    except ConfigurationError as error:
        print(f"poller: {error}", file=sys.stderr)  # noqa: T201  there is no log yet
        raise SystemExit(78) from error
    logs.configure()
    # uvicorn's own lines would hold client addresses, and the text of an exception.
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
    logging.getLogger("uvicorn").propagate = True
    return app


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in progress.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    import uvicorn  # noqa: PLC0415  not needed where uvicorn itself loads the app

    from poller.forms.http_protocol import PromptProtocol  # noqa: PLC0415  likewise

    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # Python repeats the address
        raise ConfigurationError(f"{host} port {port} cannot be listened on: {reason}") from error
    # After its shutdown uvicorn raises the signal again, and that is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    config = uvicorn.Config(
        make_app(settings),
        http=PromptProtocol,
        proxy_headers=False,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=60,
    )
    log.info("forms_listening", host=host, port=listener.getsockname()[1])
    uvicorn.Server(config).run(sockets=[listener])
