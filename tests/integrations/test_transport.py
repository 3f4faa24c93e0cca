"""Tests of the clients' connections: no key goes to a server that cannot prove its name, or to a redirect's target."""

from __future__ import annotations

import gc
import io
import ssl
import warnings
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from integrations.claude import Claude
from integrations.clickup.client import ClickUp
from integrations.errors import ConfigurationError, ServiceError, TransientError
from integrations.hubspot.client import HubSpot
from integrations.r2 import R2
from integrations.sandbox.certificate import self_signed
from integrations.smtp import Smtp
from tests.support.recording_server import Listener, http, lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# These clients live for one call, and their libraries leave what broke off to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

KEY = "key-3f9c2d"
PASSWORD = "sesame-71"
TEXT = "Chaise-longue de Mme Durand"


def claude(url: str) -> None:
    client = Claude(KEY, "claude-haiku-5-5", base_url=url, timeout_s=5.0)
    client.ask("system", TEXT, {"type": "object", "additionalProperties": False})


def hubspot(url: str) -> None:
    HubSpot(KEY, "1", "0", "1", url, read_timeout_s=5.0).create_ticket(TEXT, TEXT, "1", "0" * 16)


def clickup(url: str) -> None:
    ClickUp(KEY, "86x", url, read_timeout_s=5.0).add_comment("8", TEXT)


def r2(url: str) -> None:
    R2(KEY, KEY, "bucket", url, url, read_timeout_s=5.0).upload("a", io.BytesIO(b"a"), 1, "image/png", "attachment")


CLIENTS = [claude, hubspot, clickup, r2]
NOTHING = http(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """Collect once, so that no warning comes up in the test of another module."""
    yield
    gc.collect()


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_client_follows_redirect(client: Callable[[str], None], status: int) -> None:
    """A service, or who stands in for it, cannot have the key and the mail's words sent on to another host."""
    with Listener(NOTHING) as elsewhere:
        # In S3's own way, too (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html).
        body = f"<Error><Code>PermanentRedirect</Code><Endpoint>127.0.0.1:{elsewhere.port}</Endpoint></Error>"
        moved = (
            f"HTTP/1.1 {status} Moved\r\nLocation: http://127.0.0.1:{elsewhere.port}/x\r\n"
            f"x-amz-bucket-region: elsewhere\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
        with Listener(http(moved.encode())) as service, pytest.raises(ServiceError):
            client(f"http://127.0.0.1:{service.port}")
        assert KEY.encode() in service.received
        assert elsewhere.connections == 0


def trust(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    for name in ("SSL_CERT_FILE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(path))


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
@pytest.mark.parametrize(
    ("trusted", "host", "sent"),
    [(True, "localhost", True), (False, "localhost", False), (True, "elsewhere.example", False)],
    ids=["vouched for", "self-signed", "another's name"],
)
def test_api_key_is_sent_only_to_verified_host(
    client: Callable[[str], None],
    trusted: bool,
    host: str,
    sent: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not a byte of a request goes to a server that cannot prove who it is; and it is worth another try."""
    certificate = self_signed(tmp_path, host)
    if trusted:
        trust(monkeypatch, certificate.path)
    with Listener(NOTHING, context=certificate.server_context()) as service, pytest.raises(TransientError):
        client(f"https://localhost:{service.port}")
    assert service.connections >= 1
    assert (KEY.encode() in service.received) == sent
    assert sent or not service.received


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_tls_older_than_1_2_is_refused(
    client: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8996: a server that can do no better gets nothing."""
    certificate = self_signed(tmp_path)
    trust(monkeypatch, certificate.path)
    context = certificate.server_context()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with Listener(NOTHING, context=context) as service, pytest.raises(TransientError):
        client(f"https://localhost:{service.port}")
    assert service.connections >= 1
    assert not service.received


GREETING = b"220 mail.example ESMTP\r\n"
EHLO = b"250-mail.example\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n"
STRIPPED = b"250-mail.example\r\n250 AUTH PLAIN LOGIN\r\n"
TAKEN = b"235 2.7.0 welcome\r\n"


def send(port: int, security: str) -> None:
    message = EmailMessage()
    message["To"], message["Subject"] = "admin@figurative.example", TEXT
    message.set_content(TEXT)
    Smtp("localhost", port, security, "robot", PASSWORD, "robot@figurative.example", 5.0).send(message)


@pytest.mark.parametrize(
    ("ehlo", "starttls", "error"),
    [
        (STRIPPED, b"", ConfigurationError),
        (EHLO, b"454 4.7.0 not now\r\n", TransientError),
        (EHLO, b"502 5.5.1 no\r\n", ServiceError),
        (EHLO, b"220 go ahead\r\n235 2.7.0 welcome\r\n250 injected\r\n", TransientError),
    ],
    ids=["not offered", "refused for now", "refused", "answered ahead in clear text"],
)
def test_smtp_without_starttls_gets_no_password_and_no_mail(
    ehlo: bytes, starttls: bytes, error: type[Exception]
) -> None:
    """An attacker in between who takes STARTTLS away hears our greeting and no more."""
    part = lines({b"EHLO": ehlo, b"STARTTLS": starttls, b"AUTH": TAKEN}, b"250 ok\r\n")
    with Listener(part, greeting=GREETING) as server, pytest.raises(error):
        send(server.port, "starttls")
    # A handshake that begins after the answer (RFC 8446 section 5.1) is no line, whatever its bytes look like.
    said, _, _ = server.received.partition(b"\x16\x03")
    assert [line.split()[0].upper() for line in said.splitlines()] == [b"EHLO", *([b"STARTTLS"] if starttls else [])]
    assert TEXT.encode() not in server.received


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize(
    ("trusted", "host", "sent"),
    [(True, "localhost", True), (False, "localhost", False), (True, "elsewhere.example", False)],
    ids=["vouched for", "self-signed", "another's name"],
)
def test_smtp_certificate_is_verified_before_password(
    security: str, trusted: bool, host: str, sent: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library verifies nothing of itself; behind the handshake an impostor hears nothing."""
    certificate = self_signed(tmp_path, host)
    if trusted:
        trust(monkeypatch, certificate.path)
    part = lines({b"EHLO": EHLO, b"STARTTLS": b"220 go ahead\r\n", b"AUTH": b"454 4.7.0 later\r\n"}, b"250 ok\r\n")
    upgrades = security == "starttls"
    context = certificate.server_context()
    with (
        Listener(part, greeting=GREETING, context=context, upgrades=upgrades) as server,
        pytest.raises(TransientError, match="454" if sent else "certificate is not to be trusted"),
    ):
        send(server.port, security)
    assert (b"AUTH" in server.received.partition(b"STARTTLS")[2 if upgrades else 0]) == sent
    assert sent or b"AUTH" not in server.received
