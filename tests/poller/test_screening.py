"""Which mail is never work, and which only looks so."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

import pytest

from poller import letter
from poller.request import Address, Attachment, Kind, Request
from poller.screening import screen


@dataclass(frozen=True)
class _Bytes:
    content: bytes = b""

    def open(self) -> BinaryIO:
        return io.BytesIO(self.content)


GLB = Attachment("chaise.glb", "model/gltf-binary", 1, Kind.MODEL, inline=False, content=_Bytes())
SUPPRESS = ("X-Auto-Response-Suppress", "All")


def request(
    *headers: tuple[str, str],
    subject: str = "Devis pour une chaise",
    sender: str = "claire@vasseur.example",
    message_id: str = "<1@vasseur.example>",
    attachments: tuple[Attachment, ...] = (),
) -> Request:
    return Request(
        reference="0123456789abcdef",
        message_id=message_id,
        in_reply_to=(),
        references=(),
        sender=Address("", sender),
        author=Address("", sender),
        subject=subject,
        text="Bonjour",
        newest="Bonjour",
        sent_at=None,
        received_at=datetime(2026, 11, 22, tzinfo=UTC),
        headers=tuple((name.lower(), value) for name, value in headers),
        attachments=attachments,
        defects=(),
    )


def calendar(method: str) -> Attachment:
    content = _Bytes(f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:{method}\r\nEND:VCALENDAR\r\n".encode())
    return Attachment("invite.ics", "text/calendar", 1, Kind.OTHER, inline=False, content=content)


NEVER = [
    (request((letter.HEADER, "1")), "own notification"),
    (request(message_id=letter.notification_id("0123456789abcdef", "sent")), "own notification"),
    (
        request(("Content-Type", 'multipart/report; report-type=delivery-status; boundary="x"')),
        "report (delivery-status)",
    ),
    (
        request(("Content-Type", 'Multipart/Report; boundary="x"; report-type="disposition-notification"')),
        "report (disposition-notification)",
    ),
    (request(("Content-Type", "multipart/report; boundary=x")), "report"),
    (request(sender="MAILER-DAEMON@mx.example"), "bounce (MAILER-DAEMON)"),
    (request(sender="postmaster@mx.example", subject="Delivery failed"), "bounce (postmaster)"),
    (request(("X-Failed-Recipients", "a@b.example")), "bounce (X-Failed-Recipients)"),
]
AUTOMATIC = [
    (request(("Auto-Submitted", "auto-replied")), "auto-reply (Auto-Submitted: auto-replied)"),
    (request(("Auto-Submitted", "Auto-Generated (failure)")), "auto-reply (Auto-Submitted: auto-generated)"),
    (request(("Auto-Submitted", "claire@vasseur.example")), "auto-reply (Auto-Submitted: other)"),
    (request(("X-Autoreply", "yes")), "auto-reply (x-autoreply)"),
    (request(("X-Autorespond", "claire@vasseur.example")), "auto-reply (x-autorespond)"),
    (request(("Return-Path", "<>")), "auto-reply (Return-Path: <>)"),
    (request(("Content-Type", 'text/calendar; charset=utf-8; method="REPLY"')), "calendar reply"),
    (request(attachments=(calendar("REPLY"),)), "calendar reply"),
    (request(("X-Spam-Flag", "YES")), "spam"),
    (request(("X-Spam-Status", "Yes, score=9.1 required=5.0")), "spam"),
    (request(SUPPRESS, subject="Absence du bureau jusqu'au 3"), "auto-reply (subject and X-Auto-Response-Suppress)"),
] + [
    (request(subject=subject), reason)
    for reason, subjects in {
        "auto-reply (subject)": (
            "Réponse automatique : Devis",
            "Re\u0301ponse automatique\u00a0: Devis",
            "Automatic reply: Quote",
            "Auto-Reply: Quote",
            "Out of Office Re: Quote",
            "[Out of office]",
            "Absence du bureau",
            "Automatische Antwort: Angebot",
            "Respuesta automática: Presupuesto",
        ),
        "bounce (subject)": (
            "Undeliverable: Quote",
            "Undelivered Mail Returned to Sender",
            "Delivery Status Notification (Failure)",
            "Mail delivery failed: returning message to sender",
            "Non remis : Devis",
            "Échec de la remise",
        ),
    }.items()
    for subject in subjects
]
BULK = [
    (request(("Precedence", "bulk")), "bulk (Precedence: bulk)"),
    (request(("Precedence", "List")), "bulk (Precedence: list)"),
    (request(("Precedence", "auto_reply")), "bulk (Precedence: auto_reply)"),
    (request(("List-Id", "News <news.shop.example>")), "mailing list (List-Id)"),
    (request(("List-Unsubscribe", "<https://x.example>"), ("Feedback-ID", "1:2:3")), "bulk (List-Unsubscribe)"),
]


@pytest.mark.parametrize(("mail", "reason"), NEVER + AUTOMATIC + BULK)
def test_what_is_never_work_is_screened_out_with_its_reason(mail: Request, reason: str) -> None:
    assert screen(mail) == reason
    assert "vasseur" not in reason


@pytest.mark.parametrize(
    "mail",
    [
        request(),
        request(("Auto-Submitted", "no")),
        request(("Auto-Submitted", " No (a person)")),
        request(SUPPRESS),
        request(("X-Autoreply", "no")),
        request(("Precedence", "first-class")),
        request(("Return-Path", "<claire@vasseur.example>")),
        request(("X-Spam-Flag", "NO"), ("X-Spam-Status", "No, score=0.1")),
        request(("List-Unsubscribe", "<https://x.example>")),
        request(sender="postmaster@vasseur.example"),
        request(("Content-Type", "multipart/mixed; boundary=report")),
        request(attachments=(calendar("REQUEST"),)),
        request(subject="Re: Réponse automatique : Devis"),
        request(subject="Out of office chairs, can we reorder?"),
        request(subject="Absence du bureau dans la galerie"),
        request(subject=""),
        request(message_id="<figurative-poller.invalid@vasseur.example>"),
    ],
)
def test_what_a_person_may_have_written_is_work(mail: Request) -> None:
    assert screen(mail) is None


@pytest.mark.parametrize(("mail", "reason"), NEVER + AUTOMATIC + BULK)
def test_a_3d_file_makes_it_work_but_for_our_own_mail_and_bounces(mail: Request, reason: str) -> None:
    with_model = request(
        *mail.headers,
        subject=mail.subject,
        sender=mail.author.addr_spec,
        message_id=mail.message_id,
        attachments=(*mail.attachments, GLB),
    )
    assert screen(with_model) == (reason if (mail, reason) in NEVER else None)


@pytest.mark.parametrize(
    "mail",
    [
        request(("List-Id", "Support <support.figurative.example>"), ("Precedence", "list")),
        request(("Precedence", "bulk"), sender="formulaire@figurative.example"),
        request(("List-Id", "<SUPPORT.Figurative.example>"), ("List-Unsubscribe", "<mailto:x>"), ("Feedback-ID", "1")),
    ],
)
def test_a_customers_mail_through_our_own_group_address_or_form_is_work(mail: Request) -> None:
    assert screen(mail, own_domain="figurative.example") is None
    assert screen(mail, own_domain="other.example") is not None
    assert screen(mail) is not None


def test_an_automatic_reply_is_one_even_through_our_own_group_address() -> None:
    mail = request(("List-Id", "<support.figurative.example>"), ("Auto-Submitted", "auto-replied"))
    assert screen(mail, own_domain="figurative.example") == "auto-reply (Auto-Submitted: auto-replied)"
