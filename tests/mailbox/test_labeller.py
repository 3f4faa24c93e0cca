"""Messages that finish together: filed with few commands, and each fails alone."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError, TransientError
from integrations.sandbox.dovecot import Dovecot
from poller.errors import MessageGoneError
from poller.imap import pool
from poller.mailbox.inbox import Inbox
from poller.mailbox.labeller import MOST
from tests.support.faulty_relay import Break, Relay
from tests.support.imap_account import a_mail
from tests.support.needs import needs_dovecot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.conftest import Office

NUMBER = 6
DEADLINE_S = 10.0


class Wire(Relay):
    """Hears what the inbox says, holds the first MOVE until it `goes_on`, and has something else `instead` of a UID."""

    def __init__(self, server_port: int) -> None:
        super().__init__(server_port)
        self.said = b""
        self.uid, self.instead = 0, b""
        self.moves, self.goes_on = threading.Event(), threading.Event()
        self.goes_on.set()

    def passed(self, data: bytes) -> bytes:
        """See `Relay`."""
        self.said += data
        if not re.search(rb" UID (MOVE|COPY) ", data):
            return data
        if not self.moves.is_set():
            self.moves.set()
            self.goes_on.wait(DEADLINE_S)
        return re.sub(rb"(?<=[ ,])%d[, ]" % self.uid, self.instead, data)

    def commands(self, names: str = "NOOP|UID STORE|UID COPY|UID MOVE") -> list[str]:
        """Those of these names, in order."""
        return re.findall(rf"(?m)^\S+ ({names})\b", self.said.decode())

    def moved(self) -> list[int]:
        """The number of messages that each MOVE names."""
        return [len(uids.split(b",")) for uids in re.findall(rb" UID MOVE (\S+)", self.said)]


@pytest.fixture
def wire(office: Office) -> Iterator[Wire]:
    with Wire(office.sandbox.imap.port) as relay:
        office.environment["IMAP_PORT"] = str(relay.port)
        yield relay


@pytest.fixture
def inbox(office: Office, wire: Wire) -> Iterator[Inbox]:  # noqa: ARG001  it is the way to the server
    with opened(office) as inbox:
        yield inbox


@contextmanager
def opened(office: Office, within: str = "") -> Iterator[Inbox]:
    """An inbox that nobody waits at any more when it is left."""
    with closing(Inbox(office.settings, within)) as inbox:
        yield inbox
        assert [labelling._wishes for labelling in inbox._labelling.values()] == [[]] * 4
        assert not any(labelling._filing for labelling in inbox._labelling.values())


def scanned(office: Office, inbox: Inbox, number: int = NUMBER) -> list[str]:
    for each in range(number):
        office.sandbox.imap.deliver(a_mail(each))
    return inbox.scan()


def until_here(inbox: Inbox, number: int) -> None:
    """Wait until so many threads want something filed as ignored."""
    deadline = time.monotonic() + DEADLINE_S
    while len(inbox._labelling["ignored"]._wishes) < number:
        if time.monotonic() > deadline:
            pytest.fail("waited for too long")
        time.sleep(0.01)


@contextmanager
def finishing(inbox: Inbox, references: Sequence[str], in_use: int = pool.IN_USE) -> Iterator[list[Future[None]]]:
    """Messages that finish, each in a thread of its own, while every session is in use: until it is left."""
    with ThreadPoolExecutor(len(references)) as threads, ExitStack() as at_work:
        for _ in range(in_use):
            at_work.enter_context(inbox._sessions._places)
        labels = [threads.submit(inbox.label, reference, "ignored") for reference in references]
        until_here(inbox, len(references))
        yield labels


def test_messages_waiting_for_session_are_filed_with_one_move(office: Office, inbox: Inbox, wire: Wire) -> None:
    """And with one look at their headers, one STORE that takes keywords off, and one that puts theirs on."""
    references = scanned(office, inbox)
    wire.said = b""
    with finishing(inbox, references) as labels:
        pass
    assert [label.result() for label in labels] == [None] * NUMBER
    assert wire.moved() == [NUMBER]
    assert wire.commands() == ["NOOP", "UID STORE", "UID STORE", "UID MOVE"]
    assert [message.flags for message in office.sandbox.imap.messages("Ignorés")] == [{"Figurative-Ignored"}] * NUMBER
    assert office.mailboxes() == {"Ignorés": NUMBER}


def test_messages_finishing_during_filing_are_filed_together(office: Office, inbox: Inbox, wire: Wire) -> None:
    """Though there are sessions enough for each; one that goes elsewhere does not wait."""
    first, elsewhere, *rest = scanned(office, inbox)
    wire.goes_on.clear()
    with ThreadPoolExecutor(NUMBER) as threads:
        labels = [threads.submit(inbox.label, first, "ignored")]
        assert wire.moves.wait(DEADLINE_S)
        labels += [threads.submit(inbox.label, reference, "ignored") for reference in rest]
        until_here(inbox, NUMBER - 1)
        inbox.label(elsewhere, "support")
        assert office.mailboxes() == {"INBOX": NUMBER - 1, "Support": 1}
        wire.goes_on.set()
        assert [label.result() for label in labels] == [None] * (NUMBER - 1)
    assert wire.moved() == [1, 1, NUMBER - 2]


def test_batch_size_is_limited_for_slow_servers(office: Office, inbox: Inbox, wire: Wire) -> None:
    references = scanned(office, inbox, MOST + 2)
    with finishing(inbox, references) as labels:
        pass
    assert [label.result() for label in labels] == [None] * (MOST + 2)
    assert wire.moved() == [MOST, 2]


def test_single_message_is_filed_at_once(office: Office, inbox: Inbox, wire: Wire) -> None:
    """It costs the same commands however many could have been filed with it."""
    first, second = scanned(office, inbox, 2)
    inbox.label(first, "ignored")
    wire.said = b""
    inbox.label(second, "ignored")
    assert wire.commands(r"UID \w+|\w+") == ["NOOP", "UID FETCH", "UID STORE", "UID STORE", "UID MOVE"]


def test_removed_message_does_not_stop_its_batch(office: Office, inbox: Inbox, wire: Wire) -> None:
    """It is gone, which is no failure."""
    references = scanned(office, inbox)
    with finishing(inbox, references) as labels, office.sandbox.imap.session() as client:
        client.select_folder("INBOX")
        client.delete_messages(client.search()[2])
        client.expunge()
    assert [label.result() for label in labels] == [None] * NUMBER
    assert wire.moved() == [NUMBER]
    assert office.mailboxes() == {"Ignorés": NUMBER - 1}


@pytest.mark.parametrize("instead", [b"", b"none,"], ids=["passed over", "refused"])
def test_rejected_message_fails_without_its_batch(office: Office, inbox: Inbox, wire: Wire, instead: bytes) -> None:
    """With or without a word of the server: each of the others is filed by itself."""
    references = scanned(office, inbox)
    wire.uid, wire.instead = next(iter(inbox.seen.copies(references[2]))), instead
    with finishing(inbox, references) as labels:
        pass
    failed = [reference for reference, label in zip(references, labels, strict=True) if label.exception()]
    assert failed == [references[2]]
    with pytest.raises(TransientError, match="IMAP"):
        labels[2].result()
    assert sorted(wire.moved()) == [*[1] * NUMBER, NUMBER]
    assert office.mailboxes() == {"INBOX": 1, "Ignorés": NUMBER - 1}
    wire.uid = 0
    inbox.label(references[2], "ignored")
    assert office.mailboxes() == {"Ignorés": NUMBER}


@needs_dovecot
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("without", "command"), [("", b"UID MOVE"), ("MOVE", b"UID COPY")])
def test_cut_connection_leaves_whole_batch_in_doubt(
    office: Office, without: str, command: bytes, *, after: bool
) -> None:
    """None is tried again at once, when the server may still be at it; the next try of each finds out, none twice."""
    with Dovecot(without={without}) as server, Wire(server.port) as wire:
        office.environment["IMAP_PORT"] = str(wire.port)
        for each in range(NUMBER):
            server.deliver(a_mail(each))
        with opened(office) as inbox:
            references = inbox.scan()
            wire.breaks.append(Break("close", command, after=after))
            with finishing(inbox, references) as labels:
                pass
            for label in labels:
                with pytest.raises(TransientError, match="IMAP LABEL: the connection was cut"):
                    label.result()
            assert wire.commands("UID MOVE|UID COPY") == ([command.decode()] if after else [])
            with finishing(inbox, references) as labels:
                pass
            assert [label.result() for label in labels] == [None] * NUMBER
            if command == b"UID MOVE" and not after:
                assert wire.moved() == [1, 2, 3], "one that could not do it is not given as many at once again"
        raws = [message.raw for message in server.messages("Ignorés")]
        assert len(raws) == len(set(raws)) == NUMBER
        assert server.messages() == []


def test_unreachable_server_fails_whole_batch(office: Office, inbox: Inbox, wire: Wire) -> None:
    """Or each would wait for all the others to find out before it does."""
    references = scanned(office, inbox)
    inbox.close()
    connections = wire.connections
    wire.breaks += [Break("close", b"", after=False)] * NUMBER
    with finishing(inbox, references) as labels:
        pass
    for label in labels:
        with pytest.raises(TransientError):
            label.result()
    assert wire.connections == connections + 1


@needs_dovecot
def test_refused_mailbox_fails_whole_batch_once(office: Office, wire: Wire) -> None:
    """It is asked for once, and not once for each message."""
    office.environment["LABELS_IGNORED"] = "Ignorés//"
    with opened(office) as inbox:
        references = scanned(office, inbox)
        wire.said = b""
        with finishing(inbox, references) as labels:
            pass
        for label in labels:
            with pytest.raises(ConfigurationError, match="cannot be created"):
                label.result()
    assert wire.commands("CREATE") == ["CREATE"]
    assert office.mailboxes() == {"INBOX": NUMBER}


def test_missing_mailbox_fails_waiting_messages_at_once(office: Office) -> None:
    """Of all who wait for each other the first finds out, and so does the next."""
    with office.sandbox.imap.session() as client:
        client.create_folder("Bac")
    for each in range(NUMBER):
        office.sandbox.imap.deliver(a_mail(each), "Bac")
    with opened(office, "Bac") as beside:
        references = beside.scan()
        beside.close()
        with office.sandbox.imap.session() as client:
            client.delete_folder("Bac")
        with finishing(beside, references, pool.IN_USE_BESIDE) as labels:
            pass
        for label in labels:
            with pytest.raises(MessageGoneError):
                label.result()


def test_batch_skips_uids_of_old_uidvalidity(office: Office) -> None:
    """The UID now names another message: that one stays, and the one that has finished is filed."""
    office.environment["IMAP_MAILBOX"] = "Demandes"
    with opened(office) as inbox, office.sandbox.imap.session() as client:

        def made_with(*numbers: int) -> list[str]:
            client.create_folder("Demandes")
            for number in numbers:
                client.append("Demandes", a_mail(number))
            return inbox.scan()

        before = made_with(1, 2)
        inbox.close()
        with ThreadPoolExecutor(1) as thread:
            with finishing(inbox, before) as labels:
                client.delete_folder("Demandes")
                last = thread.submit(inbox.label, made_with(3, 4)[0], "ignored")
                until_here(inbox, 3)
            last.result()
        for label in labels:
            with pytest.raises(TransientError, match="made anew"):
                label.result()
        assert b"<3@ruiz.example>" in office.sandbox.imap.messages("Ignorés")[0].raw
        assert office.mailboxes() == {"Demandes": 1, "Ignorés": 1}
