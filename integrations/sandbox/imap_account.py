"""The IMAP account of a stand-in, with the operations that do not depend on the server."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from imapclient import IMAPClient, SocketTimeout

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path
    from types import TracebackType

Security = Literal["none", "starttls", "tls"]

_BATCH = 1_000  # UIDs in one command
_WHAT = ("FLAGS", "BODY.PEEK[]")


class Message(NamedTuple):
    """A message in a mailbox."""

    uid: int
    flags: frozenset[str]  # system flags and keywords, without \Recent
    raw: bytes


class ImapServer:
    """The base class of both servers: an account, and the operations of the tests and the demo on it."""

    security: Security = "none"

    def __init__(self, username: str, password: str) -> None:
        self.host = "127.0.0.1"
        self.port = 0  # known once started
        self.username = username
        self.password = password
        self.certificate_path: Path | None = None  # the CA file to trust, when the server speaks TLS

    def start(self) -> None:
        """Listen on a port that the system chooses."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop the server and delete every message."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @contextmanager
    def session(self) -> Iterator[IMAPClient]:
        """Yield a new connection that is logged in."""
        context = None if self.certificate_path is None else ssl.create_default_context(cafile=self.certificate_path)
        client = IMAPClient(
            self.host,
            self.port,
            ssl=self.security == "tls",
            ssl_context=context,
            timeout=SocketTimeout(connect=10.0, read=60.0),
        )
        with client:  # logs out
            if self.security == "starttls":
                client.starttls(context)
            client.login(self.username, self.password)
            yield client

    def deliver(self, raw: bytes, mailbox: str = "INBOX", flags: Collection[str] = ()) -> None:
        """Append a message to a mailbox, byte for byte."""
        with self.session() as client:
            client.append(mailbox, raw, tuple(flags))

    def messages(self, mailbox: str = "INBOX") -> list[Message]:
        r"""Return all messages of a mailbox, lowest UID first, without setting \Seen. Empty: no such mailbox."""
        with self.session() as client:
            return _messages(client, mailbox) if mailbox in _names(client) else []

    def all_messages(self) -> dict[str, list[Message]]:
        """Return the messages of every mailbox that can be selected, by its name. See `messages`."""
        with self.session() as client:
            return {name: _messages(client, name) for name in _names(client)}

    def mailboxes(self) -> list[str]:
        """Return the sorted names of all mailboxes that can be selected."""
        with self.session() as client:
            return _names(client)

    def reset(self) -> None:
        """Delete every message, and every mailbox but INBOX."""
        with self.session() as client:
            # The deepest first: a server may refuse to delete a mailbox with children.
            for name in reversed(_names(client)):
                if name != "INBOX":
                    client.delete_folder(name)
            client.select_folder("INBOX")
            for uids in _batches(client.search()):
                client.delete_messages(uids, silent=True)
            client.expunge()


def _names(client: IMAPClient) -> list[str]:
    found = client.list_folders()
    return sorted(name for flags, _, name in found if not {rb"\Noselect", rb"\NonExistent"} & set(flags))


def _messages(client: IMAPClient, mailbox: str) -> list[Message]:
    client.select_folder(mailbox, readonly=True)
    found = [row for uids in _batches(client.search()) for row in client.fetch(uids, _WHAT).items()]
    return [
        Message(uid, frozenset(flag.decode() for flag in row[b"FLAGS"]) - {r"\Recent"}, row[b"BODY[]"])
        for uid, row in sorted(found)
    ]


def _batches(uids: list[int]) -> Iterator[list[int]]:
    return (uids[start : start + _BATCH] for start in range(0, len(uids), _BATCH))
