"""Work on a message that is seen in the inbox or in a reclassify mailbox: begun, resumed, retried or filed back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError
from integrations.sandbox import Fault
from poller.cli.purge import forget
from poller.daemon.daemon import Daemon
from poller.model import Outcome
from poller.workflow.retry import RetryPolicy
from tests.support.corrections import (
    MAILS,
    MODELISATION,
    TO_MODELISATION,
    TO_SUPPORT,
    correct,
    decide,
    drag,
)
from tests.support.faulty_relay import Break, Relay
from tests.system.test_crash_matrix import undecided

if TYPE_CHECKING:
    from tests.conftest import Office


def test_unknown_mail_in_reclassify_mailbox_is_dispatched(office: Office) -> None:
    """Out of the junk folder; a copy that comes by mail later is no second request."""
    office.once()
    office.sandbox.imap.deliver(MAILS["support"], TO_MODELISATION)
    ((name, status),) = office.once().items()
    assert (status.outcome, status.result.was) == ("modelisation", Outcome.FORGOTTEN)
    assert name.endswith("/modelisation/1")
    assert office.counts() == MODELISATION | {"files": 0, "notifications": 0}
    assert office.once(MAILS["support"]) == {}
    assert office.counts()["tickets"] == 1
    assert office.mailboxes() == {"Modélisation": 2}


def test_correction_waiting_for_receipt_can_be_corrected_at_once(office: Office) -> None:
    """However long it would have waited: the message that the receipt was to lie beside is elsewhere now."""
    office.environment["RECEIPTS_ENABLED"] = "true"
    office.once(MAILS["support"])
    office.retry_policy = RetryPolicy(delays_s=(3600.0,), settle_s=0)
    drag(office, "Support", TO_MODELISATION, "KEYWORD", "Figurative-Support")
    with Relay(office.sandbox.imap.port) as relay:
        relay.breaks = [Break("close", b" APPEND ", after=False)]
        office.environment["IMAP_PORT"] = str(relay.port)
        assert [status.outcome for status in office.once().values()] == ["waiting"]
        drag(office, "Modélisation", TO_SUPPORT, "KEYWORD", "Figurative-Modelisation")
        statuses = office.once()
    assert {name.partition("/")[2]: each.outcome for name, each in statuses.items()} == {
        "modelisation/1": "modelisation",
        "support/2": "support",
    }


def test_failed_mail_moved_to_inbox_is_retried(office: Office) -> None:
    """As before: from the step that failed."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=400, times=None))
    office.once(MAILS["modelisation_with_files"])
    office.sandbox.hubspot.heal()
    assert correct(office, "Échecs", "INBOX").outcome == "modelisation"
    assert office.counts() == MODELISATION | {"notifications": 2}


def test_failed_correction_moved_to_inbox_is_retried(office: Office) -> None:
    """Dragged into the inbox, as what failed always is: it is done as what it was put under, not as what it was."""
    decide(office, "SUPPORT")
    office.once(undecided())
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=400, times=None))
    assert correct(office, "Support", TO_MODELISATION).outcome == "failed"
    assert office.mailboxes() == {"Échecs": 1}
    told = office.sandbox.smtp.messages[-1].message["Subject"]
    assert told.startswith("[Échec]")
    office.sandbox.hubspot.heal()
    drag(office, "Échecs", "INBOX")
    ((name, status),) = office.once().items()
    assert (name.partition("/")[2], status.outcome) == ("modelisation/2", "modelisation")
    assert office.counts() == MODELISATION | {"notifications": 2}
    assert office.mailboxes() == {"Modélisation": 1}


def cannot_be_filed_as_failed(office: Office, *, scans: int) -> None:
    """A correction fails for good, and for so many scans the server moves nothing."""
    decide(office, "SUPPORT")
    office.once(undecided())
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=400, times=None))
    drag(office, "Support", TO_MODELISATION)
    office.retry_policy = RetryPolicy(delays_s=(0.05,), give_up_after=timedelta(0), settle_s=0)
    with Relay(office.sandbox.imap.port) as relay:
        office.environment["IMAP_PORT"] = str(relay.port)
        for _ in range(scans):
            relay.breaks = [Break("reset", b" UID MOVE ", after=False) for _ in range(20)]
            office.once()
            assert 0 < len(relay.breaks) < 20
    office.environment["IMAP_PORT"] = str(office.sandbox.imap.port)


