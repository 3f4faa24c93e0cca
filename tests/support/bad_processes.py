"""What may become of a process that reads other people's bytes.

A process imports the module of what it does. So nothing of a library may be imported here.
"""

from __future__ import annotations

import os
import signal
import threading


def hang(*_: object) -> None:
    threading.Event().wait(3600)  # in the child, which is killed


def stopped(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def stopped_with_its_fork_server(*_: object) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGTERM)
