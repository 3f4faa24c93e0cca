"""Identify the customer behind a mail, and state it in every text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from poller.config.settings import ImapSettings
from poller.forms import message
from poller.forms.submission import Submission
from poller.model import Address, Category, Classification, DispatchResult, Link
from poller.parsing import parser
from poller.rendering import notification, tickets
from poller.triage.sender import from_our_form, identify, is_of_transfer_service, is_ours, own_domains, writer
from tests.triage.helpers import request

if TYPE_CHECKING:
    from pathlib import Path

    from poller.model import Request
    from tests.conftest import Office

OWN = ("figurative.example",)
MX = "mx.figurative.example"
PROOF = f"Authentication-Results: {MX}; dmarc=pass header.from=figurative.example"
ANA = Address("Ana Ruiz", "ana@ruiz.example")
PAUL = Address("Paul", "paul@figurative.example")
NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEY = b"key of the forms"


def identified(
    tmp_path: Path,
    header: str,
    *,
    original: Address | tuple[Address, ...] = (),
    proof: str = PROOF,
    authserv_id: str = MX,
    own: tuple[str, ...] = OWN,
) -> Request:
    """Return the request of a mail with this header. `original` holds the authors of the mail that it forwards.

    `proof` is what our server has written above it.
    """
    path = tmp_path / "mail.eml"
    path.write_bytes(f"{proof}\n{header.strip()}\n\nBonjour\n".lstrip().replace("\n", "\r\n").encode())
    originals = original if isinstance(original, tuple) else (original,)
    request = replace(parser.parse(path, "account", NOW), original_senders=originals)
    return identify(request, own, authserv_id)


PEOPLE = {
    "a Reply-To that leads back to us": """
From: Ana Ruiz <ana@ruiz.example>
Reply-To: support@figurative.example""",
    "one at a subdomain of ours": """
From: Ana Ruiz <ana@ruiz.example>
Reply-To: Support <SUPPORT@mail.Figurative.example>""",
    "our web form": """
From: Site <no-reply@figurative.example>
Reply-To: Ana Ruiz <ana@ruiz.example>
Subject: Formulaire de contact""",
    "another site's form": """
From: WordPress <wordpress@boutique.example>
Reply-To: Ana Ruiz <ana@ruiz.example>""",
    "our Google group, which answers to the person": """
From: 'Ana Ruiz' via Support <support@figurative.example>
Reply-To: Ana Ruiz <ana@ruiz.example>
X-Original-From: Ana Ruiz <ana@ruiz.example>
X-Original-Sender: ana@ruiz.example
List-ID: <support.figurative.example>""",
    "our Google group, which answers to itself": """
From: "'Ana Ruiz' via Support" <support@figurative.example>
X-Original-Sender: bounce@ruiz.example
X-Original-From: Ana Ruiz <ana@ruiz.example>
Reply-To: support@figurative.example
List-ID: <support.figurative.example>""",
    "a list that names itself beside the person": """
From: Ana Ruiz via Support <support@figurative.example>
Reply-To: Support <support@figurative.example>, Ana Ruiz <ana@ruiz.example>""",
    "a list with another address for answers": """
From: Ana Ruiz via Support <support@figurative.example>
Reply-To: discussion@figurative.example
Author: Ana Ruiz <ana@ruiz.example>""",
    "a delegate": """
From: Ana Ruiz <ana@ruiz.example>
Sender: Bureau <bureau@ruiz.example>""",
}


@pytest.mark.parametrize("header", PEOPLE.values(), ids=PEOPLE)
def test_customer_is_found_behind_lists_and_forms(tmp_path: Path, header: str) -> None:
    assert identified(tmp_path, header).sender == ANA


@pytest.mark.parametrize(
    "header",
    [
        "From: 'x' via Support <support@figurative.example>\nX-Original-From: {}",
        "From: Site <form@figurative.example>\nReply-To: support@figurative.example, {}",
    ],
    ids=["group", "form"],
)
def test_address_in_display_name_is_not_used(tmp_path: Path, header: str) -> None:
    """An encoded word is a name, whatever it decodes to (RFC 2047 section 5): nobody writes in another's."""
    name = "=?utf-8?q?=3Cvictim=40else.example=3E?="
    request = identified(tmp_path, header.format(f"{name} <ana@ruiz.example>"))
    assert request.sender.addr_spec == "ana@ruiz.example"
    assert "victim" not in writer(request, OWN).addr_spec


