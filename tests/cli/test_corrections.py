"""Corrections as the commands report, export and purge them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from integrations.sandbox import Fault
from poller.cli.purge import forget
from poller.cli.samples import picture
from poller.learning import learned_model
from poller.monitoring.digest import look_back
from poller.workflow.database import open_store
from tests.support.corrections import (
    MAILS,
    TO_MODELISATION,
    TO_SUPPORT,
    decide,
    drag,
    poller,
)
from tests.system.test_crash_matrix import undecided

if TYPE_CHECKING:
    import pytest

    from tests.conftest import Office


def test_commands_report_a_correction(office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A message counts once, as what it is now; `show` has both, and nothing is amiss on the way or after."""
    monkeypatch.chdir(tmp_path)
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=400))
    office.once(MAILS["modelisation_with_files"])
    reference = poller(office, "list").stdout.split()[3]
    assert "poller list --failed" in poller(office, "status").stdout
    drag(office, "Échecs", TO_MODELISATION)
    assert poller(office, "audit", "--remote").exit_code == 0
    office.once()
    correction = f"{reference}/modelisation/1"
    assert poller(office, "status").stdout.splitlines()[2:] == ["      1  MODELISATION"]
    assert [line.split()[3:5] for line in poller(office, "list").stdout.splitlines()] == [[correction, "MODELISATION"]]
    shown = poller(office, "show", reference).stdout
    assert [line.split()[:2] for line in shown.splitlines() if line.startswith(reference)] == [
        [reference, "FAILED"],
        [correction, "MODELISATION"],
    ]
    (corrected,) = json.loads(poller(office, "show", reference, "--json").stdout)["corrections"]
    assert corrected["steps"][0]["step"] == "find_original"
    assert poller(office, "show", correction).stdout.startswith(correction)
    assert poller(office, "corrections").stdout.split()[3:] == [correction, "was", "modelisation"]
    assert poller(office, "audit", "--remote").exit_code == 0
    assert poller(office, "retry", "--failed").stderr == "nothing to do\n"
    with closing(open_store(office.settings)) as store:
        week = look_back(store, datetime.now(UTC) + timedelta(days=1))
    assert ([(each.was, each.outcome) for each in week.messages], week.corrections) == ([("failed", "modelisation")], 1)
    with closing(sqlite3.connect(office.state / "poller.sqlite")) as state, state:
        state.execute(
            "UPDATE workflow_status SET created_at = created_at - 3 * 86400000 WHERE workflow_uuid NOT LIKE '%/%'"
        )
    (listed,) = map(json.loads, poller(office, "list", "--json").stdout.splitlines())
    shown = json.loads(poller(office, "show", reference, "--json").stdout)
    assert (listed["reference"], listed["seen_at"]) == (correction, shown["seen_at"]), "it is listed where it arrived"
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    assert poller(office, "list", "--since", yesterday).stdout == ""


def test_corrections_are_exported_as_labelled_set(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the form of a labelled set; one that a person has taken away since is left out, and said to be."""
    monkeypatch.chdir(tmp_path)
    decide(office, "SUPPORT")
    office.once(undecided(), MAILS["support"])
    drag(office, "Support", TO_MODELISATION, "FROM", "lambert")
    drag(office, "Support", TO_SUPPORT)
    office.once()
    exported = poller(office, "corrections", "--jsonl")
    rows = {row["label"]: row for row in map(json.loads, exported.stdout.splitlines())}
    assert rows["MODELISATION"] == {
        "id": rows["MODELISATION"]["id"],
        "lang": "",
        "from": '"Hugues Lambert" <hugues@lambert.example>',
        "subject": "Suite de notre échange",
        "body": "Bonjour,\n\nComme convenu au téléphone, voici ce que je vous avais promis pour la suite.",
        "attachments": [
            {
                "filename": f"{width}.png",
                "content_type": "image/png",
                "size": len(picture(width, len("undecided"))),
                "kind": "image",
            }
            for width in (6, 8)
        ],
        "label": "MODELISATION",
        "difficulty": "",
        "tags": ["correction", "was_support"],
        "seed_rule_conflict": False,
        "ambiguous": False,
    }
    Path("corrections.jsonl").write_text(exported.stdout)
    told = json.loads(poller(office, "classify", "--evaluate", "corrections.jsonl", "--json").stdout)
    assert (told["mails"], told["right"], told["claude"]["calls"]) == (2, 1, 1)
    with closing(sqlite3.connect(office.state / "poller.sqlite")) as state, state:
        state.execute("DELETE FROM operation_outputs WHERE workflow_uuid LIKE '%/support/1'")
    forgotten = poller(office, "corrections", "--jsonl")
    assert [json.loads(line)["label"] for line in forgotten.stdout.splitlines()] == ["MODELISATION"]
    drag(office, "Support", "INBOX")
    again = poller(office, "corrections", "--jsonl")
    assert len(again.stdout.splitlines()) == 1
    assert "is not where it was filed, and is left out" in again.stderr


def test_model_is_learnt_from_corrections_and_what_stayed(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What stayed counts after a week; a mail that somebody moved counts as what they made of it."""
    monkeypatch.chdir(tmp_path)
    office.once(MAILS["support"], MAILS["bug"])
    drag(office, "Support", TO_MODELISATION, "HEADER", "Message-ID", "<support@samples.example>")
    office.once()

    def exported() -> list[tuple[str, list[str]]]:
        lines = poller(office, "corrections", "--jsonl", "--confirmed").stdout.splitlines()
        return [(row["label"], row["tags"]) for row in map(json.loads, lines)]

    corrected = ("MODELISATION", ["correction", "was_support"])
    assert exported() == [corrected]
    with closing(sqlite3.connect(office.state / "poller.sqlite")) as state, state:
        state.execute("UPDATE workflow_status SET updated_at = updated_at - 8 * 86400000")
    assert exported() == [corrected, ("SUPPORT", ["confirmed"])]
    given = learned_model.current(office.state)
    assert json.loads(poller(office, "learn", "--json").stdout)["examples"] == given.examples + 2
    learnt = learned_model.current(office.state)
    assert (learnt.examples, learnt.terms.keys()) == (given.examples + 2, given.terms.keys())
    (tmp_path / "bad.jsonl").write_text("[]")
    refused = poller(office, "learn", "bad.jsonl")
    assert (refused.exit_code, "bad.jsonl: line 1 is no labelled mail" in refused.stderr) == (2, True)


def test_purge_removes_message_with_its_corrections(office: Office) -> None:
    """Neither is kept alone: the last of them says what it is."""
    office.once(MAILS["support"], MAILS["bug"])
    drag(office, "Support", TO_MODELISATION, "HEADER", "Message-ID", "<support@samples.example>")
    office.once()
    a_day = timedelta(days=1)
    with closing(sqlite3.connect(office.state / "poller.sqlite")) as state, state:
        state.execute(
            "UPDATE workflow_status SET updated_at = updated_at - 86400000 WHERE workflow_uuid NOT LIKE '%/%'"
        )

    def forgotten(before: datetime) -> dict[str, int]:
        return {name: count for name, count in forget(office.settings, before).items() if name != "facts"}

    assert forgotten(datetime.now(UTC) - a_day / 2) == {"support": 1}
    assert forgotten(datetime.now(UTC) + a_day) == {"support": 1, "modelisation": 1}
