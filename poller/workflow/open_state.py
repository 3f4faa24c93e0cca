"""Open the state store beside a daemon, for the commands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dbos import DBOSClient, DBOSPortableJSONSerializer

from integrations.errors import ConfigurationError
from poller.workflow import database, outage
from poller.workflow.store import StateStore

if TYPE_CHECKING:
    from poller.config.settings import Settings


def open_store(settings: Settings) -> StateStore:
    """Open the state store of these settings, beside a daemon that may be at work on it. It must be closed.

    Raises:
        ConfigurationError: nothing has run on it yet, or the database refuses us.
        TransientError: the database is out of reach.
    """
    path = Path(settings.state_url.split("///", 1)[-1])
    if settings.state_url.startswith("sqlite"):
        _look_for(path)
    elif (found := database.check(settings.state_url)).endswith(database.FRESH):
        raise ConfigurationError(f"nothing has run yet: {found}")
    with outage.errors_beside():
        client = DBOSClient(
            system_database_url=settings.state_url,
            serializer=DBOSPortableJSONSerializer(),
            retry_connection_errors=False,
        )
    return StateStore(lambda: client._sys_db, client.destroy)  # noqa: SLF001  the connection, see `StateStore`


def _look_for(path: Path) -> None:
    try:
        path.stat()
    except PermissionError:  # of its directory; `Path.is_file` of Python 3.14 does not tell
        pass
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigurationError(f"nothing has run yet: there is no state in {path.parent}") from None
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        raise ConfigurationError(f"{path} is another user's: run this as the one that the daemon runs as")
