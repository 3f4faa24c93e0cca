"""What it costs to wait, how soon a mail is taken up, how few calls it takes, and what a full mailbox costs a look."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from integrations.sandbox import Sandbox
from integrations.sandbox.dovecot import Dovecot
from poller.cli.samples import samples
from poller.config import loader
from poller.mailbox.inbox import Inbox
from tests.bench.machine import MB, cpu_s, memory_bytes
from tests.bench.process import Daemon, drain
from tests.bench.table import Row
from tests.support.faulty_relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BENCH = "bars"
LIMIT_S = 60.0
IDLE_S = 20.0
IDLE_BYTES, IDLE_CPU = 150 * MB, 0.01
DELIVERIES, TAKEN_UP_S = 10, 0.1
OLD, LOOKS, LOOK_S = 100_000, 20, 0.01
CALLS = (
    # What is sent, and how many calls it may make to HubSpot, ClickUp and R2.
    ("SUPPORT of a new contact", "support", (3, 0, 0)),
    ("SUPPORT of a known contact", "support", (2, 0, 0)),
    # Two files, the zip of them, and the picture of the model.
    ("MODELISATION of a new contact, 2 files, the run's first", "modelisation_with_files", (4, 2, 4)),
    ("MODELISATION of a known contact, 2 files", "modelisation_with_files", (3, 1, 4)),
)


class Stopwatch(Relay):
    """Notes when the server told of a message, and when the first piece of one was asked for."""

    def __init__(self, server_port: int) -> None:
        super().__init__(server_port)
        self.told: list[float] = []
        self.asked: list[float] = []

    def passed(self, data: bytes) -> bytes:
        """See `Relay`."""
        if b" BODY.PEEK[]<0." in data or b"(BODY.PEEK[]<0." in data:
            self.asked.append(time.monotonic())
        return data

    def returned(self, data: bytes) -> None:
        """See `Relay`."""
        if re.match(rb"\* \d+ EXISTS\r\n", data):
            self.told.append(time.monotonic())


def cheap(tell: Callable[[str], object]) -> list[Row]:
    """One daemon, from its first mail to its rest."""
    directory = Path(tempfile.mkdtemp(prefix="bars-"))
    with Sandbox() as box, Stopwatch(box.imap.port) as relay:
        environment = box.environment() | {
            "STATE_URL": f"sqlite:///{directory / 'poller.sqlite'}",
            "IMAP_PORT": str(relay.port),
            "IMAP_POLL_INTERVAL_S": "3600",
        }
        daemon = Daemon(environment, directory)
        try:
            daemon.start()
            rows = list(_calls(box, daemon, tell))
            rows += _taken_up(box, daemon, relay, tell)
            rows += _at_rest(daemon, tell)
            daemon.stop()
        finally:
            daemon.kill()
    shutil.rmtree(directory)
    return rows


def _calls(box: Sandbox, daemon: Daemon, tell: Callable[[str], object]) -> Iterator[Row]:
    for number, (what, sample, most) in enumerate(CALLS):
        services = (box.hubspot.requests, box.clickup.requests, box.s3.requests)
        before = [len(requests) for requests in services]
        # The same words once more are another mail by their Message-ID.
        box.imap.deliver(samples()[sample].replace(b"Message-ID: <", b"Message-ID: <%d-" % number))
        drained = drain(box, daemon, time.monotonic() + LIMIT_S, tell, every_s=0.05)
        made = tuple(len(requests) - then for requests, then in zip(services, before, strict=True))
        yield Row(
            BENCH,
            f"calls, {what}",
            "HubSpot {}, ClickUp {}, R2 {}".format(*made),
            "at most {}, {}, {}".format(*most),
            good=drained and all(calls <= limit for calls, limit in zip(made, most, strict=True)),
        )


def _taken_up(box: Sandbox, daemon: Daemon, relay: Stopwatch, tell: Callable[[str], object]) -> list[Row]:
    took_s = []
    for number in range(DELIVERIES):
        time.sleep(0.31)  # so that nothing beats in time with it
        relay.told.clear()
        relay.asked.clear()
        box.imap.deliver(samples()["support"].replace(b"Message-ID: <", b"Message-ID: <f%d-" % number))
        drain(box, daemon, time.monotonic() + LIMIT_S, tell, every_s=0.05)
        took_s.append(relay.asked[0] - relay.told[0])
    return [
        Row(
            BENCH,
            "from the server's notification to the first piece of the mail",
            f"median {statistics.median(took_s) * 1000:.0f} ms, most {max(took_s) * 1000:.0f} ms",
            f"under {TAKEN_UP_S * 1000:.0f} ms",
            good=statistics.median(took_s) < TAKEN_UP_S,
        )
    ]


def _at_rest(daemon: Daemon, tell: Callable[[str], object]) -> list[Row]:
    tell(f"bars: {IDLE_S:.0f} s of rest")
    time.sleep(2)
    began_s = cpu_s(daemon.pid)
    time.sleep(IDLE_S)
    share, held = (cpu_s(daemon.pid) - began_s) / IDLE_S, memory_bytes(daemon.pid)
    return [
        Row(
            BENCH,
            "memory at rest, all its processes",
            f"{held / MB:.0f} MB",
            f"under {IDLE_BYTES // MB} MB",
            good=held < IDLE_BYTES,
        ),
        Row(
            BENCH,
            "processor at rest, of one core",
            f"{share:.1%}",
            f"under {IDLE_CPU:.0%}",
            good=share < IDLE_CPU,
        ),
    ]


def full(tell: Callable[[str], object]) -> list[Row]:
    """A look into a mailbox that holds a hundred thousand old messages, all of them within reach and left alone."""
    with Dovecot() as server:
        server.deliver(samples()["support"])
        _fill(server)
        names = ("host", "port", "security", "username", "password")
        settings = loader.from_names({f"IMAP_{name.upper()}": str(getattr(server, name)) for name in names})
        with closing(Inbox(settings)) as inbox:
            inbox.since, inbox.reach = datetime.now(UTC).date(), lambda: None
            before = memory_bytes(os.getpid())
            began_s = time.perf_counter()
            found = len(inbox.scan())
            first_s = time.perf_counter() - began_s
            held = memory_bytes(os.getpid()) - before
            tell(f"bars: {OLD} messages seen in {first_s:.0f} s")
            looks_s = []
            for _ in range(LOOKS):
                began_s = time.perf_counter()
                inbox.scan()
                looks_s.append(time.perf_counter() - began_s)
    look_s = statistics.median(looks_s)
    return [
        Row(BENCH, f"first look at {OLD} messages, each read once", f"{first_s:.1f} s, {held / MB:+.0f} MB"),
        Row(
            BENCH,
            f"a look into {OLD} messages",
            f"median {look_s * 1000:.1f} ms",
            f"under {LOOK_S * 1000:.0f} ms",
            good=found == 1 and look_s < LOOK_S,
        ),
    ]


def _fill(server: Dovecot) -> None:
    """Write the messages to the disk: to deliver each would take minutes."""
    assert server._folder, "it was not started"
    maildir = server._folder / "mail"
    owner, old_s = maildir.stat(), time.time() - 90 * 86_400
    for number in range(OLD):
        path = maildir / "cur" / f"{int(old_s)}.M{number}.old:2,S"
        path.write_bytes(
            b"From: a@old.example\nMessage-ID: <%d@old.example>\nDate: Mon, 24 Aug 2026 10:00:00 +0200\n"
            b"Subject: x\n\nx\n" % number
        )
        os.utime(path, (old_s, old_s))
        os.chown(path, owner.st_uid, owner.st_gid)
