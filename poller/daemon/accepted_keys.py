"""Remember which services have ever accepted today's keys, so that a restart does not take a revoked key for a typo."""

from __future__ import annotations

import secrets
from functools import cached_property
from hashlib import pbkdf2_hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from poller.config.settings import Settings
    from poller.workflow.facts import FactStore

PREFIX = "accepted-"  # of facts, with the service and the digest of its key
DIGEST_KEY = "accepted-by"  # key of the fact that holds the random key of all digests of this state
_ROUNDS, _DIGEST_BYTES = 100_000, 8  # a password may be short, so its digest is slow to make and proves little


class AcceptedKeys:
    """The services that have ever accepted the keys of these settings, by the state store, which must be open."""

    def __init__(self, settings: Settings, store: FactStore) -> None:
        """Read and write nothing yet."""
        self._keys, self._store = _keys(settings), store
        self._recorded: set[str] = set()
        self._facts: dict[str, str] = {}

    def prepare(self) -> None:
        """Make the key of the digests, where there is none yet."""
        _ = self._digest_key

    def record(self, services: Iterable[str], most: int | None = None) -> None:
        """Record that these services have accepted their keys, each once in a process, and at most so many now."""
        for service in sorted(self._keys.keys() & set(services) - self._recorded)[:most]:
            self._store.remember(self._fact(service), "")
            self._recorded.add(service)

    def __contains__(self, service: str) -> bool:
        """Return whether the service has ever accepted its key."""
        if service not in self._keys:
            return False
        return service in self._recorded or bool(self._store.recall([self._fact(service)]))

    def _fact(self, service: str) -> str:
        if service not in self._facts:
            key, salt = self._keys[service].encode(), self._digest_key.encode()
            digest = pbkdf2_hmac("sha256", key, salt, _ROUNDS, _DIGEST_BYTES)
            self._facts[service] = f"{PREFIX}{service}-{digest.hex()}"
        return self._facts[service]

    @cached_property
    def _digest_key(self) -> str:
        return self._store.remember(DIGEST_KEY, secrets.token_hex(16))


def _keys(settings: Settings) -> dict[str, str]:
    """Return the key of each service, with the names that belong to it."""
    imap, smtp, r2 = settings.imap, settings.smtp, settings.r2
    owner = (imap.host, imap.username, imap.auth, imap.tenant, imap.client_id, imap.service_account_file)
    proof = (imap.password, imap.client_secret, imap.refresh_token)
    mailbox = [*owner, *(secret.get_secret_value() for secret in proof)]
    sender = [smtp.host, smtp.username, smtp.password.get_secret_value()]
    parts = {
        "anthropic": [settings.anthropic.api_key.get_secret_value()],
        "r2": [r2.access_key_id.get_secret_value(), r2.secret_access_key.get_secret_value()],
        "hubspot": [settings.hubspot.api_key.get_secret_value()],
        "clickup": [settings.clickup.api_key.get_secret_value()],
        "smtp": [*sender, *mailbox] if smtp.auth == "imap" else sender,
        "imap": mailbox,
    }
    return {service: "\0".join(words) for service, words in parts.items()}
