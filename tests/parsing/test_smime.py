"""Read the content of S/MIME messages that are signed in one piece, and refuse what is broken (RFC 5652)."""

from __future__ import annotations

import io

import pytest

from poller.parsing import smime
from tests.parsing.helpers import at, damaged
from tests.support.containers import enveloped, signed

CONTENT = bytes(range(256)) * 20


@pytest.mark.parametrize("pieces", [0, 1000, 7])
def test_signed_content_is_read_from_all_pieces(pieces: int) -> None:
    raw = signed(CONTENT, pieces=pieces)
    assert b"".join(at(raw, span) for span in smime.signed_content(io.BytesIO(raw))) == CONTENT


def test_encrypted_smime_is_told_from_broken() -> None:
    with pytest.raises(smime.EncryptedError):
        smime.signed_content(io.BytesIO(enveloped()))


WHOLE = signed(CONTENT, pieces=100)


@pytest.mark.parametrize("end", [0, 1, 2, 5, 13, 30, 50, 60, 1000])
def test_truncated_signature_is_refused(end: int) -> None:
    with pytest.raises(ValueError, match=r"cut off|no length|another"):
        smime.signed_content(io.BytesIO(WHOLE[:end]))


def test_damaged_signature_raises_only_expected_errors() -> None:
    for broken in damaged([WHOLE[:3000], signed(b"x")], 1000):
        try:
            smime.signed_content(io.BytesIO(broken))
        except (ValueError, smime.EncryptedError):
            continue
