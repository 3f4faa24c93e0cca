"""Messages at which the server hangs up: the others are read, and it is known which they are."""

from __future__ import annotations

import os
import re
from contextlib import closing
from datetime import date
from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from integrations.sandbox.dovecot import Dovecot
from poller.mailbox import new_messages
from poller.mailbox.inbox import Inbox
from tests.support.imap_account import a_mail, all_settings
from tests.support.needs import needs_dovecot

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from tests.support.imap_provider import Provider


def logins(server: Provider) -> int:
    return sum(command.startswith("AUTHENTICATE") for command in server.commands)


def filled(server: Provider, count: int) -> list[int]:
    """Deliver so many mails, and return their UIDs."""
    for number in range(count):
        server.deliver(a_mail(number))
    return list(server.boxes["INBOX"])


@pytest.mark.parametrize("culprits", [[0], [29], [50, 51]], ids=["first", "middle", "two in the next batch"])
def test_scan_reads_all_but_messages_at_which_server_hangs_up(
    server: Provider, inbox: Inbox, culprits: list[int]
) -> None:
    """In one scan, on few connections; the next scan does not ask for them, and takes what has come since."""
    uids = filled(server, 60)
    server.hang_ups = {uids[culprit] for culprit in culprits}
    assert len(inbox.scan()) == 60 - len(culprits)
    assert inbox.unreadable.keys() == server.hang_ups
    assert logins(server) <= 12
    server.deliver(a_mail(60))
    server.commands.clear()
    assert len(inbox.scan()) == 61 - len(culprits)
    assert logins(server) == 0


@pytest.mark.parametrize("first", ["refused", "unknown"])
def test_message_that_is_not_given_hides_no_culprit_behind_it(server: Provider, inbox: Inbox, first: str) -> None:
    """It is answered for once a scan, or it would come into each new request beside the culprit, for ever."""
    uids = filled(server, 3)
    server.refused = {uids[0]: "NO Internal failure"} if first == "refused" else {}
    server.strange = set() if first == "refused" else {uids[0]}
    server.hang_ups = {uids[1]}
    assert len(inbox.scan()) == 1
    assert inbox.unreadable.keys() == server.hang_ups | server.refused.keys()


def test_scan_reads_all_but_message_that_server_never_answers(server: Provider) -> None:
    """Some servers do not hang up at such a message: they fall silent."""
    uids = filled(server, 2)
    server.hang_ups, server.silent = {uids[0]}, True
    settings = all_settings(server)
    impatient = settings.model_copy(update={"imap": settings.imap.model_copy(update={"timeout_s": 0.5})})
    with closing(Inbox(impatient)) as inbox:
        assert len(inbox.scan()) == 1
        assert inbox.unreadable.keys() == server.hang_ups


def test_message_at_which_server_hung_up_is_asked_for_again(server: Provider, inbox: Inbox) -> None:
    """By itself, so that it costs one connection; and when the server gives it, it is a message as any other."""
    uids = filled(server, 3)
    server.hang_ups = {uids[1]}
    inbox.scan()
    inbox._scanner._new._again_at_s = dict.fromkeys(server.hang_ups, 0.0)
    server.commands.clear()
    assert len(inbox.scan()) == 2
    assert logins(server) == 1
    inbox._scanner._new._again_at_s = dict.fromkeys(server.hang_ups, 0.0)
    server.hang_ups.clear()
    assert len(inbox.scan()) == 3
    assert inbox.unreadable == {}


def test_message_read_whole_in_scan_may_be_the_culprit(server: Provider, inbox: Inbox) -> None:
    """Without a Message-ID a mail is known by its content. The header is given, and the server hangs up behind it."""
    (good,) = filled(server, 1)
    server.deliver(b"From: ana@ruiz.example\r\n\r\nBonjour\r\n")
    (bad,) = server.boxes["INBOX"].keys() - {good}
    server.withheld = {bad: "BYE"}
    assert len(inbox.scan()) == 1
    assert inbox.unreadable.keys() == {bad}


