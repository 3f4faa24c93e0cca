"""Tests of the R2 client: its requests, the stored objects, and its error for every failure."""

from __future__ import annotations

import io
import socket
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import httpx2 as httpx
import pytest
from botocore.awsrequest import AWSResponse

from integrations import r2
from integrations.errors import BlockedError, ConfigurationError, PermanentError, TransientError
from integrations.r2 import R2
from integrations.sandbox.stand_in import Fault
from tests.support.recording_server import Listener, http
from tests.support.timeouts import read_timeout_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integrations.sandbox import Sandbox

KEY = "0123456789abcdef/pièce n°1 (a+b)~.glb"
DISPOSITION = "attachment; filename*=UTF-8''pi%C3%A8ce.glb"
SECRET = "Chaise-longue de Mme Durand"


class Stream(io.BytesIO):
    """A stream that gives at most `most` bytes at a time, as a raw one may, and keeps how much it was asked for."""

    def __init__(self, content: bytes, most: int = 1 << 30) -> None:
        super().__init__(content)
        self.most = most
        self.asked: list[int] = []

    def read(self, size: int | None = -1) -> bytes:
        """Like any other, but for what it keeps and holds back."""
        self.asked.append(-1 if size is None else size)
        return super().read(self.most if size is None or size < 0 else min(size, self.most))


# A client takes botocore a while to make, and keeps nothing of one test for the next but its connections.
_made = cache(R2)


def connect(sandbox: Sandbox, *, read_timeout_s: float = 10.0, **changed: str) -> R2:
    server = sandbox.s3
    settings = {
        "access_key_id": server.access_key_id,
        "secret_access_key": server.secret_access_key,
        "bucket_name": server.bucket,
        "endpoint_url": server.url,
        "public_url": server.public_url + "/",
    }
    return _made(**(settings | changed), connect_timeout_s=2.0, read_timeout_s=read_timeout_s)


def upload(client: R2, content: bytes = b"glTF", key: str = KEY) -> str:
    return client.upload(key, io.BytesIO(content), len(content), "model/gltf-binary", DISPOSITION)


def test_uploaded_file_is_public_at_returned_url(sandbox: Sandbox) -> None:
    url = upload(connect(sandbox))
    assert url == f"{sandbox.s3.public_url}/0123456789abcdef/pi%C3%A8ce%20n%C2%B01%20%28a%2Bb%29~.glb"
    assert httpx.get(url, timeout=5).content == b"glTF"
    (stored,) = sandbox.s3.objects
    assert (stored.key, stored.content_type, stored.content_disposition) == (KEY, "model/gltf-binary", DISPOSITION)


def test_repeated_upload_succeeds_and_changes_nothing(sandbox: Sandbox) -> None:
    client = connect(sandbox)
    first = upload(client, b"the first")
    assert upload(client, b"the second") == first
    assert [each.body for each in sandbox.s3.objects] == [b"the first"]
    assert [each.headers["if-none-match"] for each in sandbox.s3.calls("PUT")] == ["*", "*"]


def test_upload_accepts_empty_file(sandbox: Sandbox) -> None:
    upload(connect(sandbox), b"")
    assert [each.size_bytes for each in sandbox.s3.objects] == [0]


def test_upload_rewinds_stream_first(sandbox: Sandbox) -> None:
    stream = io.BytesIO(b"0123456789")
    stream.seek(7)
    connect(sandbox).upload(KEY, stream, 10, "text/plain", DISPOSITION)
    assert sandbox.s3.objects[0].body == b"0123456789"


