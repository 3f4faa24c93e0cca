"""Logins to an IMAP server: the password goes only to one that proves its identity."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from integrations.errors import ConfigurationError, TransientError
from integrations.sandbox.certificate import self_signed
from integrations.sandbox.dovecot import Dovecot
from poller.config.settings import ImapSettings
from poller.imap.session import connect
from tests.integrations.net.test_deadline import dripping
from tests.support.imap_account import imap_settings
from tests.support.needs import needs_dovecot
from tests.support.recording_server import Listener, lines

if TYPE_CHECKING:
    from pathlib import Path

    from integrations.sandbox import Sandbox

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
    begin, no = b"{tag} OK begin\r\n", b"{tag} NO wrong\r\n"
    part = lines({b"CAPABILITY": OFFERED, b"STARTTLS": begin, b"AUTHENTICATE": no, b"LOGIN": no}, b"{tag} OK done\r\n")
    upgrades = security == "starttls"
    with (
        Listener(part, greeting=GREETING, context=certificate.server_context(), upgrades=upgrades) as server,
        pytest.raises(ConfigurationError, match="IMAP_PASSWORD" if sent else "certificate is refused"),
    ):
        connect(settings(server.port, security))
    assert (b"AUTHENTICATE" in commands(server.received)) == sent
    # In clear text nothing comes before TLS but the request for it.
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


@needs_dovecot
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_untrusted_imap_certificate_is_refused(security: str) -> None:
    """The password is not sent to whoever answers."""
    with Dovecot(security=security) as server, pytest.raises(ConfigurationError, match="certificate is refused"):
        connect(imap_settings(server))


@needs_dovecot
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_trusted_imap_certificate_is_accepted(security: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS from the first byte or by STARTTLS, verified."""
    with Dovecot(security=security) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate_path))
        connect(imap_settings(server)).close()


@needs_dovecot
def test_imap_certificate_of_private_authority_is_accepted(tmp_path: Path) -> None:
    """The file vouches for its own server alone: the system's authorities count no more."""
    with Dovecot(security="starttls") as server:
        connect(imap_settings(server, ca_file=str(server.certificate_path))).close()
        another = self_signed(tmp_path).path
        with pytest.raises(ConfigurationError, match="certificate is refused"):
            connect(imap_settings(server, ca_file=str(another)))


def test_imap_without_starttls_gets_no_password(sandbox: Sandbox) -> None:
    """STARTTLS is required where it is configured, not tried."""
    with pytest.raises(ConfigurationError, match="STARTTLS"):
        connect(imap_settings(sandbox.imap, security="starttls"))


def test_endless_imap_greeting_is_cut_at_deadline() -> None:
    """The client waits for it before anybody has hold of the connection."""
    with dripping(b"* OK ", asks_first=False) as port, pytest.raises(TransientError, match="no answer in time"):
        connect(
            ImapSettings.model_validate({"host": "127.0.0.1", "port": port, "security": "none", "username": "u"}), 0.3
        )


def test_unreachable_imap_server_raises_transient_error() -> None:
    """Nothing listens there now."""
    with pytest.raises(TransientError) as away:
        connect(ImapSettings.model_validate({"host": "127.0.0.1", "port": 9, "security": "none", "username": "u"}))
    assert not away.value.outcome_unknown


def test_wrong_imap_password_raises_configuration_error(sandbox: Sandbox) -> None:
    """It names the settings to check, and not the password."""
    with pytest.raises(ConfigurationError, match="IMAP_PASSWORD") as caught:
        connect(imap_settings(sandbox.imap, password="wrong-secret"))
    assert "wrong-secret" not in str(caught.value)
