"""Tests of the Claude client: its requests, and its result for every answer and failure."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import anthropic
import pytest
from anthropic.types import ModelInfo

from integrations.claude import Answer, Claude
from integrations.errors import BlockedError, ConfigurationError, PermanentError, TransientError
from integrations.sandbox.stand_in import Fault
from tests.support.timeouts import read_timeout_s

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox

SECRET = "Chaise-longue de Mme Durand"
SCHEMA = {
    "type": "object",
    "properties": {"category": {"type": "string", "enum": ["SUPPORT", "MODELISATION"]}},
    "required": ["category"],
    "additionalProperties": False,
}


def connect(sandbox: Sandbox, *, api_key: str = "", model: str = "claude-haiku-5-5", timeout_s: float = 10.0) -> Claude:
    server = sandbox.anthropic
    return Claude(api_key or server.api_key, model, server.url, timeout_s)


def ask(client: Claude) -> Answer:
    return client.ask("Classe ce message.", SECRET, SCHEMA)


def test_ask_sends_one_request_with_schema_and_supported_parameters(sandbox: Sandbox) -> None:
    ask(connect(sandbox))
    (request,) = sandbox.anthropic.requests
    assert request.body == {
        "model": "claude-haiku-5-5",
        "max_tokens": 2048,
        "system": "Classe ce message.",
        "messages": [{"role": "user", "content": SECRET}],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}, "effort": "low"},
    }


@pytest.mark.parametrize("thinks", [True, False])
def test_ask_returns_text_after_thinking_and_token_counts(sandbox: Sandbox, thinks: bool) -> None:
    sandbox.anthropic.thinks = thinks
    sandbox.anthropic.decide = lambda _: {"category": "SUPPORT", "reason": "écran noir"}
    answer = ask(connect(sandbox))
    assert answer.values == {"category": "SUPPORT", "reason": "écran noir"}
    assert answer.input_tokens > 0
    assert answer.output_tokens > 0


@pytest.mark.parametrize("stop_reason", ["refusal", "max_tokens", "pause_turn"])
def test_ask_raises_permanent_error_when_refused_or_truncated(sandbox: Sandbox, stop_reason: str) -> None:
    sandbox.anthropic.stop_reason = stop_reason
    with pytest.raises(PermanentError, match=stop_reason):
        ask(connect(sandbox))


@pytest.mark.parametrize("text", ["Bien sûr !", "[1]", "", '{"category": '])
def test_ask_keeps_invalid_answer_out_of_error_line(sandbox: Sandbox, text: str) -> None:
    body = {"id": "msg_1", "stop_reason": "end_turn", "content": [{"type": "text", "text": text}], "usage": {}}
    sandbox.anthropic.fail(Fault("status", status=200, body=body))
    with pytest.raises(PermanentError) as refused:
        ask(connect(sandbox))
    assert refused.value.detail == text
    assert not text or text not in str(refused.value)


def refusal(kind: str) -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": SECRET}}


@pytest.mark.parametrize(
    ("fault", "error", "retry_after_s"),
    [
        (Fault("status", status=400, body=refusal("invalid_request_error")), PermanentError, None),
        (Fault("status", status=401), ConfigurationError, None),
        (Fault("status", status=402), ConfigurationError, None),
        (Fault("status", status=403), ConfigurationError, None),
        (Fault("status", status=400, body="<html>no</html>"), PermanentError, None),
        (Fault("status", status=404), ConfigurationError, None),
        (Fault("status", status=408), TransientError, None),
        (Fault("status", status=409), TransientError, None),
        (Fault("status", status=413), PermanentError, None),
        (Fault("status", status=429, headers={"Retry-After": "86400"}), TransientError, 86400.0),
        (Fault("status", status=500), TransientError, None),
        (Fault("status", status=502, body="<html>"), TransientError, None),
        (Fault("status", status=529, headers={"Retry-After": "30"}), TransientError, 30.0),
        (Fault("status", status=200, body="{"), TransientError, None),
        (Fault("status", status=200, body=[1]), TransientError, None),
        (Fault("status", status=200, body={"type": "message"}), TransientError, None),
        (Fault("garbage"), TransientError, None),
        (Fault("garbage", body=b"\xff\xfe\x00"), TransientError, None),
        (Fault("reset"), TransientError, None),
        (Fault("timeout"), TransientError, None),
        (Fault("cut_after_commit"), TransientError, None),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else None,
)
def test_ask_maps_every_failure_to_error_with_known_outcome(
    sandbox: Sandbox, fault: Fault, error: type[Exception], retry_after_s: float | None
) -> None:
    sandbox.anthropic.fail(fault)
    with pytest.raises(error) as raised:
        ask(connect(sandbox, timeout_s=read_timeout_s(fault)))
    assert getattr(raised.value, "retry_after_s", None) == retry_after_s
    assert not getattr(raised.value, "outcome_unknown", False)
    assert str(raised.value).startswith("Claude ask: ")
    assert SECRET not in str(raised.value)
    assert sandbox.anthropic.api_key not in str(raised.value)
    assert len(sandbox.anthropic.requests) == 1, "never tried again by the library"


def refused_with(message: str, **error: object) -> Fault:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": message} | error}
    return Fault("status", "POST", status=400, body=body)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (refused_with("Your credit balance is too low to access the Anthropic API."), "no credit"),
        (refused_with("You have reached your specified API usage limits."), "spend limit"),
        (refused_with("No.", details={"error_code": "organization_on_hold"}), "on hold"),
        (refused_with("This organization has been disabled."), "on hold"),
        (refused_with("This model does not support the effort parameter."), "ANTHROPIC_MODEL"),
        (refused_with("output_config.format: Extra inputs are not permitted"), "ANTHROPIC_MODEL"),
        (refused_with("No.", type="billing_error"), "no credit"),
    ],
)
def test_bad_request_about_account_is_configuration_error(sandbox: Sandbox, fault: Fault, reason: str) -> None:
    """The API answers 400 also where no mail at all can be asked about."""
    sandbox.anthropic.fail(fault)
    with pytest.raises(ConfigurationError, match=reason):
        ask(connect(sandbox))


@pytest.mark.parametrize(
    "message", ["Output blocked by content filtering policy", "prompt is too long: 210000 tokens > 200000 maximum"]
)
def test_bad_request_about_mails_never_is_configuration_error(sandbox: Sandbox, message: str) -> None:
    client = connect(sandbox)
    for content in ("un", "deux", "trois"):
        sandbox.anthropic.fail(refused_with(message))
        with pytest.raises(PermanentError):
            client.ask("Classe ce message.", content, SCHEMA)


def test_unclear_refusals_of_two_mails_in_a_row_are_configuration_error(sandbox: Sandbox) -> None:
    """Words change. The same mail twice proves nothing, and an answer in between proves that the account works."""
    client = connect(sandbox)

    def asked(content: str, *, refused: bool = True) -> type[Exception] | None:
        if refused:
            sandbox.anthropic.fail(refused_with("Words of next year."))
        try:
            client.ask("Classe ce message.", content, SCHEMA)
        except (PermanentError, ConfigurationError) as error:
            return PermanentError if isinstance(error, PermanentError) else ConfigurationError
        return None

    assert [asked("un"), asked("un"), asked("un", refused=False)] == [PermanentError, PermanentError, None]
    assert [asked("deux"), asked("trois"), asked("trois")] == [PermanentError, ConfigurationError, ConfigurationError]
    assert [asked("trois", refused=False), asked("trois")] == [None, PermanentError]


def test_block_at_the_edge_is_about_the_mail_if_the_model_answers(sandbox: Sandbox) -> None:
    sandbox.anthropic.fail(Fault("status", "POST", status=403, body="<html>Forbidden</html>"))
    with pytest.raises(BlockedError, match="firewall"):
        ask(connect(sandbox))
    sandbox.anthropic.fail(Fault("status", status=403, body="<html>Forbidden</html>", times=2))
    with pytest.raises(TransientError, match="not in the service's own words"):
        ask(connect(sandbox))


def test_claude_message_is_in_error_detail_only(sandbox: Sandbox) -> None:
    sandbox.anthropic.fail(Fault("status", status=400, body=refusal("invalid_request_error")))
    with pytest.raises(PermanentError) as refused:
        ask(connect(sandbox))
    assert str(refused.value) == "Claude ask: HTTP 400 invalid_request_error"
    assert refused.value.detail == SECRET


def test_ask_without_connection_raises_transient_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(TransientError):
        ask(Claude("sk-ant-1", "claude-haiku-5-5", url))


def test_check_reads_model_without_asking_it(sandbox: Sandbox) -> None:
    assert connect(sandbox).check() == "Claude model claude-haiku-5-5"
    assert [(each.method, each.path) for each in sandbox.anthropic.requests] == [("GET", "/v1/models/claude-haiku-5-5")]


def test_description_of_model_is_one_that_the_library_accepts(sandbox: Sandbox) -> None:
    client = anthropic.Anthropic(api_key=sandbox.anthropic.api_key, base_url=sandbox.anthropic.url)
    with client:
        for model in client.models.list():
            # Strict, and from JSON: the library's own reading accepts anything.
            ModelInfo.model_validate_json(json.dumps(model.to_dict(mode="json")), strict=True)


def test_check_refuses_model_that_cannot_do_what_is_asked(sandbox: Sandbox) -> None:
    client, cannot = connect(sandbox), {"supported": False}
    for model, reason in (
        ({"lifecycle": "retired"}, "retired"),
        ({"capabilities": {"structured_outputs": cannot}}, "structured output"),
        ({"capabilities": {"effort": cannot}}, "effort"),
        ({"capabilities": {"effort": {"supported": True, "low": cannot}}}, "effort low"),
    ):
        sandbox.anthropic.model = model
        with pytest.raises(ConfigurationError, match=rf"{reason}.*ANTHROPIC_MODEL"):
            client.check()
    sandbox.anthropic.model = {}
    with pytest.raises(ConfigurationError, match="effort"):
        connect(sandbox, model="claude-haiku-4-5").check()


def test_check_says_when_deprecated_model_retires(sandbox: Sandbox) -> None:
    sandbox.anthropic.model = {"lifecycle": "deprecated", "retires_at": "2027-10-07T00:00:00Z"}
    said = connect(sandbox).check()
    assert said == "Claude model claude-haiku-5-5; it is deprecated, and retires on 2027-10-07"
    sandbox.anthropic.model = {"lifecycle": "deprecated", "capabilities": None}
    assert connect(sandbox).check().endswith("with no date of its end yet")


def test_check_names_the_wrong_setting(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY") as dead:
        connect(sandbox, api_key="sk-ant-dead").check()
    assert "sk-ant-dead" not in str(dead.value)
    with pytest.raises(ConfigurationError, match="ANTHROPIC_MODEL"):
        connect(sandbox, model="claude-instant").check()
    with pytest.raises(ConfigurationError, match="ANTHROPIC_MODEL"):
        ask(connect(sandbox, model="claude-instant"))


def test_importing_claude_does_not_import_anthropic() -> None:
    code = "import sys, integrations.claude; sys.exit('anthropic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
