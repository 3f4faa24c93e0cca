"""SMTP submission: one message, one connection (RFC 5321, RFC 6409)."""

from __future__ import annotations

import re
import smtplib
import ssl
from contextlib import ExitStack, contextmanager, suppress
from email.policy import SMTP
from email.utils import getaddresses, parseaddr
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from integrations.errors import (
    ConfigurationError,
    CredentialsError,
    LetterDeferredError,
    PermanentError,
    ServiceError,
    TransientError,
    UndeliverableError,
)
from integrations.net.deadline import CALL_S, Deadline, ask_guard, watch
from integrations.net.failures import describe_failure

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from email.message import EmailMessage

# 7bit: a body that is 8-bit is encoded on the way out, so the server need not offer 8BITMIME (RFC 6152).
_WIRE = SMTP.clone(cte_type="7bit")

# The recipient does not exist, or the mailbox is disabled or full (RFC 3463 sections 3.2 and 3.3), not 5.2.3: too long.
_RECIPIENT_STATUS = re.compile(r"5\.(1\.\d+|2\.[0124])\b")
_AUTHENTICATION_CODES = (530, 534, 535, 538)  # RFC 4954 section 6
_NOT_ALLOWED = "5.7."  # how a reply of policy begins (RFC 3463 section 3.8)


