"""Pictures and facts of the 3D files in MODEL_CORPUS: for how many, how fast, and what hostile ones take."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING

from poller import confinement
from poller.formats.table import FORMATS, suffix_of_name
from poller.inspection import formats, process, worker
from poller.model import Attachment, Kind
from tests.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

BENCH = "models"
OPENED = frozenset({"glb", "gltf", "obj", "stl", "ply", "3mf", "dae", "step", "stp", "usdz", "off"})
EXPECTED = 0.9


@dataclass(frozen=True, slots=True)
class Disk:
    """A file, as the content of an attachment."""

    path: Path

    def open(self) -> BinaryIO:
        return self.path.open("rb")


@dataclass(frozen=True, slots=True)
class Look:
    """What came of one file."""

    suffix: str
    has_picture: bool
    has_facts: bool
    is_whole: bool  # False if it names files that are not there, so that no viewer opens it
    took_s: float
    cpu_s: float
    peak_bytes: int


def attachment(path: Path) -> Attachment:
    """The file as a mail brings it."""
    kind = FORMATS.get(suffix_of_name(path.name), ("", Kind.OTHER))[1]
    return Attachment(path.name, "application/octet-stream", path.stat().st_size, kind, False, Disk(path))


def look(path: Path) -> Look:
    """Look into one file, in a process of its own, so that its processor time and memory can be told."""
    command = [sys.executable, "-m", "tests.bench.models", str(path)]
    began_s = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    has_picture, has_facts, is_whole, cpu_s, peak_kb = done.stdout.split()
    suffix = suffix_of_name(path.name)
    flags = (has_picture == "True", has_facts == "True", is_whole == "True")
    return Look(suffix, *flags, time.monotonic() - began_s, float(cpu_s), int(peak_kb) * 1024)


def run(tell: Callable[[str], object]) -> list[Row]:
    """Look into every file of the corpus that may have a picture or facts."""
    corpus = Path(os.environ.get("MODEL_CORPUS", "nowhere"))
    if not corpus.is_dir():
        return [Row(BENCH, "files", "none: run with MODEL_CORPUS=<folder of 3D files>", "a corpus", good=False)]
    paths = [path for path in sorted(corpus.rglob("*")) if path.is_file() and formats.is_inspected(attachment(path))]
    looks: dict[bool, list[Look]] = defaultdict(list)
    for number, path in enumerate(paths):
        looks["hostile" in path.parts].append(look(path))
        if number % 20 == 0:
            tell(f"models: {number} of {len(paths)} files")
    return [*_shares(looks[False]), *_costs("files", looks[False]), *_hostile(looks[True])]


def _shares(looks: Sequence[Look]) -> list[Row]:
    by_suffix: dict[str, list[Look]] = defaultdict(list)
    for each in looks:
        by_suffix[each.suffix].append(each)
    rows = [
        Row(
            BENCH,
            f".{suffix}",
            f"{sum(each.has_picture for each in found)} of {len(found)} with a picture, "
            f"{sum(each.has_facts for each in found)} with facts",
        )
        for suffix, found in sorted(by_suffix.items())
    ]
    opened = [each for each in looks if each.suffix in OPENED and (each.is_whole or each.has_picture)]
    share = sum(each.has_picture for each in opened) / max(len(opened), 1)
    return [
        Row(BENCH, "formats with a picture", f"{sum(any(e.has_picture for e in f) for f in by_suffix.values())}"),
        Row(BENCH, "formats with facts", f"{sum(any(e.has_facts for e in f) for f in by_suffix.values())}"),
        *rows,
        Row(
            BENCH,
            "glb gltf obj stl ply 3mf dae step usdz off that open, with a picture",
            f"{share:.0%} of {len(opened)}",
            f"at least {EXPECTED:.0%}",
            good=share >= EXPECTED,
        ),
    ]


def _costs(what: str, looks: Sequence[Look]) -> list[Row]:
    return [
        Row(BENCH, f"{what}: {name}, median and 95 %", f"{statistics.median(found):.1f} and {_high(found):.1f} {unit}")
        for name, unit, found in (
            ("time", "s", [each.took_s for each in looks]),
            ("processor", "s", [each.cpu_s for each in looks]),
            ("peak memory", "MB", [each.peak_bytes / 1e6 for each in looks]),
        )
        if found
    ]


def _high(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def _hostile(looks: Sequence[Look]) -> list[Row]:
    beyond = [
        each
        for each in looks
        if each.cpu_s > worker.CPU_S + 3
        or each.peak_bytes > confinement.MEMORY_BYTES
        or each.took_s > process.LIMIT_S + 10
    ]
    return [
        *_costs("hostile files", looks),
        Row(BENCH, "hostile files beyond the limits", f"{len(beyond)} of {len(looks)}", "none", good=not beyond),
    ]


def main() -> None:
    """Look into the file that is named, and print what came of it."""
    found = process.inspect([attachment(Path(sys.argv[1]))], 0)
    forkserver._forkserver._stop()  # type: ignore[attr-defined]  # what its children took is counted when it has ended
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(  # noqa: T201  the parent reads it
        any(each.picture for each in found),
        any(each.facts and (each.facts.triangles is not None or each.facts.issues) for each in found),
        not any(each.facts and each.facts.missing for each in found),
        used.ru_utime + used.ru_stime,
        used.ru_maxrss,
    )


if __name__ == "__main__":
    main()
