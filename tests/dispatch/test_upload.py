"""Files on R2: one object each, under a key that cannot be guessed."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox import Fault
from poller.cli.samples import samples
from poller.dispatch.upload import FILE_FACT, file_key, upload_files, with_file_names
from poller.model import UploadDecision
from poller.workflow.errors import StepDeferredError
from tests.support.pipeline_harness import Desk, StepHarness

if TYPE_CHECKING:
    from pathlib import Path

    from integrations.sandbox import Sandbox

MAIL = samples()["modelisation_with_files"]
FILE, KEPT = UploadDecision.FILE, UploadDecision.KEPT


@pytest.fixture
def bench(sandbox: Sandbox, tmp_path: Path) -> StepHarness:
    """Give a mail with two files."""
    return StepHarness(sandbox, tmp_path, MAIL)


def test_file_key_survives_new_r2_credentials(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PUT whose answer was lost is tried again as the same object; another state store gives other keys."""
    desk, stranger = Desk(sandbox, tmp_path), Desk(sandbox, tmp_path)
    first, other = desk.gets(MAIL).files, stranger.gets(MAIL).files
    assert len(first) == 2
    assert not set(first) & set(other)
    monkeypatch.setattr(sandbox.s3, "secret_access_key", "another")
    replaced = Desk(sandbox, tmp_path)
    replaced.facts = desk.facts
    assert replaced.gets(MAIL).files == first


def test_upload_stores_each_file_that_was_decided(bench: StepHarness) -> None:
    """The others stay in the mail; the result has the number of each stored file, and its names come from the mail."""
    done = bench.takes(upload_files, upload_decisions=(KEPT, FILE))
    (stored,) = bench.sandbox.s3.objects
    assert [(number, url.endswith(stored.key)) for number, url in done.uploads] == [(1, True)]
    (file,) = with_file_names(bench.message().request, done).files
    assert (file.filename, file.url) == ("photo été.png", done.uploads[0][1])


def test_upload_resumed_after_a_failure_keeps_the_first_file(bench: StepHarness) -> None:
    """Each file has an entry of its own in the journal."""
    bench.sandbox.s3.fail(Fault("status", "PUT", re.compile("png"), status=503))
    with pytest.raises(StepDeferredError):
        bench.takes(upload_files, upload_decisions=(FILE, FILE))
    bench.record.now += timedelta(minutes=5)
    bench.record.breakers.clear()
    done = bench.takes(upload_files, upload_decisions=(FILE, FILE))
    assert [number for number, _ in done.uploads] == [0, 1]
    assert len(bench.sandbox.s3.objects) == 2


def test_upload_without_r2_is_skipped(bench: StepHarness) -> None:
    bench.services = replace(bench.services, r2=None)
    assert bench.takes(upload_files, upload_decisions=(FILE, FILE)).skipped == ("upload_files",)


def test_upload_without_files_makes_no_call(bench: StepHarness) -> None:
    assert bench.takes(upload_files, upload_decisions=(KEPT, KEPT)) == bench.done
    assert (bench.fetches, bench.record.entries) == (0, [])


def test_file_key_is_fixed_by_message_number_and_secret(bench: StepHarness) -> None:
    """The key begins with the day, and does not name the reference, which the ticket shows."""
    request = bench.message().request
    key = file_key(request, 0, "secret")
    assert re.fullmatch(r"2026/11/22/[0-9a-f]{32}/[A-Za-z0-9._-]+\.glb", key)
    assert key == file_key(request, 0, "secret")
    assert len({key, file_key(request, 1, "secret"), file_key(request, 0, "another")}) == 3
    assert request.reference not in key


def test_file_secret_is_kept_under_its_recorded_name(bench: StepHarness) -> None:
    """An earlier release wrote it; with another one every link would be made anew."""
    bench.record.facts.remember("file-secret", "an old one")
    bench.takes(upload_files, upload_decisions=(FILE, KEPT))
    (stored,) = bench.sandbox.s3.objects
    assert FILE_FACT == "file-secret"
    assert stored.key == file_key(bench.message().request, 0, "an old one")
