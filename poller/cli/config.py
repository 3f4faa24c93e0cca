"""The `config show` command."""

from __future__ import annotations

import json

import click

from poller import logs
from poller.cli.options import json_option
from poller.config import loader


@click.group()
def config() -> None:
    """Show the settings."""


@config.command(name="show")
@json_option("One JSON object a setting.")
@click.pass_context
def show_config(ctx: click.Context, *, as_json: bool) -> None:
    """Show every setting in force, and where it came from.

    Each value is shown as config.toml has it, "" where none is set. Of a secret, only whether it is set is shown. Exit
    code 78 for settings that cannot work.
    """
    logs.configure(ctx.obj["log_level"] or "WARNING")
    for each in loader.explain(ctx.obj["config"], ctx.obj["dotenv"]):
        if as_json:
            click.echo(json.dumps({"name": each.name, "value": each.value, "source": each.source}, ensure_ascii=False))
        else:
            click.echo(f"{each.name:<34} {each.shown:<40} {each.source}")
