"""Freed memory: little of it is held."""

from __future__ import annotations

import subprocess
import sys

WORK = """
import ctypes, threading
from poller.daemon import malloc

malloc.tune_malloc()
together = threading.Barrier(4, timeout=10)

def work():
    together.wait()
    kept.append(bytes(2_000))

kept = []
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
"""


def test_all_threads_share_one_malloc_arena() -> None:
    """Each of its own would keep what its thread was done with; malloc_info(3) lists them."""
    ended = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True)
    assert ended.stdout.count("<heap nr=") == 1
