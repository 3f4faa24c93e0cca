"""Tests of the `inspect` command."""

from __future__ import annotations

import json
import re
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from poller.cli.samples import samples
from tests.support.command import run

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [
    *("reference", "sender", "author", "subject", "text", "newest", "attachments", "links", "in_reply_to"),
    *("references", "original_senders", "ignored", "defects", "rules"),
]


def answer() -> EmailMessage:
    """Return an answer through a Reply-To, with a plan, a program and a history."""
    message = EmailMessage()
    message["From"] = "Claire Périn <claire@client.example>"
    message["Reply-To"] = "Atelier <atelier@client.example>"
    message["To"] = "support@figurative.example"
    message["Subject"] = "RE: Fauteuil 12"
    message["Message-ID"] = "<2@client.example>"
    message["In-Reply-To"] = "<1@figurative.example>"
    message["References"] = "<0@figurative.example> <1@figurative.example>"
    message["Date"] = "Sun, 22 Nov 2026 10:00:00 +0100"
    message.set_content(
        "Voici le plan : https://we.tl/t-AbCdEf1234\n\n"
        "Le 3 mai 2026 à 10:00, Studio <studio@figurative.example> a écrit :\n> Avez-vous un plan ?\n"
    )
    message.add_attachment(b"%PDF-1.4\n%%EOF\n", "application", "pdf", filename="Plan été.pdf")
    message.add_attachment(b"MZ\x90\x00", "application", "octet-stream", filename="outil.exe")
    return message


def written(folder: Path, message: EmailMessage | bytes) -> str:
    path = folder / "mail.eml"
    path.write_bytes(message if isinstance(message, bytes) else message.as_bytes())
    return str(path)


def inspected(folder: Path, message: EmailMessage | bytes, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("inspect", written(folder, message), "--json", *options).stdout)
    return found


def test_inspect_json_has_the_documented_names(tmp_path: Path) -> None:
    seen = inspected(tmp_path, answer())
    assert list(seen) == NAMES
    assert re.fullmatch(r"[0-9a-f]{16}", seen.pop("reference"))
    text = seen.pop("text")
    assert text.startswith("Voici le plan")
    assert text.endswith("> Avez-vous un plan ?")
    plan, program = seen.pop("attachments")
    assert plan == {
        "name": "Plan été.pdf",
        "kind": "document",
        "fate": "file",
        "reason": "of a kind that is stored: document",
        "size_bytes": 15,
        "content_type": "application/pdf",
    }
    assert (program["fate"], program["reason"]) == ("refused", "a program, a page or a script")
    assert seen == {
        "sender": {"address": "atelier@client.example", "name": "Atelier"},
        "author": {"address": "claire@client.example", "name": "Claire Périn"},
        "subject": "RE: Fauteuil 12",
        "newest": "Voici le plan : https://we.tl/t-AbCdEf1234",
        "links": ["https://we.tl/t-AbCdEf1234"],
        "in_reply_to": ["<1@figurative.example>"],
        "references": ["<0@figurative.example>", "<1@figurative.example>"],
        "original_senders": [],
        "ignored": None,
        "defects": [],
        "rules": None,
    }


def test_inspect_names_verdict_of_the_rules_and_of_the_screening(tmp_path: Path) -> None:
    seen = inspected(tmp_path, samples()["support"])
    assert seen["rules"]["category"] == "SUPPORT"
    assert seen["rules"]["confidence"] >= 0.9
    assert seen["rules"]["reason"].startswith("Le message parle ")
    assert seen["ignored"] is None
    assert inspected(tmp_path, samples()["auto_reply"])["ignored"]


