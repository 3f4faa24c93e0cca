"""Define what a customer asked for and what was made of it.

These are values only. The one I/O is reading an attachment's bytes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


class Category(StrEnum):
    """The two kinds of work that a customer's mail can ask for."""

    SUPPORT = "SUPPORT"
    MODELISATION = "MODELISATION"

    @property
    def outcome(self) -> Outcome:
        """Return the outcome of a message that was dispatched as this."""
        return Outcome(self.lower())


class Outcome(StrEnum):
    """What became of a message. The values are recorded, and name the settings of the labels."""

    WORKING = "working"
    WAITING = "waiting"
    SUPPORT = "support"
    MODELISATION = "modelisation"
    IGNORED = "ignored"
    FAILED = "failed"
    GONE = "gone"  # a person took the message away
    FORGOTTEN = "forgotten"  # nothing is recorded of the message, or not any more

    @property
    def is_dispatched(self) -> bool:
        """Return whether every step of a category was done."""
        return self in {Outcome.SUPPORT, Outcome.MODELISATION}

    @property
    def is_open(self) -> bool:
        """Return whether work on the message goes on, now or later."""
        return self in {Outcome.WORKING, Outcome.WAITING}

    @property
    def category(self) -> Category:
        """Return the category of a message that was dispatched."""
        return Category(self.upper())


class Kind(StrEnum):
    """The kind of an attachment, decided by its content first and its name second."""

    MODEL = "model"  # a 3D file, or an archive with 3D files in it
    IMAGE = "image"
    OTHER = "other"


class UploadDecision(StrEnum):
    """The upload decision for an attachment. The ticket shows it for each, so that no file disappears silently."""

    FILE = "file"  # a 3D file or an image: uploaded to R2 if the category uploads files
    INLINE = "inline"  # an image shown in the text
    LOGO = "logo"  # an image of a signature, or a small image that the sender has sent before
    DUPLICATE = "duplicate"  # the same bytes as an earlier attachment of the mail
    REFUSED = "refused"  # a program, a page or a script: never on a public bucket
    TOO_BIG = "too_big"  # more bytes than one mail may upload
    OVER_CAP = "over_cap"  # the sender's upload limit for the day is reached
    KEPT = "kept"  # anything else: it stays in the mail


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox of an address header (RFC 5322 section 3.4)."""

    display_name: str  # decoded, one line, without bidi or control characters; "" when the sender gave none
    addr_spec: str  # local@domain, the domain in lower case; "" when the header held none


class Content(Protocol):
    """The source of an attachment's bytes."""

    def open(self) -> BinaryIO:
        """Return a readable, seekable stream of the decoded bytes, read from the spool file in pieces."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One part of the mail that is not its text."""

    filename: (
        str  # decoded, no directory, one line, at most 150 characters; "piece-jointe-3.bin" when the sender gave none
    )
    content_type: (
        str  # "type/subtype" by content and name, from our own table; the sender's value if the table has none
    )
    size_bytes: int  # of the decoded content
    kind: Kind
    inline: bool  # an image that the HTML shows by its cid: part of the text, not a file the customer sent
    content: Content
    logo: bool = False  # a small image that the mail shows, or means to show, in its text: part of a signature
    fingerprint: str = ""  # 32 hex digits of the content's SHA-256; "" if no other attachment can be the same
    refused: bool = False  # a program, a page or a script, by name or content: never on a public bucket


@dataclass(frozen=True, slots=True)
class Request:
    """A customer's request, ready to be classified and dispatched."""

    reference: str  # 16 hex digits: SHA-256 over account, Message-ID, From, Date, Subject; see `mime.reference`
    message_id: str  # with <>; a digest of the bytes when the sender gave none (RFC 5322 section 3.6.4)
    in_reply_to: tuple[str, ...]  # message ids with <>, in order
    references: tuple[str, ...]  # likewise
    sender: Address  # the address to answer: Reply-To if it differs from From, else From
    author: Address  # From, unchanged
    subject: str  # decoded, one line; "" when there is none
    text: str  # "\n" line ends, quoted history kept, at most 100_000 characters
    newest: str  # the part of `text` written for this mail: no quoted history, no signature; all of it for a forward
    sent_at: datetime | None  # Date, aware, UTC; None when missing or not a date
    received_at: datetime  # INTERNALDATE, aware, UTC; not the Date header
    headers: tuple[tuple[str, str], ...]  # (lower-case name, decoded one-line value) of every header field, in order
    attachments: tuple[Attachment, ...]  # every part that is not the text, in the mail's order
    defects: tuple[str, ...]  # what could not be parsed, in a few English words each, nothing of the content
    links: tuple[str, ...] = ()  # https URLs in the text of files at a transfer service, in order, each once
    original_senders: tuple[Address, ...] = ()  # From of each message that this one forwards, the outermost first
    verified: bool | None = None  # True if our own server authenticated From; None when no authserv-id is configured

    def header(self, name: str) -> str:
        """Return the first value of a header field, "" if there is none."""
        return next((value for field, value in self.headers if field == name.lower()), "")


