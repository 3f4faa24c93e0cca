"""The commands as a person at the keyboard meets them."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner, Result
from prometheus_client import CollectorRegistry, Gauge

from integrations.sandbox import Fault
from poller.cli.main import SECTIONS, commands
from poller.cli.samples import samples
from poller.monitoring import prometheus, status_file
from poller.workflow import lock
from tests.support.recording_server import Listener, http

if TYPE_CHECKING:
    from tests.conftest import Office


def run(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(commands, list(arguments), env=environment, catch_exceptions=False)


@pytest.fixture(autouse=True)
def _empty_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_help_imports_no_sdk() -> None:
    """`poller --help` answers at once, for it imports no SDK."""
    heavy = "anthropic boto3 hubspot dbos imapclient mailparser httpx apscheduler pydantic structlog jinja2"
    heavy += " prometheus_client"
    code = f"""
import sys
from poller.cli.main import commands
try:
    commands(["--help"])
except SystemExit:
    print([name for name in "{heavy}".split() if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert ended.stdout.splitlines()[-1] == "[]"


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
    """Whoever answers has been found."""

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


def test_classify_prints_category_without_services(tmp_path: Path) -> None:
    """Without any key, without a mailbox, and without creating anything."""
    mail = tmp_path / "mail.eml"
    mail.write_bytes(samples()["support"])
    verdict = json.loads(run("classify", str(mail), "--json").stdout)
    assert (verdict["category"], verdict["decided_by"]) == ("SUPPORT", "rules")
    assert verdict["confidence"] >= 0.9
    mail.write_bytes(samples()["auto_reply"])
    assert "IGNORED" in run("classify", str(mail)).stdout


@pytest.mark.parametrize("command", ["classify", "try"])
def test_classify_refuses_file_that_is_no_mail(tmp_path: Path, command: str) -> None:
    """A slip in the file's name is no support request."""
    file = tmp_path / "plan.pdf"
    file.write_bytes(b"%PDF-1.7\nNote: no header\n\nFrom: is not one here\n")
    result = run(command, str(file))
    assert result.exit_code == 2
    assert "plan.pdf is no mail" in result.stderr


def test_try_runs_all_steps_in_sandbox() -> None:
    """The built-in payload ends with a ticket, a subtask and two files, as JSON on standard output."""
    result = run("try", "--payload", "modelisation_with_files")
    assert result.exit_code == 0
    made = json.loads(result.stdout)
    assert made["outcome"] == "modelisation"
    assert made["ticket"]["url"].startswith("https://app.hubspot.com/")
    assert len(made["files"]) == 2


def test_try_live_uses_configured_services_without_mailbox(office: Office, tmp_path: Path) -> None:
    """The mail comes from a file; the ticket is real."""
    mail = tmp_path / "mail.eml"
    mail.write_bytes(samples()["support"])
    environment = {name: value for name, value in office.environment.items() if not name.startswith("IMAP_")}
    result = run("try", str(mail), "--live", environment=environment)
    assert json.loads(result.stdout)["outcome"] == "support"
    assert office.counts()["tickets"] == 1


def test_demo_shows_every_mail_and_mailbox() -> None:
    """Nothing is left in the inbox, and what was created is listed."""
    result = run("demo")
    assert result.exit_code == 0, result.output
    assert "INBOX (0)" in result.stdout
    assert "Modélisation du fauteuil Ondine" in result.stdout
    assert "At the services: 7 contacts, 7 tickets" in result.stdout


def test_short_help_of_commands_is_not_truncated() -> None:
    """A line each that says what it does, as the command itself says it, under one of four headings."""
    said = run("--help").stdout
    for title, section in SECTIONS.items():
        lines = said.partition(f"\n{title}:\n")[2].partition("\n\n")[0].splitlines()
        assert [line.split(maxsplit=1) for line in lines] == [[name, row.summary] for name, row in section.items()]
        for name, row in section.items():
            command = commands.get_command(click.Context(commands), name)
            assert command
            assert command.get_short_help_str(limit=200) == row.summary
    assert "--since DAY" in run("list", "--help").stdout


def test_invalid_date_option_shows_an_example() -> None:
    """What is none is said in a person's words."""
    result = run("list", "--since", "today")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        2,
        "Error: Invalid value for '--since': 'today' is not a day, for instance 2026-11-23",
    )


def test_missing_config_option_file_is_an_error() -> None:
    """A slip in --config is no silent default."""
    result = CliRunner().invoke(commands, ["--config", "nowhere.toml", "check"])
    assert result.exit_code == 78
    assert "nowhere.toml: no such file" in result.stderr


def test_list_status_and_show_report_every_message(office: Office) -> None:
    """From the memory alone, beside or without a daemon: ids and links, nothing of the content."""
    office.once(samples()["support"], samples()["modelisation_with_files"], samples()["auto_reply"])
    listed = run("list", environment=office.environment).stdout.splitlines()
    assert sorted(line.split()[3] for line in listed) == ["IGNORED", "MODELISATION", "SUPPORT"]
    assert run("list", "--failed", environment=office.environment).stdout == ""
    for day, count in (("2000-01-01", 3), ("2999-01-01", 0)):
        assert len(run("list", "--since", day, environment=office.environment).stdout.splitlines()) == count
    status = run("status", "--json", environment=office.environment)
    assert json.loads(status.stdout)["outcomes"] == {"support": 1, "modelisation": 1, "ignored": 1}
    reference = next(line.split()[2] for line in listed if "MODELISATION" in line)
    shown = json.loads(run("show", reference, "--json", environment=office.environment).stdout)
    done = [step["step"] for step in shown["steps"] if "ok" in step]
    assert done == [
        "receive",
        "classify",
        "upload_files",
        "upload_files",
        "find_or_create_contact",
        "create_ticket",
        "create_note",
        "create_subtask",
        "prepare_notification",
        "send_notification",
        "label",
    ]
    assert "Ondine" not in json.dumps(shown).replace("fauteuil-Ondine.glb", "")
    assert run("show", "0" * 16, environment=office.environment).exit_code == 1


def test_status_before_first_run_exits_78(office: Office, tmp_path: Path) -> None:
    """One line, exit code 78, and no state made by asking."""
    environment = office.environment | {"STATE_URL": f"sqlite:///{tmp_path}/none/poller.sqlite"}
    result = run("status", environment=environment)
    assert result.exit_code == 78
    assert "nothing has run yet" in result.stderr
    assert not (tmp_path / "none").exists()


def test_retry_moves_failed_message_to_inbox(office: Office) -> None:
    """`poller retry REF` is the mail client's drag by another hand: the next look goes on from the failed step."""
    office.fail("hubspot", Fault("status", "POST", "/crm/v3/objects/notes", status=400, times=None))
    (reference,) = office.once(samples()["modelisation_with_files"])
    assert run("status", environment=office.environment).exit_code == 1
    office.sandbox.hubspot.heal()
    assert run("retry", reference, environment=office.environment).exit_code == 0
    assert office.mailboxes() == {"INBOX": 1}
    again = run("retry", reference, environment=office.environment)
    assert run("retry", "--failed", environment=office.environment).stdout == again.stdout
    assert (again.exit_code, "already in INBOX" in again.stdout) == (0, True)
    assert [status.outcome for status in office.once().values()] == ["modelisation"]
    assert office.counts()["tickets"] == 1
    assert run("retry", reference, environment=office.environment).exit_code == 1
    assert run("retry", "--failed", environment=office.environment).stderr == "nothing to do\n"
    assert run("retry", environment=office.environment).exit_code == 2


def test_retry_all_leaves_mail_filed_by_a_person(office: Office) -> None:
    """Two that we filed go back in one go; the third was never ours."""
    office.fail("hubspot", Fault("status", "POST", "/crm/v3/objects/tickets", status=400, times=None))
    references = office.once(samples()["support"], samples()["bug"])
    with office.sandbox.imap.session() as client:
        client.append("Échecs", samples()["modelisation"])
    result = run("retry", "--failed", environment=office.environment)
    assert [line.split()[:3] for line in result.stdout.splitlines()] == [
        [reference, "is", "back"] for reference in sorted(references)
    ]
    assert office.mailboxes() == {"INBOX": 2, "Échecs": 1}


def test_dry_run_shows_steps_and_changes_nothing(office: Office) -> None:
    """No call, no label, no memory; what the rules are unsure of is said to be."""
    for name in ("support", "modelisation_with_files", "ambiguous", "auto_reply"):
        office.sandbox.imap.deliver(samples()[name])
    result = run("once", "--dry-run", environment=office.environment)
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["SUPPORT", "MODELISATION", "UNSURE", "IGNORED"]
    assert office.mailboxes() == {"INBOX": 4}
    assert office.sandbox.hubspot.requests == office.sandbox.anthropic.requests == office.sandbox.s3.requests == []
    assert run("list", environment=office.environment).stdout == ""


def test_dry_run_shows_requested_corrections(office: Office) -> None:
    """With what it would be dispatched as; and no mailbox to drag into is made for the looking."""
    run("once", "--dry-run", environment=office.environment)
    assert "Reclasser/Support" not in office.sandbox.imap.mailboxes()
    with office.sandbox.imap.session() as client:
        client.create_folder("Reclasser/Support")
        client.append("Reclasser/Support", samples()["modelisation_with_files"])
    (line,) = run("once", "--dry-run", environment=office.environment).stdout.splitlines()
    assert line.split("  ")[1:] == ["SUPPORT", "a person has put it into 'Reclasser/Support'"]
    assert office.mailboxes() == {"Reclasser/Support": 1}


def an_answer(writer: str) -> bytes:
    return (
        f"From: {writer}\r\nTo: support@figurative.example\r\nMessage-ID: <answer-of-{writer}>\r\n"
        "Date: Sun, 22 Nov 2026 10:00:00 +0100\r\nSubject: Re: Ondine\r\n"
        "In-Reply-To: <modelisation_with_files@samples.example>\r\n\r\nEn noyer, finalement.\r\n"
    ).encode()


def test_dry_run_recognises_reply_to_known_ticket(office: Office) -> None:
    """Behind a message that waits nobody can say; of a ticket that the memory knows, its customer's answer is one."""

    def said() -> list[tuple[str, str]]:
        lines = run("once", "--dry-run", "--json", environment=office.environment).stdout.splitlines()
        return [(message["outcome"], message["reason"]) for message in map(json.loads, lines)]

    assert run("once", "--dry-run", environment=office.environment).stderr == "nothing to do\n"
    office.sandbox.imap.deliver(samples()["modelisation_with_files"])
    office.sandbox.imap.deliver(an_answer("elise@martin-mobilier.example"))
    first, second = said()
    assert first[0] == "modelisation"
    assert second == ("unsure", "may be an answer: it names a message that still waits")
    assert {status.outcome for status in office.once().values()} == {"modelisation"}
    reference = run("list", environment=office.environment).stdout.split()[2]
    office.sandbox.imap.deliver(an_answer("Élise <ELISE@martin-mobilier.example>"))
    office.sandbox.imap.deliver(an_answer("somebody@else.example"))
    assert said() == [
        ("modelisation", f"an answer to {reference}: a note on its ticket"),
        ("unsure", f"may be an answer to {reference}: it is if the contact of that ticket wrote it"),
    ]
    office.once()
    assert office.counts()["tickets"] == 2


def test_status_exits_69_when_mailbox_is_not_polled(office: Office) -> None:
    """69 for whoever watches: nothing is done, whatever became of the messages before."""
    office.once(samples()["auto_reply"])
    assert "last good poll" not in run("status", environment=office.environment).stdout
    assert run("once", environment=office.environment).exit_code == 0
    fresh = run("status", environment=office.environment)
    assert (fresh.exit_code, fresh.stdout.splitlines()[-1][:16]) == (0, "last good poll 0"[:16])
    ago = datetime.now(UTC) - timedelta(minutes=6)
    status_file.StatusFile(office.state).leave(ago, ago, "IMAP: nothing listens there")
    late = run("status", environment=office.environment)
    assert late.exit_code == 69
    assert late.stdout.splitlines()[-2:] == [
        "last good poll 6 min ago",
        f"polls fail since {ago:%Y-%m-%d %H:%M:%S} UTC: IMAP: nothing listens there",
    ]
    slower = office.environment | {"IMAP_POLL_INTERVAL_S": "600"}
    found = run("status", "--json", environment=slower)
    assert (found.exit_code, json.loads(found.stdout)["last_poll_at"]) == (0, ago.isoformat())


def test_status_reports_if_daemon_runs(office: Office) -> None:
    """Mail that waits for nobody is to be noticed; whoever asks leaves the lock free."""
    office.once(samples()["auto_reply"])
    alone = run("status", environment=office.environment)
    assert (alone.exit_code, alone.stderr) == (0, "no daemon is running on this state\n")
    with lock.lock(office.state):
        assert run("status", environment=office.environment).stderr == ""


def test_dev_script_keeps_working_directory(tmp_path: Path) -> None:
    """`dev poller classify mail.eml` reads the mail of the directory you are in, whatever else lies there."""
    (tmp_path / "mail.eml").write_bytes(samples()["support"])
    (tmp_path / "poller").mkdir()
    (tmp_path / "poller" / "__init__.py").write_text("raise SystemExit('not ours')")
    command = [sys.executable, Path(__file__).parents[2] / "dev", "poller", "classify", "mail.eml"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert "SUPPORT" in ended.stdout, ended.stderr


def test_old_mail_is_skipped_without_all_option(office: Office) -> None:
    """The first run on an old mailbox touches nothing from before its day, and `--all` takes the rest."""
    old = datetime.now(UTC) - timedelta(days=3)
    with office.sandbox.imap.session() as client:
        client.append("INBOX", samples()["modelisation"], msg_time=old)
    office.once(samples()["support"])
    assert office.mailboxes() == {"INBOX": 1, "Support": 1}
    early = office.environment | {"IMAP_SINCE": (old.date() + timedelta(days=1)).isoformat()}
    assert run("once", environment=early).stdout == ""
    assert "MODELISATION" in run("once", "--all", environment=early).stdout
    assert office.mailboxes() == {"Modélisation": 1, "Support": 1}


@pytest.mark.parametrize(
    "command", [["status"], ["list"], ["show", "0" * 16], ["audit"], ["purge", "--older-than", "9"]]
)
@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("sqlite:///none.sqlite", 78, "nothing has run yet"),
        ("sqlite:///text.sqlite", 78, "is no SQLite database"),
        ("sqlite:///empty.sqlite", 78, "nothing has run on it yet"),
        ("postgresql://poller@127.0.0.1:1/poller", 75, "the database is out of reach"),
    ],
)
def test_unreadable_state_is_one_error_line(office: Office, command: list[str], url: str, code: int, says: str) -> None:
    """Whatever is asked of it, and without a trace of Python."""
    Path("text.sqlite").write_text("no database " * 100)
    Path("empty.sqlite").touch()
    result = run(*command, environment=office.environment | {"STATE_URL": url})
    assert result.exit_code == code
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_config_shows_settings_with_origin_and_no_secret(office: Office) -> None:
    """In the environment, in a file with its line, or by default."""
    Path("config.toml").write_text("[labels]\n\nsupport = 'Clients'\n[imap]\nsince = 2026-11-22\n")
    environment = {name: value for name, value in office.environment.items() if name != "LABELS_SUPPORT"}
    lines = run("config", "show", environment=environment).stdout.splitlines()
    shown = {tuple(line.split()[:2]): line.split()[2:] for line in lines}
    assert shown["[labels]", "support"] == ['"Clients"', "config.toml:3"]
    assert shown["[imap]", "tenant"] == shown["[imap]", "token_url"] == ['""', "default"]
    assert shown["[imap]", "since"] == ["2026-11-22", "config.toml:5"]
    assert shown["[canary]", "late_min"] == ["10", "default"]
    assert shown["[r2]", "public_url"][0] == f'"{office.environment["R2_PUBLIC_URL"].rstrip("/")}"'
    assert shown["[imap]", "password"] == ["set", "environment"]
    assert shown["[state]", "workers"] == ["8", "default"]
    as_json = run("config", "show", "--json", environment=environment).stdout
    assert {"name": "[labels] support", "value": "Clients", "source": "config.toml:3"} in [
        json.loads(line) for line in as_json.splitlines()
    ]
    assert office.environment["HUBSPOT_API_KEY"] not in as_json + "".join(lines)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_lists_commands(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script asks us for the words, and is told the commands."""
    script = run("completion", shell).stdout
    assert f"_POLLER_COMPLETE={shell}_complete" in script
    monkeypatch.setenv("_POLLER_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", "poller s")
    monkeypatch.setenv("COMP_CWORD", "1" if shell != "fish" else "s")
    result = CliRunner().invoke(commands, prog_name="poller")
    assert {
        word
        for word in result.stdout.replace(",", " ").split()
        if word in commands.list_commands(click.Context(commands))
    } == {
        "setup-hubspot",
        "show",
        "status",
    }


def test_purge_prints_counts(office: Office) -> None:
    """Counts on standard output; DAYS is at least as long as a sender's turns are counted."""
    office.once(samples()["auto_reply"])
    young = run("purge", "--older-than", "2", environment=office.environment)
    assert (young.exit_code, young.stdout, young.stderr) == (0, "", "nothing is old enough\n")
    with sqlite3.connect(office.state / "poller.sqlite") as store:
        store.execute("UPDATE workflow_status SET updated_at = 0 WHERE name = 'message'")
    store.close()
    counted = run("purge", "--older-than", "2", "--dry-run", "--json", environment=office.environment)
    assert json.loads(counted.stdout)["ignored"] == 1
    assert run("purge", "--older-than", "2", environment=office.environment).stdout.split() == ["1", "IGNORED"]
    assert run("list", environment=office.environment).stdout == ""
    assert run("purge", "--older-than", "1", environment=office.environment).exit_code == 2