def test_list_original_sender_address_is_used_without_name(tmp_path: Path) -> None:
    header = """
From: 'Ana Ruiz' via Support <support@figurative.example>
X-Original-Sender: ana@ruiz.example"""
    assert identified(tmp_path, header).sender == Address("", "ana@ruiz.example")


def test_colleague_mail_has_colleague_as_sender(tmp_path: Path) -> None:
    """Also through our own group, and where the answer would go to the mailbox that is read."""
    header = """
From: Paul <paul@figurative.example>
Reply-To: support@figurative.example
X-Original-Sender: paul@figurative.example"""
    assert identified(tmp_path, header).sender == PAUL


def test_noreply_address_is_not_the_form_customer(tmp_path: Path) -> None:
    header = """\
From: Site <site@figurative.example>
Reply-To: noreply@forms.example
X-Original-From: Ana Ruiz <ana@ruiz.example>"""
    assert identified(tmp_path, header).sender == ANA


FORWARD = "From: {0}\nSubject: {1}\n"


@pytest.mark.parametrize(
    "subject",
    ["TR: Devis", "Tr : Devis", "Fwd: Devis", "FW: RE: Devis", "WG: Angebot", "RV: Oferta", "I: Preventivo", "x"],
)
def test_mail_forwarded_by_colleague_is_of_the_customer(tmp_path: Path, subject: str) -> None:
    """By its subject, or by the attached message or the quoted header that the parser found."""
    request = identified(tmp_path, FORWARD.format("Paul <paul@figurative.example>", subject), original=ANA)
    assert (request.sender, request.author) == (ANA, PAUL)


TO_ANA = "From: Paul <paul@figurative.example>\nTo: Ana Ruiz <ana@ruiz.example>\nCc: support@figurative.example\n"


@pytest.mark.parametrize("subject", ["Devis", "Fwd: Devis"])
def test_colleague_writing_to_customer_may_quote_another(tmp_path: Path, subject: str) -> None:
    ute = Address("Ute", "ute@else.example")
    assert identified(tmp_path, f"{TO_ANA}Subject: {subject}", original=ute).sender == ANA


def test_customer_in_copy_of_a_forward_is_not_its_author(tmp_path: Path) -> None:
    header = FORWARD.format("Paul <paul@figurative.example>", "TR: Devis") + "Cc: ute@else.example"
    assert identified(tmp_path, header, original=ANA).sender == ANA


NOT_FORWARDED = {
    "by a stranger": FORWARD.format("Max <max@stranger.example>", "TR: Devis"),
    "by a stranger who answers to us": FORWARD.format("Max <max@stranger.example>", "TR: Devis")
    + "Reply-To: paul@figurative.example",
    "by somebody at a domain that resembles ours": FORWARD.format("Max <max@notfigurative.example>", "TR: Devis"),
    "by nobody": FORWARD.format("", "TR: Devis") + "Sender: Paul <paul@figurative.example>",
    "quoted in an answer": FORWARD.format("Paul <paul@figurative.example>", "RE: Devis"),
    "quoted in a second answer": FORWARD.format("Paul <paul@figurative.example>", "Re[2]: Devis"),
}


@pytest.mark.parametrize("header", NOT_FORWARDED.values(), ids=NOT_FORWARDED)
def test_forward_by_stranger_keeps_its_sender(tmp_path: Path, header: str) -> None:
    """A stranger must not choose whose ticket a mail becomes."""
    request = identified(tmp_path, header, original=ANA)
    assert request.sender != ANA


def test_chain_of_colleague_forwards_finds_customer(tmp_path: Path) -> None:
    """The customer is the first in the chain who is no colleague, however long it is."""
    luc = Address("Luc", "luc@figurative.example")
    header = FORWARD.format("Paul <paul@figurative.example>", "TR: TR: Devis")
    assert identified(tmp_path, header, original=(luc, ANA, Address("Ute", "ute@else.example"))).sender == ANA


