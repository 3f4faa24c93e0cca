"""The mails to the admin: notification, answer, failure and alert."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest

from poller.model import (
    Address,
    Attachment,
    Category,
    Classification,
    DispatchResult,
    Kind,
    Link,
    ModelFacts,
    ModelIssue,
    Preview,
    Request,
    StoredFile,
    UploadDecision,
)
from poller.own_mail import notification_id
from poller.rendering.flood_alert import crowd_alert, sender_alert
from poller.rendering.notification import failure_notification, notification, reply_notification
from poller.rendering.phrases import UNREADABLE
from tests.support.rendered_texts import PAGE_ATTRIBUTES, PAGE_TAGS

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
        replace(attachment("logo.png", Kind.IMAGE, inline=True), logo=True, shown=True),
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


def alert(request: Request, *, proven: bool = True) -> EmailMessage:
    people = {"sender": "bot@figurative.example", "recipient": "admin@x.example"}
    return received(sender_alert(request, 200, proven=proven, now=NOW, **people))


def received(message: EmailMessage) -> EmailMessage:
    """The message as it comes out of the other end, after the wire's bytes."""
    sent = bytes(message)
    assert sent.isascii()
    assert max(len(line) for line in sent.split(b"\r\n")) <= 998  # RFC 5322 section 2.1.1
    parsed = message_from_bytes(sent, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    ours = [*("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Figurative-Poller")]
    ours += ["MIME-Version", "Content-Type"]
    threaded = {"Reply-To", "In-Reply-To", "References"}
    assert [field for field in parsed.keys() if field not in threaded] == ours  # noqa: SIM118  a field may be twice
    assert len(set(parsed.keys())) == len(parsed.keys())
    assert [part.get_content_type() for part in parsed.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    return parsed


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n").replace("\xa0", " ")


class _Page(HTMLParser):
    """The tags, links, pictures and words of a mail's HTML; fails on an attribute that could act."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.words = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= PAGE_ATTRIBUTES
        self.pictures += [dict(attrs)] if tag == "img" else []
        self.links += [value or "" for name, value in attrs if name == "href"]
        assert not any("url(" in (value or "") for name, value in attrs if name == "style")

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_comment(self, data: str) -> None:
        pytest.fail(data)


def test_notification_has_all_facts_and_links() -> None:
    """What was asked, how it was understood, and every link, when there is nothing to check."""
    message = notify(REQUEST, DONE)
    assert message["From"] == "Modélisation · nouvelle demande <bot@figurative.example>"
    assert message["References"] is message["Reply-To"] is None
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
Reçu le : dimanche 22 novembre 2026 à 9 h 30
Pourquoi : Un fichier 3D est joint. Décidé par les règles.

Le client a écrit :
> Bonjour

Ouvrir le ticket HubSpot : https://app.hubspot.com/contacts/1/record/0-5/7
Ouvrir la sous-tâche ClickUp : https://app.clickup.com/t/8

Fichiers :
- chaise.glb (240 ko) : https://files.example/mail/0f/chaise.glb

Resté dans le message :
– logo.png (240 ko), logo de signature

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
    assert page.tags <= PAGE_TAGS


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
            "Un fichier est resté dans le message : la liste est plus bas.",
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
            "Un fichier est resté dans le message : la liste est plus bas.",
        ),
    ],
)
def test_notification_lists_points_to_check(request_: Request, done: DispatchResult, line: str) -> None:
    """A doubt, a service that is off, a file that stayed behind, a mail half read: each gets its line in the box."""
    message = notify(request_, done)
    assert f"À vérifier :\n- {line}\n\n" in body(message, "plain")
    assert "<strong>À vérifier</strong>\n<ul style" in body(message, "html")
    assert message["From"].startswith("Modélisation · à vérifier <")
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
    assert "Pièces jointes, dans le message :\n– capture.png (240 ko)\n" in text
    assert "À vérifier" not in text
    assert "Fichiers" not in text


def test_what_stayed_has_one_heading_and_a_list() -> None:
    """Of the box it takes one line, however many they are, and each is named once."""
    plans = tuple(attachment(f"plan {number}.pdf", Kind.OTHER) for number in range(3))
    message = notify(replace(REQUEST, attachments=(*REQUEST.attachments, *plans)), DONE)
    text = body(message, "plain")
    assert "- 3 fichiers sont restés dans le message : la liste est plus bas.\n\n" in text
    assert text.count("Resté dans le message :\n") == body(message, "html").count("Resté dans le message</p>") == 1
    assert [line for line in text.split("\n") if "plan" in line] == [
        f"– plan {number}.pdf (240 ko), type de fichier non déposé" for number in range(3)
    ]


def test_reply_notification_has_target_and_links() -> None:
    """Whose answer it is, where it was put, and every link."""
    message = notify_reply(replace(REQUEST, subject="Re: Une chaise"), DONE)
    assert message["Subject"] == "[Réponse] Re: Une chaise (user@example.com)"
    assert message["Message-ID"] == "<0123456789abcdef.reply@figurative-poller.invalid>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert (
        body(message, "plain")
        == """\
Réponse du client · Modélisation
Re: Une chaise

Client : Jeanne Petit <user@example.com>
Reçu le : dimanche 22 novembre 2026 à 9 h 30
Ajoutée à : ticket HubSpot n° 7, en note
sous-tâche ClickUp, en commentaire

Le client a écrit :
> Bonjour

Ouvrir le ticket HubSpot : https://app.hubspot.com/contacts/1/record/0-5/7
Ouvrir la sous-tâche ClickUp : https://app.clickup.com/t/8

Fichiers :
- chaise.glb (240 ko) : https://files.example/mail/0f/chaise.glb

Resté dans le message :
– logo.png (240 ko), logo de signature

[ref: 0123456789abcdef]
"""
    )
    page = _Page(body(message, "html"))
    assert page.links == [TICKET.url, SUBTASK.url, f"{FILES}/chaise.glb"]
    assert page.tags <= PAGE_TAGS


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
            "Un fichier est resté dans le message : la liste est plus bas.",
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
    assert f"Ajoutée à : {placed}\n\n" in text


def test_support_reply_notification_mentions_no_subtask() -> None:
    request = replace(REQUEST, attachments=(attachment("plan.pdf", Kind.OTHER),))
    done = DispatchResult(replace(SURE, category=Category.SUPPORT), ticket=TICKET)
    text = body(notify_reply(request, done), "plain")
    assert text.startswith("Réponse du client · Support\n")
    assert "Ajoutée à : ticket HubSpot n° 7, en note\n\n" in text
    assert "Pièces jointes, dans le message :\n– plan.pdf (240 ko)\n" in text
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
- Rien n’est perdu : le message est classé dans le dossier « Échecs ».
- Vérifiez « pipeline_id » et « stage_new » dans la section [hubspot] de config.toml : \
le pipeline ou l’étape a pu être supprimé.
- Une fois la cause corrigée, remettez le message dans la boîte de réception, \
ou lancez « poller retry 0123456789abcdef ».

Étape : Ticket HubSpot
Raison : Le service a refusé cette demande, et la refuserait encore telle quelle.
Client : Jeanne Petit <user@example.com>
Reçu le : dimanche 22 novembre 2026 à 9 h 30
Objet : Une chaise

Le client a écrit :
> Bonjour

Message d’origine du service :
invalid stage
line 2

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
- S’ils sont légitimes, augmentez « max_per_sender_per_h » dans la section [imap] de config.toml, \
puis redémarrez le service : les suivants n’attendront plus.

Expéditeur : Jeanne Petit <user@example.com>
Premier message en attente : Une chaise
Reçu le : dimanche 22 novembre 2026 à 9 h 30

[ref: 0123456789abcdef]
"""
    )


def test_rate_limit_alert_of_claimed_address_spares_its_owner() -> None:
    """Whoever bears the address may be the victim."""
    text = body(alert(REQUEST, proven=False), "plain")
    assert "Rien ne prouve qu’ils viennent de cette adresse : ne la bloquez pas" in text
    assert "bloquez l’expéditeur" not in text


def test_crowd_alert_names_limit_and_remedy() -> None:
    people = {"sender": "bot@figurative.example", "recipient": "admin@x.example"}
    message = received(crowd_alert(REQUEST, 500, now=NOW, **people))
    assert message["Subject"] == "[Alerte] Trop de nouveaux expéditeurs"
    text = body(message, "plain")
    assert "Plus de 500 nouveaux expéditeurs en une heure" in text
    assert "augmentez « max_new_senders_per_h »" in text
    assert "bloquez" not in text


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
        assert page.tags <= PAGE_TAGS
        assert set(page.links) <= {TICKET.url, SUBTASK.url, f"{FILES}/a"}
        assert len(bytes(message)) < 60_000


def test_thousands_of_files_are_counted_instead_of_listed() -> None:
    files = tuple(StoredFile(f"{n}.jpg", f"{FILES}/{n}.jpg", 1) for n in range(3000))
    message = notify(REQUEST, replace(DONE, files=files))
    assert "de plus" in body(message, "plain")
    assert "de plus</li>" in body(message, "html")
    assert len(bytes(message)) < 80_000


FACTS = ModelFacts(
    15_000,
    size=(0.812, 0.45, 0.43),
    unit="m",
    program="Blender 4.2",
    issues=(ModelIssue.MISSING_FILES,),
    missing=("chaise.bin",),
)
SHOWN = replace(
    DONE,
    previews=(Preview(0, facts=FACTS, url=f"{FILES}/chaise.glb.apercu.png"),),
    all_files=StoredFile("tout.zip", f"{FILES}/tout.zip", 49_200_000),
)


@pytest.mark.parametrize("write", [notification, reply_notification])
def test_letter_shows_pictures_facts_and_all_files(write: Callable[..., EmailMessage]) -> None:
    """A linked thumbnail with alt text and a size, the facts in a line, and the same facts in plain text."""
    message = received(write(REQUEST, SHOWN, sender="bot@x.example", recipient="a@x.example", now=NOW))
    page, text = _Page(body(message, "html")), body(message, "plain").replace("\u202f", " ")
    (picture,) = page.pictures
    assert picture["src"] == f"{FILES}/chaise.glb.apercu.png"
    assert picture["alt"] == "Aperçu de chaise.glb"
    assert picture["height"] == "240"
    assert "width:320px;height:240px" in str(picture["style"])
    assert f'<a href="{FILES}/chaise.glb" style="text-decoration:none"><img' in body(message, "html")
    assert {f"{FILES}/chaise.glb", f"{FILES}/tout.zip"} <= set(page.links)
    for words in (
        "15 000 triangles · 812 × 450 × 430 mm · Blender 4.2",
        "Il manque « chaise.bin », à demander au client.",
        "Tout télécharger (49 Mo)",
    ):
        assert words in text
        assert words in page.words.replace("\u202f", " ")
    assert "- « chaise.glb » : il manque « chaise.bin », à demander au client.\n" in text.partition("Client :")[0]


@pytest.mark.parametrize("url", ["http://files.example/a.png", "javascript:alert(1)", "data:image/png;base64,AA", ""])
def test_picture_of_another_scheme_is_not_shown(url: str) -> None:
    message = notify(REQUEST, replace(SHOWN, previews=(Preview(0, facts=FACTS, url=url),)))
    assert _Page(body(message, "html")).pictures == []


def test_many_pictures_are_few_thumbnails() -> None:
    previews = tuple(Preview(0, f"{n}.obj", FACTS, f"{FILES}/{n}.png") for n in range(3_000))
    message = notify(REQUEST, replace(DONE, previews=previews))
    assert 3 <= len(_Page(body(message, "html")).pictures) <= 9
    assert len(bytes(message)) < 60_000


def test_hostile_previews_are_text() -> None:
    """The words of a 3D file are its maker's."""
    for evil in EVIL:
        facts = replace(FACTS, program=evil[:9_000], unit=evil[:9_000], missing=(evil[:9_000],) * 9)
        done = replace(SHOWN, previews=(Preview(0, evil[:9_000], facts, f"{FILES}/a.png"),))
        page = _Page(body(notify(REQUEST, done), "html"))
        assert page.tags <= PAGE_TAGS
        assert set(page.links) <= {TICKET.url, SUBTASK.url, f"{FILES}/chaise.glb", f"{FILES}/tout.zip"}
        assert [picture["src"] for picture in page.pictures] == [f"{FILES}/a.png"]


def test_letter_quotes_the_customer_and_previews_a_sentence() -> None:
    """Fifteen hundred characters at most; the sentence stands in the HTML alone, hidden."""
    words = "Bonjour,\n\nIl nous faut une chaise en chêne. Merci.\n" + "et un banc " * 1_000
    message = notify(replace(REQUEST, newest=words), DONE)
    text, html = body(message, "plain"), body(message, "html")
    quoted = [line for line in text.split("\n") if line.startswith(">")]
    assert quoted[:3] == ["> Bonjour,", ">", "> Il nous faut une chaise en chêne. Merci."]
    assert len("\n".join(quoted)) <= 1_500 + 2 * len(quoted)
    assert quoted[-1].endswith("[…]")
    assert '<blockquote class="quote"' in html
    hidden = html.partition("display:none")[2].partition("</div>")[0]
    assert "Il nous faut une chaise en chêne." in hidden
    assert "Bonjour" not in hidden


def test_letter_without_words_quotes_nothing() -> None:
    for newest in ("", UNREADABLE):
        message = notify(replace(REQUEST, newest=newest), DONE)
        assert "a écrit" not in body(message, "plain")
        assert "blockquote" not in body(message, "html")


def test_colleague_is_quoted_as_one() -> None:
    message = reply_notification(REQUEST, DONE, sender="b@x.example", recipient="a@x.example", now=NOW, colleague=True)
    assert "Un collègue a écrit :\n> Bonjour\n" in body(received(message), "plain")
    assert message["From"] == "Modélisation · réponse d’un collègue <b@x.example>"


def test_letters_of_a_request_are_one_conversation() -> None:
    """All refer to the notification, whether or not it was sent; its own id is that one."""
    answer = reply_notification(
        replace(REQUEST, reference="f" * 16),
        DONE,
        sender="b@x.example",
        recipient="a@x.example",
        now=NOW,
        answers=REQUEST.reference,
    )
    for message in (answer, fail(REQUEST), fail(None), alert(REQUEST)):
        assert message["References"] == message["In-Reply-To"] == notify(REQUEST, DONE)["Message-ID"]
    assert answer["Message-ID"] == "<ffffffffffffffff.reply@figurative-poller.invalid>"


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("user@example.com", "user@example.com"),
        ("a.b+c@sub.example.com", "a.b+c@sub.example.com"),
        ("x@evil.example\r\nBcc: y@evil.example", None),
        ('"a b"@example.com', None),
        ("a@b@example.com", None),
        ("a,b@example.com", None),
        ("été@example.com", None),
        ("", None),
    ],
)
def test_reply_goes_to_the_customer_only_if_set(address: str, field: str | None) -> None:
    """With the customer's Message-ID before ours, so that the admin's answer joins the customer's conversation."""
    request = replace(REQUEST, sender=Address("Jeanne", address))
    options = {"sender": "b@x.example", "recipient": "a@x.example", "now": NOW}
    for write, ids in (
        (notification, ["<1@example.com>"]),
        (reply_notification, ["<1@example.com>", notification_id(REQUEST.reference, "notification")]),
    ):
        message = received(write(request, DONE, reply_to_customer=True, **options))
        assert message["Reply-To"] == field
        assert message["References"].split() == ids
        assert received(write(request, DONE, **options))["Reply-To"] is None


