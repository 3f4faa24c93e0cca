"""Tests of the `classify` command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from poller.cli.samples import samples
from tests.support.command import run

if TYPE_CHECKING:
    from pathlib import Path


def test_classify_prints_category_without_services(tmp_path: Path) -> None:
    """Without any key, without a mailbox, and without creating anything."""
    mail = tmp_path / "mail.eml"
    mail.write_bytes(samples()["support"])
    verdict = json.loads(run("classify", str(mail), "--json").stdout)
    assert (verdict["category"], verdict["decided_by"]) == ("SUPPORT", "rules")
    assert verdict["confidence"] >= 0.9
    mail.write_bytes(samples()["auto_reply"])
    assert "IGNORED" in run("classify", str(mail)).stdout
    refused = run("classify", str(mail), "--no-claude")
    assert refused.exit_code == 2
    assert "--no-claude goes with --evaluate" in refused.stderr
