"""Take from a process what looking into a file does not need."""

from __future__ import annotations

import platform
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

TRIED = {
    "reads a file": "open(sys.argv[2]).read()",
    "lists a directory": "os.listdir(os.path.dirname(sys.argv[2]))",
    "writes elsewhere": "open(sys.argv[2] + '.new', 'w')",
    "writes a large file": "open(sys.argv[1] + '/a', 'wb').write(bytes(20_000_000))",
    "connects": "socket.create_connection(('127.0.0.1', 9))",
    "sends a datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "runs a program": "subprocess.run(['/bin/true'])",
    "signals its parent": "os.kill(os.getppid(), 0)",
    "signals a thread of its parent": "called(234 if x86 else 131, os.getppid(), os.getppid(), 0)",
    "leaves a process behind": "os.fork()",
    "takes 3 GB": "bytearray(3 << 30)",
}


@pytest.mark.parametrize("deed", TRIED)
def test_confined_process_is_refused(tmp_path: Path, deed: str) -> None:
    """Files, the network, programs, other processes, memory."""
    (tmp_path / "own").mkdir()
    (tmp_path / "secret").write_text("secret")
    code = (
        "import ctypes, os, platform, socket, subprocess, sys; from pathlib import Path\n"
        "from poller import confinement\n"
        "x86, libc = platform.machine() == 'x86_64', ctypes.CDLL(None, use_errno=True)\n"
        "def called(*arguments):\n"
        "    if libc.syscall(*arguments) < 0:\n        raise OSError(ctypes.get_errno(), '')\n"
        "confinement.limit(30); confinement.confine(Path(sys.argv[1]), 10_000_000)\n"
        f"try:\n    {TRIED[deed]}\nexcept (PermissionError, MemoryError):\n    print('refused')\n"
        "except OSError as error:\n    print('refused' if error.errno == 27 else error)\n"
    )
    arguments = [str(tmp_path / "own"), str(tmp_path / "secret")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86-64 has a second set of numbers")
def test_confined_process_has_no_calls_of_32_bits(tmp_path: Path) -> None:
    """They would pass a filter that knows the numbers of 64 bits alone: 20 is getpid there, and 359 socket."""
    code = (
        "import ctypes, mmap, os, sys; from pathlib import Path; from poller import confinement\n"
        "memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
        "memory.write(bytes.fromhex('b814000000cd80c3'))  # mov eax, 20; int 0x80; ret\n"
        "call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))\n"
        "confinement.limit(30); confinement.confine(Path(sys.argv[1]), 10_000_000)\n"
        "print(call() == os.getpid(), flush=True); os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_confined_process_may_start_threads(tmp_path: Path) -> None:
    code = (
        "import sys, threading; from pathlib import Path; from poller import confinement\n"
        "confinement.limit(30); confinement.confine(Path(sys.argv[1]), 10_000_000)\n"
        "thread = threading.Thread(target=lambda: print('started')); thread.start(); thread.join()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "started\n"


def test_confined_process_loads_the_libraries(tmp_path: Path) -> None:
    """They are read after the process has given up everything else, and it may write small files in its directory."""
    code = (
        "import sys; from pathlib import Path; from poller import confinement\n"
        "confinement.limit(30); confinement.confine(Path(sys.argv[1]), 10_000_000)\n"
        "import cascadio, pypdfium2, pillow_heif, trimesh; from pxr import Usd\n"
        "print((Path(sys.argv[1]) / 'a').write_text('small'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("5\n")
