"""Read every value that was given, and its place: config.toml, .env, systemd credentials, the environment."""

from __future__ import annotations

import io
import os
import re
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from dotenv.parser import parse_stream

from poller.config.settings import sections

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_NAMED = re.compile(r"\s*(?:\[+([^\]=]+)\]|([^=#\[\]]+)=)")  # [table] or key, each perhaps with dots in it (toml.io)
_KEY = re.compile(r"[\w.-]+")  # no colon, after which a secret may stand


@dataclass(frozen=True, slots=True)
class SettingValue:
    """One value as it was written, with its place."""

    section: str  # lower case
    key: str  # lower case
    value: Any  # a string from the environment, any TOML type from a file
    source: str  # where a person finds it: "config.toml:14", ".env:3", "environment", "credentials"
    name: str  # as it is written there: "[imap] port" or "IMAP_PORT"; "": a line of .env that is not KEY=VALUE


def written(config: Path | None, dotenv: Path | None, problems: list[str]) -> Iterator[SettingValue]:
    """Yield every value that was given, the weakest source first. A file that cannot be read is added to `problems`."""
    try:
        yield from _in_files(config, dotenv, problems)
    except OSError as error:
        problems.append(f"{error.filename}: {error.strerror}")
    # Only the names of our settings: the rest of the environment belongs to other programs.
    yield from from_names({name: value for name, value in os.environ.items() if split(name)}, "environment")


def _in_files(config: Path | None, dotenv: Path | None, problems: list[str]) -> Iterator[SettingValue]:
    yield from _from_toml(config, problems)
    credentials = _credentials()
    if dotenv is not None and not _is_file(dotenv):
        problems.append(f"{dotenv}: {'not a file' if dotenv.exists() else 'no such file'}")
    yield from _from_dotenv(dotenv or Path(".env"), problems)
    yield from _from_dotenv(credentials / ".env", problems, "credentials")
    ours = [path for path in credentials.glob("*_*") if split(path.name) and _is_file(path)]
    yield from from_names({path.name: _text(path, problems).strip() for path in ours}, "credentials")


def _credentials() -> Path:
    """Return the directory of the systemd credentials. Its modes are systemd's business (systemd.exec(5))."""
    return Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"))


def _is_file(path: Path) -> bool:
    """Return True for a file. Unlike `Path.is_file` of Python 3.14, raise PermissionError where we may not look."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _text(path: Path, problems: list[str]) -> str:
    """Return a file's text, or add a problem and return "" where it is not UTF-8.

    Replacement characters in place of the wrong bytes would become part of a setting.
    """
    written = path.read_bytes()
    try:
        return written.decode().removeprefix("\ufeff")  # a byte order mark, with which some editors on Windows begin
    except UnicodeDecodeError as error:
        line = written.count(b"\n", 0, error.start) + 1
        problems.append(f"{path.name}:{line}: not UTF-8")
        return ""


def _from_dotenv(path: Path, problems: list[str], source: str = "") -> Iterator[SettingValue]:
    """Yield the values in a file of KEY=VALUE lines. `source` is given as their place instead of file and line."""
    if not _is_file(path):
        return
    if (mode := path.stat().st_mode & 0o777) & 0o077 and path.parent != _credentials():
        log.warning("secrets_readable_by_others", file=str(path), mode=f"{mode:04o}", mend=f"chmod 600 {path}")
    found: dict[str, tuple[str, str]] = {}
    # Not `dotenv_values`: it logs a line that it cannot read, and ignores it.
    for binding in parse_stream(io.StringIO(_text(path, problems))):
        text, line = binding.original  # includes the empty lines before it
        line += text[: len(text) - len(text.lstrip())].count("\n")
        if binding.value is not None and _KEY.fullmatch(binding.key or ""):
            # The last line of a name is the one in force.
            found[str(binding.key)] = binding.value, source or f"{path.name}:{line}"
        elif binding.error or binding.key:
            yield SettingValue("", "", None, f"{path.name}:{line}", "")
    for name, (value, place) in found.items():
        yield from from_names({name: value}, place)


def from_names(values: Mapping[str, str], source: str) -> Iterator[SettingValue]:
    """Yield the values of a mapping of environment names, such as IMAP_PORT."""
    for name, value in values.items():
        section, _, key = name.lower().partition("_")
        yield SettingValue(section, key, value, source, name)


def _from_toml(config: Path | None, problems: list[str]) -> Iterator[SettingValue]:
    path = config or Path("config.toml")
    if not _is_file(path):
        if config is not None:
            hint = "not a file" if path.exists() else f"no such file; start with: cp config.example.toml {path}"
            problems.append(f"{path}: {hint}")
        return
    text = _text(path, problems)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = re.match(r"(.*) \(at (?:line (\d+)|end of document).*\)", str(error), re.DOTALL)
        what, line = (said[1], said[2] or len(text.splitlines())) if said else (str(error), 1)
        hint = "; a text stands between quotation marks" if what == "Invalid value" else ""
        problems.append(f"{path.name}:{line}: not TOML: {' '.join(what.split())}{hint}")
        return
    for section, table in tables.items():
        if not isinstance(table, dict):
            yield SettingValue("", section, table, f"{path.name}:{_line(text, '', section)}", section)
            continue
        if section not in sections():
            yield SettingValue(section, "", table, f"{path.name}:{_line(text, section, '')}", f"[{section}]")
            continue
        for key, value in table.items():
            yield SettingValue(section, key, value, f"{path.name}:{_line(text, section, key)}", f"[{section}] {key}")


def _line(text: str, section: str, key: str) -> int:
    """Return the number of the line that first names a key, else that of its table, else 1."""
    table: list[str] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if match := _NAMED.match(line):
            words = [word.strip(" \t\"'") for word in (match[1] or match[2]).split(".")]
            table = words if match[1] else table
            named = words if match[1] else table + words
            lines.setdefault(named[0], number)
            lines.setdefault(".".join(named[:2]), number)
    return lines.get(".".join(filter(None, (section, key)))) or lines.get(section, 1)


def split(name: str) -> tuple[str, str] | None:
    """Return section and key of a name like IMAP_PORT, None when it is not a setting's."""
    section, _, key = name.lower().partition("_")
    known = sections().get(section)
    return (section, key) if known and key in known.model_fields else None


def names() -> dict[str, tuple[str, str]]:
    """Return section and key of every name that the environment may use."""
    return {
        f"{section}_{key}".upper(): (section, key) for section, keys in sections().items() for key in keys.model_fields
    }
