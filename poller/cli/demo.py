"""Run the daemon on local stand-ins with real mails, and show at the end what an admin would see."""

from __future__ import annotations

import email
import email.policy
import signal
import sys
import tempfile
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from integrations.errors import ConfigurationError
from poller import escaping, logs
from poller.cli.options import EXIT_FAILED
from poller.cli.samples import samples
from poller.config import loader
from poller.config.extras import how_to_install
from poller.daemon.daemon import Daemon
from poller.mailbox.inbox import Inbox
from poller.mime import headers
from poller.mime.reference import reference_of
from poller.model import Outcome
from poller.own_mail import HEADER
from poller.rendering.receipt import KIND
from poller.workflow.database import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from integrations.sandbox import Sandbox
    from poller.config.settings import Settings
    from poller.workflow.status import MessageStatus

    Echo = Callable[[str], Any]

_FILES_URL = "https://files.example"  # of the bucket in the texts


def run(
    echo: Echo,
    mails: Mapping[str, bytes] | None = None,
    *,
    keep: bool = False,
    texts: bool = False,
    page: Path | None = None,
) -> dict[str, MessageStatus]:
    """Dispatch mails (all samples by default) in a sandbox of their own, and return where each ended, by reference.

    With `keep` the sandbox runs on until Ctrl-C. With `texts` the texts that people read are shown too. `page` is the
    HTML file to write with all that was made, None for none.
    """
    try:
        # The sandbox is an extra, and is imported only on demand.
        from integrations.sandbox import Sandbox  # noqa: PLC0415
        from poller.cli.demonstration.page import page_of  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(f"the sandbox needs {error.name}: {how_to_install('sandbox')}") from error
    logs.configure("ERROR")
    echo("Starting stand-ins for IMAP, SMTP, S3, HubSpot, ClickUp and Claude (who here only counts words) ...")
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as state:
        values = sandbox.environment() | {"STATE_URL": f"sqlite:///{state}/poller.sqlite"}
        if not keep:  # the stand-in ends with the demo, and letters show pictures of an https address only
            values["R2_PUBLIC_URL"] = _FILES_URL
        settings = loader.from_names(values)
        given = {_reference(settings, raw): raw for raw in (samples() if mails is None else mails).values()}
        for raw in given.values():
            sandbox.imap.deliver(raw)
        subjects = {reference: _subject(raw) for reference, raw in given.items()}
        echo(f"Delivered {_count(len(subjects), 'mail')}; running the daemon until the inbox is empty.\n")
        ended = Daemon(settings).once(
            lambda reference, status: _tell(echo, subjects.get(reference, "?"), reference, status)
        )
        _show(echo, sandbox)
        if page:
            source = page_of(given, ended, _reasons(settings, ended), sandbox, values["R2_PUBLIC_URL"])
            echo(f"\n{_written(page, source)}")
        if texts:
            _show_texts(echo, sandbox)
        if keep:
            echo("\nEverything is running. In another shell:\n")
            echo("\n".join(f"export {name}={value}" for name, value in values.items()))
            echo("\nthen put a mail into that mailbox, by a mail client or")
            echo('  curl --url "imap://$IMAP_HOST:$IMAP_PORT/INBOX" --user "$IMAP_USERNAME:$IMAP_PASSWORD" -T mail.eml')
            echo("and run `poller once` (in a checkout: ./dev poller once).")
            echo("Ctrl-C ends it.")
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
        return ended


def _written(page: Path, source: str) -> str:
    """Write the page, and return a sentence that says where it is, or why it is not there."""
    try:
        page.write_text(source, encoding="utf-8")
    except OSError as error:
        return f"The page was not written: {page}: {error.strerror}."
    return f"Open {page.resolve()} in a browser: every mail, ticket, note, subtask, letter and receipt."


def _reasons(settings: Settings, references: Iterable[str]) -> dict[str, str]:
    """Return the recorded reason for the category of each message that has one."""
    with closing(open_store(settings)) as store:
        found = {
            reference: [entry.content["ok"] for entry in store.journal(reference) if "ok" in entry.content]
            for reference in references
        }
    return {
        reference: str(value["reason"])
        for reference, values in found.items()
        for value in values
        if isinstance(value, dict) and "decided_by" in value
    }