@pytest.mark.parametrize("original", [PAUL, Address("Support", "support@figurative.example"), Address("Ana", ""), ()])
def test_forward_without_customer_keeps_colleague(tmp_path: Path, original: Address | tuple[()]) -> None:
    header = FORWARD.format("Paul <paul@figurative.example>", "TR: Devis")
    assert identified(tmp_path, header, original=original).sender == PAUL


@pytest.mark.parametrize(
    ("field", "trusted"),
    [
        (PROOF, True),
        (f"Authentication-Results: {MX}; auth=pass smtp.auth=paul@figurative.example", True),
        (f"Authentication-Results: {MX}; auth=pass smtp.auth=paul", False),
        ("X-Nothing: 1", False),
        (f"Authentication-Results: {MX}; dmarc=temperror header.from=figurative.example", False),
        (f"Authentication-Results: {MX}; dmarc=fail header.from=figurative.example", False),
        (f"Authentication-Results: {MX}; spf=fail smtp.mailfrom=figurative.example; dkim=none", False),
        (f"Authentication-Results: {MX}; spf=pass smtp.mailfrom=evil.example; dmarc=none", False),
        (f"Authentication-Results: {MX}; spf=none\n{PROOF}", False),  # by the second of two milters
        (f"{PROOF};{' x=y' * 2_000}; dkim=fail", False),  # too long to be read whole
    ],
)
def test_colleague_chooses_customer_only_when_verified(tmp_path: Path, field: str, trusted: bool) -> None:
    """By a forward, or by writing to one customer. Without an authserv-id nobody is verified."""
    forward = FORWARD.format("Paul <paul@figurative.example>", "TR: Devis")
    assert identified(tmp_path, forward, original=ANA, proof=field).sender == (ANA if trusted else PAUL)
    assert identified(tmp_path, forward, original=ANA, proof=field, authserv_id="").sender == PAUL
    written = "From: Paul <paul@figurative.example>\nTo: ana@ruiz.example\nCc: support@figurative.example"
    chosen = identified(tmp_path, written, proof=field).sender.addr_spec
    assert chosen == (ANA.addr_spec if trusted else PAUL.addr_spec)


@pytest.mark.parametrize(
    ("field", "verified"),
    [
        (f"Authentication-Results: {MX}; dmarc=pass header.from=ruiz.example", True),
        (f"Authentication-Results: {MX}; dmarc=fail header.from=ruiz.example", False),
        ("Authentication-Results: mx.ruiz.example; dmarc=pass header.from=ruiz.example", False),
        ("X-Nothing: 1", False),
    ],
)
def test_sender_is_verified_only_by_own_server(tmp_path: Path, field: str, verified: bool) -> None:
    header = "From: Ana Ruiz <ana@ruiz.example>"
    assert identified(tmp_path, header, proof=field).verified is verified
    assert identified(tmp_path, header, proof=field, authserv_id="").verified is None


def test_own_domains_are_login_and_configured_domains() -> None:
    """The login's domain and the configured ones; at a provider that anybody may use, our own address alone."""
    company = own_domains(
        ImapSettings(username="Support@Figurative.example", own_domains="figurative.fr, Figurative.studio")
    )
    assert company == ("figurative.fr", "figurative.studio", "figurative.example")
    assert is_ours("paul@FIGURATIVE.fr", company)
    assert is_ours("paul@mail.figurative.example", company)
    assert not is_ours("paul@notfigurative.fr", company)
    assert not is_ours("", company)
    provider = own_domains(ImapSettings(username="figurative@gmail.com"))
    assert is_ours("Figurative@gmail.com", provider)
    assert not is_ours("ana@gmail.com", provider)
    assert not is_ours("my.figurative@gmail.com", provider)
    assert own_domains(ImapSettings(username="support")) == ()


DONE = DispatchResult(
    Classification(Category.MODELISATION, 0.95, "rules", "Un fichier 3D est joint.", needs_review=False),
    ticket=Link("7", "https://app.hubspot.com/contacts/1/record/0-5/7"),
)


