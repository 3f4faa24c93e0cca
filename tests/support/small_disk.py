"""A disk of its own for a test, which it fills and empties."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = "8m"


class SmallDisk:
    """A file system in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def empty(self) -> None:
        """Remove what fills it."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(path: Path) -> Iterator[SmallDisk]:
    """A disk of a few megabytes at this path. Where none can be mounted, the test is skipped."""
    path.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if not mount or not umount:
        pytest.skip("there is no mount: apt install mount")
    made = subprocess.run([mount, "-t", "tmpfs", "-o", f"size={SIZE}", "none", path], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no tmpfs can be mounted: run the tests as root, where mounts are allowed")
    disk = SmallDisk(path)
    try:
        yield disk
    finally:
        disk.empty()
        subprocess.run([umount, "-l", path], check=True)