def test_failed_correction_that_cannot_be_filed_is_reported_once(office: Office) -> None:
    """It is not made anew at each scan; when the server files again it is filed, and may be dragged there once more."""
    cannot_be_filed_as_failed(office, scans=2)
    assert office.counts()["notifications"] == 2
    assert office.mailboxes() == {TO_MODELISATION: 1}
    office.once()
    assert office.mailboxes() == {"Échecs": 1}
    office.sandbox.hubspot.heal()
    drag(office, "Échecs", TO_MODELISATION)
    ((name, status),) = office.once().items()
    assert (name.partition("/")[2], status.outcome) == ("modelisation/2", "modelisation")
    assert office.counts() == MODELISATION | {"notifications": 2}


def test_late_filed_failed_correction_can_be_retried_after_purge(office: Office) -> None:
    """That it was filed is not forgotten for as long as its message is remembered."""
    cannot_be_filed_as_failed(office, scans=1)
    office.once()
    assert office.mailboxes() == {"Échecs": 1}
    forget(office.settings, datetime.now(UTC) + timedelta(days=1))
    office.sandbox.hubspot.heal()
    assert correct(office, "Échecs", TO_MODELISATION).outcome == "modelisation"


def test_waiting_correction_is_late_from_its_request_time(office: Office) -> None:
    """Not from when its mail came, which may be long ago; and so the admin hears of it as of any other."""
    office.once(MAILS["support"])
    office.fail("clickup", Fault("status", "POST", "/api/v2/list/", status=503, times=None))
    drag(office, "Support", TO_MODELISATION)
    asked = datetime.now(UTC)
    daemon = Daemon(office.settings, retry_policy=RetryPolicy(delays_s=(3600.0,)))
    daemon.once(lambda *_: None)
    ((since, _, reason),) = daemon.status().waits
    assert asked.replace(microsecond=0) <= since <= datetime.now(UTC)  # SQLite counts whole seconds
    assert "503" in reason


def test_correction_bypasses_sender_rate_limit(office: Office) -> None:
    """A person's word goes past that cap; what had waited for its turn does not come back when that is due."""
    office.environment["IMAP_MAX_PER_SENDER_PER_H"] = "1"
    again = MAILS["support"].replace(b"<support@", b"<again@")
    statuses = office.once(MAILS["support"], again)
    (held,) = [reference for reference, each in statuses.items() if each.outcome == "waiting"]
    drag(office, "INBOX", TO_MODELISATION)
    corrected = office.once()
    assert {name: each.outcome for name, each in corrected.items()} == {
        held: "gone",
        f"{held}/modelisation/1": "modelisation",
    }
    assert office.mailboxes() == {"Support": 1, "Modélisation": 1}
    assert office.once() == {}


def test_corrected_mail_moved_to_inbox_is_filed_back(office: Office) -> None:
    """That is no way to take a correction back, and does no harm: nothing is made, said or moved a second time."""
    office.environment["RECEIPTS_ENABLED"] = "true"
    decide(office, "SUPPORT")
    office.once(undecided())
    drag(office, "Support", TO_MODELISATION, "KEYWORD", "Figurative-Support")
    office.once()
    drag(office, "Modélisation", "INBOX", "KEYWORD", "Figurative-Modelisation")
    assert office.once() == {}
    assert office.counts() == MODELISATION
    assert office.mailboxes() == {"Modélisation": 3}


def test_waiting_correction_continues_after_mail_moved_to_inbox(office: Office) -> None:
    """It goes back to where it was, and waits there; that is no other correction, and there is one of everything."""
    office.once(MAILS["support"])
    office.fail("clickup", Fault("status", "POST", "/api/v2/list/", status=401, times=None))
    drag(office, "Support", TO_MODELISATION)
    with pytest.raises(ConfigurationError):
        office.once()
    drag(office, TO_MODELISATION, "INBOX")
    office.sandbox.clickup.heal()
    ((name, status),) = office.once().items()
    assert (name.partition("/")[2], status.outcome) == ("modelisation/1", "modelisation")
    assert office.counts() == MODELISATION | {"files": 0}


def test_correction_of_copied_mail_leaves_the_original_in_place(office: Office) -> None:
    """Some clients copy where they should move: there is one of everything, and no mail is taken from anywhere else."""
    office.once(MAILS["modelisation_with_files"])
    with office.sandbox.imap.session() as client:
        client.select_folder("Modélisation")
        client.copy(client.search(), TO_SUPPORT)
    assert [each.outcome for each in office.once().values()] == ["support"]
    assert office.once() == {}
    assert office.counts() == MODELISATION
    assert office.mailboxes() == {"Support": 1, "Modélisation": 1}
