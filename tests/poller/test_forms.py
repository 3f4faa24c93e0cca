"""The forms of the site: what is posted lies in the mailbox as the customer's mail, once, or the sender is told."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import hypothesis
import pytest
import schemathesis
import uvicorn
from hypothesis import given, strategies
from schemathesis.specs.openapi.checks import negative_data_rejection

from integrations.errors import ConfigurationError
from poller import configuration, form_connections, form_intake, forms, letterbox, parsing
from poller.checks import check_forms
from poller.form_access import TOLERANCE_S, forms_of
from poller.form_connections import PromptProtocol
from poller.form_fields import Filled
from poller.form_limits import HOUR_S, KEPT, Rate, client_address, networks_of
from poller.inbox import Inbox
from poller.wording import author_fact
from tests.browser import EXECUTABLE, Browser
from tests.needs import needs_dovecot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import EmailMessage

    from integrations.sandbox import Sandbox
    from poller.settings import Settings
    from tests.conftest import Office

ROOT = Path(__file__).parents[2]
TOKEN, KEY = "a-token-of-the-quote-form", "a-key-that-the-signed-form-has"
GLB = b"glTF" + (2).to_bytes(4, "little") + (20).to_bytes(4, "little") + bytes(8)
CUSTOMER = {
    "email": "jeanne.petit@client.example",
    "name": "Jeanne Petit",
    "subject": "Modélisation d’une chaise",
    "message": "Bonjour,\n\nPouvez-vous modéliser cette chaise en 3D ?\n\nJeanne",
}


class Site:
    """The forms as they are served, and a browser or a program that posts to them."""

    def __init__(self, settings: Settings) -> None:
        app = forms.make_app(settings)
        configured = uvicorn.Config(
            app, http=PromptProtocol, ws="none", proxy_headers=False, access_log=False, log_config=None
        )
        self._server = uvicorn.Server(configured)
        # Whoever connects before it is up waits in the queue of the socket.
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, args=([listener],))
        self._thread.start()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def post(self, form: str = "contact", /, **given: Any) -> httpx.Response:
        return self.client.post(f"/forms/{form}", **({"json": CUSTOMER} | given))

    def close(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture
def site(sandbox: Sandbox) -> Iterator[Callable[..., Site]]:
    """Forms with these settings: a public one, one with a token, one that is signed."""
    begun: list[Site] = []

    def begin(**given: str) -> Site:
        begun.append(Site(settings_of(sandbox, **given)))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


@pytest.fixture(scope="module")
def standing_site(_sandbox_session: Sandbox) -> Iterator[Site]:
    """One for all tests that need no settings of their own."""
    running = Site(settings_of(_sandbox_session, FORMS_MAX_PER_ADDRESS_PER_H="0", FORMS_MAX_BYTES="2000000"))
    yield running
    running.close()


def settings_of(sandbox: Sandbox, **given: str) -> Settings:
    named = {
        "FORMS_NAMES": "contact quote signed",
        "FORMS_PUBLIC": "contact",
        "FORMS_TOKENS": f"quote={TOKEN}",
        "FORMS_SIGNING_KEYS": f"signed={KEY}",
        "FORMS_PAGE": "true",
    }
    return configuration.from_names(sandbox.environment() | named | given)


def delivered(sandbox: Sandbox) -> list[EmailMessage]:
    return [message_from_bytes(each.raw, policy=policy.default) for each in sandbox.imap.messages()]


def signature(
    body: bytes, at_s: float, key: str = KEY, *, form: str = "signed", content_type: str = "application/json"
) -> str:
    signed = f"{int(at_s)}.{form}.{content_type}.".encode() + body
    return f"t={int(at_s)},v1={hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()}"


def test_a_form_is_a_mail_of_the_customer(sandbox: Sandbox, standing_site: Site) -> None:
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


def reference_of(sandbox: Sandbox, raw: bytes) -> str | None:
    return parsing.reference_of(Inbox(settings_of(sandbox)).account, raw)


def test_a_form_goes_the_way_of_every_mail(office: Office, standing_site: Site) -> None:
    """It is classified, dispatched to the customer's contact, and filed; the ticket names the form."""
    answer = standing_site.post(json=None, data=CUSTOMER, files=[("files", ("chaise.glb", GLB))])

    standings = office.once()
    assert {reference: standing.outcome for reference, standing in standings.items()} == {
        answer.json()["reference"]: "modelisation"
    }
    (contact,) = office.sandbox.hubspot.contacts
    assert contact.properties["email"] == CUSTOMER["email"]
    (ticket,) = office.sandbox.hubspot.tickets
    assert (
        "Formulaire «\xa0contact\xa0»\xa0: support@figurative.example (les réponses vont au client ci-dessus)"
        in ticket.properties["content"]
    )
    assert len(office.sandbox.s3.objects) == 1
    assert office.mailboxes()["Modélisation"] >= 1
    assert "INBOX" not in office.mailboxes()