@dataclass(frozen=True, slots=True)
class Classification:
    """The team that must act, the confidence, and the origin of the decision."""

    category: Category
    confidence: float  # 0.0 to 1.0
    decided_by: str  # "rules", "claude", "rules without claude", or "thread" for an answer to a request under way
    reason: str  # one French sentence for the admin; untrusted text if Claude decided, because the model wrote it
    needs_review: bool  # a person should check: neither the rules nor Claude were sure


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An attachment that is on R2."""

    filename: str  # as in `Attachment`
    url: str  # public, percent-encoded ASCII
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Link:
    """An object created at a service."""

    id: str
    url: str  # https, ASCII


@dataclass(frozen=True, slots=True)
class DispatchResult:
    """The results of a request so far. Each step adds to it."""

    classification: Classification
    files: tuple[StoredFile, ...] = ()  # see `uploads`; filled from the mail, which has the names, when it is read
    contact_id: str = ""
    ticket: Link | None = None
    note_id: str = ""
    subtask: Link | None = None
    uploads: tuple[tuple[int, str], ...] = ()  # number of each stored attachment, counted from 0, and its URL
    skipped: tuple[str, ...] = ()  # step names whose service has no credentials, in order
    in_doubt: tuple[str, ...] = ()  # names of steps whose effect is unknown, in order
    upload_decisions: tuple[UploadDecision, ...] = ()  # of each attachment, in the mail's order
    max_file_bytes: int = 0  # a single file over this was TOO_BIG; 0 if unknown
    max_mail_bytes: int = 0  # a file was TOO_BIG if it and the files before it were over this; 0 if unknown


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt, as it is put into the mailbox."""

    message_id: str  # with <>; the same at each try
    raw: bytes  # ASCII, CRLF
    needs_person: bool  # whether it is left unread


@dataclass(frozen=True, slots=True)
class Participants:
    """The people behind a message, each as a keyed hash: the state store holds no address."""

    customer: str = ""  # the person to answer, whose contact has the ticket; "" if unknown
    writer: str = ""  # the author, see `sender.writer`; "" if unknown
    colleague: bool = field(default=False, compare=False)  # True if the writer is one of ours

    def may_answer(self, opened: Participants) -> bool:
        """Return True if an answer from these people belongs to the ticket that a message from `opened` created.

        The answer's writer must be one of these:

        - the ticket's customer,
        - the writer of the first message, for the same customer,
        - a colleague, for that customer or for no other person.

        A Reply-To alone does not count, because it may name any address.
        """
        if self.colleague and self.customer in {self.writer, opened.customer}:
            return True
        return bool(self.writer) and (self.writer == opened.customer or self == opened)


