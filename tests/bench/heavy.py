"""Mails with 3D files in them: how fast they are drained, against mbsync; and what they take of memory."""

from __future__ import annotations

import base64
import os
import shutil
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from integrations.sandbox import Sandbox
from poller.cli.samples import samples
from poller.inspection import process
from tests.bench.machine import MB, Peak, cpu_s
from tests.bench.models import attachment
from tests.bench.process import Daemon, drain
from tests.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable

BENCH = "bars"
LIMIT_S = 300.0
MAILS, FILE_BYTES = 20, 25 * MB
BIG_BYTES = 100 * MB
WORKERS = 4
SMALL = 40
MORE_BYTES = 60 * MB  # that a big mail may take above small ones


def model(number: int, file_bytes: int) -> bytes:
    """A binary glTF of that size that does not open, no two alike."""
    return struct.pack("<4sIIII", b"glTF", 2, file_bytes, 0, number) + os.urandom(file_bytes - 20)


def mail(number: int, file_bytes: int) -> bytes:
    """A request with one model of that size."""
    content = model(number, file_bytes)
    return (
        b"From: Elise Martin <elise@martin-mobilier.example>\r\nTo: support@figurative.example\r\n"
        b"Subject: Modelisation 3D du fauteuil %d\r\nMessage-ID: <%d@martin-mobilier.example>\r\n"
        b"Date: Sun, 22 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="limite"\r\n\r\n'
        b"--limite\r\nContent-Type: text/plain\r\n\r\nPouvez-vous modeliser ce fauteuil en 3D ?\r\n"
        b"--limite\r\nContent-Type: model/gltf-binary\r\nContent-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="fauteuil %d.glb"\r\n\r\n%b--limite--\r\n'
        % (number, number, number, base64.encodebytes(content).replace(b"\n", b"\r\n"))
    )


def fast(tell: Callable[[str], object]) -> list[Row]:
    """The same mailbox pulled by mbsync, and drained by the daemon, without pictures of the models and with them."""
    if shutil.which("mbsync") is None:
        return [Row(BENCH, "big mails against mbsync", "no mbsync: apt-get install isync", "a ratio", good=False)]
    # The stand-in keeps files in memory: how fast its disk is says nothing of the daemon.
    os.environ.setdefault("MOTO_S3_DEFAULT_KEY_BUFFER_SIZE", str(1000 * MB))
    plain, pictures = _drained(tell, pictures=False), _drained(tell, pictures=True)
    ratio, more_s = plain.took_s / plain.pulled_s, pictures.took_s - plain.took_s
    return [
        Row(BENCH, f"mbsync pulls {MAILS} mails of {FILE_BYTES // MB} MB", f"{plain.pulled_s:.1f} s"),
        Row(
            BENCH,
            "the daemon drains them, files on S3, without pictures",
            f"{plain.took_s:.1f} s, {ratio:.2f} times mbsync's",
            "at most 1.0 times",
            good=plain.whole and ratio <= 1,
        ),
        Row(
            BENCH, "  of the processor", f"daemon {plain.daemon_s:.1f} s, services' stand-ins {plain.stand_ins_s:.1f} s"
        ),
        Row(
            BENCH,
            "the daemon drains them, with the inspection of each model",
            f"{pictures.took_s:.1f} s, {more_s:.1f} s more",
            f"at most {pictures.inspected_s:.1f} s more, which an inspection of each takes by itself",
            good=pictures.whole and more_s <= pictures.inspected_s,
        ),
    ]


@dataclass(frozen=True, slots=True)
class Drain:
    """The big mails, pulled by mbsync and drained by the daemon."""

    pulled_s: float
    took_s: float
    daemon_s: float  # of the processor
    stand_ins_s: float  # likewise
    inspected_s: float  # the inspection of each file, one after the other, without the daemon
    whole: bool  # every file was stored


