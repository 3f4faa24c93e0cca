"""What a long memory costs: a state that remembers very many messages, against an empty one.

Of a million messages 20 failed, 20 wait, and 1,000 were corrected. Each has two facts. They came over a year.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import click

from integrations.sandbox import Sandbox
from poller.cli.main import commands
from poller.config import loader
from poller.daemon.daemon import Daemon
from poller.model import Category, Link, Outcome
from poller.monitoring.metrics import Metrics
from poller.monitoring.poll_health import PollHealth
from poller.workflow.engine import Engine
from poller.workflow.results import Participants, WorkResult
from poller.workflow.steps import StepName
from tests.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from poller.workflow.journal import Journal

BENCH = "memory"
MARK = "cost"  # begins a line that a measured process prints
MB = 1 << 20
CPU_S, MEMORY_BYTES = 0.1, 50 * MB  # over the empty state, at most
AT_ONCE = 10_000
OVER = timedelta(days=365)
TABLES = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")
MOMENTS = ("created_at", "updated_at", "completed_at", "started_at_epoch_ms", "completed_at_epoch_ms")
CORRECTED = "00000000000000c0"
_DONE = WorkResult(
    Outcome.SUPPORT,
    category=Category.SUPPORT,
    people=Participants("c" * 32, "w" * 32),
    decided_by="rules",
    contact_id="12345678901",
    ticket=Link("12345678902", "https://app.hubspot.com/contacts/1234567/record/0-5/12345678902"),
    note_id="12345678903",
    files=("https://files.figurative.example/0123456789abcdef0123456789abcdef/1",),
)
_WAITS = WorkResult(
    Outcome.WAITING, step=StepName.CREATE_TICKET, reason="HubSpot: 429", until=datetime(2099, 1, 1, tzinfo=UTC)
)
# A message of each kind, which is worked on by the engine, and whose rows are then repeated.
MODELS = {
    "00000000000000a0": _DONE,
    "00000000000000a1": WorkResult(Outcome.IGNORED, reason="automatic answer"),
    "00000000000000a2": WorkResult(Outcome.FAILED, step=StepName.CREATE_TICKET, reason="HubSpot: 400"),
    "00000000000000a3": _WAITS,
    CORRECTED: _DONE,
    f"{CORRECTED}/modelisation/1": WorkResult(Outcome.MODELISATION, category=Category.MODELISATION),
}
DONE, IGNORED, FAILED, WAITING, *_ = MODELS
THREAD, SENDER = "thread-0", "sender-0"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process, or a part of it, took."""

    cpu_s: float
    peak_bytes: int


def fill(url: str, directory: Path, messages: int, tell: Callable[[str], object]) -> None:
    """Write that many messages into an empty state, a kind of each by the engine, the rest into its tables."""
    engine = Engine(url, directory, _work)
    engine.start()
    for each in MODELS:
        engine.submit(each)
    for key in (THREAD, SENDER):
        engine.store.remember(key, DONE)
    while engine.in_hand():
        time.sleep(0.01)
    engine.stop()
    began_ms = int((datetime.now(UTC) - OVER).timestamp() * 1000)
    step_ms = OVER // timedelta(milliseconds=1) / messages
    with closing(sqlite3.connect(url.split("///", 1)[1])) as state:
        state.execute("PRAGMA synchronous = OFF")
        state.execute("PRAGMA cache_size = -400000")
        state.execute("CREATE TEMP TABLE planned (model TEXT, name TEXT, at_ms INTEGER)")
        for first in range(0, messages, AT_ONCE):
            some = range(first, min(first + AT_ONCE, messages))
            rows = [(*row, began_ms + int(step_ms * i)) for i in some for row in _rows_of(i, messages)]
            state.executemany("INSERT INTO planned VALUES (?, ?, ?)", rows)
            for table in TABLES:
                _repeat(state, table)
            state.execute("DELETE FROM planned")
            state.commit()
            if first % 100_000 == 0:
                tell(f"memory: {first} of {messages} messages")


def _work(journal: Journal) -> WorkResult:
    return MODELS[journal.reference]


