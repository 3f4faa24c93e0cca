"""New settings, tried at every service beside the daemon, which goes on with the old ones meanwhile."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrations.errors import ConfigurationError
from poller.monitoring import checks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from poller.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Tried:
    """What the services said to new settings."""

    settings: Settings
    proven: Collection[str] = ()  # those that have taken them, in small letters
    problems: Sequence[str] = ("they could not be tried",)  # for which they cannot be used


def try_beside(settings: Settings, tell: Callable[[Tried], object]) -> None:
    """Tell what the services say, from a thread of its own: one that hangs keeps us from no signal, nor from our end.

    Each call has its bound, but all of them together may take longer than the service manager waits for a stop.
    """
    threading.Thread(target=_try, args=(settings, tell), name="reload", daemon=True).start()


def _try(settings: Settings, tell: Callable[[Tried], object]) -> None:
    tried = Tried(settings)
    try:
        said = list(checks.check(settings))
        # What a start would end at, or each message, is no better now; what is out of reach is waited for.
        problems = [f"{each.service}: {each.words}" for each in said if each.verdict == "refused"]
        tried = Tried(settings, {each.service.lower() for each in said if each.verdict == "ok"}, problems)
    except ConfigurationError as error:
        tried = Tried(settings, problems=str(error).splitlines())
    finally:
        tell(tried)
