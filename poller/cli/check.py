"""The `check` and `setup-hubspot` commands."""

from __future__ import annotations

import json
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING

import click

from integrations.errors import ConfigurationError
from poller.cli.options import EXIT_REFUSED, EXIT_UNAVAILABLE, json_option, settings_of
from poller.cli.terminal import painted
from poller.config.extras import how_to_install
from poller.dispatch.clients import services
from poller.forms.auth import forms_of
from poller.forms.message import address_of
from poller.monitoring import checks
from poller.monitoring.checks import Checked, tried

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.config.settings import Settings


@click.command()
@json_option("One JSON object a service.")
@click.pass_context
def check(ctx: click.Context, *, as_json: bool) -> None:
    """Try the state, every service and the forms.

    Each is tried with the configured credentials, and nothing is changed.

    Exit code 0 when all answered, 69 when one is out of reach, 77 when one refused, 78 for settings that cannot work.
    """
    worst = 0
    settings = settings_of(ctx)
    for result in chain(checks.check(settings), checks.check_beside(settings), check_forms(settings)):
        click.echo(json.dumps(result.as_json()) if as_json else painted(result.as_line()))
        worst = max(worst, {"refused": EXIT_REFUSED, "unreachable": EXIT_UNAVAILABLE}.get(result.verdict, 0))
    ctx.exit(worst)


@click.command(name="setup-hubspot")
@click.pass_context
def setup_hubspot(ctx: click.Context) -> None:
    """Give HubSpot's tickets a unique reference.

    Optional. With it a ticket is found by its reference, and HubSpot itself refuses a second one.

    Exit code 75 when HubSpot is out of reach, 78 when it is off or refuses our key.
    """
    hubspot = services(settings_of(ctx, need_imap=False)).hubspot
    if hubspot is None:
        raise ConfigurationError("HubSpot is off: set HUBSPOT_API_KEY and HUBSPOT_HUB_ID")
    made = hubspot.create_reference_property()
    click.echo("The property has been created." if made else "The property was there already.")
    click.echo("Now set reference_property = true in [hubspot] of config.toml, or HUBSPOT_REFERENCE_PROPERTY=true.")


FORMS_PACKAGES = ("python_multipart", "starlette", "uvicorn")  # of the extra "forms"


def check_forms(settings: Settings) -> Iterator[Checked]:
    """Check whether `poller forms` could serve the forms. Yield nothing where there are none.

    The daemon does without them.
    """

    def serve() -> str:
        if missing := next((package for package in FORMS_PACKAGES if find_spec(package) is None), ""):
            raise ConfigurationError(f"{missing} is not installed: {how_to_install('forms')}")
        names = ", ".join(forms_of(settings.forms))
        return f"{names}; from {address_of(settings)}"

    if settings.forms.names:
        yield tried("Forms", serve)
