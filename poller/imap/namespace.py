"""Find the mailboxes of an account by the names people give them, whatever the server's namespace and separator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imapclient.exceptions import IMAPClientAbortError, IMAPClientError

from integrations.errors import ConfigurationError
from poller.imap.connection import NONSENSE
from poller.imap.listing import mailboxes
from poller.imap.responses import is_busy, said

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from imapclient import IMAPClient

NO_MAILBOX = {b"\\noselect", b"\\nonexistent"}  # names that only hold others (RFC 9051 section 7.3.1)


class Hierarchy:
    """The mailboxes that one connection sees. Its methods raise what imapclient raises."""

    def __init__(self, client: IMAPClient, capabilities: Container[bytes]) -> None:
        """Ask for the personal namespace (RFC 2342)."""
        self._client = client
        personal = _unless_refused(lambda: client.namespace().personal) if b"NAMESPACE" in capabilities else None
        if personal:
            self._prefixes: tuple[str, ...] = (personal[0][0],)
            self._separator: str = personal[0][1] or "/"
        else:
            root = _unless_refused(lambda: client.list_folders("", ""))
            self._separator = root[0][1].decode() if root and root[0][1] else "/"
            # A server that has a namespace and does not announce it has it below the inbox.
            self._prefixes = ("", f"INBOX{self._separator}")
        self._existing: set[str] = set()

    def find(self, mailbox: str) -> str | None:
        """Return the server's name of a mailbox, None when it does not exist.

        "/" in `mailbox` stands for the server's separator.
        """
        names = self.names(mailbox)
        if not self._existing.intersection(names):
            self._existing = self._listed()
        return next((name for name in names if name in self._existing), None)

    def ensure(self, mailbox: str) -> str:
        """Return the server's name of a mailbox. Create and subscribe it when it is missing.

        Raises:
            ConfigurationError: the server refuses every name that the mailbox may have.
        """
        return self.find(mailbox) or self._create(mailbox)

    def _create(self, mailbox: str) -> str:
        answer = ""
        for name in self.names(mailbox):
            try:
                self._client.create_folder(name)
                self._client.subscribe_folder(name)
            except IMAPClientAbortError:
                raise
            except IMAPClientError as error:
                if is_busy(error):
                    raise
                answer = answer or said(error)
                # Another session may have created it. To Gmail a label that differs in letter case only is the same.
                self._existing = self._listed()
                alike = [found for found in self._existing if found.casefold() == name.casefold()]
                if alike:
                    return alike[0]
            else:
                self._existing.add(name)
                return name
        raise ConfigurationError(f"IMAP server: mailbox {mailbox!r} cannot be created: {answer}: check [labels]")

    def names(self, mailbox: str) -> list[str]:
        """Return the names that a mailbox may have on the server, the likeliest first."""
        path = mailbox.replace("/", self._separator)
        return [path if path.startswith(prefix) else prefix + path for prefix in self._prefixes]

    def _listed(self) -> set[str]:
        return {each.name for each in mailboxes(self._client) if NO_MAILBOX.isdisjoint(each.flags)}


def _unless_refused(ask: Callable[[], Any]) -> Any:
    """Return the answer, None where the server refuses what it has announced, or talks nonsense."""
    try:
        return ask()
    except IMAPClientAbortError:
        raise
    except (IMAPClientError, *NONSENSE) as error:
        if is_busy(error):
            raise
        return None