def _reference(settings: Settings, raw: bytes) -> str:
    return reference_of(Inbox(settings).account, raw) or ""


def _subject(raw: bytes) -> str:
    return headers.decode(headers.take_apart(raw).first(b"subject")) or "(no subject)"


def _listed(raw: bytes) -> str:
    """Return a message as a list shows it. A receipt has its sender's name too, which is the outcome."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    if message[HEADER] != KIND:
        return _subject(raw)
    return f"{message['From'].addresses[0].display_name}: {_subject(raw)}"


def _tell(echo: Echo, subject: str, reference: str, status: MessageStatus) -> None:
    """Print what was decided about a mail, and what was created for it."""
    result = status.result
    sure = f", {result.confidence:.0%} sure, by {result.decided_by}" if result.category else ""
    review = "  (to be reviewed)" if result.needs_review else ""
    echo(f"{subject}  [{reference}]\n    {status.outcome.upper()}{sure}{review}")
    if result.reason:
        echo(f"    because  {result.reason}")
    for name, link in (("ticket", result.ticket), ("subtask", result.subtask)):
        if link:
            echo(f"    {name:<8} {link.url}")
    for url in result.files:
        echo(f"    file     {url}")


def _show(echo: Echo, sandbox: Sandbox) -> None:
    """Print the mailboxes as the admin's mail client shows them, and what the services hold."""
    echo("\nThe mailboxes, as the admin sees them:")
    for mailbox, messages in sandbox.imap.all_messages().items():
        echo(f"  {mailbox} ({len(messages)})")
        for message in messages:
            echo(f"    - {_listed(message.raw)}  {' '.join(sorted(message.flags))}")
    made = {
        "contact": len(sandbox.hubspot.contacts),
        "ticket": len(sandbox.hubspot.tickets),
        "note": len(sandbox.hubspot.notes),
        "subtask": len(sandbox.clickup.subtasks),
        "file": len(sandbox.s3.objects),
        "notification": len(sandbox.smtp.messages),
    }
    echo(f"\nAt the services: {', '.join(_count(number, name) for name, number in made.items())}.")


def _show_texts(echo: Echo, sandbox: Sandbox) -> None:
    """Print each text that was made of the mail, as it was sent to its service."""
    shown = [
        ("Ticket", f"{ticket.properties['subject']}\n\n{ticket.properties['content']}")
        for ticket in sandbox.hubspot.tickets
    ]
    shown += [("Note (HTML)", note.properties["hs_note_body"]) for note in sandbox.hubspot.notes]
    shown += [("Subtask (Markdown)", f"{task.name}\n\n{task.markdown}") for task in sandbox.clickup.subtasks]
    for letter in sandbox.smtp.messages:
        message = email.message_from_bytes(letter.raw, policy=email.policy.default)
        body = message.get_body(("plain",))
        shown.append(("Notification", f"{message['Subject']}\n\n{body.get_content() if body else ''}"))
    for name, text in shown:
        echo(f"\n--- {name} ---\n{escaping.plain_text(text).strip()}")


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running, and say how to connect.")
@click.option(
    "--page",
    type=click.Path(dir_okay=False, path_type=Path),
    default="demo.html",
    show_default=True,
    help="The HTML file to write with all that was made.",
)
@click.pass_context
def demo(ctx: click.Context, *, keep: bool, page: Path) -> None:
    """Dispatch sample mails on local stand-ins. This needs no account."""
    end_with_the_stand_ins()
    outcomes = {status.outcome for status in run(click.echo, keep=keep, page=page).values()}
    ctx.exit(0 if outcomes <= {Outcome.SUPPORT, Outcome.MODELISATION, Outcome.IGNORED} else EXIT_FAILED)


def end_with_the_stand_ins() -> None:
    """Exit on SIGTERM and SIGHUP in an orderly way, so that the stand-ins end too: some are processes of their own."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
