"""Tests of the memory of accepted keys: what a refusal stops, in a run and across a restart."""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from integrations.errors import CertificateError, ConfigurationError, CredentialsError, TransientError
from poller.cli.samples import samples
from poller.daemon.accepted_keys import PREFIX, AcceptedKeys
from poller.daemon.daemon import Daemon
from poller.daemon.refusals import ENOUGH, LASTING_S
from poller.imap import login_refusals
from poller.monitoring.poll_health import PollHealth
from poller.workflow.database import open_store
from poller.workflow.facts import InMemoryFacts
from tests.support.imap_account import NAMES
from tests.support.imap_provider import Provider

if TYPE_CHECKING:
    from tests.conftest import Office

MAILS = samples()


def again(name: str) -> bytes:
    """Return another mail of the same kind."""
    return MAILS[name].replace(b"@samples", b"@again")


def outcomes(office: Office, *mails: bytes) -> list[str]:
    return sorted(status.outcome for status in office.once(*mails).values())


def test_accepted_key_is_known_to_the_next_process(office: Office) -> None:
    """Another key is another key, and so is the same password of another login."""
    facts = InMemoryFacts()
    AcceptedKeys(office.settings, facts).record(["hubspot", "imap", "state"])
    known = AcceptedKeys(office.settings, facts)
    assert ["hubspot" in known, "imap" in known, "clickup" in known, "state" in known] == [True, True, False, False]
    office.environment |= {"HUBSPOT_API_KEY": "pat-other", "IMAP_USERNAME": "other@figurative.example"}
    changed = AcceptedKeys(office.settings, facts)
    assert ("hubspot" in changed, "imap" in changed) == (False, False)


def test_state_keeps_a_short_digest_of_a_key(office: Office) -> None:
    """Two states have different digests of the same key, and none has the key."""
    kept = []
    for facts in (InMemoryFacts(), InMemoryFacts()):
        AcceptedKeys(office.settings, facts).record(["hubspot"])
        kept.append([key for key in facts._kept if key.startswith(f"{PREFIX}hubspot")])
        assert office.sandbox.hubspot.token not in str(facts._kept)
    assert kept[0] != kept[1]
    assert [len(key) for (key,) in kept] == [len(f"{PREFIX}hubspot-") + 16] * 2


