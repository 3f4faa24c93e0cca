"""Rules for the project as a whole. import-linter proves those on imports (pyproject.toml)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for folder in ("poller", "integrations") for path in (ROOT / folder).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_only_one_place_catches_exception() -> None:
    """`except Exception` contains a message's failure, and nothing else does."""
    broad = [
        name(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    ]
    assert broad == ["poller/workflow/journal.py"]


def test_python_with_buffering_imaplib_is_refused() -> None:
    """IDLE looks into the file that imaplib reads from, and 3.14's reads past it."""
    wanted = re.search(r'^requires-python = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert wanted
    assert not SpecifierSet(wanted[1]).contains("3.14.0")
    assert SpecifierSet(wanted[1]).contains("3.13.9")


def test_lock_files_match_pyproject() -> None:
    """Both lock files pin every direct dependency, with hashes and without an address."""
    text = (ROOT / "pyproject.toml").read_text()
    wanted = re.findall(r"^dependencies = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)[0]
    for lock in ("requirements.lock", "requirements-dev.lock"):
        pinned = (ROOT / lock).read_text()
        assert "://" not in pinned
        for package in re.findall(r'^\s+"([\w-]+)', wanted, re.MULTILINE):
            assert re.search(rf"^{package}==\S+ .*\\\n    --hash=sha256:", pinned, re.MULTILINE), f"{package} in {lock}"
