"""What an IMAP server's refusal means: come back later, or what a person has to do about it."""

from __future__ import annotations

import re

from poller.escaping import one_line

# Codes of RFC 5530, and what Gmail and Exchange say without one. Whoever has mistyped a password is asked to try again.
BUSY = re.compile(
    r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG|OVERQUOTA|THROTTLED|CONTACTADMIN)\]"
    r"|too many [a-z ]*connections|maximum (number of )?connection|connection limit|bandwidth limits"
    r"|temporary|server unavailable|authenticated but not connected"
    r"|throttled|backoff time|server busy|^(?!.*\[AUTHENTICATIONFAILED\]).*try again",
    re.IGNORECASE,
)
# What to do about a refused login, by the server's words; the first that fits.
ADVICE = {
    r"disabled for your domain": "Google Admin console > Apps > Google Workspace > Gmail > End User Access > POP and "
    "IMAP access",
    r"authenticated but not connected": "too many connections, or Exchange does not let this login into the mailbox: "
    "Get-MailboxPermission says who may",
    r"not enabled for imap|imap (access )?is disabled": "Gmail > Settings > Forwarding and POP/IMAP > Enable IMAP",
}
PASSWORD_ADVICE = {
    r"application-specific|web ?login|web ?alert|web browser": "Google takes no account password here: make an app "
    "password (https://myaccount.google.com/apppasswords; it needs 2-step verification) and set IMAP_PASSWORD, or set "
    "IMAP_AUTH to google",
    r"basic ?auth|^(login|authenticate) failed\.?$": "check IMAP_USERNAME and IMAP_PASSWORD; Microsoft 365 takes no "
    "password at all: set IMAP_AUTH to microsoft",
    r"": "check IMAP_USERNAME and IMAP_PASSWORD",
}


def is_busy(error: Exception) -> bool:
    """Whether it is one of the moment."""
    return BUSY.search(str(error)) is not None


def is_gone(error: Exception) -> bool:
    """Whether it is one for a message that somebody has taken in the meantime."""
    return "[EXPUNGEISSUED]" in str(error).upper()


def code(error: Exception) -> str:
    """The response code in an answer, as " (OVERQUOTA)" (RFC 5530); "" where there is none."""
    found = re.search(r"\[([A-Z]{4,20})\]", str(error))
    return f" ({found[1]})" if found else ""


def said(error: Exception) -> str:
    """The server's own words, in a line, without a full stop and what the libraries put around them."""
    words = re.sub(r"^\w+ (?:failed: |command error: (?:BAD|NO) )", "", str(error))
    return one_line(re.sub(r"""^\[?b(["'])(.*)\1\]?$""", r"\2", words, flags=re.DOTALL)).rstrip(".")


def advice(words: str, auth: str = "") -> str:
    """What to do about a refused login of that kind, "" when that depends on who gave the token."""
    known = ADVICE | (PASSWORD_ADVICE if auth == "password" else {})
    return next((what for pattern, what in known.items() if re.search(pattern, words, re.IGNORECASE)), "")
