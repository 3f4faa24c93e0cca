"""Canaries: a value in every secret, and a person in every mail, that no command, failure, log or state may name.

Everything is done once, in good health and in bad; then what was written is read for them.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from integrations.sandbox import Fault, Sandbox
from integrations.sandbox.imap import imap_server
from poller import logs
from poller.cli.main import commands
from poller.cli.samples import picture, triangle
from poller.config.section import is_secret
from poller.config.settings import sections
from poller.own_mail import notification_id
from poller.parsing import parser
from poller.triage import attachment_policy, classification, screening
from tests.support.rendered_texts import Outputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.forked_cli import Fork, Forks

pytestmark = pytest.mark.timeout(300)  # a day's commands, one after the other

SECRETS = {
    "ANTHROPIC_API_KEY": "sk-ant-kanari-1f3a",
    "HUBSPOT_API_KEY": "pat-kanari-2b7c",
    "CLICKUP_API_KEY": "pk_kanari_3d90",
    "R2_ACCESS_KEY_ID": "kanari4444aaaabbbbccccddddeeee55",
    "R2_SECRET_ACCESS_KEY": "kanari-5e21-secret",
    "SMTP_PASSWORD": "kanari-6-pass-word",
    "IMAP_PASSWORD": "kanari-7-pass-word",
    "IMAP_CLIENT_SECRET": "kanari-9-client-secret",
    "IMAP_REFRESH_TOKEN": "kanari-a-refresh-token",
    "FORMS_TOKENS": "contact=kanari-b-token-of-a-form",
    "FORMS_SIGNING_KEYS": "quote=kanari-c-key-of-a-form",
    "STATE_URL": "postgresql://poller:kanari-8-pass-word@127.0.0.1:9/poller",
}
PERSON = ("quenelline", "brouillamini", "tarabiscote", "xylophanie", "galimatias")
FILE = "ratatouillon"
# As they are, in base64, and as the database's URL holds one.
WORDS = [
    *SECRETS.values(),
    *(base64.b64encode(value.encode()).decode() for value in SECRETS.values()),
    base64.b64encode(f"\0robot\0{SECRETS['SMTP_PASSWORD']}".encode()).decode(),
    "kanari-8-pass-word",
    "kanari-b-token-of-a-form",
    "kanari-c-key-of-a-form",
    "kanari-wrong",
]


def a_mail(number: int, text: str, **fields: str) -> bytes:
    """A mail of a person who is nowhere else, with a 3D file and a photo where it asks for modelling."""
    message = EmailMessage()
    message["From"] = "Quenelline Brouillamini <quenelline@tarabiscote.example>"
    message["To"], message["Subject"] = "support@figurative.example", f"Xylophanie {number}"
    message["Message-ID"], message["Date"] = f"<{number}@tarabiscote.example>", "Sun, 22 Nov 2026 10:00:00 +0100"
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    message.set_content(f"Bonjour, galimatias. {text}\n")
    if "modéliser" in text:
        message.add_attachment(triangle(), "model", "gltf-binary", filename=f"{FILE}.glb")
        message.add_attachment(picture(32, 32), "image", "png", filename=f"{FILE}.png")
    return message.as_bytes()


SUPPORT = a_mail(1, "Ma facture est fausse, merci de me rembourser.")
MODELLING = a_mail(2, "Pouvez-vous modéliser cette chaise en 3D ?")
UNSURE = a_mail(3, "Comme convenu, voici la suite.")
AWAY = a_mail(4, "Je suis absente.", Auto_Submitted="auto-replied")
REFUSED = a_mail(5, "Pouvez-vous modéliser cette table en 3D ?")
BROKEN = a_mail(6, "Erreur à la connexion.").replace(b"From:", b"Form:")
ANSWER = a_mail(7, "Oui, en chêne.", In_Reply_To="<2@tarabiscote.example>")


@dataclass
class Trail:
    """What everything has written."""

    letters: list[str] = field(default_factory=list)  # to the admin
    data: dict[str, str] = field(default_factory=dict)  # standard output, by command
    said: dict[str, str] = field(default_factory=dict)  # standard error, by command
    state: dict[str, bytes] = field(default_factory=dict)  # files of the state, at several moments
    codes: dict[str, int] = field(default_factory=dict)

    def keep(self, name: str, code: int, stdout: str, stderr: str) -> None:
        """What a command has written."""
        self.codes[name], self.data[name], self.said[name] = code, stdout, stderr

    def look_at(self, directory: Path, moment: str) -> None:
        """Keep the state as it is."""
        for path in directory.rglob("*"):
            if path.is_file() and path.suffix != ".eml":
                self.state[f"{moment}: {path.name}"] = path.read_bytes()


class Keyboard:
    """Somebody types commands, in a directory with a mailbox and every service behind it."""

    def __init__(self, sandbox: Sandbox, forks: Forks, directory: Path, trail: Trail) -> None:
        self.sandbox, self.directory, self.trail = sandbox, directory, trail
        self.imap = type(imap_server())(password=SECRETS["IMAP_PASSWORD"])
        self.state = directory / "state"
        self._forks = forks

    def environment(self, **changed: str) -> dict[str, str]:
        own = {
            "IMAP_PORT": str(self.imap.port),
            "IMAP_SECURITY": self.imap.security,
            "SMTP_USERNAME": "robot",
            "STATE_URL": f"sqlite:///{self.state}/poller.sqlite",
            "STATE_DIRECTORY": str(self.directory / "elsewhere"),
        }
        return self.sandbox.environment() | SECRETS | own | changed

    def type(self, *arguments: str, name: str = "", **changed: str) -> str:
        """Run a command to its end, in this process, which is the quicker way; returns its standard output."""
        options = ["--log-level", "DEBUG", *arguments]
        ended = CliRunner().invoke(commands, options, env=self.environment(**changed))
        self.trail.keep(name or " ".join(arguments), ended.exit_code, ended.stdout, ended.stderr)
        return ended.stdout

    def begin(self, *arguments: str) -> Fork:
        """Run one in a process of its own."""
        environment = os.environ | self.environment()
        return self._forks.begin(("--log-level", "DEBUG", *arguments), environment, self.directory)


def echo(status: int, service: str) -> Fault:
    """A refusal that repeats the key and the mail, as a careless service may."""
    words = " ".join([*(value for name, value in SECRETS.items() if name != "STATE_URL"), *PERSON, FILE])
    body = json.dumps({"message": words, "category": "VALIDATION", "err": words})
    if service == "s3":
        body = f"<Error><Code>AccessDenied</Code><Message>{words}</Message></Error>"
    return Fault("status", status=status, body=body, times=None)


@pytest.fixture(scope="module")
def trail(_sandbox_session: Sandbox, _forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trail]:
    """Every command, in good health and in bad."""
    directory, box, written = tmp_path_factory.mktemp("desk"), _sandbox_session, Trail()
    box.reset()
    desk = Keyboard(box, _forks, directory, written)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with pytest.MonkeyPatch.context() as patched, desk.imap:
        patched.chdir(directory)
        patched.setattr(logging.getLogger("mail.log"), "level", logging.ERROR)  # the stand-in's, in this process
        keys = {
            box.anthropic: {"api_key": SECRETS["ANTHROPIC_API_KEY"]},
            box.hubspot: {"token": SECRETS["HUBSPOT_API_KEY"]},
            box.clickup: {"token": SECRETS["CLICKUP_API_KEY"]},
            box.s3: {
                "access_key_id": SECRETS["R2_ACCESS_KEY_ID"],
                "secret_access_key": SECRETS["R2_SECRET_ACCESS_KEY"],
            },
            box.smtp: {"username": "robot", "password": SECRETS["SMTP_PASSWORD"]},
        }
        for service, values in keys.items():
            for name, value in values.items():
                patched.setattr(service, name, value)
        everything(desk)
        yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    box.reset()


def everything(desk: Keyboard) -> None:
    """The day of a daemon, and of the person who looks after it."""
    misconfigured(desk)
    box, http = desk.sandbox, (desk.sandbox.anthropic, desk.sandbox.hubspot, desk.sandbox.clickup, desk.sandbox.s3)
    desk.type("check")
    for service in http:
        service.fail(echo(401, "s3" if service is box.s3 else ""))
    wrong = {"SMTP_PASSWORD": "kanari-wrong", "IMAP_PASSWORD": "kanari-wrong", "STATE_URL": SECRETS["STATE_URL"]}
    desk.type("check", name="check, all refuse", **wrong)
    desk.imap.deliver(SUPPORT)
    desk.type("once", name="once, HubSpot refuses the key")
    for service in http:
        service.heal()
    for raw in (MODELLING, UNSURE, AWAY, BROKEN):
        desk.imap.deliver(raw)
    desk.type("once", "--dry-run")
    desk.type("once")
    desk.trail.look_at(desk.state, "after once")
    box.hubspot.fail(echo(400, ""))
    desk.imap.deliver(REFUSED)
    desk.type("once", "--json", name="once, HubSpot refuses the note")
    box.hubspot.heal()
    running(desk)
    asked(desk)
    desk.trail.look_at(desk.state, "at the end")
    for letter in box.smtp.messages:
        desk.trail.letters += [str(part.get_payload(decode=True), "utf-8") for part in letter.message.iter_parts()]


def misconfigured(desk: Keyboard) -> None:
    """Mistakes in every file and place."""
    toml, dotenv = desk.directory / "wrong.toml", desk.directory / "wrong.env"
    toml.write_text("".join(f"[x{n}]\nkey = '{value}'\n" for n, value in enumerate(SECRETS.values())))
    dotenv.write_text("".join(f"{name}X={value}\n" for name, value in SECRETS.items()))
    desk.type("--config", str(toml), "--env-file", str(dotenv), "check", name="wrong names")
    tables: dict[str, str] = {}
    for name, value in SECRETS.items():
        section, _, key = name.lower().partition("_")
        tables[section] = tables.get(section, "") + f"{key} = '{value}'\n"
    toml.write_text("".join(f"[{section}]\n{keys}" for section, keys in tables.items()))
    desk.type("--config", str(toml), "check", name="secrets in config.toml")
    toml.write_text(f"[imap\n{SECRETS}")
    desk.type("--config", str(toml), "check", name="not TOML")
    desk.type("status", name="no database", STATE_URL=SECRETS["STATE_URL"])
    desk.type("status", name="another database", STATE_URL=f"mysql://u:{SECRETS['IMAP_PASSWORD']}@h/d")


def running(desk: Keyboard) -> None:
    """The daemon itself, looked at while it is at work, and ended."""
    desk.imap.deliver(ANSWER)
    process = desk.begin("run")
    said = ""
    for line in process.stderr:
        said += line
        if "message_labelled" in line:
            break
    desk.trail.look_at(desk.state, "while it runs")
    ended = process.end(signal.SIGTERM)
    desk.trail.keep("run", ended.returncode, ended.stdout, said + ended.stderr)


def asked(desk: Keyboard) -> None:
    """What a person asks about it afterwards."""
    listed = [json.loads(line) for line in desk.type("list", "--json").splitlines()]
    desk.type("status")
    for outcome in ("failed", "modelisation"):
        reference = next(message["reference"] for message in listed if message["outcome"] == outcome)
        desk.type("show", reference, name=f"show, {outcome}")
        desk.type("retry", reference, name=f"retry, {outcome}")
    desk.type("show", "0" * 16)
    desk.type("audit")
    desk.type("audit", "--remote")
    desk.type("status", "--json")
    desk.type("config", "show", "--json", name="config show")
    desk.type("purge", "--older-than", "9", name="purge")
    mail = desk.directory / "mail.eml"
    mail.write_bytes(MODELLING)
    desk.type("classify", str(mail), name="classify")
    desk.type("try", str(mail), "--live", name="try --live")
    desk.type("setup-hubspot")


def test_secrets_trail_runs_every_command_and_failure(trail: Trail) -> None:
    """The canaries were there to be named: each command did what it is for, and each failure came about."""
    assert {name for name in SECRETS if not is_secret(field_of(name))} == set()
    assert set(SECRETS) == {
        f"{section}_{key}".upper()
        for section, keys in sections().items()
        for key, setting in keys.model_fields.items()
        if is_secret(setting)
    }
    codes = trail.codes
    failing = {"wrong names": 78, "secrets in config.toml": 78, "not TOML": 78, "another database": 78}
    failing |= {
        "no database": 75,
        "check, all refuse": 77,
        "once, HubSpot refuses the key": 78,
        "once, HubSpot refuses the note": 1,
    }
    assert {name: codes[name] for name in failing} == failing
    failing |= {"once": 1, "status": 1, "audit": 1}  # one has no sender, and one is back in the mailbox
    healthy = (
        "check",
        "once --dry-run",
        "run",
        "list --json",
        "classify",
        "try --live",
        "setup-hubspot",
        "config show",
        "purge",
    )
    assert {name: codes[name] for name in healthy} == dict.fromkeys(healthy, 0)
    outcomes = [json.loads(line)["outcome"] for line in trail.data["list --json"].splitlines()]
    assert sorted(outcomes) == ["failed", "failed", "ignored", "modelisation", "modelisation", "support", "support"]
    assert any("-wal" in name for name in trail.state)


def field_of(name: str) -> object:
    section, _, key = name.lower().partition("_")
    return sections()[section].model_fields[key]


def named(texts: Mapping[Any, str], words: tuple[str, ...] | list[str]) -> list[tuple[Any, str]]:
    """Which text names which of the words."""
    return [(where, word) for where, text in texts.items() for word in words if word.lower() in text.lower()]


def test_no_secret_is_written_anywhere(trail: Trail) -> None:
    """Not on standard output, not in the log, not in an error, not in the state, and not in what the admin is told."""
    state = {where: content.decode("latin-1") for where, content in trail.state.items()}
    assert named(trail.data, WORDS) == named(trail.said, WORDS) == named(state, WORDS) == []
    assert named(dict(enumerate(trail.letters)), WORDS) == []
    assert any("***" in letter for letter in trail.letters)  # what HubSpot repeated of our keys


def test_personal_data_is_shown_only_for_requested_mail(trail: Trail) -> None:
    """Name, address, subject and text stay in the mail; only a file's name stands in its URL on R2."""
    state = {where: content.decode("latin-1") for where, content in trail.state.items()}
    assert named(trail.data, PERSON) == named(trail.said, PERSON) == named(state, PERSON) == []
    assert named(trail.said, (FILE,)) == []
    without_urls = {where: re.sub(r"https?://[^\s\"]+", "", text) for where, text in trail.data.items()}
    assert named(without_urls, (FILE,)) == []