def test_poll_bounds_what_it_reads_whole(server: Provider, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mails without Message-ID hold up neither a mail behind them nor the watchdog. The next polls read the rest."""
    monkeypatch.setattr(new_messages, "BODY_BYTES", 3 << 20)
    for number in range(5):
        server.deliver(b"From: ana@ruiz.example\r\nSubject: %d\r\n\r\n" % number + b"x" * (2 << 20))
    server.withheld = {min(server.boxes["INBOX"]): "torn"}
    server.deliver(a_mail(1))
    steps = 0

    def progress() -> None:
        nonlocal steps
        steps += 1

    inbox.is_polled, inbox.progress = True, progress
    assert len(inbox.scan()) == 2
    assert steps == 6 + 4  # messages, and pieces of the two that were read
    with closing(Inbox(all_settings(server))) as complete:
        everything = complete.scan()
    while inbox.seen.has_more:
        server.commands.clear()
        inbox.scan()
        assert sum("BODY.PEEK[]<0." in command for command in server.commands) <= 2
    assert inbox.scan() == everything
    assert inbox.unreadable.keys() == server.withheld.keys()


def test_message_that_the_poll_has_not_read_is_fetched(
    server: Provider, inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work goes on after a restart, before the polls have come to its message: that is not gone."""
    monkeypatch.setattr(new_messages, "BODY_BYTES", 1)
    for number in range(3):
        server.deliver(b"From: ana@ruiz.example\r\nSubject: %d\r\n\r\nBonjour" % number)
    last = inbox.scan()[-1]
    with closing(Inbox(all_settings(server))) as restarted:
        restarted.is_polled = True
        restarted.fetch(last, tmp_path / "mail.eml")
    assert b"Subject: 2" in (tmp_path / "mail.eml").read_bytes()


def test_scan_fails_when_server_always_hangs_up(server: Provider, inbox: Inbox) -> None:
    """After a few connections: then it is no message's fault."""
    server.hang_ups = set(filled(server, 60))
    with pytest.raises(TransientError, match="the connection was cut"):
        inbox.scan()
    assert logins(server) == new_messages.CUTS
    server.hang_ups = set()
    while len(inbox.seen.waiting) + len(inbox.unreadable) < 60:
        inbox.scan()


def damage(server: Dovecot, number: int, mail_format: str) -> None:
    """Damage a message on the disk as a crash or a faulty program does."""
    if mail_format == "sdbox":
        (path,) = server.mail_directory.glob(f"**/u.{number}")
        os.truncate(path, path.stat().st_size // 2)
        return
    uids = server.mail_directory / "dovecot-uidlist"
    (base,) = re.findall(rf"^{number} .*:(.+)$", uids.read_text(), re.MULTILINE)
    (path,) = server.mail_directory.glob(f"*/{base}*")
    name = re.sub(r",S=\d+,W=\d+", ",S=10,W=10", path.name)
    path.rename(path.with_name(name))
    uids.write_text(uids.read_text().replace(base, name.partition(":")[0]))
    for index in server.mail_directory.glob("dovecot.index*"):
        index.unlink()


@needs_dovecot
@pytest.mark.parametrize("mail_format", ["maildir", "sdbox"])
def test_dovecot_with_damaged_file_gives_all_others(mail_format: Literal["maildir", "sdbox"]) -> None:
    """A wrong size in a Maildir's file name, and a file of sdbox cut short, where SEARCH SINCE fails as well."""
    with Dovecot(mail_format=mail_format) as server:
        for number in range(4):
            server.deliver(a_mail(number) + b"Bonjour\r\n" * 300)
        damage(server, 2, mail_format)
        with closing(Inbox(all_settings(server))) as inbox:
            inbox.since = date(2020, 1, 1)
            assert len(inbox.scan()) == 3
            assert inbox.unreadable.keys() == {2}
