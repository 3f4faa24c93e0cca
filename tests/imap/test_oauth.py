"""Access tokens: requested from the provider, used for the mailbox, and kept."""

from __future__ import annotations

import base64
import os
import pwd
import stat
import sys
import threading
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from integrations.errors import ConfigurationError, TransientError
from poller.cli.main import commands
from poller.cli.samples import samples
from poller.config import loader
from poller.config.settings import ImapSettings
from poller.daemon.daemon import Daemon
from poller.dispatch.clients import services
from poller.imap import oauth
from poller.imap.session import connect
from poller.monitoring import checks
from tests.support.imap_provider import EXCHANGE, GMAIL, Provider
from tests.support.recording_server import Listener, lines
from tests.support.token_endpoint import TokenEndpoint, application_token, claims, given, write_key_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.config.settings import Settings
    from tests.conftest import Office

GRANTED = {
    "google": {"client_id": "an-app", "client_secret": "app-secret-71", "refresh_token": "refresh-secret-72"},
    "microsoft": {"client_id": "an-app", "client_secret": "app-secret-71", "tenant": "contoso.example"},
}
SECRETS = ("app-secret-71", "refresh-secret-72", "token-1")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory, and no tokens of another test's."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    oauth._tokens.cache_clear()
    yield tmp_path / "state"
    oauth._tokens.cache_clear()


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads take turns as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def settings(server: Any, endpoint: TokenEndpoint, auth: str, **more: Any) -> ImapSettings:
    names = {name: getattr(server, name) for name in ("host", "port", "security", "username")}
    return ImapSettings.model_validate(names | {"auth": auth, "token_url": endpoint.url} | GRANTED[auth] | more)


def provider(auth: str, *tokens: str, **more: Any) -> Provider:
    capabilities = {"google": f"{GMAIL} AUTH=XOAUTH2 MOVE UIDPLUS", "microsoft": f"{EXCHANGE} MOVE"}[auth]
    return Provider(capabilities, capabilities, tokens=set(tokens), **more)


@pytest.mark.parametrize("auth", ["google", "microsoft"])
def test_imap_login_uses_xoauth2_token(auth: str) -> None:
    """XOAUTH2, for the address of the mailbox."""
    with provider(auth, "token-1") as server, TokenEndpoint(given("token-1")) as endpoint:
        server.deliver(b"Subject: x\r\n\r\n")
        with closing(connect(settings(server, endpoint, auth))) as session:
            assert len(session.uids()) == 1
        assert "LOGIN" not in " ".join(server.commands)


def test_connections_get_new_tokens_unless_simultaneous() -> None:
    """So that none ends while it is in use; four workers that start ask once."""
    now = [100.0]

    class Counter:
        asked = 0

        def token(self) -> str:
            self.asked += 1
            return f"token-{self.asked}"

        def advice(self, token: str, mailbox: str) -> str:
            return token + mailbox

    tokens = oauth.Tokens(Counter(), now=lambda: now[0])
    assert [tokens.token(), tokens.token()] == [("token-1", False), ("token-1", True)]
    now[0] += oauth.AT_ONCE_S
    assert tokens.token() == ("token-2", False)
    tokens.forget()
    assert tokens.token() == ("token-3", False)


def test_expired_token_is_replaced_at_next_try() -> None:
    """Nobody is told that the settings are wrong, for they are not."""
    with provider("google", "token-1") as server, TokenEndpoint(given("token-1"), given("token-2")) as endpoint:
        imap = settings(server, endpoint, "google")
        connect(imap).close()
        server.tokens = {"token-2"}
        with pytest.raises(TransientError, match="token has ended"):
            connect(imap)
        connect(imap).close()


