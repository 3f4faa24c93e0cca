"""Tests of the SMTP client: its connections, the mail that arrives, and its error for every failure."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from email.message import EmailMessage
from typing import TYPE_CHECKING, Literal

import pytest

from integrations.errors import (
    ConfigurationError,
    LetterDeferredError,
    PermanentError,
    TransientError,
    UndeliverableError,
)
from integrations.sandbox import smtp as stand_in
from integrations.sandbox.certificate import Certificate, self_signed
from integrations.sandbox.smtp import Refusal
from integrations.smtp import Smtp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from integrations.sandbox import Sandbox

SENDER = "Figurative <robot@figurative.example>"
SECRET = "Chaise-longue de Mme Durand"


def connect(
    server: stand_in.Smtp, security: str = "none", *, context: ssl.SSLContext | None = None, password: str = ""
) -> Smtp:
    username = "robot" if password else ""
    return Smtp("127.0.0.1", server.port, security, username, password, SENDER, 5.0, context=context)


def mail(to: str = "Admin <admin@figurative.example>", text: str = SECRET) -> EmailMessage:
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = to
    message["Subject"] = SECRET
    message.set_content(text)
    return message


def test_send_delivers_message_to_all_to_recipients(sandbox: Sandbox) -> None:
    text = "Écran noir\n.\n..un point\n" + "é" * 2000 + "\n"
    connect(sandbox.smtp).send(mail("Admin <admin@figurative.example>, b@figurative.example", text))
    (delivered,) = sandbox.smtp.messages
    assert delivered.sender == "robot@figurative.example"
    assert delivered.recipients == ("admin@figurative.example", "b@figurative.example")
    assert delivered.message.get_content() == text
    assert delivered.message["Subject"] == SECRET


def test_send_encodes_8bit_body_as_7bit(sandbox: Sandbox) -> None:
    message = mail()
    message.set_content("Écran noir\n", cte="8bit")
    connect(sandbox.smtp).send(message)
    (delivered,) = sandbox.smtp.messages
    assert delivered.raw.isascii()
    assert delivered.message.get_content() == "Écran noir\n"


@pytest.mark.parametrize("to", ["", "undisclosed-recipients:;", "Admin", "rené@figurative.example"])
def test_send_without_valid_recipient_raises_permanent_error(sandbox: Sandbox, to: str) -> None:
    with pytest.raises(PermanentError):
        connect(sandbox.smtp).send(mail(to))
    assert sandbox.smtp.messages == []


@pytest.mark.parametrize(
    ("refusal", "error", "outcome_unknown"),
    [
        (Refusal("mail", "421 4.3.2 shutting down"), TransientError, False),
        (Refusal("mail", "451 4.3.0 try later"), LetterDeferredError, False),
        (Refusal("mail", "530 5.7.0 authentication required"), ConfigurationError, None),
        (Refusal("mail", "550 5.7.1 no"), UndeliverableError, None),
        (Refusal("mail"), TransientError, False),
        (Refusal("rcpt", "450 4.2.0 greylisted"), LetterDeferredError, False),
        (Refusal("rcpt", f"550 5.1.1 {SECRET}"), UndeliverableError, None),
        (Refusal("rcpt", "550 5.1.1 unknown", recipient="b@figurative.example"), UndeliverableError, None),
        (Refusal("rcpt"), TransientError, False),
        (Refusal("data", "421 4.3.2 shutting down"), TransientError, False),
        (Refusal("data", "452 4.3.1 disk full"), LetterDeferredError, False),
        (Refusal("data", "552 5.2.2 full"), UndeliverableError, None),
        (Refusal("data", "552 5.2.3 too long"), PermanentError, None),
        (Refusal("data", "554 5.6.0 content"), PermanentError, None),
        (Refusal("data"), TransientError, True),
        (Refusal("after_data"), TransientError, True),
    ],
    ids=lambda value: f"{value.stage}-{value.reply[:3] or 'cut'}" if isinstance(value, Refusal) else None,
)
def test_send_maps_every_failure_to_its_error(
    sandbox: Sandbox, refusal: Refusal, error: type[Exception], outcome_unknown: bool | None
) -> None:
    sandbox.smtp.fail(refusal)
    smtp, to = connect(sandbox.smtp), "a@figurative.example, b@figurative.example"
    with pytest.raises(error) as raised:
        smtp.send(mail(to))
    assert (type(raised.value) is UndeliverableError) == (to in smtp.undeliverable)
    assert isinstance(raised.value, LetterDeferredError) == (error is LetterDeferredError)
    assert getattr(raised.value, "outcome_unknown", None) is outcome_unknown
    assert str(raised.value).startswith("SMTP send: ")
    assert SECRET not in str(raised.value)
    assert len(sandbox.smtp.messages) == (1 if refusal.stage == "after_data" else 0)


def test_automatic_answer_has_no_return_path(sandbox: Sandbox) -> None:
    """Where the server refuses that at once, it is our own address."""
    smtp = connect(sandbox.smtp)
    for refusals in ((), (Refusal("mail", "550 5.1.7 no"),)):
        for refusal in refusals:
            sandbox.smtp.fail(refusal)
        with smtp.submission(mail("a@x.example"), automatic=True) as hand_over:
            hand_over()
    assert [each.sender for each in sandbox.smtp.messages] == ["", "robot@figurative.example"]


@pytest.mark.parametrize("stage", ["rcpt", "data"])
def test_automatic_answer_gets_a_return_path_where_policy_asks_for_it(
    sandbox: Sandbox, stage: Literal["rcpt", "data"]
) -> None:
    """As at Microsoft 365, which refuses it at the end: nothing was sent, and the next try has one."""
    smtp = connect(sandbox.smtp)
    sandbox.smtp.fail(Refusal(stage, "554 5.7.60 not permitted to send as this sender"))

    def send() -> None:
        with smtp.submission(mail("a@x.example"), automatic=True) as hand_over:
            hand_over()

    with pytest.raises(TransientError) as refused:
        send()
    assert not refused.value.outcome_unknown
    send()
    assert [each.sender for each in sandbox.smtp.messages] == ["robot@figurative.example"]
    sandbox.smtp.fail(Refusal("rcpt", "550 5.1.1 unknown"))
    with pytest.raises(UndeliverableError):
        send()
    assert smtp.undeliverable == {}, "it is for the admin's address alone: there are many customers"


def test_recipient_who_is_refused_takes_no_other_letter_its_null_path(sandbox: Sandbox) -> None:
    """Policy refuses a recipient in the words in which it asks for a return path."""
    smtp = connect(sandbox.smtp)

    def send() -> None:
        with smtp.submission(mail("a@x.example"), automatic=True) as hand_over:
            hand_over()

    sandbox.smtp.fail(Refusal("rcpt", "550 5.7.1 blocked", times=2))
    for error in (LetterDeferredError, UndeliverableError):
        with pytest.raises(error):
            send()
    send()
    assert [each.sender for each in sandbox.smtp.messages] == [""]


def test_smtp_reply_is_in_error_detail_only(sandbox: Sandbox) -> None:
    sandbox.smtp.fail(Refusal("rcpt", f"550 5.1.1 {SECRET}"))
    with pytest.raises(PermanentError) as refused:
        connect(sandbox.smtp).send(mail())
    assert str(refused.value) == "SMTP send: 550"
    assert refused.value.detail == f"5.1.1 {SECRET}"


@contextmanager
def scripted(*replies: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server that gives its replies one by one, then hangs up; with its port, and the lines that it was sent."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    lines: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            for reply in replies:
                stream.write(reply + b"\r\n")
                stream.flush()
                lines.append(stream.readline())
                while reply.startswith(b"354") and lines[-1] not in {b".\r\n", b""}:
                    lines.append(stream.readline())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], lines
    finally:
        thread.join()
        listener.close()


def test_ehlo_uses_sender_domain_not_host_name() -> None:
    with scripted(b"220 ready", b"250 hello") as (port, lines), pytest.raises(TransientError):
        Smtp("127.0.0.1", port, "none", "", "", SENDER, 5.0).check()
    assert lines[0] == b"ehlo figurative.example\r\n"


ACCEPTING = (b"220 ready", b"250 hello", b"250 sender", b"250 recipient", b"354 go on")


def test_failed_quit_does_not_fail_accepted_message() -> None:
    with scripted(*ACCEPTING, b"250 taken") as (port, lines):
        Smtp("127.0.0.1", port, "none", "", "", SENDER, 5.0).send(mail())
    assert lines[-2:] == [b".\r\n", b"quit\r\n"]


def test_cut_after_data_leaves_outcome_unknown() -> None:
    with scripted(*ACCEPTING) as (port, lines), pytest.raises(TransientError) as lost:
        Smtp("127.0.0.1", port, "none", "", "", SENDER, 5.0).send(mail())
    assert lost.value.outcome_unknown
    assert lines[-1] == b".\r\n"


def test_absent_or_silent_server_is_transient_with_known_outcome() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(TransientError) as failed:
            Smtp("127.0.0.1", port, "none", "", "", SENDER, 0.2).send(mail())
    assert not failed.value.outcome_unknown
    with pytest.raises(TransientError) as refused:
        Smtp("127.0.0.1", port, "none", "", "", SENDER, 0.2).send(mail())
    assert not refused.value.outcome_unknown


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return self_signed(tmp_path)


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_send_uses_verified_tls_and_login(certificate: Certificate, security: Literal["tls", "starttls"]) -> None:
    trusting = ssl.create_default_context(cafile=certificate.path)
    shown = certificate.server_context()
    with stand_in.Smtp(username="robot", password="sesame", security=security, ssl_context=shown) as server:
        connect(server, security, context=trusting, password="sesame").send(mail())
        (delivered,) = server.messages
        assert delivered.tls
        assert delivered.username == "robot"
        seen = connect(server, security, context=trusting, password="sesame").check()
        assert seen == f"SMTP 127.0.0.1:{server.port}, security {security}, authenticated"
        with pytest.raises(ConfigurationError, match="SMTP_PASSWORD") as refused:
            connect(server, security, context=trusting, password="wrong").check()
        assert "wrong" not in str(refused.value)
        with pytest.raises(ConfigurationError, match="SMTP_PASSWORD"):
            connect(server, security, context=trusting).send(mail())


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_untrusted_certificate_gets_no_password_and_no_message(
    certificate: Certificate, security: Literal["tls", "starttls"]
) -> None:
    shown = certificate.server_context()
    with stand_in.Smtp(username="robot", password="sesame", security=security, ssl_context=shown) as server:
        with pytest.raises(TransientError, match="certificate is not to be trusted"):
            connect(server, security, password="sesame").send(mail())
        assert server.messages == []


def test_check_names_server_that_is_out_of_reach() -> None:
    """A wrong port is a frequent slip, so the address stands in the line."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(TransientError, match=f"^SMTP server 127.0.0.1:{port}: nothing listens there"):
        Smtp("127.0.0.1", port, "none", "", "", SENDER, 5.0).check()


