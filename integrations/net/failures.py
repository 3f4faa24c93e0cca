"""Describe in a few words for the admin why a connection failed.

Each library has its own names for the same failures.
"""

from __future__ import annotations

import socket
import ssl

_TOO_LATE, _CUT_SHORT = "no answer in time", "no whole answer came back"
# The first entry that matches any exception of the failure's chain wins.
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "the host name is unknown"),
    (ConnectionRefusedError, "nothing listens there"),
    (ssl.SSLCertVerificationError, "its certificate is not to be trusted"),
    (TimeoutError, _TOO_LATE),
    (ConnectionError, "the connection was cut"),
    (ssl.SSLEOFError, "the connection was cut"),
    (ssl.SSLError, "no TLS there"),
    (OSError, "there is no way to that host"),
)


def describe_failure(error: BaseException) -> str:
    """Return a few English words for an error that means that no complete answer arrived.

    They quote nothing that the server sent.
    """
    chain = [error]
    while (behind := chain[-1].__cause__ or chain[-1].__context__) and behind not in chain:
        chain.append(behind)
    known = (words for kind, words in _WORDS if any(isinstance(each, kind) for each in chain))
    if words := next(known, ""):
        return words
    # An exhausted pool and a slow proxy raise timeouts of the library, with no operating system error behind them.
    slow = any("Timeout" in type(each).__name__ for each in chain)
    return _TOO_LATE if slow else _CUT_SHORT


def is_broken(line: str) -> bool:
    """Return whether an error's line ends in words of `describe_failure`: a connection failed, no service refused."""
    return line.endswith((*(words for _, words in _WORDS), _TOO_LATE, _CUT_SHORT))