def test_inspect_finds_customer_of_forward_by_own_domain(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Authentication-Results"] = "mx.figurative.example; dmarc=pass header.from=figurative.example"
    message["From"] = "Lina <lina@figurative.example>"
    message["Subject"] = "TR: chaise"
    message.set_content(
        "Pour toi.\n\n---------- Forwarded message ---------\nDe : Jeanne <jeanne@client.example>\n"
        "Date : lun. 2 nov. 2026\nSubject: chaise\nTo: <lina@figurative.example>\n\nUne chaise, svp.\n"
    )
    own = ("--own-domain", "Figurative.example", "--authserv-id", "mx.figurative.example")
    without, with_ = inspected(tmp_path, message), inspected(tmp_path, message, *own)
    assert without["original_senders"] == with_["original_senders"] == ["jeanne@client.example"]
    assert without["sender"]["address"] == "lina@figurative.example"
    assert with_["sender"] == {"address": "jeanne@client.example", "name": "Jeanne"}
    shown = run("inspect", written(tmp_path, message), *own).stdout
    assert "Jeanne <jeanne@client.example>  (wrote the mail that a colleague forwards)" in shown


def test_inspect_believes_only_the_named_server(tmp_path: Path) -> None:
    """A colleague's forward leads to the customer only if the believed server vouches for the colleague."""
    message = EmailMessage()
    message["Authentication-Results"] = "mx.figurative.example; dmarc=pass header.from=figurative.example"
    message["From"] = "Lina <lina@figurative.example>"
    message["Subject"] = "TR: chaise"
    message.set_content(
        "---------- Forwarded message ---------\nDe : Jeanne <jeanne@client.example>\nDate : lundi\n"
        "Subject: chaise\nTo: <lina@figurative.example>\n\nUne chaise.\n"
    )
    own = ("--own-domain", "figurative.example")
    believed = inspected(tmp_path, message, *own, "--authserv-id", "mx.figurative.example")
    assert believed["sender"]["address"] == "jeanne@client.example"
    for other in ((), ("--authserv-id", "mx.another.example")):
        assert inspected(tmp_path, message, *own, *other)["sender"]["address"] == "lina@figurative.example"


def test_inspect_shows_a_person_what_was_cut_and_why(tmp_path: Path) -> None:
    shown = run("inspect", written(tmp_path, answer())).stdout
    assert "sender        Atelier <atelier@client.example>  (Reply-To)\n" in shown
    assert "screening     work\n" in shown
    assert "rules         unsure\n" in shown
    assert "in reply to   <1@figurative.example>\n" in shown
    assert "outil.exe  application/" in shown
    assert "refused (a program, a page or a script)\n" in shown
    assert shown.endswith(
        "newest part\n  Voici le plan : https://we.tl/t-AbCdEf1234\ncut: 2 lines\n"
        "  Le 3 mai 2026 à 10:00, Studio <studio@figurative.example> a écrit :\n  > Avez-vous un plan ?\n"
    )


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_inspect_redacted_holds_nothing_personal(tmp_path: Path, options: tuple[str, ...]) -> None:
    shown = run("inspect", written(tmp_path, answer()), "--redact", *options).stdout
    shown = json.dumps(json.loads(shown), ensure_ascii=False) if options else shown
    personal = r"claire|p.rin|client|atelier|figurative|fauteuil|plan|\bété|outil|voici|avez|studio|AbCdEf|12|2026"
    assert re.findall(personal, re.sub(r"[0-9a-f]{16}", "", shown), re.IGNORECASE) == []
    for left in ("xxxxxx@xxxxxx.xxxxxxx", "XX: Xxxxxxxx 99", "Xxxx xxx.pdf", "https://we.tl/x-XxXxXx9999"):
        assert left in shown


def test_inspect_redacts_every_script(tmp_path: Path) -> None:
    message = EmailMessage()
    message["From"] = "a@client.example"
    message.set_content("Стул ३ เก้าอี้ é\n")
    assert inspected(tmp_path, message, "--redact")["newest"] == "Xxxx 9 xxxxxxx x"


@pytest.mark.parametrize(
    "raw", [b"\n", b"\x00\xff", b"no header at all", b"Subject: =?utf-8?q?=ED=A0=80?=\r\n\r\n\x1b[2J"]
)
def test_inspect_takes_any_file_and_prints_no_control(tmp_path: Path, raw: bytes) -> None:
    for options in ((), ("--json",), ("--redact",)):
        result = run("inspect", written(tmp_path, raw), *options)
        assert result.exit_code == 0
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", result.stdout)


def test_inspect_reads_no_settings(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("this is no TOML")
    assert inspected(tmp_path, answer())["subject"] == "RE: Fauteuil 12"
    assert run("inspect", str(tmp_path / "none.eml")).exit_code == 2
