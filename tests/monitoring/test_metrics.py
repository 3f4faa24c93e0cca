"""What Prometheus is told."""

from __future__ import annotations

import json
import platform
import re
import socket
import threading
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from integrations.sandbox import Fault
from poller.cli.samples import samples
from poller.config import loader
from poller.daemon import loop
from poller.daemon.daemon import Daemon
from poller.daemon.loop import STOP, Asked, Loop
from poller.monitoring import metrics, prometheus, status_file
from poller.monitoring.metrics import Metrics
from poller.monitoring.poll_health import PollHealth
from poller.workflow.results import WorkResult
from poller.workflow.status import MessageStatus
from tests.support.recording_server import Listener, http

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.config.settings import Settings
    from tests.conftest import Office

ROOT = Path(__file__).parents[2]
SAMPLE = re.compile(r'(\w+)(?:\{((?:\w+="[^"\\\n]*",?)*)\})? (\+Inf|-?[0-9.e+-]+)')


def read(text: str) -> dict[str, float]:
    """The samples, each under its name with its labels: what does not follow the format is an error."""
    found: dict[str, float] = {}
    declared: dict[str, str] = {}
    for line in text.splitlines():
        if match := re.fullmatch(r"# (HELP|TYPE) (\w+) (.+)", line):
            declared[match[2]] = match[3]
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        last = list(declared)[-1]
        parts = ("_bucket", "_sum", "_count") if declared[last] == "histogram" else ("",)
        assert sample[1] in {last + part for part in parts}, "samples stand under their metric's type"
        name = line.rpartition(" ")[0]
        assert name not in found
        found[name] = float(sample[3])
    return found


def text(of: Metrics) -> str:
    return generate_latest(of.registry).decode()


def told(of: Metrics) -> dict[str, float]:
    of.tell()
    return read(text(of))


def names(of: Metrics) -> set[str]:
    """The names of all metrics, also of those without a sample."""
    return set(re.findall(r"^# TYPE (\w+)", text(of), re.MULTILINE))


def drain(office: Office, *mails: str) -> tuple[Metrics, Daemon]:
    """What a daemon tells of that has drained the mailbox of these."""
    for name in mails:
        office.sandbox.imap.deliver(samples()[name])
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    of = Metrics(office.settings, daemon.status, PollHealth(60), daemon.claude)
    daemon.once(lambda *_: None)
    return of, daemon


def test_finished_work_is_counted_once(office: Office) -> None:
    """Mails by outcome, steps by service and result, how long it took, who decided, and what Claude cost."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=500))
    of, daemon = drain(office, "support", "modelisation_with_files", "auto_reply", "ambiguous")
    found = told(of)
    again = told(of)
    counters = [name for name in found if "_total" in name or "_count" in name]
    assert {name: again[name] for name in counters} == {name: found[name] for name in counters}
    outcomes = {outcome: found[f'figurative_mails_total{{outcome="{outcome}"}}'] for outcome in metrics.OUTCOMES}
    assert outcomes.pop("support") + outcomes.pop("modelisation") == 3
    assert outcomes == {"ignored": 1, "failed": 0, "gone": 0}
    steps = Counter({name: value for name, value in found.items() if name.startswith("figurative_steps_total{")})

    def step(name: str, service: str, result: str) -> float:
        return steps[f'figurative_steps_total{{result="{result}",service="{service}",step="{name}"}}']

    assert step("create_ticket", "hubspot", "ok") == 3
    assert step("create_ticket", "hubspot", "retried") == 1
    assert step("upload_files", "r2", "ok") == 3
    assert (step("label", "labels", "ok"), step("receive", "imap", "ok")) == (4, 4)
    assert (step("classify", "anthropic", "ok"), step("classify", "", "ok")) == (1, 2)
    assert found['figurative_classifications_total{decided_by="claude"}'] == 1
    seconds = 'figurative_delivery_to_label_seconds{0}{{{1}outcome="ignored"}}'
    assert found[seconds.format("_bucket", 'le="+Inf",')] == found[seconds.format("_count", "")] == 1
    assert 0 < found[seconds.format("_sum", "")] < 60
    assert daemon.claude is not None
    tokens = daemon.claude.input_tokens, daemon.claude.output_tokens
    assert min(tokens) > 0
    assert found["figurative_claude_calls_total"] == 1
    assert found['figurative_claude_tokens_total{direction="input"}'] == tokens[0]
    cost = (0.10 * tokens[0] + 0.50 * tokens[1]) / 1e6
    assert found["figurative_claude_cost_dollars_total"] == pytest.approx(cost)
    of.close()


def test_metrics_count_only_own_process(office: Office) -> None:
    """Not what one before it did: Prometheus adds up the processes. A mail that failed and is tried again is new."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=400, times=None))
    drain(office, "support")[0].close()
    office.sandbox.hubspot.heal()
    with office.sandbox.imap.session() as client:
        client.select_folder("Échecs")
        client.move(client.search(), "INBOX")
    of, _ = drain(office, "auto_reply")
    found = told(of)
    assert not [name for name in found if "_created" in name], "they are no metrics of ours"
    assert {name: value for name, value in found.items() if "mails_total" in name and value} == {
        'figurative_mails_total{outcome="support"}': 1,
        'figurative_mails_total{outcome="ignored"}': 1,
    }
    assert found['figurative_steps_total{result="ok",service="hubspot",step="create_ticket"}'] == 1
    assert not [name for name in found if 'step="classify"' in name and 'result="failed"' in name]
    assert 'figurative_steps_total{result="failed",service="hubspot",step="create_ticket"}' not in found
    of.close()


