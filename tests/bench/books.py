"""What stands at the stand-ins when all is over, against what must: counted there, not asked of the daemon."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from poller.letter import notification_id
from tests.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from poller.settings import Labels
    from tests.bench.post import Mail

BENCH = "soak"
COPIES = 2  # of one notification, at most: one whose fate is unknown is sent once more


def balance(box: Sandbox, mails: list[Mail], labels: Labels, state: Path) -> list[Row]:
    """One row for everything that there must be exactly one of, and the calls that it took."""
    work = [mail for mail in mails if mail.outcome != "ignored"]
    models = [mail for mail in mails if mail.outcome == "modelisation"]
    contacts = {record.id: record.properties["email"] for record in box.hubspot.contacts}
    nobody = ["nobody"]
    owners = Counter(
        (reference, contacts.get(contact_id, ""))
        for ticket in box.hubspot.tickets
        for reference in _references(ticket.properties["content"])
        for contact_id in box.hubspot.associated("tickets", ticket.id, "contacts") or nobody
    )
    notes = [note.properties["hs_note_body"] for note in box.hubspot.notes]
    filed = Counter(
        (mailbox, re.search(rb"^Message-ID: (\S+)", message.raw, re.MULTILINE)[1].decode())  # type: ignore[index]
        for mailbox in box.imap.mailboxes()
        for message in box.imap.messages(mailbox)
    )
    spooled = [path.name for path in (state / "spool").glob("*")]
    return [
        _row("mails under their label", filed, [(getattr(labels, mail.outcome), mail.message_id) for mail in mails]),
        _row("contacts", Counter(contacts.values()), {mail.customer for mail in work}),
        _row("tickets, each on its customer", owners, [(mail.reference, mail.customer) for mail in work]),
        _row("notes", _marked(notes), [mail.reference for mail in models]),
        _row("subtasks", _marked(task.markdown for task in box.clickup.subtasks), [mail.reference for mail in models]),
        _row("files", Counter(each.body for each in box.s3.objects), [file for mail in models for file in mail.files]),
        *_letters(box, work),
        Row(BENCH, "spool files left", str(len(spooled)), "0", good=not spooled),
        *_calls(box, mails),
    ]


def _row(measure: str, found: Counter[Hashable] | Counter[str], expected: Iterable[Hashable]) -> Row:
    """Whether exactly these were found, each once."""
    wanted = set(expected)
    counts = {
        "missing": sum(each not in found for each in wanted),
        "doubled": sum(number > 1 for number in found.values()),
        "strange": sum(each not in wanted for each in found),
    }
    faults = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    counted = f"{found.total()} ({faults})" if faults else str(found.total())
    return Row(BENCH, measure, counted, str(len(wanted)), good=not faults)


def _letters(box: Sandbox, work: list[Mail]) -> list[Row]:
    """Every notification came, none more than twice, and nothing else did."""
    letters = Counter(str(letter.message["Message-ID"]) for letter in box.smtp.messages)
    twice = sum(number == COPIES for number in letters.values())
    more = sum(number > COPIES for number in letters.values())
    return [
        _row(
            "notifications, by Message-ID",
            Counter(set(letters)),
            [notification_id(m.reference, "notification") for m in work],
        ),
        Row(BENCH, "  of them sent twice, as the same", str(twice)),
        Row(BENCH, "  of them sent more often", str(more), "0", good=not more),
    ]


def _calls(box: Sandbox, mails: list[Mail]) -> list[Row]:
    """How many calls each service had, failed ones too, against the fewest that could have done it without faults."""
    kinds = Counter(mail.kind for mail in mails)
    work, models = len(mails) - kinds["ignored"], kinds["modelisation"]
    customers = len({mail.customer for mail in mails if mail.kind != "ignored"})
    made = {
        "HubSpot": (len(box.hubspot.requests), 2 * work + customers + models),  # a look and a ticket; contacts; notes
        "ClickUp": (len(box.clickup.requests), models + bool(models)),  # the parent's list is asked for once
        "R2": (len(box.s3.requests), 2 * models),
        "Anthropic": (len(box.anthropic.requests), kinds["unsure"]),
        "SMTP, messages taken": (len(box.smtp.messages), work),
    }
    return [Row(BENCH, f"calls to {name}", f"{calls} (at least {least})") for name, (calls, least) in made.items()]


def _references(text: str) -> list[str]:
    return re.findall(r"\[ref: ([0-9a-f]{16})\]", text) or ["none"]


def _marked(texts: Iterable[str]) -> Counter[str]:
    return Counter(reference for text in texts for reference in _references(text))
