"""A message dispatched anew, as what a person says that it is: what is missing is created, what is there is kept.

Nothing is created twice: before each creation there is a look, for the work on the message itself may have ended
anywhere. Nothing is deleted either: a subtask that has no more to do gets a comment which says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from poller.dispatch import conversation
from poller.dispatch.classify import begun
from poller.dispatch.job import skip
from poller.dispatch.subtask import add_comment, create_subtask
from poller.dispatch.ticket import create_note, create_ticket, find_or_create_contact
from poller.dispatch.upload import upload_files, with_files
from poller.model import Category, Classification, Fate, Link
from poller.rendering import tickets
from poller.rendering.ticket_update import amended
from poller.workflow.corrections import category_of, is_half_done
from poller.workflow.errors import NotYetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.dispatch.job import Job
    from poller.model import Dispatched
    from poller.workflow.corrections import Correction
    from poller.workflow.retry import Attempt

    Step = Callable[[Job, Dispatched, "Original"], Dispatched]


@dataclass(frozen=True, slots=True)
class Original:
    """What was made of the message before the correction: nothing at all of one that we never saw."""

    correction: Correction
    result: dict[str, Any]  # of the work on it, or of the correction before this one

    @property
    def was(self) -> str:
        """What it was taken for: "support", "modelisation", "ignored", "failed", "gone", or "" where it was unknown."""
        outcome = category_of(self.result)
        return "" if outcome == "forgotten" else outcome

    @property
    def thread(self) -> str:
        """The reference of the message that opened its ticket."""
        return str(self.result.get("thread", self.correction.reference))

    @property
    def is_answer(self) -> bool:
        """Whether the ticket is that of another message, which it answers: nothing is changed in it then."""
        return self.thread != self.correction.reference

    def answering(self, reference: str) -> Original:
        """The same of a message that turns out to answer another, and whose ticket is the one which that opened."""
        return replace(self, result=self.result | {"thread": reference})

    @property
    def stays(self) -> bool:
        """Whether it was taken for this category already, and all of that was done."""
        return self.was == self.correction.category.lower() and not is_half_done(self.result)

    @property
    def changes(self) -> bool:
        """Whether it was taken for the other category, or a correction left it half-way."""
        return self.was in {"support", "modelisation"} and not self.stays


def find_original(job: Job, correction: Correction) -> Original:
    """What was made of the message before.

    Raises:
        MustWaitError: that is not known yet.
    """
    memory = job.journal.memory

    def act(_: Attempt) -> dict[str, Any]:
        found = memory.result(correction.reference, before=correction.id) if memory else {"outcome": "forgotten"}
        if found.get("outcome", "waiting") == "waiting":
            raise NotYetError("the message that is corrected is still at work")
        return found

    return Original(correction, job.journal.step("find_original", act))


def taken_over(job: Job, original: Original) -> Dispatched:
    """What there is already, under the category that it is to have."""
    result = original.result
    sure = Classification(
        original.correction.category, 1.0, "person", "Reclassé à la main dans la boîte aux lettres.", needs_review=False
    )
    # Files were uploaded in the mail's order, all or none.
    numbers = [number for number, fate in enumerate(job.fates) if fate is Fate.FILE]
    files = result.get("files", [])
    return replace(
        begun(job, sure),
        uploads=tuple(zip(numbers, files, strict=True)) if len(files) == len(numbers) else (),
        contact_id=result.get("contact_id", ""),
        ticket=_link(result.get("ticket")),
        note_id=result.get("note_id", ""),
        subtask=_link(result.get("subtask")),
    )


def _link(found: dict[str, str] | None) -> Link | None:
    return Link(**found) if found else None


def upload_missing(job: Job, done: Dispatched, _: Original) -> Dispatched:
    """The files on R2."""
    return done if done.uploads else upload_files(job, done)


def find_contact(job: Job, done: Dispatched, _: Original) -> Dispatched:
    """The customer's contact: the one that has the ticket, where there is one."""
    return done if done.contact_id else find_or_create_contact(job, done)


def put_ticket(job: Job, done: Dispatched, original: Original) -> Dispatched:
    """The ticket, put right for the category; created where there was none, or somebody has deleted it.

    An answer gets one of its own then, for it would be on none any more.
    """
    keep = original.is_answer or original.stays
    if done.ticket and (updated := update_ticket(job, done, keep=keep)):
        return updated
    found = find_ticket(job, done)
    if found.ticket and (updated := update_ticket(job, found)):
        return updated
    return create_ticket(job, replace(done, ticket=None))


def find_ticket(job: Job, done: Dispatched) -> Dispatched:
    """The ticket that nobody remembers: made by a try whose answer was lost, or of a message that was forgotten."""
    hubspot = job.services.hubspot

    def act(_: Attempt) -> dict[str, str] | None:
        if hubspot is None or not done.contact_id:
            return None
        ticket = hubspot.find_ticket(done.contact_id, job.message.request.reference)
        return {"id": ticket.id, "url": ticket.url} if ticket else None

    return replace(done, ticket=_link(job.journal.step("find_ticket", act, "hubspot")))


def update_ticket(job: Job, done: Dispatched, *, keep: bool = False) -> Dispatched | None:
    """The ticket put right where we wrote of its category, see `amended`, or kept as it is; None where it is no more.

    The same at each try, so nobody needs to look whether it was done. Subject, pipeline and stage are left alone.
    """
    hubspot, ticket = job.services.hubspot, done.ticket

    def act(_: Attempt) -> bool | None:
        if hubspot is None or ticket is None:
            return None
        request = job.message.request
        content = hubspot.ticket_content(ticket.id)
        if content is None or keep:
            return content is not None
        right = amended(content, request, with_files(request, done))
        return right == content or hubspot.update_ticket(ticket.id, right, job.journal.confirm)

    updated = job.journal.step("update_ticket", act, "hubspot")
    if updated is None:
        return done if keep else skip(done, "update_ticket")
    return done if updated else None


def put_note(job: Job, done: Dispatched, _: Original) -> Dispatched:
    """The note with the links, where there is none."""
    return done if done.note_id else create_note(job, done, look=True)


def put_subtask(job: Job, done: Dispatched, original: Original) -> Dispatched:
    """The 3D team's subtask: told of its return where there was one, else created."""
    told = tell_team(job, done, original)
    if told.subtask:
        return told
    made = create_subtask(job, told, look=True)
    if original.is_answer and made.subtask and job.journal.memory:
        # What comes after it in the conversation is for the team, too.
        job.journal.memory.remember(conversation.subtask_key(original.thread), original.correction.reference)
    return made


def tell_team(job: Job, done: Dispatched, original: Original) -> Dispatched:
    """Say on the subtask, if there is one, that the request is for the 3D team no more, or is again."""
    correction = original.correction
    # An answer is a part of a request that goes on as what it is.
    if original.is_answer or not original.changes:
        return done
    return add_comment(job, done, correction.id, lambda: tickets.correction_comment(correction.category, correction.id))


STEPS: dict[Category, tuple[Step, ...]] = {
    Category.SUPPORT: (find_contact, put_ticket, tell_team),
    Category.MODELISATION: (upload_missing, find_contact, put_ticket, put_note, put_subtask),
}
