"""Write the letter that tells a customer that the mail has arrived, in French or English, from templates.

The templates are `acknowledgement.fr.txt`, `.fr.html`, `.en.txt` and `.en.html`. The first line of a text is the
subject. A directory of the customer's own may have others in their place. Each shows one `Letter`, as `letter`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import TemplateError, TemplateSyntaxError

from integrations.errors import ConfigurationError
from poller.config.settings import office_hours
from poller.escaping import header_text, one_line, reply_address
from poller.mime.subject import without_prefixes
from poller.model import Category
from poller.own_mail import ACKNOWLEDGEMENT, HEADER
from poller.rendering import mail_page
from poller.rendering.acknowledgement.letter_time import day, hour, hour_of_day, next_hour
from poller.rendering.acknowledgement.received_files import SHOWN, ReceivedFile, received_files
from poller.rendering.template import FOLDER, environment_of
from poller.triage.language import Language

if TYPE_CHECKING:
    from datetime import datetime
    from email.message import EmailMessage

    from poller.config.settings import Settings
    from poller.model import DispatchResult, Request

_SUFFIXES = ("txt", "html")
# A template is a program, and may fail in any of these ways.
_FAULTS = (TemplateError, OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
_SUBJECT_CHARS = 150  # of the customer's, in a letter


@dataclass(frozen=True, slots=True)
class Letter:
    """What a template may show. All of its text is raw, not escaped."""

    name: str  # of the company
    reference: str  # of the mail
    subject: str  # the customer's, one line; "" without one, or if the letter repeats no words of the sender
    is_modelling: bool  # whether it is certain that it asks for a model
    files: tuple[ReceivedFile, ...]  # of a request for a model, at most 20
    more_files: int  # that are not shown
    has_links: bool  # whether files are to be fetched from a transfer service
    answer_by: str  # « mardi 24 novembre à 15 h »; "" if nothing is promised
    city: str  # whose time it is: « Paris »
    opens: str  # « 9 h »
    closes: str  # « 18 h »
    closed_from: str  # « 24 décembre 2026 »; "" if no closing period lies before the answer
    closed_until: str


class AcknowledgementWriter:
    """The templates of the letter, as they were at the start."""

    def __init__(self, settings: Settings) -> None:
        """Load the templates, and try each of them.

        Raises:
            ConfigurationError: one of them cannot be read, or does not work.
        """
        self._settings, self._office = settings, office_hours(settings)
        given = settings.acknowledgement.templates
        names = [f"{ACKNOWLEDGEMENT}.{language}.{suffix}" for language in Language for suffix in _SUFFIXES]
        if given and not any(Path(given, name).is_file() for name in names):
            raise ConfigurationError(f"[acknowledgement] templates: {given} has none of {', '.join(names)}")
        environment = environment_of(*([Path(given)] if given else []), FOLDER)
        try:
            self._templates = {name: environment.get_template(name) for name in names}
            for sample in _samples():
                for language in Language:
                    self._texts(sample, language)
        except TemplateSyntaxError as error:
            where = f"{error.name}, line {error.lineno}"
            raise ConfigurationError(f"[acknowledgement] templates: {where}: {error.message}") from error
        except _FAULTS as error:
            raise ConfigurationError(f"[acknowledgement] templates: {one_line(str(error))}") from error

    def write(
        self, request: Request, done: DispatchResult, language: Language, now: datetime, *, repeats: bool
    ) -> EmailMessage:
        """Write the letter to the sender of a request (RFC 3834).

        `repeats` says whether it repeats words and pictures of the sender. Where anyone may have written in the name of
        that address, it must not: nobody is to send words of their own through us. `now` is aware.
        """
        subject, text, html = self._texts(self._letter(request, done, language, now, repeats=repeats), language)
        message = mail_page.letter(
            request.reference,
            subject,
            ACKNOWLEDGEMENT,
            sender=self._settings.sender,
            recipient=reply_address(request.sender.addr_spec),
            now=now,
            name=one_line(self._settings.acknowledgement.name),
        )
        message.replace_header("Auto-Submitted", "auto-replied")
        message.replace_header(HEADER, ACKNOWLEDGEMENT)
        # What Exchange goes by. "All" would keep back the report that the letter was not delivered.
        message["X-Auto-Response-Suppress"] = "DR, RN, NRN, OOF, AutoReply"
        message["Reply-To"] = self._settings.mailbox_address
        mail_page.set_thread(message, mail_page.thread_of(request))
        message.set_content(text)
        message.add_alternative(html, subtype="html")
        return message

    def _letter(
        self, request: Request, done: DispatchResult, language: Language, now: datetime, *, repeats: bool
    ) -> Letter:
        given, office = self._settings.acknowledgement, self._office
        found = done.classification
        is_modelling = found.category is Category.MODELISATION and not found.needs_review
        files = received_files(request, done, language, repeats=repeats) if is_modelling else ()
        answer_by = office.after(now, given.answer_within_h)
        begins, ends = office.closed_from, office.closed_until
        is_closed = begins and ends and begins <= answer_by.date() and now.astimezone(office.zone).date() <= ends
        return Letter(
            name=given.name,
            reference=request.reference,
            subject=one_line(without_prefixes(request.subject), _SUBJECT_CHARS) if repeats else "",
            is_modelling=is_modelling,
            files=files[:SHOWN],
            more_files=max(0, len(files) - SHOWN),
            has_links=bool(request.links) and is_modelling,
            answer_by=hour_of_day(next_hour(answer_by), language) if given.answer_within_h else "",
            city=str(office.zone).rpartition("/")[2].replace("_", " "),
            opens=hour(office.opens_h, language),
            closes=hour(office.closes_h, language),
            closed_from=day(begins, language) if is_closed and begins else "",
            closed_until=day(ends, language) if is_closed and ends else "",
        )

    def _texts(self, letter: Letter, language: Language) -> tuple[str, str, str]:
        """Return subject, text and HTML."""
        text, html = (
            self._templates[f"{ACKNOWLEDGEMENT}.{language}.{suffix}"].render(letter=letter) for suffix in _SUFFIXES
        )
        subject, _, body = text.partition("\n")
        if not header_text(subject) or not body.strip():
            raise ValueError(f"{ACKNOWLEDGEMENT}.{language}.txt: the first line is the subject, and the text follows")
        return header_text(subject), body.strip() + "\n", html


def _samples() -> tuple[Letter, Letter]:
    """Return a letter that says all that one can, and one that says nothing."""
    whole = ReceivedFile(
        "chaise.obj", "2 Mo", "15 000 triangles", "812 × 450 × 430", False, "https://x.example/1.png", True, True, True
    )
    named = ReceivedFile("table.glb", "1 Mo", lacks_files=True, missing=("bois.png",))
    files, at = (whole, named, ReceivedFile("", "")), "mardi 24 novembre à 15 h"
    full = Letter("F", "0f", "Chaise", True, files, 2, True, at, "Paris", "9 h", "18 h", "24 décembre", "2 janvier")
    return full, Letter("", "0f", "", False, (), 0, False, "", "Paris", "9 h", "18 h", "", "")
