"""The `config show` and `config example` commands."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click

from poller import logs
from poller.cli.options import EXIT_FAILED, json_option
from poller.config import loader


@click.group()
def config() -> None:
    """Show the settings, or write examples of them."""


@config.command(name="show")
@json_option("One JSON object a setting.")
@click.pass_context
def show_config(ctx: click.Context, *, as_json: bool) -> None:
    """Show every setting in force, and where it came from.

    Each value is shown as config.toml has it, "" where none is set. Of a secret, only whether it is set is shown. Exit
    code 78 for settings that cannot work.
    """
    logs.configure(ctx.obj["log_level"] or "WARNING")
    settings = list(loader.explain(ctx.obj["config"], ctx.obj["dotenv"]))
    width = max(len(each.name) for each in settings)
    for each in settings:
        if as_json:
            click.echo(json.dumps({"name": each.name, "value": each.value, "source": each.source}, ensure_ascii=False))
        else:
            click.echo(f"{each.name:<{width}}  {each.shown:<40} {each.source}")


@config.command(name="example")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.pass_context
def write_examples(ctx: click.Context, directory: Path) -> None:
    """Write examples of the settings into a directory.

    They are config.example.toml, .env.example and systemd/ of this release. DIRECTORY is by default the current one.
    Nothing is overwritten: exit code 1 when one of the files is there already.
    """
    source = _examples()
    names = [
        "config.example.toml",
        ".env.example",
        *sorted(f"systemd/{each.name}" for each in source.glob("systemd/*")),
    ]
    if there := [name for name in names if (directory / name).exists()]:
        click.echo(f"poller: nothing written, as these are there already: {', '.join(there)}", err=True)
        ctx.exit(EXIT_FAILED)
    try:
        (directory / "systemd").mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copyfile(source / name, directory / name)
            click.echo(directory / name)
    except OSError as error:
        click.echo(f"poller: {directory}: {error.strerror}", err=True)
        ctx.exit(EXIT_FAILED)


def _examples() -> Path:
    """Return the directory of the example files: where the wheel has put them, else the checkout."""
    installed = Path(sys.prefix, "share", "figurative-poller")
    return installed if installed.is_dir() else Path(__file__).parents[2]
