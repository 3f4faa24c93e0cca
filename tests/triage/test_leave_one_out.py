"""Measure what examples change in the answers of Claude."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from poller.cli.main import commands
from tests.triage.test_evaluation import ROWS, evaluate

if TYPE_CHECKING:
    from tests.support.pipeline_harness import Desk


@pytest.fixture(autouse=True)
def _files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labelled.jsonl").write_text("\n".join(map(json.dumps, ROWS)))


def test_leave_one_out_says_what_examples_change(desk: Desk) -> None:
    """Of what Claude decided, each mail is asked about again, with the others as examples."""
    desk.sandbox.anthropic.decide = lambda content: {
        "category": "SUPPORT" if "examples" in content else "MODELISATION",
        "confidence": 0.9,
        "reason": "Une phrase.",
    }
    told = json.loads(evaluate(desk, "--leave-one-out", "--json").stdout)
    assert told["leave_one_out"] == {
        "asked": 2,
        "right_before": 1,
        "right_after": 1,
        "mended": ["wrong"],
        "spoilt": ["asked"],
    }
    shown = desk.sandbox.anthropic.calls("POST")[-1].body["messages"][0]["content"]
    assert shown.count('"category"') == 2
    assert shown.count(ROWS[2]["body"]) == 1
    lines = evaluate(desk, "--leave-one-out").stdout.splitlines()
    assert "of 2 that Claude decided 1 right, with examples 1" in lines
    assert lines[-2:] == ["mended: wrong", "spoilt: asked"]


@pytest.mark.parametrize("arguments", [("mail.eml",), ("--evaluate", "labelled.jsonl", "--no-claude")])
def test_leave_one_out_needs_a_set_and_claude(arguments: tuple[str, ...]) -> None:
    Path("mail.eml").write_text("From: a@b.example\n\n")
    assert CliRunner().invoke(commands, ["classify", "--leave-one-out", *arguments]).exit_code == 2
