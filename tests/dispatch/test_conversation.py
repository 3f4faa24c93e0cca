"""The messages that a mail answers, and the people who may answer them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from poller.dispatch.conversation import LOOKED_UP, key, parent_keys
from poller.parsing import parser
from poller.workflow.results import Participants

if TYPE_CHECKING:
    from pathlib import Path


def test_nearest_parent_message_comes_first(tmp_path: Path) -> None:
    """In-Reply-To, then References from its end; each once, and no more than the limit."""
    path = tmp_path / "mail.eml"
    path.write_bytes(b"From: a@x.example\r\nIn-Reply-To: <c@x>\r\nReferences: <a@x> <b@x> <c@x>\r\n\r\nBonjour")
    request = parser.parse(path, "account", datetime(2026, 11, 22, tzinfo=UTC))
    assert parent_keys("account", request) == [key("account", each) for each in ("<c@x>", "<b@x>", "<a@x>")]
    long = replace(request, references=tuple(f"<{number}@x>" for number in range(LOOKED_UP * 2)))
    assert parent_keys("account", long)[:2] == [key("account", "<c@x>"), key("account", f"<{LOOKED_UP * 2 - 1}@x>")]
    assert len(parent_keys("account", long)) == LOOKED_UP


@pytest.mark.parametrize(
    ("answer", "opened", "may"),
    [
        (("anna", "anna"), ("anna", "anna"), True),
        (("other", "anna"), ("anna", "anna"), True),
        (("anna", "anna"), ("anna", "form"), True),
        (("anna", "form"), ("anna", "form"), True),
        (("anna", "max"), ("anna", "anna"), False),
        (("anna", "max"), ("anna", "form"), False),
        (("max", "form"), ("anna", "form"), False),
        (("anna", ""), ("anna", ""), False),
        (("", ""), ("", ""), False),
    ],
)
def test_participant_may_reply_only_as_original_author(
    answer: tuple[str, str], opened: tuple[str, str], may: bool
) -> None:
    """Who is to be answered, and who wrote: the second one counts."""
    assert Participants(*answer).may_answer(Participants(*opened)) is may