def test_metrics_show_waiting_by_service_and_age(office: Office) -> None:
    """The gauges are the daemon's own, and are told of even where the memory is out of reach."""
    office.fail("hubspot", Fault("status", status=429, headers={"Retry-After": "3000"}, times=None))
    of, daemon = drain(office, "support")
    filed = {"step": "send_receipt", "reason": "IMAP", "gate": "", "filed": "support"}
    daemon.waiting["for its receipt alone"] = MessageStatus(WorkResult.from_json({"outcome": "waiting"} | filed))
    (office.state / "poller.sqlite").rename(office.state / "away")
    found = told(of)
    (office.state / "away").rename(office.state / "poller.sqlite")
    assert found['figurative_waiting{service="hubspot"}'] == 1
    assert found['figurative_waiting{service=""}'] == 0
    assert found['figurative_out_of_reach{service="hubspot"}'] == 1
    assert found['figurative_out_of_reach{service="r2"}'] == 0
    assert 0 < found["figurative_oldest_waiting_seconds"] < 60
    assert found["figurative_polls_failing"] == found["figurative_in_hand"] == 0
    assert "figurative_last_poll_timestamp_seconds" not in found
    of._health.good(datetime(2026, 11, 22, tzinfo=UTC))
    assert told(of)["figurative_last_poll_timestamp_seconds"] == 1795305600
    assert len(daemon.waiting) == 2
    of.close()


def test_metrics_show_unpollable_mailbox_as_unreachable(office: Office) -> None:
    """No message need wait for it: what cannot be looked into is what nobody knows of."""
    health = PollHealth(60)
    of = Metrics(office.settings, Daemon(office.settings).status, health)
    health.failed(datetime.now(UTC), "nothing listens there")
    assert told(of)['figurative_out_of_reach{service="imap"}'] == 1
    health.good(datetime.now(UTC))
    assert told(of)['figurative_out_of_reach{service="imap"}'] == 0
    of.close()


