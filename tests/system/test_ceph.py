"""Files on a real S3 server, Ceph's gateway, which nobody here has written."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import pytest

from integrations.errors import ConfigurationError, CredentialsError
from integrations.r2 import R2
from tests.support.ceph import HOW, Ceph

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not os.environ.get("CEPH"), reason=HOW)

BUCKET = "figurative-files"
MIB = 1024 * 1024
SIZES = {
    "small.glb": 10,
    "empty.txt": 0,
    "a part exactly.bin": 8 * MIB,
    "parts.stl": 30_000_000,
    "0123/pièce n°1 (a+b)~?#%&=é.glb": 3,
    "0123/..hidden//twice.obj": 5,
}


@pytest.fixture(scope="module")
def ceph() -> Iterator[Ceph]:
    """A cluster with one empty bucket."""
    with Ceph() as running:
        connect(running)._s3.create_bucket(Bucket=BUCKET)
        yield running


def connect(ceph: Ceph, scheme: str = "http", **changed: str) -> R2:
    given = {
        "access_key_id": ceph.access_key_id,
        "secret_access_key": ceph.secret_access_key,
        "bucket_name": BUCKET,
        "endpoint_url": ceph.url(scheme),
        "public_url": f"{ceph.url(scheme)}/{BUCKET}",
    }
    return R2(**(given | changed))


def stored(client: R2, key: str) -> Any:
    return client._s3.get_object(Bucket=BUCKET, Key=key)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_files_of_all_sizes_and_names_are_stored_once(ceph: Ceph, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same key again is a success, and changes nothing."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(ceph.certificate))
    client = connect(ceph, scheme)
    assert client.check() == f"R2 bucket {BUCKET}"
    for name, size_bytes in SIZES.items():
        key, body = f"{scheme}/{name}", (name.encode() * (1 + size_bytes // len(name.encode())))[:size_bytes]
        disposition = "attachment; filename*=UTF-8''pi%C3%A8ce.glb"
        for _ in range(2):
            client.upload(key, io.BytesIO(body), size_bytes, "model/gltf-binary", disposition)
        found = stored(client, key)
        assert found["Body"].read() == body
        assert (found["ContentType"], found["ContentDisposition"]) == ("model/gltf-binary", disposition)
    client.upload(f"{scheme}/small.glb", io.BytesIO(b"another"), 7, "text/plain", "inline")
    assert stored(client, f"{scheme}/small.glb")["ContentType"] == "model/gltf-binary"
    names = [each["Key"] for each in client._s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{scheme}/")["Contents"]]
    assert sorted(names) == sorted(f"{scheme}/{name}" for name in SIZES)


@pytest.mark.parametrize(
    ("wrong", "error", "setting"),
    [
        ({"access_key_id": "f" * 20}, CredentialsError, "R2_ACCESS_KEY_ID"),
        ({"secret_access_key": "wrong"}, CredentialsError, "R2_SECRET_ACCESS_KEY"),
        ({"bucket_name": "no-such-bucket"}, ConfigurationError, "R2_BUCKET_NAME"),
    ],
    ids=["key", "secret", "bucket"],
)
def test_wrong_setting_is_named(ceph: Ceph, wrong: dict[str, str], error: type[Exception], setting: str) -> None:
    client = connect(ceph, **wrong)
    for size_bytes in (1, 9 * MIB):
        with pytest.raises(error, match=setting):
            client.upload("any", io.BytesIO(bytes(size_bytes)), size_bytes, "text/plain", "attachment")
    with pytest.raises(error, match=setting):
        client.check()
