"""What the service manager is told of us (sd_notify(3)); nobody is told where it did not start us."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"
SEND_S = 1.0


def tell(*fields: str) -> bool:
    """Send fields like "READY=1" in one message; whether anybody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in {"/", "@"}:
        return False
    # A manager that is being restarted itself is no reason to stop working.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        # Nor is one that does not read.
        sender.settimeout(SEND_S)
        # An address that begins with "@" is one in the abstract namespace (unix(7)).
        sender.connect("\0" + address[1:] if address[0] == "@" else address)
        sender.sendall("\n".join(fields).encode())
        return True
    return False


def status(text: str) -> str:
    """The field that `systemctl status` shows; one line of it."""
    return f"STATUS={' '.join(text.split())}"


def reloading() -> tuple[str, str]:
    """The fields that say that settings are being read anew; READY says that this is over."""
    return "RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
