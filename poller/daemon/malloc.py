"""How glibc keeps what was freed: a daemon that rests for hours is to hold little, and one at work to be quick."""

from __future__ import annotations

import ctypes
from typing import Final

# Numbers of mallopt(3), and what is asked of each.
_OPTIONS: Final = {
    -8: 1,  # M_ARENA_MAX: one heap for all threads, which take turns at Python anyway, and not one for each
    -3: 4 << 20,  # M_MMAP_THRESHOLD: pieces of a big mail lie in the heap, for fresh pages cost more than their bytes
    -1: 8 << 20,  # M_TRIM_THRESHOLD: more than that is given back; left to itself it grows with what was ever freed
}


def tighten() -> None:
    """Ask it of glibc, before there are threads; of another libc, nothing."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        for option, value in _OPTIONS.items():
            mallopt(option, value)
