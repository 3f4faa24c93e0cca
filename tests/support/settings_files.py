"""Write settings files, and read what is wrong with them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from poller.config.loader import InvalidSettingsError, load
from poller.config.problems import EXAMPLES

ROOT = Path(__file__).parents[2]


def write(name: str, text: str) -> None:
    """Write a file into the working directory."""
    Path(name).write_text(text)


def problems() -> list[str]:
    """Load the settings of the working directory, and return what is wrong with them, line by line."""
    with pytest.raises(InvalidSettingsError) as caught:
        load(need_imap=False)
    return caught.value.problems


def filled_in() -> tuple[Path, Path]:
    """Write the example files as a person leaves them, and return where they are."""
    toml = (ROOT / "config.example.toml").read_text()
    for (section, key), value in EXAMPLES.items():
        begin = toml.index(f"[{section}]")
        mine = value.replace("example", "figurative").replace("12345678", "1").replace("86abc1234", "86x")
        toml = toml[:begin] + toml[begin:].replace(f'{key} = "{value}"', f'{key} = "{mine.replace("89abcdef", "")}"', 1)
    write("filled.toml", toml)
    write("filled.env", re.sub("change[-_]me", "secret", (ROOT / ".env.example").read_text()))
    return Path("filled.toml"), Path("filled.env")