@pytest.mark.parametrize("message_id", ["<a b@x>", "<" + "a" * 300 + "@x>", "<0f@message-id.invalid>", "<é@x>", "a@x"])
def test_unusual_message_id_is_not_referred_to(message_id: str) -> None:
    """No header is folded or encoded for it."""
    request = replace(REQUEST, message_id=message_id)
    options = {"sender": "b@x.example", "recipient": "a@x.example", "now": NOW}
    assert received(notification(request, DONE, reply_to_customer=True, **options))["References"] is None


def test_arrival_is_said_in_the_zone_of_the_reader() -> None:
    zone = ZoneInfo("Europe/Paris")
    options = {"sender": "b@x.example", "recipient": "a@x.example", "now": NOW, "zone": zone}
    request = replace(REQUEST, received_at=datetime(2026, 7, 31, 22, 5, tzinfo=UTC))
    for write in (notification, reply_notification):
        assert "Reçu le : samedi 1er août 2026 à 0 h 05\n" in body(received(write(request, DONE, **options)), "plain")


def test_failure_has_buttons_to_ticket_and_message() -> None:
    url = "https://mail.google.com/mail/?authuser=a@x.example#search/rfc822msgid%3A1%40example.com"
    message = failure_notification(
        REQUEST,
        REQUEST.reference,
        step="create_subtask",
        kind="refused",
        detail="HTTP 404",
        sender="b@x.example",
        recipient="a@x.example",
        now=NOW,
        done=replace(DONE, subtask=None),
        mailbox="À revoir",
        message_url=url,
    )
    assert _Page(body(received(message), "html")).links == [TICKET.url, url]
    text = body(message, "plain")
    assert "dans le dossier « À revoir »." in text
    assert "Vérifiez « parent_task_id » dans la section [clickup] de config.toml" in text
    assert text.index("Message d’origine du service :\nHTTP 404") > text.index("Le client a écrit")
    assert message["From"] == "Échec · à reprendre <b@x.example>"


def test_non_web_link_gets_no_button() -> None:
    message = notify(REQUEST, replace(DONE, ticket=Link("7", "javascript:alert(1)")))
    assert "Ouvrir le ticket" not in body(message, "plain") + body(message, "html")


def test_notification_message_id_is_fixed_by_message_and_kind() -> None:
    assert notification_id("00ff", "failure") == "<00ff.failure@figurative-poller.invalid>"
    assert notify(REQUEST, DONE)["Message-ID"] == notify(REQUEST, DONE)["Message-ID"]
