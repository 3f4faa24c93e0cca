"""A state with a message of each kind."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from poller.config import loader
from poller.model import Outcome
from poller.workflow.database import open_store
from poller.workflow.engine import Engine
from poller.workflow.results import WorkResult
from poller.workflow.steps import StepName
from tests.workflow.remembered import IDS, RETURNED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from poller.workflow.journal import Journal
    from poller.workflow.store import StateStore


@pytest.fixture
def store(state_url: str, tmp_path: Path) -> Iterator[StateStore]:
    """Open the state with a message of each kind, two of them corrected, one at work."""
    began, done = threading.Event(), threading.Event()

    def work(journal: Journal) -> WorkResult:
        if journal.reference == IDS["working"]:
            began.set()
            done.wait()
        if journal.reference == IDS["broken"]:
            raise RuntimeError
        if journal.reference == IDS["waiting"]:
            journal.step(StepName.CREATE_TICKET, lambda _: {"id": "29000000002", "url": "https://app.hubspot.com/2"})
        return RETURNED.get(journal.reference, WorkResult(Outcome.GONE))

    engine = Engine(state_url, tmp_path, work)
    engine.start()
    names = {"HOST": "imap.test", "USERNAME": "u", "PASSWORD": "p"}
    given = {f"IMAP_{name}": value for name, value in names.items()} | {"STATE_URL": state_url}
    try:
        for each in (*RETURNED, IDS["broken"], IDS["working"]):
            engine.submit(each)
        deadline = time.monotonic() + 20
        assert began.wait(20)
        while len(engine.in_hand()) > 1 and time.monotonic() < deadline:
            continue
        for key, text in (("a-1", "one"), ("a-2", "two"), ("b", "three")):
            engine.store.remember(key, text)
        with closing(open_store(loader.from_names(given))) as store:
            yield store
    finally:
        done.set()
        while engine._in_hand:  # or the stop waits a second for it
            continue
        engine.stop()