def read(request: Request) -> dict[str, str]:
    """Return every text that people read about a request."""
    mails = (
        of(request, DONE, sender="bot@figurative.example", recipient="admin@figurative.example", now=NOW)
        for of in (notification.notification, notification.reply_notification)
    )
    bodies = [mail.get_body(("plain",)) for mail in mails]
    return {
        "ticket": tickets.ticket_content(request, DONE),
        "note": tickets.note_html(request, DONE),
        "reply note": tickets.reply_note_html(request, DONE),
        "subtask": tickets.subtask_markdown(request, DONE),
        "comment": tickets.reply_comment(request, DONE),
        **{f"mail {number}": body.get_content() for number, body in enumerate(bodies) if body},
    }


def test_unverified_sender_is_stated_in_every_text(tmp_path: Path) -> None:
    request = identified(tmp_path, "From: Ana Ruiz <ana@ruiz.example>", authserv_id=MX)
    for place, text in read(request).items():
        assert "Expéditeur non vérifié\xa0: rien ne prouve" in text, place
    for verified in (True, None):
        for place, text in read(replace(request, verified=verified)).items():
            assert "vérifié" not in text, place


def test_forwarding_colleague_is_named_in_texts(tmp_path: Path) -> None:
    request = identified(tmp_path, FORWARD.format("Paul <paul@figurative.example>", "TR: Devis"), original=ANA)
    shown = read(request)
    assert (
        "Client\xa0: Ana Ruiz <ana@ruiz.example>\nTransféré par\xa0: Paul <paul@figurative.example>" in shown["ticket"]
    )
    assert "<p>Transféré par\xa0: Paul &lt;paul@figurative.example&gt;</p>" in shown["note"]
    assert "Transféré par\xa0: Paul <paul@figurative.example>" in shown["mail 0"]


def test_unverified_address_is_escaped_in_texts(tmp_path: Path) -> None:
    """It is the sender's own text like any other."""
    request = identified(tmp_path, "From: Ana Ruiz <ana@ruiz.example>", authserv_id=MX)
    shown = read(replace(request, author=Address("", "<img/src=x>[x](https://evil.example)@evil.example")))
    assert "<img" not in shown["note"]
    assert "[x](" not in shown["subtask"]
    assert "https://evil" not in shown["comment"]


def test_daemon_finds_group_customer_and_marks_unverified(office: Office) -> None:
    """With both settings as an admin gives them, and an Authentication-Results of somebody else's below."""
    office.environment |= {"IMAP_OWN_DOMAINS": "figurative.studio", "IMAP_AUTHSERV_ID": MX}
    office.once(
        b"Authentication-Results: mx.elsewhere.example; dmarc=pass header.from=figurative.studio\r\n"
        b"From: 'Ana Ruiz' via Support <support@figurative.studio>\r\n"
        b"X-Original-From: Ana Ruiz <ana@ruiz.example>\r\n"
        b"Reply-To: support@figurative.studio\r\n"
        b"List-Id: <support.figurative.studio>\r\nPrecedence: list\r\n"
        b"Message-ID: <1@ruiz.example>\r\nSubject: Facture\r\n\r\nMa facture est fausse, merci de la corriger.\r\n"
    )
    hubspot = office.sandbox.hubspot
    assert [contact.properties["email"] for contact in hubspot.contacts] == ["ana@ruiz.example"]
    assert "Expéditeur non vérifié" in hubspot.tickets[0].properties["content"]


@pytest.mark.parametrize("email", ["pdg@figurative.example", "noreply@client.example", "jeanne@client.example"])
def test_form_visitor_is_not_replaced_by_quoted_sender(tmp_path: Path, email: str) -> None:
    """A visitor who enters a colleague's address and quotes a customer's mail does not become that customer."""
    text = "---------- Forwarded message ----------\nFrom: Ana Ruiz <ana@ruiz.example>\nSubject: Devis\n\nBonjour"
    submission = Submission(email, "", "Fwd: Devis", text, (), "")
    with message.written(submission, "contact", "support@figurative.example", NOW, "", KEY).content as content:
        (tmp_path / "mail.eml").write_bytes(content.read())
    request = replace(parser.parse(tmp_path / "mail.eml", "account", NOW), original_senders=(ANA,))
    found = identify(request, OWN, "", KEY)
    assert (found.sender, found.verified) == (Address("", email), True)


