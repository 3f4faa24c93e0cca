"""Measure the accuracy of the rules and of Claude on labelled mails."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import quote
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from integrations.errors import TransientError
from integrations.sandbox import Fault
from poller.cli.corrections import example
from poller.cli.main import commands
from poller.dispatch.clients import services
from poller.model import Category, Kind
from poller.parsing import parser
from poller.triage.classification import content_of
from poller.triage.evaluation import Labelled, Usage, as_lines, judge, read
from poller.triage.rules import confident_verdict
from tests.parsing.test_file_types import zipped

if TYPE_CHECKING:
    from tests.support.pipeline_harness import Desk


def row(name: str, label: str, subject: str, body: str, *filenames: str) -> dict[str, Any]:
    attachments = [{"filename": each, "content_type": "application/octet-stream", "size": 9000} for each in filenames]
    mail = {"id": name, "from": "Ana <ana@ruiz.example>", "subject": subject, "body": body}
    return mail | {"attachments": attachments, "label": label}


ROWS = [
    row("sure", "SUPPORT", "Facture", "Ma facture est fausse, merci de me rembourser."),
    row("asked", "MODELISATION", "Suite", "Voici ce que je vous avais promis."),
    row("wrong", "SUPPORT", "Suite", "Comme convenu, pour la suite de notre échange."),
]


@pytest.fixture(autouse=True)
def _files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labelled.jsonl").write_text("\n".join(map(json.dumps, ROWS)) + "\n\n")


def evaluate(desk: Desk, *arguments: str) -> Result:
    told = ["classify", "--evaluate", "labelled.jsonl", *arguments]
    return CliRunner().invoke(commands, told, env=desk.environment, catch_exceptions=False)


def test_evaluation_reports_accuracy_and_cost(desk: Desk) -> None:
    """In all, by who decided, what was taken for what, and the tokens at the model's price."""
    answer = {"category": "MODELISATION", "confidence": 0.9, "reason": "Une phrase."}
    desk.sandbox.anthropic.decide = lambda _: answer
    told = json.loads(evaluate(desk, "--json").stdout)
    assert (told["mails"], told["right"], round(told["accuracy"], 2)) == (3, 2, 0.67)
    assert told["decided_by"] == {
        "rules": {"mails": 1, "right": 1, "accuracy": 1.0},
        "claude": {"mails": 2, "right": 1, "accuracy": 0.5},
    }
    assert told["confusion"] == {
        "SUPPORT": {"SUPPORT": 1, "MODELISATION": 1},
        "MODELISATION": {"SUPPORT": 0, "MODELISATION": 1},
    }
    assert [each["id"] for each in told["wrong"]] == ["wrong"]
    claude = told["claude"]
    assert claude["calls"] == len(desk.sandbox.anthropic.calls("POST")) == 2
    assert claude["dollars"] == pytest.approx((claude["input_tokens"] * 0.10 + claude["output_tokens"] * 0.50) / 1e6)
    assert claude["input_tokens"] > 0


def test_evaluation_without_claude_makes_no_call(desk: Desk) -> None:
    """And what they guessed at stands apart from what they were sure of."""
    result = evaluate(desk, "--no-claude")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].endswith("right")
    assert lines[1].split() == ["the", "rules", "were", "sure", "1", "mails,", "1", "of", "1", "(100%)", "right"]
    assert lines[2].startswith("  the rules guessed")
    assert desk.sandbox.anthropic.calls("POST") == []


def test_evaluation_says_how_right_the_learnt_model_is(desk: Desk) -> None:
    """Of the mails that the rules are unsure of."""
    desk.environment["LEARNING_MODE"] = "shadow"
    lines = evaluate(desk, "--no-claude").stdout.splitlines()
    assert any(line.startswith("  the learnt model was asked about 2, ") for line in lines)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no json", "line 2 is no labelled mail: it is not JSON"),
        (
            json.dumps(ROWS[0] | {"label": "SALES"}),
            "line 2 is no labelled mail: the label must be SUPPORT or MODELISATION",
        ),
        ('{"id": "a"}', "line 2 is no labelled mail: the key 'from' is missing"),
        (
            json.dumps(row("odd", "SUPPORT", "", "", "a.zip")).replace('"size"', '"kind": "3d", "size"'),
            "the kind must be model or image or document or archive or video or side or other",
        ),
        ("[]", "line 2 is no labelled mail: a value is not of the kind"),
    ],
)
def test_evaluation_names_invalid_line(desk: Desk, line: str, said: str) -> None:
    """Before anybody is asked."""
    Path("labelled.jsonl").write_text(f"{json.dumps(ROWS[1])}\n{line}\n")
    result = evaluate(desk)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert desk.sandbox.anthropic.calls("POST") == []


