"""Logins by password: each server has its own idea of how, and wants to know who we are."""

from __future__ import annotations

import pytest

from integrations.errors import CredentialsError
from poller.imap import connection, login_refusals
from poller.imap.session import connect
from tests.support.imap_account import imap_settings
from tests.support.imap_provider import Provider

WITH_PLAIN, WITHOUT = "IMAP4rev1 AUTH=PLAIN", "IMAP4rev1"
WRONG = "NO [AUTHENTICATIONFAILED] Authentication failed."


def logins(server: Provider) -> list[str]:
    """The commands by which a login was tried."""
    return [command.split()[0] for command in server.commands if command.startswith(("AUTHENTICATE", "LOGIN "))]


@pytest.mark.parametrize(
    ("offered", "denied", "tried"),
    [(WITH_PLAIN, "AUTHENTICATE", ["AUTHENTICATE", "LOGIN"]), (WITHOUT, "LOGIN ", ["LOGIN", "AUTHENTICATE"])],
)
def test_refused_login_is_tried_once_the_other_way(offered: str, denied: str, tried: list[str]) -> None:
    """The next connection begins with what was taken."""
    with Provider(offered, offered, denied={denied: WRONG}) as server:
        connect(imap_settings(server)).close()
        assert logins(server) == tried
        connect(imap_settings(server)).close()
        assert logins(server) == [*tried, tried[1]]


@pytest.mark.parametrize(
    ("offered", "denied", "named"),
    [
        (WITH_PLAIN, {}, "AUTHENTICATE PLAIN and LOGIN"),
        (f"{WITH_PLAIN} LOGINDISABLED", {}, "AUTHENTICATE PLAIN"),
        (WITH_PLAIN, {"LOGIN ": ""}, "AUTHENTICATE PLAIN and LOGIN"),
        (WITH_PLAIN, {"LOGIN ": "NO [UNAVAILABLE] too many tries"}, "AUTHENTICATE PLAIN and LOGIN"),
    ],
    ids=["both refused", "LOGIN is off", "hung up after the first", "busy after the first"],
)
def test_refusal_names_what_was_tried(offered: str, denied: dict[str, str], named: str) -> None:
    """The first answer stands, and says what to look at."""
    with Provider(offered, offered, denied=denied, refusal=WRONG) as server:
        with pytest.raises(CredentialsError) as refused:
            connect(imap_settings(server, password="wrong"))
        assert str(refused.value) == (
            f"IMAP login refused: [AUTHENTICATIONFAILED] Authentication failed (tried: {named}): "
            "check IMAP_USERNAME and IMAP_PASSWORD"
        )
        assert len(logins(server)) == len(named.split(" and "))


def test_way_that_was_taken_is_tried_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that has worked by it and is refused is not refused because of the way."""
    monkeypatch.setattr(login_refusals, "REFUSED_S", (0,))
    with Provider(WITH_PLAIN, WITH_PLAIN, refusal=WRONG) as server:
        given = imap_settings(server)
        connect(given).close()
        server.password = "changed"
        for _ in range(2):
            with pytest.raises(CredentialsError, match=r"tried: AUTHENTICATE PLAIN\)"):
                connect(given)
        assert logins(server) == ["AUTHENTICATE"] * 3


def test_silence_after_first_refusal_hides_it_not() -> None:
    """Some servers answer no second login on one connection, or reset it: the password is wrong all the same."""
    with (
        Provider(WITH_PLAIN, WITH_PLAIN, denied={"LOGIN ": ""}, silent=True, refusal=WRONG) as server,
        pytest.raises(CredentialsError, match="AUTHENTICATE PLAIN and LOGIN"),
    ):
        connect(imap_settings(server, password="wrong", timeout_s=0.1))


@pytest.mark.parametrize(
    ("offered", "denied", "told"),
    [(f"{WITH_PLAIN} ID", {}, True), (f"{WITH_PLAIN} ID", {"ID (": "BAD what"}, True), (WITH_PLAIN, {}, False)],
    ids=["offered", "refused", "not offered"],
)
def test_client_names_itself_before_it_selects(offered: str, denied: dict[str, str], *, told: bool) -> None:
    """Some servers refuse every mailbox to a client that does not; no server is left for refusing the name."""
    with Provider(offered, offered, denied=denied) as server:
        connect(imap_settings(server)).close()
        names = [command.split()[0] for command in server.commands]
        assert ("ID" in names) == told
        if told:
            assert names.index("AUTHENTICATE") < names.index("ID") < names.index("SELECT")
            assert server.commands[names.index("ID")].startswith('ID ("name" "figurative-poller" "version" "')


def test_client_goes_on_without_its_name_where_the_server_hangs_up_at_it() -> None:
    """Once may be chance. Later connections do not name it either."""
    offered = f"{WITH_PLAIN} ID"
    with Provider(offered, offered, denied={"ID (": ""}) as server:
        for _ in range(2):
            connect(imap_settings(server)).close()
        names = [command.split()[0] for command in server.commands]
        assert [name for name in names if name in {"ID", "SELECT"}] == ["ID", "ID", "SELECT", "SELECT"]


def test_client_names_itself_again_after_a_cut_by_chance() -> None:
    """Where it does not, some servers refuse every mailbox."""
    offered = f"{WITH_PLAIN} ID"
    with Provider(offered, offered, denied={"ID (": ""}) as server:
        account = server.host, server.port
        connection._cut_at_id[account] = connection.ID_TRIES - 1
        server.denied = {}
        connect(imap_settings(server)).close()
        assert (connection._cut_at_id[account], " ".join(server.commands).count("ID (")) == (0, 1)
