"""Tune how glibc keeps freed memory: a daemon that idles for hours must hold little, and a busy one must be quick."""

from __future__ import annotations

import ctypes
from typing import Final

# Options of mallopt(3) and their values.
_OPTIONS: Final = {
    -8: 1,  # M_ARENA_MAX: one heap for all threads instead of one each, as they take turns at Python anyway
    -3: 4 << 20,  # M_MMAP_THRESHOLD: pieces of a big mail lie in the heap, since fresh pages cost more than their bytes
    -1: 8 << 20,  # M_TRIM_THRESHOLD: more than that is given back; unset, it grows with what was ever freed
}


def tune_malloc() -> None:
    """Set the options in glibc, before there are threads. Another libc is left as it is."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        for option, value in _OPTIONS.items():
            mallopt(option, value)
