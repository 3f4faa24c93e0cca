"""What is wrong with a post, as whoever sent it is told (RFC 9457)."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

CONTENT_TYPE = "application/problem+json"

# What may be wrong with a field, by a word that a program can rely on.
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
    """What is wrong with one field."""

    field: str  # its name, one line; a stranger's words where the code is "unknown"
    code: str  # one of CODES


class Problem(Exception):  # noqa: N818  RFC 9457's own word; it is an answer more than a fault
    """A post that cannot be taken; `str()` of it says why, without a word of the post."""

    def __init__(
        self, status: int, detail: str, *, wrong: tuple[Wrong, ...] = (), headers: dict[str, str] | None = None
    ) -> None:
        """`wrong` is what a person can mend in the form, `headers` what the answer has besides."""
        super().__init__(detail)
        self.status, self.detail, self.wrong, self.headers = status, detail, wrong, headers or {}

    def as_json(self) -> dict[str, Any]:
        """The members of RFC 9457 section 3.1, and `errors` where fields are wrong."""
        about = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        errors = [{"field": each.field, "code": each.code, "detail": CODES[each.code]} for each in self.wrong]
        return about | ({"errors": errors} if errors else {})


def later(detail: str, seconds: float, status: int = 503) -> Problem:
    """A problem that is over by itself, in whole seconds from now."""
    return Problem(status, detail, headers={"Retry-After": str(max(1, round(seconds)))})
