"""What stands at the stand-ins when all is over, against what must: counted there, not asked of the daemon."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from poller.own_mail import notification_id
from tests.bench.table import Row
from tests.support import stored_files

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from poller.config.settings import LabelsSettings
    from tests.bench.post import Mail

_RECEIPT = re.compile(rb"^X-Figurative-Poller: receipt\r?$", re.MULTILINE)  # of ours, beside the mail
COPIES = 2  # of one notification, at most: one whose fate is unknown is sent once more


def balance(bench: str, box: Sandbox, mails: list[Mail], labels: LabelsSettings, state: Path) -> list[Row]:
    """One row for everything that there must be exactly one of."""
    work = [mail for mail in mails if mail.outcome != "ignored"]
    answers = [mail for mail in work if mail.opener]
    openers = [mail for mail in work if not mail.opener]
    models = [mail for mail in openers if mail.outcome == "modelisation"]
    contacts = {record.id: record.properties["email"] for record in box.hubspot.contacts}
    tickets = {ticket.id: _references(ticket.properties["content"]) for ticket in box.hubspot.tickets}
    owners = Counter(
        (reference, contacts.get(contact_id, ""))
        for ticket_id, references in tickets.items()
        for reference in references
        for contact_id in box.hubspot.associated("tickets", ticket_id, "contacts") or ["nobody"]
    )
    notes = Counter(
        (reference, on)
        for note in box.hubspot.notes
        for reference in _references(note.properties["hs_note_body"])
        for ticket_id in box.hubspot.associated("notes", note.id, "tickets") or ["none"]
        for on in tickets.get(ticket_id, ["none"])
    )
    comments = Counter(
        (reference, on)
        for task in box.clickup.subtasks
        for on in _references(task.markdown)
        for comment in task.comments
        for reference in _references(comment.text)
    )
    subtasks = Counter(reference for task in box.clickup.subtasks for reference in _references(task.markdown))
    filed = Counter(
        (mailbox, re.search(rb"^Message-ID: (\S+)", message.raw, re.MULTILINE)[1].decode())  # type: ignore[index]
        for mailbox, messages in box.imap.all_messages().items()
        for message in messages
        if not _RECEIPT.search(message.raw)
    )
    spooled = [path.name for path in (state / "spool").glob("*")]
    expected: dict[str, tuple[Counter[Any], Iterable[Hashable]]] = {
        "mails under their label": (filed, [(getattr(labels, mail.outcome), mail.message_id) for mail in mails]),
        "contacts": (Counter(contacts.values()), {mail.customer for mail in work}),
        "tickets, each on its customer": (owners, [(mail.reference, mail.customer) for mail in openers]),
        "notes, each on its ticket": (
            notes,
            [(mail.reference, (mail.opener or mail).reference) for mail in [*models, *answers]],
        ),
        "subtasks": (subtasks, [mail.reference for mail in models]),
        "comments, each on its subtask": (
            comments,
            [(mail.reference, mail.opener.reference) for mail in answers if mail.opener in models],
        ),
        "files": (
            Counter(each.body for each in stored_files.sent(box)),
            [file for mail in work for file in mail.files],
        ),
    }
    return [
        *(_row(bench, measure, found, wanted) for measure, (found, wanted) in expected.items()),
        *_letters(bench, box, work),
        Row(bench, "spool files left", str(len(spooled)), "0", good=not spooled),
    ]


def calls(bench: str, box: Sandbox, mails: list[Mail]) -> list[Row]:
    """How many calls each service had, failed ones too, against the fewest that could have done it without faults."""
    made = {
        "HubSpot": len(box.hubspot.requests),
        "ClickUp": len(box.clickup.requests),
        "R2": len(box.s3.requests),
        "Anthropic": len(box.anthropic.requests),
        "SMTP, messages taken": len(box.smtp.messages),
    }
    least = fewest_calls(mails)
    return [Row(bench, f"calls to {name}", f"{made[name]} (at least {least[name]})") for name in made]


def fewest_calls(mails: list[Mail]) -> dict[str, int]:
    """How many calls to each service all of it takes when nothing goes wrong."""
    work = [mail for mail in mails if mail.outcome != "ignored"]
    models = sum(mail.outcome == "modelisation" for mail in work)
    opened = sum(mail.outcome == "modelisation" and not mail.opener for mail in work)
    customers = len({mail.customer for mail in work})
    return {
        # A look for each mail's contact, and new contacts; a ticket, or for an answer a note; notes.
        "HubSpot": 2 * len(work) + customers + opened,
        "ClickUp": models + bool(opened),  # a subtask or a comment; the parent's list is asked for once
        "R2": sum(len(mail.files) for mail in work),
        "Anthropic": sum(mail.kind == "unsure" for mail in mails),
        "SMTP, messages taken": len(work),
    }


def _row(bench: str, measure: str, found: Counter[Hashable], expected: Iterable[Hashable]) -> Row:
    """Whether exactly these were found, each once."""
    wanted = set(expected)
    counts = {
        "missing": sum(each not in found for each in wanted),
        "doubled": sum(number > 1 for number in found.values()),
        "strange": sum(each not in wanted for each in found),
    }
    faults = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    counted = f"{found.total()} ({faults})" if faults else str(found.total())
    return Row(bench, measure, counted, str(len(wanted)), good=not faults)


def _letters(bench: str, box: Sandbox, work: list[Mail]) -> list[Row]:
    """Every notification came, none more than twice, and nothing else did."""
    letters: Counter[Hashable] = Counter(str(letter.message["Message-ID"]) for letter in box.smtp.messages)
    wanted = [notification_id(mail.reference, "reply" if mail.opener else "notification") for mail in work]
    twice = sum(number == COPIES for number in letters.values())
    more = sum(number > COPIES for number in letters.values())
    return [
        _row(bench, "notifications, by Message-ID", Counter(set(letters)), wanted),
        Row(bench, "  of them sent twice, as the same", str(twice)),
        Row(bench, "  of them sent more often", str(more), "0", good=not more),
    ]


def _references(text: str) -> list[str]:
    return re.findall(r"\[ref: ([0-9a-f]{16})\]", text) or ["none"]
