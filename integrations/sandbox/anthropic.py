"""A stand-in for the part of Anthropic's Messages API that we use, with a function instead of a model.

It refuses what `anthropic-version: 2026-10-21` refuses: sampling parameters, a fixed thinking budget, a prefilled
answer, and schemas with keywords that structured output does not support.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

from integrations.sandbox.loopback_server import Answer
from integrations.sandbox.stand_in import RejectedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from integrations.sandbox.loopback_server import Recorded

MODELS = ("claude-haiku-5-5", "claude-haiku-4-5")
_WITH_EFFORT = {"claude-haiku-5-5"}
_MAX_REQUEST_BYTES = 32 * 1024 * 1024
_NOT_IN_A_SCHEMA = {
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
}
_MODELLING = re.compile(
    r"mod[ée]lis|\b3d\b|\.(?:glb|gltf|obj|fbx|stl|step|stp|usdz)\b|texture|rendu|\bplans?\b", re.IGNORECASE
)
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def guess(mail: str) -> dict[str, Any]:
    """Choose SUPPORT or MODELISATION by keywords, with a confidence and a reason in French."""
    words = {match.lower() for match in _MODELLING.findall(mail)}
    if words:
        confidence = round(min(0.95, 0.7 + 0.1 * len(words)), 2)
        reason = "Le client demande la création ou la modification d’un modèle 3D."
        return {"category": "MODELISATION", "confidence": confidence, "reason": reason}
    reason = "Le client signale un problème ou pose une question sur un service existant."
    return {"category": "SUPPORT", "confidence": 0.85, "reason": reason}


class Anthropic(StandIn):
    """A model whose answers the function `decide` computes.

    A test may set `decide`, `stop_reason`, `thinks` and `model`. `decide` takes the text of the last user turn and
    returns the values of the JSON answer, which need not match the schema. `stop_reason` is "refusal" for an answer
    without text, or "max_tokens" for JSON that breaks off.
    """

    def __init__(self, api_key: str = "sk-ant-sandbox") -> None:
        super().__init__()
        self.api_key = api_key
        self._forget()

    def _forget(self) -> None:
        self.decide: Callable[[str], Mapping[str, Any]] = guess
        self.stop_reason = "end_turn"
        self.model: dict[str, Any] = {}  # fields of a model's description that differ
        self.thinks = True  # whether the answer begins with a thinking block

    def reset(self) -> None:
        """Forget the requests, the faults and the settings."""
        super().reset()
        with self._lock:
            self._forget()

    def error(self, status: int) -> object:
        """Return Anthropic's error body for a status."""
        return _error(status, f"status {status}")

    def answer(self, request: Recorded) -> Answer:
        """Authenticate, validate and decide."""
        # The vendor documents x-api-key; its SDK 2.12 sends the same key as a bearer token.
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if request.headers.get("x-api-key", bearer) != self.api_key:
            raise RejectedError(401, _error(401, "invalid x-api-key"))
        if "anthropic-version" not in request.headers:
            raise _refused(400, "anthropic-version: header is required")
        match request.method, request.segments:
            case "GET", ("v1", "models", id_) if id_ in MODELS:
                return Answer(200, _model(id_) | self.model)
            case "GET", ("v1", "models"):
                return Answer(200, {"data": [_model(id_) for id_ in MODELS], "has_more": False})
            case "POST", ("v1", "messages"):
                if len(request.raw) > _MAX_REQUEST_BYTES:
                    raise _refused(413, "Request exceeds the maximum size")
                if not isinstance(request.body, dict):
                    raise _refused(400, "The request body is not valid JSON")
                _check(request.body)
                return Answer(200, self._message(request.body), {"request-id": f"req_{uuid.uuid4().hex[:24]}"})
        raise _refused(404, request.path)

    def _message(self, body: Mapping[str, Any]) -> dict[str, Any]:
        mail = _text(body["messages"][-1]["content"])
        text = json.dumps(self.decide(mail), ensure_ascii=False)
        content: list[dict[str, Any]] = []
        if self.thinks:
            content.append(
                {"type": "thinking", "thinking": "What does the customer want?", "signature": "c2FuZGJveA=="}
            )
        if self.stop_reason != "refusal":
            shown = text[: len(text) // 2] if self.stop_reason == "max_tokens" else text
            content.append({"type": "text", "text": shown})
        return {
            "id": f"msg_{uuid.uuid4().hex[:24]}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": content,
            "stop_reason": self.stop_reason,
            "stop_sequence": None,
            "usage": {"input_tokens": len(json.dumps(body)) // 4, "output_tokens": len(text) // 4 + 1},
        }


def _check(body: Mapping[str, Any]) -> None:
    """Raise a rejection for a request that the API refuses."""
    for name in ("model", "max_tokens", "messages"):
        if not body.get(name):
            raise _refused(400, f"{name}: Field required")
    if body["model"] not in MODELS:
        raise _refused(404, f"model: {body['model']}")
    for name in ("temperature", "top_p", "top_k"):
        if name in body:
            raise _refused(400, f"{name}: this parameter is not supported")
    if body.get("thinking", {}).get("type") == "enabled":
        raise _refused(400, "thinking.type.enabled is not supported for this model")
    if body["messages"][-1].get("role") != "user":
        raise _refused(400, "This model does not support assistant message prefill")
    _check_output(body["model"], body.get("output_config", {}))


def _check_output(model: str, config: Mapping[str, Any]) -> None:
    if "effort" in config and model not in _WITH_EFFORT:
        raise _refused(400, "This model does not support the effort parameter.")
    output = config.get("format")
    if output is not None:
        if output.get("type") != "json_schema":
            raise _refused(400, "output_config.format.type: must be json_schema")
        _check_schema(output.get("schema"))


def _check_schema(schema: object) -> None:
    if isinstance(schema, list):
        for each in schema:
            _check_schema(each)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        raise _refused(400, "output_config.format.schema: 'additionalProperties' must be explicitly set to false")
    unsupported = _NOT_IN_A_SCHEMA & schema.keys()
    if isinstance(schema.get("type"), str) and unsupported:
        raise _refused(400, f"output_config.format.schema: {', '.join(sorted(unsupported))} not supported")
    for each in schema.values():
        _check_schema(each)


def _text(content: object) -> str:
    """Return the text of a turn: a string, or blocks of text and of tool results."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(str(block.get("text") or _text(block.get("content"))) for block in blocks)


def _model(id_: str) -> dict[str, Any]:
    """Return a model's description, with every field of the vendor's."""
    can, cannot = {"supported": True}, {"supported": False}
    levels = dict.fromkeys(("low", "medium", "high", "max", "xhigh"), can if id_ in _WITH_EFFORT else cannot)
    strategies = dict.fromkeys(("clear_thinking_20251015", "clear_tool_uses_20250919", "compact_20260112"), can)
    able = dict.fromkeys(
        ("batch", "citations", "code_execution", "image_input", "pdf_input", "structured_outputs"), can
    )
    return {
        "type": "model",
        "id": id_,
        "display_name": id_,
        "line": "haiku",
        "created_at": "2026-10-07T00:00:00Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
        "capabilities": able
        | {
            "context_management": can | strategies,
            "effort": levels["low"] | levels,
            "server_tools": can | {"code_execution": can, "web_search": can},
            "thinking": can
            | {"types": dict.fromkeys(("adaptive", "between_tools", "disabled"), can) | {"enabled": cannot}},
        },
    }


def _error(status: int, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": _TYPES.get(status, "api_error"), "message": message}}


def _refused(status: int, message: str) -> RejectedError:
    return RejectedError(status, _error(status, message))
