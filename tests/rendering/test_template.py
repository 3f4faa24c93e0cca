"""The HTML of letters, receipts, digests and form pages: a stranger's words are text in it, and nothing else."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from jinja2 import UndefinedError

from poller.config.settings import FormsSettings
from poller.forms.page import form_page, thanks_page
from poller.forms.problems import Problem, Wrong
from poller.model import (
    Address,
    Attachment,
    Category,
    Classification,
    DispatchResult,
    Kind,
    Link,
    ModelFacts,
    Outcome,
    Preview,
    Request,
    StoredFile,
    UploadDecision,
)
from poller.rendering import digest, flood_alert, incident, notification, receipt
from poller.rendering.mail_page import DONE, FileEntry, Page, Thumbnail
from poller.rendering.template import FOLDER, render
from poller.rendering.week import Failure, Week, WeeklyMessage
from poller.workflow.errors import StepFailedError
from tests.support import rendered_texts as outputs

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
PEOPLE = {"sender": "Robot <bot@figurative.example>", "recipient": "admin@x.example"}
OURS = {"https://app.hubspot.example/7", "https://app.clickup.example/8", "https://files.example/a"}
TAGS = outputs.PAGE_TAGS
DIGEST_TAGS = {"table", "tr", "td", "h2", "img", "style"}
FORM_TAGS = {"main", "style", "form", "label", "input", "textarea", "button"}
HOSTILE = (
    """<script>alert(1)</script>"'><img src=x onerror=y> &lt; {{ 7*7 }} {% raw %} {# x #} """
    "{{ page }} {0} %s </textarea>"
)
EMPTY = Page("kicker", "title", ("", ()), (), (), (), "0123456789abcdef")


