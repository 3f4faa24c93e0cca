"""Files on R2, in one directory a request under their own names, and the zip of them; private files of HubSpot."""

from __future__ import annotations

import email
import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING
from urllib.parse import urljoin
from urllib.request import urlopen

import pytest

from integrations.sandbox import Fault
from poller.cli.samples import samples, triangle
from poller.dispatch.upload import (
    FILE_FACT,
    IN_FOLDERS,
    ONE_DIRECTORY,
    attach_files,
    file_key,
    stored_files,
    stored_key,
    upload_files,
    with_file_names,
)
from poller.model import StoredFile, UploadDecision
from poller.workflow.errors import StepDeferredError
from tests.support import stored_files as on_r2
from tests.support.pipeline_harness import REFERENCE, Desk, StepHarness

if TYPE_CHECKING:
    from pathlib import Path

    from integrations.sandbox import Sandbox

MAIL = samples()["modelisation_with_files"]
FILE, KEPT = UploadDecision.FILE, UploadDecision.KEPT
AGAIN = timedelta(minutes=5)


@pytest.fixture
def bench(sandbox: Sandbox, tmp_path: Path) -> StepHarness:
    """Give a mail with two files."""
    return StepHarness(sandbox, tmp_path, MAIL)


def resumed(bench: StepHarness) -> None:
    """Let the time pass until a step that failed may be tried again."""
    bench.record.now += AGAIN
    bench.record.breakers.clear()


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
    assert [(number, url.endswith(stored.path)) for number, url in done.uploads] == [(1, True)]
    (file,) = with_file_names(bench.message().request, done).files
    assert (file.filename, file.url) == ("photo été.png", done.uploads[0][1])
    assert done.all_files is None


def test_upload_stores_a_zip_of_several_files_beside_them(bench: StepHarness) -> None:
    """It holds each file under its name, once, and is not made again when the step is replayed."""
    done = bench.takes(upload_files, upload_decisions=(FILE, FILE))
    (stored,) = on_r2.zips(bench.sandbox)
    assert done.all_files == StoredFile(
        "fichiers.zip", f"{bench.sandbox.s3.public_url}/{stored.path}", stored.size_bytes
    )
    assert (stored.content_type, stored.content_disposition[:10]) == ("application/zip", "attachment")
    with zipfile.ZipFile(io.BytesIO(stored.body)) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    sent = {each.key.rpartition("/")[2]: each.body for each in on_r2.sent(bench.sandbox)}
    assert held == sent
    assert {each.key.rpartition("/")[0] for each in bench.sandbox.s3.objects} == {stored.key.rpartition("/")[0]}
    assert bench.takes(upload_files, upload_decisions=(FILE, FILE)) == done
    assert len(bench.sandbox.s3.calls("PUT")) == 3


def test_files_whose_long_names_are_cut_alike_are_all_stored(sandbox: Sandbox, tmp_path: Path) -> None:
    """A suffix that is added to a long name makes another one too long: R2 would take the first file for the second."""
    message = EmailMessage()
    message["From"], message["Message-ID"] = "elise@martin-mobilier.example", "<long@example.com>"
    message.set_content("Voici les modèles.")
    for suffix, content in ((".obj", triangle()), (".stl", triangle() + b"\0")):
        message.add_attachment(content, "application", "octet-stream", filename="x" * 146 + suffix)
    bench = StepHarness(sandbox, tmp_path, message.as_bytes())
    done = bench.takes(upload_files, upload_decisions=(FILE, FILE))
    assert {each.body for each in on_r2.sent(sandbox)} == {triangle(), triangle() + b"\0"}
    assert len({url for _, url in done.uploads}) == 2


def test_upload_resumed_after_a_failure_keeps_the_first_file(bench: StepHarness) -> None:
    """Each file has an entry of its own in the journal, and so has the zip."""
    for path in ("png", "zip"):
        bench.sandbox.s3.fail(Fault("status", "PUT", re.compile(path), status=503))
        with pytest.raises(StepDeferredError):
            bench.takes(upload_files, upload_decisions=(FILE, FILE))
        resumed(bench)
    done = bench.takes(upload_files, upload_decisions=(FILE, FILE))
    assert [number for number, _ in done.uploads] == [0, 1]
    assert len(bench.sandbox.s3.objects) == 3


