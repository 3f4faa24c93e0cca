"""What a person copies to a server: the unit, the account, the directories, and how the daemon speaks to systemd."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from poller.cli.samples import samples

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox
    from tests.conftest import Office
    from tests.support.sd_notify_listener import Manager

ROOT = Path(__file__).parents[2] / "systemd"
UNIT, FORMS_UNIT = ROOT / "figurative-poller.service", ROOT / "figurative-poller-forms.service"
F3D_UNIT = ROOT / "figurative-poller-f3d@.service"
UNITS = pytest.mark.parametrize("unit", [UNIT, FORMS_UNIT, F3D_UNIT], ids=lambda path: path.stem)
# Directives of systemd 254 that older ones leave out, and say so.
LATER = re.compile(r".*Unknown key 'Restart(Steps|MaxDelaySec)' in section \[Service\], ignoring\.")

installed = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd is not installed: apt install systemd"
)


def call(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=60)


@installed
@UNITS
def test_systemd_unit_has_low_exposure_score(unit: Path) -> None:
    """1.2 or lower of 10 by systemd's own count; nginx and postfix have 9.6."""
    result = call("systemd-analyze", "security", "--offline=true", "--threshold=12", unit)
    assert result.returncode == 0, result.stdout


@installed
@UNITS
def test_systemd_unit_has_only_known_directives(unit: Path, tmp_path: Path) -> None:
    """Every directive is known, and what it starts can be started where it is installed."""
    copy = tmp_path / unit.name
    text = unit.read_text()
    assert text.count("/opt/figurative-poller/.venv/bin/python") == 1
    copy.write_text(text.replace("/opt/figurative-poller/.venv/bin/python", sys.executable))
    result = call("systemd-analyze", "verify", "--man=no", copy)
    said = [line for line in result.stderr.splitlines() if unit.name in line and not LATER.fullmatch(line)]
    assert (result.returncode, said) == (0, [])


@installed
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away: run the tests as root")
def test_sysusers_and_tmpfiles_create_account_and_directories(tmp_path: Path) -> None:
    """On an empty system: an account nobody logs in as, a state of its own, and secrets that are root's alone."""
    (tmp_path / "etc" / "figurative-poller").mkdir(parents=True)
    secrets = tmp_path / "etc" / "figurative-poller" / ".env"
    secrets.write_text("")
    secrets.chmod(0o644)
    for tool in ("sysusers", "tmpfiles"):
        target = tmp_path / "usr" / "lib" / f"{tool}.d" / "figurative-poller.conf"
        target.parent.mkdir(parents=True)
        shutil.copy(ROOT / f"figurative-poller.{tool}.conf", target)
    made = call("systemd-sysusers", f"--root={tmp_path}")
    assert made.returncode == 0, made.stderr
    laid = call("systemd-tmpfiles", f"--root={tmp_path}", "--create", "figurative-poller.conf")
    assert laid.returncode == 0, laid.stderr
    entry = (tmp_path / "etc" / "passwd").read_text().split(":")
    assert (entry[0], entry[5], entry[6].strip()) == (
        "figurative-poller",
        "/var/lib/figurative-poller",
        "/usr/sbin/nologin",
    )
    state = (tmp_path / "var" / "lib" / "figurative-poller").stat()
    assert (state.st_mode & 0o777, state.st_uid) == (0o700, int(entry[2]))
    assert (secrets.stat().st_mode & 0o777, secrets.stat().st_uid) == (0o600, 0)


def test_systemd_readme_names_existing_files_and_directives() -> None:
    """Each file that lies beside it, and each directive that it speaks of."""
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"systemd/(figurative-poller[-\w.@]*\.\w+)", readme))
    assert named == {path.name for path in ROOT.iterdir()} - {"README.md"}
    for directive in re.findall(r"`([A-Z]\w+=)", readme):
        units = UNIT.read_text() + F3D_UNIT.read_text()
        assert re.search(rf"^(# )?{directive}", units, re.MULTILINE) or directive == "SocketBindAllow="


