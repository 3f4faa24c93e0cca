"""What is in a message: its text, its files, and the messages that it forwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from poller.model import Address

if TYPE_CHECKING:
    from poller.model import Attachment


@dataclass(slots=True)
class Contents:
    """What is in a message, or in a wrapping."""

    author: Address = field(default_factory=lambda: Address("", ""))
    date: str = ""  # as it says itself, on one line
    subject: str = ""  # decoded, on one line
    text: str = ""  # its own
    html: str = ""  # the source of all HTML in it
    attachments: list[Attachment] = field(default_factory=list)  # all in it; "" is the name of one that has none
    forwarded: list[Contents] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)  # what could not be read, and is a file
    losses: list[str] = field(default_factory=list)  # what could not be read, and is in no file

    def whole_text(self) -> str:
        """The text, and below it that of each message that it forwards, after who wrote it and when."""
        texts = [self.text]
        for message in self.forwarded:
            address = f"<{message.author.addr_spec}>" if message.author.addr_spec else ""
            author = f"{message.author.display_name} {address}".strip()
            fields = (("De", author), ("Date", message.date), ("Objet", message.subject))
            texts.append("\n".join(f"{name}: {value}" for name, value in fields if value))
            texts.append(message.whole_text())
        return "\n\n".join(filter(None, texts))

    def forward(self, message: Contents) -> None:
        """Everything of a message that this one forwards; what it has lost, this one has."""
        self.forwarded.append(message)
        self.html = f"{self.html}\n{message.html}" if message.html else self.html
        self.attachments += message.attachments
        self.defects += message.defects
        self.losses += message.losses

    def take(self, wrapped: Contents) -> None:
        """Everything of a wrapping but its text; with losses it stays a file, so that nothing is lost."""
        self.html = f"{self.html}\n{wrapped.html}" if wrapped.html else self.html
        self.attachments += wrapped.attachments
        self.forwarded += wrapped.forwarded
        self.defects += [*wrapped.defects, *wrapped.losses]
