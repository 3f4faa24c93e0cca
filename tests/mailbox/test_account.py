"""The name of the account, which is a part of every reference."""

from __future__ import annotations

import pytest

from integrations.errors import ConfigurationError
from poller.config.settings import ImapSettings
from poller.mailbox import account
from poller.mailbox.variants import Variants
from poller.workflow.facts import InMemoryFacts

NAME = "support@figurative.example@mail.example/INBOX"


def imap(**changes: str) -> ImapSettings:
    given = {"host": "mail.example", "username": "support@figurative.example"} | changes
    return ImapSettings.model_validate(given)


def started(**changes: str) -> InMemoryFacts:
    """The facts of a state that began with the account."""
    facts = InMemoryFacts()
    account.confirm(facts, imap(**changes))
    account.record(facts, imap(**changes))
    account.record(facts, imap(host="later.example"))
    return facts


def test_account_names_login_host_and_mailbox() -> None:
    """It is a part of every reference, so it never changes."""
    assert Variants().account(imap()) == account.recorded_account(started(), imap()) == NAME


@pytest.mark.parametrize("host", ["imap.elsewhere.example", "127.0.0.1", "mail"])
def test_renamed_host_keeps_name_of_first_start(host: str) -> None:
    facts = started()
    account.confirm(facts, imap(host=host))
    assert account.recorded_account(facts, imap(host=host)) == NAME


@pytest.mark.parametrize(
    "changes",
    [
        {"username": "studio@figurative.example"},
        {"username": "support"},
        {"mailbox": "Demandes"},
        {"host": "imap.elsewhere.example", "username": "studio@figurative.example"},
    ],
)
def test_other_account_is_refused_until_it_is_adopted(changes: dict[str, str]) -> None:
    """Its mail would be taken for what it is not; one that was renamed keeps its name."""
    facts = started()
    with pytest.raises(ConfigurationError, match="poller state adopt"):
        account.confirm(facts, imap(**changes))
    assert account.adopt(facts, imap(**changes)) == NAME
    account.confirm(facts, imap(**changes))
    account.confirm(facts, imap())
    assert account.recorded_account(facts, imap(**changes)) == NAME
