"""What every test may ask for."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import tempfile
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from integrations.sandbox import Sandbox
from integrations.sandbox.certificate import self_signed
from poller.config import loader
from poller.daemon import cutoff
from poller.daemon.daemon import Daemon
from poller.imap import login, login_refusals
from poller.model import Outcome
from poller.monitoring.reporter import HealthReporter
from poller.workflow.engine import Engine
from poller.workflow.results import WorkResult
from poller.workflow.retry import RetryPolicy
from tests.support import stored_files
from tests.support.forked_cli import Forks, load_clients, shorten_waits
from tests.support.pipeline_harness import Desk
from tests.support.postgres import Cluster, binaries
from tests.support.sd_notify_listener import Manager
from tests.support.state_tables import copy_tables
from tests.support.statements import share_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integrations.sandbox.stand_in import Fault
    from poller.config.settings import Settings
    from poller.monitoring.poll_health import PollHealth
    from poller.workflow.status import MessageStatus
    from tests.support.forked_cli import Fork
    from tests.support.kill_points import Death


MEMORY, ROOM_BYTES = "/dev/shm", 2 << 30  # noqa: S108  the file system, not a file
PREFIX = "poller-tests-"  # of the directories in it, each locked by the run whose files it has


class Office:
    """A support mailbox with every service behind it, and the daemon that works on it."""

    def __init__(self, sandbox: Sandbox, state: Path, forks: Forks) -> None:
        self.sandbox = sandbox
        self.state = state
        self._forks = forks
        self.environment = sandbox.environment() | {
            "STATE_URL": f"sqlite:///{state / 'poller.sqlite'}",
            "STATE_SETTLE_S": "0",
            "RECEIPTS_ENABLED": "false",  # most tests count the messages that a mailbox holds
            "MODELS_ENABLED": "false",  # a picture takes longer than all the rest of a mail
            "LEARNING_MODE": "off",  # and so does an opinion
        }
        self.retry_policy = RetryPolicy(delays_s=(0.05,), settle_s=0)

    @property
    def settings(self) -> Settings:
        return loader.from_names({name: value for name, value in self.environment.items() if value})

    def once(self, *mails: bytes) -> dict[str, MessageStatus]:
        """Deliver mails, and let the daemon drain the mailbox."""
        for raw in mails:
            self.sandbox.imap.deliver(raw)
        return Daemon(self.settings, retry_policy=self.retry_policy).once(lambda *_: None)

    def reporter(self, daemon: Daemon, health: PollHealth) -> HealthReporter:
        """The reporter of a daemon, as the loop makes it."""
        return HealthReporter(
            self.settings, daemon.status, health, store=daemon.store, smtp=daemon.smtp, claude=daemon.claude
        )

    def begin(self, *arguments: str, death: Death | None = None, **environment: str) -> Fork:
        """The command, in a process of its own; with a `death`, until then."""
        return self._forks.begin(arguments, os.environ | self.environment | environment, self.state, death)

    def mailboxes(self) -> dict[str, int]:
        """How many messages lie in each mailbox that has any."""
        return {name: len(held) for name, held in self.sandbox.imap.all_messages().items() if held}

    def counts(self) -> dict[str, int]:
        """How many of everything there is at the services."""
        box = self.sandbox
        return {
            "contacts": len(box.hubspot.contacts),
            "tickets": len(box.hubspot.tickets),
            "notes": len(box.hubspot.notes),
            "subtasks": len(box.clickup.subtasks),
            "files": len(stored_files.sent(box)),
            "notifications": len(box.smtp.messages),
        }

    def fail(self, service: str, fault: Fault) -> None:
        """Put a fault into one of the HTTP services."""
        getattr(self.sandbox, service).fail(fault)


@pytest.fixture(autouse=True)
def _no_login_refused() -> None:
    """Forget the logins that an earlier server refused or took: another one may have its port."""
    login_refusals.try_again()
    login._taken.clear()


@pytest.fixture(scope="session", autouse=True)
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every client that is made reads all authorities of the system, and takes 20 ms for it: here one is enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(self_signed(tmp_path_factory.mktemp("authority")).path))
        yield


@pytest.fixture(scope="session", autouse=True)
def _short_waits() -> Iterator[None]:
    """What is looked at again after seconds is looked at soon, and a new state is there at once."""
    with pytest.MonkeyPatch.context() as patch:
        shorten_waits(patch)
        copy_tables(patch)
        share_statements(patch)
        yield


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A command that runs in our own process sets the log up for all of it: the next test reads it as it was."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def _sandbox_session() -> Iterator[Sandbox]:
    with Sandbox() as running:
        # What is loaded stays; each time that the collector looks through it takes a third of a second.
        load_clients(loader.from_names(running.environment()))
        gc.freeze()
        gc.set_threshold(10_000)
        yield running


@pytest.fixture
def sandbox(_sandbox_session: Sandbox) -> Sandbox:
    """Every service on loopback, empty and in good health."""
    _sandbox_session.reset()
    return _sandbox_session


@pytest.fixture(scope="session")
def _forks(_sandbox_session: Sandbox) -> Iterator[Forks]:
    forks = Forks(_sandbox_session.environment())
    yield forks
    forks.close()


@pytest.fixture(scope="session")
def _empty_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state that has been used before: making the tables anew would cost each test a second."""
    path = tmp_path_factory.mktemp("empty")
    _begin(f"sqlite:///{path / 'poller.sqlite'}", path)
    return path


