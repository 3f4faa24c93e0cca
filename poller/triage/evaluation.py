"""Measure how right today's rules and Claude are on labelled mails, and what it costs to ask."""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any, BinaryIO

from integrations.errors import TransientError
from poller.escaping import one_line
from poller.mime.subject import Prefix, prefix_of
from poller.model import Address, Attachment, Category, Classification, Kind, Request
from poller.parsing.file_types import sniff
from poller.parsing.quoting import newest_part
from poller.triage.classification import classify_request, no_lessons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from enum import StrEnum

    from integrations.claude import Claude
    from poller.learning.embedding import Vector
    from poller.learning.lessons import Lesson
    from poller.triage.advice import Adviser

TRIES = 4  # of a call that Claude asks us to repeat later
LONGEST_WAIT_S = 60.0  # before the next try

_DECIDED = {
    "rules": "the rules were sure",
    "learned": "the learnt model was sure",
    "claude": "Claude decided",
    "rules without claude": "the rules guessed",
    "learned without claude": "the learnt model guessed",
}


class InvalidExamplesError(ValueError):
    """A line is no labelled mail."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A mail and the category that people gave it."""

    id: str
    request: Request
    label: Category


@dataclass(frozen=True, slots=True)
class Verdict:
    """A labelled mail, and its classification."""

    mail: Labelled
    found: Classification

    @property
    def right(self) -> bool:
        """Return whether people gave it the same category."""
        return self.found.category is self.mail.label


@dataclass(frozen=True, slots=True)
class Usage:
    """The use of Claude."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float | None = None  # None where the model's price is not known


@dataclass(frozen=True, slots=True)
class _Described:
    """The content of a file that is only described: empty."""

    def open(self) -> BinaryIO:
        return io.BytesIO()


def read(lines: Iterable[str]) -> Iterator[Labelled]:
    """Read the labelled mails of a JSON Lines file.

    The keys are id, from, subject, body, attachments and label. Others are not read. An attachment is described by
    filename, content_type and size (bytes), and perhaps by its kind, which is one of `Kind`. The label is SUPPORT or
    MODELISATION.

    Raises:
        InvalidExamplesError: a line is no labelled mail.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            request = request_of(row)
            label = Category(_one_of(Category, "label", row["label"]))
            yield Labelled(one_line(str(row["id"])), request, label)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidExamplesError(f"line {number} is no labelled mail: {_lacking(error)}") from error


