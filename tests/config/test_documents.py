"""Tests of the documents that list settings and log events: the example files and those in docs/."""

from __future__ import annotations

import re

from poller.config.loader import load
from poller.config.section import is_secret
from poller.config.settings import sections
from poller.config.ticket_properties import TicketProperties
from tests.support.settings_files import ROOT, filled_in


def test_example_files_load_and_cover_every_setting() -> None:
    """A newcomer's copy is valid, and shows every setting there is."""
    load(*filled_in())
    toml, env = (ROOT / "config.example.toml").read_text(), (ROOT / ".env.example").read_text()
    for section, keys in sections().items():
        table = re.search(rf"^\[{section}\].*?(?=^\[|\Z)", toml, re.DOTALL | re.MULTILINE)
        for key, field in keys.model_fields.items():
            if is_secret(field):
                assert re.search(rf"^{section}_{key}=", env, re.IGNORECASE | re.MULTILINE), f"{section}_{key}"
            else:
                shown = table[0] if table else ""
                assert re.search(rf"^(# )?({key} = |\[{section}\.{key}\])", shown, re.MULTILINE), f"[{section}] {key}"


def test_example_files_show_the_defaults() -> None:
    """Each value that is not marked "yours" is the default."""
    example, defaults = load(*filled_in()), load(need_imap=False)
    yours = set(re.findall(r"^(\w+) = .*# yours", (ROOT / "config.example.toml").read_text(), re.MULTILINE))
    for section, keys in sections().items():
        for key, field in keys.model_fields.items():
            if not is_secret(field) and key not in yours:
                assert getattr(getattr(example, section), key) == getattr(getattr(defaults, section), key), key


# What docs/settings.md says of a setting that has no value by default, beside "secret".
UNSET = {"yours", "empty"}


def shown(default: object) -> set[str]:
    """Return the words that the document may have for a default."""
    if default in (None, "", (), TicketProperties()):
        return UNSET
    if isinstance(default, bool):
        return {str(default).lower()}
    if isinstance(default, tuple):
        return {"all"}
    return (
        {f"`{default}`"}
        if isinstance(default, str)
        else {f"{default:g}" if isinstance(default, float) else str(default)}
    )


def test_settings_document_lists_every_key_with_its_default() -> None:
    """And no other key."""
    text = (ROOT / "docs" / "settings.md").read_text()
    tables = dict(re.findall(r"^### `\[(\w+)\]`.*?$(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE))
    assert tables.keys() == sections().keys()
    for section, keys in sections().items():
        rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", tables[section], re.MULTILINE)
        assert sorted(key for key, _ in rows) == sorted(keys.model_fields), section
        for key, default in rows:
            field = keys.model_fields[key]
            assert default in ({"secret"} if is_secret(field) else shown(field.default)), f"[{section}] {key}"


# A line of the log at the level of a warning or above, and a trouble that is one.
EVENT = re.compile(
    r"""\blog\.(?:warning|error|exception|critical)\(\s*"(\w+)"|\bTrouble\(log, "(\w+)"(?!, logging\.INFO)"""
)


def test_operations_document_lists_every_warning_and_error() -> None:
    """And no event that no code logs."""
    text = (ROOT / "docs" / "operations.md").read_text()
    cells = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", text, re.MULTILINE)
    listed = {name for cell in cells for name in re.findall(r"\w+", cell)}
    sources = [path.read_text() for top in ("poller", "integrations") for path in (ROOT / top).rglob("*.py")]
    logged = {name for source in sources for pair in EVENT.findall(source) for name in pair if name}
    assert logged - listed == set()
    assert {name for name in listed if not any(f'"{name}"' in source for source in sources)} == set()