def test_daemon_notifies_systemd_of_its_state(office: Office, manager: Manager) -> None:
    """Ready, at work, reading its settings anew, the old ones kept where the new are bad, and stopping."""
    settings = office.state / "config.toml"
    settings.write_text("[imap]\npoll_interval_s = 0.2\n")
    process = office.begin("run", NOTIFY_SOCKET=manager.address)
    assert manager.until("READY")["STATUS"] == "0 waiting, first poll under way"
    assert re.fullmatch(r"0 waiting, last poll \d s ago", manager.until("WATCHDOG")["STATUS"])

    settings.write_text("[imap]\npoll_intervall_s = 0.2\n")
    process.send_signal(signal.SIGHUP)
    assert int(manager.until("RELOADING")["MONOTONIC_USEC"]) > 0
    manager.until("READY")
    refused = next(line for line in process.stderr if "did you mean poll_interval_s?" in line)
    assert "config.toml:2" in refused
    assert any("settings_reload_rejected" in line for line in process.stderr)
    assert "last poll" in manager.until("WATCHDOG")["STATUS"]

    settings.write_text("[imap]\npoll_interval_s = 0.2\n[labels]\nsupport = 'Clients'\n")
    process.send_signal(signal.SIGHUP)
    manager.until("RELOADING")
    manager.until("READY")
    office.sandbox.imap.deliver(samples()["support"])
    assert any("message_labelled" in line for line in process.stderr)

    process.send_signal(signal.SIGTERM)
    manager.until("STOPPING")
    assert process.end().returncode == 0
    assert office.mailboxes() == {"Clients": 1}


def as_started(unit: Path, directory: Path, secrets: dict[str, str], port: int) -> tuple[list[str], dict[str, str]]:
    """The command of a unit and all of its environment, with the directories of a machine below this one."""
    credentials, cache, settings = (directory / name for name in ("credentials", "cache", "etc"))
    for each in (credentials, cache, settings):
        each.mkdir(mode=0o700)
    (credentials / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in secrets.items()))
    (settings / "config.toml").write_text('[forms]\nnames = "contact"\npublic = "contact"\n')
    places = {
        "/opt/figurative-poller/.venv/bin/python": sys.executable,
        "/etc/figurative-poller": str(settings),
        "%C/figurative-poller-forms": str(cache),
        "--port 5000": f"--port {port}",
    }
    text = unit.read_text()
    for there, here in places.items():
        assert there in text
        text = text.replace(there, here)
    (command,) = re.findall(r"(?m)^ExecStart=(.*)$", text)
    words = " ".join(re.findall(r"(?m)^Environment=(.*)$", text)).split()
    given = dict(word.split("=", 1) for word in words) | {"HOME": "/", "CREDENTIALS_DIRECTORY": str(credentials)}
    return command.split(), given


def test_forms_unit_serves_under_systemd(sandbox: Sandbox, tmp_path: Path) -> None:
    """By its own command and environment, and its secrets alone; a post in hand when it is stopped is finished."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command, given = as_started(FORMS_UNIT, tmp_path, sandbox.environment(), port)
    cache = tmp_path / "cache"
    body = b'{"email": "jeanne@client.example", "message": "Bonjour"}'
    header = f"POST /forms/contact HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n"
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(command, env=given, cwd=cache, stderr=subprocess.PIPE, text=True)
        )
        on_failure = stack.enter_context(ExitStack())
        on_failure.callback(process.kill)
        assert process.stderr
        assert any("forms_listening" in line for line in process.stderr)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(header.encode() + b"Content-Type: application/json\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
            process.send_signal(signal.SIGTERM)
            assert any("Shutting down" in line for line in process.stderr)
            connection.sendall(body)
            assert connection.recv(65536).startswith(b"HTTP/1.1 202 ")
        on_failure.pop_all()
    assert process.returncode == 0
    assert len(sandbox.imap.messages()) == 1
    assert list(cache.iterdir()) == []
