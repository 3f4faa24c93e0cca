"""Take from a process what reading a mail or a file does not need: memory without end, the network, other files.

Landlock (Linux 5.13, https://docs.kernel.org/userspace-api/landlock.html) bounds the files, and a seccomp filter the
system calls. Where the kernel, or the unit that the daemon runs in, does not let us use them, the limits still hold.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import poller

if TYPE_CHECKING:
    from collections.abc import Iterable

MEMORY_BYTES: Final = 2 << 30  # address space
OPEN_FILES: Final = 256

_PR_SET_DUMPABLE, _PR_GET_SECCOMP, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 4, 21, 22, 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # on every architecture
_READ: Final = 1 << 2 | 1 << 3  # files, directories
_EVERYTHING: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP: Final = 3  # bind and connect, from version 4 on
_SCOPES: Final = 3  # abstract sockets and signals, from version 6 on

# Of socket, connect, bind, sendto, sendmsg, sendmmsg, execve, execveat, fork, vfork, ptrace, process_vm_readv,
# process_vm_writev, kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_send_signal, pidfd_getfd,
# io_uring_setup, keyctl, bpf, mount; then of clone and clone3. aarch64 has no fork. Kernels before 5.4 know the calls
# of x32 by 512 and more as well, without the bit of x32: seccomp(2).
_FORBIDDEN: Final = {
    "x86_64": (
        0xC000003E,
        (
            41,
            42,
            49,
            44,
            46,
            307,
            59,
            322,
            57,
            58,
            101,
            310,
            311,
            62,
            200,
            234,
            129,
            297,
            424,
            438,
            425,
            250,
            321,
            165,
            *range(512, 548),
        ),
        (56, 435),
    ),
    "aarch64": (
        0xC00000B7,
        (198, 203, 200, 206, 211, 269, 221, 281, 117, 270, 271, 129, 130, 131, 138, 240, 424, 438, 425, 219, 280, 40),
        (220, 435),
    ),
}
_X32: Final = 0x40000000  # of each call of a third kind, on x86-64
_THREAD: Final = 0x10000  # CLONE_THREAD


def missing() -> list[str]:
    """Return which of the two the kernel, or the unit that this process runs in, does not let us use."""
    libc = ctypes.CDLL(None, use_errno=True)
    landlock = libc.syscall(_CREATE_RULESET, None, 0, 1) >= 1
    seccomp = platform.machine() in _FORBIDDEN and libc.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) >= 0
    return [name for name, is_there in (("landlock", landlock), ("seccomp", seccomp)) if not is_there]


def close_all_but(descriptor: int) -> None:
    """Close every descriptor of this process but one. Standard input, output and error lead nowhere from then on."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    last = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, last)


def limit(cpu_s: int) -> None:
    """Bound the memory, the time, the files and the core dumps of this process, for good."""
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", PXR_WORK_THREAD_LIMIT="1")
    for what, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_AS, MEMORY_BYTES, MEMORY_BYTES),
        (resource.RLIMIT_CPU, cpu_s, cpu_s + 1),
        (resource.RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES),
    ):
        resource.setrlimit(what, (soft, hard))


def confine(writable: Path, file_bytes: int, *, readable: Iterable[Path] = ()) -> None:
    """Let this process read the libraries and some files, write files in one directory, and nothing else, for good.

    `file_bytes` is the most that a written file may have.
    """
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        _bound_files(libc, writable, readable)
        _bound_calls(libc)


def _readable() -> Iterable[Path]:
    """Return the places that Python and its libraries are read from."""
    yield from (Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), Path(poller.__file__).parent)
    yield from (Path(path) for path in sys.path if path.endswith(("site-packages", "dist-packages")))
    yield from map(Path, ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/urandom"))


def _bound_files(libc: ctypes.CDLL, writable: Path, readable: Iterable[Path]) -> None:
    version = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return
    everything = _EVERYTHING[min(version, 5)]
    attributes = struct.pack("=QQQ", everything, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)  # noqa: PLR2004
    size = 8 if version < 4 else 16 if version < 6 else 24  # noqa: PLR2004
    rules = libc.syscall(_CREATE_RULESET, attributes, size, 0)
    if rules < 0:
        return
    for path, access in [*((path, _READ) for path in (*_readable(), *readable)), (writable, everything)]:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        allowed = access if path.is_dir() else access & (1 << 1 | 1 << 2)
        libc.syscall(_ADD_RULE, rules, 1, struct.pack("=Qi", allowed, place), 0)
        os.close(place)
    libc.syscall(_RESTRICT_SELF, rules, 0)
    os.close(rules)


def _bound_calls(libc: ctypes.CDLL) -> None:
    """Have the kernel answer EPERM to the calls that are forbidden (seccomp(2), classic BPF).

    Threads may begin, processes may not: one that outlives this process would keep the parent waiting. clone3 hides its
    flags from the filter, and is said not to exist.
    """
    architecture, calls, (clone, clone3) = _FORBIDDEN.get(platform.machine(), (0, (), (0, 0)))
    if not calls:
        return
    load, equal, at_least, any_bit, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse, unknown = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38  # EPERM, ENOSYS
    # The calls of another architecture have other numbers, so none is allowed.
    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, refuse), (load, 0, 0, 0)]
    # Each goes on, or to one of the answers below, counted from the first.
    tests = [(at_least, 1, _X32), *((equal, 1, call) for call in calls), (equal, 2, clone3), (equal, 3, clone)]
    program += [(how, len(tests) - 1 - at + to, 0, value) for at, (how, to, value) in enumerate(tests)]
    program += [(answer, 0, 0, allow), (answer, 0, 0, refuse), (answer, 0, 0, unknown)]
    program += [(load, 0, 0, 16), (any_bit, 0, 1, _THREAD), (answer, 0, 0, allow), (answer, 0, 0, refuse)]
    filters = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(filters)))
    libc.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(header), 0, 0)
