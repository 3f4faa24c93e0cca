"""What can go wrong at a service, named by what the caller does next."""

from __future__ import annotations


class ServiceError(Exception):
    """A call to a service failed.

    `str()` of it is one line without a word of the mail, fit for the log and the journal: service, call, status, code.
    """

    def __init__(self, message: str, *, detail: str = "") -> None:
        """`detail` is the service's own explanation; it may quote the mail, so people see it and logs never do."""
        super().__init__(message)
        self.detail = detail


class TransientError(ServiceError):
    """Trying later may work: timeout, connection, 408, 425, 429, 5xx, SMTP 4yz."""

    def __init__(
        self, message: str, *, detail: str = "", retry_after_s: float | None = None, outcome_unknown: bool = True
    ) -> None:
        """Say when to come back and whether the call may have been carried out.

        `retry_after_s` is what the service asked for, None when it asked for nothing; any number, whoever waits caps
        it. `outcome_unknown` is False only where nothing can have been done: the call only reads, or no connection was
        made. An answer proves nothing: a 429 may come from a gateway that has passed the call on before.
        """
        super().__init__(message, detail=detail)
        self.retry_after_s = retry_after_s
        self.outcome_unknown = outcome_unknown


class PermanentError(ServiceError):
    """This message never will: any other 4xx, SMTP 5yz."""


class ConfigurationError(Exception):
    """Nobody's message will: 401, 403, login refused, an unknown mailbox or bucket.

    Outside the hierarchy so that no handler of a message's failure swallows it. `str()` of it is one line that says
    which service refused what, and the setting to look at; no secret is in it.
    """
