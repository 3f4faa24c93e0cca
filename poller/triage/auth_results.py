"""Read our mail server's verdict on the sender of a mail: Authentication-Results (RFC 8601).

Any sender can write such a field into a mail. So only the fields of the configured server count, and of these the
topmost: a server puts its own above all that the mail came with, and removes what pretends to be its own (section 5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poller.mime.addresses import aligned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poller.model import Request

NAMELESS: Final = "-"  # stands for a server that leaves its name out, as Microsoft 365 does

_LEXEME: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*"?|[();]|[^"();]++', re.DOTALL)
_EQUALS: Final = re.compile(r"\s*=\s*")
_WORD: Final = re.compile(r'(?:"[^"\\]*+(?:\\.[^"\\]*+)*"?|[^\s"]++)+', re.DOTALL)
_METHOD: Final = re.compile(r"([a-z0-9-]+)(?:/\d+)?=([a-z]+)")
_UNDECIDED: Final = frozenset({"none", "neutral", "temperror"})


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


def results(request: Request, authserv_id: str) -> tuple[Result, ...] | None:
    """Return the results that the server of this name wrote, in its order. None when it wrote nothing."""
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
    """Return whether the results prove that a mail comes from this domain, that of From.

    DMARC decides where its result is pass or fail. Otherwise the proof is a DKIM signature or an envelope sender of an
    aligned domain.
    """
    dmarc = [result for result in found if result.method == "dmarc" and result.result in {"pass", "fail"}]
    if dmarc:
        # For a mail with two From fields, DMARC may have checked the other one.
        looked_at = {result.domain("header.from") or domain for result in dmarc}
        return {result.result for result in dmarc} == {"pass"} and all(aligned(each, domain) for each in looked_at)
    signed_by = [result.domain("header.d", "header.i") for result in found if _passed(result, "dkim")]
    sent_by = [result.domain("smtp.mailfrom", "smtp.mail") for result in found if _passed(result, "spf")]
    return any(aligned(each, domain) for each in (*signed_by, *sent_by))


def doubted(found: Sequence[Result], domain: str) -> bool:
    """Return whether the server had something to judge by, and found no proof that a mail is from this domain.

    For a mail between colleagues it may have nothing to judge by. That is no doubt.
    """
    decided = any(result.method in {"spf", "dkim", "dmarc"} and result.result not in _UNDECIDED for result in found)
    return decided and not vouched(found, domain)


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
