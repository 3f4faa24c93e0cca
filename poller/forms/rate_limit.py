"""How often and how much at once one address may post, and which address that is behind a proxy."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Address, IPv4Network, IPv6Network

    Network: TypeAlias = IPv4Network | IPv6Network

HOUR_S = 3600.0
KEPT = 20_000  # addresses that are remembered
IPV6_HOUSEHOLD_BITS = 64  # what one customer of a provider has at least


def networks_of(text: str) -> tuple[Network, ...]:
    """The networks, from addresses and networks with spaces between; ValueError when one is neither."""
    return tuple(ip_network(each) for each in text.split())


def client_address(peer: str, forwarded_for: Sequence[str], proxies: Sequence[Network]) -> str:
    """Who posts: the peer, or behind proxies of ours the last in X-Forwarded-For that is none of them.

    What stands before that anybody may have written. `forwarded_for` are the values of the field, in order. "" when the
    peer has no address.
    """
    chain = [each.strip() for value in forwarded_for for each in value.split(",")]
    address = _address(peer)
    while address and chain and any(address in proxy for proxy in proxies):
        # A proxy that writes something else than an address: it is the last one that is known.
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
    # A socket for both families gives IPv4 addresses in the form of IPv6.
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


class Rate:
    """So many posts of one address in an hour, all at once if need be, and then as the hour goes by (GCRA)."""

    def __init__(self, max_per_h: int) -> None:
        """0 is no limit."""
        self._max = max_per_h
        self._free_at_s: dict[str, float] = {}  # when all posts of an address have been worked off

    def wait_s(self, address: str, now_s: float) -> float:
        """Count a post; 0 when it may go on, else the seconds until one may, and it is not counted."""
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
        """Those that owe nothing any more; where there are none, who posted least lately."""
        self._free_at_s = {key: at_s for key, at_s in self._free_at_s.items() if at_s > now_s}
        while len(self._free_at_s) > KEPT:
            del self._free_at_s[next(iter(self._free_at_s))]


class Places:
    """So many posts in hand at once, and so many of them of one address."""

    def __init__(self, most: int, most_each: int) -> None:
        """All are free."""
        self._most, self._most_each = most, most_each
        self._taken: Counter[str] = Counter()

    def take(self, address: str) -> bool:
        """Whether there was one; it is to be left in the end."""
        key = _household(address)
        if self._taken.total() >= self._most or self._taken[key] >= self._most_each:
            return False
        self._taken[key] += 1
        return True

    def leave(self, address: str) -> None:
        """Somebody else may have it."""
        self._taken -= Counter([_household(address)])


def _household(address: str) -> str:
    if ":" not in address:
        return address
    return str(ip_network((address.partition("%")[0], IPV6_HOUSEHOLD_BITS), strict=False))
