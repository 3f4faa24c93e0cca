"""Mails as several kinds of customers write them, any number of them, each with what must become of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING

from poller.cli.samples import picture
from poller.mime.reference import reference_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

CUSTOMERS = 60
# How often each kind comes, out of so many mails.
ALL_KINDS = ("support",) * 3 + ("unsure",) + ("modelisation",) * 4 + ("reply",) * 3 + ("ignored",) * 2
WORK_ALONE = ("support",) * 3 + ("modelisation",) * 2
WORDS = {
    "support": ("Facture prélevée deux fois", "Ma facture a été prélevée deux fois. Pouvez-vous me rembourser ?"),
    # The rules are not certain of this one, so Claude is asked; with or without an answer it is SUPPORT.
    "unsure": ("Suite de notre échange", "Comme convenu au téléphone, voici ce que je vous avais promis."),
    "modelisation": ("Modélisation d’un fauteuil", "Pouvez-vous modéliser en 3D le fauteuil des fichiers joints ?"),
    "reply": ("Re: votre message", "Merci de votre retour, voici la précision que vous demandiez."),
    "ignored": ("Réponse automatique", "Je suis absent jusqu’au 30 novembre."),
}


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to be delivered."""

    raw: bytes
    message_id: str  # with <>
    reference: str
    kind: str  # a key of WORDS
    customer: str  # addr-spec
    files: tuple[bytes, ...]  # each different from every other mail's
    opener: Mail | None  # the mail that opened the thread which this one answers; None where it answers none

    @property
    def outcome(self) -> str:
        """What must become of it: "support", "modelisation" or "ignored"."""
        if self.opener:
            return self.opener.outcome
        return "support" if self.kind == "unsure" else self.kind


def mails(number: int, account: str, random: Random, kinds: Sequence[str] = ALL_KINDS) -> list[Mail]:
    """So many mails to an account, the kinds mixed; an answer comes after what it answers."""
    mixed = [kinds[each % len(kinds)] for each in range(number)]
    random.shuffle(mixed)
    written: list[Mail] = []
    for each, kind in enumerate(mixed):
        asked = random.choice(threads) if kind == "reply" and (threads := _work(written)) else None
        kind_now = kind if asked or kind != "reply" else "support"  # there is nothing yet that could be answered
        customer = random.randrange(CUSTOMERS)
        written.append(_mail(each, kind_now, account, asked.customer if asked else _address(customer), asked))
    return written


def _work(written: list[Mail]) -> list[Mail]:
    return [mail for mail in written if mail.kind != "ignored"]


def _address(customer: int) -> str:
    return f"client-{customer}@client-{customer}.example"


def _mail(number: int, kind: str, account: str, customer: str, asked: Mail | None) -> Mail:
    subject, text = WORDS[kind]
    name = customer.partition("@")[0].replace("-", " ").title()
    message = EmailMessage()
    message["From"] = f"{name} <{customer}>"
    message["To"] = "support@figurative.example"
    message["Subject"] = f"{subject}, dossier {number}"
    message["Message-ID"] = f"<dossier-{number}@soak.example>"
    message["Date"] = format_datetime(datetime.now(UTC))
    if asked:
        message["In-Reply-To"] = asked.message_id
    if kind == "ignored":
        message["Auto-Submitted"] = "auto-replied"
    message.set_content(f"Bonjour,\n\n{text}\n\n{name}\n")
    opener = (asked.opener or asked) if asked else None
    files: tuple[bytes, ...] = ()
    if kind == "modelisation" or (opener and opener.kind == "modelisation"):
        files = (f"# dossier {number}\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n".encode(), picture(16, 16 + number))
        message.add_attachment(files[0], maintype="model", subtype="obj", filename=f"fauteuil {number}.obj")
        message.add_attachment(files[1], maintype="image", subtype="png", filename=f"photo {number}.png")
    raw = message.as_bytes()
    reference = reference_of(account, raw) or ""
    return Mail(raw, message["Message-ID"], reference, kind, customer, files, opener)
