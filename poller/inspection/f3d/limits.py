"""The limits of what the daemon sends to f3d, on both sides of the socket.

The server loads f3d, whose OpenSSL is a newer one than that of Debian 12. So it imports nothing that loads the latter.
"""

from __future__ import annotations

from typing import Final

MAX_FILES: Final = 200
MAX_BYTES: Final = 256 << 20  # of all files
MAX_HEADER_BYTES: Final = 256 * 1024
WIDTH, HEIGHT = 800, 600  # pixels