def _begin(url: str, directory: Path) -> None:
    """Make a state that began today: one that began tomorrow would leave a test's mail of before midnight alone."""
    engine = Engine(url, directory, lambda _: WorkResult(Outcome.GONE))
    engine.start()
    cutoff.first_start(engine.store)
    engine.stop()


@pytest.fixture
def office(sandbox: Sandbox, _forks: Forks, _empty_state: Path, tmp_path: Path) -> Office:
    """An empty mailbox, empty services, and no memory."""
    shutil.copytree(_empty_state, tmp_path / "state")
    return Office(sandbox, tmp_path / "state", _forks)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server; the database `empty` in it is a memory that has been used before, and holds nothing."""
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    with Cluster(programs) as running:
        yield running


@pytest.fixture(scope="session")
def _empty_database(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a template: making the tables anew would cost each test seconds."""
    url = cluster.create()
    _begin(url, tmp_path_factory.mktemp("empty"))
    return url.rpartition("/")[2]


@pytest.fixture
def database(cluster: Cluster, _empty_database: str) -> str:
    """The URL of a PostgreSQL database for one test, with all tables and nothing in them."""
    return cluster.create(_empty_database)


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, _empty_state: Path, tmp_path: Path) -> str:
    """Where the memory is: on either database, with all tables and nothing in them."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("database"))
    path = tmp_path / "poller.sqlite"
    path.write_bytes((_empty_state / "poller.sqlite").read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture
def desk(sandbox: Sandbox, tmp_path: Path) -> Desk:
    """Work on one mail after the other, in a memory of its own."""
    return Desk(sandbox, tmp_path)


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """What was logged since it was last asked: through logging where a command in this process has set that up."""

    def read() -> str:
        text = "".join(capsys.readouterr()) + caplog.text
        caplog.clear()
        return text

    return read


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """What systemd would be told."""
    with Manager(tmp_path / "notify") as listening:
        yield listening


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the fuzz goes on."""
    parser.addoption("--fuzz-examples", type=int, default=400, help="hostile mails that the fuzz makes")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect no garbage meanwhile: nothing that is loaded goes, and to look through it takes a fifth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def pytest_configure() -> None:
    """Keep numpy to one thread, and all files in memory where it has room for them.

    Threads of numpy wait for each other in busy loops. Each step of a mail is written to its state.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    for left in Path(MEMORY).glob(f"{PREFIX}*"):  # by a run that was killed: what lies in memory stays there
        if _is_ours(left):
            shutil.rmtree(left, ignore_errors=True)
    is_runnable = not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC  # some tests run a program of theirs
    if not is_runnable or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        return
    while not _is_ours(directory := Path(tempfile.mkdtemp(prefix=PREFIX, dir=MEMORY))):
        pass  # Another run took it for one that was left.
    directory.chmod(0o711)  # servers that refuse to be root have theirs in it
    os.environ["TMPDIR"], tempfile.tempdir = str(directory), None
    # At the very end: multiprocessing deletes a directory of its own in it, with the priority -100.
    Finalize(None, shutil.rmtree, (directory,), {"ignore_errors": True}, exitpriority=-200)


def _is_ours(directory: Path) -> bool:
    """Lock a directory of files for as long as this process runs, unless another one has."""
    try:
        fcntl.flock(os.open(directory, os.O_RDONLY | os.O_DIRECTORY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In CI a test that is skipped is a test that nobody runs."""
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
