"""Name the account that messages come from. The name is part of every reference, so it outlives its mail host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from integrations.errors import ConfigurationError

if TYPE_CHECKING:
    from poller.config.settings import ImapSettings
    from poller.workflow.facts import FactStore

FACT = "account"  # key of a fact: the name of the account at the first start
ADOPTED = "account-adopted-"  # key of a fact, before the name of an account that a person said is the same

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def account_of(imap: ImapSettings) -> str:
    """Return the name of the configured mailbox with its account, as a first start records it."""
    return f"{imap.username}@{imap.host}/{imap.mailbox}"


def is_same(one: ImapSettings, other: ImapSettings) -> bool:
    """Return whether two settings name the same user and mailbox. Another host is the same: providers rename theirs."""
    return (one.username, one.mailbox) == (other.username, other.mailbox)


def recorded_account(store: FactStore, imap: ImapSettings) -> str:
    """Return the name that the state store has, or that of the settings where it has none yet."""
    return store.recall([FACT]).get(FACT) or account_of(imap)


def record(store: FactStore, imap: ImapSettings) -> None:
    """Record the account where none is recorded yet. Its mailbox was opened: a slip in its name is no account."""
    store.remember(FACT, account_of(imap))


def confirm(store: FactStore, imap: ImapSettings) -> None:
    """Make sure that the settings name the recorded account, if there is one.

    Another host is the same account: providers rename theirs.

    Raises:
        ConfigurationError: the settings name another user or another mailbox, which no person has adopted.
    """
    name, now = recorded_account(store, imap), account_of(imap)
    if name == now:
        return
    host = name.removeprefix(f"{imap.username}@").removesuffix(f"/{imap.mailbox}")
    renamed = name == f"{imap.username}@{host}/{imap.mailbox}" and not {"@", "/"} & set(host)
    if not renamed and not store.recall([ADOPTED + now]):
        raise ConfigurationError(
            f"IMAP: this state belongs to the mailbox {name}, and not to {now}: give the other one a state of its own "
            "(STATE_URL), or run `poller state adopt` if it is the same under a new name"
        )
    log.info("account_renamed", host=imap.host, first_host=host if renamed else "")


def adopt(store: FactStore, imap: ImapSettings) -> str:
    """Record that the configured account is the one of the state under a new name. Return the name that is kept."""
    store.remember(ADOPTED + account_of(imap), "")
    return store.remember(FACT, account_of(imap))