@pytest.mark.parametrize(
    ("named", "label", "author"),
    [
        ("contact", "Formulaire «\xa0contact\xa0»", "a@b.example"),
        ("<b>x</b>", "Expéditeur affiché", "A <a@b.example>"),
        ("x" * 41, "Expéditeur affiché", "A <a@b.example>"),
    ],
)
def test_a_field_that_anybody_may_write_says_nothing_but_a_name(
    tmp_path: Path, named: str, label: str, author: str
) -> None:
    """A mail that comes from elsewhere may bear the field, too: it is markup nowhere, and hides no address."""
    raw = f"From: A <a@b.example>\r\nReply-To: c@d.example\r\nX-Figurative-Form: {named}\r\n\r\nx\r\n"
    (tmp_path / "mail.eml").write_bytes(raw.encode())
    assert author_fact(parsing.parse(tmp_path / "mail.eml", "account", datetime.now(UTC))) == (label, author)


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
def test_what_a_stranger_writes_stays_where_it_is(sandbox: Sandbox, standing_site: Site, field: dict[str, str]) -> None:
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
def test_a_files_name_stays_a_name(sandbox: Sandbox, standing_site: Site, name: str) -> None:
    """Whatever a browser calls a file, it is one attachment of the same bytes, under a name that is one."""
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