class Smtp:
    """A client of one submission server, with its credentials. Safe to share between threads."""

    def __init__(
        self,
        host: str,
        port: int,
        security: str,
        username: str,
        password: str,
        sender: str,
        timeout_s: float = 30.0,
        *,
        token: Callable[[], str] | None = None,
        context: ssl.SSLContext | None = None,
        deadline_s: float = CALL_S,
    ) -> None:
        """Check the settings without connecting.

        `sender` is the envelope sender, an address with or without a display name. `security` is "tls" (from the first
        byte, port 465), "starttls" (required, port 587), or "none", which only a host on this machine may have.
        Without a `username` there is no authentication. `token` returns an access token that replaces the password
        (XOAUTH2), and raises what `send` raises. `context` verifies the server's certificate. The default trusts the
        system's certificate authorities.

        Raises:
            ConfigurationError: `security` is none of these, or is "none" for another machine, or `sender` is no
                address, or an address, a name or a password is not ASCII.
        """
        if security not in {"tls", "starttls", "none"}:
            raise ConfigurationError(f"SMTP: {security!r} is no security, SMTP_SECURITY is tls, starttls or none")
        if security == "none" and not _is_loopback(host):
            raise ConfigurationError("SMTP: SMTP_SECURITY is none, which only a host on this machine may have")
        self._sender = parseaddr(sender)[1]
        if "@" not in self._sender or not self._sender.isascii():
            raise ConfigurationError("SMTP: SMTP_SENDER is not an ASCII e-mail address")
        if not (username + password).isascii():
            raise ConfigurationError("SMTP: SMTP_USERNAME and SMTP_PASSWORD must be ASCII")
        self._host = host
        self._port = port
        self._security = security
        self._username = username
        self._password = password
        self._token = token
        self._timeout_s = timeout_s
        self._deadline_s = deadline_s
        self._context = context or ssl.create_default_context()
        self._sends_without_path = True  # whether the server may take a letter that has none
        self.undeliverable: dict[str, str] = {}  # by the To field: why no letter reaches it; a letter that does ends it

    def send(self, message: EmailMessage) -> None:
        """Hand the message to the server, for the recipients of its To field.

        Not idempotent: after a TransientError whose outcome is unknown, another attempt may send a second copy.

        Raises:
            UndeliverableError: the server rejects sender or recipient, or To holds no address or one that is not ASCII.
            PermanentError: the server rejects this message.
        """
        with self.submission(message) as hand_over:
            hand_over()

    @contextmanager
    def submission(self, message: EmailMessage, *, automatic: bool = False) -> Iterator[Callable[[], None]]:
        """Send the envelope, and yield a function that sends the message itself when it is called once.

        Until then the server has no message, so only that call is not idempotent. Both raise the errors of `send`. An
        `automatic` answer has no return path (RFC 3834 section 3.3), or ours where the server refuses that.

        Raises:
            LetterDeferredError: the server does not take this letter for now, or none without a return path.
        """
        to = ", ".join(str(field) for field in message.get_all("To", []))
        recipients = [address for _, address in getaddresses([to])]
        told = "" if automatic else to
        without_path = automatic and self._sends_without_path
        with ExitStack() as opened:
            with self._judged(told, without_path=without_path):
                if not recipients or not all("@" in address and address.isascii() for address in recipients):
                    reason = "SMTP send: no recipient, or one that is not ASCII"
                    raise UndeliverableError(reason, detail=", ".join(recipients))
                content = message.as_bytes(policy=_WIRE)
                with _named("send"), Deadline(self._deadline_s):
                    server = opened.enter_context(self._connection())
                    with _of_this_letter():
                        if not (without_path and _is_done(*server.mail(""))):
                            _expect(*server.mail(self._sender))
                        for recipient in recipients:
                            _expect(*server.rcpt(recipient))
            yield partial(self._hand_over, server, content, told, without_path=without_path)

    def _hand_over(self, server: smtplib.SMTP, content: bytes, told: str, *, without_path: bool) -> None:
        # From here on the server may have accepted the message, even if the connection breaks.
        with (
            self._judged(told, without_path=without_path),
            _named("send", sent=True),
            Deadline(self._deadline_s, size_bytes=len(content), creates=True),
            _of_this_letter(),
        ):
            _expect(*server.data(content))
        self.undeliverable.pop(told, None)
        # The server has accepted the message, so a failed QUIT changes nothing.
        with suppress(smtplib.SMTPException, OSError), Deadline(self._deadline_s):
            server.quit()

    @contextmanager
    def _judged(self, told: str, *, without_path: bool) -> Iterator[None]:
        """Record that no letter reaches the To field `told`, if it is not "".

        Some servers send nothing without a return path for whoever has logged in, and say so only in the end. From then
        on each letter has one, until the server refuses one that has it in the same words: that is the recipient's.
        """
        try:
            yield
        except PermanentError as error:
            if not told and error.detail.startswith(_NOT_ALLOWED):
                self._sends_without_path = not without_path
                if without_path:
                    raise LetterDeferredError(f"{error} without a return path", outcome_unknown=False) from error
            if told and isinstance(error, UndeliverableError):
                self.undeliverable[told] = str(error)
            raise

    def check(self) -> str:
        """Connect, secure, authenticate and disconnect, and return a one-line summary.

        Raises:
            ConfigurationError: no STARTTLS where it is required, or the password is refused.
        """
        with _named(f"server {self._host}:{self._port}"), Deadline(self._deadline_s), self._connection() as server:
            _expect(*server.noop())
        authenticated = "authenticated" if self._username else "not authenticated"
        return f"SMTP {self._host}:{self._port}, security {self._security}, {authenticated}"

    @contextmanager
    def _connection(self) -> Iterator[smtplib.SMTP]:
        """Yield a secured and authenticated connection, closed at the end without QUIT."""
        # EHLO gives the sender's domain. The default would disclose this machine's own name.
        ehlo_name = self._sender.rpartition("@")[2]
        if self._security == "tls":
            server: smtplib.SMTP = _Tls(
                self._host, self._port, ehlo_name, timeout=self._timeout_s, context=self._context
            )
        else:
            server = _Plain(self._host, self._port, ehlo_name, timeout=self._timeout_s)
        try:
            server.ehlo()
            if self._security == "starttls":
                # Required: when it is no longer offered, an attacker may stand in between (RFC 8314 section 5.1).
                server.starttls(context=self._context)
                server.ehlo()
            if self._token:
                first = f"user={self._username}\1auth=Bearer {self._token()}\1\1"
                # A server sends the reason for a refusal as a challenge. It gets an empty line, and then refuses.
                server.auth("XOAUTH2", lambda challenge=None: "" if challenge else first)
            elif self._username:
                server.login(self._username, self._password)
            yield server
        finally:
            server.close()


