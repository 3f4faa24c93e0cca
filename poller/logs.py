"""Log one line an event on standard error: text for a person, JSON with a journald priority for systemd."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from traceback import walk_tb
from typing import TYPE_CHECKING

import structlog

from poller.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor, WrappedLogger

_FRAMES = 6  # of a traceback: the last ones say where
_VALUE_CHARS = 2000
REASONS = 5  # of one trouble that are logged
_OUTAGE_TOLD_EVERY_S = 3600.0
_OUTAGE = re.compile("OperationalError|InterfaceError|connection", re.IGNORECASE)

# sd-daemon(3): a line that begins with <N> has that priority in the journal.
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
# Libraries that log requests, which contain addresses and text of the mail.
TALKATIVE = (
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "botocore",
    "boto3",
    "urllib3",
    "anthropic",
    "apscheduler",
    "charset_normalizer",
    "dbos",
    "imapclient",
)


def configure(level: str = "INFO") -> None:
    """Send every log line, our own and the libraries', through one format."""
    journald = "JOURNAL_STREAM" in os.environ
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper("iso", utc=True),
        _without_words,
    ]
    # The content of a mail can forge no line and control no terminal: JSON in ASCII, or values of one line each.
    renderers: list[Processor] = (
        [
            _in_lines,
            structlog.dev.ConsoleRenderer(colors=not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"),
        ]
        if sys.stderr.isatty()
        else [structlog.processors.JSONRenderer(ensure_ascii=True)]
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *renderers,
                *([_with_priority] if journald else []),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


class Outages(logging.Filter):
    """Filter that passes one line an hour of what dbos says of a database that is out of reach.

    dbos says so at each of its tries, several times a minute, and its words hold the names of server and user.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with no outage. The clock is in seconds, and never set back."""
        super().__init__()
        self._clock, self._until_s = clock, 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is to be written. A record of such a database is reworded."""
        kind = type(record.exc_info[1]).__name__ if record.exc_info else ""
        if not _OUTAGE.search(f"{kind} {record.getMessage()}"):
            return True
        if self._until_s and self._clock() < self._until_s:
            return False
        self._until_s = self._clock() + _OUTAGE_TOLD_EVERY_S
        record.msg, record.args, record.exc_info = "database_out_of_reach", (), None
        return True


class Trouble:
    """A trouble that is logged when it is first met and when it is over, however often it is met in between.

    Another reason for it is logged too, but no more than REASONS of them.
    """

    def __init__(self, log: structlog.stdlib.BoundLogger, event: str, level: int = logging.WARNING) -> None:
        """Begin without the trouble. `event` and `level` are those of the line when it is met."""
        self._log, self._event, self._level = log, event, level
        self._reasons: set[str] = set()  # those that were logged since it began

    def met(self, reason: str, **ids: object) -> None:
        """Log that the trouble is there, unless that was logged. `reason` and `ids` are fit for a log."""
        if reason not in self._reasons and len(self._reasons) < REASONS:
            self._log.log(self._level, self._event, reason=reason, **ids)
            self._reasons.add(reason)

    def over(self) -> None:
        """Log that the trouble is over, if it was there."""
        if self._reasons:
            self._log.log(min(self._level, logging.WARNING), "trouble_over", trouble=self._event)
            self._reasons.clear()


def places(error: BaseException) -> list[str]:
    """Return where an exception came from, "file:line" each, the innermost last."""
    return [f"{frame.f_code.co_filename}:{line}" for frame, line in walk_tb(error.__traceback__)][-_FRAMES:]


def _without_words(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Reduce an exception to its type and its places, because its text may quote a mail or a key."""
    del logger, method
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else sys.exc_info()[1] if given is True else given
    if isinstance(error, BaseException):
        event["error"], event["frames"] = type(error).__name__, places(error)
    return event


def _in_lines(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Put every text on one line, without the characters that control a terminal."""
    del logger, method
    return {name: one_line(value, _VALUE_CHARS) if isinstance(value, str) else value for name, value in event.items()}


def _with_priority(logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    """Put the priority in front of the rendered line."""
    del logger
    return f"<{PRIORITIES.get(method, 6)}>{line}"  # type: ignore[return-value]  # the last processor returns text
