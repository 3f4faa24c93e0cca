"""The `try` command."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click

from poller.cli import samples, trial
from poller.cli.demo import end_with_the_stand_ins
from poller.cli.options import EXIT_FAILED, mail_argument, settings_of

PAYLOADS = ["support", "modelisation", "modelisation_with_files"]


@click.command(name="try")
@mail_argument(required=False)
@click.option("--payload", type=click.Choice(PAYLOADS), help="A built-in mail.")
@click.option("--live", is_flag=True, help="With the configured services, not the sandbox; creates real tickets.")
@click.pass_context
def try_(ctx: click.Context, mail: Path | None, payload: str | None, *, live: bool) -> None:
    """Run all steps on one mail.

    MAIL is a raw message, .eml. The services are those of the sandbox, or with --live the configured ones.
    """
    if (mail is None) == (payload is None):
        raise click.UsageError("give either a mail or --payload")
    end_with_the_stand_ins()
    if mail and not trial.is_mail(mail):
        raise click.BadParameter(f"{mail} is no mail: it does not begin with a header", ctx, param_hint="MAIL")
    with tempfile.NamedTemporaryFile(suffix=".eml") as file:
        file.write(mail.read_bytes() if mail else samples.samples()[str(payload)])
        file.flush()
        if live:
            result = trial.live(settings_of(ctx, need_imap=False), Path(file.name))
        else:
            result = trial.sandbox(Path(file.name), lambda line: click.echo(line, err=True))
    click.echo(json.dumps(result, indent=2))
    ctx.exit(0 if result["outcome"] in {"support", "modelisation", "ignored"} else EXIT_FAILED)
