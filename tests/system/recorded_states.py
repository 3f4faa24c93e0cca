"""States that a release left behind: what was remembered, and the world around it, as files that a person can read.

A recorded state is a folder `states/<release>/<case>`. In it `state.sql.gz` holds the rows of the SQLite database,
whose tables are in the release's `schema.sql`; zcat shows them. `case.json` says what the state is, which settings are
not the stand-ins' own, and what must be there in the end. `world.json` holds the mailboxes, and what lay at the
services.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from poller.rendering import incident
from poller.workflow.database import open_store
from tests.system import world

if TYPE_CHECKING:
    from tests.conftest import Office

STATES = Path(__file__).parent / "states"
SCHEMA, STATE, CASE, WORLD = "schema.sql", "state.sql.gz", "case.json", "world.json"
# Links to files are remembered, and the stand-in's own address is another one each time.
ENVIRONMENT = {"R2_PUBLIC_URL": "https://files.figurative.example", "RECEIPTS_ENABLED": "true"}
OWN = (
    "IMAP_MAX",
    "IMAP_OWN",
    "IMAP_AUTHSERV",
    "ACKNOWLEDGEMENT",
)  # how the names of the settings begin that a state may have
# By these columns the memory says how long ago something was. It looks back for a month at most, and files lie longer.
CLOCKS = ("created_at", "updated_at", "completed_at")
HOST = "poller-1"  # the machine whose alert is recorded: a made-up one
PARIS = ZoneInfo("Europe/Paris")
CAUSE = incident.refused("hubspot", "HubSpot: HTTP 401", HOST)  # what that alert is of


@dataclass(frozen=True, slots=True)
class Act:
    """What happens to the mailbox before a run of the new daemon, and how much there is of everything behind it."""

    counts: dict[str, int]  # what is not named there is none of
    mailboxes: dict[str, int]
    outcomes: list[str]  # of all messages and corrections, sorted
    drag: list[str] = field(default_factory=list)  # from, to, and what is searched for there
    deliver: list[str] = field(default_factory=list)  # the lines of a mail

    def happen(self, office: Office) -> None:
        """Do what a person or a customer does."""
        if self.drag:
            source, target, *search = self.drag
            with office.sandbox.imap.session() as client:
                client.select_folder(source)
                client.move(client.search(search), target)
        if self.deliver:
            office.sandbox.imap.deliver(world.mail(self.deliver))


@dataclass(frozen=True, slots=True)
class Case:
    """A state, and what becomes of it."""

    what: str  # in a sentence
    category: str  # that Claude gives to what the rules are unsure about
    environment: dict[str, str]  # beside the stand-ins'
    recorded_at: str
    facts: dict[str, str]  # all that is kept under keys
    acts: list[Act]


def recorded() -> list[Path]:
    """The folders of all states of all releases."""
    return sorted(path.parent for path in STATES.glob(f"*/*/{CASE}"))


def load(folder: Path, office: Office) -> Case:
    """Put a state and its world into an office that has neither."""
    found = json.loads((folder / CASE).read_text())
    case = Case(**found | {"acts": [Act(**act) for act in found["acts"]]})
    office.environment |= ENVIRONMENT | case.environment
    decide(office, case.category)
    world.put_back(office.sandbox, json.loads((folder / WORLD).read_text()))
    path = office.state / "poller.sqlite"
    for left in office.state.glob("poller.sqlite*"):
        left.unlink()
    age = datetime.now(UTC) - datetime.fromisoformat(case.recorded_at)
    moved = ", ".join(f"{clock} = {clock} + :age_ms" for clock in CLOCKS)
    rows = gzip.decompress((folder / STATE).read_bytes()).decode()
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript((folder.parent / SCHEMA).read_text() + rows)
        database.execute(f"UPDATE workflow_status SET {moved}", {"age_ms": int(age.total_seconds() * 1000)})  # noqa: S608
    return case


def keep(folder: Path, office: Office, what: str, category: str, acts: list[Act]) -> None:
    """Write down where an office stands, whose daemon has ended."""
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(office.state / "poller.sqlite")) as database:
        statements = list(database.iterdump())
    rows = [statement for statement in statements if statement.startswith("INSERT")]
    tables = [statement for statement in statements if statement.startswith("CREATE")]
    (folder.parent / SCHEMA).write_text("\n".join(tables) + "\n")
    (folder / STATE).write_bytes(gzip.compress("\n".join([*rows, ""]).encode(), mtime=0))
    own = {name: value for name, value in office.environment.items() if name.startswith(OWN)}
    now = datetime.now(UTC).isoformat()
    _write(folder / CASE, asdict(Case(what, category, own, now, facts(office), acts)))
    _write(folder / WORLD, world.taken(office.sandbox))


def decide(office: Office, category: str) -> None:
    """Let Claude give this category to what the rules are unsure about."""
    office.sandbox.anthropic.decide = lambda _: {"category": category, "confidence": 0.9, "reason": "Une phrase."}


def facts(office: Office) -> dict[str, str]:
    """All that is kept under keys."""
    with closing(open_store(office.settings)) as store:
        return store.facts("")


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")
