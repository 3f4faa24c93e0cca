"""Mails as three kinds of customers write them, any number of them, each with what must become of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING

from poller import parsing
from poller.samples import picture

if TYPE_CHECKING:
    from random import Random

CUSTOMERS = 60
# Out of ten mails.
KINDS = ("support",) * 3 + ("unsure",) + ("modelisation",) * 4 + ("ignored",) * 2
WORDS = {
    "support": ("Facture prélevée deux fois", "Ma facture a été prélevée deux fois. Pouvez-vous me rembourser ?"),
    # The rules are not certain of this one, so Claude is asked; with or without an answer it is SUPPORT.
    "unsure": ("Suite de notre échange", "Comme convenu au téléphone, voici ce que je vous avais promis."),
    "modelisation": ("Modélisation d’un fauteuil", "Pouvez-vous modéliser en 3D le fauteuil des fichiers joints ?"),
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

    @property
    def outcome(self) -> str:
        """What must become of it: "support", "modelisation" or "ignored"."""
        return "support" if self.kind == "unsure" else self.kind


def mails(number: int, account: str, random: Random) -> list[Mail]:
    """So many mails to an account, the kinds mixed."""
    kinds = [KINDS[each % len(KINDS)] for each in range(number)]
    random.shuffle(kinds)
    return [_mail(each, kind, account, random.randrange(CUSTOMERS)) for each, kind in enumerate(kinds)]


def _mail(number: int, kind: str, account: str, customer: int) -> Mail:
    subject, text = WORDS[kind]
    message = EmailMessage()
    message["From"] = f"Client {customer} <client-{customer}@client-{customer}.example>"
    message["To"] = "support@figurative.example"
    message["Subject"] = f"{subject}, dossier {number}"
    message["Message-ID"] = f"<dossier-{number}@soak.example>"
    message["Date"] = format_datetime(datetime.now(UTC))
    if kind == "ignored":
        message["Auto-Submitted"] = "auto-replied"
    message.set_content(f"Bonjour,\n\n{text}\n\nClient {customer}\n")
    files: tuple[bytes, ...] = ()
    if kind == "modelisation":
        files = (f"# dossier {number}\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n".encode(), picture(16, 16 + number))
        message.add_attachment(files[0], maintype="model", subtype="obj", filename=f"fauteuil {number}.obj")
        message.add_attachment(files[1], maintype="image", subtype="png", filename=f"photo {number}.png")
    raw = message.as_bytes()
    reference = parsing.reference_of(account, raw) or ""
    return Mail(raw, message["Message-ID"], reference, kind, f"client-{customer}@client-{customer}.example", files)
