"""The calls to Anthropic, held against its API's document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integrations.claude import Claude
from integrations.errors import ConfigurationError, PermanentError
from poller.triage.classification import SCHEMA, SYSTEM
from tests.contract.exchanges import breaches, recorded

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox

MODEL = "claude-haiku-5-5"


def test_anthropic_calls_and_answers_are_as_documented(sandbox: Sandbox) -> None:
    """All branches of the client, and nothing in the document that we do not use."""
    server = sandbox.anthropic
    right, wrong_model, wrong_key = (
        Claude(key, model, server.url)
        for key, model in ((server.api_key, MODEL), (server.api_key, "claude-instant"), ("sk-ant-dead", MODEL))
    )
    with recorded(server) as exchanges:
        right.check()
        for stop_reason in ("end_turn", "refusal", "max_tokens"):
            server.stop_reason = stop_reason
            try:
                right.ask(SYSTEM, "Bonjour", SCHEMA)
            except PermanentError:
                assert stop_reason != "end_turn"
        with pytest.raises(ConfigurationError):
            right.ask(SYSTEM, "Bonjour", {"type": "object"})
        for client in (wrong_model, wrong_key):
            with pytest.raises(ConfigurationError):
                client.check()
            with pytest.raises(ConfigurationError):
                client.ask(SYSTEM, "Bonjour", SCHEMA)
        server.model = {"lifecycle": "deprecated", "retires_at": "2027-10-07T00:00:00Z", "capabilities": None}
        right.check()
    assert breaches("anthropic", exchanges) == []