@pytest.mark.parametrize(
    ("auth", "token", "refusal", "advice"),
    [
        ("google", "token-1", "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", "for the scope"),
        ("google", "token-1", "NO What is token-1?", "for the scope"),
        ("google", "token-1", "NO [ALERT] IMAP access is disabled for your domain. (Failure)", "Admin console"),
        ("microsoft", "token-1", "NO AUTHENTICATE failed.", "New-ServicePrincipal -AppId an-app"),
        ("microsoft", application_token(roles=["Mail.Read"]), "NO AUTHENTICATE failed.", "IMAP.AccessAsApp"),
    ],
)
@pytest.mark.parametrize("challenge", [b"", b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}'])
def test_check_quotes_server_and_gives_oauth_advice(
    auth: str, token: str, refusal: str, advice: str, challenge: bytes
) -> None:
    """In the server's words, with what to do; to its reason the answer is an empty line (and not the token again)."""
    with (
        provider(auth, refusal=refusal, challenge=challenge) as server,
        TokenEndpoint(given(token)) as endpoint,
    ):
        result = checked(whole(server, endpoint, auth))
    assert result.verdict == "refused"
    assert refusal.partition(" ")[2].replace("token-1", "***").rstrip(".") in result.seen
    assert advice in result.seen
    assert not [secret for secret in (*SECRETS, token) if secret in result.seen]


def whole(server: Any, endpoint: TokenEndpoint, auth: str, **more: str) -> Settings:
    names = {name: str(getattr(server, name)) for name in ("host", "port", "security", "username")}
    imap = names | {"auth": auth, "token_url": endpoint.url} | GRANTED[auth]
    return loader.from_names(more | {f"IMAP_{name.upper()}": value for name, value in imap.items()})


def checked(settings: Settings) -> checks.Checked:
    return next(each for each in checks.check(settings) if each.service == "IMAP")


@pytest.mark.parametrize(
    ("status", "verdict"), [((400, {"error": "invalid_grant"}), "refused"), ((503, b""), "unreachable")]
)
def test_check_reports_token_provider_errors(status: tuple[int, Any], verdict: str) -> None:
    """A refused refresh token is a matter of settings; a provider that is down is not."""
    with provider("google") as server, TokenEndpoint(status) as endpoint:
        result = checked(whole(server, endpoint, "google"))
    assert (result.verdict, "Google" in result.seen) == (verdict, True)


def test_server_without_xoauth2_gets_no_token() -> None:
    """It would be a stranger's."""
    with Provider("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1") as server, TokenEndpoint(given("token-1")) as endpoint:
        with pytest.raises(ConfigurationError, match="no AUTH=XOAUTH2"):
            connect(settings(server, endpoint, "google"))
        assert (endpoint.connections, "AUTHENTICATE" in " ".join(server.commands)) == (0, False)


def test_rotated_refresh_token_survives_restart(state: Path) -> None:
    """It is kept for us alone, and goes before the setting, until that is set anew."""
    with (
        provider("google", "token-1") as server,
        TokenEndpoint(given("token-1", refresh_token="rotated-1"), given("token-1")) as endpoint,
    ):
        imap = settings(server, endpoint, "google")
        connect(imap).close()
        kept = state / oauth.KEPT
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert list(state.iterdir()) == [kept]
        oauth._tokens.cache_clear()  # as in a new process
        connect(imap).close()
        connect(settings(server, endpoint, "google", refresh_token="consented-anew")).close()
    assert [form["refresh_token"] for form in endpoint.forms] == ["refresh-secret-72", "rotated-1", "consented-anew"]


@pytest.mark.skipif(os.geteuid() != 0, reason="run as root, who may give files away")
def test_refresh_token_rotated_for_root_is_the_directory_owners(state: Path) -> None:
    """`sudo poller check` leaves what the daemon can read, and write anew."""
    state.mkdir()
    nobody = pwd.getpwnam("nobody")
    os.chown(state, nobody.pw_uid, nobody.pw_gid)
    with provider("google") as server, TokenEndpoint(given("token-1", refresh_token="rotated-1")) as endpoint:
        oauth.tokens(settings(server, endpoint, "google")).token()
    kept = (state / oauth.KEPT).stat()
    assert (kept.st_uid, kept.st_gid, stat.S_IMODE(kept.st_mode)) == (nobody.pw_uid, nobody.pw_gid, 0o600)


def test_refresh_token_rotated_by_another_process_is_used(state: Path) -> None:
    """`poller check` beside the daemon, or the check at a reload: each goes on with what the other was given last."""
    answers = [given(f"token-{number}", refresh_token=f"rotated-{number}") for number in range(1, 4)]
    with provider("google") as server, TokenEndpoint(*answers) as endpoint:
        daemon = oauth.tokens(settings(server, endpoint, "google"))
        command = oauth.tokens(settings(server, endpoint, "google", poll_interval_s=61))
        assert [daemon.token(), command.token()] == [("token-1", False), ("token-2", False)]
        daemon.forget()
        assert daemon.token() == ("token-3", False)
    assert [form["refresh_token"] for form in endpoint.forms] == ["refresh-secret-72", "rotated-1", "rotated-2"]
    assert "rotated-3" in (state / oauth.KEPT).read_text()


@pytest.mark.usefixtures("switching")
def test_concurrent_first_token_requests_are_merged() -> None:
    """The poll and the watch begin together, and a refresh token may be good for one use."""
    with (
        provider("google") as server,
        TokenEndpoint(given("token-1", refresh_token="rotated-1"), given("token-2")) as endpoint,
    ):
        imap, start = settings(server, endpoint, "google"), threading.Barrier(8)
        had: list[str] = []

        def ask() -> None:
            start.wait()
            had.append(oauth.tokens(imap).token()[0])

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert had == ["token-1"] * 8


@pytest.mark.parametrize("in_the_way", ["the directory", "the file"])
def test_unsaved_refresh_token_still_works(in_the_way: str, state: Path, logged: Any) -> None:
    """The log says so, and not the token; nothing of it is left behind, and this process goes on with it."""
    if in_the_way == "the directory":
        state.write_text("a file in the place of the directory")
    else:
        (state / oauth.KEPT).mkdir(parents=True)
    with (
        provider("google", "token-1") as server,
        TokenEndpoint(given("token-1", refresh_token="rotated-1"), given("token-1")) as endpoint,
    ):
        imap = settings(server, endpoint, "google")
        connect(imap).close()
        oauth.tokens(imap).forget()
        connect(imap).close()
    assert [form["refresh_token"] for form in endpoint.forms] == ["refresh-secret-72", "rotated-1"]
    text = logged()
    assert "refresh_token_not_kept" in text
    assert "rotated-1" not in text
    assert [path.name for path in state.parent.rglob("*refresh-token*") if path.is_file()] == []


@pytest.mark.parametrize("auth", ["google", "microsoft"])
def test_provider_mail_becomes_ticket_and_is_filed(auth: str, office: Office) -> None:
    """The whole daemon on it, with no more than it has."""
    with provider(auth, "token-1") as server, TokenEndpoint(given("token-1")) as endpoint:
        mail = server.deliver(samples()["support"])
        Daemon(whole(server, endpoint, auth, **office.environment), retry_policy=office.retry_policy).once(
            lambda *_: None
        )
        assert server.where(mail) - {"[Gmail]/Tous les messages"} == {"Support"}
    assert office.counts()["tickets"] == 1


@pytest.mark.parametrize(("auth", "package"), [("google", "google.auth"), ("microsoft", "msal")])
def test_missing_oauth_extra_is_named(auth: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line that can be copied."""
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"integrations.oauth.{auth}", raising=False)
    with (
        provider(auth) as server,
        TokenEndpoint(given("token-1")) as endpoint,
        pytest.raises(ConfigurationError, match=f"-r requirements-{auth}.lock"),
    ):
        connect(settings(server, endpoint, auth))


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (None, "Google: key.json: No such file or directory: check IMAP_SERVICE_ACCOUNT_FILE"),
        ("{}", "Google: key.json: no key of a service account is in it: check IMAP_SERVICE_ACCOUNT_FILE"),
        (
            "msal",
            (
                "IMAP_AUTH is microsoft, and its package is missing: "
                f"{sys.prefix}/bin/pip install --require-hashes -r requirements-microsoft.lock"
            ),
        ),
    ],
)
@pytest.mark.parametrize("command", ["run", "once", "check"])
def test_missing_oauth_file_or_package_exits_78_before_connect(
    key: str | None, says: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a setting that cannot work, so the exit code is 78 and nothing is tried again."""
    monkeypatch.chdir(tmp_path)
    google = {"IMAP_AUTH": "google", "IMAP_SERVICE_ACCOUNT_FILE": "key.json"}
    microsoft = {"IMAP_AUTH": "microsoft"} | {
        f"IMAP_{name.upper()}": value for name, value in GRANTED["microsoft"].items()
    }
    if key == "msal":
        monkeypatch.setitem(sys.modules, "msal", None)
        monkeypatch.delitem(sys.modules, "integrations.oauth.microsoft", raising=False)
    elif key:
        Path("key.json").write_text(key)
    given = {"IMAP_HOST": "imap.invalid", "IMAP_USERNAME": "u@x.example"} | (microsoft if key == "msal" else google)
    result = CliRunner().invoke(commands, [command], env=given)
    assert (result.exit_code, result.stderr) == (78, f"poller: {says}\n")


@pytest.mark.parametrize("auth", ["password", "google", "microsoft"])
def test_missing_oauth_settings_are_named_by_kind(auth: str) -> None:
    """Each thing that is missing is named."""
    with pytest.raises(loader.InvalidSettingsError) as caught:
        loader.from_names({"IMAP_HOST": "h", "IMAP_USERNAME": "u", "IMAP_AUTH": auth})
    missing = {problem.split(":")[0] for problem in caught.value.problems}
    assert missing == {f"IMAP_{name.upper()}" for name in GRANTED.get(auth, ("password",))}


def test_service_account_needs_only_its_key_file() -> None:
    """No client, no refresh token."""
    names = {"IMAP_HOST": "h", "IMAP_USERNAME": "u", "IMAP_AUTH": "google", "IMAP_SERVICE_ACCOUNT_FILE": "key.json"}
    assert loader.from_names(names).imap.on


def test_replaced_service_account_key_is_used_without_restart(tmp_path: Path) -> None:
    """Each token is asked for with the key that lies there; while there is none, that is said."""
    path = tmp_path / "key.json"
    write_key_file(path, "first@project.example")
    with provider("google") as server, TokenEndpoint(given("token-1"), given("token-2")) as endpoint:
        tokens = oauth.tokens(settings(server, endpoint, "google", service_account_file=str(path)))
        assert tokens.token()[0] == "token-1"
        tokens.forget()
        path.unlink()
        with pytest.raises(ConfigurationError, match=r"key\.json: No such file"):
            tokens.token()
        write_key_file(path, "second@project.example")
        assert tokens.token()[0] == "token-2"
    assert [claims(form["assertion"])["iss"] for form in endpoint.forms] == [
        "first@project.example",
        "second@project.example",
    ]


def test_smtp_uses_token_of_mailbox() -> None:
    """AUTH XOAUTH2, where smtp.auth says so."""
    offered = b"250-localhost\r\n250 AUTH XOAUTH2\r\n"
    reply = lines(
        {b"EHLO": offered, b"AUTH": b"235 ok\r\n", b"DATA": b"354 go\r\n", b"QUIT": b"221 bye\r\n"}, b"250 ok\r\n"
    )
    with (
        Listener(reply, greeting=b"220 ready\r\n") as smtp,
        provider("google") as server,
        TokenEndpoint(given("token-1")) as endpoint,
    ):
        mail = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(smtp.port), "SMTP_SECURITY": "none", "SMTP_AUTH": "imap"}
        settings = whole(server, endpoint, "google", **mail, NOTIFICATION_EMAIL="admin@figurative.example")
        message = EmailMessage()
        message["To"] = "admin@figurative.example"
        sender = services(settings).smtp
        assert sender
        sender.send(message)
    proof = base64.b64encode(b"user=support@figurative.example\x01auth=Bearer token-1\x01\x01")
    assert b"AUTH XOAUTH2 " + proof in smtp.received


def test_smtp_xoauth2_without_token_source_is_refused() -> None:
    """The mailbox is opened with a password."""
    names = {"IMAP_HOST": "h", "IMAP_USERNAME": "u", "IMAP_PASSWORD": "p", "SMTP_HOST": "h", "SMTP_AUTH": "imap"}
    with pytest.raises(loader.InvalidSettingsError, match=r"SMTP_AUTH.*imap\.auth"):
        loader.from_names(names)
