"""The `classify` command."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

import click

from integrations.claude import PRICES
from poller.cli import trial
from poller.cli.options import json_option, mail_argument, settings_of
from poller.cli.terminal import Progress
from poller.dispatch.clients import services
from poller.learning import embedding
from poller.triage import evaluation
from poller.triage import leave_one_out as examples
from poller.triage.advice import adviser

if TYPE_CHECKING:
    from pathlib import Path

    from integrations.claude import Claude
    from poller.triage.leave_one_out import Change


@click.command()
@mail_argument(required=False)
@click.option(
    "--evaluate",
    "labelled",
    metavar="FILE",
    type=click.File(encoding="utf-8"),
    help="Labelled mails, JSON Lines as `poller corrections --jsonl` writes them: how many come out right.",
)
@click.option("--no-claude", is_flag=True, help="With --evaluate: the rules and what is learnt, alone.")
@click.option("--leave-one-out", is_flag=True, help="With --evaluate: also what Claude says with examples.")
@json_option("As one JSON object.")
@click.pass_context
def classify(
    ctx: click.Context,
    mail: Path | None,
    *,
    labelled: IO[str] | None,
    no_claude: bool,
    leave_one_out: bool,
    as_json: bool,
) -> None:
    """Show the category of a mail, and why.

    MAIL is a raw message, .eml. Nothing is created. Claude is asked if the rules are unsure and there is a key.

    With --evaluate, show instead the accuracy, the confusions, who decided, and the cost of Claude. Exit code 75 when
    Claude is out of reach, 78 also when it refuses the key. With --leave-one-out Claude is asked again about each mail
    that it decided on, with the most similar of the others as examples.
    """
    if (mail is None) == (labelled is None):
        raise click.UsageError("give either a mail, or --evaluate and a file")
    if (no_claude or leave_one_out) and labelled is None:
        raise click.UsageError(f"--{'no-claude' if no_claude else 'leave-one-out'} goes with --evaluate")
    if no_claude and leave_one_out:
        raise click.UsageError("--leave-one-out needs Claude")
    if labelled:
        _evaluate(ctx, labelled, no_claude=no_claude, leave_one_out=leave_one_out, as_json=as_json)
        return
    if mail is None or not trial.is_mail(mail):
        raise click.BadParameter(f"{mail} is no mail: it does not begin with a header", ctx, param_hint="MAIL")
    verdict = trial.classify(settings_of(ctx, need_imap=False), mail)
    click.echo(
        json.dumps(verdict, ensure_ascii=False) if as_json else "\n".join(f"{k}: {v}" for k, v in verdict.items())
    )


def _evaluate(ctx: click.Context, labelled: IO[str], *, no_claude: bool, leave_one_out: bool, as_json: bool) -> None:
    settings = settings_of(ctx, need_imap=False)
    claude = None if no_claude else services(settings).claude
    try:
        mails = list(evaluation.read(labelled))
    except evaluation.InvalidExamplesError as error:
        raise click.BadParameter(str(error), ctx, param_hint="--evaluate") from error
    verdicts: list[evaluation.Verdict] = []
    advised = adviser(settings)
    with Progress() as progress:
        for mail in mails:
            progress.show(f"{len(verdicts)} of {len(mails)} classified")
            verdicts.append(evaluation.judge(mail, claude, advised))
        changes: list[Change] = []
        if leave_one_out and claude:
            progress.show("classified again with examples ...")
            changes += _with_examples(verdicts, claude)
    asked = evaluation.usage(claude, PRICES.get(settings.anthropic.model))
    if as_json:
        told = evaluation.as_json(verdicts, asked)
        click.echo(json.dumps(told | ({"leave_one_out": examples.as_json(changes)} if changes else {})))
        return
    for line in (*evaluation.as_lines(verdicts, asked), *(examples.as_lines(changes) if changes else ())):
        click.echo(line)
    if claude is None and not no_claude:
        click.echo("Claude is off: set ANTHROPIC_API_KEY", err=True)


def _with_examples(verdicts: list[evaluation.Verdict], claude: Claude) -> list[Change]:
    embedding.require_installed()
    try:
        return list(examples.changes(verdicts, claude))
    except embedding.EmbeddingFailedError as error:
        raise click.ClickException(f"the mails cannot be compared: {error}") from error
