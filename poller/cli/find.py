"""The `find` command."""

from __future__ import annotations

from contextlib import closing

import click

from poller.cli.messages import print_messages
from poller.cli.options import EXIT_FAILED, json_option, reader_now, settings_of
from poller.mailbox import lookup
from poller.workflow import corrections
from poller.workflow.store import open_store


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
    settings = settings_of(ctx)
    asked = " ".join(words)
    with closing(open_store(settings)) as store:
        found = [] if "@" in asked or " " in asked else store.with_object(asked.rstrip("/").rpartition("/")[2])
        mails: dict[str, lookup.FoundMail] = {}
        if not found:
            mails = {mail.reference: mail for mail in lookup.search(settings, asked)}
            found = store.current(mails)
    print_messages(found, reader_now(settings), mails or None, as_json=as_json)
    known = {corrections.message_of(message.reference) for message in found}
    for mail in mails.values():
        if mail.reference not in known:
            click.echo(f"{mail.reference} lies in {mail.mailbox!r}, and the state does not know it", err=True)
    if not found:
        click.echo("poller: nothing is found", err=True)
        ctx.exit(EXIT_FAILED)
