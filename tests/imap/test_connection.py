"""The mailbox's password goes to a server that proves who it is, over TLS, and to nobody else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from integrations.errors import ConfigurationError, TransientError
from integrations.sandbox.certificate import self_signed
from poller.config.settings import ImapSettings
from poller.imap.session import connect
from tests.support.recording_server import Listener, lines

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "sesame-71"
GREETING = b"* OK ready\r\n"
OFFERED = b"* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN\r\n{tag} OK done\r\n"
STRIPPED = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n{tag} OK done\r\n"


def settings(port: int, security: str) -> ImapSettings:
    return ImapSettings.model_validate(
        {
            "host": "localhost",
            "port": port,
            "security": security,
            "username": "support",
            "password": PASSWORD,
            "timeout_s": 5,
        }
    )


def commands(received: bytes) -> list[bytes]:
    """The commands of a session, without their tags."""
    return re.findall(rb"(?m)^[A-Z0-9]+ ([A-Z]+)", received)


@pytest.mark.parametrize(
    ("greeting", "capability", "starttls", "error"),
    [
        (GREETING, STRIPPED, b"", ConfigurationError),
        (GREETING, OFFERED, b"{tag} NO not now\r\n", TransientError),
        (GREETING, OFFERED, b"{tag} BAD what\r\n", TransientError),
        (GREETING, OFFERED, b"{tag} OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", TransientError),
        (b"* PREAUTH welcome\r\n", OFFERED, b"{tag} BAD authenticated\r\n", TransientError),
    ],
    ids=["not offered", "refused for now", "refused", "answered ahead in clear text", "logged in unasked"],
)
def test_imap_login_is_not_sent_without_starttls(
    greeting: bytes, capability: bytes, starttls: bytes, error: type[Exception]
) -> None:
    """Whoever stands in between and takes STARTTLS away hears no more than that we asked for it."""
    part = lines({b"CAPABILITY": capability, b"STARTTLS": starttls}, b"{tag} OK done\r\n")
    with Listener(part, greeting=greeting) as server, pytest.raises(error):
        connect(settings(server.port, "starttls"))
    assert set(commands(server.received)) <= {b"CAPABILITY", b"STARTTLS", b"LOGOUT"}
    assert b"support" not in server.received


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize(
    ("trusted", "host", "sent"),
    [(True, "localhost", True), (False, "localhost", False), (True, "elsewhere.example", False)],
    ids=["vouched for", "self-signed", "another's name"],
)
def test_imap_certificate_is_verified_before_password(
    security: str, trusted: bool, host: str, sent: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the handshake an impostor hears nothing."""
    certificate = self_signed(tmp_path, host)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    begin = b"{tag} OK begin\r\n"
    part = lines(
        {b"CAPABILITY": OFFERED, b"STARTTLS": begin, b"AUTHENTICATE": b"{tag} NO wrong\r\n"}, b"{tag} OK done\r\n"
    )
    upgrades = security == "starttls"
    with (
        Listener(part, greeting=GREETING, context=certificate.server_context(), upgrades=upgrades) as server,
        pytest.raises(ConfigurationError, match="IMAP_PASSWORD" if sent else "certificate is refused"),
    ):
        connect(settings(server.port, security))
    assert (b"AUTHENTICATE" in commands(server.received)) == sent
    # In clear text nothing comes before TLS but the wish for it.
    before = commands(server.received.partition(b"STARTTLS")[0]) if upgrades else []
    assert set(before) <= {b"CAPABILITY"}
    assert sent or upgrades or not server.received


@pytest.mark.parametrize(
    ("offered", "answer", "password", "error", "words"),
    [
        (b"AUTH=PLAIN", b"+ go ahead\r\n", PASSWORD, TransientError, "nonsense"),
        (b"AUTH=PLAIN", b"* \xff\r\n{tag} OK done\r\n", PASSWORD, TransientError, "IMAP"),
        (b"", b"{tag} OK done\r\n", "sésame", ConfigurationError, "ASCII"),
    ],
    ids=["no base64", "no ASCII", "a password that LOGIN cannot carry"],
)
def test_odd_imap_login_answers_raise_our_errors(
    offered: bytes, answer: bytes, password: str, error: type[Exception], words: str
) -> None:
    """Whatever a server makes of the login, the daemon knows what to do about it."""
    capability = b"* CAPABILITY IMAP4rev1 " + offered + b"\r\n{tag} OK done\r\n"
    part = lines({b"CAPABILITY": capability, b"AUTHENTICATE": answer}, b"{tag} OK done\r\n")
    with Listener(part, greeting=GREETING) as server, pytest.raises(error, match=words):
        connect(settings(server.port, "none").model_copy(update={"password": SecretStr(password)}))
