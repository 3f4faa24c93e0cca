"""Define what a customer asked for and what was made of it. The one I/O is reading an attachment's bytes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from datetime import datetime


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
    DOCUMENT = "document"  # a plan, a drawing, a text, a table, a font: what a studio works from
    ARCHIVE = "archive"  # an archive in which no 3D file was seen, or a part of a split one
    VIDEO = "video"
    SIDE = "side"  # a texture or a buffer: of use beside the model that refers to it
    OTHER = "other"


class UploadDecision(StrEnum):
    """The upload decision for an attachment. The ticket shows it for each, so that no file disappears silently."""

    FILE = "file"  # a file that is of use to a studio: uploaded if the category uploads files
    INLINE = "inline"  # an image shown in the text that is there already: quoted, or sent before
    LOGO = "logo"  # an image of a signature, or a small image that the sender has sent before
    DUPLICATE = "duplicate"  # the same name and bytes as an earlier attachment of the mail
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

    filename: str  # decoded, no directory, one line, at most 150 characters; "piece-jointe-3.bin" where it has none
    content_type: (
        str  # "type/subtype" by content and name, from our own table; the sender's value if the table has none
    )
    size_bytes: int  # of the decoded content
    kind: Kind
    inline: bool  # an image that the HTML shows by its cid: part of the text, not a file the customer sent
    content: Content
    logo: bool = False  # a small image that the mail shows in its text: part of a signature
    fingerprint: str = ""  # 32 hex digits of the content's SHA-256; "" if no other attachment can be the same
    incidental: bool = False  # no file that a person sent: it signs the mail, or holds what a Mac adds to another file
    refused: bool = False  # a program, a page or a script, by name or content: never on a public bucket
    shown: bool = False  # as `inline`, even if it is declared an attachment, as some programs do with all files
    quoted: bool = False  # of an answer: an image that stands in the quoted history alone
    side: str = ""  # safe path by which a 3D file of the mail refers to it, at least its name; "" if none does


ENCRYPTED_DEFECT = "encrypted message"  # a defect of its own: reading it needs the key


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


class ModelIssue(StrEnum):
    """What a studio must know about a 3D file before it opens it."""

    UNREADABLE = "unreadable"  # it does not open: damaged, cut off, or not what its name says
    MISSING_FILES = "missing_files"  # it names files that the mail does not bring, see `ModelFacts.missing`
    NO_UVS = "no_uvs"  # no texture coordinates
    NOT_WATERTIGHT = "not_watertight"  # its surface has holes
    DENSE = "dense"  # more than five million triangles
    DRACO = "draco"  # compressed by Draco
    MESHOPT = "meshopt"  # compressed by meshopt


class NoPicture(StrEnum):
    """Why there is no picture of a file."""

    FORMAT = "format"  # nothing installed here shows the format
    UNREADABLE = "unreadable"  # it does not open
    EMPTY = "empty"  # it holds no surface
    TOO_MUCH = "too_much"  # it needs more time or memory than one file may have
    FAILED = "failed"  # the renderer failed, or the picture could not be stored
    OFF = "off"  # the extra `models` is not installed


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a 3D file holds. None stands for what its format or our libraries do not tell."""

    triangles: int | None = None
    vertices: int | None = None
    size: tuple[float, float, float] | None = None  # of the bounding box: width, height, depth in `unit`
    unit: str = ""  # "m", "cm", "mm", "in" ... as the format states it; "" if it states none
    materials: int | None = None
    textures: tuple[tuple[int, int], ...] = ()  # width and height in pixels of each, the largest first, at most 20
    animations: int | None = None
    parts: int | None = None
    program: str = ""  # that made it: one line of at most 80 characters, untrusted
    issues: tuple[ModelIssue, ...] = ()
    missing: tuple[str, ...] = ()  # file names that it refers to and the mail does not bring, untrusted, at most 20


