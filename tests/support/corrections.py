"""Corrections as a person makes them, and their effects at the services."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from click.testing import CliRunner, Result

from poller.cli.main import commands
from poller.cli.samples import samples
from tests.system.test_crash_matrix import undecided

if TYPE_CHECKING:
    from poller.workflow.status import MessageStatus
    from tests.conftest import Office

MAILS = samples()
TO_SUPPORT, TO_MODELISATION = "Reclasser/Support", "Reclasser/Modélisation"
SUPPORT = {"contacts": 1, "tickets": 1, "notes": 0, "subtasks": 0, "files": 0, "notifications": 1}
MODELISATION = {"contacts": 1, "tickets": 1, "notes": 1, "subtasks": 1, "files": 2, "notifications": 1}


def decide(office: Office, category: str) -> None:
    """Let Claude choose this category for a mail that the rules are unsure about."""
    office.sandbox.anthropic.decide = lambda _: {"category": category, "confidence": 0.9, "reason": "Une phrase."}


def drag(office: Office, source: str, target: str, *search: str) -> None:
    """Move messages as a mail client does it: those that the search finds, or all."""
    with office.sandbox.imap.session() as client:
        client.select_folder(source)
        client.move(client.search(list(search) or "ALL"), target)


def correct(office: Office, source: str, target: str) -> MessageStatus:
    """Drag the only message there, and return the status after the daemon has worked on it."""
    drag(office, source, target)
    (status,) = office.once().values()
    return status


def content(office: Office) -> str:
    """Return the text of the only ticket, with plain spaces."""
    (ticket,) = office.sandbox.hubspot.tickets
    return ticket.properties["content"].replace("\xa0", " ")


def comments(office: Office) -> list[str]:
    """Return the comments on the only subtask, with plain spaces."""
    (subtask,) = office.sandbox.clickup.subtasks
    return [comment.text.replace("\xa0", " ") for comment in subtask.comments]


def poller(office: Office, *arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(commands, list(arguments), env=office.environment, catch_exceptions=False)


def an_answer() -> bytes:
    """Make an answer to the undecided mail, under a subject of its own."""
    mail = re.sub(rb"(?m)^Subject:.*$", "Subject: Précision".encode(), undecided("answer"))
    return b"In-Reply-To: <undecided@lambert.example>\n" + mail
