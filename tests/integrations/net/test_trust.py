"""The certificate authorities of a file of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError
from integrations.net.trust import trusting
from integrations.sandbox.certificate import self_signed

if TYPE_CHECKING:
    from pathlib import Path


def test_authorities_are_those_of_the_file_or_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE names the system's."""
    (tmp_path / "own").mkdir()
    own, system = self_signed(tmp_path / "own", "own"), self_signed(tmp_path, "system")
    monkeypatch.setenv("SSL_CERT_FILE", str(system.path))

    def names(ca_file: str) -> list[str]:
        return [each["subject"][0][0][1] for each in trusting(ca_file, "IMAP_CA_FILE").get_ca_certs()]

    assert (names(str(own.path)), names("")) == (["own"], ["system"])


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), (b"", "no certificate"), (b"x", "no certificate")]
)
def test_unusable_authority_file_is_named_with_its_setting(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"^SMTP_CA_FILE: .*ca.pem: {why}"):
        trusting(str(path), "SMTP_CA_FILE")