@pytest.mark.parametrize("arguments", [(), ("--no-claude",), ("--evaluate", "labelled.jsonl", "labelled.jsonl")])
def test_classify_takes_either_mail_or_set(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(commands, ["classify", *arguments]).exit_code == 2


@pytest.mark.parametrize("arguments", [("asked.eml",), ("--evaluate", "labelled.jsonl")])
def test_classify_exits_78_when_claude_key_is_refused(desk: Desk, arguments: tuple[str, ...]) -> None:
    """No verdict of the rules alone is passed off as that of both."""
    Path("asked.eml").write_text(f"From: ana@ruiz.example\nSubject: Suite\n\n{ROWS[1]['body']}\n")
    wrong = desk.environment | {"ANTHROPIC_API_KEY": "sk-ant-wrong"}
    result = CliRunner().invoke(commands, ["classify", *arguments], env=wrong, catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (78, "")
    assert "look at ANTHROPIC_API_KEY" in result.stderr


def test_evaluation_waits_for_claude_at_most_a_minute(desk: Desk) -> None:
    """As long as it asks for, a minute at most; then it is out of reach."""
    (mail,) = read([json.dumps(ROWS[1])])
    busy = Fault("status", "POST", status=429, headers={"Retry-After": "3600"}, times=2)
    desk.sandbox.anthropic.fail(busy)
    slept: list[float] = []
    assert judge(mail, services(desk.settings).claude, sleep=slept.append).found.decided_by == "claude"
    assert slept == [60.0, 60.0]
    desk.sandbox.anthropic.fail(Fault("status", "POST", status=529, times=None))
    with pytest.raises(TransientError):
        judge(mail, services(desk.settings).claude, sleep=slept.append)
    assert slept[2:] == [2.0, 4.0, 8.0]


def test_evaluation_accepts_empty_mail_and_empty_set() -> None:
    """And an empty set has no share."""
    (mail,) = read([json.dumps(row("a\x1b[2J", "SUPPORT", "", ""))])
    assert isinstance(mail, Labelled)
    assert "\x1b" not in mail.id
    assert next(iter(as_lines([], Usage()))) == "0 of 0 right"
    assert any(line.startswith("SUPPORT") for line in as_lines([judge(mail, None)], Usage()))


@pytest.mark.parametrize("name", ["Durand, Jean", 'Jean "le Grand" Durand', "Éric (Paris)", "Jean\\", ""])
def test_exported_mail_is_classified_like_the_original(tmp_path: Path, name: str) -> None:
    """By its author's name, who may be another than who is answered, and by what only the files' content tells."""
    mail = EmailMessage()
    mail["From"], mail["Reply-To"] = f'"{quote(name)}" <jean@durand.example>', "Contact <contact@durand.example>"
    mail["Subject"], mail["Message-ID"] = "Tr: pièces", "<1@durand.example>"
    mail.set_content("Bonjour,\nVoici les fichiers.\nJean Durand\nModélisation 3D et devis\n")
    for content, filename in ((zipped("a/fauteuil.step"), "envoi.zip"), (b"glTF\x02\0\0\0\x0c\0\0\0", "envoi.bin")):
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=filename)
    path = tmp_path / "mail.eml"
    path.write_bytes(bytes(mail))
    request = parser.parse(path, "support@figurative.example", datetime.now(UTC))
    (read_again,) = read([json.dumps(example(request, Category.MODELISATION, ["confirmed"]))])
    assert read_again.request.author == request.author
    assert [each.kind for each in read_again.request.attachments] == [Kind.MODEL, Kind.MODEL]
    assert content_of(read_again.request) == content_of(request)
    opinion = confident_verdict(request)
    assert opinion is not None
    assert confident_verdict(read_again.request) == opinion
