"""A contract breaks at whatever the document does not say."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox.loopback_server import Answer, Recorded
from tests.contract.exchanges import Exchange, breaches

if TYPE_CHECKING:
    from pathlib import Path

ID = {"id": "458", "hist_id": "1", "date": 1568036964079}
COMMENT = {"comment_text": "Relance", "notify_all": False}


@pytest.fixture(autouse=True)
def _our_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VENDOR_SPECS", raising=False)


def exchange(
    body: object = None,
    answer: object = None,
    *,
    path: str = "/api/v2/task/86c/comment",
    query: str = "",
    status: int = 200,
) -> Exchange:
    """Return a comment on a task, and its answer."""
    raw = json.dumps(body or COMMENT).encode()
    headers = {"content-type": "application/json", "authorization": "pk_1"}
    return Exchange(Recorded("POST", path, query, headers, raw, body, 0.0), Answer(status, answer or ID))


def found(each: Exchange) -> list[str]:
    """Return the breaches of an exchange, without the calls that it does not show."""
    return [line for line in breaches("clickup", [each]) if not line.endswith("in no exchange")]


def test_exchange_as_documented_breaks_nothing() -> None:
    assert found(exchange()) == []
    assert "GET /api/v2/user 200: in no exchange" in breaches("clickup", [exchange()])


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (exchange(COMMENT | {"assigne": 1}), "'assigne' was unexpected"),
        (exchange({"comment_text": "Relance"}), "'notify_all' is a required property"),
        (exchange(COMMENT | {"notify_all": "false"}), "notify_all: 'false' is not of type 'boolean'"),
        (exchange(query="notify=1"), "unknown parameter notify"),
        (exchange(path="/api/v2/task/86c/comments"), "no such call"),
        (exchange(answer=ID | {"id": 458}), "id: 458 is not of type 'string'"),
        (exchange(answer={"id": "458"}), "'hist_id' is a required property"),
        (exchange(status=418), "418"),
        (
            replace(exchange(), request=replace(exchange().request, headers={"content-type": "application/json"})),
            "token",
        ),
        (replace(exchange(), request=replace(exchange().request, raw=b"{")), "Failed to deserialize"),
    ],
)
def test_exchange_beside_the_document_is_a_breach(broken: Exchange, said: str) -> None:
    assert any(said in line for line in found(broken)), found(broken)


ORIGINAL = """
openapi: 3.1.0
info: {title: as published, version: "2"}
servers: [{url: "https://api.clickup.com/api"}]
paths:
  /v2/task/{task_id}/comment:
    post:
      parameters:
        - {name: task_id, in: path, required: true, schema: {type: string}}
        - {name: Content-Type, in: header, required: true, schema: {type: string}}
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Comment"}}}}
      responses:
        "200":
          description: ""
          content:
            application/json:
              schema: {properties: {date: {type: bigint}, id: {type: string}, hist_id: {$ref: "#/paths/~1nowhere"}}}
components:
  schemas:
    Comment: {type: object, properties: {comment_text: {type: string}, notify_all: {type: boolean}}}
    Odd: {type: object, properties: []}
"""


def test_original_is_repaired_and_used_in_place_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its requests are closed. It need not list each refusal, nor that a value may be null, nor be used as a whole."""
    (tmp_path / "clickup").mkdir()
    (tmp_path / "clickup" / "v2.yaml").write_text(ORIGINAL)
    monkeypatch.setenv("VENDOR_SPECS", str(tmp_path))
    assert breaches("clickup", [exchange(), exchange(answer=ID | {"date": None}), exchange(status=401)]) == []
    assert "'assigne' was unexpected" in breaches("clickup", [exchange(COMMENT | {"assigne": 1})])[0]
    assert "not of type" in breaches("clickup", [exchange(answer=ID | {"date": "1"})])[0]
