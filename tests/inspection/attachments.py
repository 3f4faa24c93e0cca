"""Attachments in memory.

The process that looks into one imports what its content is. So nothing of a library may be imported here.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

from poller.model import Attachment, Kind


@dataclass(frozen=True, slots=True)
class Bytes:
    """The content of an attachment, in memory."""

    content: bytes

    def open(self) -> BinaryIO:
        return io.BytesIO(self.content)


def attached(name: str, content: bytes, *, refused: bool = False) -> Attachment:
    """A file as a mail brings it."""
    return Attachment(
        name, "application/octet-stream", len(content), Kind.MODEL, False, Bytes(content), refused=refused
    )