@dataclass(frozen=True, slots=True)
class Preview:
    """The picture of a file, and the facts if it is a 3D file."""

    number: int  # of the attachment, counted from 0
    member: str = ""  # path of the 3D file in an attached archive, untrusted; "" for the attachment itself
    facts: ModelFacts | None = None  # None for a photo or a document
    url: str = ""  # public URL of the PNG or JPEG; "" if there is none
    no_picture: NoPicture | None = None  # why there is none


class Acknowledgement(StrEnum):
    """What became of the letter that tells a customer that the mail has arrived. The values are recorded."""

    SENT = "sent"
    IN_DOUBT = "perhaps sent"  # its fate is unknown, and it is not sent a second time
    REFUSED = "refused by the mail server"
    BOUNCED = "sent, and not delivered"
    FAILED = "not sent: it could not be written"
    OFF = "not sent: it is turned off"
    NO_TICKET = "not sent: no ticket was opened"
    IN_CONVERSATION = "not sent: the mail belongs to a known conversation"
    OURS = "not sent: the sender is one of ours"
    NO_ANSWER = "not sent: the address takes no answer"
    AUTOMATIC = "not sent: a program or a list may have sent the mail"
    UNPROVEN = "not sent: nobody vouches for the sender"
    NOT_TO_US = "not sent: no address of ours is among the recipients"
    OLD = "not sent: the mail is older than a day"
    OFTEN = "not sent: the sender has had enough of them in a day"
    FORMS = "not sent: visitors of the forms have had enough of them in a day"


@dataclass(frozen=True, slots=True)
class Opinion:
    """The judgement of the model that was learnt from labelled requests."""

    category: Category
    confidence: float  # 0.5 to 1.0
    sure: bool  # it may decide


@dataclass(frozen=True, slots=True)
class Classification:
    """The team that must act, the confidence, and the origin of the decision."""

    category: Category
    confidence: float  # 0.0 to 1.0
    decided_by: (
        str  # "rules", "learned", "claude", "rules without claude", "learned without claude"; "thread": an answer
    )
    reason: str  # one French sentence for the admin; untrusted text if Claude decided, because the model wrote it
    needs_review: bool  # a person should check: neither the rules nor Claude were sure
    opinion: Opinion | None = None  # of the learnt model; None where the rules were sure, or it is not asked


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
    attached: tuple[tuple[int, str], ...] = ()  # likewise of each private file of HubSpot, and its id there
    skipped: tuple[str, ...] = ()  # step names whose service has no credentials, in order
    in_doubt: tuple[str, ...] = ()  # names of steps whose effect is unknown, in order
    refused: tuple[str, ...] = ()  # names of steps whose mail the server takes for nobody, in order
    upload_decisions: tuple[UploadDecision, ...] = ()  # of each attachment, in the mail's order
    previews: tuple[Preview, ...] = ()  # of the stored files, in the mail's order
    all_files: StoredFile | None = None  # a zip of the stored files; None if there are fewer than two
    max_file_bytes: int = 0  # a single file over this was TOO_BIG; 0 if unknown
    acknowledgement: Acknowledgement | None = None  # None where none is asked for
    max_mail_bytes: int = 0  # a file was TOO_BIG if it and the files before it were over this; 0 if unknown


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt, as it is put into the mailbox."""

    message_id: str  # with <>; the same at each try
    raw: bytes  # ASCII, CRLF
    needs_person: bool  # whether it is left unread


LABELS = "labels"  # the mailbox as it is filed into: it may refuse that, and still give mail
TICKETS = {each: f"hubspot-{each.lower()}" for each in Category}  # new ones: HubSpot may refuse those of one category
SERVICE_NAMES = {
    "anthropic": "Claude",
    "r2": "R2",
    "hubspot": "HubSpot",
    "clickup": "ClickUp",
    "smtp": "SMTP",
    "imap": "IMAP",
    LABELS: "IMAP (labels)",
    **{name: f"HubSpot ({category} tickets)" for category, name in TICKETS.items()},
}
