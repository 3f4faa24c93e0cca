"""The memory: which steps of a message are done and what each returned. The only module that knows dbos.

A message is one durable workflow whose id is its reference. It runs in a worker until it is finished or must wait. A
wait ends the workflow, so that it occupies no worker, and `resume` takes it up again behind its last recorded entry.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID, WorkflowStatus

from integrations.errors import ConfigurationError
from poller.gates import Floor, Gate
from poller.journal import Journal, MessageGoneError, MustWaitError, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

QUEUE = "messages"
# Recorded rows are replayed by position: a later release inserts a step only at the end or behind DBOS.patch.
APPLICATION_VERSION = "1"
# Behind every entry: nothing is forgotten, the replay reads all of them and goes on.
END = 2**31 - 1
AFTER_A_FAULT = timedelta(minutes=5)
MACHINE_SLOTS = 16  # daemons that may share one state directory over PostgreSQL


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a message stands."""

    outcome: str  # "working", "waiting", "gone", "failed", "ignored", "support", "modelisation"
    until: datetime | None = None  # of a waiting one
    result: dict[str, Any] | None = None  # what the work returned, of a finished one: ids, URLs, reasons


class AlreadyRunningError(ConfigurationError):
    """Another daemon works on this state."""


class Engine:
    """Runs messages through `work`, a few at a time, each from its first unfinished step.

    One at a time in a process: dbos is a singleton, and so are the workflows registered with it.
    """

    def __init__(
        self,
        url: str,
        directory: Path,
        work: Callable[[Journal], dict[str, Any]],
        *,
        workers: int = 4,
        patience: Patience | None = None,
        poll_s: float = 0.2,
    ) -> None:
        """`directory` holds the lock and this machine's name; `work` returns JSON with an `outcome`."""
        self._url, self._directory, self._work, self._workers = url, directory, work, workers
        self._patience, self._poll_s = patience or Patience(), poll_s
        self._floor = Floor()
        self._lock: IO[str] | None = None
        self._in_hand: set[str] = set()
        self.gates: dict[str, Gate] = {}
        self.fault: ConfigurationError | None = None  # settings that cannot work, found on the way

    def start(self) -> None:
        """Take the state, launch dbos, and go on with what was in hand when the process last ended.

        Raises:
            AlreadyRunningError: the state is another daemon's.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock, executor = _take_slot(self._directory, 1 if self._url.startswith("sqlite") else MACHINE_SLOTS)
        if self._url.startswith("sqlite"):
            _write_ahead(self._url)
        global _running  # noqa: PLW0603  dbos finds the workflow by name, so what it works with is the process's.
        _running = self
        config = DBOSConfig(
            name="figurative-poller",
            system_database_url=self._url,
            application_version=APPLICATION_VERSION,
            executor_id=executor,
            serializer=DBOSPortableJSONSerializer(),
            max_executor_threads=self._workers + 4,
            log_level="WARNING",
        )
        DBOS(config=config)
        logging.getLogger("dbos").setLevel(logging.WARNING)
        DBOS.launch()
        DBOS.register_queue(
            QUEUE, worker_concurrency=self._workers, polling_interval_sec=self._poll_s, on_conflict="always_update"
        )

    def stop(self, timeout_s: int = 60) -> None:
        """Finish the messages in hand, take no further one, and let go of the state."""
        # dbos waits a whole second before it looks whether anything is in hand.
        DBOS.destroy(workflow_completion_timeout_sec=timeout_s if self._in_hand else 0)
        if self._lock:
            self._lock.close()

    def submit(self, reference: str) -> None:
        """Queue a message; one that is known already is left as it is."""
        with SetWorkflowID(reference):
            DBOS.enqueue_workflow(QUEUE, _message, reference)

    def standings(self, references: Iterable[str]) -> dict[str, Standing]:
        """Where each message stands; one that was never submitted is missing."""
        wanted = list(references)
        found: dict[str, Standing] = {}
        for start in range(0, len(wanted), 500):
            rows = DBOS.list_workflows(workflow_ids=wanted[start : start + 500], load_input=False)
            found |= {row.workflow_id: _standing(row) for row in rows}
        return found

    def resume(self, reference: str) -> None:
        """Take a finished message up again: a waiting one where it stopped, a failed one from the failed step."""
        start = END
        standing = self.standings([reference])[reference]
        if standing.outcome == "failed" and standing.result:
            # What was done about the failure is forgotten, and the step that failed is tried once more.
            steps = [step for step in DBOS.list_workflow_steps(reference) if "fatal" in (step["output"] or ())]
            start = 1 + max(s["function_id"] for s in steps if s["function_name"] == standing.result["step"])
        DBOS.rewind_workflow(reference, queue_name=QUEUE, start_step=start)

    def execute(self, reference: str) -> dict[str, Any]:
        """Work on a message until it is finished or must wait: the workflow's body."""
        journal = Journal(
            reference,
            lambda name, make: DBOS.run_step({"name": name}, make),
            floor=self._floor,
            gates=self.gates,
            patience=self._patience,
            halt=self._halt,
        )
        self._in_hand.add(reference)
        try:
            return self._work(journal)
        except MustWaitError as wait:
            until = wait.until.isoformat()
            return {
                "outcome": "waiting",
                "step": wait.step,
                "reason": wait.reason,
                "until": until,
                "gate": wait.gate,
            }
        except MessageGoneError:
            return {"outcome": "gone"}
        finally:
            self._in_hand.discard(reference)

    def _halt(self, fault: ConfigurationError) -> None:
        self.fault = fault


_running: Engine | None = None


@DBOS.workflow(name="message", max_recovery_attempts=1_000_000)  # type: ignore[untyped-decorator,unused-ignore]
def _message(reference: str) -> dict[str, Any]:
    """One message. Deaths are counted a step by the journal; dbos would count the neighbours in hand as well."""
    if _running is None:
        raise RuntimeError("the engine is not running")
    return _running.execute(reference)


def _standing(row: WorkflowStatus) -> Standing:
    if row.status in {"ENQUEUED", "PENDING", "DELAYED"}:
        return Standing("working")
    if row.status != "SUCCESS":
        # A fault in our own workflow, outside of any step: the message stays where it is and is tried again later.
        ended = datetime.fromtimestamp((row.updated_at or 0) / 1000, UTC)
        return Standing("waiting", ended + AFTER_A_FAULT, {"step": "", "reason": "internal error", "gate": ""})
    result: dict[str, Any] = row.output or {}
    until = datetime.fromisoformat(result["until"]) if "until" in result else None
    return Standing(result["outcome"], until, result)


def _take_slot(directory: Path, slots: int) -> tuple[IO[str], str]:
    """A lock that this process holds until it ends, and the executor's name that goes with it, the same every time."""
    name_file = directory / "machine"
    if not name_file.exists():
        name_file.write_text(uuid4().hex[:12])
    for slot in range(slots):
        lock = os.fdopen(os.open(directory / f"daemon-{slot}.lock", os.O_RDWR | os.O_CREAT, 0o600), "a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return lock, f"{name_file.read_text().strip()}-{slot}"
    raise AlreadyRunningError(f"a poller is already running on this state ({directory})")


def _write_ahead(url: str) -> None:
    """Let readers of the SQLite file not hold up the daemon (https://sqlite.org/wal.html)."""
    path = url.split("///", 1)[1]
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA secure_delete=ON")
    connection.close()