def test_zip_whose_answer_was_lost_is_not_stored_twice(bench: StepHarness) -> None:
    bench.sandbox.s3.fail(Fault("cut_after_commit", "PUT", re.compile("zip")))
    with pytest.raises(StepDeferredError):
        bench.takes(upload_files, upload_decisions=(FILE, FILE))
    (before,) = on_r2.zips(bench.sandbox)
    resumed(bench)
    done = bench.takes(upload_files, upload_decisions=(FILE, FILE))
    assert on_r2.zips(bench.sandbox) == [before]
    assert done.all_files
    assert done.all_files.size_bytes == before.size_bytes


def test_request_goes_on_without_a_zip_that_r2_refuses(bench: StepHarness) -> None:
    """Each file has a link of its own."""
    bench.sandbox.s3.fail(Fault("status", "PUT", re.compile("zip"), status=400))
    done = bench.takes(upload_files, upload_decisions=(FILE, FILE))
    assert (len(done.uploads), done.all_files) == (2, None)


def test_upload_begun_by_an_earlier_release_goes_on_under_its_keys(bench: StepHarness) -> None:
    """A file of which that release did not see the answer is not stored a second time."""
    bench.sandbox.s3.fail(Fault("cut_after_commit", "PUT", re.compile("png")))
    with pytest.raises(StepDeferredError):
        bench.takes(upload_files, upload_decisions=(FILE, FILE))
    # What that release recorded: everything but the changes, with the objects under its own keys.
    bench.record.entries[:] = [each for each in bench.record.entries if each[0] not in {ONE_DIRECTORY, IN_FOLDERS}]
    bench.sandbox.s3.reset()
    request, secret = bench.message().request, bench.record.facts.recall([FILE_FACT])[FILE_FACT]
    assert bench.services.r2
    bench.services.r2.upload(file_key(request, 1, secret), io.BytesIO(b"there"), 5, "image/png", "attachment")
    resumed(bench)
    done = bench.takes(upload_files, upload_decisions=(FILE, FILE))
    (stored,) = bench.sandbox.s3.objects
    assert (stored.key, stored.body) == (file_key(request, 1, secret), b"there")
    assert done.uploads[1] == (1, f"{bench.sandbox.s3.public_url}/{stored.key}")
    assert done.all_files is None


def test_upload_without_r2_is_skipped(bench: StepHarness) -> None:
    bench.services = replace(bench.services, r2=None)
    assert bench.takes(upload_files, upload_decisions=(FILE, FILE)).skipped == ("upload_files",)


def test_upload_without_files_makes_no_call(bench: StepHarness) -> None:
    assert bench.takes(upload_files, upload_decisions=(KEPT, KEPT)) == bench.done
    assert (bench.fetches, bench.record.entries) == (0, [])


def test_stored_key_is_fixed_by_message_and_secret(bench: StepHarness) -> None:
    """The key begins with the day, and does not name the reference, which the ticket shows."""
    request = bench.message().request
    key = stored_key(request, "photo été (1).png", "secret")
    assert re.fullmatch(r"2026/11/22/[0-9a-f]{32}/photo été \(1\)\.png", key)
    assert key.rpartition("/")[0] == stored_key(request, "b", "secret").rpartition("/")[0]
    assert key.rpartition("/")[0] != stored_key(request, "b", "another").rpartition("/")[0]
    assert stored_key(request, "../../a/b.glb", "secret").count("/") == 4
    assert request.reference not in key


def test_file_secret_is_kept_under_its_recorded_name(bench: StepHarness) -> None:
    """An earlier release wrote it; with another one every link would be made anew."""
    bench.record.facts.remember("file-secret", "an old one")
    bench.takes(upload_files, upload_decisions=(FILE, KEPT))
    (stored,) = bench.sandbox.s3.objects
    request = bench.message().request
    assert FILE_FACT == "file-secret"
    assert stored.key == stored_key(request, stored_files(request)[0].filename, "an old one")


