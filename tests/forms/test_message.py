"""Tests of the mail that a form becomes: its header, its parts and its sender."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError
from poller.cli.check import check_forms
from poller.forms.asgi import make_app
from poller.parsing import parser
from poller.rendering.phrases import author_fact
from tests.support.form_site import CUSTOMER, GLB, Site, delivered, reference_of, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from integrations.sandbox import Sandbox


def test_form_post_becomes_mail_of_customer(sandbox: Sandbox, standing_site: Site) -> None:
    """From us, to be answered to the customer, with the text and the files as they were sent; unread, and in time."""
    files = [
        ("files", ("chaise rouge – été.glb", GLB, "model/gltf-binary")),
        ("files", ("plan.pdf", b"%PDF-1.7\n" * 9999)),
    ]
    before = datetime.now(UTC).replace(microsecond=0)
    answer = standing_site.post(json=None, data=CUSTOMER, files=files)
    after = datetime.now(UTC)

    (raw,) = sandbox.imap.messages()
    (mail,) = delivered(sandbox)
    assert (answer.status_code, answer.json()) == (202, {"reference": reference_of(sandbox, raw.raw)})
    assert raw.flags == frozenset()
    assert str(mail["From"]) == "Jeanne Petit via contact <support@figurative.example>"
    assert str(mail["Reply-To"]) == "Jeanne Petit <jeanne.petit@client.example>"
    assert (mail["Subject"], mail["X-Figurative-Form"]) == (CUSTOMER["subject"], "contact")
    assert before <= mail["Date"].datetime <= after
    text, *attachments = mail.iter_parts()
    assert text.get_content().replace("\r\n", "\n").strip() == CUSTOMER["message"]
    assert [(each.get_filename(), each.get_content_type()) for each in attachments] == [
        ("chaise rouge – été.glb", "model/gltf-binary"),
        ("plan.pdf", "application/pdf"),
    ]
    assert [each.get_payload(decode=True) for each in attachments] == [GLB, b"%PDF-1.7\n" * 9999]
    assert max(map(len, raw.raw.split(b"\r\n"))) <= 100
    assert b"\n" not in raw.raw.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    ("named", "label", "author"),
    [
        ("contact", "Formulaire «\xa0contact\xa0»", "a@b.example"),
        ("<b>x</b>", "Expéditeur affiché", "A <a@b.example>"),
        ("x" * 41, "Expéditeur affiché", "A <a@b.example>"),
    ],
)
def test_form_header_of_foreign_mail_is_only_a_name(tmp_path: Path, named: str, label: str, author: str) -> None:
    """A mail that comes from elsewhere may bear the field, too: it is markup nowhere, and hides no address."""
    raw = f"From: A <a@b.example>\r\nReply-To: c@d.example\r\nX-Figurative-Form: {named}\r\n\r\nx\r\n"
    (tmp_path / "mail.eml").write_bytes(raw.encode())
    assert author_fact(parser.parse(tmp_path / "mail.eml", "account", datetime.now(UTC))) == (label, author)


HOSTILE = "Eve\r\nBcc: all@figurative.example\r\nX-Figurative-Poller: 1\u2028\x00\n\n<b>=?utf-8?q?=0ABcc:_x?=\u202e"


@pytest.mark.parametrize(
    "field",
    [
        pytest.param({"name": HOSTILE}, id="name"),
        pytest.param({"subject": HOSTILE}, id="subject"),
        pytest.param({"name": '"Chef" <boss@figurative.example>, x'}, id="an address as the name"),
        pytest.param({"name": "=?utf-8?q?x=3Cboss=40figurative=2Eexample=3E?="}, id="an encoded address as the name"),
        pytest.param({"name": "É" * 100, "subject": "名" * 200}, id="as long as may be"),
        pytest.param({"message": f"{HOSTILE}\n--form-x--\n\n.\r\nFrom nobody"}, id="message"),
        pytest.param({"message": "\ud800 \udfff"}, id="half a character"),
    ],
)
def test_form_values_add_no_header_address_or_part(
    sandbox: Sandbox, standing_site: Site, field: dict[str, str]
) -> None:
    """No name, subject or text becomes a header field, an address or a part."""
    body = json.dumps(CUSTOMER | field).encode()
    assert standing_site.post(json=None, content=body, headers={"Content-Type": "application/json"}).status_code == 202
    (mail,) = delivered(sandbox)
    assert mail.keys() == [
        *(
            "From",
            "Reply-To",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "X-Figurative-Form",
            "X-Figurative-Form-Mark",
            "MIME-Version",
            "Content-Type",
        )
    ]
    assert str(mail["Subject"]).isprintable()
    assert [each.addr_spec for each in mail["From"].addresses] == ["support@figurative.example"]
    assert [each.addr_spec for each in mail["Reply-To"].addresses] == [CUSTOMER["email"]]
    assert len(list(mail.iter_parts())) == 1
    assert not mail.defects


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        'a"; filename="b.exe',
        "a\r\nX-Evil: 1.glb",
        "名" * 150 + ".glb",
        "",
        "=?utf-8?q?a?=.glb",
        "%41'*.glb",
    ],
)
def test_form_file_name_is_made_safe(sandbox: Sandbox, standing_site: Site, name: str) -> None:
    """A file of any name is one attachment of the same bytes, under a harmless name."""
    quoted = name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22") or "\x01"
    body = (
        b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\na@b.example\r\n'
        b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\nx\r\n'
        b'--b\r\nContent-Type: message/rfc822\r\nContent-Disposition: form-data; name="files"; filename="%b"\r\n\r\n'
        b"%b\r\n--b--\r\n"
    ) % (quoted.encode(), GLB)
    answer = standing_site.post(json=None, content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 202, answer.text
    (mail,) = delivered(sandbox)
    (attached,) = mail.iter_attachments()
    assert attached.get_payload(decode=True) == GLB
    assert attached.get_content_type() == "application/octet-stream"
    assert attached.keys() == ["Content-Type", "Content-Transfer-Encoding", "Content-Disposition"]
    assert not set('/\\\r\n"') & set(attached.get_filename() or "?/")


def test_same_key_with_other_content_makes_another_message(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """A post that differs in a word, a file or the form is another message, and so is each one without a key."""
    here, headers = (
        site(FORMS_NAMES="contact quote signed other", FORMS_PUBLIC="contact other"),
        {"Idempotency-Key": "k"},
    )
    here.post(headers=headers)
    here.post("other", headers=headers)
    here.post(headers=headers, json=CUSTOMER | {"email": "paul@client.example"})
    for content in (GLB, GLB + b"x"):
        here.post(headers=headers, json=None, data=CUSTOMER, files={"files": ("a.glb", content)})
    here.post()
    here.post()
    assert len(delivered(sandbox)) == 7


def test_forms_without_sender_address_are_refused(sandbox: Sandbox) -> None:
    """The sender is the login if that is an address, else the configured one, else one at the mail host."""
    make_app(settings_of(sandbox, IMAP_USERNAME="support", IMAP_OWN_DOMAINS="figurative.example"))
    with pytest.raises(ConfigurationError, match=r"\[imap\] own_domains: forms come from poller@"):
        make_app(settings_of(sandbox, IMAP_USERNAME="support", SMTP_SENDER="", SMTP_HOST=""))


@pytest.mark.parametrize(
    ("given", "verdict", "said"),
    [
        ({"FORMS_NAMES": ""}, None, ""),
        ({}, "ok", "contact, quote, signed; from support@figurative.example"),
        ({"IMAP_USERNAME": "support"}, "refused", "add figurative.example"),
        ({"IMAP_USERNAME": "support", "IMAP_OWN_DOMAINS": "other.example"}, "refused", "[imap] own_domains: "),
        ({"IMAP_USERNAME": "support", "IMAP_OWN_DOMAINS": "figurative.example"}, "ok", "poller@figurative.example"),
    ],
)
def test_forms_with_unrecognised_sender_are_refused(
    sandbox: Sandbox, given: dict[str, str], verdict: str | None, said: str
) -> None:
    """Their mails would not be the visitor's; `poller check` says so as well, and which setting to give."""
    settings = settings_of(sandbox, **given)
    checked = list(check_forms(settings))
    assert [each.verdict for each in checked] == ([verdict] if verdict else [])
    assert all(said in each.seen for each in checked)
    if verdict == "ok":
        make_app(settings)
    else:
        with pytest.raises(ConfigurationError):
            make_app(settings)
