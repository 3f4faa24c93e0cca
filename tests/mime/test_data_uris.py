"""Find the pictures that an HTML source holds in itself."""

from __future__ import annotations

import base64
import io

import pytest

from poller.mime import data_uris
from poller.mime.transfer_encoding import PIECE_BYTES
from tests.parsing.helpers import at
from tests.support.effort import one_pass

PICTURE = bytes(range(256)) * 20
URI = b"data:image/png;base64," + base64.encodebytes(PICTURE)


def found(source: bytes) -> list[tuple[str, bytes, bytes]]:
    """Return the type, the URI and the content of each picture."""
    return [
        (picture.content_type, at(source, picture.span), base64.b64decode(at(source, picture.base64)))
        for picture in data_uris.pictures(io.BytesIO(source))
    ]


@pytest.mark.parametrize("before", [0, PIECE_BYTES - 100, PIECE_BYTES - len(URI) - 20, PIECE_BYTES])
def test_pictures_in_source_are_found_in_order(before: int) -> None:
    """It makes no difference where a piece of the source ends."""
    source = (
        b"x" * before + b'<img src="' + URI + b"\"><i style='background:url(" + URI.upper()[:11] + URI[11:] + b")'>"
    )
    assert found(source) == [("image/png", URI, PICTURE), ("image/png", URI.upper()[:11] + URI[11:], PICTURE)]


@pytest.mark.parametrize(
    "source",
    [
        b'<img src="' + URI,
        b"The URI begins with data:image/png;base64, and goes on.",
        b'<img src="data:image/svg+xml;base64,PHN2Zz4=">',
        b'<img src="data:image/png,%89PNG">',
    ],
)
def test_source_resembling_picture_holds_none(source: bytes) -> None:
    assert found(source) == []


@pytest.mark.parametrize("piece", [b'"data:image/png;base64,', b'"', b"(data:image/", b'"data:image/png;base64,QUJD" '])
def test_pictures_are_found_in_one_pass(piece: bytes) -> None:
    one_pass(lambda source: data_uris.pictures(io.BytesIO(source)), piece)
