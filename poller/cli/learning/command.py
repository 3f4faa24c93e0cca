"""The `learn` command."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

import click

from poller import atomic_file
from poller.cli import corrections
from poller.cli.options import EXIT_FAILED, json_option, settings_of
from poller.cli.terminal import Progress
from poller.learning import embedding, learned_model
from poller.model import Category
from poller.triage import evaluation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poller.config.settings import Settings
    from poller.learning.training import Decided, Trained
    from poller.triage.evaluation import Labelled


@click.command()
@click.argument("files", nargs=-1, type=click.File(encoding="utf-8"))
@click.option("--dry-run", is_flag=True, help="Show the measures, and keep the model that is there.")
@json_option("The measures as one JSON object.")
@click.pass_context
def learn(ctx: click.Context, files: Sequence[IO[str]], *, dry_run: bool, as_json: bool) -> None:
    """Learn from what people corrected and confirmed.

    The mails that people reclassified, and a sample of those that nobody moved for a week, are read from the mailbox.
    FILES are read in their place: JSON Lines as `poller corrections --jsonl --confirmed` writes them. The labelled
    mails that come with the package are added. The measures are by cross-validation: each mail is judged by a model
    that does not know it. Then the model is written to the state directory, and the daemon uses it from then on.

    Exit code 1 when it cannot be learnt, 75 when the mailbox is out of reach, 78 when the extra is not installed.
    """
    embedding.require_installed()
    from poller.learning import training  # noqa: PLC0415 - numpy is of the extra
    from poller.triage.training_set import seed, training_set  # noqa: PLC0415 - likewise

    settings = settings_of(ctx, need_imap=not files)
    given = seed()
    try:
        with Progress() as progress:
            progress.show("reading mails ...")
            found = list(_labelled(settings, files))
            examples = training_set([*given, *found], lambda done: progress.show(f"{done} mails embedded"))
        trained = training.train(examples)
    except evaluation.InvalidExamplesError as error:
        raise click.BadParameter(str(error), ctx, param_hint="FILES") from error
    except (embedding.EmbeddingFailedError, training.TooFewError) as error:
        click.echo(f"poller: {error}", err=True)
        ctx.exit(EXIT_FAILED)
    if as_json:
        click.echo(json.dumps(training.as_json(trained)))
    else:
        click.echo(f"{len(given)} requests of the package and {len(found)} of the mailbox or of files")
        for line in _lines(trained):
            click.echo(line)
    if not dry_run:
        path = settings.directory / learned_model.FILE
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_file.replace(path, learned_model.dumps(trained.model), 0o600)
        click.echo(f"written to {path}", err=True)


def _labelled(settings: Settings, files: Sequence[IO[str]]) -> Iterator[Labelled]:
    """Yield the labelled mails of the files, or of the mailbox where there are none."""
    if files:
        for file in files:
            try:
                yield from evaluation.read(file)
            except evaluation.InvalidExamplesError as error:
                raise evaluation.InvalidExamplesError(f"{file.name}: {error}") from error
        return
    for reference, row in corrections.examples(settings, and_confirmed=True):
        if row:
            yield from evaluation.read([json.dumps(row)])
        else:
            click.echo(f"{reference} is not where it was filed, and is left out", err=True)


def _lines(trained: Trained) -> Iterator[str]:
    """Format the measures for a person."""
    number = trained.model.examples
    yield f"{trained.right} of {number} right ({trained.model.accuracy:.1%}), each by a model that does not know it"
    yield f"{trained.silent_right} of the {trained.silent} right that the rules are unsure of"
    yield "from a confidence of, it would decide of these"
    for each in trained.decided:
        yield f"  {each.confidence:>5.0%}  {_decided(each)}"
    if trained.chosen:
        yield f"it may decide from {trained.chosen.confidence:.1%} on: {_decided(trained.chosen)}"
    else:
        yield "it is never sure enough to decide"
    yield f"{'is':<14}" + "".join(f"{'said ' + said:>20}" for said in Category)
    for label in Category:
        yield f"{label:<14}" + "".join(f"{trained.confusion[label, said]:>20}" for said in Category)


def _decided(each: Decided) -> str:
    share = each.right / each.decided if each.decided else 0
    return (
        f"{each.decided:>4} ({each.decided / max(each.silent, 1):>4.0%}), {each.right:>4} right ({share:.1%}, "
        f"at least {each.at_least:.1%})"
    )
