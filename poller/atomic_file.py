"""Replace a file of the state directory as a whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def replace(path: Path, text: str, mode: int, *, durable: bool = False) -> None:
    """Write a file atomically: a reader finds either all of the old text or all of the new.

    A file that root writes is the directory owner's: the daemon reads what `sudo poller learn` left. A `durable` one is
    on the disk before the old one is given up, so that a crash of the machine leaves either.

    Raises:
        OSError: the file cannot be written. Nothing is left beside the old one.
    """
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    # A new file, and not what that owner may have put in its place for root to write to or to give away.
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        try:
            if os.geteuid() == 0:
                owner = path.parent.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            os.fchmod(file.fileno(), mode)  # independent of the umask
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
            new.replace(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
