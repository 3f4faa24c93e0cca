"""Tests of the `check` command."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Gauge

from integrations.sandbox import Fault
from poller.cli.check import check_forms
from poller.monitoring import prometheus
from tests.support.command import run
from tests.support.form_site import settings_of
from tests.support.recording_server import Listener, http

if TYPE_CHECKING:
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from tests.conftest import Office


def test_check_prints_a_line_for_every_service(office: Office) -> None:
    """A line for the state and for each service, and exit code 0 when all of them answered."""
    result = run("check", environment=office.environment)
    assert result.exit_code == 0, result.output
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [
        ["ok", service] for service in ("State", "IMAP", "Anthropic", "R2", "HubSpot", "ClickUp", "SMTP", "Links")
    ]


@pytest.mark.parametrize(
    ("change", "code", "line"),
    [
        ({"HUBSPOT_API_KEY": "pat-wrong"}, 77, ["refused", "HubSpot"]),
        ({"CLICKUP_BASE_URL": "http://127.0.0.1:9/api/v2"}, 69, ["unreachable", "ClickUp"]),
        ({"IMAP_PASSWORD": "wrong"}, 77, ["refused", "IMAP"]),
        ({"R2_SECRET_ACCESS_KEY": "wrong"}, 77, ["refused", "R2"]),
        ({"STATE_URL": "postgresql://poller:wrong@127.0.0.1:1/poller"}, 69, ["unreachable", "State"]),
        ({"STATE_URL": "sqlite:////dev/null/poller.sqlite"}, 77, ["refused", "State"]),
        ({"ANTHROPIC_API_KEY": ""}, 0, ["off", "Anthropic"]),
        ({"R2_PUBLIC_URL": "http://127.0.0.1:9"}, 69, ["unreachable", "Links"]),
    ],
)
def test_check_gives_advice_and_worst_exit_code(
    office: Office, change: dict[str, str], code: int, line: list[str]
) -> None:
    """The exit code is the worst that was found, and one bad service hides no other."""
    result = run("check", environment=office.environment | change)
    assert result.exit_code == code
    assert line in [found.split()[:2] for found in result.stdout.splitlines()]
    assert len(result.stdout.splitlines()) == 8


@pytest.mark.parametrize("status", [400, 404])
def test_check_tells_refusing_service_from_unreachable(office: Office, status: int) -> None:
    """Its status is said, and waiting for it would not help."""
    office.fail("hubspot", Fault("status", status=status, body={"message": "No such thing."}, times=None))
    result = run("check", environment=office.environment)
    (line,) = (line.split() for line in result.stdout.splitlines() if "HubSpot" in line)
    assert (line[0], " ".join(line[-5:])) == ("refused", f"HTTP {status}: No such thing")
    assert result.exit_code == 77


def test_check_requests_heartbeat_address_without_ping(office: Office) -> None:
    """For the address behind it that counts as none; it is in no line."""
    with Listener(http(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")) as keeper:
        environment = office.environment | {"HEARTBEAT_URL": f"http://127.0.0.1:{keeper.port}/UUID"}
        result = run("check", environment=environment)
        assert keeper.received.startswith(b"GET /UUID/log HTTP/1.1")
        assert keeper.connections == 1
    assert result.stdout.splitlines()[-1].split()[:2] == ["ok", "Heartbeat"]
    gone = run("check", environment=environment)
    assert gone.exit_code == 69
    assert gone.stdout.splitlines()[-1].split()[:2] == ["unreachable", "Heartbeat"]
    assert "UUID" not in result.stdout + gone.stdout


@pytest.mark.parametrize(
    ("service", "name", "status"),
    [("hubspot", "HubSpot", 429), ("clickup", "ClickUp", 400), ("clickup", "ClickUp", 503)],
)
def test_check_names_base_url_only_when_service_is_unreachable(
    office: Office, service: str, name: str, status: int
) -> None:
    """A service that answers has been found."""

    def seen(**change: str) -> str:
        lines = run("check", environment=office.environment | change).stdout.splitlines()
        return next(line for line in lines if line.split()[1] == name)

    office.fail(service, Fault("status", status=status, body={"message": "Not now.", "err": "Not now."}, times=None))
    assert seen().endswith(f"HTTP {status}: Not now")
    dead = {f"{service.upper()}_BASE_URL": "http://127.0.0.1:9"}
    assert seen(**dead).endswith("nothing listens there (is the address right, and the service up?)")


def test_check_reports_if_metrics_port_is_free(office: Office) -> None:
    """Not where another program listens; where a poller does it may be the daemon that is checked beside."""

    def checked(port: int) -> tuple[int, str]:
        result = run("check", environment=office.environment | {"METRICS_LISTEN": f"127.0.0.1:{port}"})
        (line,) = (line for line in result.stdout.splitlines() if "Metrics" in line)
        return result.exit_code, " ".join(line.split())

    with Listener(http(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")) as other:
        taken = f"127.0.0.1:{other.port}: Address already in use; look at [metrics] listen"
        assert checked(other.port) == (77, f"refused Metrics {taken}")
    assert checked(other.port) == (0, f"ok Metrics 127.0.0.1:{other.port} is free")
    told = CollectorRegistry()
    Gauge("figurative_in_hand", "Messages that are worked on.", registry=told)
    with prometheus.served(f"127.0.0.1:{other.port}", told) as ours:
        threading.Thread(target=ours.serve_forever, daemon=True).start()
        assert checked(other.port) == (0, f"ok Metrics 127.0.0.1:{other.port}, where a poller serves them already")
        ours.shutdown()


def test_check_reports_if_metrics_file_is_writable(office: Office, tmp_path: Path) -> None:
    """Of the trial nothing is left."""

    def checked(file: str) -> tuple[int, str]:
        result = run("check", environment=office.environment | {"METRICS_TEXTFILE": file})
        (line,) = (line for line in result.stdout.splitlines() if "Metrics" in line)
        return result.exit_code, line.split(maxsplit=2)[2]

    (tmp_path / "metrics" / "folder.prom").mkdir(parents=True)
    good = f"{tmp_path}/metrics/poller.prom"
    assert checked(good) == (0, f"{good} can be written")
    for file, why in (
        (f"{tmp_path}/nowhere/poller.prom", "No such file or directory"),
        (f"{tmp_path}/metrics/folder.prom", "Is a directory"),
        ("/proc/poller.prom", "No such file or directory"),
    ):
        assert checked(file) == (77, f"{file}: {why}; look at [metrics] textfile")
    assert [path.name for path in (tmp_path / "metrics").iterdir()] == ["folder.prom"]


def test_check_names_service_once_in_line(office: Office) -> None:
    """Its words begin with its name, for where they stand alone; here they do not."""
    result = run("check", environment=office.environment | {"HUBSPOT_PIPELINE_ID": "77"})
    (line,) = (line for line in result.stdout.splitlines() if "HubSpot" in line)
    assert line.split()[:6] == ["refused", "HubSpot", "no", "ticket", "pipeline", "77,"]


@pytest.mark.parametrize("package", ["python_multipart", "starlette", "uvicorn"])
def test_check_refuses_forms_without_packages(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """As `poller forms` would, with what is to be installed."""
    monkeypatch.setitem(sys.modules, package, None)
    (checked,) = check_forms(settings_of(sandbox))
    install = f"{sys.prefix}/bin/pip install --require-hashes -r requirements-forms.lock"
    assert (checked.verdict, checked.seen) == ("refused", f"{package} is not installed: {install}")
