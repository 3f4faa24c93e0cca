"""Other projects' mails, and hostile ones: all of them parse, and every file in them is found."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from poller.escaping import file_name
from poller.parsing import parser
from tests.support.effort import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.model import Request

MOST_CALLS = 5_000_000  # that a mail may cost
CORPUS = Path(os.environ.get("MAIL_CORPUS", "")) if os.environ.get("MAIL_CORPUS") else None
pytestmark = pytest.mark.skipif(CORPUS is None, reason="run with MAIL_CORPUS=<folder of .eml files and expected.jsonl>")
MAILS = sorted(str(path.relative_to(CORPUS)) for path in CORPUS.rglob("*.eml")) if CORPUS else []

MARKUP = re.compile(r"<(style|script|head|title).*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
UNSEEN = re.compile("[\0-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

# What other projects expect and we do not give, each for its reason.
EXCEPTIONS = {
    ("hostile_generated/yenc_body.eml", "attachments"): "yEnc is Usenet's: it stays in the text",
    (
        "imap_tools/messages_error_emails_content_transfer_encoding_empty.eml",
        "html",
    ): "theirs is decoded as Big5, twice",
    ("imap_tools/messages_plain_emails_mix_caps_content_type.eml", "from_email"): "the name is no part of the address",
    ("imap_tools/messages_plain_emails_mix_caps_content_type.eml", "from_name"): "likewise",
    ("imap_tools/messages_plain_emails_raw_email_incorrect_header.eml", "subject"): "we repair this header",
    ("imap_tools/messages_plain_emails_raw_email_incorrect_header.eml", "from_email"): "likewise",
    ("imap_tools/messages_plain_emails_raw_email_incorrect_header.eml", "text"): "likewise",
    ("imap_tools/messages_rfc2822_example10.eml", "from_name"): "their name has the comments of the address in it",
    ("imap_tools/messages_rfc2822_example13.eml", "subject"): "the space before the colon is obsolete syntax, not junk",
    ("imap_tools/messages_rfc2822_example13.eml", "from_email"): "likewise",
    ("imap_tools/messages_rfc2822_example13.eml", "text"): "likewise",
    ("imap_tools/messages_rfc2822_example14.eml", "subject"): "the space before an encoded word is one",
    ("hostile_generated/fwd_rfc822_base64.eml", "attachments"): "the message is opened, and is no file any more",
    ("php_mmp/mails_m0018.eml", "attachments"): "the text that Exchange attaches is read, and is no file any more",
    # In the list of binary parts:
    ("mimekit/mbox_content-length.mbox.txt_n10.eml", "parts"): "the signature is opened, and is no file any more",
    ("mimekit/mbox_content-length.mbox.txt_n18.eml", "parts"): "likewise",
    ("mimekit/tnef_rich-text.eml", "parts"): "the winmail.dat is opened, and is no file any more",
    ("mimekit/tnef_ukr.eml", "parts"): "likewise",
    ("php_mmp/mails_m0018.eml", "parts"): "its base64 is broken, and the list has it undecoded",
}


def parse(path: Path) -> Request:
    return parser.parse(path, "support@example.com", datetime(2026, 11, 3, tzinfo=UTC))


def lines_of(name: str) -> list[Any]:
    if CORPUS is None:
        return []
    cases = [json.loads(line) for line in (CORPUS / name).read_text("utf-8").splitlines()]
    return [pytest.param(case, id=case["mail"]) for case in cases]


def digests(request: Request, directory: Path) -> Iterator[str]:
    """SHA-256 of every file in a mail, and of those in the messages that are attached to it."""
    for number, attachment in enumerate(request.attachments):
        with attachment.content.open() as stream:
            content = stream.read()
        yield hashlib.sha256(content).hexdigest()
        if attachment.content_type.startswith("message/") and attachment.filename != "message-complet.eml":
            nested = directory / f"{number}.eml"
            nested.write_bytes(content)
            deeper = directory / str(number)
            deeper.mkdir()
            yield from digests(parse(nested), deeper)


def folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def words(text: str) -> list[str]:
    return re.findall(r"\w+", folded(text))


@pytest.mark.parametrize("mail", MAILS)
def test_every_corpus_mail_is_parsed_quickly(mail: str) -> None:
    assert CORPUS is not None
    with counted(MOST_CALLS):
        request = parse(CORPUS / mail)
    assert len(request.text) <= 100_000
    assert not re.search("[\0-\x08\x0b-\x1f\ud800-\udfff]", request.text)
    assert request.newest or not re.search(r"\w", request.text)
    visible = [request.subject, *(file.filename for file in request.attachments)]
    assert not any(UNSEEN.search(line) for line in visible)


@pytest.mark.parametrize("case", lines_of("parts.jsonl"))
def test_no_binary_part_is_lost(case: dict[str, Any], tmp_path: Path) -> None:
    assert CORPUS is not None
    if (case["mail"], "parts") in EXCEPTIONS:
        case["parts"] = []
    found = set(digests(parse(CORPUS / case["mail"]), tmp_path))
    assert [part for part in case["parts"] if part["sha256"] not in found] == []


@pytest.mark.parametrize("case", lines_of("expected.jsonl"))
def test_corpus_expectations_of_other_projects_hold(case: dict[str, Any], tmp_path: Path) -> None:
    assert CORPUS is not None
    mail = case.pop("mail")
    for exception in EXCEPTIONS:
        if exception[0] == mail:
            case.pop(exception[1], None)
    request = parse(CORPUS / mail)
    given = {
        "subject": folded(request.subject),
        "from_email": request.author.addr_spec.lower(),
        "from_name": folded(request.author.display_name),
    }
    case["from_email"] = case.get("from_email", given["from_email"]).lower()
    assert given == {field: folded(case.get(field, value)) for field, value in given.items()}
    if case.get("date"):
        assert request.sent_at == datetime.fromisoformat(case["date"])
    if case.get("text"):
        wanted, have = words(case["text"]), set(words(request.text))
        assert sum(word in have for word in wanted) >= 0.97 * len(wanted)
        assert request.text.count("\ufffd") <= case["text"].count("\ufffd")
    elif case.get("html"):
        wanted, have = words(MARKUP.sub(" ", case["html"])), set(words(request.text))
        assert sum(word in have for word in wanted) >= 0.9 * len(wanted)
    # Messages that are attached are compared by their name alone: theirs are written anew by the email package.
    files = [file for file in case.get("attachments", []) if not file.get("rfc822")]
    found = set(digests(request, tmp_path))
    assert [file for file in files if file.get("sha256") and file["sha256"] not in found] == []
    names = {file_name(folded(file["name"])) for file in files if file.get("name")}
    nested = any(file.content_type == "message/rfc822" for file in request.attachments)
    assert names <= {file.filename for file in request.attachments} or nested


MEASURE = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from poller.parsing import parser
mails = sorted(Path(sys.argv[1]).rglob("*.eml"))
parser.parse(min(mails, key=lambda mail: mail.stat().st_size), "a", datetime.now(UTC))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for mail in mails:
    parser.parse(mail, "a", datetime.now(UTC))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_no_mail_takes_more_than_60_mb() -> None:
    command = [sys.executable, "-c", MEASURE, str(CORPUS)]
    root = Path(parser.__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert int(done.stdout) < 60_000
