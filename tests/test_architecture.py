"""The walls stand where ARCHITECTURE.md says: proved from the imports themselves."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for folder in ("poller", "integrations") for path in (ROOT / folder).rglob("*.py"))

# From the top down: a module imports only from rooms below its own, or from its own floor's left.
FLOORS = (
    {"__main__"},
    {"cli"},
    {"enquiries", "mends", "tryouts"},
    {"console"},
    {"trial", "preview", "audit", "purge", "reports", "forms", "tally"} | {"examples", "evaluation"},
    {"demo"},
    {"loop"},
    {"lookout", "reload"},
    {"metrics"},
    {"daemon", "checks"},
    {"pipeline"},
    {"replies", "reclassify"},
    {"letters"},
    {"steps", "creations"},
    {"job"},
    {"form_intake", "sightings"},
    {"services", "limits", "alerts", "receipts", "digest", "letterbox", "form_page", "form_api", "trays"},
    {"workload"},
    {"engine", "inbox", "confined", "idle"},
    {"durable", "labelling"},
    {"filed", "looks", "sessions"},
    {"fetching", "source"},
    {"mailbox", "parsing", "screening", "classification", "notification", "causes", "canary", "form_message"},
    {"letter", "senders", "automatic", "reading", "form_fields", "corrections", "amendment"},
    {"files"},
    {"parts", "programs"},
    {"journal", "texts", "rules", "threads", "memory", "machines", "spool", "bodies", "quoting"}
    | {"contents", "forwards", "links", "rtf", "smime", "tnef", "uuencode"}
    | {"authentication", "filing", "hierarchy", "form_access", "form_connections", "idling", "keywords"},
    {"searching"},
    {"addresses", "configuration", "connection", "arrivals", "days"},
    {"mistakes"},
    {"oauth", "refusals", "given", "attempts", "standing"},
    {"gates", "history", "transfer", "vocabulary", "wording", "chart", "headers", "settings"},
    {"logs", "samples", "state", "accounts", "form_settings"},
    {"section"},
    {"escaping", "endpoints", "fates", "formats", "systemd", "pulse", "heap", "heartbeat", "signs", "exposition"}
    | {"form_limits", "form_problems"},
    {"charsets", "signatures"},
    {"request"},
)
# Which library is known to which room alone.
OWNERS = {
    "dbos": {"poller/durable.py", "poller/engine.py", "poller/memory.py"},
    "psycopg": {"poller/machines.py", "poller/state.py"},
    "imapclient": {
        f"poller/{room}.py"
        for room in ("connection", "filing", "hierarchy", "idling", "keywords", "mailbox", "searching")
    },
    "mailparser": {"poller/parts.py"},
    "apscheduler": {"poller/loop.py"},
    "anthropic": {"integrations/claude.py"},
    "boto3": {"integrations/r2.py"},
    "hubspot": {"integrations/hubspot_crm.py", "integrations/hubspot_call.py"},
    "smtplib": {"integrations/smtp.py"},
    "google": {"integrations/google.py"},
    "msal": {"integrations/microsoft.py"},
    "inscriptis": {"poller/bodies.py"},
    "pybase64": {"poller/transfer.py"},
    "starlette": {"poller/forms.py"},
    "uvicorn": {"poller/forms.py", "poller/form_connections.py"},
    "python_multipart": {"poller/form_fields.py"},
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_each_library_is_imported_by_one_module(path: Path) -> None:
    """What must change with a library stands in one place; the sandbox plays the other side of the wire."""
    if "sandbox" in path.parts:
        return
    for library, owners in OWNERS.items():
        known = any(imported.partition(".")[0] == library for imported in imports(path))
        assert not known or name(path) in owners, f"{name(path)} knows {library}"


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[-2] == "poller"], ids=name)
def test_imports_have_no_cycle(path: Path) -> None:
    """No room imports from above itself, so there is no cycle."""
    floors = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    if path.stem == "__init__":
        return
    rooms = {imported.split(".")[1] for imported in imports(path) if re.match(r"poller\.\w", imported)}
    for room in rooms:
        assert floors[room] > floors[path.stem], f"{path.stem} imports {room}"


@pytest.mark.parametrize("path", [path for path in MODULES if "integrations" in path.parts], ids=name)
def test_integrations_do_not_import_poller(path: Path) -> None:
    """A service module could serve another program."""
    assert not {imported for imported in imports(path) if imported.partition(".")[0] == "poller"}


def test_only_one_place_catches_exception() -> None:
    """`except Exception` contains a message's failure, and nothing else does."""
    broad = [
        name(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    ]
    assert broad == ["poller/journal.py"]


def test_python_with_buffering_imaplib_is_refused() -> None:
    """IDLE looks into the file that imaplib reads from, and 3.14's reads past it."""
    wanted = re.search(r'^requires-python = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert wanted
    assert not SpecifierSet(wanted[1]).contains("3.14.0")
    assert SpecifierSet(wanted[1]).contains("3.13.9")


def test_lock_files_match_pyproject() -> None:
    """Both lock files pin every direct dependency, with hashes and without an address."""
    text = (ROOT / "pyproject.toml").read_text()
    wanted = re.findall(r"^dependencies = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)[0]
    for lock in ("requirements.lock", "requirements-dev.lock"):
        pinned = (ROOT / lock).read_text()
        assert "://" not in pinned
        for package in re.findall(r'^\s+"([\w-]+)', wanted, re.MULTILINE):
            assert re.search(rf"^{package}==\S+ .*\\\n    --hash=sha256:", pinned, re.MULTILINE), f"{package} in {lock}"
