"""Define the recorded results of the work on a message, and their JSON form."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from poller.model import Category, Link, ModelFacts, Opinion, Outcome, Preview, StoredFile, UploadDecision

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


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
    support_files: str = "none"  # where the files go if it is a support request: "none", "hubspot" or "r2"
    support_decisions: tuple[UploadDecision, ...] = ()  # if it answers one and that is "none"; () if they are the same
    crowd: bool = False  # True if it waits because too many new senders write
    bounced: str = ""  # of an ignored one: the reference of the message whose letter came back, "" for none
    acknowledge: bool = False  # whether the customer is to be told that it has arrived, if it opens a ticket
    digest: str = ""  # of its content, see `mime.reference.content_digest`; "" where an earlier release recorded none

    def as_json(self) -> dict[str, Any]:
        """Return the recorded form."""
        found: dict[str, Any] = {
            "ignored": self.ignored,
            "received_at": self.received_at and self.received_at.isoformat(),
            "key": self.thread_key,
            "forebears": list(self.parent_keys),
            "people": asdict(self.people),
        }
        if self.digest:
            found["digest"] = self.digest
        if self.ignored:
            found["unless_answer"] = self.unless_answer
        if self.bounced:
            found["bounced"] = self.bounced
        if self.goes_on_at:
            fates = [str(decision) for decision in self.upload_decisions]
            found |= {"fates": fates, "goes_on_at": self.goes_on_at.isoformat(), "episode": self.episode}
        if self.crowd:
            found["crowd"] = True
        if self.acknowledge:
            found["acknowledge"] = True
        if self.support_files != "none":
            found["support_files"] = self.support_files
        if self.support_decisions:
            found["support_fates"] = [str(decision) for decision in self.support_decisions]
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
            support_files=found.get("support_files", "none"),
            support_decisions=tuple(map(UploadDecision, found.get("support_fates", ()))),
            crowd=found.get("crowd", False),
            bounced=found.get("bounced", ""),
            acknowledge=found.get("acknowledge", False),
            digest=found.get("digest", ""),
        )


@dataclass(frozen=True, slots=True)
class WorkResult:
    """The result of the work on a message, or of a correction, when it last stopped. Nothing of the mail's content."""

    outcome: Outcome
    step: str = ""  # where it failed or waits
    reason: str = ""  # why it is ignored, failed or waits, fit for a log
    until: datetime | None = None  # of a waiting one; aware, UTC
    breaker: str = ""  # of a waiting one: the service whose open circuit breaker stopped it, "" if none did
    behind: str = ""  # of a waiting one: the reference of the message that it waits for, "" if it is none
    filed: Outcome | None = None  # the final outcome of a message that waits for its receipt alone
    unfiled: bool = False  # True if a failed message could not be labelled as failed
    thread: str = ""  # reference of the message that opened the ticket, which may be this one
    was: Outcome | None = None  # of a correction: the earlier outcome; None if this is no correction
    people: Participants = Participants()
    category: Category | None = None  # None if no step of a category began
    confidence: float = 0.0
    decided_by: str = ""  # as in `Classification`
    needs_review: bool = False
    opinion: Opinion | None = None  # as in `Classification`
    upload_decisions: tuple[UploadDecision, ...] = ()  # of each attachment, in the mail's order
    files: tuple[str, ...] = ()  # the URL of each stored attachment, in the mail's order
    all_files: StoredFile | None = None  # as in `DispatchResult`
    attached: tuple[tuple[int, str], ...] = ()  # as in `DispatchResult`
    contact_id: str = ""
    ticket: Link | None = None
    note_id: str = ""
    subtask: Link | None = None
    skipped: tuple[str, ...] = ()  # step names whose service has no credentials, in order
    previews: tuple[Preview, ...] = ()  # those with a picture, in the mail's order, without any name or word of a file

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
            found |= {"behind": self.behind} if self.behind else {}
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
        if previews := [_preview_json(preview) for preview in self.previews if preview.url]:
            found["previews"] = previews
        return found

    def _dispatched(self) -> dict[str, Any]:
        found = self._created()
        if self.all_files:
            found["all_files"] = asdict(self.all_files)
        if self.attached:
            found["attached"] = [list(each) for each in self.attached]
        if self.opinion:
            found["opinion"] = asdict(self.opinion)
        return found

    def _created(self) -> dict[str, Any]:
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
        ticket, subtask, all_files = found.get("ticket"), found.get("subtask"), found.get("all_files")
        opinion = found.get("opinion")
        return cls(
            outcome=Outcome(found["outcome"]),
            step=found.get("step", ""),
            reason=found.get("reason", ""),
            until=_moment(found.get("until")),
            breaker=found.get("gate", ""),
            behind=found.get("behind", ""),
            filed=Outcome(filed) if filed else None,
            unfiled=found.get("unfiled", False),
            thread=found.get("thread", ""),
            was=None if was is None else Outcome(was or Outcome.FORGOTTEN),
            people=Participants(**found.get("people", {})),
            category=Category(category.upper()) if category else None,
            confidence=found.get("confidence", 0.0),
            decided_by=found.get("decided_by", ""),
            needs_review=found.get("needs_review", False),
            opinion=opinion_of(opinion) if opinion else None,
            upload_decisions=tuple(map(UploadDecision, found.get("fates", ()))),
            files=tuple(found.get("files", ())),
            all_files=StoredFile(**all_files) if all_files else None,
            attached=tuple((number, file_id) for number, file_id in found.get("attached", ())),
            contact_id=found.get("contact_id", ""),
            ticket=Link(**ticket) if ticket else None,
            note_id=found.get("note_id", ""),
            subtask=Link(**subtask) if subtask else None,
            skipped=tuple(found.get("skipped", ())),
            previews=tuple(map(_preview, found.get("previews", ()))),
        )


def opinion_of(found: Mapping[str, Any]) -> Opinion:
    """Read the recorded form of an opinion."""
    return Opinion(Category(found["category"]), found["confidence"], found["sure"])


def _preview_json(preview: Preview) -> dict[str, Any]:
    """Return the recorded form: where the picture is, and of a 3D file the number of its triangles."""
    found: dict[str, Any] = {"number": preview.number, "url": preview.url}
    return found if preview.facts is None else found | {"triangles": preview.facts.triangles}


def _preview(found: Mapping[str, Any]) -> Preview:
    facts = ModelFacts(triangles=found["triangles"]) if "triangles" in found else None
    return Preview(found["number"], facts=facts, url=found["url"])


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
