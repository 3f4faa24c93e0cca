"""Keep in the state store which mailbox it belongs to."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from integrations.errors import ConfigurationError

if TYPE_CHECKING:
    from poller.workflow.facts import FactStore

ACCOUNT = "account"  # key of the fact that holds the digest of the mailbox's name
OTHER_ACCOUNT = (
    "the state is another mailbox's: look at STATE_URL, which each mailbox needs of its own, "
    "or at IMAP_HOST, IMAP_USERNAME and IMAP_MAILBOX"
)


def check(store: FactStore, account: str) -> None:
    """Make sure that the state is this mailbox's. Two that shared it would take each other's mail for gone.

    Raises:
        ConfigurationError: it is another one's.
    """
    digest = hashlib.sha256(account.encode()).hexdigest()[:16]  # the state holds no address
    if store.remember(ACCOUNT, digest) != digest:
        raise ConfigurationError(OTHER_ACCOUNT)
