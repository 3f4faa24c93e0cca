"""The commands that try something out: every service, one mail, the whole of it on stand-ins."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from itertools import chain
from pathlib import Path
from typing import IO

import click

from poller.cli.options import EXIT_FAILED, EXIT_REFUSED, EXIT_UNAVAILABLE, Progress, json_option, painted, settings_of

PAYLOADS = ["support", "modelisation", "modelisation_with_files"]


@click.command()
@json_option("One JSON object a service.")
@click.pass_context
def check(ctx: click.Context, *, as_json: bool) -> None:
    """Try the state, every service and the forms.

    Each with the configured credentials, and without leaving a trace.

    Exit code 0 when all answered, 69 when one is out of reach, 77 when one refused, 78 for settings that cannot work.
    """
    from poller.monitoring import checks  # noqa: PLC0415  keeps --help quick

    worst = 0
    settings = settings_of(ctx)
    for result in chain(checks.check(settings), checks.check_beside(settings), checks.check_forms(settings)):
        click.echo(json.dumps(result.as_json()) if as_json else painted(result.as_line()))
        worst = max(worst, {"refused": EXIT_REFUSED, "unreachable": EXIT_UNAVAILABLE}.get(result.verdict, 0))
    ctx.exit(worst)


@click.command()
@click.argument("mail", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--evaluate",
    "labelled",
    metavar="FILE",
    type=click.File(encoding="utf-8"),
    help="Labelled mails, JSON Lines as `poller corrections --jsonl` writes them: how many come out right.",
)
@click.option("--no-claude", is_flag=True, help="With --evaluate: the rules alone.")
@json_option("As one JSON object.")
@click.pass_context
def classify(
    ctx: click.Context, mail: Path | None, *, labelled: IO[str] | None, no_claude: bool, as_json: bool
) -> None:
    """What a mail would be, and why.

    MAIL is a raw message, .eml. Nothing is created, and Claude is asked where the rules are unsure and there is a key.

    With --evaluate instead: accuracy, what was taken for what, who decided, and what Claude cost. Exit code 75 when
    Claude is out of reach, 78 also when it refuses the key.
    """
    if (mail is None) == (labelled is None) or (no_claude and labelled is None):
        raise click.UsageError("give either a mail, or --evaluate and a file")
    if labelled:
        _evaluate(ctx, labelled, no_claude=no_claude, as_json=as_json)
        return
    from poller.cli import trial  # noqa: PLC0415  keeps --help quick

    if mail is None or not trial.is_mail(mail):
        raise click.BadParameter(f"{mail} is no mail: it does not begin with a header", ctx, param_hint="MAIL")
    verdict = trial.classify(settings_of(ctx, need_imap=False), mail)
    click.echo(
        json.dumps(verdict, ensure_ascii=False) if as_json else "\n".join(f"{k}: {v}" for k, v in verdict.items())
    )


def _evaluate(ctx: click.Context, labelled: IO[str], *, no_claude: bool, as_json: bool) -> None:
    from poller.dispatch.clients import services  # noqa: PLC0415  keeps --help quick
    from poller.monitoring.metrics import PRICES  # noqa: PLC0415  keeps --help quick
    from poller.triage import evaluation  # noqa: PLC0415  keeps --help quick

    settings = settings_of(ctx, need_imap=False)
    claude = None if no_claude else services(settings).claude
    try:
        mails = list(evaluation.read(labelled))
    except evaluation.InvalidExamplesError as error:
        raise click.BadParameter(str(error), ctx, param_hint="--evaluate") from error
    verdicts: list[evaluation.Verdict] = []
    with Progress() as progress:
        for mail in mails:
            progress.show(f"{len(verdicts)} of {len(mails)} classified")
            verdicts.append(evaluation.judge(mail, claude))
    asked = evaluation.usage(claude, PRICES.get(settings.anthropic.model))
    if as_json:
        click.echo(json.dumps(evaluation.as_json(verdicts, asked)))
        return
    for line in evaluation.as_lines(verdicts, asked):
        click.echo(line)
    if claude is None and not no_claude:
        click.echo("Claude is off: set ANTHROPIC_API_KEY", err=True)


@click.command(name="try")
@click.argument("mail", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--payload", type=click.Choice(PAYLOADS), help="A built-in mail.")
@click.option("--live", is_flag=True, help="With the configured services, not the sandbox; creates real tickets.")
@click.pass_context
def try_(ctx: click.Context, mail: Path | None, payload: str | None, *, live: bool) -> None:
    """The whole job on one mail.

    MAIL is a raw message, .eml; the services are those of the sandbox, or with --live the configured ones.
    """
    if (mail is None) == (payload is None):
        raise click.UsageError("give either a mail or --payload")
    _end_with_the_stand_ins()
    from poller.cli import samples, trial  # noqa: PLC0415  keeps --help quick

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


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running, and say how to connect.")
@click.pass_context
def demo(ctx: click.Context, *, keep: bool) -> None:
    """The whole job on stand-ins; no account needed."""
    _end_with_the_stand_ins()
    from poller.cli import demo as show  # noqa: PLC0415  keeps --help quick

    outcomes = {standing.outcome for standing in show.run(click.echo, keep=keep).values()}
    ctx.exit(0 if outcomes <= {"support", "modelisation", "ignored"} else EXIT_FAILED)


def _end_with_the_stand_ins() -> None:
    """Whatever ends us, they are ended too: some are processes of their own."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))


TRYOUTS = (check, classify, try_, demo)
