"""Record the states of this release: `python -m tests.system.record_states [FOLDER [CASE ...]]`.

Run it at each release, from the commit that is released and with Dovecot installed. It writes into FOLDER, by default
`tests/system/states/<version>`, all cases of `scenes` or those whose names begin so. Commit what it writes:
`test_upgrade` holds all later code against it. It takes some minutes.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path


def main() -> None:
    """Record every case, or those that are named."""
    # Imported here: the process that parses loads this file anew for every mail.
    from tests.system import recorded_states, scenes  # noqa: PLC0415

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else recorded_states.STATES / version("figurative-poller")
    scenes.record(folder, tuple(sys.argv[2:]) or ("",))


if __name__ == "__main__":
    main()
