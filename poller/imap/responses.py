"""Interpret an IMAP server's refusal: temporary, or something that a person must fix."""

from __future__ import annotations

import re

from poller.escaping import one_line

# Codes of RFC 5530, and what Gmail and Exchange say without one. "Try again" after a wrong password is no busy server.
BUSY = re.compile(
    r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG|OVERQUOTA|THROTTLED|CONTACTADMIN)\]"
    r"|too many [a-z ]*(connections|sessions|logins)|maximum (number of )?connection|connection limit|bandwidth limits"
    r"|temporar|(server|service|backend) (is )?(currently )?(unavailable|down)|maintenance|overload"
    r"|i/o error|authenticated but not connected"
    r"|throttled|backoff time|server busy|^(?!.*\[AUTHENTICATIONFAILED\]).*try again",
    re.IGNORECASE,
)
# What to do about a refused login, by a pattern in the server's words; the first match counts.
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
    """Return True if the refusal is temporary."""
    return BUSY.search(str(error)) is not None


def is_bug(error: Exception) -> bool:
    """Return True if the server failed by a fault of its own: a busy one says so too, as does one with damaged data."""
    return "[SERVERBUG]" in str(error).upper()


def is_rejected(error: Exception) -> bool:
    """Return True if the server does not take the command as such (BAD), which says nothing of its state."""
    return "command error: BAD " in str(error) and not is_busy(error)


def asked_s(error: Exception) -> float | None:
    """Return for how many seconds a throttling server asks to be left alone, None where it does not say."""
    found = re.search(r"backoff time: (\d{1,9}) (milliseconds|seconds)?", str(error), re.IGNORECASE)
    if not found:
        return None
    return int(found[1]) / (1 if found[2] == "seconds" else 1000)


def is_gone(error: Exception) -> bool:
    """Return True if the refusal means that the message was expunged in the meantime."""
    return "[EXPUNGEISSUED]" in str(error).upper()


def code(error: Exception) -> str:
    """Return the response code of an answer, such as " (OVERQUOTA)" (RFC 5530), or "" if there is none."""
    found = re.search(r"\[([A-Z]{4,20})\]", str(error))
    return f" ({found[1]})" if found else ""


def said(error: Exception) -> str:
    """Return the server's own words in one line, without a full stop and the libraries' additions."""
    words = re.sub(r"^\w+ (?:failed: |command error: (?:BAD|NO) )", "", str(error))
    return one_line(re.sub(r"""^\[?b(["'])(.*)\1\]?$""", r"\2", words, flags=re.DOTALL)).rstrip(".")


def advice(words: str, auth: str = "") -> str:
    """Return what to do about such a refused login, or "" if that depends on the issuer of the token."""
    known = ADVICE | (PASSWORD_ADVICE if auth == "password" else {})
    return next((what for pattern, what in known.items() if re.search(pattern, words, re.IGNORECASE)), "")