@pytest.mark.parametrize(
    ("field", "key", "is_form"),
    [
        ("X-Nothing: 1", b"k", True),
        (f"Authentication-Results: {MX}; spf=none", b"k", True),
        (PROOF, b"another", True),  # the server vouches for our own domain
        ("X-Nothing: 1", b"another", False),
        ("X-Nothing: 1", b"", False),
        (f"Authentication-Results: {MX}; dmarc=fail header.from=figurative.example", b"k", False),
        ("Reply-To: victim@else.example", b"k", False),
    ],
    ids=["mark", "nothing proved", "dmarc=pass", "another key", "no key", "dmarc=fail", "another customer"],
)
def test_form_mark_counts_only_when_verified(tmp_path: Path, field: str, key: bytes, is_form: bool) -> None:
    """By the mark that `poller forms` makes with our key, unless DMARC denies the mail. Our server may vouch too."""
    submission = Submission("ana@ruiz.example", "Ana", "Devis", "Bonjour", (), "")
    with message.written(submission, "contact", "support@figurative.example", NOW, "", b"k").content as content:
        (tmp_path / "mail.eml").write_bytes(field.encode() + b"\r\n" + content.read())
    request = identify(parser.parse(tmp_path / "mail.eml", "account", NOW), OWN, MX, key)
    assert from_our_form(request, OWN) is is_form


def filled_in(header: str, text: str) -> Request:
    """Return the request of a mail with this From field and text, without a Reply-To."""
    author = Address("", header)
    mail = request(("From", header), subject="Figurative contact", sender=header, text=text)
    return identify(replace(mail, author=author), OWN, "")


FORM = "De : Jeanne Petit <jeanne@example.com>\nObjet : x\n\nCorps du message :\nUn fauteuil ?"


FORMS = (
    "wordpress@figurative.example",
    "no-reply@forms.example.net",
    "mailer@shop.example",
    "notifications@f.example",
    "formulario@f.example",
)


@pytest.mark.parametrize("author", FORMS)
@pytest.mark.parametrize(
    "text",
    [
        FORM,
        "Nom : Jeanne\nE-mail : jeanne@example.com\nMessage : un fauteuil ?",
        "Name:\nJeanne\n\nEmail:\njeanne@example.com\n\nBody:\nA chair?",
        "*Adresse e-mail :* [jeanne@example.com](mailto:jeanne@example.com)",
        "Ihre E-Mail-Adresse: jeanne@example.com",
        "Nom             Jeanne\nAdresse e-mail  [jeanne@example.com](mailto:jeanne@example.com)\nMessage         Oui",
        "Nom\nJeanne\n\nE-mail\njeanne@example.com\n\nMessage\nUn fauteuil ?",
        "Courriel de l'expéditeur : jeanne@example.com",
        "your-email: jeanne@example.com",
        "E-mail (requis) : jeanne@example.com\nE-mail : jeanne@example.com",
        "E-mail du vendeur : paul@example.com\nE-mail : jeanne@example.com",
        "Nom : Petit\nContact : jeanne@example.com\nDestinataire : paul@example.com",
        "Message : un fauteuil\nClient : Jeanne Petit (jeanne@example.com)",
        "Quelle est votre adresse e-mail ?\njeanne@example.com\n\nUn fauteuil",
        "Adresse e-mail *\njeanne@example.com\n\nVotre projet\nUn fauteuil",
        "Adresse e-mail\n\njeanne@example.com\n\nVotre projet\n\nUn fauteuil",
        "E-mail *\tjeanne@example.com\nVotre projet\tUn fauteuil",
        "E-Mail (Pflichtfeld): jeanne@example.com\nNachricht: ein Sessel",
        "Ceci est un e-mail envoyé via https://figurative.example/ par :\nJeanne Petit <jeanne@example.com>",
    ],
)
def test_visitor_named_in_form_without_reply_to_is_sender(author: str, text: str) -> None:
    assert filled_in(author, text).sender.addr_spec == "jeanne@example.com"