def test_exception_text_is_not_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its type and its places are; its words may quote a mail or a key, and so may those of its cause."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    logs.configure("DEBUG")
    try:
        int(PERSON[0])
    except ValueError as error:
        error.__cause__ = KeyError(SECRETS["HUBSPOT_API_KEY"])
        logging.getLogger("library").exception("it failed")
        logging.getLogger("library").warning("again", exc_info=error)
    said = sys.stderr.getvalue()
    root.handlers[:] = handlers
    root.setLevel(level)
    assert named({"log": said}, [*PERSON, *WORDS]) == []
    first, second = (json.loads(line) for line in said.splitlines())
    assert (first["event"], first["error"]) == ("it failed", "ValueError")
    assert first["frames"] == second["frames"]
    assert re.search(r"test_secrets\.py:\d+", first["frames"][-1])


CRASH = """
import sys, threading
import poller.cli.main
import poller.__main__ as program
def crash(**_):
    thread = threading.Thread(target=lambda: int({secret!r}))
    thread.start()
    thread.join()
    raise ValueError({person!r}) from KeyError({secret!r})
poller.cli.main.commands = crash
program.main()
"""


def test_crash_is_two_lines_without_exception_text(tmp_path: Path) -> None:
    """Python's own report would end in the exception's text."""
    code = CRASH.format(secret=SECRETS["IMAP_PASSWORD"], person=PERSON[0])
    script = tmp_path / "crash.py"
    script.write_text(code)
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert ended.returncode == 1
    assert named({"out": ended.stdout, "err": ended.stderr}, [*PERSON, *WORDS]) == []
    assert re.fullmatch(r"(poller: crashed: ValueError at .*crash\.py:\d+\n){2}", ended.stderr) is not None


CORPUS = os.environ.get("MAIL_CORPUS", "")


@pytest.mark.skipif(not CORPUS, reason="run with MAIL_CORPUS=<folder of .eml files>")
def test_no_mail_causes_library_log_line_or_request(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the whole corpus, read, screened, classified and written, no line is logged at any level, and no URL asked."""

    def refuse(*arguments: object) -> None:
        calls.append(arguments)
        raise OSError("no connection from here")

    calls: list[object] = []
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure("DEBUG")
    for path in sorted(Path(CORPUS).rglob("*.eml")):
        if path.stat().st_size < 100_000:
            request = parser.parse(path, "support@figurative.example", datetime.now(UTC))
            screening.screen(request)
            classification.classify_request(request, None)
            attachment_policy.decide_uploads(request)
            made = Outputs(request)
            assert made.ticket
            assert made.subtask
    root.handlers[:] = handlers
    root.setLevel(level)
    assert capfd.readouterr() == ("", "")
    assert calls == []


def test_own_message_id_reveals_nothing_of_mail() -> None:
    """It holds the reference, a digest, and our own domain."""
    assert notification_id("0123456789abcdef", "failure") == "<0123456789abcdef.failure@figurative-poller.invalid>"
