"""Take the files out of the texts that hold them in themselves."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from tests.parsing.helpers import content, read
from tests.parsing.test_pictures import ANSWER, GMAIL

if TYPE_CHECKING:
    from pathlib import Path


def test_picture_in_the_source_of_html_is_a_file(tmp_path: Path) -> None:
    """Its bytes are those that were pasted, and it is no more of a logo than an attached one of its size."""
    raw = [b"\x89PNG\r\n\x1a\n".ljust(size, b"x") for size in (900_000, 2000, 700_000)]
    own, logo, old = (base64.b64encode(each).decode() for each in raw)
    pasted = f'<p>Voici <img src="data:image/png;base64,{own}"> merci <img src="data:image/png;base64,{logo}"></p>'
    html = GMAIL.format(pasted, f'<img src="data:image/png;base64,{old}">').encode()
    request = read(tmp_path, ANSWER + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html)
    assert [content(file) for file in request.attachments] == raw
    assert [(file.filename, file.logo, file.quoted) for file in request.attachments] == [
        ("piece-jointe-1.png", False, False),
        ("piece-jointe-2.png", True, False),
        ("piece-jointe-3.png", False, True),
    ]
    assert (request.newest.split(), request.defects) == (["Voici", "merci"], ())