def _rows_of(number: int, messages: int) -> Iterator[tuple[str, str]]:
    """Yield the workflows of a message: the model of each, and its id."""
    reference = sha256(b"%d" % number).hexdigest()[:16]
    model = DONE if number % 4 else IGNORED
    if number % (messages // 20) in {1, 2}:
        model = FAILED if number % (messages // 20) == 1 else WAITING
    yield model, reference
    if number % 1_000 == 3:
        yield f"{CORRECTED}/modelisation/1", f"{reference}/modelisation/1"
    yield THREAD, f"thread-{reference}"
    yield SENDER, f"sender-{number % 5_000}-{number}"


def _repeat(state: sqlite3.Connection, table: str) -> None:
    """Repeat the rows of the models under the planned names."""
    columns = [name for _, name, *_ in state.execute(f"PRAGMA table_info({table})")]
    moved = {name: f"iif({name} IS NULL, NULL, at_ms)" for name in MOMENTS} | {"workflow_uuid": "planned.name"}
    values = ", ".join(moved.get(name, f'{table}."{name}"') for name in columns)
    state.execute(f"INSERT INTO {table} SELECT {values} FROM planned JOIN {table} ON workflow_uuid = model")  # noqa: S608


def run(messages: int, tell: Callable[[str], object]) -> list[Row]:
    """Fill a state, and compare what each command takes with what it takes on an empty one."""
    with tempfile.TemporaryDirectory(prefix="memory-") as place, Sandbox() as box:
        costs = []
        for number in (0, messages):
            directory = Path(place, str(number))
            directory.mkdir()
            environment = box.environment() | {"STATE_URL": f"sqlite:///{directory / 'poller.sqlite'}"}
            if number:
                fill(environment["STATE_URL"], directory, number, tell)
            else:
                _measured(environment, directory)  # makes the tables
            costs.append(_costs(environment, directory))
            tell(f"memory: measured with {number} messages")
        size_mb = sum(path.stat().st_size for path in directory.iterdir()) // MB
    base, full = costs
    return [
        Row(BENCH, "messages, and the size of the state", f"{messages}, {size_mb} MB"),
        *(_row(what, base[what], cost) for what, cost in full.items()),
    ]


def _row(what: str, base: Cost, full: Cost) -> Row:
    cpu_s, more_bytes = full.cpu_s - base.cpu_s, full.peak_bytes - base.peak_bytes
    counted = f"{cpu_s * 1000:+.0f} ms of processor, {more_bytes / MB:+.0f} MB"
    if what in UNBOUNDED:
        return Row(BENCH, what, counted, f"at most {MEMORY_BYTES // MB:+} MB", good=more_bytes <= MEMORY_BYTES)
    expected = f"at most {CPU_S * 1000:+.0f} ms, {MEMORY_BYTES // MB:+} MB"
    return Row(BENCH, what, counted, expected, good=cpu_s <= CPU_S and more_bytes <= MEMORY_BYTES)


COMMANDS = {
    "status": ["status"],
    "list --failed": ["list", "--failed"],
    "list --waiting": ["list", "--waiting"],
    "list --since yesterday, --failed": ["list", "--failed", "--since"],
    "retry --failed": ["retry", "--failed"],
    "list": ["list"],
    "purge --dry-run, of half of it": ["purge", "--dry-run", "--older-than", str(OVER.days // 2)],
}
UNBOUNDED = ("list", "purge --dry-run, of half of it")  # their time is that of what they print or delete


def _costs(environment: dict[str, str], directory: Path) -> dict[str, Cost]:
    found = _measured(environment, directory)
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    for what, arguments in COMMANDS.items():
        dated = [*arguments, yesterday] if arguments[-1] == "--since" else arguments
        (found[what],) = _measured(environment, directory, *dated).values()
    return found


def _measured(environment: dict[str, str], directory: Path, *arguments: str) -> dict[str, Cost]:
    """Run a command, or without arguments the daemon for a look and its metrics, in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.memory", json.dumps(environment), *arguments]
    variables = os.environ | environment | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=variables, cwd=directory, stdout=subprocess.PIPE, text=True, check=True)
    lines = [line.split("\t") for line in done.stdout.splitlines() if line.startswith(MARK)]
    return {what: Cost(float(cpu_s), int(peak)) for _, what, cpu_s, peak in lines}


def main() -> None:
    """Be the process that is measured, with the settings and the command that are given."""
    environment, *arguments = sys.argv[1:]
    began_s = time.process_time()
    if arguments:
        with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing), suppress(click.exceptions.Exit):
            commands.main(arguments, standalone_mode=False)
        _tell(" ".join(arguments), time.process_time() - began_s)
        return
    settings = loader.from_names(json.loads(environment))
    daemon, health = Daemon(settings), PollHealth(settings.imap.poll_interval_s)
    metrics = Metrics(settings, daemon.status, health)
    for what, act in (
        ("start", daemon.start),
        ("a look", daemon.poll),
        ("another look", daemon.poll),
        ("metrics, the first time", metrics.tell),
        ("metrics", metrics.tell),
    ):
        began_s = time.process_time()
        act()
        _tell(what, time.process_time() - began_s)
    metrics.close()
    daemon.stop(0)


def _tell(what: str, cpu_s: float) -> None:
    # Unlike getrusage's, this peak does not begin with the memory of the process that started this one.
    (peak_kb,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(MARK, what, cpu_s, int(peak_kb) * 1024, sep="\t")  # noqa: T201  the parent reads it


if __name__ == "__main__":
    main()
