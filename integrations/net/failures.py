"""Why a connection broke, in words for whoever runs the daemon: each library has its own names for the same things."""

from __future__ import annotations

import socket
import ssl

_TOO_LATE, _CUT_SHORT = "no answer in time", "no whole answer came back"
# The first that fits any of the exceptions behind the failure.
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


def why(error: BaseException) -> str:
    """A few English words without a word of the server's; for errors that mean that no whole answer came back."""
    chain = [error]
    while (behind := chain[-1].__cause__ or chain[-1].__context__) and behind not in chain:
        chain.append(behind)
    known = (words for kind, words in _WORDS if any(isinstance(each, kind) for each in chain))
    if words := next(known, ""):
        return words
    # A pool that is exhausted or a proxy that is slow has no exception of the system's behind it.
    slow = any("Timeout" in type(each).__name__ for each in chain)
    return _TOO_LATE if slow else _CUT_SHORT


def is_broken(line: str) -> bool:
    """Whether what is said of an error ends in words of `why`: a connection failed, and nobody has refused anything."""
    return line.endswith((*(words for _, words in _WORDS), _TOO_LATE, _CUT_SHORT))
