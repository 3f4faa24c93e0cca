"""A mail server with scripted answers to IDLE."""

from __future__ import annotations

import re
from collections import deque

from poller.config.settings import ImapSettings

CAPABLE = b"IMAP4rev1 IDLE"


def scripted(port: int) -> ImapSettings:
    """Settings of the account on the script's server."""
    return ImapSettings.model_validate(
        {"host": "127.0.0.1", "port": port, "security": "none", "username": "a", "password": "b", "timeout_s": 0.2}
    )


class Script:
    """A server of a few words, which answers each IDLE in its own way, and the last way for ever."""

    def __init__(self, *idles: bytes, capabilities: bytes = CAPABLE, answers_done: bool = True) -> None:
        self.idles = 0  # that it was asked for
        self._answers, self._capabilities, self._answers_done = deque(idles), capabilities, answers_done
        self._tag = b""

    def __call__(self, line: bytes) -> bytes | None:
        if not line.endswith(b"\n"):
            return None
        if line == b"DONE\r\n":
            return self._tag + b" OK done\r\n" if self._answers_done else None
        tag, _, command = line.partition(b" ")
        said = {
            b"SELECT": b"* 0 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n",
            b"CAPABILITY": b"* CAPABILITY " + self._capabilities + b"\r\n",
            b"LIST": b'* LIST () "/" INBOX\r\n',
            b"LOGOUT": b"* BYE\r\n",
        }
        if not command.startswith(b"IDLE"):
            return said.get(re.split(rb"[ \r]", command)[0], b"") + tag + b" OK done\r\n"
        self.idles, self._tag = self.idles + 1, tag
        answer = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
        return answer.replace(b"{tag}", tag)
