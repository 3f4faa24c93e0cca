"""The `list`, `find` and `show` commands."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from poller.cli import report
from poller.cli.options import EXIT_FAILED, json_option, reader_now, settings_of
from poller.cli.terminal import painted
from poller.escaping import one_line
from poller.model import Outcome
from poller.triage import bounce
from poller.workflow import corrections
from poller.workflow.database import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from poller.config.settings import Settings
    from poller.mailbox.lookup import FoundMail
    from poller.workflow.status import MessageRecord
    from poller.workflow.store import StateStore


LONGEST_UNSEEN = timedelta(days=30)  # between the arrival of a mail and the first work on it
_MAIL = "Sender and subject too, read from the mailbox."
_SINCE = "Only those first seen on that day or later, for instance 2026-11-22."


def _day(text: str) -> datetime:
    """Parse a day, and return its beginning, in no time zone yet."""
    try:
        return datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007  the settings have the zone, see `list_`
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a day, for instance 2026-11-23") from error


@click.command(name="list")
@click.option("--failed", is_flag=True, help="Only those that need a person.")
@click.option("--waiting", is_flag=True, help="Only those that wait for a service.")
@click.option("--since", type=_day, metavar="DAY", help=_SINCE)
@click.option("--mail", is_flag=True, help=_MAIL)
@json_option("One JSON object a message.")
@click.pass_context
def list_(
    ctx: click.Context, *, failed: bool, waiting: bool, since: datetime | None, mail: bool, as_json: bool
) -> None:
    """List the messages with their outcomes.

    The first seen comes first, each with that time, as its last correction left it. Exit code 0 whatever became of
    them.
    """
    settings = settings_of(ctx, need_imap=mail)
    now = reader_now(settings)
    since = since.replace(tzinfo=now.tzinfo) if since else None
    wanted = {outcome for outcome, asked in ((Outcome.FAILED, failed), (Outcome.WAITING, waiting)) if asked}
    with closing(open_store(settings)) as store:
        messages = _as_seen(store, store.with_outcomes(wanted, since) if wanted else store.current(since), since)
        if not mail:  # They may be too many for memory, so each is printed as it is read.
            print_messages(messages, now, None, as_json=as_json)
            return
        found = list(messages)
        mails = _mails(settings, store, found)
    print_messages(found, now, mails, as_json=as_json)


def _as_seen(
    store: StateStore, messages: Iterable[MessageRecord], since: datetime | None = None
) -> Iterator[MessageRecord]:
    """Yield the messages first seen since then. A corrected one has the time of its mail, not of its correction."""
    for message in messages:
        first = message
        if corrections.correction_of(message.reference):
            # One by one: corrections are few.
            (first, *_) = store.named([corrections.message_of(message.reference)]) or [message]
        if since is None or first.seen_at >= since:
            yield replace(message, seen_at=first.seen_at)


def print_messages(
    found: Iterable[MessageRecord], now: datetime, mails: Mapping[str, FoundMail] | None, *, as_json: bool
) -> None:
    """Print a line for each message. With `mails`, by reference, each has its sender and subject too."""
    for message in found:
        mail = mails.get(corrections.message_of(message.reference)) if mails is not None else None
        if as_json:
            seen = {"seen_at": message.seen_at.isoformat(), "changed_at": message.changed_at.isoformat()}
            said = {} if mails is None else _mail_json(mail)
            click.echo(json.dumps(report.as_json(message.reference, message.status) | seen | said))
        else:
            line = report.line(message.reference, message.status, now)
            click.echo(painted(f"{report.moment(message.seen_at, now.tzinfo)}  {line}"))
            if mails is not None:
                click.echo(_mail_line(mail))


def _mails(settings: Settings, store: StateStore, messages: Sequence[MessageRecord]) -> dict[str, FoundMail]:
    """Read the mails of these messages from the mailbox, by reference."""
    from poller.mailbox import lookup  # noqa: PLC0415  keeps `list` and `show` quick
    from poller.mailbox.variants import Variants  # noqa: PLC0415  likewise

    if not messages:
        return {}
    since = min(message.seen_at for message in messages) - LONGEST_UNSEEN
    references = {corrections.message_of(each.reference) for each in messages}
    return lookup.read(settings, Variants(store), references, since.date())


def _mail_line(mail: FoundMail | None) -> str:
    """Return sender and subject, which a stranger wrote, as a line that a terminal can show."""
    if mail is None:
        return "      not found in the mailbox"
    return f"      {one_line(mail.sender) or 'no sender'}: {one_line(mail.subject)}"


def _mail_json(mail: FoundMail | None) -> dict[str, str | None]:
    return {"from": mail.sender if mail else None, "subject": mail.subject if mail else None}


@click.command()
@click.argument("words", nargs=-1, required=True)
@json_option("One JSON object a message.")
@click.pass_context
def find(ctx: click.Context, words: tuple[str, ...], *, as_json: bool) -> None:
    """Find messages by id, address or subject.

    WORDS are the id or the URL of a ticket or a subtask, an address, a Message-ID, or words of a subject. Where no
    ticket or subtask has the id, the mailboxes are searched. Exit code 1 when nothing is found, 75 when the mailbox is
    out of reach.
    """
    from poller.mailbox import lookup  # noqa: PLC0415  keeps `list` and `show` quick
    from poller.mailbox.variants import Variants  # noqa: PLC0415  likewise

    settings = settings_of(ctx)
    asked = " ".join(words)
    with closing(open_store(settings)) as store:
        found = [] if "@" in asked or " " in asked else store.with_object(asked.rstrip("/").rpartition("/")[2])
        mails: dict[str, FoundMail] = {}
        if not found:
            mails = {mail.reference: mail for mail in lookup.search(settings, Variants(store), asked)}
            found = store.current_of(mails)
        found = list(_as_seen(store, found))
    print_messages(found, reader_now(settings), mails or None, as_json=as_json)
    known = {corrections.message_of(message.reference) for message in found}
    for mail in mails.values():
        if mail.reference not in known:
            click.echo(f"{mail.reference} lies in {mail.mailbox!r}, and the state does not know it", err=True)
    if not found:
        click.echo("poller: nothing is found; a person is found by the address, not by the name", err=True)
        ctx.exit(EXIT_FAILED)


@click.command()
@click.argument("reference")
@click.option("--verbose", "-v", is_flag=True, help="All that each step returned, under its stored names.")
@click.option("--mail", is_flag=True, help=_MAIL)
@json_option("As one JSON object.")
@click.pass_context
def show(ctx: click.Context, reference: str, *, verbose: bool, mail: bool, as_json: bool) -> None:
    """Show what became of a message, and how.

    For each try of each step: when it ended, how long it took, and what came of it, links included. The same follows
    for each of its corrections. Exit code 1 when nothing is stored.
    """
    settings = settings_of(ctx, need_imap=mail)
    now = reader_now(settings)
    with closing(open_store(settings)) as store:

        def read(ids: Iterable[str]) -> dict[str, MessageRecord]:
            return {each.reference: each for each in store.named(ids)}

        known = read([reference]) if corrections.correction_of(reference) else corrections.chain(reference, read)
        found = [(each, list(report.tries(store.journal(name)))) for name, each in known.items()]
        fact = f"{bounce.FACT}{corrections.message_of(reference)}"
        bounced_at = store.recall([fact]).get(fact, "").partition(" ")[2]
        mails = _mails(settings, store, [message for message, _ in found]) if mail else {}
    if not found:
        click.echo(f"poller: no message has the reference {reference}; `poller list` has them all", err=True)
        ctx.exit(EXIT_FAILED)
    its_mail = mails.get(corrections.message_of(reference))
    if as_json:
        first, *others = (report.whole(message, tries) for message, tries in found)
        said = (_mail_json(its_mail) if mail else {}) | {"acknowledgement_bounced_at": bounced_at or None}
        click.echo(json.dumps(first | said | {"corrections": others}))
        return
    if mail:
        click.echo(_mail_line(its_mail))
    for message, tries in found:
        click.echo(painted(report.line(message.reference, message.status, now)))
        for tried in tries:
            for line in report.try_lines(tried, now.tzinfo, verbose=verbose):
                click.echo(line)
    if bounced_at:
        when = report.moment(datetime.fromisoformat(bounced_at), now.tzinfo)
        click.echo(painted(f"  {when}  the letter to the customer came back"))
