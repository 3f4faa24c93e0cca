"""An SMTP server that keeps its mail, and refuses or disconnects on demand (RFC 5321, RFC 4954, RFC 3207)."""

from __future__ import annotations

import email
import email.policy
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from integrations.sandbox.event_loop import EventLoop

if TYPE_CHECKING:
    import asyncio
    import ssl
    from email.message import EmailMessage
    from types import TracebackType

    from aiosmtpd.smtp import Envelope, Session

_NO_PATH = "<>"  # the null return path; aiosmtpd takes an empty one for none
Stage = Literal["mail", "rcpt", "data", "after_data"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal to inject: its stage, its reply, and how often it applies."""

    stage: Stage
    # An SMTP reply such as "451 4.3.0 try later". After 421 the server closes. Empty: it cuts the connection.
    # At `after_data` the message is kept, and the connection is always cut before the reply.
    reply: str = ""
    recipient: str = ""  # at `rcpt`, only this address; "" for all
    times: int | None = 1  # None until `heal`


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message that the server has accepted."""

    sender: str  # of the envelope
    recipients: tuple[str, ...]  # of the envelope
    raw: bytes = field(repr=False)
    tls: bool
    username: str  # "" without a login

    @property
    def message(self) -> EmailMessage:
        """The message, parsed."""
        return email.message_from_bytes(self.raw, policy=email.policy.default)


class Smtp:
    """An SMTP server on 127.0.0.1. With a password it accepts mail only after a login.

    With an `ssl_context` it speaks TLS from the first byte (`security="tls"`) or demands STARTTLS (`"starttls"`).
    """

    def __init__(
        self,
        *,
        username: str = "",
        password: str = "",
        security: Literal["none", "starttls", "tls"] = "none",
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.host = "127.0.0.1"
        self.port = 0  # known once started; a restart keeps it
        self.username = username
        self.password = password
        self.messages: list[Delivered] = []  # in the order of arrival
        self._security = security
        self._ssl_context = ssl_context
        self._refusals: list[Refusal] = []
        self._lock = threading.Lock()
        self._event_loop: EventLoop | None = None
        self._listener: asyncio.Server | None = None

    def start(self) -> None:
        """Listen. At the first start the system chooses the port."""
        self._event_loop = EventLoop("Smtp")
        self._listener = self._event_loop.run(self._listen(self._event_loop.loop))
        self.port = self._listener.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Close the port and every connection."""
        if self._event_loop is not None and self._listener is not None:
            self._event_loop.loop.call_soon_threadsafe(self._listener.close)
            self._event_loop.close()
            self._event_loop = self._listener = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def fail(self, refusal: Refusal) -> None:
        """Inject a refusal. Of several that match, the one that was set first applies first."""
        with self._lock:
            self._refusals.append(refusal)

    def heal(self) -> None:
        """End every refusal."""
        with self._lock:
            self._refusals.clear()

    def reset(self) -> None:
        """Forget the messages and the refusals."""
        self.heal()
        self.messages.clear()

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> asyncio.Server:
        implicit = self._ssl_context if self._security == "tls" else None
        return await loop.create_server(lambda: self._protocol(loop), self.host, self.port, ssl=implicit)

    def _protocol(self, loop: asyncio.AbstractEventLoop) -> SMTP:
        return SMTP(
            self,
            hostname="localhost",  # otherwise aiosmtpd looks this machine's name up for every connection
            enable_SMTPUTF8=True,
            tls_context=self._ssl_context if self._security == "starttls" else None,
            require_starttls=self._security == "starttls",
            # AUTH is offered where there is a password; `handle_MAIL` demands it, as aiosmtpd would with a warning.
            auth_require_tls=not self.password or self._security == "starttls",
            authenticator=self._authenticate,
            loop=loop,
        )

    def _authenticate(self, *asked: Any) -> AuthResult:
        *_, credentials = asked  # server, session, envelope and mechanism come before
        expected = LoginPassword(self.username.encode(), self.password.encode())
        if bool(self.password) and credentials == expected:
            return AuthResult(success=True, auth_data=self.username)
        return AuthResult(success=False, handled=False)

    def _take(self, stage: Stage, recipient: str = "") -> Refusal | None:
        with self._lock:
            for at, refusal in enumerate(self._refusals):
                if refusal.stage == stage and refusal.recipient in {"", recipient}:
                    if refusal.times is not None:
                        left = [replace(refusal, times=refusal.times - 1)] if refusal.times > 1 else []
                        self._refusals[at : at + 1] = left
                    return refusal
        return None

    def _refused(self, server: SMTP, stage: Stage, recipient: str = "") -> str | None:
        refusal = self._take(stage, recipient)
        if refusal is None:
            return None
        transport = cast("asyncio.Transport", server.transport)
        if not refusal.reply or stage == "after_data":
            transport.abort()
        elif refusal.reply.startswith("421"):
            server.loop.call_soon(transport.close)  # after the reply is sent: RFC 5321 section 3.8
        return refusal.reply or "421 cut"

    # aiosmtpd calls these methods, and sends the string that they return as the reply.

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer MAIL FROM."""
        if self.password and not session.authenticated:
            return "530 5.7.0 Authentication required"
        refused = self._refused(server, "mail")
        if refused is None:
            envelope.mail_from = address or _NO_PATH
            envelope.mail_options.extend(options)
        return refused or "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer RCPT TO."""
        refused = self._refused(server, "rcpt", address)
        if refused is None:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return refused or "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Answer the end of the message's data."""
        refused = self._refused(server, "data")
        if refused is not None:
            return refused
        raw = cast("bytes", envelope.content)  # a str only with `decode_data`
        tls = cast("asyncio.Transport", server.transport).get_extra_info("ssl_object") is not None
        username = str(session.auth_data or "") if session.authenticated else ""
        sender = (envelope.mail_from or "").removesuffix(_NO_PATH)
        self.messages.append(Delivered(sender, tuple(envelope.rcpt_tos), raw, tls, username))
        return self._refused(server, "after_data") or "250 2.0.0 OK"
