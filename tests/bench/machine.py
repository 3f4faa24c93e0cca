"""What a process costs, its children with it, and on which machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

SAMPLE_S = 0.02
MB = 1_000_000
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for each in found:
        with suppress(OSError):  # it has ended
            for task in Path(f"/proc/{each}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def memory_bytes(pid: int) -> int:
    """What a process and its children hold in memory: pages that they share are counted once (PSS)."""
    total_kb = 0
    for each in tree(pid):
        with suppress(OSError):
            found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{each}/smaps_rollup").read_text(), re.MULTILINE)
            total_kb += int(found[1]) if found else 0
    return total_kb * 1024


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process and its children have taken, those that have ended too."""
    total = 0
    for each in tree(pid):
        with suppress(OSError):
            # Fields 14 to 17 of proc(5), counted from behind the name, which may hold anything.
            total += sum(map(int, Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return total * _TICK_S


class Peak:
    """The most memory that a process and its children hold while it lasts: a context manager."""

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._pid, self._over = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self.bytes = max(self.bytes, memory_bytes(self._pid))


def description() -> str:
    """The machine and what runs on it, in a few lines of Markdown."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return "\n".join(
        (
            f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.1f} at the end",
            f"- {os.cpu_count()} cores ({model[1] if model else platform.machine()}), {memory_gb:.0f} GB",
            f"- {platform.system()} {platform.release()}, Python {platform.python_version()}",
            f"- Dovecot {_version('dovecot', '--version')}; {_version('mbsync', '--version')}",
        )
    )


def _version(*command: str) -> str:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"no {command[0]}"
    return ended.stdout.strip().partition(" (")[0]
