"""Rules for the project as a whole. import-linter proves those on imports (pyproject.toml)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIN = r"^(\S+)==(\S+)(?: ; .*)? \\\n    --hash=sha256:"
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


def test_lock_files_pin_every_package_of_pyproject() -> None:
    """What runs and what builds, and each extra on top, with hashes and without an address."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {"": project["project"]["dependencies"], "-build": project["build-system"]["requires"]}
    wanted |= {f"-{extra}": needed for extra, needed in project["project"]["optional-dependencies"].items()}
    base = set(re.findall(PIN, (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    everything = set(re.findall(PIN, (ROOT / "requirements-dev.lock").read_text(), re.MULTILINE))
    for suffix, needed in wanted.items():
        text = (ROOT / f"requirements{suffix}.lock").read_text()
        assert "://" not in text
        pins = set(re.findall(PIN, text, re.MULTILINE))
        assert suffix in {"-build", "-f3d"} or pins <= everything, "the versions of development"
        assert len({name for name, _ in everything} & {name for name, _ in pins}) <= len(pins & everything), suffix
        names = {"figurative-poller"} | {name for name, *_ in pins | base}
        assert {re.split(r"[^\w.-]", package)[0] for package in needed} <= names, suffix


def test_dev_script_can_be_read_by_old_python() -> None:
    """It refuses it in one line, and does not fail at its own syntax."""
    ast.parse((ROOT / "dev").read_text(), feature_version=(3, 6))
    old = "import runpy, sys; sys.version_info = (3, 9, 18); runpy.run_path('dev', run_name='__main__')"
    ended = subprocess.run(
        [sys.executable, "-c", old], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )
    assert ended.returncode == 1
    assert re.fullmatch(r"dev: Python 3\.11 or newer is needed, \S+ is 3\.9\.18.*\n", ended.stderr)
