"""How long a client waits for a service on which a fault was put."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from integrations.sandbox import Fault


def read_timeout_s(fault: Fault) -> float:
    """Return a short time where no answer comes, else one that a busy machine does not exceed."""
    return 0.3 if fault.kind in {"timeout", "hang_after_commit"} else 10.0