@dataclass(frozen=True, slots=True)
class Received:
    """The result of the first step: what a message is, and when it may go on."""

    ignored: str | None  # why it is no work; None if it is work
    received_at: datetime | None  # INTERNALDATE, aware, UTC; None where an earlier release did not record it
    thread_key: str  # the key that its reference is stored under, for later answers
    parent_keys: tuple[str, ...]  # the thread keys of the messages that it answers, the nearest first
    people: Participants
    unless_answer: bool = False  # it is screened out, and work all the same if it answers a ticket
    upload_decisions: tuple[UploadDecision, ...] = ()  # of each attachment, in the mail's order
    goes_on_at: datetime | None = None  # when its sender's rate limit lets it go on; None if it is ignored for good
    episode: str = ""  # reference of the first message of its sender's run of waiting ones; "" if it need not wait

    def as_json(self) -> dict[str, Any]:
        """Return the recorded form."""
        found: dict[str, Any] = {
            "ignored": self.ignored,
            "received_at": self.received_at and self.received_at.isoformat(),
            "key": self.thread_key,
            "forebears": list(self.parent_keys),
            "people": asdict(self.people),
        }
        if self.ignored:
            found["unless_answer"] = self.unless_answer
        if self.goes_on_at:
            fates = [str(decision) for decision in self.upload_decisions]
            found |= {"fates": fates, "goes_on_at": self.goes_on_at.isoformat(), "episode": self.episode}
        return found

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Read the recorded form, of this release or an earlier one."""
        return cls(
            ignored=found["ignored"],
            received_at=_moment(found.get("received_at")),
            thread_key=found["key"],
            parent_keys=tuple(found["forebears"]),
            people=Participants(**found.get("people", {})),
            unless_answer=found.get("unless_answer", False),
            upload_decisions=tuple(map(UploadDecision, found.get("fates", ()))),
            goes_on_at=_moment(found.get("goes_on_at")),
            episode=found.get("episode", ""),
        )


@dataclass(frozen=True, slots=True)
class WorkResult:
    """The result of the work on a message, or of a correction, when it last stopped. Nothing of the mail's content."""

    outcome: Outcome
    step: str = ""  # where it failed or waits
    reason: str = ""  # why it is ignored, failed or waits, fit for a log
    until: datetime | None = None  # of a waiting one; aware, UTC
    breaker: str = ""  # of a waiting one: the service whose open circuit breaker stopped it, "" if none did
    filed: Outcome | None = None  # the final outcome of a message that waits for its receipt alone
    unfiled: bool = False  # True if a failed message could not be labelled as failed
    thread: str = ""  # reference of the message that opened the ticket, which may be this one
    was: Outcome | None = None  # of a correction: the earlier outcome; None if this is no correction
    people: Participants = Participants()
    category: Category | None = None  # None if no step of a category began
    confidence: float = 0.0
    decided_by: str = ""  # as in `Classification`
    needs_review: bool = False
    upload_decisions: tuple[UploadDecision, ...] = ()  # of each attachment, in the mail's order
    files: tuple[str, ...] = ()  # the URL of each stored attachment, in the mail's order
    contact_id: str = ""
    ticket: Link | None = None
    note_id: str = ""
    subtask: Link | None = None
    skipped: tuple[str, ...] = ()  # step names whose service has no credentials, in order

    @property
    def final_outcome(self) -> Outcome:
        """Return the outcome, or of a message that only waits for its receipt, the outcome of its label."""
        return self.filed or self.outcome

    def as_json(self) -> dict[str, Any]:
        """Return the recorded form. It holds only what applies to the outcome."""
        found: dict[str, Any] = {"outcome": str(self.outcome)}
        if self.outcome in {Outcome.FAILED, Outcome.WAITING}:
            found |= {"step": str(self.step), "reason": self.reason}
        if self.outcome is Outcome.WAITING:
            found |= {"gate": self.breaker} | ({"until": self.until.isoformat()} if self.until else {})
        if self.outcome is Outcome.IGNORED:
            found["reason"] = self.reason
        if self.filed:
            found["filed"] = str(self.filed)
        if self.unfiled:
            found["unfiled"] = True
        if self.thread:
            found["thread"] = self.thread
        if self.was:
            found["was"] = "" if self.was is Outcome.FORGOTTEN else str(self.was)
        if self.category:
            found |= self._dispatched()
        return found

    def _dispatched(self) -> dict[str, Any]:
        return {
            "people": asdict(self.people),
            "category": str(self.category).lower(),
            "confidence": self.confidence,
            "decided_by": self.decided_by,
            "needs_review": self.needs_review,
            "fates": [str(decision) for decision in self.upload_decisions],
            "files": list(self.files),
            "contact_id": self.contact_id,
            "ticket": asdict(self.ticket) if self.ticket else None,
            "note_id": self.note_id,
            "subtask": asdict(self.subtask) if self.subtask else None,
            "skipped": [str(step) for step in self.skipped],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Read the recorded form, of this release or an earlier one."""
        category, was, filed = found.get("category"), found.get("was"), found.get("filed")
        ticket, subtask = found.get("ticket"), found.get("subtask")
        return cls(
            outcome=Outcome(found["outcome"]),
            step=found.get("step", ""),
            reason=found.get("reason", ""),
            until=_moment(found.get("until")),
            breaker=found.get("gate", ""),
            filed=Outcome(filed) if filed else None,
            unfiled=found.get("unfiled", False),
            thread=found.get("thread", ""),
            was=None if was is None else Outcome(was or Outcome.FORGOTTEN),
            people=Participants(**found.get("people", {})),
            category=Category(category.upper()) if category else None,
            confidence=found.get("confidence", 0.0),
            decided_by=found.get("decided_by", ""),
            needs_review=found.get("needs_review", False),
            upload_decisions=tuple(map(UploadDecision, found.get("fates", ()))),
            files=tuple(found.get("files", ())),
            contact_id=found.get("contact_id", ""),
            ticket=Link(**ticket) if ticket else None,
            note_id=found.get("note_id", ""),
            subtask=Link(**subtask) if subtask else None,
            skipped=tuple(found.get("skipped", ())),
        )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


SERVICE_NAMES = {
    "anthropic": "Claude",
    "r2": "R2",
    "hubspot": "HubSpot",
    "clickup": "ClickUp",
    "smtp": "SMTP",
    "imap": "IMAP",
}