def test_upload_reads_file_in_pieces(sandbox: Sandbox) -> None:
    stream = Stream(bytes(5 * 1024 * 1024))
    connect(sandbox).upload(KEY, stream, 5 * 1024 * 1024, "model/gltf-binary", DISPOSITION)
    assert sandbox.s3.objects[0].size_bytes == 5 * 1024 * 1024
    assert -1 not in stream.asked
    assert max(stream.asked) <= 1024 * 1024


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Parts of 5 MiB, the least that S3 takes: the same road as for the files that are large."""
    monkeypatch.setattr(r2, "_PART_BYTES", 5 * 1024 * 1024)
    return


LARGE = b"0123456789abcdef" * (11 * 1024 * 1024 // 16)


@pytest.mark.usefixtures("small_parts")
def test_large_upload_uses_equal_parts_despite_short_reads(sandbox: Sandbox) -> None:
    stream = Stream(LARGE, most=3 * 1024 * 1024)
    url = connect(sandbox).upload(KEY, stream, len(LARGE), "model/gltf-binary", DISPOSITION)
    assert [len(each.raw) for each in sandbox.s3.calls("PUT")] == [5 * 1024 * 1024, 5 * 1024 * 1024, 1024 * 1024]
    (stored,) = sandbox.s3.objects
    assert stored.body == LARGE
    assert (stored.content_type, stored.content_disposition) == ("model/gltf-binary", DISPOSITION)
    assert url.startswith(sandbox.s3.public_url)


@pytest.mark.usefixtures("small_parts")
def test_repeated_large_upload_sends_nothing_of_the_file(sandbox: Sandbox) -> None:
    client = connect(sandbox)
    first = upload(client, LARGE)
    sandbox.s3.requests.clear()
    assert upload(client, LARGE[::-1]) == first
    (request,) = sandbox.s3.requests
    assert (request.method, request.query_string, request.headers["if-none-match"]) == ("POST", "uploads", "*")
    assert [each.body for each in sandbox.s3.objects] == [LARGE]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(("key", "done"), [(KEY, True), ("another", False)])
def test_empty_etag_of_large_file_is_success_if_the_key_is_right(sandbox: Sandbox, key: str, done: bool) -> None:
    """As Ceph answers where the file was put together before."""
    created = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
    completed = f"<CompleteMultipartUploadResult><Key>{key}</Key><ETag></ETag></CompleteMultipartUploadResult>"
    sandbox.s3.fail(Fault("status", "POST", status=200, body=created))
    sandbox.s3.fail(Fault("status", "PUT", status=200, headers={"ETag": '"part"'}, body="", times=3))
    sandbox.s3.fail(Fault("status", "POST", status=200, body=completed))
    with nullcontext() if done else pytest.raises(TransientError, match="without ETag"):
        assert upload(connect(sandbox), LARGE).startswith(sandbox.s3.public_url)


@pytest.mark.usefixtures("small_parts")
def test_failed_large_upload_leaves_no_parts(sandbox: Sandbox) -> None:
    sandbox.s3.fail(Fault("status", "PUT", status=503))
    with pytest.raises(TransientError):
        connect(sandbox).upload(KEY, io.BytesIO(LARGE), len(LARGE), "model/gltf-binary", DISPOSITION)
    assert len(sandbox.s3.calls("DELETE")) == 1
    assert sandbox.s3.objects == []


@pytest.mark.usefixtures("small_parts")
def test_large_upload_reports_first_failure_when_abort_fails(sandbox: Sandbox) -> None:
    sandbox.s3.fail(Fault("status", "PUT", status=503))
    sandbox.s3.fail(Fault("reset", "DELETE"))
    with pytest.raises(TransientError, match="503"):
        connect(sandbox).upload(KEY, io.BytesIO(LARGE), len(LARGE), "model/gltf-binary", DISPOSITION)


def test_upload_over_tls_sends_plain_body_with_length() -> None:
    sent: list[Any] = []

    class Empty:
        def stream(self, **_: object) -> Iterator[bytes]:
            return iter([b""])

    def keep(request: Any, **_: object) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, 200, {"ETag": "x"}, Empty())

    client = R2("id", "secret", "bucket", "https://account.r2.cloudflarestorage.com", "https://files.example")
    client._s3.meta.events.register("before-send.s3", keep)
    assert upload(client, b"glTF", "a/b.glb") == "https://files.example/a/b.glb"
    (request,) = sent
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert request.url == "https://account.r2.cloudflarestorage.com/bucket/a/b.glb"
    assert headers["content-length"] in {"4", b"4"}
    assert not {"transfer-encoding", "content-encoding", "x-amz-trailer", "x-amz-sdk-checksum-algorithm"} & set(headers)
    assert not [name for name in headers if name.startswith("x-amz-checksum")]
    assert headers["x-amz-content-sha256"] == b"UNSIGNED-PAYLOAD"


def xml(code: str) -> str:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{SECRET}</Message></Error>"


@pytest.mark.parametrize(
    ("fault", "error", "outcome_unknown", "retry_after_s"),
    [
        (Fault("status", status=400, body=xml("KeyTooLongError")), PermanentError, None, None),
        (Fault("status", status=400, body=xml("RequestTimeout")), TransientError, False, None),
        (Fault("status", status=401, body=xml("Unauthorized")), ConfigurationError, None, None),
        (Fault("status", status=403, body=xml("AccessDenied")), ConfigurationError, None, None),
        (Fault("status", status=403, body=xml("InvalidAccessKeyId")), ConfigurationError, None, None),
        (Fault("status", status=403, body=xml("SignatureDoesNotMatch")), ConfigurationError, None, None),
        (Fault("status", status=404, body=xml("NoSuchBucket")), ConfigurationError, None, None),
        (Fault("status", status=404, body=xml("NoSuchUpload")), TransientError, False, None),
        (Fault("status", status=408, body=""), TransientError, False, None),
        (Fault("status", status=413, body=xml("EntityTooLarge")), PermanentError, None, None),
        (Fault("status", status=429, headers={"Retry-After": "86400"}), TransientError, False, 86400.0),
        (Fault("status", status=500), TransientError, True, None),
        (Fault("status", status=502, body="<html>"), TransientError, True, None),
        (Fault("status", status=503, headers={"Retry-After": "30"}), TransientError, True, 30.0),
        (Fault("status_after_commit", status=504), TransientError, True, None),
        (Fault("reset"), TransientError, True, None),
        (Fault("cut_after_commit"), TransientError, True, None),
        (Fault("timeout"), TransientError, True, None),
        (Fault("hang_after_commit"), TransientError, True, None),
        (Fault("garbage"), TransientError, True, None),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else None,
)
def test_upload_maps_every_failure_to_its_error(
    sandbox: Sandbox,
    fault: Fault,
    error: type[Exception],
    outcome_unknown: bool | None,
    retry_after_s: float | None,
) -> None:
    sandbox.s3.fail(fault)
    with pytest.raises(error) as raised:
        upload(connect(sandbox, read_timeout_s=read_timeout_s(fault)), key=f"{SECRET}.glb")
    assert getattr(raised.value, "outcome_unknown", None) is outcome_unknown
    assert getattr(raised.value, "retry_after_s", None) == retry_after_s
    assert str(raised.value).startswith("R2 upload: ")
    assert SECRET not in str(raised.value)
    assert sandbox.s3.access_key_id not in str(raised.value)
    assert len(sandbox.s3.calls("PUT")) == 1, "never tried again by the library"


BLOCK = Fault("status", "PUT", status=403, body="<html><body><h1>403 Forbidden</h1></body></html>")


@pytest.mark.parametrize("body", [BLOCK.body, "<html><br>", "Forbidden", ""], ids=["html", "broken", "text", "empty"])
def test_block_at_the_edge_is_about_the_file_if_the_bucket_answers(sandbox: Sandbox, body: str) -> None:
    """A firewall dislikes what is in one file. The keys are asked about once, and work."""
    sandbox.s3.fail(replace(BLOCK, body=body))
    with pytest.raises(BlockedError, match=r"R2 upload: HTTP 403.*firewall"):
        upload(connect(sandbox))
    assert [each.method for each in sandbox.s3.requests] == ["PUT", "GET"]


@pytest.mark.parametrize(
    ("body", "error"), [(BLOCK.body, TransientError), (xml("InvalidAccessKeyId"), ConfigurationError)]
)
def test_block_at_the_edge_is_no_files_if_the_bucket_does_not_answer(
    sandbox: Sandbox, body: str, error: type[Exception]
) -> None:
    sandbox.s3.fail(BLOCK)
    sandbox.s3.fail(Fault("status", "GET", status=403, body=body))
    with pytest.raises(error):
        upload(connect(sandbox))


def test_failed_connect_has_known_outcome(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(TransientError) as failed:
        upload(connect(sandbox, endpoint_url=url))
    assert not failed.value.outcome_unknown


def test_check_names_bucket_and_writes_nothing(sandbox: Sandbox) -> None:
    server = sandbox.s3
    assert connect(sandbox).check() == f"R2 bucket {server.bucket}"
    assert [each.method for each in server.requests] == ["GET"]


def test_check_public_requests_missing_file_when_bucket_empty(sandbox: Sandbox) -> None:
    """As a customer asks, without a key; another one each time, so that no cache answers."""
    server = sandbox.s3
    seen = [connect(sandbox).check_public() for _ in range(2)]
    assert seen == [f"{server.public_url}: HTTP 404 for a file that is not there, as it should be"] * 2
    asked = [each.path for each in server.requests if "authorization" not in each.headers]
    assert len(set(asked)) == len(asked) == 2
    assert server.objects == []


def test_check_public_requests_existing_file(sandbox: Sandbox) -> None:
    """A site that has nothing to do with the bucket answers 404 as well: where there is a file, it is the proof."""
    server = sandbox.s3
    connect(sandbox).upload("2026/11/un fauteuil.glb", io.BytesIO(b"glTF"), 4, "model/gltf-binary", "attachment")
    assert (
        connect(sandbox).check_public()
        == f"{server.public_url}: HTTP 200 for a file that is in the bucket, as it should be"
    )
    with pytest.raises(ConfigurationError, match="HTTP 404 for a file that is in the bucket: look at R2_PUBLIC_URL"):
        connect(sandbox, public_url=f"{server.public_url}/elsewhere").check_public()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b"403 Forbidden", None, "HTTP 403 for a file that is not there, as it should be"),
        (b"200 OK", ConfigurationError, "HTTP 200 for a file that is not there: look at R2_PUBLIC_URL"),
        (b"401 Unauthorized", ConfigurationError, "whether the bucket has public access there"),
        (b"522 Timed out", TransientError, "HTTP 522 for a file that is not there"),
        (b"", TransientError, "no whole answer came back"),
    ],
)
def test_check_public_detects_address_without_public_bucket(
    sandbox: Sandbox, answer: bytes, error: type[Exception] | None, words: str
) -> None:
    """A site that has a page for everything would have one in place of each file; of that page nothing is read."""
    endless = b"HTTP/1.1 " + answer + b"\r\nContent-Length: 999999999\r\n\r\nx"
    with Listener(lambda request: (endless if answer else b"") if b"\r\n\r\n" in request else None) as server:
        client = connect(sandbox, public_url=f"http://127.0.0.1:{server.port}")
        if error is None:
            assert client.check_public().endswith(words)
            return
        with pytest.raises(error, match=words):
            client.check_public()


def test_check_public_follows_redirect(sandbox: Sandbox) -> None:
    """As a customer's browser does."""
    moved = f"HTTP/1.1 301 Moved\r\nLocation: {sandbox.s3.public_url}/x\r\nContent-Length: 0\r\n\r\n"
    with Listener(http(moved.encode())) as server:
        assert "HTTP 404" in connect(sandbox, public_url=f"http://127.0.0.1:{server.port}").check_public()
    with pytest.raises(TransientError, match="nothing listens there"):
        connect(sandbox, public_url=f"http://127.0.0.1:{server.port}").check_public()


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ({"access_key_id": "f" * 32}, "R2_ACCESS_KEY_ID"),
        ({"secret_access_key": "wrong"}, "R2_SECRET_ACCESS_KEY"),
        ({"bucket_name": "no-such-bucket"}, "R2_BUCKET_NAME"),
    ],
)
def test_check_names_the_wrong_setting(sandbox: Sandbox, wrong: dict[str, str], setting: str) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        connect(sandbox, **wrong).check()
    with pytest.raises(ConfigurationError, match=setting):
        upload(connect(sandbox, **wrong))