def test_metrics_server_serves_only_its_page(office: Office) -> None:
    """Where it is asked for, to whoever asks in time; the port is free again when the daemon has ended."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    office.environment["METRICS_LISTEN"] = f"127.0.0.1:{port}"
    of = Metrics(office.settings, Daemon(office.settings).status, PollHealth(60))
    with closing(of):
        assert of.start()
        of.tell()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            answer = client.get("/metrics")
            assert (answer.text, answer.headers["content-type"]) == (
                text(of),
                "text/plain; version=0.0.4; charset=utf-8",
            )
            assert client.get("/").status_code == 404
            assert client.post("/metrics").status_code == 501
    socket.create_server(("127.0.0.1", port)).close()


def test_metrics_are_given_in_the_format_asked_for(office: Office) -> None:
    """It prefers OpenMetrics: the samples are the same, and none tells when a metric was created."""
    of, _ = drain(office, "auto_reply")
    found = told(of)
    server = prometheus.served("127.0.0.1:0", of.registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    asked = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"}
    answer = httpx.get(f"http://127.0.0.1:{server.server_address[1]}/metrics", headers=asked)
    server.shutdown()
    server.server_close()
    of.close()
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    *lines, end = answer.text.splitlines()
    assert {line.rpartition(" ")[0] for line in lines if not line.startswith("#")} == found.keys()
    assert end == "# EOF"


def test_metrics_are_complete_at_first_request(office: Office, tmp_path: Path) -> None:
    """Who asks as soon as the port is there reads what the daemon knows itself; so does who reads the file."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    file = tmp_path / "poller.prom"
    office.environment |= {"METRICS_LISTEN": f"127.0.0.1:{port}", "METRICS_TEXTFILE": str(file)}
    with closing(Metrics(office.settings, Daemon(office.settings).status, PollHealth(60))) as of:
        assert of.start()
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert read(answer)["figurative_in_hand"] == 0
        assert (
            f'figurative_build_info{{python="{platform.python_version()}",version="{version("figurative-poller")}"}}'
            in answer
        )
        assert file.read_text() == answer


def test_silent_metrics_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that says nothing is closed, and others are answered meanwhile."""
    monkeypatch.setattr(prometheus, "TIMEOUT_S", 0.05)
    server = prometheus.served("127.0.0.1:0", CollectorRegistry())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = server.server_address[:2]
    with socket.create_connection((str(address[0]), int(address[1])), timeout=5) as silent:
        silent.sendall(b"GET /met")
        assert httpx.get(f"http://{address[0]!s}:{address[1]}/metrics").status_code == 200
        assert silent.recv(1) == b""
    server.shutdown()
    server.server_close()


def test_occupied_metrics_port_is_retried(office: Office, logged: Callable[[], str]) -> None:
    """It is in the log, once, with its address."""
    with Listener(http(b"")) as other:
        listen = office.environment["METRICS_LISTEN"] = f"127.0.0.1:{other.port}"
        of = Metrics(office.settings, Daemon(office.settings).status, PollHealth(60))
        assert of.start()
        of.tell()
        assert re.findall(r"metrics_not_served .*reason='(\S+): ", logged()) == [listen]
    with closing(of):
        of.tell()
        assert httpx.get(f"http://{listen}/metrics").text == text(of)


def test_invalid_metrics_address_does_not_stop_daemon(office: Office, logged: Callable[[], str]) -> None:
    office.environment["METRICS_LISTEN"] = "nowhere.invalid:80"
    with closing(Metrics(office.settings, Daemon(office.settings).status, PollHealth(60))) as of:
        assert of.start()
    assert "metrics_not_served" in logged()


def test_metrics_file_is_complete_and_world_readable(office: Office, tmp_path: Path, logged: Callable[[], str]) -> None:
    """The collector is another user; where it cannot be written, that is logged once."""
    office.environment["METRICS_TEXTFILE"] = str(tmp_path / "poller.prom")
    of = Metrics(office.settings, Daemon(office.settings).status, PollHealth(60))
    assert of.start()
    of.tell()
    assert (tmp_path / "poller.prom").read_text() == text(of)
    assert (tmp_path / "poller.prom").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir() if "prom" in path.name] == ["poller.prom"]
    of.close()
    assert not (tmp_path / "poller.prom").exists(), "what is in it is true no more"
    office.environment["METRICS_TEXTFILE"] = str(tmp_path / "nowhere" / "poller.prom")
    of = Metrics(office.settings, Daemon(office.settings).status, PollHealth(60))
    of.tell()
    of.tell()
    said = logged()
    assert said.count("metrics_not_written") == 1
    assert f"{tmp_path}/nowhere/poller.prom: No such file or directory" in said
    of.close()


def test_daemon_writes_metrics_and_status_files(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it runs, every few seconds, for Prometheus and for `poller status`."""
    monkeypatch.setattr(loop, "WATCH_S", 0.05)
    file = tmp_path / "poller.prom"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    office.environment |= {"METRICS_TEXTFILE": str(file), "METRICS_LISTEN": f"127.0.0.1:{port}"}
    settings: Settings = loader.from_names({k: v for k, v in office.environment.items() if v})
    asked: SimpleQueue[Asked] = SimpleQueue()
    thread = threading.Thread(target=Loop(settings, asked).run, args=(lambda: settings,))
    office.sandbox.imap.deliver(samples()["auto_reply"])
    thread.start()
    tick = threading.Event()
    left = ""
    for _ in range(400):
        poll_status = status_file.read(office.state)
        left = file.read_text() if file.exists() else ""
        if 'outcome="ignored"} 1' in left and poll_status and poll_status.looked_at:
            break
        tick.wait(0.05)
    asked.put(STOP)
    thread.join()
    socket.create_server(("127.0.0.1", port)).close()
    assert read(left)['figurative_mails_total{outcome="ignored"}'] == 1
    found = status_file.read(office.state)
    assert found
    assert found.looked_at
    assert found.failing_since is None


