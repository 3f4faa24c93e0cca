"""The mails to the admin: notification, answer, failure and alert."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from io import BytesIO

import pytest

from poller.model import (
    Address,
    Attachment,
    Category,
    Classification,
    DispatchResult,
    Kind,
    Link,
    Request,
    StoredFile,
    UploadDecision,
)
from poller.own_mail import notification_id
from poller.rendering.notification import failure_notification, flood_alert, notification, reply_notification

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
FILES = "https://files.example/mail/0f"
TICKET = Link("7", "https://app.hubspot.com/contacts/1/record/0-5/7")
SUBTASK = Link("8", "https://app.clickup.com/t/8")
SURE = Classification(Category.MODELISATION, 0.95, "rules", "Un fichier 3D est joint.", needs_review=False)
EVIL = [
    "a\r\nBcc: x@evil.example\r\n\r\nbody",
    "=?utf-8?q?a=0D=0ABcc:_x@evil.example?=",
    "a\u2028Bcc: x@evil.example\x00\u202e",
    "<script>alert(1)</script><img src=x onerror=alert(1)><a href='javascript:alert(1)'>x</a>",
    '"><style>*{display:none}</style><!-- {title} {body} %s',
    "lone surrogate \udc80",
    "é" * 2000,
    "x" * 1_000_000,
]

TAGS = {"html", "head", "meta", "title", "body", "div", "p", "h1", "strong", "ul", "li", "span", "br", "a"}


class _Bytes:
    def open(self) -> BytesIO:
        return BytesIO(b"")


def attachment(filename: str, kind: Kind, *, inline: bool = False) -> Attachment:
    return Attachment(filename, "application/octet-stream", 240_300, kind, inline, _Bytes())


CLIENT = Address("Jeanne Petit", "user@example.com")
REQUEST = Request(
    reference="0123456789abcdef",
    message_id="<1@example.com>",
    in_reply_to=(),
    references=(),
    sender=CLIENT,
    author=CLIENT,
    subject="Une chaise",
    text="Bonjour",
    newest="Bonjour",
    sent_at=None,
    received_at=NOW,
    headers=(),
    attachments=(
        attachment("chaise.glb", Kind.MODEL),
        replace(attachment("logo.png", Kind.IMAGE, inline=True), logo=True),
    ),
    defects=(),
)
DONE = DispatchResult(
    SURE,
    (StoredFile("chaise.glb", f"{FILES}/chaise.glb", 240_300),),
    "51",
    TICKET,
    "9",
    SUBTASK,
    uploads=((0, f"{FILES}/chaise.glb"),),
)


def notify(request: Request, done: DispatchResult) -> EmailMessage:
    message = notification(request, done, sender="Robot <bot@figurative.example>", recipient="admin@x.example", now=NOW)
    return received(message)


def notify_reply(request: Request, done: DispatchResult) -> EmailMessage:
    return received(
        reply_notification(request, done, sender="bot@figurative.example", recipient="admin@x.example", now=NOW)
    )


def fail(request: Request | None, detail: str = "", kind: str = "refused") -> EmailMessage:
    message = failure_notification(
        request,
        REQUEST.reference,
        step="create_ticket",
        kind=kind,
        detail=detail,
        sender="bot@figurative.example",
        recipient="admin@x.example",
        now=NOW,
    )
    return received(message)


def alert(request: Request) -> EmailMessage:
    return received(flood_alert(request, 200, sender="bot@figurative.example", recipient="admin@x.example", now=NOW))


def received(message: EmailMessage) -> EmailMessage:
    """The message as it comes out of the other end, after the wire's bytes."""
    sent = bytes(message)
    assert sent.isascii()
    assert max(len(line) for line in sent.split(b"\r\n")) <= 998  # RFC 5322 section 2.1.1
    parsed = message_from_bytes(sent, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    assert parsed.keys() == [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "X-Figurative-Poller",
        "MIME-Version",
        "Content-Type",
    ]
    assert [part.get_content_type() for part in parsed.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    return parsed


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n").replace("\xa0", " ")


class _Page(HTMLParser):
    """The tags, links and words of a mail's HTML; fails on an attribute that could act."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.words = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= {"style", "href", "lang", "charset", "name", "content"}
        self.links += [value or "" for name, value in attrs if name == "href"]
        assert not any("url(" in (value or "") for name, value in attrs if name == "style")

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_comment(self, data: str) -> None:
        pytest.fail(data)


def test_notification_has_all_facts_and_links() -> None:
    """What was asked, how it was understood, and every link, when there is nothing to check."""
    message = notify(REQUEST, DONE)
    assert message["From"] == "Robot <bot@figurative.example>"
    assert message["To"] == "admin@x.example"
    assert message["Subject"] == "[Modélisation] Une chaise (user@example.com)"
    assert message["Date"].datetime == NOW
    assert message["Message-ID"] == "<0123456789abcdef.notification@figurative-poller.invalid>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Figurative-Poller"] == "notification"
    assert (
        body(message, "plain")
        == """\
Modélisation (confiance : 95 %)
Une chaise

Client : Jeanne Petit <user@example.com>
Pourquoi : Un fichier 3D est joint. Décidé par les règles.
Non déposé : logo.png (240 ko), logo de signature

Ouvrir le ticket HubSpot : https://app.hubspot.com/contacts/1/record/0-5/7
Ouvrir la sous-tâche ClickUp : https://app.clickup.com/t/8

Fichiers :
- chaise.glb (240 ko) : https://files.example/mail/0f/chaise.glb

[ref: 0123456789abcdef]
"""
    )


def test_html_part_has_all_words_and_links_of_text() -> None:
    """Every word and every link of the text stands in the HTML, which loads nothing from anywhere."""
    message = notify(REQUEST, DONE)
    page = _Page(body(message, "html"))
    assert page.links == [TICKET.url, SUBTASK.url, f"{FILES}/chaise.glb"]
    for words in ("Modélisation (confiance : 95 %)", "Jeanne Petit <user@example.com>", "Un fichier 3D", "[ref: 0123"):
        assert words in page.words
    assert page.tags <= TAGS


@pytest.mark.parametrize(
    ("request_", "done", "line"),
    [
        (
            REQUEST,
            replace(DONE, classification=replace(SURE, needs_review=True)),
            "Le classement n’est pas certain : relisez la demande.",
        ),
        (
            REQUEST,
            replace(DONE, subtask=None, skipped=("create_subtask",)),
            "ClickUp n’est pas configuré. Non fait : sous-tâche ClickUp.",
        ),
        (
            replace(REQUEST, attachments=(*REQUEST.attachments, attachment("plan.pdf", Kind.OTHER))),
            DONE,
            "Resté dans le message : plan.pdf (240 ko), ni fichier 3D ni image.",
        ),
        (
            replace(REQUEST, defects=("a part was cut",)),
            DONE,
            "Une partie du message n’a pas pu être lue : consultez l’original dans la boîte aux lettres.",
        ),
        (
            replace(REQUEST, defects=("encrypted message",)),
            DONE,
            "Message chiffré : son contenu n’a pas pu être lu. Ouvrez-le dans la boîte aux lettres, avec la clé.",
        ),
        (
            replace(REQUEST, defects=("over the size limit: 62000000 bytes",)),
            DONE,
            (
                "Message trop volumineux (62 Mo) : ses pièces jointes n’ont pas été téléchargées ; "
                "ouvrez-le dans la boîte aux lettres."
            ),
        ),
        (
            replace(REQUEST, attachments=(replace(attachment("vide.obj", Kind.MODEL), size_bytes=0),)),
            replace(DONE, upload_decisions=(UploadDecision.FILE,)),
            "« vide.obj » est vide.",
        ),
        (replace(REQUEST, links=("https://we.tl/t-1",)), DONE, "Fichiers à récupérer à la main : https://we.tl/t-1"),
        (
            replace(REQUEST, attachments=(*REQUEST.attachments, attachment("x.exe", Kind.OTHER))),
            replace(DONE, upload_decisions=(UploadDecision.FILE, UploadDecision.LOGO, UploadDecision.REFUSED)),
            "Resté dans le message : x.exe (240 ko), type refusé (peut contenir un programme).",
        ),
    ],
)
def test_notification_lists_points_to_check(request_: Request, done: DispatchResult, line: str) -> None:
    """A doubt, a service that is off, a file that stayed behind, a mail half read: each gets its line in the box."""
    message = notify(request_, done)
    assert f"À vérifier :\n- {line}\n\n" in body(message, "plain")
    assert "<strong>À vérifier</strong>\n<ul style" in body(message, "html")
    assert f"<li>{line}</li>" in body(message, "html")


def test_notification_without_reason_names_who_decided() -> None:
    """Claude's sentence is gone where a message waited; who decided is said, and how sure that was."""
    by_claude = replace(SURE, decided_by="claude")
    for reason, words in (
        ("Le client signale une panne.", "Le client signale une panne. Décidé par Claude."),
        ("", "Classé par Claude (confiance : 95 %)."),
    ):
        message = notify(REQUEST, replace(DONE, classification=replace(by_claude, reason=reason)))
        assert f"\nPourquoi : {words}\n" in body(message, "plain")


def test_subject_marks_request_for_review() -> None:
    message = notify(REQUEST, replace(DONE, classification=replace(SURE, needs_review=True)))
    assert message["Subject"] == "[Modélisation, à vérifier] Une chaise (user@example.com)"


def test_support_attachments_are_listed_without_warning() -> None:
    request = replace(REQUEST, attachments=(attachment("capture.png", Kind.IMAGE),))
    text = body(notify(request, DispatchResult(replace(SURE, category=Category.SUPPORT), ticket=TICKET)), "plain")
    assert "Pièces jointes, dans le message : capture.png (240 ko)\n" in text
    assert "À vérifier" not in text
    assert "Fichiers" not in text


def test_reply_notification_has_target_and_links() -> None:
    """Whose answer it is, where it was put, and every link."""
    message = notify_reply(replace(REQUEST, subject="Re: Une chaise"), DONE)
    assert message["Subject"] == "[Réponse] Re: Une chaise (user@example.com)"
    assert message["Message-ID"] == "<0123456789abcdef.reply@figurative-poller.invalid>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert (
        body(message, "plain")
        == """\
Réponse du client, modélisation
Re: Une chaise

Client : Jeanne Petit <user@example.com>
Ajoutée à : ticket HubSpot n° 7, en note
sous-tâche ClickUp, en commentaire
Non déposé : logo.png (240 ko), logo de signature

Ouvrir le ticket HubSpot : https://app.hubspot.com/contacts/1/record/0-5/7
Ouvrir la sous-tâche ClickUp : https://app.clickup.com/t/8

Fichiers :
- chaise.glb (240 ko) : https://files.example/mail/0f/chaise.glb

[ref: 0123456789abcdef]
"""
    )
    page = _Page(body(message, "html"))
    assert page.links == [TICKET.url, SUBTASK.url, f"{FILES}/chaise.glb"]
    assert page.tags <= TAGS


@pytest.mark.parametrize(
    ("request_", "done", "line", "placed"),
    [
        (
            REQUEST,
            replace(DONE, subtask=None),
            "La demande n’a pas (ou plus) de sous-tâche ClickUp : transmettez la réponse à l’équipe 3D.",
            "ticket HubSpot n° 7, en note",
        ),
        (
            REQUEST,
            replace(DONE, skipped=("add_comment",)),
            "ClickUp n’est pas configuré. Non fait : commentaire ClickUp.",
            "ticket HubSpot n° 7, en note",
        ),
        (
            REQUEST,
            replace(DONE, skipped=("create_note",)),
            "HubSpot n’est pas configuré. Non fait : note HubSpot.",
            "sous-tâche ClickUp, en commentaire",
        ),
        (
            replace(REQUEST, attachments=(*REQUEST.attachments, attachment("plan.pdf", Kind.OTHER))),
            DONE,
            "Resté dans le message : plan.pdf (240 ko), ni fichier 3D ni image.",
            "ticket HubSpot n° 7, en note\nsous-tâche ClickUp, en commentaire",
        ),
    ],
)
def test_reply_notification_lists_points_to_check(
    request_: Request, done: DispatchResult, line: str, placed: str
) -> None:
    """A team that was not told, a service that is off, a file that stayed behind; and no place is named in vain."""
    text = body(notify_reply(request_, done), "plain")
    assert f"À vérifier :\n- {line}\n\n" in text
    assert f"Ajoutée à : {placed}\nNon déposé : logo.png" in text


def test_support_reply_notification_mentions_no_subtask() -> None:
    request = replace(REQUEST, attachments=(attachment("plan.pdf", Kind.OTHER),))
    done = DispatchResult(replace(SURE, category=Category.SUPPORT), ticket=TICKET)
    text = body(notify_reply(request, done), "plain")
    assert text.startswith("Réponse du client, support\n")
    assert "Ajoutée à : ticket HubSpot n° 7, en note\nPièces jointes, dans le message : plan.pdf (240 ko)\n" in text
    assert "À vérifier" not in text


def test_failure_notification_says_where_why_and_what_to_do() -> None:
    """Where it stopped, why, and what to do about it."""
    message = fail(REQUEST, detail="invalid stage\nline 2")
    assert message["Subject"] == "[Échec] Une chaise (user@example.com)"
    assert message["Message-ID"] == "<0123456789abcdef.failure@figurative-poller.invalid>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert (
        body(message, "plain")
        == """\
Échec
Un message n’a pas pu être traité

Que faire :
- Rien n’est perdu : le message est classé dans la boîte des échecs.
- Une fois la cause corrigée, remettez le message dans la boîte de réception, \
ou lancez « poller retry 0123456789abcdef ».

Étape : Ticket HubSpot
Raison : Le service a refusé cette demande, et la refuserait encore telle quelle.
Détail : invalid stage
line 2
Client : Jeanne Petit <user@example.com>
Objet : Une chaise

[ref: 0123456789abcdef]
"""
    )


