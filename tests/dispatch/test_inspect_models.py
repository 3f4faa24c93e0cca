"""Pictures and facts of the stored files: beside the files on R2, and never a reason to stop."""

from __future__ import annotations

import errno
import re
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox import Fault
from poller.cli.samples import picture, samples, triangle
from poller.dispatch.inspect_models import INTRODUCED, Previews, inspect_models
from poller.dispatch.ticket import create_note
from poller.dispatch.upload import upload_files
from poller.model import Category, ModelFacts, ModelIssue, NoPicture, Preview, UploadDecision
from poller.workflow.errors import StepDeferredError
from poller.workflow.steps import StepName
from tests.support.pipeline_harness import StepHarness

if TYPE_CHECKING:
    from pathlib import Path

    from integrations.sandbox import Sandbox

pytest.importorskip("trimesh", reason="the extra `models` is not installed")

DECIDED = (UploadDecision.FILE, UploadDecision.FILE)


@pytest.fixture
def stored(sandbox: Sandbox, tmp_path: Path) -> StepHarness:
    """Give a mail whose files, a model and a photo, are stored."""
    bench = StepHarness(sandbox, tmp_path, samples()["modelisation_with_files"])
    bench.environment["MODELS_ENABLED"] = "true"
    bench.open_ticket()
    bench.done = bench.takes(upload_files, upload_decisions=DECIDED)
    bench.record.entries.clear()
    return bench


def test_inspection_stores_picture_beside_model_with_facts(stored: StepHarness) -> None:
    """The picture lies in the directory of the file under its name; the photo is its own."""
    done = stored.takes(inspect_models)
    preview, photo = done.previews
    assert photo == Preview(1, url=done.uploads[1][1])
    _, url = done.uploads[0]
    assert (preview.number, preview.url) == (0, f"{url}.apercu.png")
    assert preview.facts
    assert preview.facts.triangles == 1
    (picture,) = [each for each in stored.sandbox.s3.objects if each.key.endswith(".apercu.png")]
    assert picture.body.startswith(b"\x89PNG")
    assert (picture.content_type, picture.content_disposition) == ("image/png", "inline")


@pytest.mark.parametrize("stem", ["fauteuil", "x" * 146], ids=["named as ours", "cut"])
def test_picture_is_not_taken_for_a_file_of_the_customer(sandbox: Sandbox, tmp_path: Path, stem: str) -> None:
    """A file lies where the picture would: R2 would take it for the picture."""
    message = EmailMessage()
    message["From"], message["Message-ID"] = "elise@martin-mobilier.example", "<named@example.com>"
    message.set_content("Voici le modèle.")
    taken = f"{stem}.glb.apercu.png" if len(stem) < 100 else f"{stem}.png"
    for name, content in ((f"{stem}.glb", triangle()), (taken, picture(320, 240))):
        message.add_attachment(content, "application", "octet-stream", filename=name)
    bench = StepHarness(sandbox, tmp_path, message.as_bytes())
    bench.environment["MODELS_ENABLED"] = "true"
    bench.open_ticket()
    bench.done = bench.takes(upload_files, upload_decisions=DECIDED)
    bench.record.entries.clear()
    preview, *_ = bench.takes(inspect_models).previews
    assert preview.url not in dict(bench.done.uploads).values()
    (shown,) = [each for each in sandbox.s3.objects if preview.url.endswith(each.path)]
    assert shown.content_disposition == "inline"


def test_inspection_resumed_returns_what_was_recorded(stored: StepHarness) -> None:
    first = stored.takes(inspect_models)
    stored.sandbox.s3.requests.clear()
    assert stored.takes(inspect_models) == first
    assert not stored.sandbox.s3.requests


def test_inspection_whose_picture_is_refused_goes_on_with_facts(stored: StepHarness) -> None:
    stored.sandbox.s3.fail(Fault("status", "PUT", re.compile("apercu"), status=503))
    preview, _ = stored.takes(inspect_models).previews
    assert (preview.url, preview.no_picture) == ("", NoPicture.FAILED)
    assert preview.facts


def test_inspection_waits_for_that_of_another_message(stored: StepHarness) -> None:
    """It gives the worker back meanwhile, before it fetches the mail."""
    context = stored.context()
    fetches = stored.fetches
    turns = context.inspection_turns
    with turns.turn("one"), turns.turn("other"), pytest.raises(StepDeferredError, match="other messages"):
        inspect_models(context, stored.done)
    assert stored.fetches == fetches
    assert stored.takes(inspect_models).previews


def test_inspection_that_kills_the_daemon_three_times_is_left_out(stored: StepHarness) -> None:
    begun = {"begun": stored.record.now.isoformat()}
    stored.record.entries += [(INTRODUCED, {})]
    stored.record.entries += [(StepName.INSPECT_MODELS, begun | {"by": f"dead {each}"}) for each in range(3)]
    assert stored.takes(inspect_models).previews == ()


def test_inspection_on_a_full_disk_is_left_out_in_the_end(stored: StepHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticket and files exist: note and subtask do not wait until somebody makes room for a picture."""

    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("poller.inspection.process.tempfile", SimpleNamespace(TemporaryDirectory=full))
    for _ in range(2):
        with pytest.raises(StepDeferredError):
            stored.takes(inspect_models)
        stored.record.now += timedelta(hours=1)
        stored.record.breakers.clear()
    (preview,) = stored.takes(inspect_models).previews
    assert (preview.facts, preview.no_picture) == (None, NoPicture.FAILED)


def test_message_of_earlier_release_keeps_its_steps(stored: StepHarness) -> None:
    """Its note is recorded where the inspection would be."""
    stored.takes(create_note)
    entries = len(stored.record.entries)
    assert stored.takes(inspect_models) == stored.done
    assert len(stored.record.entries) == entries


def test_support_request_is_not_inspected(stored: StepHarness) -> None:
    stored.done = replace(stored.done, classification=replace(stored.done.classification, category=Category.SUPPORT))
    assert stored.takes(inspect_models).previews == ()


def test_inspection_turned_off_makes_no_picture(stored: StepHarness) -> None:
    stored.environment["MODELS_ENABLED"] = "false"
    del stored.settings
    assert stored.takes(inspect_models).previews == ()


def test_previews_are_read_as_recorded() -> None:
    facts = ModelFacts(
        triangles=12,
        size=(1.0, 2.0, 3.0),
        unit="m",
        textures=((64, 32),),
        issues=(ModelIssue.MISSING_FILES,),
        missing=("bois.png",),
    )
    recorded = Previews((Preview(0, "a/b.glb", facts, "https://x.example/p.png"), Preview(1, no_picture=NoPicture.OFF)))
    assert Previews.from_json(recorded.as_json()) == recorded
