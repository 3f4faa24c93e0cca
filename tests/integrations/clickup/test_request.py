"""Tests of a request to ClickUp that fails: each failure has its error."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from integrations.clickup.client import ClickUp
from integrations.errors import BlockedError, ConfigurationError, PermanentError, TransientError
from integrations.sandbox.stand_in import Fault
from tests.support.clickup_client import SECRET, connect
from tests.support.timeouts import read_timeout_s

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox

REFUSED = {"err": SECRET, "ECODE": "INPUT_005"}


@pytest.mark.parametrize(
    ("fault", "error", "outcome_unknown", "retry_after_s"),
    [
        (Fault("status", status=302, headers={"Location": "/login"}), TransientError, True, None),
        (Fault("status", status=400, body=REFUSED), PermanentError, None, None),
        (Fault("status", status=403), ConfigurationError, None, None),
        (Fault("status", status=408), TransientError, True, None),
        (Fault("status", status=413), PermanentError, None, None),
        (Fault("status", status=429), TransientError, True, None),
        (Fault("status", status=429, headers={"Retry-After": "86400"}), TransientError, True, 86400.0),
        (Fault("status", status=429, headers={"X-RateLimit-Reset": "1000000000"}), TransientError, True, 0.0),
        *(
            (Fault("status", status=429, headers={"X-RateLimit-Reset": reset}), TransientError, True, None)
            for reset in ("soon", "-5", "9" * 14, "9" * 400, "9" * 5000)
        ),
        (Fault("status", status=500), TransientError, True, None),
        (Fault("status", status=503, headers={"Retry-After": "30"}), TransientError, True, 30.0),
        (Fault("status_after_commit", status=504), TransientError, True, None),
        (Fault("status", status=200, body={"err": "none"}), TransientError, True, None),
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
    clickup = connect(sandbox, read_timeout_s=read_timeout_s(fault))
    clickup.create_subtask("avant", "avant")
    sandbox.clickup.fail(fault)
    with pytest.raises(error) as raised:
        clickup.create_subtask(SECRET, SECRET)
    assert getattr(raised.value, "outcome_unknown", None) is outcome_unknown
    assert getattr(raised.value, "retry_after_s", None) == retry_after_s
    assert str(raised.value).startswith("ClickUp create subtask: ")
    assert SECRET not in str(raised.value)
    assert sandbox.clickup.token not in str(raised.value)
    assert len(sandbox.clickup.calls("POST")) == 2, "never tried again by the library"


def test_clickup_message_is_in_error_detail_only(sandbox: Sandbox) -> None:
    sandbox.clickup.fail(Fault("status", "POST", status=400, body=REFUSED))
    with pytest.raises(PermanentError) as refused:
        connect(sandbox).create_subtask(SECRET, "")
    assert str(refused.value) == "ClickUp create subtask: HTTP 400 INPUT_005"
    assert refused.value.detail == SECRET


@pytest.mark.parametrize("per_s", [1, 1000], ids=["seconds", "milliseconds"])
def test_rate_limit_reset_header_becomes_retry_after(sandbox: Sandbox, per_s: int) -> None:
    headers = {"X-RateLimit-Reset": str((int(time.time()) + 40) * per_s)}
    sandbox.clickup.fail(Fault("status", "POST", status=429, headers=headers))
    with pytest.raises(TransientError) as limited:
        connect(sandbox).create_subtask("un", "un")
    assert limited.value.retry_after_s == pytest.approx(40, abs=3)


@pytest.mark.parametrize("kind", ["timeout", "reset", "garbage"])
def test_failed_read_has_known_outcome(sandbox: Sandbox, kind: str) -> None:
    sandbox.clickup.fail(Fault(kind, "GET", times=None))
    with pytest.raises(TransientError) as failed:
        connect(sandbox, read_timeout_s=0.2).create_subtask("un", "un")
    assert not failed.value.outcome_unknown
    assert len(sandbox.clickup.requests) == 1


def test_failed_connect_has_known_outcome(sandbox: Sandbox) -> None:
    clickup = connect(sandbox)
    clickup.create_subtask("avant", "avant")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    refused = ClickUp("pk_1", "86c", url, connect_timeout_s=1.0)
    with pytest.raises(TransientError) as failed:
        refused.add_comment("86c", "Relance")
    assert not failed.value.outcome_unknown


@pytest.mark.parametrize("status", [401, 403])
def test_block_at_the_edge_is_about_the_mail_if_the_user_is_read(sandbox: Sandbox, status: int) -> None:
    """A firewall dislikes what one mail says. The token is asked about once, and works."""
    clickup = connect(sandbox)
    clickup.create_subtask("avant", "avant")
    sandbox.clickup.requests.clear()
    sandbox.clickup.fail(Fault("status", "POST", status=status, body="<html>Forbidden</html>"))
    with pytest.raises(BlockedError, match=rf"ClickUp create subtask: HTTP {status}.*firewall"):
        clickup.create_subtask(SECRET, SECRET)
    assert [each.method for each in sandbox.clickup.requests] == ["POST", "GET"]


@pytest.mark.parametrize(
    ("body", "error"), [("<html>Forbidden</html>", TransientError), (None, ConfigurationError)], ids=["html", "own"]
)
def test_block_at_the_edge_is_no_mails_if_the_user_is_not_read(
    sandbox: Sandbox, body: str | None, error: type[Exception]
) -> None:
    sandbox.clickup.fail(Fault("status", "POST", status=403, body="<html>Forbidden</html>"))
    sandbox.clickup.fail(Fault("status", "GET", "/api/v2/user", status=403, body=body, times=None))
    with pytest.raises(error):
        connect(sandbox).create_subtask(SECRET, SECRET)