class Seen(outputs.Page):
    """A page with its words, and with the values of its fields."""

    def __init__(self, source: str) -> None:
        self.words = ""
        self.values: set[str] = set()
        super().__init__(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        self.values |= {value or "" for name, value in attrs if name == "value"}

    def handle_data(self, data: str) -> None:
        self.words += data


class _Nothing:
    def open(self) -> BytesIO:
        return BytesIO(b"")


def hostile_request(words: str) -> Request:
    person = Address(words, words)
    return Request(
        reference="0123456789abcdef",
        message_id="<1@example.com>",
        in_reply_to=(),
        references=(),
        sender=person,
        author=Address(words, "other@evil.example"),
        subject=words,
        text=words,
        newest=words,
        sent_at=None,
        received_at=NOW,
        headers=(),
        attachments=tuple(Attachment(words, "application/octet-stream", 9, kind, False, _Nothing()) for kind in Kind),
        defects=(),
    )


def hostile_done(words: str) -> DispatchResult:
    return DispatchResult(
        Classification(Category.MODELISATION, 0.5, "rules", words, needs_review=True),
        (StoredFile(words, "https://files.example/a", 9), StoredFile(words, f"javascript:{words}", 9)),
        "51",
        Link("7", "https://app.hubspot.example/7"),
        "9",
        Link("8", "https://app.clickup.example/8"),
        uploads=((0, "https://files.example/a"),),
        upload_decisions=(UploadDecision.FILE, UploadDecision.REFUSED, UploadDecision.KEPT),
    )


def html_of(sent: bytes) -> str:
    part = message_from_bytes(sent, policy=policy.default).get_body(("html",))  # type: ignore[attr-defined]
    return str(part.get_content())


def letters(words: str) -> dict[str, bytes]:
    """Make a letter and a receipt of each kind of these words."""
    request, done = hostile_request(words), hostile_done(words)
    failure = StepFailedError("create_note", "refused", "HTTP 400")
    bot = "bot@figurative.example"
    made = {
        "notification": notification.notification(request, done, now=NOW, **PEOPLE),
        "reply": notification.reply_notification(request, done, now=NOW, **PEOPLE),
        "failure": notification.failure_notification(
            request, request.reference, step="create_note", kind="refused", detail=words, now=NOW, **PEOPLE
        ),
        "flood": flood_alert.sender_alert(request, 200, proven=False, now=NOW, **PEOPLE),
        "crowd": flood_alert.crowd_alert(request, 200, now=NOW, **PEOPLE),
        "incident": incident.incident_mail(
            incident.polls_failing(NOW, words, words), zone=ZoneInfo("Europe/Paris"), now=NOW, **PEOPLE
        ),
    }
    return {name: bytes(each) for name, each in made.items()} | {
        "receipt": receipt.receipt(request, done, sender=bot).raw,
        "failure receipt": receipt.failure_receipt(
            request, request.reference, failure, done, ["create_subtask"], detail=words, stamp="1", sender=bot
        ).raw,
    }


def digest_of(words: str) -> bytes:
    link, preview = Link(words, f"javascript:{words}"), Preview(0, facts=ModelFacts(), url=f"javascript:{words}")
    failed = WeeklyMessage("0f", NOW, Outcome.FAILED, failure=Failure(words, words, words), ticket=link, subtask=link)
    done = WeeklyMessage("1f", NOW, Outcome.MODELISATION, ticket=link, portraits=(preview,))
    week = Week(NOW - timedelta(days=6), NOW + timedelta(days=1), (failed, done), 0)
    return bytes(digest.letter(week, account=words, now=NOW, **PEOPLE))


@pytest.mark.parametrize("kind", letters(""))
def test_a_letter_when_the_mail_is_hostile_shows_it_as_text(kind: str) -> None:
    """Subject, names, file names, text, the model's reason and a service's answer."""
    page = Seen(html_of(letters(HOSTILE)[kind]))
    assert page.tags <= TAGS
    assert page.attributes <= outputs.PAGE_ATTRIBUTES
    assert page.links <= OURS
    assert HOSTILE[:60] in page.words
    assert "{{ 7*7 }} {% raw %} {# x #}" in page.words


def test_a_digest_when_a_reason_is_hostile_shows_it_as_text() -> None:
    page = Seen(html_of(digest_of(HOSTILE)))
    assert page.tags <= TAGS | DIGEST_TAGS
    assert page.links == set()
    assert HOSTILE in page.words


def test_a_form_when_filled_in_hostilely_shows_it_as_text() -> None:
    """In the values of its fields, and not at all where a field of another name is wrong."""
    fields = ("name", "email", "subject", "message", "idempotency_key", "files", HOSTILE)
    wrong = (Wrong("email", "invalid"), Wrong(HOSTILE, "unknown"))
    source = form_page(
        "contact", FormsSettings(names="contact"), Problem(422, HOSTILE, wrong=wrong), dict.fromkeys(fields, HOSTILE)
    )
    page = Seen(source)
    assert page.tags <= TAGS | FORM_TAGS
    assert page.values == {HOSTILE}
    assert page.words.count(HOSTILE) == 1  # the message
    assert page.links == {"#email"}
    assert "<strong>&lt;b&gt;{{ 7*7 }}</strong>" in thanks_page("<b>{{ 7*7 }}")


def test_a_letter_when_a_url_is_not_of_the_web_shows_its_words_alone() -> None:
    url = "javascript:alert(1)"
    page = replace(
        EMPTY,
        buttons=[("Button", url), ("Good", "https://x.example/?a=1&b='\"")],
        files=[FileEntry("file.glb", "1 ko", url)],
        thumbnails=[Thumbnail(url, url, "picture"), Thumbnail("http://x.example/p.png", url, "picture")],
        all_files=("All", url),
        lists=[("List", [(DONE, "line", url)])],
    )
    seen = Seen(render("letter.html", page=page, limit_chars=1000))
    assert seen.links == {"https://x.example/?a=1&b=%27%22"}
    assert seen.pictures == set()
    assert url not in seen.words
    assert all(words in seen.words for words in ("file.glb (1 ko)", "line"))


def test_a_letter_when_words_hold_invisible_signs_drops_them() -> None:
    """Bidi controls and zero-width spaces hide what stands around them, also where no filter is named."""
    page = replace(EMPTY, kicker="a\u202eb\0", title="c\u200bd", box=("e\u2066f", ("g\u2028h",)), facts=[("i", "j\nk")])
    seen = Seen(render("letter.html", page=page, limit_chars=1000))
    assert all(words in seen.words for words in ("ab", "cd", "ef", "g\nh", "j\nk"))
    assert not outputs._UNSEEN.search(seen.words)


def test_a_letter_when_a_list_is_long_counts_the_rest() -> None:
    lines = [(DONE, f"<line {number}>", "") for number in range(500)]
    page = replace(EMPTY, lists=[("List", lines)])
    source = render("letter.html", page=page, limit_chars=1000)
    shown = source.count("&lt;line ")
    assert 5 < shown < 20
    assert f"<li>et {500 - shown} de plus</li>" in source
    assert len(source) < 5000


def test_a_template_when_a_value_is_missing_is_refused() -> None:
    with pytest.raises(UndefinedError, match="reference"):
        render("thanks.html")


def test_templates_when_packaged_are_all_in_the_wheel() -> None:
    """A wheel holds of a folder only what pyproject.toml names."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packaged = {path for glob in named["poller.rendering"] for path in FOLDER.parent.glob(glob)}
    assert packaged >= {path for path in FOLDER.rglob("*") if path.is_file()}
    assert {path.name for path in packaged} >= {"letter.html", "form.html", "form.css"}
