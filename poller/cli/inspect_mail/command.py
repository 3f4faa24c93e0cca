"""The `inspect` command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from poller import logs
from poller.child_process import ProcessStoppedError
from poller.cli.inspect_mail import findings, redaction
from poller.cli.options import json_option, mail_argument
from poller.escaping import one_line, plain_text
from poller.parsing.parser_process import ParserDiedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@click.command(name="inspect")
@mail_argument("FILE.eml")
@json_option("As one JSON object.")
@click.option(
    "--own-domain", "own", metavar="DOMAIN", multiple=True, help="A domain or an address of ours; may be repeated."
)
@click.option("--authserv-id", metavar="ID", default="", help="The server whose Authentication-Results are believed.")
@click.option("--redact", is_flag=True, help="Texts, names and addresses by their shapes, for a bug report.")
@click.pass_context
def inspect_(
    ctx: click.Context, mail: Path, own: tuple[str, ...], authserv_id: str, *, as_json: bool, redact: bool
) -> None:
    """Show what the daemon sees in a mail.

    FILE.eml is a raw message. No settings are read, no service is asked, and nothing is sent.
    """
    logs.configure(ctx.obj["log_level"] or "WARNING")
    try:
        found = findings.inspect(mail, " ".join(own).lower().replace(",", " ").split(), authserv_id)
    except (ParserDiedError, ProcessStoppedError, OSError) as error:
        raise click.ClickException(f"the mail cannot be read: {error}") from error
    seen = findings.as_json(found)
    cut = findings.cut(found.request)
    if redact:
        seen, cut = redaction.redacted(seen), [redaction.shape(line) for line in cut]
    if as_json:
        click.echo(json.dumps(seen))  # ASCII, so a text with lone surrogates or control characters is harmless
        return
    for line in _lines(seen, cut, found.why_sender):
        click.echo(line)


def _lines(seen: dict[str, Any], cut: list[str], why_sender: str) -> Iterator[str]:
    """Format the findings for a person, without any control character of the mail."""
    yield f"reference     {seen['reference']}"
    yield f"author        {_person(seen['author'])}"
    yield f"sender        {_person(seen['sender'])}  ({why_sender})"
    yield f"subject       {one_line(seen['subject'])}"
    yield f"screening     {'ignored: ' + one_line(seen['ignored']) if seen['ignored'] else 'work'}"
    verdict = seen["rules"]
    yield "rules         " + (
        f"{verdict['category']} ({verdict['confidence']:.0%}): {one_line(verdict['reason'])}" if verdict else "unsure"
    )
    for title, key in (
        ("in reply to", "in_reply_to"),
        ("references", "references"),
        ("forwarded of", "original_senders"),
        ("link", "links"),
        ("defect", "defects"),
    ):
        for value in seen[key]:
            yield f"{title:<14}{one_line(value, 2_000)}"
    for file in seen["attachments"]:
        yield (
            f"{'attachment':<14}{one_line(file['name'])}  {one_line(file['content_type'])}, "
            f"{file['size_bytes']} bytes, {file['kind']}: {file['fate']} ({file['reason']})"
        )
    yield "newest part"
    yield from (f"  {line}" for line in plain_text(seen["newest"]).split("\n"))
    yield f"cut: {len(cut)} lines" if cut else "cut: nothing"
    yield from (f"  {one_line(line, 2_000)}" for line in cut)


def _person(person: dict[str, str]) -> str:
    return one_line(f"{person['name']} <{person['address']}>".strip())
