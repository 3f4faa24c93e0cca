"""What a person can do about a failure: which setting to correct, and where it stands."""

from __future__ import annotations

import re

import pytest

from poller.config.settings import Settings
from poller.rendering.failure import REASONS, origin, to_do
from poller.workflow.steps import StepName


def plain(lines: tuple[str, ...]) -> str:
    return "\n".join(lines).replace("\xa0", " ")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (StepName.CLASSIFY, "« model » dans la section [anthropic] de config.toml"),
        (StepName.UPLOAD_FILES, "« bucket_name » et « endpoint_url » dans la section [r2] de config.toml"),
        (StepName.FIND_OR_CREATE_CONTACT, "la clé HUBSPOT_API_KEY du fichier .env"),
        (StepName.CREATE_TICKET, "« pipeline_id » et « stage_new » dans la section [hubspot] de config.toml"),
        (StepName.CREATE_NOTE, "la clé HUBSPOT_API_KEY du fichier .env"),
        (StepName.CREATE_SUBTASK, "« parent_task_id » dans la section [clickup] de config.toml"),
        (StepName.ADD_COMMENT, "la clé CLICKUP_API_KEY du fichier .env"),
        (StepName.SEND_NOTIFICATION, "« sender » dans la section [smtp] de config.toml"),
        (StepName.LABEL, "la section [labels] de config.toml"),
    ],
)
def test_refusal_names_the_setting_and_its_place(step: StepName, words: str) -> None:
    """The settings that are named exist."""
    said = plain(to_do("00ff", step, "refused"))
    assert words in said
    for names, section in re.findall(r"Vérifiez (« .*? ») dans la section \[(\w+)\]", said):
        known = Settings.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
        assert set(re.findall(r"« (\w+) »", names)) <= set(known)
    for name in re.findall(r"[A-Z0-9]+_API_KEY", said):
        assert "api_key" in Settings.model_fields[name.split("_")[0].lower()].annotation.model_fields  # type: ignore[union-attr]


def test_failure_names_the_mailbox_of_failed_messages() -> None:
    assert "dans le dossier « À revoir »." in plain(to_do("00ff", "create_ticket", "refused", "À revoir"))


def test_silent_service_is_named() -> None:
    said = plain(to_do("00ff", "create_ticket", "unanswered"))
    assert "HubSpot a-t-il été en panne ? Sur le serveur, « poller check » dit s’il répond." in said


def test_message_without_sender_is_not_tried_again() -> None:
    assert "poller retry" not in plain(to_do("00ff", "find_or_create_contact", "unusable"))


@pytest.mark.parametrize("step", [*StepName, "a step of another release"])
@pytest.mark.parametrize("kind", REASONS)
def test_every_failure_has_something_to_do(step: str, kind: str) -> None:
    lines = to_do("00ff", step, kind)
    assert len(lines) >= 2
    assert all(line[0].isupper() and line.endswith(".") for line in lines)


def test_origin_is_bounded_and_left_out_where_the_reason_says_it() -> None:
    assert origin("refused", "HTTP 400\n" + "x" * 9_000).startswith("HTTP 400\n")
    assert len(origin("refused", "x" * 9_000)) == 2_000
    assert origin("unusable", "no sender") == origin("crashed", " \n") == ""