def _is_done(code: int, reply: bytes) -> bool:
    """Return whether a reply is a 2yz. After a 421 the server has closed the connection (RFC 5321 section 3.8)."""
    if code in {-1, 421}:
        raise smtplib.SMTPResponseException(code, reply)
    return 200 <= code < 300  # noqa: PLR2004  # RFC 5321 section 4.2.1


def _expect(code: int, reply: bytes) -> None:
    """Raise an SMTPResponseException for a reply, unless it is a 2yz."""
    if not _is_done(code, reply):
        raise smtplib.SMTPResponseException(code, reply)


@contextmanager
def _of_this_letter() -> Iterator[None]:
    """Turn a 4yz to the envelope or the content into a LetterDeferredError. A 421 is about the server itself."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        code = error.smtp_code
        if 400 <= code < 500 and code != 421:  # noqa: PLR2004  # RFC 5321 section 4.2.1
            raise LetterDeferredError(f"SMTP send: {code}", outcome_unknown=False) from error
        raise


class _Watched:
    """A mixin placed before an smtplib client.

    It registers the connection with the deadline of the call, and asks the guard before it sends.
    """

    sock: socket.socket | None

    def getreply(self) -> tuple[int, bytes]:
        """Watch the connection, and read a reply.

        This includes the greeting, which smtplib reads in its constructor, before the caller has the client.
        """
        if self.sock is not None:
            watch(self.sock)
        return super().getreply()  # type: ignore[misc,no-any-return]  # smtplib's

    def send(self, content: Any) -> None:
        """Ask the guard, and send. Every command and the message itself are sent through here."""
        ask_guard()
        super().send(content)  # type: ignore[misc]  # smtplib's


class _Plain(_Watched, smtplib.SMTP):
    pass


class _Tls(_Watched, smtplib.SMTP_SSL):
    pass


@contextmanager
def _named(call: str, *, sent: bool = False) -> Iterator[None]:
    """Turn every failure into one of our errors. `sent` says that the server may have the message."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise _refusal(call, error, sent=sent) from error
    except smtplib.SMTPServerDisconnected as error:
        raise TransientError(f"SMTP {call}: disconnected", outcome_unknown=sent) from error
    except smtplib.SMTPNotSupportedError as error:
        raise ConfigurationError(f"SMTP {call}: {error} Look at SMTP_SECURITY and SMTP_PORT") from error
    except smtplib.SMTPException as error:
        # smtplib's own error: login found no mechanism in common with the server.
        raise ConfigurationError(f"SMTP {call}: {error} Look at SMTP_USERNAME") from error
    except OSError as error:
        raise TransientError(f"SMTP {call}: {describe_failure(error)}", outcome_unknown=sent) from error


def _refusal(call: str, error: smtplib.SMTPResponseException, *, sent: bool) -> ServiceError | ConfigurationError:
    """Return the error that a reply code stands for (RFC 5321 section 4.2.1).

    A reply leaves no doubt about the outcome. The code -1 means that there was none: once
    the message has been sent, its outcome is unknown.
    """
    code = error.smtp_code
    line = f"SMTP {call}: {code}"
    reply = error.smtp_error
    detail = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)
    if code in _AUTHENTICATION_CODES or (isinstance(error, smtplib.SMTPAuthenticationError) and code >= 500):  # noqa: PLR2004
        return CredentialsError(f"{line}: not authenticated, look at SMTP_USERNAME and SMTP_PASSWORD")
    if 500 <= code < 600:  # noqa: PLR2004
        is_of_envelope = not sent or _RECIPIENT_STATUS.match(detail)
        return UndeliverableError(line, detail=detail) if is_of_envelope else PermanentError(line, detail=detail)
    return TransientError(line, detail=detail, outcome_unknown=sent and code < 0)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
