"""Dispatch a message again under the category that a person gave it: keep what exists, create what is missing.

Nothing is created twice. Before each creation the service is searched, because the earlier work may have stopped at any
step. Nothing is deleted either: a subtask that is no longer needed gets a comment that says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poller.dispatch import conversation
from poller.dispatch.classify import initial_result
from poller.dispatch.inspect_models import inspect_models
from poller.dispatch.job import skip
from poller.dispatch.subtask import add_comment, create_subtask
from poller.dispatch.ticket import create_note, create_note_of_links, create_ticket, find_or_create_contact
from poller.dispatch.upload import attach_files, upload_files, with_file_names
from poller.model import Category, Classification, Link, Outcome, UploadDecision
from poller.rendering import tickets
from poller.rendering.ticket_update import updated_ticket_content
from poller.workflow.corrections import category_of, is_half_done
from poller.workflow.errors import DependencyPendingError
from poller.workflow.results import WorkResult
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.dispatch.job import StepContext
    from poller.model import DispatchResult
    from poller.workflow.corrections import Correction
    from poller.workflow.retry import Attempt

    Step = Callable[[StepContext, DispatchResult, "Original"], DispatchResult]

NOTE_OF_LINKS = "note of links"  # recorded: the change since which private files that go to R2 get a note of links


@dataclass(frozen=True, slots=True)
class Original:
    """The result of the message before the correction. It is empty for a message that the daemon never saw."""

    correction: Correction
    result: WorkResult  # of the message's own workflow, or of the correction before this one

    @property
    def was(self) -> Outcome:
        """Return the earlier outcome, FORGOTTEN if unknown."""
        return category_of(self.result)

    @property
    def thread(self) -> str:
        """Return the reference of the message that opened the ticket."""
        return self.result.thread or self.correction.reference

    @property
    def is_answer(self) -> bool:
        """Return True if the message answers another one, whose ticket is then left unchanged."""
        return self.thread != self.correction.reference

    def answering(self, reference: str) -> Original:
        """Return a copy for a message that turns out to answer `reference`, and so shares its ticket."""
        return replace(self, result=replace(self.result, thread=reference))

    @property
    def stays(self) -> bool:
        """Return True if the message had this category already and every step of it was done."""
        return self.was is self.correction.category.outcome and not is_half_done(self.result)

    @property
    def changes(self) -> bool:
        """Return True if the message had the other category, or an earlier correction stopped half-way."""
        return self.was.is_dispatched and not self.stays


def find_original(job: StepContext, correction: Correction) -> Original:
    """Return the result of the message before this correction.

    Raises:
        StepDeferredError: the result is not known yet.
    """
    store = job.journal.store

    def act(_: Attempt) -> WorkResult:
        found = store.result(correction.reference, before=correction.id)
        if found.outcome.is_open:
            raise DependencyPendingError("the message that is corrected is still at work", correction.reference)
        return found

    return Original(correction, job.journal.step(StepName.FIND_ORIGINAL, act, returns=WorkResult))


def existing_result(job: StepContext, original: Original) -> DispatchResult:
    """Return what exists already, under the new category."""
    result = original.result
    sure = Classification(
        original.correction.category, 1.0, "person", "Reclassé à la main dans la boîte aux lettres.", needs_review=False
    )
    # The files were uploaded in the mail's order, either all of them or none.
    numbers = [number for number, fate in enumerate(job.upload_decisions) if fate is UploadDecision.FILE]
    return replace(
        initial_result(job, sure),
        uploads=tuple(zip(numbers, result.files, strict=True)) if len(result.files) == len(numbers) else (),
        all_files=result.all_files if len(result.files) == len(numbers) else None,
        attached=result.attached,
        contact_id=result.contact_id,
        ticket=result.ticket,
        note_id=result.note_id,
        subtask=result.subtask,
    )


def _link(found: dict[str, str] | None) -> Link | None:
    return Link(**found) if found else None


def upload_missing(job: StepContext, done: DispatchResult, _: Original) -> DispatchResult:
    """Upload the files to R2 unless that is done."""
    return done if done.uploads else upload_files(job, done)


def attach_missing(job: StepContext, done: DispatchResult, _: Original) -> DispatchResult:
    """Store the files as private files of HubSpot unless they are stored."""
    return done if done.uploads or done.attached else attach_files(job, done, look=True)


def find_contact(job: StepContext, done: DispatchResult, _: Original) -> DispatchResult:
    """Return the result with the customer's contact. If there is a ticket, its contact is kept."""
    return done if done.contact_id else find_or_create_contact(job, done)


