"""Ask for the rights that filing takes, where the server tells them (ACL, RFC 4314)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imapclient.exceptions import IMAPClientAbortError, IMAPClientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imapclient import IMAPClient

# Each right, and the one that stood for it in RFC 2086. MOVE takes a message out by the first two.
_TAKE_OUT = {"t": "td", "e": "ed"}
_PUT_IN = {"i": "i"}


def missing(client: IMAPClient, source: str, targets: Iterable[str]) -> Iterator[str]:
    """Yield a line for each mailbox where a right is missing to move a message from `source` to a target."""
    for mailbox, wanted in ((source, _TAKE_OUT), *((name, _PUT_IN) for name in targets)):
        ours = _rights(client, mailbox)
        if lacking := [right for right, known in wanted.items() if ours is not None and ours.isdisjoint(known)]:
            yield f"{mailbox!r}: we lack the right{'s' if len(lacking) > 1 else ''} {', '.join(lacking)} there (ACL)"


def _rights(client: IMAPClient, mailbox: str) -> set[str] | None:
    """Return our rights in a mailbox, None where the server does not tell them (MYRIGHTS, RFC 4314 section 3.5)."""
    try:
        # imapclient has no such command.
        answer = client._command_and_check("myrights", client._normalise_folder(mailbox))  # noqa: SLF001
    except IMAPClientAbortError:
        raise
    except IMAPClientError:
        return None
    words = answer[-1].split() if answer and isinstance(answer[-1], bytes) else ()
    return set(words[-1].decode("ascii", "replace")) if words else None