@pytest.mark.parametrize(
    "fault", [Fault("reset"), Fault("timeout"), Fault("garbage"), Fault("garbage", body="Veuillez vous <br> connecter")]
)
def test_check_without_answer_raises_transient_error(sandbox: Sandbox, fault: Fault) -> None:
    sandbox.s3.fail(fault)
    with pytest.raises(TransientError):
        connect(sandbox, read_timeout_s=0.3).check()


class Forward(io.RawIOBase):
    """A stream of unknown length that cannot be rewound."""

    def __init__(self, content: bytes) -> None:
        self.left = content

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Give a thousand bytes at most."""
        count = min(len(buffer), len(self.left), 1000)
        buffer[:count], self.left = self.left[:count], self.left[count:]
        return count


@pytest.mark.parametrize(("size", "most"), [(10, 5_000), (10, 9_000_000), (9_000_000, 9_000_500)])
def test_stream_is_stored_whole_given_a_bound_of_its_size(sandbox: Sandbox, size: int, most: int) -> None:
    content = bytes(range(200)) * (size // 200 + 1)
    url = connect(sandbox).upload(KEY, cast("BinaryIO", Forward(content)), most, "application/zip", DISPOSITION)
    (stored,) = sandbox.s3.objects
    assert (stored.body, url) == (content, f"{sandbox.s3.public_url}/{stored.path}")
