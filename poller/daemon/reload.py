"""Read new settings, and check them at every service in the background. The daemon goes on with the old ones."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrations.errors import ConfigurationError
from poller.imap import login_refusals
from poller.mailbox.account import account_of, is_same
from poller.monitoring import checks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from poller.config.settings import Settings


@dataclass(frozen=True, slots=True)
class ReloadCheck:
    """The result of checking new settings at the services."""

    settings: Settings
    proven: Collection[str] = ()  # services that accepted them, lower case
    problems: Sequence[str] = ("they could not be tried",)  # why they cannot be used; empty: they can


def read_anew(read: Callable[[], Settings], before: Settings) -> Settings:
    """Return the settings that `read` returns, to go on with after those `before`.

    Raises:
        ConfigurationError: they cannot be used, or name another mailbox than that of the state.
    """
    then = read()
    login_refusals.try_again()  # A person asks for it.
    if then.state_url == before.state_url and not is_same(before.imap, then.imap):
        raise ConfigurationError(f"the state belongs to the mailbox {account_of(before.imap)}: look at STATE_URL")
    return then


def check_in_background(settings: Settings, tell: Callable[[ReloadCheck], object]) -> None:
    """Check the settings in a thread of its own, and pass the result to `tell`.

    A check that hangs thus delays neither signals nor the shutdown. Each call has a time limit, but together they may
    take longer than the service manager waits for a stop.
    """
    threading.Thread(target=_try, args=(settings, tell), name="reload", daemon=True).start()


def _try(settings: Settings, tell: Callable[[ReloadCheck], object]) -> None:
    tried = ReloadCheck(settings)
    try:
        said = list(checks.check(settings))
        # Reject what would stop a start or fail every message. An unreachable service is no reason to reject.
        problems = [f"{each.service}: {each.words}" for each in said if each.verdict == "refused"]
        tried = ReloadCheck(settings, {each.service.lower() for each in said if each.verdict == "ok"}, problems)
    except ConfigurationError as error:
        tried = ReloadCheck(settings, problems=str(error).splitlines())
    finally:
        tell(tried)
