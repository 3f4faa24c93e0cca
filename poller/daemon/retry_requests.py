"""Pass on to the daemon what a person wants to have tried now.

Each request is an empty file in the state directory, so no two of them can overwrite each other, and asking twice is
asking once. The daemon may remove a file of another user's there, as one that root has left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = "waiting"  # the name that stands for every message that waits
_PREFIX = "retry-"


def leave(directory: Path, name: str) -> None:
    """Leave a request for a message, by its reference, or for EVERYTHING.

    Raises:
        OSError: the directory takes no file.
    """
    (directory / f"{_PREFIX}{name}").touch(0o600)


def take(directory: Path) -> set[str]:
    """Remove all requests, and return their names.

    Raises:
        OSError: the directory cannot be read, or a request cannot be removed.
    """
    taken = set()
    for path in directory.glob(f"{_PREFIX}*"):
        path.unlink(missing_ok=True)
        taken.add(path.name.removeprefix(_PREFIX))
    return taken
