"""Pictures in the text of a mail: which of them an answer only quotes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from poller.parsing.pictures import shown_in_history
from poller.triage.attachment_policy import decide_uploads
from tests.parsing.helpers import multipart, read
from tests.support.effort import one_pass

CASES = os.environ.get("MAIL_CASES", "")

OWN, OLD = '<p>Voici&nbsp;: <img src="cid:own"></p>', '<p>Bonjour <img alt="x" src="CID:old"></p>'
GMAIL = (
    '<div dir="ltr">{}</div><div class="gmail_quote"><div class="gmail_attr">Le mar. 3 nov. 2026 à 10:12, Studio '
    '&lt;studio@figurative.example&gt; a écrit :<br></div><blockquote class="gmail_quote">{}</blockquote></div>'
)
BELOW = (
    '<div class="moz-cite-prefix">Le 03/11/2026 à 10:12, Studio a écrit&nbsp;:<br></div>'
    '<blockquote type="cite" cite="mid:1">{1}</blockquote><p>{0}</p>'
)
OUTLOOK = (
    '<div class="WordSection1">{}</div><div style="border-top:solid #E1E1E1 1.0pt"><p><b>De :</b> Studio '
    "&lt;studio@figurative.example&gt;<br><b>Envoyé :</b> mardi 3 novembre 2026 10:12<br><b>À :</b> Claire "
    "&lt;claire@vasseur.example&gt;<br><b>Objet :</b> Fauteuil</p></div>{}"
)


@pytest.mark.parametrize("mail", [GMAIL, BELOW, OUTLOOK], ids=["gmail", "below the quotation", "outlook"])
def test_picture_of_the_history_is_told_from_an_own_one(mail: str) -> None:
    assert shown_in_history(mail.format(OWN, OLD), "Re: Fauteuil") == {"old"}
    assert shown_in_history(mail.format(OWN, OWN), "Re: Fauteuil") == set()


@pytest.mark.parametrize("mail", [GMAIL, BELOW, OUTLOOK], ids=["gmail", "below the quotation", "outlook"])
def test_answer_may_be_a_picture_alone(mail: str) -> None:
    assert shown_in_history(mail.format('<img src="cid:own">', OLD), "Re: Fauteuil") == {"old"}


@pytest.mark.parametrize("html", ["", "<p>Bonjour</p>", "<!-- cid:x -->", '<img src="cid:a%40b">', "<" * 9 + "cid:x"])
def test_mail_without_history_has_no_picture_of_it(html: str) -> None:
    assert shown_in_history(html, "Fauteuil") == set()


def test_forward_has_no_history() -> None:
    """Its sender wants what stands below to be seen."""
    assert shown_in_history(OUTLOOK.format("Pour info", OLD), "TR: Fauteuil") == set()


@pytest.mark.parametrize("piece", [OWN, f"<blockquote>{OLD}</blockquote>", "<blockquote>", '<img src="cid:x">'])
def test_effort_grows_with_the_length(piece: str) -> None:
    one_pass(lambda html: shown_in_history(html, "Re: x"), piece, length=100_000)


ANSWER = b"From: Lou <lou@example.com>\r\nMessage-ID: <2@example.com>\r\nReferences: <1@example.com>\r\n"


def test_attachment_says_that_an_answer_only_quotes_it(tmp_path: Path) -> None:
    """Both are pictures of the text, each with a fingerprint whatever its size."""
    html = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + GMAIL.format(OWN, OLD).encode()
    images = [
        b"Content-Type: image/png\r\nContent-ID: <%b>\r\n\r\n" % name + b"\x89PNG\r\n\x1a\n".ljust(1_500_000, name[1:2])
        for name in (b"own", b"old")
    ]
    files = read(tmp_path, multipart(html, *images, subtype=b"related", top=ANSWER)).attachments
    assert [(file.inline, file.quoted, len(file.fingerprint)) for file in files] == [
        (True, False, 32),
        (True, True, 32),
    ]
    files = read(tmp_path, multipart(html, *images, subtype=b"related")).attachments
    assert [file.quoted for file in files] == [False, False], "it is no answer"


@pytest.mark.skipif(not CASES, reason="run with MAIL_CASES=<folder of small mails, each a public bug report>")
def test_photos_of_an_iphone_that_the_text_shows_are_files(tmp_path: Path) -> None:
    request = read(tmp_path, (Path(CASES) / "f02_iphone_cid_photos.eml").read_bytes())
    assert [(file.filename, file.inline) for file in request.attachments] == [
        (f"image{number}.jpeg", True) for number in range(3)
    ]
    assert [str(fate) for fate in decide_uploads(request)] == ["file"] * 3
