"""Limit the posts of one client address by rate and in parallel, and find that address behind proxies."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Address, IPv4Network, IPv6Network

    Network: TypeAlias = IPv4Network | IPv6Network

HOUR_S = 3600.0
KEPT = 20_000  # addresses whose posts are counted
IPV6_HOUSEHOLD_BITS = 64  # an access provider gives each customer a /64 at least


def networks_of(text: str) -> tuple[Network, ...]:
    """Return the networks that a text names: addresses and networks with spaces between.

    Raises:
        ValueError: an entry is neither.
    """
    return tuple(ip_network(each) for each in text.split())


def client_address(peer: str, forwarded_for: Sequence[str], proxies: Sequence[Network]) -> str:
    """Return the client's address: the peer, or behind our proxies the last X-Forwarded-For entry that is no proxy.

    The client may have forged the entries before that one. `forwarded_for` holds the values of the field, in order.
    Returns "" when the peer has no address.
    """
    chain = [each.strip() for value in forwarded_for for each in value.split(",")]
    address = _address(peer)
    while address and chain and any(address in proxy for proxy in proxies):
        # The proxy wrote something that is no address, so the proxy itself is the last address known.
        found = _address(chain.pop())
        if found is None:
            break
        address = found
    return str(address or "")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A dual-stack socket reports an IPv4 peer as an IPv4-mapped IPv6 address.
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


class TokenBucket:
    """Limit the posts of each address per hour (GCRA). The posts of an hour may come all at once."""

    def __init__(self, max_per_h: int) -> None:
        """Allow each address `max_per_h` posts an hour. 0 is no limit."""
        self._max = max_per_h
        self._free_at_s: dict[str, float] = {}  # when all posts of an address have been worked off

    def wait_s(self, address: str, now_s: float) -> float:
        """Count a post and return 0, or count nothing and return the seconds until a post is allowed."""
        if not self._max:
            return 0.0
        key, each_s = _household(address), HOUR_S / self._max
        free_at_s = max(self._free_at_s.get(key, 0.0), now_s) + each_s
        if free_at_s - now_s > HOUR_S:
            return free_at_s - now_s - HOUR_S
        self._free_at_s.pop(key, None)
        self._free_at_s[key] = free_at_s
        if len(self._free_at_s) > KEPT:
            self._forget(now_s)
        return 0.0

    def _forget(self, now_s: float) -> None:
        """Drop the addresses whose posts have been worked off.

        If more than KEPT addresses remain, drop those that have not posted for longest as well.
        """
        self._free_at_s = {key: at_s for key, at_s in self._free_at_s.items() if at_s > now_s}
        while len(self._free_at_s) > KEPT:
            del self._free_at_s[next(iter(self._free_at_s))]


class ConcurrencyLimit:
    """Limit the posts in progress at once, in total and of each address."""

    def __init__(self, most: int, most_each: int) -> None:
        """Allow `most` posts in total and `most_each` of one address. All places are free."""
        self._most, self._most_each = most, most_each
        self._taken: Counter[str] = Counter()

    def take(self, address: str) -> bool:
        """Take a place and return True, or return False when none is free.

        Give the place back with `leave` in the end.
        """
        key = _household(address)
        if self._taken.total() >= self._most or self._taken[key] >= self._most_each:
            return False
        self._taken[key] += 1
        return True

    def leave(self, address: str) -> None:
        """Give a place of this address back."""
        self._taken -= Counter([_household(address)])


def _household(address: str) -> str:
    if ":" not in address:
        return address
    return str(ip_network((address.partition("%")[0], IPV6_HOUSEHOLD_BITS), strict=False))
