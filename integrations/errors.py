"""Errors of a service, named by what the caller does next."""

from __future__ import annotations


class ServiceError(Exception):
    """A failed call to a service.

    `str()` is one line without any text of the mail, fit for the log and the journal: service, call, status, code.
    """

    def __init__(self, message: str, *, detail: str = "") -> None:
        """Keep the service's own explanation as `detail`. It may quote the mail: show it to people, never log it."""
        super().__init__(message)
        self.detail = detail


class TransientError(ServiceError):
    """Trying later may work: timeout, connection, 408, 425, 429, 5xx, SMTP 4yz."""

    def __init__(
        self, message: str, *, detail: str = "", retry_after_s: float | None = None, outcome_unknown: bool = True
    ) -> None:
        """Say when to come back and whether the call may have been carried out.

        `retry_after_s` is the wait that the service asked for, None when it asked for none. It may be any number: the
        caller caps it. `outcome_unknown` is False only where nothing can have been done: the call only reads, or no
        connection was made. An answer proves nothing: a 429 may come from a gateway that has already passed the call
        on.
        """
        super().__init__(message, detail=detail)
        self.retry_after_s = retry_after_s
        self.outcome_unknown = outcome_unknown


class PermanentError(ServiceError):
    """Trying again cannot work for this message: any other 4xx, SMTP 5yz."""


class UndeliverableError(PermanentError):
    """The mail server takes no letter from us or for this recipient, whatever is in it: SMTP 5yz to the envelope."""


class LetterDeferredError(TransientError):
    """The mail server works, and does not take this letter for now: SMTP 4yz to its envelope or its content."""


class BlockedError(PermanentError):
    """A firewall before the service blocks what this call contains. The service itself has not seen it."""


class ConfigurationError(Exception):
    """No message can succeed with these settings: 401, 403, login refused, an unknown mailbox or bucket.

    It is outside the hierarchy so that no handler of a message's failure catches it. `str()` is one line that says
    which service refused what, and which setting to check. It contains no secret.
    """


class CredentialsError(ConfigurationError):
    """The service refuses our key, our password, or what they give access to: 401, 403, login refused."""


class CertificateError(ConfigurationError):
    """The server cannot prove who it is: its certificate has expired or is another's, or our clock is wrong."""
