"""The rights without which nothing can be filed, as the server tells them."""

from __future__ import annotations

from contextlib import closing

import pytest

from poller.imap.session import connect
from tests.support.imap_account import imap_settings
from tests.support.imap_provider import SYSTEM, Provider

BASIC = "IMAP4rev1 AUTH=PLAIN MOVE"
ALL = "lrswipkxtecda"


@pytest.mark.parametrize(
    ("permanent", "rights", "said"),
    [
        (SYSTEM, {"INBOX": ALL, "Support": ALL}, []),
        (SYSTEM, {"INBOX": "lrswd", "Support": "li"}, []),
        (
            SYSTEM,
            {"INBOX": "lrs", "Support": "lr"},
            ["'INBOX': we lack the rights t, e", "'Support': we lack the right i"],
        ),
        (r"\Seen \Flagged", {"INBOX": ALL, "Support": ALL}, ["'INBOX': \\Deleted is not permitted"]),
        (SYSTEM, {}, []),
    ],
    ids=["all", "those of RFC 2086", "read only", "no mark of deletion", "none told"],
)
def test_missing_rights_are_told_before_mail_comes(permanent: str, rights: dict[str, str], said: list[str]) -> None:
    """A shared mailbox may let us read and nothing else."""
    after = f"{BASIC} ACL" if rights else BASIC
    with Provider(BASIC, after, permanent, rights=rights, boxes={"INBOX": {}, "Support": {}}) as server:
        with closing(connect(imap_settings(server))) as session:
            found = session.missing_rights(["Support", "Missing"])
        assert len(found) == len(said)
        assert all(line.startswith(words) for line, words in zip(found, said, strict=True))


def test_rights_that_server_refuses_to_tell_are_none_missing() -> None:
    with (
        Provider(BASIC, f"{BASIC} ACL", denied={"MYRIGHTS": "NO not here"}) as server,
        closing(connect(imap_settings(server))) as session,
    ):
        assert session.missing_rights([]) == []