def test_dashboard_and_metrics_cover_each_other(office: Office) -> None:
    """Every metric in it is one of ours, and every one of ours is in it."""
    board = json.loads((ROOT / "docs" / "grafana.json").read_text())
    exposed = names(Metrics(office.settings, Daemon(office.settings).status, PollHealth(60)))
    assert {
        re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"figurative_\w+", json.dumps(board))
    } == exposed
    assert set(re.findall(r"figurative_\w+", (ROOT / "systemd" / "README.md").read_text())) <= exposed


def test_dashboard_queries_match_exposed_metrics(office: Office) -> None:
    """What it asks for is exposed, with every label that it chooses, groups or names by."""
    office.sandbox.imap.deliver(samples()["ambiguous"])
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    health = PollHealth(60)
    health.good(datetime.now(UTC))
    of = Metrics(office.settings, daemon.status, health, daemon.claude)
    daemon.once(lambda *_: None)
    exposed: dict[str, set[str]] = {}  # the labels of each sample by its name
    for sample in told(of):
        exposed.setdefault(sample.partition("{")[0], set()).update(re.findall(r'(\w+)="', sample))
    of.close()
    board = json.loads((ROOT / "docs" / "grafana.json").read_text())
    for target in (target for panel in board["panels"] for target in panel["targets"]):
        (name,) = re.findall(r"figurative_\w+", target["expr"])
        said = re.findall(r'by \(([^)]+)\)|(\w+)[!=]~?"|\{\{(\w+)\}\}', target["expr"] + target["legendFormat"])
        labels = {label for group in said for each in group for label in re.findall(r"\w+", each)}
        assert labels <= exposed[name] | {"job"}, target["expr"]  # a job is Prometheus' own


def test_dashboard_is_valid_for_grafana() -> None:
    """As Grafana takes it in: a schema that it knows, panels beside and below each other, each on the chosen source."""
    board = json.loads((ROOT / "docs" / "grafana.json").read_text())
    assert 36 <= board["schemaVersion"] <= 41
    assert (board["uid"], bool(board["title"]), board.get("id")) == ("figurative-poller", True, None)
    variables = {each["name"]: each for each in board["templating"]["list"]}
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    covered: Counter[tuple[int, int]] = Counter()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        covered.update((at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"]))
        assert panel["type"] in {"stat", "timeseries", "state-timeline"}
        assert panel["title"]
        assert [target["refId"] for target in panel["targets"]] == list("ABC")[: len(panel["targets"])]
        for each in (panel, *panel["targets"]):
            assert each["datasource"] == source
        for variable in re.findall(r"\$(\w+)", json.dumps(panel["targets"])):
            assert variable in variables or variable.startswith("__")
    assert max(covered.values()) == 1, "no panel lies upon another"