def ensure_ticket(job: StepContext, done: DispatchResult, original: Original) -> DispatchResult:
    """Update the ticket for the new category, or create one if there is none or a person has deleted it.

    An answer whose ticket was deleted gets a ticket of its own.
    """
    keep = original.is_answer or original.stays
    if done.ticket and (updated := update_ticket(job, done, keep=keep)):
        return updated
    found = find_ticket(job, done)
    if found.ticket and (updated := update_ticket(job, found)):
        return updated
    return create_ticket(job, replace(done, ticket=None))


def find_ticket(job: StepContext, done: DispatchResult) -> DispatchResult:
    """Find a ticket that the state store does not know, and add it to the result.

    A create call whose response was lost may have made it, or a message that was purged since.
    """
    hubspot = job.services.hubspot

    def act(_: Attempt) -> dict[str, str] | None:
        if hubspot is None or not done.contact_id:
            return None
        ticket = hubspot.find_ticket(done.contact_id, job.message.request.reference)
        return {"id": ticket.id, "url": ticket.url} if ticket else None

    return replace(done, ticket=_link(job.journal.step(StepName.FIND_TICKET, act)))


def update_ticket(job: StepContext, done: DispatchResult, *, keep: bool = False) -> DispatchResult | None:
    """Update what we wrote about the category in the ticket, see `updated_ticket_content`.

    Return None if the ticket was deleted. With `keep` the ticket is only checked. The update is idempotent, so no
    attempt checks whether an earlier one succeeded. Subject, pipeline and stage are left unchanged.
    """
    hubspot, ticket = job.services.hubspot, done.ticket

    def act(_: Attempt) -> bool | None:
        if hubspot is None or ticket is None:
            return None
        request = job.message.request
        content = hubspot.ticket_content(ticket.id)
        if content is None or keep:
            return content is not None
        right = updated_ticket_content(content, request, with_file_names(request, done))
        return right == content or hubspot.update_ticket(ticket.id, right)

    updated = job.journal.step(StepName.UPDATE_TICKET, act)
    if updated is None:
        return done if keep else skip(done, StepName.UPDATE_TICKET)
    return done if updated else None


def inspect_files(job: StepContext, done: DispatchResult, _: Original) -> DispatchResult:
    """Add the previews of the files, unless note and subtask exist and need none."""
    return done if done.note_id and done.subtask else inspect_models(job, done)


def ensure_note(job: StepContext, done: DispatchResult, original: Original) -> DispatchResult:
    """Create the note with the links unless there is one. A note from before the files were on R2 has none of them."""
    if not done.note_id:
        return create_note(job, done, look=True)
    is_earlier = done.note_id == original.result.note_id
    has_links = original.result.files and not done.attached
    if done.uploads and is_earlier and not has_links and job.journal.introduced(NOTE_OF_LINKS):
        create_note_of_links(job, done)
    return done


def ensure_note_of_files(job: StepContext, done: DispatchResult, _: Original) -> DispatchResult:
    """Create the note on a support ticket unless there is one, or nothing to link to or to attach."""
    has_files = done.uploads or done.attached
    return create_note(job, done, look=True) if has_files and not done.note_id else done


def ensure_subtask(job: StepContext, done: DispatchResult, original: Original) -> DispatchResult:
    """Comment on the 3D team's subtask that the request is back, or create the subtask if there is none."""
    told = comment_on_subtask(job, done, original)
    if told.subtask:
        return told
    made = create_subtask(job, told, look=True)
    if original.is_answer and made.subtask:
        # Later messages of the conversation are for the 3D team, too.
        job.journal.store.remember(conversation.subtask_key(original.thread), original.correction.reference)
    return made


def comment_on_subtask(job: StepContext, done: DispatchResult, original: Original) -> DispatchResult:
    """Comment on an existing subtask that the request no longer needs the 3D team, or needs it again."""
    correction = original.correction
    # An answer does not change the category of the request that it belongs to.
    if original.is_answer or not original.changes:
        return done
    return add_comment(job, done, correction.id, lambda: tickets.correction_comment(correction.category, correction.id))


STEPS: dict[Category, tuple[Step, ...]] = {
    Category.SUPPORT: (find_contact, ensure_ticket, comment_on_subtask),
    Category.MODELISATION: (upload_missing, find_contact, ensure_ticket, inspect_files, ensure_note, ensure_subtask),
}
SUPPORT_STEPS: dict[str, tuple[Step, ...]] = {
    "none": STEPS[Category.SUPPORT],
    "hubspot": (find_contact, attach_missing, ensure_ticket, ensure_note_of_files, comment_on_subtask),
    "r2": (upload_missing, find_contact, ensure_ticket, ensure_note_of_files, comment_on_subtask),
}  # by where the files of a support request go


def steps_of(category: Category, support_files: str) -> tuple[Step, ...]:
    """Return the steps of a correction to a category. `support_files` is as in `Received`."""
    return SUPPORT_STEPS[support_files] if category is Category.SUPPORT else STEPS[category]