def a_set() -> bytes:
    """Return a mail with a glTF, its buffer, two textures of equal bytes, and a file that only the model knows."""
    message = EmailMessage()
    message["From"], message["To"] = "Claire <claire@vasseur.example>", "support@figurative.example"
    message["Subject"], message["Message-ID"] = "Fauteuil à modéliser en 3D", "<set@vasseur.example>"
    message.set_content("Bonjour, merci de modéliser ce fauteuil en 3D, textures jointes.")
    uris = ["bois%20clair.png", "bois%20fonc%C3%A9.png", "normales.raw"]
    model = {"asset": {"version": "2.0"}, "buffers": [{"uri": "scène.bin"}], "images": [{"uri": uri} for uri in uris]}
    wood = b"\x89PNG\r\n\x1a\n" + bytes(900)
    for name, content in (
        ("scène.gltf", json.dumps(model).encode()),
        ("scène.bin", b"\0" * 96),
        ("bois clair.png", wood),
        ("bois foncé.png", wood),
        ("normales.raw", b"n" * 400),
        ("sans rapport.raw", b"s" * 500),
    ):
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return bytes(message)


def test_set_of_a_model_resolves_by_relative_urls(desk: Desk) -> None:
    """Each reference of the model, taken relative to the model's own link, opens the file; so does the zip."""
    result = desk.gets(a_set())
    decided = [str(fate) for fate in result.upload_decisions]
    assert decided == ["file", "file", "file", "file", "file", "kept"]
    link = result.files[0]
    with urlopen(link) as answer:  # noqa: S310  the stand-in's
        model = json.load(answer)
    uris = [each["uri"] for each in (*model["buffers"], *model["images"])]
    bodies = []
    for uri in uris:
        with urlopen(urljoin(link, uri.replace("è", "%C3%A8"))) as answer:  # noqa: S310  a browser encodes so, too
            bodies.append(answer.read())
    assert [len(body) for body in bodies] == [96, 908, 908, 400]
    assert result.all_files
    with urlopen(result.all_files.url) as answer, zipfile.ZipFile(io.BytesIO(answer.read())) as archive:  # noqa: S310
        assert archive.namelist() == ["scène.gltf", "scène.bin", "bois clair.png", "bois foncé.png", "normales.raw"]
        assert archive.testzip() is None


def in_folders() -> bytes:
    """Return a mail with an OBJ whose material and texture it looks for in folders, all of them flat in the mail."""
    message = EmailMessage()
    message["From"], message["Message-ID"] = "elise@martin-mobilier.example", "<folders@example.com>"
    message.set_content("Voici les modèles.")
    for name, content in (
        ("materials", b"a file with the name of a folder"),
        ("vase.obj", b"mtllib materials/vase.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"),
        ("vase.mtl", b"newmtl a\nmap_Kd ../textures/bois clair.png\nmap_Ks ../../etc/passwd\n"),
        ("Bois clair.png", b"\x89PNG\r\n\x1a\n1"),
        ("bois clair.png", b"\x89PNG\r\n\x1a\n22"),
        ("passwd", b"none of ours"),
    ):
        message.add_attachment(content, "application", "octet-stream", filename=name)
    return message.as_bytes()


PLACES = [
    "materials (2)",
    "vase.obj",
    "materials/vase.mtl",
    "textures/bois clair.png",
    "textures/bois clair (2).png",
    "passwd",
]


def test_file_lies_in_the_folder_that_a_model_names(sandbox: Sandbox, tmp_path: Path) -> None:
    """Links and zip hold each file where the model looks for it. Texts have the names that the customer gave."""
    bench = StepHarness(sandbox, tmp_path, in_folders())
    done = bench.takes(upload_files, upload_decisions=(FILE,) * len(PLACES))
    stored = {each.key.split("/", 4)[4]: each for each in on_r2.sent(sandbox)}
    assert sorted(stored) == sorted(PLACES)
    assert len({each.key.split("/")[3] for each in sandbox.s3.objects}) == 1
    assert stored["materials/vase.mtl"].content_disposition.startswith('attachment; filename="vase.mtl"')
    with urlopen(urljoin(done.uploads[2][1], "../textures/bois%20clair.png")) as answer:  # noqa: S310  the stand-in's
        assert answer.read() == b"\x89PNG\r\n\x1a\n1"
    with zipfile.ZipFile(io.BytesIO(on_r2.zips(sandbox)[0].body)) as archive:
        assert archive.namelist() == PLACES
        archive.extractall(tmp_path / "unpacked")
    files = with_file_names(bench.message().request, done).files
    assert [file.filename for file in files][1:4] == ["vase.obj", "vase.mtl", "Bois clair.png"]