def test_rate_limit_alert_names_sender_and_remedy() -> None:
    """Who it is, what becomes of the mail, and what to do about it."""
    message = alert(REQUEST)
    assert message["Subject"] == "[Alerte] Trop de messages de user@example.com"
    assert message["Message-ID"] == "<0123456789abcdef.flood@figurative-poller.invalid>"
    assert (
        body(message, "plain")
        == """\
Alerte
Un expéditeur dépasse 200 messages par heure

Que faire :
- Rien n’est perdu : ses messages au-delà de 200 par heure attendent dans la boîte de réception, \
et sont traités à ce rythme.
- S’ils sont indésirables, bloquez l’expéditeur et retirez-les de la boîte de réception.
- S’ils sont légitimes, augmentez IMAP_MAX_PER_SENDER_PER_H, puis redémarrez le service : \
les suivants n’attendront plus.

Expéditeur : Jeanne Petit <user@example.com>
Premier message en attente : Une chaise

[ref: 0123456789abcdef]
"""
    )


def test_failure_notification_of_unreadable_message() -> None:
    message = fail(None)
    assert message["Subject"] == "[Échec] Message illisible (0123456789abcdef)"
    assert "Client" not in body(message, "plain")


def test_failure_notification_of_message_without_sender() -> None:
    """No new try would end otherwise, so none is asked for."""
    text = body(fail(REQUEST, kind="unusable", detail="no sender"), "plain")
    assert "n’a pas d’adresse d’expéditeur" in text
    assert "lisez-le, et s’il dit comment joindre son auteur (signature, téléphone), contactez-le vous-même." in text
    assert "répondez" not in text
    assert "poller retry" not in text
    assert "no sender" not in text


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_mail_adds_no_header_recipient_or_markup(evil: str) -> None:
    """Whatever stands in the mail, in the model's words or in a service's answer, is text; and the mail stays small."""
    hostile = replace(
        REQUEST,
        subject=evil,
        sender=Address(evil, evil),
        author=Address(evil, "other@evil.example"),
        attachments=tuple(attachment(evil, kind) for kind in Kind),
        links=(f"https://we.tl/{evil[:3000]}", evil),
    )
    done = replace(
        DONE,
        classification=replace(SURE, reason=evil, needs_review=True),
        files=(StoredFile(evil, f"{FILES}/a", 1), StoredFile("b", "javascript:alert(1)", 1)),
    )
    for message in (notify(hostile, done), notify_reply(hostile, done), fail(hostile, detail=evil), alert(hostile)):
        assert message["To"] == "admin@x.example"
        page = _Page(body(message, "html"))
        assert page.tags <= TAGS
        assert set(page.links) <= {TICKET.url, SUBTASK.url, f"{FILES}/a"}
        assert len(bytes(message)) < 60_000


def test_thousands_of_files_are_counted_instead_of_listed() -> None:
    files = tuple(StoredFile(f"{n}.jpg", f"{FILES}/{n}.jpg", 1) for n in range(3000))
    message = notify(REQUEST, replace(DONE, files=files))
    assert "de plus" in body(message, "plain")
    assert "de plus</li>" in body(message, "html")
    assert len(bytes(message)) < 80_000


def test_non_web_link_gets_no_button() -> None:
    message = notify(REQUEST, replace(DONE, ticket=Link("7", "javascript:alert(1)")))
    assert "Ouvrir le ticket" not in body(message, "plain") + body(message, "html")


def test_notification_message_id_is_fixed_by_message_and_kind() -> None:
    assert notification_id("00ff", "failure") == "<00ff.failure@figurative-poller.invalid>"
    assert notify(REQUEST, DONE)["Message-ID"] == notify(REQUEST, DONE)["Message-ID"]