def test_the_same_key_at_the_same_time_is_one_message(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """While one is on its way to the mailbox, the other waits for it and finds it there."""
    searches: list[bytes] = []
    both_looked = threading.Event()

    def goes(piece: bytes) -> bool:
        if b" SEARCH " in piece:
            searches.append(piece)
            if len(searches) > 1:
                both_looked.set()
        if b" APPEND " in piece:
            both_looked.wait(0.3)  # where both may look before either is there
        return True

    with line(sandbox, goes, lambda _: True) as port, ThreadPoolExecutor(2) as pool:
        here = site(IMAP_PORT=str(port))
        posts = [pool.submit(here.post, headers={"Idempotency-Key": "k"}) for _ in range(2)]
        assert len({post.result().json()["reference"] for post in posts}) == 1
    assert len(delivered(sandbox)) == 1


def test_the_same_key_twice_is_one_message(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """One after the other, from another process, and after it was filed: one, and one reference."""
    headers = {"Idempotency-Key": "8f14e45f-ceea-467a-9575-1f0c6b1f1a11"}
    here, there = site(), site()
    answers = [here.post(headers=headers), here.post(headers=headers), there.post(headers=headers)]
    (lying,) = sandbox.imap.messages()
    with sandbox.imap.session() as client:
        client.create_folder("Support")
        client.select_folder("INBOX")
        client.move([lying.uid], "Support")
    answers.append(here.post(headers=headers))
    assert [each.status_code for each in answers] == [202] * 4
    assert {each.json()["reference"] for each in answers} == {reference_of(sandbox, lying.raw)}
    assert (len(sandbox.imap.messages()), len(sandbox.imap.messages("Support"))) == (0, 1)


def test_a_key_that_everybody_is_given_loses_nobody(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """What differs in a word, a file or the form is another message, and what has no key is always one."""
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


def test_two_machines_that_take_one_post_make_one_request(office: Office, standing_site: Site) -> None:
    """Where neither sees the other's message in time, both have one reference, and the daemon does the work once."""
    headers = {"Idempotency-Key": "both"}
    first = standing_site.post(headers=headers).json()["reference"]
    (moved,) = office.sandbox.imap.messages()
    with office.sandbox.imap.session() as client:
        client.select_folder("INBOX")
        client.create_folder("elsewhere")
        client.move([moved.uid], "elsewhere")
    second = standing_site.post(headers=headers).json()["reference"]
    # The clock of the other one may show another minute.
    office.sandbox.imap.deliver(re.sub(rb"(?m)^Date: .*?\r$", b"Date: Sun, 22 Nov 2026 10:00:59 +0000\r", moved.raw))
    assert first == second
    assert len(office.sandbox.imap.messages()) == 2
    assert list(office.once()) == [first]
    assert office.counts()["tickets"] == 1


ACCESS: dict[str, tuple[str, Callable[[bytes, float], dict[str, str]], int]] = {
    "anybody": ("contact", lambda *_: {}, 202),
    "token": ("quote", lambda *_: {"Authorization": f"Bearer {TOKEN}"}, 202),
    "token, another's": ("quote", lambda *_: {"Authorization": "Bearer another"}, 401),
    "token, none": ("quote", lambda *_: {}, 401),
    "token, not ASCII": ("quote", lambda *_: {"Authorization": "Bearer \xe9"}, 401),
    "a signature where a token is asked for": ("quote", lambda b, t: {"X-Figurative-Signature": signature(b, t)}, 401),
    "signature": ("signed", lambda b, t: {"X-Figurative-Signature": signature(b, t)}, 202),
    "signature, late": ("signed", lambda b, t: {"X-Figurative-Signature": signature(b, t - TOLERANCE_S - 5)}, 401),
    "signature, early": ("signed", lambda b, t: {"X-Figurative-Signature": signature(b, t + TOLERANCE_S + 5)}, 401),
    "signature, another's": ("signed", lambda b, t: {"X-Figurative-Signature": signature(b, t, "another-key")}, 401),
    "signature, of another body": ("signed", lambda b, t: {"X-Figurative-Signature": signature(b + b" ", t)}, 401),
    "signature, of another form": (
        "signed",
        lambda b, t: {"X-Figurative-Signature": signature(b, t, form="quote")},
        401,
    ),
    "signature, of another type": (
        "signed",
        lambda b, t: {"X-Figurative-Signature": signature(b, t, content_type="text/plain")},
        401,
    ),
    "signature, not one": ("signed", lambda *_: {"X-Figurative-Signature": "t=now,v1=0"}, 401),
    "signature, none": ("signed", lambda *_: {}, 401),
    "the key as a token": ("signed", lambda *_: {"Authorization": f"Bearer {KEY}"}, 401),
    "no such form": ("nothing", lambda *_: {}, 404),
}


@pytest.mark.parametrize(("form", "headers", "status"), ACCESS.values(), ids=ACCESS)
def test_who_may_post(
    sandbox: Sandbox,
    standing_site: Site,
    form: str,
    headers: Callable[[bytes, float], dict[str, str]],
    status: int,
) -> None:
    """Whoever has the token of the form or signs what is sent; nothing is left of anybody else's post."""
    body = json.dumps(CUSTOMER).encode()
    given = {name: value.encode("latin-1") for name, value in headers(body, time.time()).items()}
    answer = standing_site.post(form, json=None, content=body, headers={"Content-Type": b"application/json"} | given)
    assert answer.status_code == status
    assert len(delivered(sandbox)) == (status == 202)
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_signed_post_that_is_overheard_is_not_another_one(sandbox: Sandbox, standing_site: Site) -> None:
    """The same bytes with the same signature are the same message, whatever key is put beside them."""
    body = json.dumps(CUSTOMER).encode()
    headers = {"Content-Type": "application/json", "X-Figurative-Signature": signature(body, time.time())}
    references = {
        standing_site.post("signed", json=None, content=body, headers=headers | key).json()["reference"]
        for key in ({}, {}, {"Idempotency-Key": "another"})
    }
    assert (len(references), len(delivered(sandbox))) == (1, 1)


@pytest.mark.parametrize(
    ("names", "public", "tokens"),
    [("contact", "", ""), ("contact", "contact other", ""), ("contact", "contact", f"other={TOKEN}"), ("", "", "")],
)
def test_forms_that_nobody_can_use_are_refused(sandbox: Sandbox, names: str, public: str, tokens: str) -> None:
    """At the start, and not by the first customer."""
    given = {"FORMS_NAMES": names, "FORMS_PUBLIC": public, "FORMS_TOKENS": tokens, "FORMS_SIGNING_KEYS": ""}
    with pytest.raises(ConfigurationError, match=r"\[forms\] names: "):
        forms.make_app(settings_of(sandbox, **given))


def test_forms_without_an_address_are_refused(sandbox: Sandbox) -> None:
    """A mail comes from somebody: from the login where that is an address, else from the configured sender."""
    forms.make_app(settings_of(sandbox, IMAP_USERNAME="support", IMAP_OWN_DOMAINS="figurative.example"))
    with pytest.raises(ConfigurationError, match=r"\[smtp\] sender: "):
        forms.make_app(settings_of(sandbox, IMAP_USERNAME="support", SMTP_SENDER="", SMTP_HOST=""))


@pytest.mark.parametrize("package", ["python_multipart", "starlette", "uvicorn"])
def test_forms_without_their_packages_are_refused_by_check(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    """As `poller forms` would, with what is to be installed."""
    monkeypatch.setitem(sys.modules, package, None)
    (checked,) = check_forms(settings_of(sandbox))
    assert (checked.verdict, checked.seen) == ("refused", f"{package} is not installed: pip install '.[forms]'")


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
def test_forms_that_would_be_taken_for_a_stranger_s_are_refused(
    sandbox: Sandbox, given: dict[str, str], verdict: str | None, said: str
) -> None:
    """Their mails would not be the visitor's; `poller check` says so as well, and which setting to give."""
    settings = settings_of(sandbox, **given)
    checked = list(check_forms(settings))
    assert [each.verdict for each in checked] == ([verdict] if verdict else [])
    assert all(said in each.seen for each in checked)
    if verdict == "ok":
        forms.make_app(settings)
    else:
        with pytest.raises(ConfigurationError):
            forms.make_app(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FORMS_NAMES", "Contact"),
        ("FORMS_PUBLIC", "a/b"),
        ("FORMS_ORIGINS", "www.example.com"),
        ("FORMS_ORIGINS", "*"),
        ("FORMS_PROXIES", "proxy"),
        ("FORMS_HONEYPOT", "message"),
        ("FORMS_TOKENS", "contact=short"),
        ("FORMS_SIGNING_KEYS", "a-secret-without-a-form"),
    ],
)
def test_settings_that_mean_nothing_are_refused(sandbox: Sandbox, name: str, value: str) -> None:
    """Each is named, and no secret is shown."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        settings_of(sandbox, **{name: value})
    assert ("TOKENS" not in name and "KEYS" not in name) or value not in str(caught.value)


def test_a_form_may_have_a_token_and_a_key(sandbox: Sandbox) -> None:
    """Either will do."""
    form = forms_of(settings_of(sandbox, FORMS_SIGNING_KEYS=f"signed={KEY} quote={KEY}").forms)["quote"]
    assert (form.token, form.signing_key, form.public) == (TOKEN, KEY, False)


WRONG: dict[str, tuple[dict[str, Any], int, list[tuple[str, str]]]] = {
    "no JSON": ({"content": b"{"}, 400, []),
    "JSON that is too deep": ({"content": b"[" * 200_000}, 400, []),
    "JSON that is too long": ({"content": b'"' + b"x" * 1_000_000 + b'"'}, 413, []),
    "no object": ({"json": ["a"]}, 422, []),
    "nothing": ({"json": {}}, 422, [("email", "missing"), ("message", "missing")]),
    "a number": ({"json": {"email": 1, "message": "x"}}, 422, [("email", "not_text")]),
    "no address": ({"json": {"email": "a@b", "message": "x"}}, 422, [("email", "invalid")]),
    "two addresses": ({"json": {"email": "a@b.fr,c@d.fr", "message": "x"}}, 422, [("email", "invalid")]),
    "an address with a field": (
        {"json": {"email": "a@b.fr\r\nBcc: c@d.fr", "message": "x"}},
        422,
        [("email", "invalid")],
    ),
    "an address with a line end": ({"json": {"email": "a@b.fr\n", "message": "x"}}, 422, [("email", "invalid")]),
    "an address that nobody reads": (
        {"json": CUSTOMER | {"email": "no-reply@client.example"}},
        422,
        [("email", "no_answer")],
    ),
    "our own address": ({"json": CUSTOMER | {"email": "Support@Figurative.example"}}, 422, [("email", "no_answer")]),
    "our own address, with a word": (
        {"json": CUSTOMER | {"email": "support+x@figurative.example"}},
        422,
        [("email", "no_answer")],
    ),
    "a message that nobody can see": ({"json": CUSTOMER | {"message": " \u200b\n"}}, 422, [("message", "missing")]),
    "a long name": ({"json": CUSTOMER | {"name": "x" * 101}}, 422, [("name", "too_long")]),
    "a long message": ({"json": CUSTOMER | {"message": "x" * 50_001}}, 422, [("message", "too_long")]),
    "an unknown field": ({"json": CUSTOMER | {"phone\r\n": "1"}}, 422, [("phone", "unknown")]),
    "files that are none": ({"json": CUSTOMER | {"files": "x"}}, 422, [("files", "not_a_file")]),
    "a key that is none": ({"json": CUSTOMER | {"idempotency_key": "é"}}, 422, [("idempotency_key", "invalid")]),
    "a field twice": (
        {"files": [("email", (None, "a@b.fr"))] * 2 + [("message", (None, "x"))]},
        422,
        [("email", "repeated")],
    ),
    "a file for a text": ({"data": CUSTOMER, "files": {"name": ("a.txt", b"x")}}, 422, [("name", "not_text")]),
    "a file of another field": ({"data": CUSTOMER, "files": {"cv": ("a.txt", b"x")}}, 422, [("cv", "unknown")]),
    "too many files": ({"data": CUSTOMER, "files": [("files", ("a", b"x"))] * 11}, 422, [("files", "too_many")]),
    "too many parts": ({"files": [(f"f{n}", (None, "x")) for n in range(201)]}, 413, []),
    "another type": ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, []),
    "no boundary": ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 415, []),
    "no parts": ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400, []),
    "half a body": (
        {
            "content": b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\na@b.fr\r\n--b\r\n',
            "headers": {"Content-Type": "multipart/form-data; boundary=b"},
        },
        400,
        [],
    ),
    "a long boundary": (
        {"content": b"x", "headers": {"Content-Type": f"multipart/form-data; boundary={'b' * 999}"}},
        400,
        [],
    ),
    "a bad key": ({"headers": {"Idempotency-Key": "a b"}}, 400, []),
}


@pytest.mark.parametrize(("given", "status", "wrong"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(
    sandbox: Sandbox, standing_site: Site, given: dict[str, Any], status: int, wrong: list[tuple[str, str]]
) -> None:
    """As RFC 9457 has it, each field by a word that a program knows; nothing is left behind."""
    if "content" in given:
        given = {"headers": {"Content-Type": "application/json"}} | given
    answer = standing_site.post(**({"json": None} if {"content", "data", "files"} & set(given) else {}) | given)
    problem = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert (problem["status"], problem["type"], bool(problem["title"] and problem["detail"])) == (
        status,
        "about:blank",
        True,
    )
    assert [(each["field"], each["code"]) for each in problem.get("errors", [])] == wrong
    assert delivered(sandbox) == []


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_big_is_refused_at_once(standing_site: Site, announced: bool) -> None:
    """Before any of it came when it says how long it is, else when the limit is passed; not at its end."""
    length = b"Content-Length: 99000000" if announced else b"Transfer-Encoding: chunked"
    with socket.create_connection(("127.0.0.1", standing_site.port), timeout=10) as connection:
        connection.sendall(b"POST /forms/contact HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + length)
        connection.sendall(b"\r\n\r\n" + (b"" if announced else b"1e8481\r\n" + bytes(2_000_001)))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def half_a_post(port: int, form: str = "contact", header: str = "", length: int = 1_900_000) -> socket.socket:
    """A connection on which one byte of a long body has come."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    connection.sendall(f"POST /forms/{form} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{header}\r\n{{".encode())
    return connection


@pytest.mark.parametrize("setting", ["BODY_S", "SILENT_S"])
def test_a_sender_that_takes_its_time_is_not_waited_for(
    standing_site: Site, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """A length that is announced buys no time; only bytes that come do."""
    monkeypatch.setattr(form_intake, setting, 0.05)
    with half_a_post(standing_site.port) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("form", "header"), [("contact", ""), ("signed", "X-Figurative-Signature: t={},v1=" + "0" * 64 + "\r\n")]
)
def test_strangers_stand_in_nobodys_way(
    sandbox: Sandbox, site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, form: str, header: str
) -> None:
    """One address has few posts in hand, all strangers together so many; whoever shows a secret has places beside."""
    monkeypatch.setattr(form_intake, "IN_HAND", 5)
    here = site(FORMS_PROXIES="127.0.0.1")

    def begun(number: int) -> socket.socket:
        return half_a_post(here.port, form, f"X-Forwarded-For: 192.0.2.{number}\r\n" + header.format(int(time.time())))

    with ExitStack() as connections:
        held = [connections.enter_context(begun(number)) for number in (1, 1, 1, 1)]
        assert connections.enter_context(begun(1)).recv(1000).startswith(b"HTTP/1.1 503 ")
        held.append(connections.enter_context(begun(2)))
        assert connections.enter_context(begun(3)).recv(1000).startswith(b"HTTP/1.1 503 ")
        assert here.post("quote", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 202
        assert select.select(held, [], [], 0)[0] == []
    assert len(delivered(sandbox)) == 1


def test_a_connection_must_say_what_it_wants(site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the header of a request, whole and in time, it is closed: the first and every later one."""
    monkeypatch.setattr(form_connections, "REQUEST_S", 0.1)
    here = site()
    for said in (b"", b"GET /healthz HTTP/1.1\r\nHost:", b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\nGET /hea"):
        with socket.create_connection(("127.0.0.1", here.port), timeout=3) as connection:
            connection.sendall(said)
            while connection.recv(65536):
                pass


def test_a_connection_too_many_is_told_to_come_later(
    site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every problem is told, and hung up on; those before it go on, and there is room again when one has gone."""
    monkeypatch.setattr(form_connections, "CONNECTIONS", 1)
    here = site()
    assert here.client.get("/openapi.json").status_code == 200
    with httpx.Client(base_url=here.client.base_url, timeout=30) as another:
        refused = another.post("/forms/contact", json=CUSTOMER)
        assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
        assert refused.json()["detail"] == "too many connections are open"
        assert (refused.headers["retry-after"], refused.headers["connection"]) == ("10", "close")
        assert here.post().status_code == 202
        here.client.close()
        while another.get("/openapi.json").status_code == 503:
            pass


@pytest.mark.parametrize(
    ("says", "status", "again"),
    [
        (b"[TOOBIG] Message size exceeds the limit", 413, False),
        (b"[CANNOT] no such message here", 500, False),
        (b"[UNAVAILABLE] later", 503, True),
    ],
)
def test_what_the_mail_server_says_no_to(
    sandbox: Sandbox, site: Callable[..., Site], says: bytes, status: int, again: bool
) -> None:
    """Only what may change is to be sent again."""
    appended: list[bytes] = []

    def answered(client: socket.socket, piece: bytes) -> bool:
        if b" APPEND " not in piece:
            return False
        appended.append(piece)
        client.sendall(piece.split()[0] + b" NO " + says + b"\r\n")
        return True

    with line(sandbox, lambda _: True, lambda _: True, answered) as port:
        answer = site(IMAP_PORT=str(port)).post()
    assert (answer.status_code, "Retry-After" in answer.headers, len(appended)) == (status, again, 1)
    assert delivered(sandbox) == []


def unaccepted(listener: socket.socket) -> int:
    """Count the connections that nobody has accepted."""
    listener.setblocking(False)
    number = 0
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            number += 1
    return number


def test_a_mail_server_that_hangs_is_waited_for_once(
    sandbox: Sandbox, site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who wait for a session do not find out one after the other."""
    monkeypatch.setattr(letterbox, "DROP_S", 0.3)
    monkeypatch.setattr(form_intake, "IN_HAND_EACH", 12)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent, ThreadPoolExecutor(12) as pool:
        here = site(IMAP_PORT=str(silent.getsockname()[1]))
        answers = [each.result() for each in [pool.submit(here.post) for _ in range(12)]]
        tried = unaccepted(silent)
    assert {(each.status_code, "Retry-After" in each.headers) for each in answers} == {(503, True)}
    assert tried == form_intake.SESSIONS
    assert delivered(sandbox) == []


@pytest.mark.parametrize(
    ("accept", "size"),
    [
        pytest.param("application/json", 300_000, id="no room for the body"),
        pytest.param("text/html", 180_000, id="no room for the message"),
    ],
)
def test_a_full_disk_is_over_some_day(site: Callable[..., Site], accept: str, size: int) -> None:
    """It is said as a mailbox out of reach is, to a person as a page."""
    here, model = site(), {"files": ("a.glb", bytes(size))}
    limits, heeded = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        answer = here.post(json=None, data=CUSTOMER, files=model, headers={"Accept": accept})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, heeded)
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert ("text/html" in answer.headers["Content-Type"]) == (accept == "text/html")


def test_what_a_full_disk_did_not_take_is_not_missed() -> None:
    """A file that is to be forgotten may be closed half written."""
    with Filled() as filled:
        filled.open.enter_context(Path("/dev/full").open("wb")).write(b"x")  # noqa: SIM115  it closes it


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("PUT", "/forms/contact", 405)])
def test_the_frameworks_own_errors_look_alike(standing_site: Site, method: str, path: str, status: int) -> None:
    """A program that knows one problem knows them all."""
    answer = standing_site.client.request(method, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status
    if status == 405:
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_a_program_that_fills_in_everything_is_thanked(sandbox: Sandbox, standing_site: Site) -> None:
    """Where the field that no person sees is filled in, the answer looks like any other, and nothing is done."""
    filled_in = CUSTOMER | {"topic_again": "https://spam.example"}
    answer = standing_site.post(json=filled_in)
    assert answer.status_code == 202
    assert re.fullmatch("[0-9a-f]{16}", answer.json()["reference"])
    assert delivered(sandbox) == []
    # Whoever shows a secret is no such program.
    standing_site.post("quote", json=filled_in, headers={"Authorization": f"Bearer {TOKEN}"})
    assert len(delivered(sandbox)) == 1


def test_a_mailbox_out_of_reach_is_said(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """503 and when to come back; nothing is kept, and the same post goes through when it is back."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = listener.getsockname()[1]
    down = site(IMAP_PORT=str(nobody))
    answer = down.post(headers={"Idempotency-Key": "k"})
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
    assert answer.json()["detail"] == "the mailbox is out of reach; nothing was kept"
    assert down.client.get("/healthz").status_code == 503
    refused = site(IMAP_PASSWORD="another")
    assert refused.post().status_code == 503
    up = site()
    assert up.post(headers={"Idempotency-Key": "k"}).status_code == 202
    assert (up.client.get("/healthz").json(), len(delivered(sandbox))) == ({"status": "ok"}, 1)


@contextmanager
def line(
    sandbox: Sandbox,
    outgoing: Callable[[bytes], bool],
    incoming: Callable[[bytes], bool],
    answered: Callable[[socket.socket, bytes], bool] = lambda *_: False,
) -> Iterator[int]:
    """A line to the mail server, by its port, which is cut where one of these says no to what goes by.

    What the last one answers for the server goes no further.
    """

    def carry(source: socket.socket, target: socket.socket, goes: Callable[[bytes], bool]) -> None:
        with suppress(OSError):  # The other way was cut meanwhile.
            while (piece := _received(source)) and goes(piece):
                if not answered(source, piece):
                    target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection((sandbox.imap.host, sandbox.imap.port))
            open_ends.extend((client, server))
            for way in ((client, server, outgoing), (server, client, incoming)):
                threading.Thread(target=carry, args=way, daemon=True).start()

    open_ends: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for end in open_ends:
                end.close()


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


@pytest.mark.parametrize(("after_the_answer", "left"), [(False, 0), (True, 1)])
def test_a_mailbox_that_goes_down_in_mid_request(
    sandbox: Sandbox, site: Callable[..., Site], after_the_answer: bool, left: int
) -> None:
    """Half a message is none; and of one whose answer was lost there is one, however often it is sent again."""
    cut: list[bytes] = []

    def goes(piece: bytes) -> bool:
        if cut or (b" OK [APPENDUID" if after_the_answer else b" APPEND ") not in piece:
            return True
        cut.append(piece)
        return False

    with line(sandbox, goes, goes) as port:
        here, headers = site(IMAP_PORT=str(port)), {"Idempotency-Key": "k"}
        assert here.post(headers=headers).status_code == 503
        assert len(delivered(sandbox)) == left
        assert here.post(headers=headers).status_code == 202
    assert len(delivered(sandbox)) == 1


def test_how_often_one_address_may_post(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """So many an hour, then 429 with when to come back; behind a proxy of ours by whom the proxy names."""
    here = site(FORMS_MAX_PER_ADDRESS_PER_H="2", FORMS_PROXIES="127.0.0.1")

    def posted(forwarded_for: str) -> int:
        return here.post(headers={"X-Forwarded-For": forwarded_for}).status_code

    assert [posted("192.0.2.1"), posted("192.0.2.1"), posted("192.0.2.1")] == [202, 202, 429]
    assert posted("192.0.2.1, 192.0.2.2") == 202
    assert posted("192.0.2.2, 192.0.2.1") == 429
    answer = here.post(headers={"X-Forwarded-For": "192.0.2.1"})
    assert 1700 < int(answer.headers["Retry-After"]) <= 1801
    assert len(delivered(sandbox)) == 3


def test_a_site_posts_as_often_as_it_likes(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """All its visitors come from one address, and it shows its secret."""
    here, token = site(FORMS_MAX_PER_ADDRESS_PER_H="1"), {"Authorization": f"Bearer {TOKEN}"}
    assert [here.post("quote", headers=token).status_code for _ in range(3)] == [202] * 3
    assert len(delivered(sandbox)) == 3


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "proxies", "address"),
    [
        ("192.0.2.1", ["198.51.100.1"], "", "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.1"], "192.0.2.0/24", "198.51.100.1"),
        ("192.0.2.1", ["203.0.113.9, 198.51.100.1, 192.0.2.7"], "192.0.2.0/24", "198.51.100.1"),
        ("192.0.2.1", ["203.0.113.9", "198.51.100.1"], "192.0.2.1", "198.51.100.1"),
        ("192.0.2.1", ["unknown"], "192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", [], "192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", ["2001:db8::1"], "192.0.2.1", "2001:db8::1"),
        ("a socket", ["192.0.2.1"], "192.0.2.1", ""),
    ],
)
def test_who_posts_behind_a_proxy(peer: str, forwarded_for: list[str], proxies: str, address: str) -> None:
    """The last address that a proxy of ours did not write of another one."""
    assert client_address(peer, forwarded_for, networks_of(proxies)) == address


def test_the_rate_runs_by_the_hour() -> None:
    """What was posted is worked off evenly, a household of IPv6 counts as one, and memory does not grow."""
    rate = Rate(2)
    assert [rate.wait_s("2001:db8::1", at) for at in (0, 0)] == [0, 0]
    assert rate.wait_s("2001:db8::2", 0) == HOUR_S / 2
    assert [rate.wait_s("2001:db8::2", at) for at in (HOUR_S / 2, HOUR_S / 2)] == [0, HOUR_S / 2]
    assert rate.wait_s("2001:db8:0:1::1", 0) == 0
    for number in range(KEPT + 10):
        rate.wait_s(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", HOUR_S)
    assert len(rate._free_at_s) == KEPT
    assert [Rate(0).wait_s("", 0) for _ in range(9)] == [0] * 9


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://www.figurative.example", 202),
        ("https://evil.example", 403),
        ("http://[", 403),
        ("null", 403),
        ("", 202),
    ],
)
def test_which_pages_may_post(sandbox: Sandbox, site: Callable[..., Site], origin: str, status: int) -> None:
    """Those of the configured origins, by CORS for a script and by refusal for a form; a program names none."""
    here = site(FORMS_ORIGINS="https://www.figurative.example")
    headers = {"Origin": origin} if origin else {}
    answer = here.post(headers=headers)
    allowed = origin if origin and status == 202 else None
    assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (status, allowed)
    assert len(delivered(sandbox)) == (status == 202)
    if origin:
        asked = headers | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        preflight = here.client.options("/forms/contact", headers=asked)
        assert preflight.headers.get("Access-Control-Allow-Origin") == allowed


@needs_dovecot
def test_a_large_upload_stays_out_of_memory(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """Ten megabytes are taken, made into a mail and handed on, and not two of them are in memory at once."""
    import tracemalloc  # noqa: PLC0415  it is slow, and only for this

    here = site()
    size = 10_000_000
    head = (
        b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\na@b.example\r\n'
        b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\nx\r\n'
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.glb"\r\n\r\n'
    )

    def pieces() -> Iterator[bytes]:
        yield head
        for _ in range(size // 50_000):
            yield bytes(50_000)
        yield b"\r\n--b--\r\n"

    tracemalloc.start()
    try:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = here.post(json=None, content=pieces(), headers=headers)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 202
    (mail,) = delivered(sandbox)
    assert len(next(mail.iter_attachments()).get_payload(decode=True)) == size
    assert most < 4_000_000


def test_the_page_is_shown_where_it_is_on(site: Callable[..., Site]) -> None:
    """For a public form, without script or anything from elsewhere; for another one, or when it is off, not at all."""
    here = site()
    page = here.client.get("/forms/contact")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in page.text
    assert 'lang="fr"' in page.text
    fields = re.findall(r'<(?:input|textarea) id="(\w+)"', page.text)
    assert fields == ["name", "email", "subject", "message", "files", "extra"]
    assert all(f'<label for="{each}">' in page.text for each in fields)
    assert here.client.get("/forms/quote").status_code == 404
    assert site(FORMS_PAGE="false").client.get("/forms/contact").status_code == 405


def test_the_page_says_what_is_wrong_and_keeps_what_was_written(sandbox: Sandbox, standing_site: Site) -> None:
    """In French, beside the field; and what a stranger wrote is text there."""
    sent = CUSTOMER | {"email": "", "message": "</textarea><script>alert(1)</script>", "name": '"><b>'}
    answer = standing_site.post(
        json=None, files={each: (None, value) for each, value in sent.items()}, headers={"Accept": "text/html"}
    )
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "text/html; charset=utf-8")
    assert "Indiquez votre adresse électronique" in answer.text
    assert 'aria-invalid="true" aria-describedby="email-wrong"' in answer.text
    assert "&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt;</textarea>" in answer.text
    assert 'value="&quot;&gt;&lt;b&gt;"' in answer.text
    assert "<script" not in answer.text
    assert delivered(sandbox) == []


def test_the_page_thanks(sandbox: Sandbox, standing_site: Site) -> None:
    """With the reference; and a page that is sent twice is one message."""
    here = standing_site
    key = re.findall(r'name="idempotency_key" value="(\w+)"', here.client.get("/forms/contact").text)[0]
    sent = {each: (None, value) for each, value in (CUSTOMER | {"idempotency_key": key}).items()}
    answers = [here.post(json=None, files=sent, headers={"Accept": "text/html"}) for _ in range(2)]
    (mail,) = sandbox.imap.messages()
    for answer in answers:
        assert answer.status_code == 202
        assert f"<strong>{reference_of(sandbox, mail.raw)}</strong>" in answer.text


@pytest.mark.skipif(not EXECUTABLE, reason="Chromium is not installed: apt install chromium")
def test_a_person_fills_in_the_page(office: Office, standing_site: Site, tmp_path: Path) -> None:
    """With the keyboard alone, in a real browser: a mistake is said aloud, and at last there is a ticket."""
    here, model = standing_site, tmp_path / "chaise été.glb"
    model.write_bytes(GLB)
    with Browser(tmp_path / "profile") as browser:
        browser.open(f"{here.client.base_url}/forms/contact")
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        found = [each for each in browser.accessible() if each[0] in {"textbox", "button", "heading"}]
        assert found == [
            ("heading", "Formulaire «\xa0contact\xa0»"),
            ("textbox", "Nom"),
            ("textbox", "Adresse électronique (obligatoire)"),
            ("textbox", "Objet"),
            ("textbox", "Message (obligatoire)"),
            ("button", "Fichiers"),
            ("button", "Envoyer"),
        ]
        browser.type("#name", CUSTOMER["name"])
        browser.press("Tab")
        assert browser.run("document.activeElement.id") == "email"
        # Chromium takes this for an address, and we do not.
        browser.type("#email", "jeanne@petit")
        browser.type("#message", CUSTOMER["message"])
        browser.press("Tab")
        browser.press("Tab")
        assert browser.run("document.activeElement.textContent") == "Envoyer"
        browser.press("Enter")
        browser.loaded()
        assert browser.run("document.title").startswith("Erreur")
        assert any(role == "alert" for role, _ in browser.accessible())
        assert browser.run("document.querySelector('#message').value") == CUSTOMER["message"]
        browser.run("document.querySelector('#email').value = ''")
        browser.type("#email", CUSTOMER["email"])
        browser.choose("#files", model)
        browser.run("document.querySelector('button').focus()")
        browser.press("Enter")
        browser.loaded()
        assert browser.run("document.querySelector('h1').textContent") == "Message envoyé"
        reference = browser.run("document.querySelector('strong').textContent")
        assert browser.complaints() == []

    assert [(each, standing.outcome) for each, standing in office.once().items()] == [(reference, "modelisation")]
    assert office.sandbox.hubspot.contacts[0].properties["email"] == CUSTOMER["email"]
    assert [each.body for each in office.sandbox.s3.objects] == [GLB]
    assert reference in office.sandbox.hubspot.tickets[0].properties["content"]


@pytest.mark.parametrize(
    ("method", "mode", "common"),
    [
        ("POST", schemathesis.GenerationMode.POSITIVE, 202),
        ("POST", schemathesis.GenerationMode.NEGATIVE, 422),
        ("GET", schemathesis.GenerationMode.POSITIVE, 200),
    ],
    ids=["taken", "not taken", "page"],
)
def test_the_document_says_what_is_so(
    site: Callable[..., Site], method: str, mode: schemathesis.GenerationMode, common: int
) -> None:
    """Schemathesis finds no answer that /openapi.json does not promise, nor a post that is taken against its word."""
    # Its patterns repeat as often as a text is long, and each of tens of thousands takes it a second to read.
    here = site(FORMS_MAX_PER_ADDRESS_PER_H="0", FORMS_MAX_TEXT_CHARS="500")
    document = here.client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    # What is delivered is another test's matter; and one form is enough for a few seconds.
    form = document["paths"].pop("/forms/{form}")
    for operation in form.values():
        operation["parameters"] = [each for each in operation.get("parameters", ()) if each["in"] != "path"]
    document["paths"] = {"/forms/contact": form}
    for body in form["post"]["requestBody"]["content"].values():
        del body["schema"]["properties"]["topic_again"]  # or most that is taken is dropped
    schema = schemathesis.openapi.from_dict(document)
    seen: set[int] = set()
    schema.config.base_url = str(here.client.base_url)

    # A text is all that multipart/form-data knows: "true" is one, and only schemathesis knows that it was none.
    blind = [negative_data_rejection]

    @given(strategies.data())
    @hypothesis.settings(max_examples=20, deadline=None, derandomize=True, database=None)
    def conforms(data: strategies.DataObject) -> None:
        case = data.draw(schema["/forms/contact"][method].as_strategy(generation_mode=mode))
        answer = case.call()
        seen.add(answer.status_code)
        case.validate_response(answer, excluded_checks=blind if case.media_type == "multipart/form-data" else [])

    conforms()
    assert common in seen


def test_it_is_served_by_its_command(office: Office) -> None:
    """`poller forms` takes posts until it is told to stop, and says where it listens."""
    process = office.begin("forms", "--port", "0", FORMS_NAMES="contact", FORMS_PUBLIC="contact")
    port = next(json.loads(line)["port"] for line in process.stderr if "forms_listening" in line)
    assert httpx.post(f"http://127.0.0.1:{port}/forms/contact", json=CUSTOMER).status_code == 202
    process.send_signal(signal.SIGTERM)
    assert process.end().returncode == 0
    assert office.mailboxes() == {"INBOX": 1}


def test_a_port_that_is_taken_is_one_line(office: Office) -> None:
    """And 78, on which systemd does not start it again and again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = office.begin("forms", "--port", port, FORMS_NAMES="contact", FORMS_PUBLIC="contact").end()
    assert process.returncode == 78
    assert process.stderr.strip() == f"poller: 127.0.0.1 port {port} cannot be listened on: Address already in use"


def test_it_is_served_by_uvicorn(office: Office, tmp_path: Path) -> None:
    """`uvicorn poller.forms:app` finds its settings where the daemon does, and names what is wrong with them."""
    (tmp_path / "config.toml").write_text('[forms]\nnames = "contact"\n')
    (tmp_path / ".env").write_text(f"FORMS_TOKENS=contact={TOKEN}\n")
    (tmp_path / ".env").chmod(0o600)
    command = [sys.executable, "-m", "uvicorn", "poller.forms:app", "--port", "0", "--app-dir", str(ROOT)]
    environment = os.environ | office.environment
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        port = next(found[1] for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:(\d+)", line)))
        url, headers = f"http://127.0.0.1:{port}/forms/contact", {"Authorization": f"Bearer {TOKEN}"}
        assert [httpx.post(url, json=CUSTOMER, headers=each).status_code for each in ({}, headers)] == [401, 202]
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
    assert "form_delivered" in said
    assert "POST" not in said
    refused = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment | {"FORMS_PUBLIC": "Contact"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (refused.returncode, "environment: FORMS_PUBLIC: must be names" in refused.stderr) == (78, True)


def test_nothing_of_a_post_is_logged(site: Callable[..., Site], caplog: pytest.LogCaptureFixture) -> None:
    """Neither of one that was taken nor of one that was not."""
    caplog.set_level(logging.DEBUG)
    here = site()
    here.post()
    here.post(json=CUSTOMER | {"secret-field": "x"})
    here.post(json=None, data=CUSTOMER, files={"files": ("secret.glb", GLB)})
    said = caplog.text
    for word in ("jeanne", "petit", "chaise", "modéliser", "secret", "127.0.0.1:"):
        assert word not in said.lower().replace(f"127.0.0.1:{here.port}", "")