def _lacking(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"the key {error} is missing"
    if isinstance(error, json.JSONDecodeError):
        return "it is not JSON"
    # A list in place of an object, or a number in place of a text: Python's message names its own types.
    return str(error) if isinstance(error, ValueError) else "a value is not of the kind that it must be"


def _one_of(known: type[StrEnum], name: str, value: Any) -> Any:
    if value not in list(known):
        raise ValueError(f"the {name} must be {' or '.join(known)}")
    return value


def request_of(row: dict[str, Any]) -> Request:
    """Build the request that a row describes."""
    name, addr_spec = parseaddr(row["from"])
    sender = Address(name, addr_spec)
    prefix = prefix_of(row["subject"], row["body"])
    return Request(
        reference="0" * 16,
        message_id=f"<{row['id']}@example.invalid>",
        in_reply_to=(),
        references=(),
        sender=sender,
        author=sender,
        subject=row["subject"],
        text=row["body"],
        newest=row["body"] if prefix is Prefix.FORWARD else newest_part(row["body"]),
        sent_at=None,
        received_at=datetime.now(UTC),
        headers=(),
        attachments=tuple(map(_attachment, row["attachments"])),
        defects=(),
    )


def _attachment(row: dict[str, Any]) -> Attachment:
    """Build an attachment from its description.

    Its kind is the given one, found by its content. Without it the name tells the kind, for there is no content.
    """
    filename, content_type, size = row["filename"], row["content_type"], row["size"]
    if "kind" in row:
        kind = Kind(_one_of(Kind, "kind", row["kind"]))
    else:
        content_type, kind = sniff(b"", size, filename, io.BytesIO, content_type)
    return Attachment(filename, content_type, size, kind, inline=False, content=_Described())


def judge(
    mail: Labelled,
    claude: Claude | None,
    adviser: Adviser | None = None,
    *,
    lessons: Callable[[Vector | None], Sequence[Lesson]] = no_lessons,
    sleep: Callable[[float], object] = time.sleep,
) -> Verdict:
    """Classify the mail as it would be today. Claude is waited for, within bounds.

    Raises:
        TransientError: Claude cannot be reached now.
        ConfigurationError: Claude refuses the credentials.
    """
    for tried in range(1, TRIES):
        try:
            return Verdict(mail, classify_request(mail.request, claude, adviser, lessons))
        except TransientError as error:
            sleep(min(max(error.retry_after_s or 0.0, 2.0**tried), LONGEST_WAIT_S))
    return Verdict(mail, classify_request(mail.request, claude, adviser, lessons))


def usage(claude: Claude | None, prices: tuple[float, float] | None) -> Usage:
    """Return the client's use so far. `prices` are in dollars for a million tokens, of input and output."""
    if claude is None:
        return Usage()
    read, written = claude.input_tokens, claude.output_tokens
    dollars = (read * prices[0] + written * prices[1]) / 1_000_000 if prices else None
    return Usage(claude.answers, read, written, dollars)


def as_json(verdicts: list[Verdict], asked: Usage) -> dict[str, Any]:
    """Return the score as plain data. Shares are of 1, null where there is nothing to share."""
    return {
        **_tally(verdicts),
        "confusion": {label: {said: _count(verdicts, label, said) for said in Category} for label in Category},
        "decided_by": {who: _tally(given) for who, given in _by(verdicts).items()},
        "needs_review": sum(each.found.needs_review for each in verdicts),
        "learned": {"asked": _opinions(verdicts), "sure": _opinions(verdicts, sure=True)},
        "claude": {
            "calls": asked.calls,
            "input_tokens": asked.input_tokens,
            "output_tokens": asked.output_tokens,
            "dollars": asked.dollars,
        },
        "wrong": [
            {
                "id": each.mail.id,
                "label": each.mail.label,
                "said": each.found.category,
                "decided_by": each.found.decided_by,
                "confidence": each.found.confidence,
            }
            for each in verdicts
            if not each.right
        ],
    }


def as_lines(verdicts: list[Verdict], asked: Usage) -> Iterator[str]:
    """Format the score as lines for a person."""
    yield f"{_score(verdicts)} right"
    for who, given in _by(verdicts).items():
        yield f"  {_DECIDED.get(who, who):<25} {len(given):>5} mails, {_score(given)} right"
    review = sum(each.found.needs_review for each in verdicts)
    yield f"  a person should look at {review:>3} of them"
    for what, sure in (("the learnt model was asked about", False), ("and would decide", True)):
        asked_about = _opinions(verdicts, sure=sure)
        if asked_about["mails"]:
            yield f"  {what} {asked_about['mails']}, {asked_about['right']} right"
    cost = "" if asked.dollars is None else f", about ${asked.dollars:.4f}"
    yield f"Claude: {asked.calls} calls, {asked.input_tokens} tokens in, {asked.output_tokens} out{cost}"
    yield f"{'is':<14}" + "".join(f"{'said ' + said:>20}" for said in Category)
    for label in Category:
        yield f"{label:<14}" + "".join(f"{_count(verdicts, label, said):>20}" for said in Category)
    for each in verdicts:
        if not each.right:
            said = f"by {each.found.decided_by} ({each.found.confidence:.0%})"
            yield f"wrong: {each.mail.id} is {each.mail.label}, {said}"


def _opinions(verdicts: list[Verdict], *, sure: bool = False) -> dict[str, int]:
    """Count the mails that the learnt model was asked about, or was sure of, and those where it is right."""
    given = [(each.found.opinion, each.mail.label) for each in verdicts if each.found.opinion]
    counted = [opinion.category is label for opinion, label in given if opinion.sure or not sure]
    return {"mails": len(counted), "right": sum(counted)}


def _by(verdicts: list[Verdict]) -> dict[str, list[Verdict]]:
    """Group the verdicts by who decided, in the order in which they are asked."""
    asked = (*_DECIDED, *Counter(each.found.decided_by for each in verdicts))
    by = {who: [each for each in verdicts if each.found.decided_by == who] for who in asked}
    return {who: given for who, given in by.items() if given}


def _tally(verdicts: list[Verdict]) -> dict[str, Any]:
    right = sum(each.right for each in verdicts)
    return {"mails": len(verdicts), "right": right, "accuracy": right / len(verdicts) if verdicts else None}


def _score(verdicts: list[Verdict]) -> str:
    right = sum(each.right for each in verdicts)
    return f"{right} of {len(verdicts)}" + (f" ({right / len(verdicts):.0%})" if verdicts else "")


def _count(verdicts: list[Verdict], label: Category, said: Category) -> int:
    return sum(each.mail.label is label and each.found.category is said for each in verdicts)
