"""Reclassify mailboxes: made, scanned, turned off and deleted by a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError, TransientError
from poller.cli.purge import forget
from poller.config.settings import LabelsSettings
from poller.daemon.daemon import Daemon
from poller.errors import MessageGoneError
from poller.mailbox.inbox import Inbox
from poller.mailbox.reclassify_mailboxes import OFF, names, stranded
from poller.model import Category
from tests.support.corrections import (
    MAILS,
    TO_MODELISATION,
    TO_SUPPORT,
    an_answer,
    decide,
    drag,
    poller,
)
from tests.system.test_crash_matrix import undecided

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Office


def test_reclassify_mailboxes_are_created_unless_turned_off(office: Office) -> None:
    """Subscribed, so that every mail client shows them."""
    as_it_was = office.environment
    office.environment = as_it_was | {"LABELS_RECLASSIFY_SUPPORT": "-", "LABELS_RECLASSIFY_MODELISATION": "-"}
    office.once()
    assert office.sandbox.imap.mailboxes() == ["INBOX"]
    office.environment = as_it_was
    office.once()
    assert office.sandbox.imap.mailboxes() == ["INBOX", TO_MODELISATION, TO_SUPPORT]
    with office.sandbox.imap.session() as client:
        assert {name for *_, name in client.list_sub_folders()} >= {TO_MODELISATION, TO_SUPPORT}


def test_deleted_reclassify_mailbox_is_created_at_next_start(office: Office) -> None:
    """It is made again at the next start."""
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    daemon.start()
    try:
        assert daemon.poll() == 0
        with office.sandbox.imap.session() as client:
            client.delete_folder(TO_SUPPORT)
        assert daemon.poll() == 0
    finally:
        daemon.stop()
    with pytest.raises(MessageGoneError):
        Inbox(office.settings, within=TO_SUPPORT).scan()
    office.once()
    assert TO_SUPPORT in office.sandbox.imap.mailboxes()


def test_label_may_not_be_a_reclassify_mailbox(office: Office) -> None:
    """Or each mail would be corrected for ever."""
    office.environment["LABELS_RECLASSIFY_SUPPORT"] = "modélisation"
    with pytest.raises(ConfigurationError, match=r"LABELS_RECLASSIFY_SUPPORT.*for ever"):
        office.once()


def test_unreadable_reclassify_mailbox_does_not_stop_others(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single message that the server cannot give would otherwise end every scan."""
    office.once(MAILS["auto_reply"])
    drag(office, "Ignorés", TO_SUPPORT)
    with office.sandbox.imap.session() as client:
        client.append(TO_MODELISATION, undecided())
    scan = Inbox.scan

    def refused(self: Inbox, **how: bool) -> list[str]:
        if self._sessions._within == TO_MODELISATION:
            raise TransientError("IMAP FETCH: the server says no", outcome_unknown=False)
        return scan(self, **how)

    monkeypatch.setattr(Inbox, "scan", refused)
    office.once()
    assert office.mailboxes() == {"Support": 1, TO_MODELISATION: 1}


def test_purge_keeps_messages_in_reclassify_mailboxes(office: Office) -> None:
    """Or it would be a new request when the daemon comes to it."""
    decide(office, "SUPPORT")
    office.once(undecided())
    office.once(an_answer())
    drag(office, "Support", TO_MODELISATION, "HEADER", "In-Reply-To", "undecided")
    forget(office.settings, datetime.now(UTC) + timedelta(days=1))
    office.once()
    assert office.counts()["tickets"] == 1


def test_mail_in_unwatched_reclassify_mailbox_is_reported(office: Office, logged: Callable[[], str]) -> None:
    """At the start, and by `poller check`; the mail stays there."""
    office.once(MAILS["support"])
    drag(office, "Support", TO_MODELISATION)
    as_it_was = office.environment
    office.environment = as_it_was | {"LABELS_RECLASSIFY_MODELISATION": "-"}
    assert "reclassify_mailbox_unwatched" not in logged()
    office.once()
    assert "reclassify_mailbox_unwatched" in logged()
    assert office.mailboxes() == {TO_MODELISATION: 1}
    assert f"1 in {TO_MODELISATION!r}, which is turned off" in poller(office, "check").stdout
    office.environment = as_it_was
    assert "Reclasser" not in poller(office, "check").stdout


def test_names_leave_out_a_reclassify_mailbox_that_is_off() -> None:
    labels = LabelsSettings(reclassify_support=OFF, reclassify_modelisation="A modeler")
    assert names(labels) == {Category.MODELISATION: "A modeler"}
    assert names(LabelsSettings()) == {Category.SUPPORT: TO_SUPPORT, Category.MODELISATION: TO_MODELISATION}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, {}),
        ({"reclassify_support": OFF}, {TO_SUPPORT: 3}),
        ({"reclassify_support": OFF, "reclassify_modelisation": OFF}, {TO_SUPPORT: 3}),
        ({"reclassify_support": "Autre", "reclassify_modelisation": TO_SUPPORT}, {}),
    ],
)
def test_stranded_messages_are_counted_in_unwatched_default_mailboxes(
    given: dict[str, str], found: dict[str, int]
) -> None:
    """A mailbox without a message is not named."""
    assert stranded(LabelsSettings(**given), lambda name: 3 if name == TO_SUPPORT else 0) == found
