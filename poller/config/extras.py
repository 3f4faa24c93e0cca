"""How an extra is installed, for the message that one is missing."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra into the environment that this process runs in.

    The system's own `pip` would install it elsewhere, or refuse. The lock file lies in the checkout.
    """
    pip = shlex.quote(str(Path(sys.prefix, "bin", "pip")))
    return f"{pip} install --require-hashes -r requirements-{extra}.lock"
