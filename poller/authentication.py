"""What our own mail server found out about a mail's sender: Authentication-Results (RFC 8601).

Anybody can write such a field into a mail. So only those of the configured server count, and of these the topmost: a
server puts its own above all that the mail came with, and removes what pretends to be its own (section 5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poller.addresses import aligned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poller.request import Request

NAMELESS: Final = "-"  # stands for a server that leaves its name out, as Microsoft 365 does

_LEXEME: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*"?|[();]|[^"();]++', re.DOTALL)
_EQUALS: Final = re.compile(r"\s*=\s*")
_WORD: Final = re.compile(r'(?:"[^"\\]*+(?:\\.[^"\\]*+)*"?|[^\s"]++)+', re.DOTALL)
_METHOD: Final = re.compile(r"([a-z0-9-]+)(?:/\d+)?=([a-z]+)")
_UNDECIDED: Final = frozenset({"none", "neutral", "temperror"})


@dataclass(frozen=True, slots=True)
class Result:
    """What one method came to."""

    method: str  # "spf", "dkim", "dmarc"; others too
    result: str  # "pass", "fail", "none" ...
    properties: dict[str, str]  # what was looked at, by "header.from", "header.d", "smtp.mailfrom" ...; in lower case

    def domain(self, *names: str) -> str:
        """The domain of the first of these properties that is there, "" when none is; an address gives its domain."""
        value = next((self.properties[name] for name in names if name in self.properties), "")
        return value.rpartition("@")[2].strip(".")


def results(request: Request, authserv_id: str) -> tuple[Result, ...] | None:
    """What the server of this name says of a mail, in its order; None when it says nothing."""
    for name, value in request.headers:
        if name == "authentication-results":
            who, *said = _statements(value)
            # A server may write its version after its name; one without a name begins with what it has to say.
            if "=" in who:
                who, said = NAMELESS, [who, *said]
            if who.split()[:1] == [authserv_id.lower()]:
                return tuple(result for each in said if (result := _result(each)))
    return None


def vouched(found: Sequence[Result], domain: str) -> bool:
    """Whether they prove that a mail comes from this domain, that of From.

    By DMARC where it came to anything; else by a DKIM signature or an envelope sender of the same domain.
    """
    dmarc = [result for result in found if result.method == "dmarc" and result.result in {"pass", "fail"}]
    if dmarc:
        # A mail with two From fields may have been looked at by the other one.
        looked_at = {result.domain("header.from") or domain for result in dmarc}
        return {result.result for result in dmarc} == {"pass"} and all(aligned(each, domain) for each in looked_at)
    signed_by = [result.domain("header.d", "header.i") for result in found if _passed(result, "dkim")]
    sent_by = [result.domain("smtp.mailfrom", "smtp.mail") for result in found if _passed(result, "spf")]
    return any(aligned(each, domain) for each in (*signed_by, *sent_by))


def doubted(found: Sequence[Result], domain: str) -> bool:
    """Whether a server that had something to go by found no proof that a mail comes from this domain.

    Of a mail between colleagues it may have nothing to go by: that is no doubt.
    """
    decided = any(result.method in {"spf", "dkim", "dmarc"} and result.result not in _UNDECIDED for result in found)
    return decided and not vouched(found, domain)


def _passed(result: Result, method: str) -> bool:
    return (result.method, result.result) == (method, "pass")


def _statements(value: str) -> list[str]:
    """What stands between the semicolons, in lower case, without comments.

    Quotes hold inside comments, too, though RFC 5322 section 3.2.2 knows none there: both are where a server puts the
    sender's own words, such as an address that holds a parenthesis.
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
