"""Ask Claude one question and return one answer in a given JSON form.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import json
import threading
import weakref
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from integrations.claude.refusals import UnclearRefusalError, error_of
from integrations.errors import ConfigurationError, PermanentError, TransientError
from integrations.net.deadline import CALL_S, Deadline, http_events
from integrations.net.edge import blocks_told_apart
from integrations.net.failures import describe_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from anthropic import Anthropic, APIResponse

# Thinking counts too: with few tokens the model may stop before it has written any answer.
_MAX_TOKENS = 2048
_EFFORT: Final = "low"
# Dollars for a million tokens in and out (https://platform.claude.com/docs/en/about-claude/pricing); another model's
# tokens are counted, and not priced.
PRICES = {"claude-haiku-5-5": (0.10, 0.50), "claude-haiku-4-5": (1.0, 5.0)}


@dataclass(frozen=True, slots=True)
class Answer:
    """The model's answer, and its cost in tokens."""

    values: dict[str, Any]  # in the form of the schema; untrusted, since a model wrote it
    input_tokens: int
    output_tokens: int  # thinking included


class Claude:
    """A client of one Claude model. Safe to share between threads."""

    def __init__(
        self,
        api_key: str,
        model: str,
        base_url: str | None = None,
        timeout_s: float = 30.0,
        *,
        connect_timeout_s: float = 10.0,
        deadline_s: float = CALL_S,
    ) -> None:
        self._api_key, self._model, self._base_url = api_key, model, base_url
        self._timeout_s, self._connect_timeout_s, self._deadline_s = timeout_s, connect_timeout_s, deadline_s
        self._adding = threading.Lock()
        # Totals of all answers so far, unusable ones included. Thinking counts as output.
        self.answers = self.input_tokens = self.output_tokens = 0
        self._refused = b""  # digest of the first content of an unbroken row of unclear refusals; empty: none since

    @cached_property
    def _anthropic(self) -> Any:
        # Imported on first use: the import takes two seconds and 40 MB, and most mails need no model.
        import anthropic  # noqa: PLC0415

        return anthropic

    @cached_property
    def _client(self) -> Anthropic:
        client: Anthropic = self._anthropic.Anthropic(
            api_key=self._api_key,
            base_url=self._base_url,
            timeout=self._anthropic.Timeout(self._timeout_s, connect=self._connect_timeout_s),
            # The client's own retries would sleep as long as a Retry-After says, even a day.
            max_retries=0,
            # The client would follow a redirect to any other host, and send the key there.
            http_client=self._anthropic.DefaultHttpxClient(follow_redirects=False, event_hooks=http_events()),
        )
        # Without this, a discarded client leaves its connections open.
        weakref.finalize(self, client.close)
        return client

    def ask(self, system: str, content: str, schema: dict[str, Any]) -> Answer:
        """Return the model's answer to `content`, in the form of `schema`.

        `system` holds the instructions, and no text from outside. `content` is the user's turn: the caller
        JSON-encodes untrusted text in it. `schema` is a JSON schema of an object with `additionalProperties: false`.
        Bounds in it are a hint to the model, so the caller checks the values. The call has no effect but its cost.

        Raises:
            PermanentError: asking the same again is useless: the model refused, or its output is not an answer.
            ConfigurationError: also when two different contents in a row are refused for a reason that is not clear.
        """
        try:
            with blocks_told_apart(self._read_model):
                answer = self._call(
                    "ask",
                    lambda: self._client.messages.with_raw_response.create(
                        model=self._model,
                        max_tokens=_MAX_TOKENS,
                        system=system,
                        messages=[{"role": "user", "content": content}],
                        output_config={"format": {"type": "json_schema", "schema": schema}, "effort": _EFFORT},
                    ),
                    yields="content",
                )
        except UnclearRefusalError as refused:
            self._refuse_second(content, refused)
            raise
        self._refused = b""
        usage = answer.get("usage") or {}
        input_tokens, output_tokens = (usage.get(f"{kind}_tokens", 0) for kind in ("input", "output"))
        with self._adding:
            self.answers += 1
            self.input_tokens += input_tokens
            self.output_tokens += output_tokens
        # For any other reason the text may be cut short or replaced, and need not follow the schema.
        if (stop_reason := answer.get("stop_reason")) != "end_turn":
            raise PermanentError(f"Claude ask: the model ended in {stop_reason}")
        # The first block is usually thinking.
        text = "".join(block["text"] for block in answer["content"] if block.get("type") == "text")
        try:
            values = json.loads(text)
        except ValueError as error:
            raise PermanentError("Claude ask: the answer is not JSON", detail=text) from error
        if not isinstance(values, dict):
            raise PermanentError("Claude ask: the answer is not an object", detail=text)
        return Answer(values, input_tokens, output_tokens)

    def check(self) -> str:
        """Read the model's description, which costs nothing, and return a one-line summary.

        Raises:
            ConfigurationError: the key is refused, or there is no such model, or it cannot do what we ask of it.
        """
        model = self._read_model()
        summary, lifecycle = f"Claude model {model['id']}", model.get("lifecycle")
        if lifecycle == "retired":
            raise ConfigurationError(f"{summary}: it is retired, look at ANTHROPIC_MODEL")
        if lacks := _shortcomings(model):
            raise ConfigurationError(f"{summary}: it has no {' and no '.join(lacks)}, look at ANTHROPIC_MODEL")
        if lifecycle == "deprecated":
            day = str(model.get("retires_at") or "")[:10]
            return f"{summary}; it is deprecated, {f'and retires on {day}' if day else 'with no date of its end yet'}"
        return summary

    def _read_model(self) -> dict[str, Any]:
        return self._call("read model", lambda: self._client.models.with_raw_response.retrieve(self._model))

    def _refuse_second(self, content: str, refused: UnclearRefusalError) -> None:
        """Raise an error if another content was refused before, and none was answered since."""
        digest = sha256(content.encode(errors="surrogatepass")).digest()
        with self._adding:
            first = self._refused = self._refused or digest
        if first != digest:
            raise ConfigurationError(
                f"{refused}: two different mails in a row are refused, look at the account and at ANTHROPIC_MODEL"
            ) from refused

    def _call(self, call: str, request: Callable[[], APIResponse[Any]], *, yields: str = "id") -> dict[str, Any]:
        """Return the JSON object of a successful answer, which has the field `yields`.

        The raw body is parsed: the client returns an HTML page as a string, and fills missing fields with None. The
        outcome is never unknown, because the calls change nothing.
        """
        try:
            with Deadline(self._deadline_s):
                response = request()
            answer = json.loads(response.http_response.content)
        except self._anthropic.APIStatusError as error:
            raise error_of(call, error) from error
        except (self._anthropic.APIConnectionError, TimeoutError) as error:
            raise TransientError(f"Claude {call}: {describe_failure(error)}", outcome_unknown=False) from error
        except ValueError as error:
            raise TransientError(f"Claude {call}: the answer is not JSON", outcome_unknown=False) from error
        if not isinstance(answer, dict) or yields not in answer:
            raise TransientError(f"Claude {call}: an answer without {yields}", outcome_unknown=False)
        return answer


def _shortcomings(model: dict[str, Any]) -> list[str]:
    """Return what the model's description says that it cannot do, of what `Claude.ask` asks for."""
    able = model.get("capabilities") or {}
    effort = able.get("effort") or {}
    needed = {
        "structured output": able.get("structured_outputs"),
        f"effort {_EFFORT}": effort if effort.get("supported") is False else effort.get(_EFFORT),
    }
    return [name for name, each in needed.items() if each and each.get("supported") is False]
