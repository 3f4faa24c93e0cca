"""The `acknowledgement` commands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from poller.child_process import ProcessStoppedError
from poller.cli.options import mail_argument, settings_of
from poller.cli.trial import is_mail
from poller.escaping import plain_text
from poller.inspection import process
from poller.model import Acknowledgement, DispatchResult, Preview
from poller.parsing import parser_process
from poller.rendering.acknowledgement.letter_writer import AcknowledgementWriter
from poller.rendering.phrases import UNREADABLE
from poller.triage import acknowledgement as triage
from poller.triage import attachment_policy, classification, form_mark, screening, sender
from poller.triage.language import Language, language_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from poller.config.settings import ImapSettings
    from poller.model import Attachment, Request


@click.group()
def acknowledgement() -> None:
    """Show the letter that customers get."""


@acknowledgement.command()
@mail_argument("FILE.eml")
@click.option(
    "--language",
    type=click.Choice([each.value for each in Language]),
    help="In this language, whatever that of the mail.",
)
@click.option("--html", is_flag=True, help="The HTML, for a browser.")
@click.pass_context
def preview(ctx: click.Context, mail: Path, language: str | None, *, html: bool) -> None:
    """Show the letter about a mail.

    FILE.eml is a raw message. The category is that of the rules. Nothing is stored, so there are no pictures, and
    nothing is sent. Whether the daemon would send the letter is said on standard error.

    Exit code 78 for a template that does not work.
    """
    if not is_mail(mail):
        raise click.BadParameter(f"{mail} is no mail: it does not begin with a header", ctx, param_hint="FILE.eml")
    settings = settings_of(ctx, need_imap=False)
    now = datetime.now(UTC)
    try:
        request = _identified(mail, now, settings.imap)
        done = _done(request)
    except (parser_process.ParserDiedError, ProcessStoppedError, OSError) as error:
        raise click.ClickException(f"the mail cannot be read: {error}") from error
    own = sender.own_domains(settings.imap)
    letter = AcknowledgementWriter(settings).write(
        request,
        done,
        Language(language) if language else language_of(request),
        now,
        repeats=triage.repeats_words(request, own),
    )
    body = letter.get_body(("html" if html else "plain",))
    if not html:
        for field in ("From", "Reply-To", "To", "Subject"):
            click.echo(f"{field}: {plain_text(str(letter[field]))}")
        click.echo()
    click.echo(str(body.get_content()).replace("\r\n", "\n") if body else "", nl=False)
    ignored = screening.screen(request, own=own)
    against = f"not sent: {ignored}" if ignored else triage.reason_against(request, own, now)
    click.echo(against or "It would be sent, unless the sender has had enough of them.", err=True)
    if against is Acknowledgement.UNPROVEN and not settings.imap.authserv_id:
        click.echo("No sender is vouched for until imap.authserv_id is set.", err=True)
    if not settings.acknowledgement.enabled:
        click.echo("The letters are turned off: set enabled = true in [acknowledgement] to send them.", err=True)


def _identified(mail: Path, now: datetime, imap: ImapSettings) -> Request:
    request = parser_process.parse(mail, "", now, unreadable=UNREADABLE)
    return sender.identify(request, sender.own_domains(imap), imap.authserv_id, form_mark.key_of(imap))


def _done(request: Request) -> DispatchResult:
    """Return what would be made of a mail, as far as a letter tells of it."""
    return DispatchResult(
        classification.classify_request(request, None),
        upload_decisions=attachment_policy.decide_uploads(request),
        previews=tuple(_previews(request.attachments)),
    )


def _previews(attachments: Sequence[Attachment]) -> Iterator[Preview]:
    for number in range(len(attachments)):
        for found in process.inspect(attachments, number):
            yield Preview(number, found.member, found.facts, no_picture=found.no_picture)