def _drained(tell: Callable[[str], object], *, pictures: bool) -> Drain:
    directory = Path(tempfile.mkdtemp(prefix="bars-"))
    with Sandbox() as box:
        environment = _environment(box, directory) | {"MODELS_ENABLED": str(pictures).lower()}
        daemon = Daemon(environment, directory)
        for number in range(MAILS):
            box.imap.deliver(mail(number, FILE_BYTES))
        tell(f"bars: {MAILS} mails of {FILE_BYTES // MB} MB are waiting")
        pulled_s = _mbsync(box, directory)
        try:
            daemon.start()
            while not daemon.up:
                time.sleep(0.005)
            began_s, daemon_s, stand_ins_s = time.monotonic(), cpu_s(daemon.pid), time.process_time()
            drained = drain(box, daemon, began_s + LIMIT_S, tell, every_s=0.02)
            took_s = time.monotonic() - began_s
            daemon_s, stand_ins_s = cpu_s(daemon.pid) - daemon_s, time.process_time() - stand_ins_s
            daemon.stop()
        finally:
            daemon.kill()
        stored = sum(each.size_bytes == FILE_BYTES for each in box.s3.objects)
    inspected_s = _inspected(directory) if pictures else 0.0
    shutil.rmtree(directory)
    return Drain(pulled_s, took_s, daemon_s, stand_ins_s, inspected_s, drained and stored == MAILS)


def _inspected(directory: Path) -> float:
    """Seconds that an inspection of each file takes by itself."""
    path = directory / "fauteuil.glb"
    path.write_bytes(model(0, FILE_BYTES))
    began_s = time.monotonic()
    for _ in range(MAILS):
        process.inspect([attachment(path)], 0)
    return time.monotonic() - began_s


def lean(tell: Callable[[str], object]) -> list[Row]:
    """The peak of memory with a 100 MB file in every worker, against that on small mails."""
    directory = Path(tempfile.mkdtemp(prefix="bars-"))
    with Sandbox() as box:
        box.hubspot.rate_limit = box.clickup.rate_limit = None
        # An inspection has a process and a limit of its own, which `./dev bench models` measures.
        environment = _environment(box, directory) | {"HUBSPOT_CALLS_PER_10S": "100000", "MODELS_ENABLED": "false"}
        daemon = Daemon(environment, directory)
        peaks = []
        try:
            daemon.start()
            small = [samples()["support"].replace(b"<support@", b"<%d@" % each) for each in range(SMALL)]
            for mails in (small, [mail(each, BIG_BYTES) for each in range(WORKERS)]):
                for raw in mails:
                    box.imap.deliver(raw)
                with Peak(daemon.pid) as peak:
                    drained = drain(box, daemon, time.monotonic() + LIMIT_S, tell)
                peaks.append(peak.bytes)
                tell(f"bars: a peak of {peak.bytes / MB:.0f} MB")
            daemon.stop()
        finally:
            daemon.kill()
        stored = sum(each.size_bytes == BIG_BYTES for each in box.s3.objects)
    shutil.rmtree(directory)
    more = peaks[1] - peaks[0]
    return [
        Row(BENCH, f"peak memory, {SMALL} small mails", f"{peaks[0] / MB:.0f} MB"),
        Row(
            BENCH,
            f"peak memory, {WORKERS} mails of {BIG_BYTES // MB} MB at once",
            f"{peaks[1] / MB:.0f} MB, {more / MB:+.0f}",
            f"at most {MORE_BYTES // MB:+} MB",
            good=drained and stored == WORKERS and more <= MORE_BYTES,
        ),
    ]


def _environment(box: Sandbox, directory: Path) -> dict[str, str]:
    return box.environment() | {
        "STATE_URL": f"sqlite:///{directory / 'poller.sqlite'}",
        "IMAP_MAX_MESSAGE_BYTES": str(200 * MB),
        "R2_MAX_SENDER_BYTES_PER_DAY": "0",
        "R2_MAX_MAIL_BYTES": str(200 * MB),
    }


def _mbsync(box: Sandbox, directory: Path) -> float:
    """Seconds that it takes to pull the inbox into an empty Maildir."""
    configuration = directory / "mbsyncrc"
    configuration.write_text(
        f"""\
IMAPAccount box
Host {box.imap.host}
Port {box.imap.port}
User {box.imap.username}
Pass {box.imap.password}
SSLType None
AuthMechs LOGIN

IMAPStore far
Account box

MaildirStore near
Path {directory}/mbsync/
Inbox {directory}/mbsync/INBOX

Channel inbox
Far :far:
Near :near:
Sync Pull
Create Near
SyncState *
"""
    )
    (directory / "mbsync").mkdir()
    began_s = time.monotonic()
    mbsync = shutil.which("mbsync") or "mbsync"
    subprocess.run([mbsync, "--quiet", "--config", configuration, "inbox"], check=True)
    took_s = time.monotonic() - began_s
    pulled = list((directory / "mbsync" / "INBOX" / "new").iterdir())
    assert len(pulled) == MAILS, f"{len(pulled)} mails came"
    return took_s
