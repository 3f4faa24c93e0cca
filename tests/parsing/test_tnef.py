"""Read the parts of a winmail.dat (TNEF) where it is well formed, and what comes before the damage where not."""

from __future__ import annotations

import io
import struct

from poller.mime.transfer_encoding import Span
from poller.parsing import tnef
from tests.parsing.helpers import at, damaged
from tests.support.containers import BINARY, STRING, attribute, winmail

CONTENT = bytes(range(256)) * 20


def test_winmail_dat_gives_spans_of_its_files() -> None:
    raw = winmail(
        {}, (b"A.GLB", CONTENT, {}), (b"B~1.PNG", b"x", {0x3707: (STRING, b"b.png\0"), 0x370E: (STRING, b"image/png")})
    )
    mail = tnef.read(io.BytesIO(b"before" + raw + b"after"), Span(6, len(raw)))
    assert [(file.name, file.content_type, at(b"before" + raw, file.span)) for file in mail.files] == [
        ("A.GLB", "", CONTENT),
        ("b.png", "image/png", b"x"),
    ]
    assert mail.whole


def test_truncated_winmail_dat_gives_earlier_content() -> None:
    raw = winmail({}, (b"A.GLB", CONTENT, {}), (b"B.GLB", CONTENT, {}))[:-100]
    mail = tnef.read(io.BytesIO(raw), Span(0, len(raw)))
    assert (mail.whole, [file.name for file in mail.files]) == (False, ["A.GLB"])


def test_named_and_multi_valued_properties_are_skipped() -> None:
    by_text = struct.pack("<HH16sII8s", STRING, 0x8001, b"", 1, 6, b"a\0b\0\0\0") + struct.pack("<II4s", 1, 2, b"ab")
    by_number = struct.pack("<HH16sIIHxx", 2, 0x8002, b"", 0, 7, 1)
    numbers = struct.pack("<HHI", 0x1003, 0x3000, 3) + bytes(12)
    texts = struct.pack("<HHII4sI4s", 0x1000 | STRING, 0x3001, 2, 2, b"ab", 1, b"c")
    html = struct.pack("<HHII4s", BINARY, 0x1013, 1, 4, b"<br>")
    props = struct.pack("<I", 5) + by_text + by_number + numbers + texts + html
    raw = winmail({}) + attribute(1, 0x00069003, props)
    mail = tnef.read(io.BytesIO(raw), Span(0, len(raw)))
    assert mail.html is not None
    assert (mail.whole, at(raw, mail.html.span)) == (True, b"<br>")


def test_damaged_winmail_dat_raises_only_value_error() -> None:
    whole = winmail({0x1000: (STRING, b"x")}, (b"a", CONTENT[:300], {0x3707: (STRING, b"b")}))
    for broken in damaged([whole], 1000):
        try:
            tnef.read(io.BytesIO(broken), Span(0, len(broken)))
        except ValueError:
            continue