@pytest.mark.parametrize(
    "text",
    [
        "E-mail : jeanne@example.com\nE-mail : paul@example.com",
        "E-mail : camille@figurative.example",
        "Écrivez à jeanne@example.com",
        "Contact : jeanne@example.com",
        "Nom : Petit\nContact : jeanne@example.com\nClient : paul@example.com",
        "Nom : Petit\nFournisseur : jeanne@example.com",
        "Nom : Petit\nContact : écrire à jeanne@example.com de ma part",
        "E-mail :\n\n",
    ],
)
def test_form_that_names_no_visitor_or_several_keeps_its_sender(text: str) -> None:
    assert filled_in("wordpress@figurative.example", text).sender.addr_spec == "wordpress@figurative.example"


def shared(author: str, text: str, link: str) -> Request:
    mail = request(("From", author), subject="Fichier partagé", sender=author, text=text.format(link))
    return replace(mail, author=Address("", author), links=(link,))


@pytest.mark.parametrize(
    ("author", "text", "sender"),
    [
        ("no-reply@dropbox.com", "Jeanne (jeanne@example.com) vous a invitée : {}", "jeanne@example.com"),
        ("no-reply@dropbox.com", "jeanne@example.com et paul@example.com : {}", "no-reply@dropbox.com"),
        ("no-reply@shop.example", "Jeanne (jeanne@example.com) vous a invitée : {}", "no-reply@shop.example"),
    ],
)
def test_giver_whom_a_transfer_service_names_is_sender(author: str, text: str, sender: str) -> None:
    assert identify(shared(author, text, "https://www.dropbox.com/l/scl/AAA"), OWN, "").sender.addr_spec == sender


def test_cloud_of_its_own_names_no_giver_and_brings_no_files() -> None:
    mail = shared("no-reply@stranger.example", "jeanne@example.com : {}", "https://stranger.example/s/abcdefghijklmno")
    assert identify(mail, OWN, "").sender.addr_spec == "no-reply@stranger.example"
    assert not is_of_transfer_service(mail)


def test_form_that_names_its_own_address_too_has_the_visitor_as_sender() -> None:
    text = "E-mail : jeanne@example.com\n\nE-mail : website@shop.example"
    assert filled_in("Website@shop.example", text).sender.addr_spec == "jeanne@example.com"


@pytest.mark.parametrize("whose", ["Le mail de notre photographe", "The e-mail of our agency", "Mail de son associée"])
def test_person_at_a_forms_address_who_names_another_stays_sender(whose: str) -> None:
    mail = filled_in("website@shop.example", f"Bonjour,\n{whose} : paul@example.com")
    assert mail.sender.addr_spec == "website@shop.example"


def test_person_who_names_another_in_field_stays_sender() -> None:
    assert filled_in("ana@ruiz.example", FORM).sender.addr_spec == "ana@ruiz.example"


def test_customer_to_whom_colleague_writes_is_sender(tmp_path: Path) -> None:
    header = "From: paul@figurative.example\nTo: {}\nCc: support@figurative.example\nSubject: Devis"
    assert identified(tmp_path, header.format("Ana <ana@ruiz.example>")).sender.addr_spec == "ana@ruiz.example"
    several = header.format("ana@ruiz.example, ben@ruiz.example")
    assert identified(tmp_path, several).sender.addr_spec == "paul@figurative.example"


def test_colleagues_forward_under_own_subject_is_read_whole(tmp_path: Path) -> None:
    text = "Pour vous.\n\nDe : Ana <ana@ruiz.example>\nEnvoyé : lundi 2 novembre 2026\nÀ : Paul\nObjet : x\n\nUn vase ?"
    path = tmp_path / "mail.eml"
    header = f"{PROOF}\nFrom: paul@figurative.example\nSubject: Demande\nIn-Reply-To: <1@ruiz.example>\n"
    header += "Content-Type: text/plain; charset=utf-8"
    path.write_bytes(f"{header}\n\n{text}".replace("\n", "\r\n").encode())
    found = identify(parser.parse(path, "account", NOW), OWN, MX)
    assert found.sender.addr_spec == "ana@ruiz.example"
    assert found.newest == text