def test_upload_begun_without_folders_goes_on_without(sandbox: Sandbox, tmp_path: Path) -> None:
    """A message in hand keeps the keys of the release that began with it, in its links and its zip."""
    bench = StepHarness(sandbox, tmp_path, in_folders())
    sandbox.s3.fail(Fault("cut_after_commit", "PUT", re.compile("ois")))
    decisions = (KEPT, FILE, FILE, FILE, KEPT, KEPT)
    with pytest.raises(StepDeferredError):
        bench.takes(upload_files, upload_decisions=decisions)
    bench.record.entries[:] = [each for each in bench.record.entries if each[0] != IN_FOLDERS]
    resumed(bench)
    done = bench.takes(upload_files, upload_decisions=decisions)
    assert done.uploads[2][1].rpartition("/")[0] == done.uploads[0][1].rpartition("/")[0]
    with zipfile.ZipFile(io.BytesIO(on_r2.zips(sandbox)[0].body)) as archive:
        assert archive.namelist() == ["vase.obj", "vase.mtl", "Bois clair.png"]


def test_private_files_are_stored_once_and_attached(bench: StepHarness) -> None:
    """In a folder of the request, so that one whose answer was lost is found there."""
    bench.open_ticket()
    bench.sandbox.hubspot.fail(Fault("cut_after_commit", "POST", "/files/"))
    with pytest.raises(StepDeferredError):
        bench.takes(attach_files, upload_decisions=(FILE, FILE))
    resumed(bench)
    done = bench.takes(attach_files, upload_decisions=(FILE, FILE))
    files = bench.sandbox.hubspot.files
    assert done.attached == tuple(enumerate(file.id for file in files))
    folder = f"/figurative-poller/{REFERENCE}"
    assert [file.path for file in files] == [f"{folder}/fauteuil-Ondine.glb", f"{folder}/photo-ete.png"]
    assert {file.access for file in files} == {"PRIVATE"}
    request = bench.message().request
    sent = [attachment.content.open().read() for attachment in request.attachments]
    assert [file.body for file in files] == sent


def test_private_files_of_one_name_are_told_apart(sandbox: Sandbox, tmp_path: Path) -> None:
    """Also beside a file that is named as one of them would be."""
    message = EmailMessage()
    message["From"], message["Message-ID"] = "elise@martin-mobilier.example", "<names@example.com>"
    message.set_content("Voici.")
    names = ("a b.png", "a-b.png", "1-a-b.png")
    for number, name in enumerate(names):
        message.add_attachment(b"\x89PNG\r\n\x1a\n%d" % number, "image", "png", filename=name)
    bench = StepHarness(sandbox, tmp_path, message.as_bytes())
    bench.open_ticket()
    bench.takes(attach_files, upload_decisions=(FILE,) * 3)
    assert [file.path.rpartition("/")[2] for file in sandbox.hubspot.files] == ["1-1-a-b.png", "2-a-b.png", "1-a-b.png"]


def test_private_files_of_earlier_work_are_found(bench: StepHarness) -> None:
    """A correction may come after work that is not recorded any more."""
    bench.open_ticket()
    first = bench.takes(attach_files, upload_decisions=(FILE, FILE))
    bench.record.entries.clear()
    again = attach_files(bench.context(upload_decisions=(FILE, FILE)), bench.done, look=True)
    assert again.attached == first.attached
    assert len(bench.sandbox.hubspot.files) == 2


def test_private_file_that_is_refused_stays_in_the_mail(bench: StepHarness) -> None:
    bench.open_ticket()
    bench.sandbox.hubspot.fail(Fault("status", "POST", "/files/", status=400))
    done = bench.takes(attach_files, upload_decisions=(FILE, FILE))
    assert [number for number, _ in done.attached] == [1]


