"""Problems with a post, as its sender is told of them (RFC 9457)."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

CONTENT_TYPE = "application/problem+json"

# Codes of what may be wrong with a field, which a program can rely on, each with its text.
CODES = {
    "missing": "is missing",
    "too_long": "is too long",
    "invalid": "is not valid",
    "no_answer": "is an address that no answer would reach",
    "not_text": "must be text",
    "not_a_file": "must be a file",
    "too_many": "holds too many files",
    "repeated": "is given more than once",
    "unknown": "is no field of this form",
}


@dataclass(frozen=True, slots=True)
class Wrong:
    """An error in one field."""

    field: str  # its name, one line; a stranger's words where the code is "unknown"
    code: str  # one of CODES


class Problem(Exception):  # noqa: N818  RFC 9457's own word; it is an answer more than a fault
    """A rejected post. `str()` of it gives the reason, without a word of the post."""

    def __init__(
        self, status: int, detail: str, *, wrong: tuple[Wrong, ...] = (), headers: dict[str, str] | None = None
    ) -> None:
        """Store the HTTP status and the reason.

        `wrong` lists the fields that a person can correct in the form. `headers` are added to the response.
        """
        super().__init__(detail)
        self.status, self.detail, self.wrong, self.headers = status, detail, wrong, headers or {}

    def as_json(self) -> dict[str, Any]:
        """Return the members of RFC 9457 section 3.1, and `errors` where fields are wrong."""
        about = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        errors = [{"field": each.field, "code": each.code, "detail": CODES[each.code]} for each in self.wrong]
        return about | ({"errors": errors} if errors else {})


def later(detail: str, seconds: float, status: int = 503) -> Problem:
    """Return a problem that is over by itself after so many seconds.

    Retry-After has them rounded to whole seconds, 1 at least.
    """
    return Problem(status, detail, headers={"Retry-After": str(max(1, round(seconds)))})
