"""Tests of a request to HubSpot that fails: each failure has its error."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from integrations.errors import BlockedError, ConfigurationError, PermanentError, TransientError
from integrations.hubspot.client import HubSpot
from integrations.sandbox.stand_in import Fault
from tests.support.hubspot_client import REF, SECRET, TICKETS, connect
from tests.support.timeouts import read_timeout_s

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox

ROLLING = {"policyName": "TEN_SECONDLY_ROLLING", "errorType": "RATE_LIMIT", "message": SECRET}
NEWER = {"category": "RATE_LIMITS", "message": "You have reached your ten_secondly_rolling limit."}
DAILY = {"policyName": "DAILY", "errorType": "RATE_LIMIT"}
LATIN_1 = "<html>Passerelle indisponible, réessayez</html>".encode("latin-1")


@pytest.mark.parametrize(
    ("fault", "error", "outcome_unknown", "retry_after_s"),
    [
        (
            Fault("status", status=400, body={"message": SECRET, "category": "VALIDATION_ERROR"}),
            PermanentError,
            None,
            None,
        ),
        (Fault("status", status=401), ConfigurationError, None, None),
        (Fault("status", status=403), ConfigurationError, None, None),
        (Fault("status", status=404), PermanentError, None, None),
        (Fault("status", status=408), TransientError, True, None),
        (Fault("status", status=413), PermanentError, None, None),
        (Fault("status", status=423), TransientError, True, 2.0),
        (Fault("status", status=429, body=ROLLING), TransientError, True, 10.0),
        (Fault("status", status=429, body=NEWER), TransientError, True, 10.0),
        (Fault("status", status=429, body={"policyName": "SECONDLY"}), TransientError, True, 1.0),
        (Fault("status", status=429, body=DAILY), TransientError, True, 3600.0),
        (Fault("status", status=429, body=DAILY, headers={"Retry-After": "86400"}), TransientError, True, 86400.0),
        (Fault("status", status=429, body=b"slow down"), TransientError, True, None),
        (Fault("status", status=477, headers={"Retry-After": "7200"}), TransientError, True, 7200.0),
        (Fault("status", status=500), TransientError, True, None),
        (Fault("status", status=502, body=LATIN_1), TransientError, True, None),
        (Fault("status", status=503, headers={"Retry-After": "30"}), TransientError, True, 30.0),
        (Fault("status_after_commit", status=504), TransientError, True, None),
        (Fault("status", status=521), TransientError, True, None),
        (Fault("status", status=200, body={"status": "ok"}), TransientError, True, None),
        (Fault("status", status=200, body=[1]), TransientError, True, None),
        (Fault("garbage"), TransientError, True, None),
        (Fault("reset"), TransientError, True, None),
        (Fault("cut_after_commit"), TransientError, True, None),
        (Fault("timeout"), TransientError, True, None),
        (Fault("hang_after_commit"), TransientError, True, None),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else None,
)
def test_create_maps_every_failure_to_its_error(
    sandbox: Sandbox,
    fault: Fault,
    error: type[Exception],
    outcome_unknown: bool | None,
    retry_after_s: float | None,
) -> None:
    hubspot = connect(sandbox, read_timeout_s=read_timeout_s(fault))
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    sandbox.hubspot.fail(fault)
    with pytest.raises(error) as raised:
        hubspot.create_ticket(SECRET, SECRET, contact_id, REF)
    assert getattr(raised.value, "outcome_unknown", None) is outcome_unknown
    assert getattr(raised.value, "retry_after_s", None) == retry_after_s
    assert str(raised.value).startswith("HubSpot create ticket: ")
    assert "\n" not in str(raised.value)
    assert SECRET not in str(raised.value)
    assert sandbox.hubspot.token not in str(raised.value)
    assert len(sandbox.hubspot.calls("POST", TICKETS)) == 1, "never tried again by the library"


def test_hubspot_message_is_in_error_detail_only(sandbox: Sandbox) -> None:
    sandbox.hubspot.fail(Fault("status", "POST", body={"message": SECRET, "category": "VALIDATION_ERROR"}, status=400))
    with pytest.raises(PermanentError) as refused:
        connect(sandbox).create_ticket("s", "c", "1", REF)
    assert str(refused.value) == "HubSpot create ticket: HTTP 400 VALIDATION_ERROR"
    assert refused.value.detail == SECRET


@pytest.mark.parametrize("kind", ["timeout", "reset", "garbage"])
def test_failed_read_has_known_outcome_and_no_retry(sandbox: Sandbox, kind: str) -> None:
    sandbox.hubspot.fail(Fault(kind, "GET", times=None))
    with pytest.raises(TransientError) as failed:
        connect(sandbox, read_timeout_s=0.2).find_or_create_contact("zoe@example.com", "", "")
    assert not failed.value.outcome_unknown
    assert len(sandbox.hubspot.requests) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_failed_connect_has_known_outcome(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    hubspot = HubSpot("pat", "1", "0", "1", f"{scheme}://127.0.0.1:{port}", connect_timeout_s=1.0, read_timeout_s=1.0)
    with pytest.raises(TransientError) as failed:
        hubspot.create_ticket("s", "c", "1", REF)
    assert not failed.value.outcome_unknown


def test_server_without_tls_raises_transient_error(sandbox: Sandbox) -> None:
    url = sandbox.hubspot.url.replace("http://", "https://")
    with pytest.raises(TransientError):
        HubSpot("pat", "1", "0", "1", url, connect_timeout_s=1.0, read_timeout_s=1.0).check()


BLOCK = Fault("status", "POST", status=403, body="<html><h1>403 Forbidden</h1></html>")


def test_block_at_the_edge_is_about_the_mail_if_the_account_answers(sandbox: Sandbox) -> None:
    """A firewall dislikes what one mail says. The key is asked about once, and works."""
    hubspot = connect(sandbox)
    sandbox.hubspot.fail(BLOCK)
    with pytest.raises(BlockedError, match=r"HubSpot create ticket: HTTP 403.*firewall"):
        hubspot.create_ticket(SECRET, SECRET, "1", REF)
    assert [each.path for each in sandbox.hubspot.requests] == [TICKETS, "/account-info/2026-09/details"]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [(403, "<html>", TransientError), (503, "", TransientError), (401, None, ConfigurationError)],
)
def test_block_at_the_edge_is_no_mails_if_the_account_does_not_answer(
    sandbox: Sandbox, status: int, body: str | None, error: type[Exception]
) -> None:
    sandbox.hubspot.fail(BLOCK)
    sandbox.hubspot.fail(Fault("status", "GET", status=status, body=body, times=None))
    with pytest.raises(error) as raised:
        connect(sandbox).create_ticket(SECRET, SECRET, "1", REF)
    assert getattr(raised.value, "outcome_unknown", True), "a gateway may have passed the call on"
    assert len(sandbox.hubspot.requests) == 2


@pytest.mark.parametrize("body", ['{"message": "Forbidden"}', '{"status": 403, "error": "Forbidden"}', "", "no"])
def test_refusal_in_the_words_of_a_gateway_is_not_hubspots(sandbox: Sandbox, body: str) -> None:
    sandbox.hubspot.fail(replace(BLOCK, body=body))
    with pytest.raises(BlockedError):
        connect(sandbox).create_ticket(SECRET, SECRET, "1", REF)
