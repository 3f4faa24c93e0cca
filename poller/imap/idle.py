"""Run IDLE (RFC 2177) on one connection, and report what the server announces as it comes."""

from __future__ import annotations

import select
import ssl
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imapclient.exceptions import IMAPClientError

from integrations.errors import TransientError
from integrations.net.deadline import Deadline
from poller.imap.connection import imap_errors

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from imapclient import IMAPClient


def idle(client: IMAPClient, seconds: float, bell: socket.socket, deadline_s: float) -> Iterator[None]:
    """Yield when the server begins to watch and at each new message, until `seconds` have passed or the bell rings.

    imapclient's own `idle_check` misses a response that came in one segment with an earlier one. It fails on half a
    line, and takes a connection that is closed for one on which nothing happens.

    Raises:
        TransientError: the connection or the server fails. No response may take longer than the deadline.
    """
    imap = client._imap  # noqa: SLF001  it has no other way to read a line as it comes
    with _call(deadline_s):
        tag = imap._command("IDLE")  # noqa: SLF001
        while imap._get_response() is not None:  # noqa: SLF001  None is the "+" that this waits for
            if imap.tagged_commands[tag]:
                raise IMAPClientError("IDLE refused")
    imap.untagged_responses = {}
    yield
    over_s = time.monotonic() + seconds
    while _heard(client, over_s - time.monotonic(), bell):
        with _call(deadline_s):
            imap._get_response()  # noqa: SLF001
        told, imap.untagged_responses = imap.untagged_responses, {}
        if "BYE" in told or imap.tagged_commands[tag]:
            raise TransientError("IMAP IDLE: the server has ended it", outcome_unknown=False)
        if "EXISTS" in told:
            yield
    with _call(deadline_s):
        imap.send(b"DONE\r\n")
        client._consume_until_tagged_response(tag, "IDLE")  # noqa: SLF001


def _heard(client: IMAPClient, seconds: float, bell: socket.socket) -> bool:
    """Wait for the server's next line. Return False when none comes in time, or the bell rings first."""
    # The connection may have been reset after the last line. The peek then raises the error.
    with imap_errors("IDLE"):
        if _is_buffered(client):
            return True
        sock = client.socket()
        waiting = select.poll()  # not `select`, which takes no descriptor over 1,023
        waiting.register(sock, select.POLLIN)
        waiting.register(bell, select.POLLIN)
        ready = {number for number, _ in waiting.poll(max(seconds, 0) * 1000)}
    return bell.fileno() not in ready and sock.fileno() in ready


def _is_buffered(client: IMAPClient) -> bool:
    """Return True if bytes were read along with an earlier line. The socket does not show them as readable."""
    imap, sock = client._imap, client.socket()  # noqa: SLF001
    if sys.version_info >= (3, 14):  # where imaplib has a buffer of its own, and TLS may have another
        return any(imap._readbuf) or (isinstance(sock, ssl.SSLSocket) and sock.pending() > 0)  # noqa: SLF001
    sock.setblocking(False)
    try:
        return bool(imap.file.peek(1))
    except ssl.SSLWantReadError:
        return False
    finally:
        client._set_read_timeout()  # noqa: SLF001


@contextmanager
def _call(deadline_s: float) -> Iterator[None]:
    with imap_errors("IDLE"), Deadline(deadline_s):
        yield
