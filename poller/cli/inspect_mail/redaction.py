"""Replace what is personal in findings by its shape, so that they can be attached to a public bug report."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

_PERSONAL: Final = frozenset(
    {
        *("address", "name", "subject", "text", "newest"),
        *("links", "in_reply_to", "references", "original_senders"),
    }
)
_SUFFIX: Final = re.compile(r"\.[A-Za-z0-9]{1,8}$")
_HOST: Final = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


def redacted(findings: dict[str, Any]) -> dict[str, Any]:
    """Return findings with the shapes of texts, names, addresses, message ids and links.

    The suffix of a file's name and the host of a link stay, because what becomes of them depends on those.
    """
    shapes = {key: _shapes(value) if key in _PERSONAL else value for key, value in findings.items()}
    return shapes | {
        "sender": _shapes(findings["sender"]),
        "author": _shapes(findings["author"]),
        "attachments": [each | {"name": _name_shape(each["name"])} for each in findings["attachments"]],
        "links": [_link_shape(each) for each in findings["links"]],
    }


def shape(text: str) -> str:
    """Return a text with "x" or "X" in place of each letter and "9" in place of each digit, of any script."""
    return "".join(map(_sign, text))


def _sign(character: str) -> str:
    kind = unicodedata.category(character)
    if kind[0] in "LM":  # a combining mark would give away its letter
        return "X" if kind == "Lu" else "x"
    return "9" if kind[0] == "N" else character


def _shapes(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(text) for key, text in value.items()}
    return shape(value) if isinstance(value, str) else [shape(text) for text in value]


def _name_shape(name: str) -> str:
    stem = _SUFFIX.sub("", name)
    return shape(stem) + name[len(stem) :]


def _link_shape(url: str) -> str:
    host = _HOST.match(url)
    kept = host[0] if host else ""
    return kept + shape(url[len(kept) :])