def test_revoked_key_stops_only_its_service_after_restart(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """SUPPORT mail goes on while ClickUp refuses, and the rest is done when it accepts the key again."""
    assert outcomes(office, MAILS["modelisation_with_files"]) == ["modelisation"]
    accepted = office.sandbox.clickup.token
    monkeypatch.setattr(office.sandbox.clickup, "token", "pk_new")
    for _ in range(2):  # each in a process of its own, as far as the daemon knows
        assert "waiting" in outcomes(office, again("modelisation_with_files"), again("support"))
    assert office.mailboxes() == {"INBOX": 2, "Modélisation": 1, "Support": 2}
    monkeypatch.setattr(office.sandbox.clickup, "token", accepted)
    assert "modelisation" in outcomes(office)
    assert office.counts()["subtasks"] == 2


def test_once_comes_back_to_login_that_was_accepted(office: Office) -> None:
    """A server in trouble refuses a login for a moment, and a timer that runs `once` must not be stopped for it."""
    with Provider("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 AUTH=PLAIN") as server:
        office.environment |= {f"IMAP_{name.upper()}": str(getattr(server, name)) for name in NAMES}
        office.once()
        server.password = "changed"
        with pytest.raises(TransientError, match="login refused"):
            office.once()


def test_login_refused_after_restart_is_waited_out(office: Office) -> None:
    """The mailbox too was read with this password once, in another process."""
    for last in (False, True):
        daemon = Daemon(office.settings, retry_policy=office.retry_policy)
        daemon.start()
        try:
            if last:
                daemon.handle_refusal("imap", CredentialsError("IMAP login refused"))
                assert daemon.status().refused == {"imap": "IMAP login refused"}
            else:
                daemon.poll()
                daemon.tick()
        finally:
            daemon.stop()


TROUBLE = (  # what real servers say at a login while they are in trouble
    "NO AUTHENTICATE failed.",
    "NO LOGIN failed.",
    "NO [AUTHENTICATIONFAILED] Authentication failed.",
    "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
    "NO [AUTHORIZATIONFAILED] User not authorized",
    "NO [PRIVACYREQUIRED] Plaintext authentication disallowed",
    "NO [EXPIRED] Session ended",
    "NO Login incorrect",
    "NO Internal error, contact the administrator",
    "NO Cannot reach the user database",
    "NO System I/O error",
    "NO [ALERT] Too many sessions",
    "NO Scheduled maintenance",
    "BAD Command not understood",
    "NO [CONTACTADMIN] Account is being moved",
)


def test_server_in_trouble_ends_no_daemon_whose_settings_have_worked(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its words are, and at the first poll: a restart in an outage goes on when the outage is over."""
    monkeypatch.setattr(login_refusals, "REFUSED_S", (0,))
    with Provider("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 AUTH=PLAIN UIDPLUS MOVE") as server:
        office.environment |= {f"IMAP_{name.upper()}": str(getattr(server, name)) for name in NAMES}
        office.once()
        server.password = "another"
        daemon = Daemon(office.settings)
        daemon.start()
        try:
            for server.refusal in TROUBLE:
                with suppress(TransientError):
                    with pytest.raises(ConfigurationError) as refused:
                        daemon.poll()
                    daemon.handle_refusal("imap", refused.value)
            server.password = "sandbox"
            assert daemon.poll() == 0
        finally:
            daemon.stop()


@pytest.mark.parametrize("has_worked", [True, False])
def test_expired_certificate_ends_only_settings_that_never_worked(office: Office, *, has_worked: bool) -> None:
    """It is told as what it is: no key and no other setting of ours is wrong."""
    if has_worked:
        office.once()
    daemon, expired = Daemon(office.settings), CertificateError("IMAP server x: certificate is refused: it has expired")
    daemon.start()
    try:
        if not has_worked:
            with pytest.raises(CertificateError):
                daemon.handle_refusal("imap", expired)
            return
        for _ in range(ENOUGH):
            daemon.handle_refusal("imap", expired)
    finally:
        daemon.stop()
    reporter, now = office.reporter(daemon, PollHealth(60)), datetime.now(UTC)
    assert reporter.incidents(now, daemon.status()) == [], "it may pass, as after a boot with a wrong clock"
    daemon.refusals._logins._first_s -= LASTING_S
    (told,) = reporter.incidents(now, daemon.status())
    assert told.key.startswith("certificate imap ")
    assert daemon.status().misconfigured == set()


def test_key_that_never_worked_ends_the_start(office: Office) -> None:
    """A wrong key is told at once: a daemon that waited would look as if it worked."""
    assert outcomes(office, MAILS["modelisation_with_files"]) == ["modelisation"]
    office.environment["CLICKUP_API_KEY"] = "pk_typo"
    with pytest.raises(ConfigurationError, match="CLICKUP_API_KEY"):
        office.once(again("modelisation_with_files"))


def test_wrong_parent_task_is_no_matter_of_keys(office: Office) -> None:
    """It ends no start either, where the key has worked."""
    outcomes(office, MAILS["modelisation_with_files"])
    office.environment["CLICKUP_PARENT_TASK_ID"] = "elsewhere"
    office.sandbox.imap.deliver(again("modelisation_with_files"))
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    daemon.once(lambda *_: None)
    status = daemon.status()
    assert "CLICKUP_PARENT_TASK_ID" in status.refused["clickup"]
    assert status.misconfigured == {"clickup"}


def test_only_services_that_were_called_are_recorded(office: Office) -> None:
    """A notification that is prepared proves nothing about the mail server."""
    office.environment |= {"SMTP_USERNAME": "poller", "SMTP_PASSWORD": "wrong"}
    with pytest.raises(ConfigurationError):
        office.once(MAILS["support"])
    with closing(open_store(office.settings)) as store:
        services = {key.removeprefix(PREFIX).partition("-")[0] for key in store.facts(PREFIX)}
    assert services <= {"by", "imap", "hubspot"}
