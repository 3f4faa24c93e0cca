"""Notify the service manager (sd_notify(3)). Without systemd this does nothing."""

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
    """Send fields like "READY=1" in one message, and return True if it was sent."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in {"/", "@"}:
        return False
    # A service manager that is restarting is no reason to stop working.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        # Nor is one that does not read its socket.
        sender.settimeout(SEND_S)
        # An address that begins with "@" is one in the abstract namespace (unix(7)).
        sender.connect("\0" + address[1:] if address[0] == "@" else address)
        sender.sendall("\n".join(fields).encode())
        return True
    return False


def feed_watchdog() -> None:
    """Tell the service manager that the daemon gets on."""
    tell(WATCHDOG)


def status(text: str) -> str:
    """Return the field that `systemctl status` shows, as one line."""
    return f"STATUS={' '.join(text.split())}"


def reloading() -> tuple[str, str]:
    """Return the fields that announce a settings reload; READY later announces its end."""
    return "RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
