"""Read our mail server's verdict on the sender of a mail: Authentication-Results (RFC 8601).

Any sender can write such a field into a mail. So only the fields of the configured server count, and of these the
topmost: a server puts its own above all that the mail came with, and removes what pretends to be its own (section 5).
A failure counts from the fields below it too: where each milter of a server writes a field of its own, the verdict of
DMARC may stand in any of them, and a sender who forges a failure harms nobody else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poller.mime.addresses import aligned
from poller.mime.headers import CUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poller.model import Request

NAMELESS: Final = "-"  # stands for a server that leaves its name out, as Microsoft 365 does

_LEXEME: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*"?|[();]|[^"();]++', re.DOTALL)
_EQUALS: Final = re.compile(r"\s*=\s*")
_WORD: Final = re.compile(r'(?:"[^"\\]*+(?:\\.[^"\\]*+)*"?|[^\s"]++)+', re.DOTALL)
_METHOD: Final = re.compile(r"([a-z0-9-]+)(?:/\d+)?=([a-z]+)")


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one authentication method."""

    method: str  # "spf", "dkim", "dmarc"; others too
    result: str  # "pass", "fail", "none" ...
    properties: dict[str, str]  # what was checked, by "header.from", "header.d", "smtp.mailfrom" ...; in lower case

    def domain(self, *names: str) -> str:
        """Return the domain of the first of these properties that is present, "" when none is.

        An address gives its domain.
        """
        value = next((self.properties[name] for name in names if name in self.properties), "")
        return value.rpartition("@")[2].strip(".")


def results(request: Request, authserv_id: str) -> tuple[Result, ...]:
    """Return the results in the topmost field of the server of this name, and each failure of DMARC in the others.

    A field too long to be read whole proves nothing: what is cut off may be the failure.
    """
    fields = [(value, *_field(value)) for name, value in request.headers if name == "authentication-results"]
    ours = [(value, said) for value, server, said in fields if server == authserv_id.lower()]
    found = [[result for each in said if (result := _result(each))] for _, said in ours]
    if any(value.endswith(CUT) for value, _ in ours):
        found.insert(0, [])
    return (*(found[0] if found else ()), *(result for each in found[1:] for result in each if _failed_dmarc(result)))


def server_of(value: str) -> str:
    """Return the name of the server that wrote a field, in lower case, NAMELESS where it leaves its name out."""
    return _field(value)[0]


def vouched(found: Sequence[Result], domain: str) -> bool:
    """Return whether the results prove that a mail comes from this domain, that of From.

    DMARC decides where its result is pass or fail. Otherwise the proof is a DKIM signature, an envelope sender or a
    login of an aligned domain.
    """
    dmarc = [result for result in found if result.method == "dmarc" and result.result in {"pass", "fail"}]
    if dmarc:
        # For a mail with two From fields, DMARC may have checked the other one.
        looked_at = {result.domain("header.from") or domain for result in dmarc}
        return {result.result for result in dmarc} == {"pass"} and all(aligned(each, domain) for each in looked_at)
    signed_by = [result.domain("header.d", "header.i") for result in found if _passed(result, "dkim")]
    sent_by = [result.domain("smtp.mailfrom", "smtp.mail") for result in found if _passed(result, "spf")]
    # What a colleague sends through our own server may be checked by no other method (RFC 8601 section 2.7.4).
    logged_in_at = [result.domain("smtp.auth") for result in found if _passed(result, "auth")]
    return any(aligned(each, domain) for each in (*signed_by, *sent_by, *logged_in_at))


def refuted(found: Sequence[Result]) -> bool:
    """Return whether the owner of the domain in From denies the mail, by DMARC."""
    return any(map(_failed_dmarc, found))


def _failed_dmarc(result: Result) -> bool:
    return (result.method, result.result) == ("dmarc", "fail")


def _field(value: str) -> tuple[str, list[str]]:
    """Split a field into the name of its server, NAMELESS without one, and what the server says."""
    server, *said = _statements(value)
    # A server may write its version after its name; one without a name begins with what it has to say.
    if "=" in server:
        return NAMELESS, [server, *said]
    return server.partition(" ")[0], said


def _passed(result: Result, method: str) -> bool:
    return (result.method, result.result) == (method, "pass")


def _statements(value: str) -> list[str]:
    """Split the field at its semicolons, in lower case, without comments.

    Quotes hold inside comments too, although RFC 5322 section 3.2.2 knows none there. A server puts the sender's own
    words in both places, such as an address that holds a parenthesis.
    """
    statements: list[list[str]] = [[]]
    depth = 0
    for lexeme in _LEXEME.findall(value.lower()):
        if lexeme in {"(", ")"}:
            depth = max(0, depth + (1 if lexeme == "(" else -1))
            statements[-1].append(" ")
        elif depth:
            continue
        elif lexeme == ";":
            statements.append([])
        else:
            # An equals sign in quotes is the sender's own.
            statements[-1].append(lexeme if lexeme.startswith('"') else _EQUALS.sub("=", lexeme))
    return ["".join(statement).strip() for statement in statements]


def _result(statement: str) -> Result | None:
    words = _WORD.findall(statement)
    match = _METHOD.fullmatch(words[0]) if words else None
    if match is None:
        return None
    properties = {name: value.strip('"<>') for name, _, value in (word.partition("=") for word in reversed(words[1:]))}
    return Result(match[1], match[2], properties)