def test_missing_starttls_stops_send(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigurationError, match="SMTP_SECURITY"):
        connect(sandbox.smtp, "starttls").send(mail())
    assert sandbox.smtp.messages == []


def test_password_for_server_without_auth_is_configuration_error() -> None:
    with scripted(b"220 ready", b"250 hello") as (port, _), pytest.raises(ConfigurationError, match="SMTP"):
        Smtp("127.0.0.1", port, "none", "robot", "sesame", SENDER, 5.0).check()


def test_temporary_login_refusal_is_transient() -> None:
    script = (b"220 ready", b"250-hello\r\n250 AUTH PLAIN", b"454 4.7.0 temporary authentication failure")
    with scripted(*script) as (port, _), pytest.raises(TransientError) as later:
        Smtp("127.0.0.1", port, "none", "robot", "sesame", SENDER, 5.0).check()
    assert not later.value.outcome_unknown


@pytest.mark.parametrize(
    ("changed", "setting"),
    [
        ({"security": "ssl"}, "SMTP_SECURITY"),
        ({"host": "mail.example"}, "SMTP_SECURITY"),
        ({"host": "192.0.2.1"}, "SMTP_SECURITY"),
        ({"sender": "Figurative"}, "SMTP_SENDER"),
        ({"sender": "rené@figurative.example"}, "SMTP_SENDER"),
        ({"password": "sésame"}, "SMTP_PASSWORD"),
    ],
)
def test_invalid_smtp_settings_are_refused_at_once(changed: dict[str, str], setting: str) -> None:
    right = {"host": "localhost", "port": 25, "security": "none", "username": "", "password": "", "sender": SENDER}
    with pytest.raises(ConfigurationError, match=setting):
        Smtp(**(right | changed))


def test_check_sends_no_message(sandbox: Sandbox) -> None:
    seen = connect(sandbox.smtp).check()
    assert seen == f"SMTP 127.0.0.1:{sandbox.smtp.port}, security none, not authenticated"
    assert sandbox.smtp.messages == []
