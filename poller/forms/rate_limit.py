"""Limit the posts of one client address by rate, by bytes and in parallel, and find that address behind proxies.

An address of IPv6 counts with its network: whoever has one address has all of the others there.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Address, IPv4Network, IPv6Network

    from poller.config.settings import FormsSettings

    Network: TypeAlias = IPv4Network | IPv6Network

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
KEPT = 20_000  # addresses whose posts are counted
IPV6_HOUSEHOLD_BITS = 56  # what an access provider gives a customer (RFC 6177, RIPE-690)
IPV6_SITE_BITS = 48  # what anyone may have for the asking
SITE_HOUSEHOLDS = 8  # times what one household may do, a site may do in all


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
    """Limit what each address may do in a time (GCRA). All of it may come at once."""

    def __init__(self, most: int, period_s: float = HOUR_S, ipv6_bits: int = IPV6_HOUSEHOLD_BITS) -> None:
        """Allow each address, or IPv6 network of so many bits, `most` of something in the period. 0 is no limit."""
        self._max, self._period_s, self._bits = most, period_s, ipv6_bits
        self._free_at_s: dict[str, float] = {}  # when all that an address did has been worked off

    def wait_s(self, address: str, now_s: float, cost: int = 1) -> float:
        """Count a post and return 0, or count nothing and return the seconds until it is allowed.

        A post that costs more than the limit counts as all of it.
        """
        if not self._max:
            return 0.0
        key, cost_s = _network(address, self._bits), self._period_s * min(cost, self._max) / self._max
        free_at_s = max(self._free_at_s.get(key, 0.0), now_s) + cost_s
        if free_at_s - now_s > self._period_s:
            return free_at_s - now_s - self._period_s
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


class PublicLimits:
    """The limits of the public forms: posts an hour, and bytes a day that go to the mailbox."""

    def __init__(self, settings: FormsSettings) -> None:
        """Begin with nothing counted. A restart forgets what was."""
        posts, size_bytes = settings.max_per_address_per_h, settings.max_address_bytes_per_day
        self._posts = (TokenBucket(posts), TokenBucket(SITE_HOUSEHOLDS * posts, ipv6_bits=IPV6_SITE_BITS))
        self._bytes = (
            TokenBucket(size_bytes, DAY_S),
            TokenBucket(SITE_HOUSEHOLDS * size_bytes, DAY_S, IPV6_SITE_BITS),
        )
        self._all_bytes = TokenBucket(settings.max_public_bytes_per_day, DAY_S)

    def wait_for_post_s(self, address: str, now_s: float) -> float:
        """Count a post and return 0, or return the seconds until the address may post again."""
        return next((wait_s for each in self._posts if (wait_s := each.wait_s(address, now_s))), 0.0)

    def wait_for_bytes_s(self, address: str, now_s: float, size_bytes: int) -> float:
        """Count the bytes of a post and return 0, or return the seconds until the address may send so many."""
        waits = (each.wait_s(address, now_s, size_bytes) for each in self._bytes)
        return next((wait_s for wait_s in waits if wait_s), 0.0) or self._all_bytes.wait_s("", now_s, size_bytes)


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
        key = _network(address, IPV6_HOUSEHOLD_BITS)
        if self._taken.total() >= self._most or self._taken[key] >= self._most_each:
            return False
        self._taken[key] += 1
        return True

    def leave(self, address: str) -> None:
        """Give a place of this address back."""
        self._taken -= Counter([_network(address, IPV6_HOUSEHOLD_BITS)])


def _network(address: str, ipv6_bits: int) -> str:
    if ":" not in address:
        return address
    return str(ip_network((address.partition("%")[0], ipv6_bits), strict=False))
