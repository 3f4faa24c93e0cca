"""The `forms` command."""

from __future__ import annotations

import click

from integrations.errors import ConfigurationError
from poller.cli.options import settings_of
from poller.config.extras import how_to_install


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.pass_context
def forms(ctx: click.Context, *, host: str, port: int) -> None:
    """Serve the forms of the site.

    Each post becomes a mail. Answers POST /forms/NAME until SIGTERM or Ctrl-C. /openapi.json describes the requests.
    Needs the extra "forms".

    Exit code 0 when it was asked to stop, 78 for settings that cannot work.
    """
    try:
        from poller.forms.asgi import serve  # noqa: PLC0415  keeps --help quick
    except ModuleNotFoundError as missing:
        raise ConfigurationError(f"{missing.name} is not installed: {how_to_install('forms')}") from missing

    serve(settings_of(ctx), host, port)
