"""Parse in a process of its own: a mail that kills the parser harms no other mail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from poller import confinement
from poller.child_process import ProcessStoppedError
from poller.cli.samples import samples
from poller.model import Kind
from poller.parsing import parser as parsing_parser
from poller.parsing import parser_process
from poller.rendering.phrases import UNREADABLE
from tests.parsing import bad_parsers
from tests.support import bad_processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from tests.conftest import Office

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    path = tmp_path / "mail.eml"
    path.write_bytes(samples()["modelisation_with_files"])
    return path


def test_confined_parser_returns_same_request_and_files(mail: Path) -> None:
    """A value crosses the process border, and attachments are still read from the spool file."""
    request = parser_process.parse(mail, "account", NOW, unreadable=UNREADABLE)
    assert request == parsing_parser.parse(mail, "account", NOW)
    with request.attachments[0].content.open() as file:
        assert file.read(4) == b"glTF"


def test_confined_parser_does_not_rerun_main_script(office: Office, tmp_path: Path) -> None:
    """As multiprocessing would have it, which takes five times as long as the parser."""
    script, runs = tmp_path / "poller", tmp_path / "runs"
    script.write_text(
        f"open({str(runs)!r}, 'a').write('once ')\nfrom poller.__main__ import main\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    office.sandbox.imap.deliver(samples()["support"])
    subprocess.run(
        [sys.executable, script, "once", "--dry-run"],
        env=os.environ | office.environment | {"PYTHONPATH": str(Path(parsing_parser.__file__).parents[2])},
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert runs.read_text() == "once "


BEATEN = {
    "hangs": (bad_processes.hang, 1.0, "parser stopped after 1 s"),
    "killed": (bad_parsers.die, 60.0, "parser ended with exit code -9"),
    "stack": (bad_parsers.recurse, 60.0, "parser ended with exit code 1"),
    "memory": (bad_parsers.hoard, 60.0, "parser ended with exit code 1"),
}


@pytest.mark.parametrize(("parser", "limit_s", "why"), BEATEN.values(), ids=BEATEN)
def test_mail_that_kills_parser_is_read_by_header_only(
    mail: Path,
    monkeypatch: pytest.MonkeyPatch,
    parser: object,
    limit_s: float,
    why: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It takes too long, is killed, is out of stack or memory: a person has the sender, the subject and all of it."""
    whole = parsing_parser.parse(mail, "account", NOW)
    monkeypatch.setattr(parser_process, "_answer", bad_parsers.Child(parser))
    request = parser_process.parse(mail, "account", NOW, unreadable=UNREADABLE, limit_s=limit_s)
    same = ("reference", "message_id", "sender", "author", "subject", "sent_at", "received_at", "headers")
    assert [getattr(request, name) for name in same] == [getattr(whole, name) for name in same]
    assert request.text == request.newest == UNREADABLE
    assert request.defects == (why,)
    (file,) = request.attachments
    assert (file.filename, file.content_type, file.kind) == ("message-complet.eml", "message/rfc822", Kind.OTHER)
    with file.content.open() as stream:
        assert stream.read() == mail.read_bytes()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("child", "error"),
    [
        (bad_processes.stopped, ProcessStoppedError),
        (bad_parsers.Child(bad_processes.stopped_with_its_fork_server), ProcessStoppedError),
        (bad_parsers.Child(bad_parsers.die, bad_parsers.die), parser_process.ParserDiedError),
    ],
    ids=["stopped", "all stopped", "header"],
)
def test_stopped_parser_is_retried(
    mail: Path, monkeypatch: pytest.MonkeyPatch, child: object, error: type[Exception]
) -> None:
    """A machine that shuts down says nothing about the mail; and our process lives on in any case."""
    monkeypatch.setattr(parser_process, "_answer", child)
    with pytest.raises(error):
        parser_process.parse(mail, "account", NOW, unreadable=UNREADABLE)


@pytest.mark.parametrize("child", [bad_parsers.pickled, bad_parsers.another_file])
def test_answer_that_is_no_request_is_refused(
    mail: Path, monkeypatch: pytest.MonkeyPatch, child: Callable[..., None]
) -> None:
    """A parser that a mail has taken over may say anything. Nothing of it is run."""
    monkeypatch.setattr(parser_process, "_answer", child)
    with pytest.raises(parser_process.ParserDiedError, match="parser gave no request"):
        parser_process.parse(mail, "account", NOW, unreadable=UNREADABLE)


@pytest.mark.skipif(bool(confinement.missing()), reason="the kernel has no Landlock or seccomp: boot one that has")
@pytest.mark.parametrize("parser", [bad_parsers.steal, bad_parsers.write_home, bad_parsers.connect])
def test_parser_reaches_no_other_file_and_no_network(
    mail: Path, monkeypatch: pytest.MonkeyPatch, parser: object
) -> None:
    mail.with_name("other.eml").write_bytes(b"of another customer")
    monkeypatch.setattr(parser_process, "_answer", bad_parsers.Child(parser, confined=True))
    with pytest.raises(PermissionError):
        parser_process.parse(mail, "account", NOW, unreadable=UNREADABLE)


def tell(say: Connection) -> None:
    """Send the environment that the process began with, and where its descriptors lead."""
    confinement.close_all_but(say.fileno())
    places = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    say.send_bytes(json.dumps([Path("/proc/self/environ").read_text(), *map(str, places)]).encode())


def test_process_inherits_no_environment_and_no_descriptor() -> None:
    """Neither the daemon's secrets nor its sessions."""
    script = (
        "import json\nfrom poller import child_process\nfrom tests.parsing.test_parser_process import tell\n"
        "if __name__ == '__main__':\n    with child_process.run(tell, limit_s=60) as (answer, _, _):\n"
        "        print(child_process.received(answer, 100_000).decode())\n"
    )
    root = Path(parsing_parser.__file__).parents[2]
    given = {"IMAP_PASSWORD": "secret", "PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
    ran = subprocess.run([sys.executable, "-c", script], env=given, check=True, capture_output=True, text=True)
    environment, *places = json.loads(ran.stdout)
    names = {each.partition("=")[0] for each in environment.split("\0") if each}
    assert names - {"LC_CTYPE"} == {"PATH", "PYTHONPATH"}  # Python itself may set LC_CTYPE (PEP 538)
    left = [place.partition(":")[0] for place in places if place != os.devnull and not place.startswith("/proc")]
    assert left == ["pipe"]


def test_full_disk_does_not_fail_the_mail(mail: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser_process, "_answer", bad_parsers.Child(bad_parsers.full))
    with pytest.raises(OSError, match="no space"):
        parser_process.parse(mail, "account", NOW, unreadable=UNREADABLE)
