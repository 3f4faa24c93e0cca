"""Write the header fields of our own mail that hold foreign text (RFC 2047).

The email package folds such a field by itself, and up to Python 3.12 loses spaces between encoded words. So the words
are made here, each of them whole.
"""

from __future__ import annotations

import re
from email.header import Header
from email.headerregistry import HeaderRegistry, UniqueAddressHeader, UniqueUnstructuredHeader
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from email.headerregistry import BaseHeader
    from email.policy import Policy

_PLAIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 '+/-]{0,50}[A-Za-z0-9])?")  # needs neither encoding nor quotes
_LINE_CHARS: Final = 75


def encoded(text: str, name: str = "") -> str:
    """Encode one line as a phrase or unstructured value: plain where safe, else encoded words.

    `name` is the field's, for which the first line has room.
    """
    if _PLAIN.fullmatch(text):
        return text
    return Header(text, "utf-8", maxlinelen=_LINE_CHARS, header_name=name or None).encode(linesep="\r\n")


class _Words(UniqueUnstructuredHeader):
    """A field of free text, such as Subject. The registry makes it a `BaseHeader`, as the library does with its own."""

    name: str

    def fold(self, *, policy: Policy) -> str:
        return _folded(f"{self.name}: {encoded(str(self), self.name)}", policy)


class _Mailboxes(UniqueAddressHeader):
    """A field of addresses, such as From."""

    name: str

    def fold(self, *, policy: Policy) -> str:
        shown = [
            _mailbox(encoded(each.display_name, self.name), each.addr_spec) if each.display_name else each.addr_spec
            for each in self.addresses
        ]
        return _folded(f"{self.name}: " + ",\r\n ".join(shown), policy)


class _Ids(UniqueUnstructuredHeader):
    """A field of Message-IDs, each on a line: the library would encode a long one."""

    name: str

    def fold(self, *, policy: Policy) -> str:
        return _folded(f"{self.name}: " + "\r\n ".join(str(self).split()), policy)


def _mailbox(phrase: str, addr_spec: str) -> str:
    """Return a name and an address, on one line where there is room for a field's name before them."""
    line = f"{phrase} <{addr_spec}>"
    return line if len(line) <= _LINE_CHARS - len("From: ") else f"{phrase}\r\n <{addr_spec}>"


def _folded(field: str, policy: Policy) -> str:
    return field.replace("\r\n", policy.linesep) + policy.linesep


def header_factory() -> HeaderRegistry:
    """Return the `header_factory` of an `EmailPolicy` that writes Subject, From and To by `encoded`."""
    registry = HeaderRegistry()
    forms = {"subject": _Words, "from": _Mailboxes, "to": _Mailboxes, "in-reply-to": _Ids, "references": _Ids}
    for name, form in forms.items():
        registry.map_to_type(name, cast("type[BaseHeader]", form))
    return registry
