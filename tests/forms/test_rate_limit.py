"""Tests of the hourly limit of an address, and of the address behind proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from poller.config.settings import FormsSettings
from poller.forms.rate_limit import (
    DAY_S,
    HOUR_S,
    KEPT,
    PublicLimits,
    TokenBucket,
    client_address,
    networks_of,
)
from tests.support.form_site import CUSTOMER, TOKEN, Site, delivered

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.sandbox import Sandbox


def test_posts_of_one_address_are_rate_limited(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """So many an hour, then 429 with when to come back; behind a proxy of ours by whom the proxy names."""
    here = site(FORMS_MAX_PER_ADDRESS_PER_H="2", FORMS_PROXIES="127.0.0.1")

    def posted(forwarded_for: str) -> int:
        return here.post(headers={"X-Forwarded-For": forwarded_for}).status_code

    assert [posted("192.0.2.1"), posted("192.0.2.1"), posted("192.0.2.1")] == [202, 202, 429]
    assert posted("192.0.2.1, 192.0.2.2") == 202
    assert posted("192.0.2.2, 192.0.2.1") == 429
    answer = here.post(headers={"X-Forwarded-For": "192.0.2.1"})
    assert 1700 < int(answer.headers["Retry-After"]) <= 1801
    assert len(delivered(sandbox)) == 3


def test_authenticated_site_is_not_rate_limited(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """All its visitors come from one address, and it shows its secret."""
    here, token = site(FORMS_MAX_PER_ADDRESS_PER_H="1"), {"Authorization": f"Bearer {TOKEN}"}
    assert [here.post("quote", headers=token).status_code for _ in range(3)] == [202] * 3
    assert len(delivered(sandbox)) == 3


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "proxies", "address"),
    [
        ("192.0.2.1", ["198.51.100.1"], "", "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.1"], "192.0.2.0/24", "198.51.100.1"),
        ("192.0.2.1", ["203.0.113.9, 198.51.100.1, 192.0.2.7"], "192.0.2.0/24", "198.51.100.1"),
        ("192.0.2.1", ["203.0.113.9", "198.51.100.1"], "192.0.2.1", "198.51.100.1"),
        ("192.0.2.1", ["unknown"], "192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", [], "192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", ["2001:db8::1"], "192.0.2.1", "2001:db8::1"),
        ("a socket", ["192.0.2.1"], "192.0.2.1", ""),
    ],
)
def test_client_address_is_taken_from_trusted_proxy(
    peer: str, forwarded_for: list[str], proxies: str, address: str
) -> None:
    """The last address that a proxy of ours did not write of another one."""
    assert client_address(peer, forwarded_for, networks_of(proxies)) == address


def test_rate_limit_refills_evenly_per_hour() -> None:
    """Posts are worked off evenly, an IPv6 household counts as one address, and the number of addresses is bounded."""
    rate = TokenBucket(2)
    assert [rate.wait_s("2001:db8::1", at) for at in (0, 0)] == [0, 0]
    assert rate.wait_s("2001:db8::2", 0) == HOUR_S / 2
    assert [rate.wait_s("2001:db8::2", at) for at in (HOUR_S / 2, HOUR_S / 2)] == [0, HOUR_S / 2]
    assert rate.wait_s("2001:db8:0:ff::1", 0) > 0
    assert rate.wait_s("2001:db8:0:100::1", 0) == 0
    for number in range(KEPT + 10):
        rate.wait_s(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", HOUR_S)
    assert len(rate._free_at_s) == KEPT
    assert [TokenBucket(0).wait_s("", 0) for _ in range(9)] == [0] * 9


def test_ipv6_site_is_limited_as_eight_households() -> None:
    """A /48 holds 256 of them, and is given to anyone who asks."""
    limits = PublicLimits(FormsSettings(max_per_address_per_h=1, max_address_bytes_per_day=10))
    sites = [f"2001:db8:0:{number:x}00::1" for number in range(9)]
    assert [bool(limits.wait_for_post_s(each, 0)) for each in sites] == [False] * 8 + [True]
    assert [bool(limits.wait_for_bytes_s(each, 0, 10)) for each in sites] == [False] * 8 + [True]
    assert not limits.wait_for_post_s("2001:db8:1::1", 0)
    assert not any(limits.wait_for_post_s(f"192.0.2.{number}", 0) for number in range(9))


def test_bytes_of_address_and_of_all_are_limited_per_day() -> None:
    """What is refused counts nothing, and a post larger than the limit counts as all of it."""
    limits = PublicLimits(FormsSettings(max_address_bytes_per_day=100, max_public_bytes_per_day=250))
    assert limits.wait_for_bytes_s("192.0.2.1", 0, 60) == 0
    assert limits.wait_for_bytes_s("192.0.2.1", 0, 60) == pytest.approx(DAY_S * 0.2)
    assert limits.wait_for_bytes_s("192.0.2.1", 0, 40) == 0
    assert limits.wait_for_bytes_s("192.0.2.2", 0, 100) == 0
    assert limits.wait_for_bytes_s("192.0.2.3", 0, 60) == pytest.approx(DAY_S * 0.04)
    assert limits.wait_for_bytes_s("192.0.2.4", DAY_S, 1_000) == 0


def test_public_form_over_its_budget_of_bytes_is_refused(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """With when to come back. A client that shows its secret goes on."""
    here = site(FORMS_MAX_ADDRESS_BYTES_PER_DAY="1000")
    post = CUSTOMER | {"message": "x" * 600}
    answers = [here.post(json=post) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 429]
    assert 0 < int(answers[1].headers["Retry-After"]) <= DAY_S + 1
    assert here.post("quote", headers={"Authorization": f"Bearer {TOKEN}"}, json=post).status_code == 202
    assert len(delivered(sandbox)) == 2