def test_private_files_without_hubspot_are_skipped(bench: StepHarness) -> None:
    bench.services = replace(bench.services, hubspot=None)
    assert bench.takes(attach_files, upload_decisions=(FILE, FILE)).skipped == ("attach_files",)


@pytest.fixture
def desk(sandbox: Sandbox, tmp_path: Path) -> Desk:
    """Work on one mail after the other."""
    return Desk(sandbox, tmp_path)


@pytest.mark.parametrize(("files", "made"), [("none", (0, 0, 0)), ("hubspot", (0, 2, 1)), ("r2", (3, 0, 1))])
def test_files_of_a_support_request_go_where_the_setting_says(
    sandbox: Sandbox, tmp_path: Path, files: str, made: tuple[int, int, int]
) -> None:
    """To nobody, to HubSpot alone, or to public links; where there are any, a note on the ticket has them."""
    desk = Desk(sandbox, tmp_path)
    desk.environment["SUPPORT_FILES"] = files
    message = EmailMessage()
    message["From"], message["To"] = "Ana <ana@ruiz.example>", "support@figurative.example"
    message["Subject"], message["Message-ID"] = "Facture prélevée deux fois", "<twice@ruiz.example>"
    message.set_content("Bonjour, ma facture a été prélevée deux fois. Pouvez-vous me rembourser ?")
    message.add_attachment(b"%PDF-1.7 facture", maintype="application", subtype="pdf", filename="facture.pdf")
    message.add_attachment(b"%PDF-1.7 releve", maintype="application", subtype="pdf", filename="relevé.pdf")
    result = desk.gets(bytes(message))
    hubspot = sandbox.hubspot
    assert result.outcome == "support"
    assert (len(sandbox.s3.objects), len(hubspot.files), len(hubspot.notes)) == made
    if files == "hubspot":
        (note,) = hubspot.notes
        assert note.properties["hs_attachment_ids"] == ";".join(file.id for file in hubspot.files)
        assert hubspot.associated("notes", note.id, "tickets") == [hubspot.tickets[0].id]
        assert "Resté dans le message" not in hubspot.tickets[0].properties["content"]
    if files == "r2":
        (note,) = hubspot.notes
        assert all(stored.path in note.properties["hs_note_body"] for stored in on_r2.sent(sandbox))


@pytest.mark.parametrize(
    ("files", "stored"),
    [
        ("none", ["photo.png", "vase.bin", "vase.gltf"]),
        ("r2", ["photo.png", "plan.pdf", "vase.bin", "vase.gltf", "vue.png"]),
    ],
)
def test_answer_to_a_support_ticket_stores_no_document_unasked(
    sandbox: Sandbox, tmp_path: Path, files: str, stored: list[str]
) -> None:
    """Nor a picture of the text: it may show what must not lie at a public address. Models bring what they name."""
    desk = Desk(sandbox, tmp_path)
    desk.environment["SUPPORT_FILES"] = files
    first = samples()["support"]
    desk.gets(first)
    message = EmailMessage()
    message["From"], message["To"] = email.message_from_bytes(first)["From"], "support@figurative.example"
    message["Subject"], message["Message-ID"] = "Re: Facture", "<answer@samples.example>"
    message["In-Reply-To"] = email.message_from_bytes(first)["Message-ID"]
    message.set_content("Voici.")
    message.add_alternative('<p>Voici.</p><img src="cid:v">', subtype="html")
    picture = b"\x89PNG\r\n\x1a\n" + bytes(60_000)
    message.get_payload()[1].add_related(picture, "image", "png", cid="<v>", filename="vue.png")
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="plan.pdf")
    message.add_attachment(picture + b"2", maintype="image", subtype="png", filename="photo.png")
    model = json.dumps({"asset": {"version": "2.0"}, "buffers": [{"uri": "vase.bin"}]}).encode()
    for name, content in (("vase.gltf", model), ("vase.bin", b"\0" * 96)):
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    result = desk.gets(bytes(message))
    assert (str(result.outcome), len(sandbox.hubspot.tickets)) == ("support", 1)
    assert sorted(each.key.rpartition("/")[2] for each in on_r2.sent(sandbox)) == stored
