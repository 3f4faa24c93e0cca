"""The settings from their files and the environment, or every problem with them at once, without a secret."""

from __future__ import annotations

import difflib
import io
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from dotenv import dotenv_values
from pydantic import ValidationError

from integrations.errors import ConfigurationError
from poller.endpoints import is_local
from poller.section import Service, is_secret
from poller.settings import Settings, sections

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Given:
    """One value as somebody wrote it."""

    section: str  # lower case
    key: str  # lower case
    value: Any  # a string from the environment, any TOML type from a file
    source: str  # where a person finds it: "config.toml:14", ".env:3", "environment", "credentials"
    name: str  # as it is written there: "[imap] port" or "IMAP_PORT"


@dataclass(frozen=True, slots=True)
class Explained:
    """One setting as it is in force."""

    name: str  # "[imap] port"
    value: str | float | bool | None  # of a secret: "set" or "not set"
    source: str  # as in `Given`, or "default"


class InvalidSettingsError(ConfigurationError):
    """The settings cannot be used; `problems` says why, one line each."""

    def __init__(self, problems: list[str]) -> None:
        """Keep the lines, and put them all in the message."""
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{count} in the configuration:", *(f"  {problem}" for problem in problems)]))


def load(config: Path | None = None, dotenv: Path | None = None, *, need_imap: bool = True) -> Settings:
    """The settings in force.

    `config` and `dotenv` default to config.toml and .env in the working directory, which may be missing; a file that
    was named must exist. `need_imap` is for commands that read the mailbox.

    Raises:
        InvalidSettingsError: with every problem found.
    """
    settings = _assembled(_gathered(config, dotenv), [], os.environ, need_imap=need_imap)
    for name, near in _suspects(os.environ):
        log.warning("unknown_variable", name=name, did_you_mean=near)
    return settings


def explain(config: Path | None = None, dotenv: Path | None = None) -> Iterator[Explained]:
    """Every setting as it is in force, and where its value came from; no secret.

    Raises:
        InvalidSettingsError: with every problem found.
    """
    given = _gathered(config, dotenv)
    settings = _assembled(given, [], os.environ, need_imap=False)
    chosen = _chosen(given, [])
    for section, keys in sections().items():
        for key, field in keys.model_fields.items():
            value = getattr(getattr(settings, section), key)
            if is_secret(field):
                value = "set" if value.get_secret_value() else "not set"
            elif not isinstance(value, str | float | bool | int | None):
                value = str(value)
            by = chosen.get((section, key))
            yield Explained(f"[{section}] {key}", value, by.source if by else "default")


def _gathered(config: Path | None, dotenv: Path | None) -> list[Given]:
    problems: list[str] = []
    given = list(_given(config, dotenv, problems))
    if problems:
        # A file that could not be read makes everything in it look missing, which it is not.
        raise InvalidSettingsError(problems)
    return given


def from_names(values: Mapping[str, str]) -> Settings:
    """The settings that a mapping of environment names gives, and nothing else: for the sandbox.

    Raises:
        InvalidSettingsError: with every problem found.
    """
    return _assembled(list(_from_names(values, "sandbox")), [], {}, need_imap=True)


def _assembled(
    given_values: list[Given], problems: list[str], environment: Mapping[str, str], *, need_imap: bool
) -> Settings:
    chosen = _chosen(given_values, problems)
    problems += _near_misses(environment, chosen)
    tables: dict[str, dict[str, Any]] = {}
    for given in chosen.values():
        tables.setdefault(given.section, {})[given.key] = given.value
    try:
        settings = Settings.model_validate(tables)
    except ValidationError as error:
        problems += [_value_problem(entry["loc"], entry["msg"], chosen) for entry in error.errors()]
    else:
        problems += _grounded(settings)
    problems += _incomplete(chosen, need_imap=need_imap)
    if problems:
        raise InvalidSettingsError(problems)
    return settings


def _chosen(given_values: list[Given], problems: list[str]) -> dict[tuple[str, str], Given]:
    """The value of each setting that has one, by section and key."""
    chosen: dict[tuple[str, str], Given] = {}
    for given in given_values:
        problem = _name_problem(given)
        if problem:
            problems.append(problem)
        elif given.value != "":
            chosen[given.section, given.key] = given  # The later source wins.
    return chosen


def _given(config: Path | None, dotenv: Path | None, problems: list[str]) -> Iterator[Given]:
    """Every value that somebody wrote, the weakest source first."""
    yield from _from_toml(config, problems)
    credentials = _credentials()
    if dotenv is not None and not dotenv.is_file():
        problems.append(f"{dotenv}: {'not a file' if dotenv.exists() else 'no such file'}")
    yield from _from_dotenv(dotenv or Path(".env"))
    yield from _from_names(_dotenv(credentials / ".env"), "credentials")
    ours = [path for path in credentials.glob("*_*") if _split(path.name) and path.is_file()]
    yield from _from_names({path.name: path.read_text(errors="replace").strip() for path in ours}, "credentials")
    # Only names of ours: whatever else the environment holds is none of our business.
    yield from _from_names({name: value for name, value in os.environ.items() if _split(name)}, "environment")


def _credentials() -> Path:
    """Where systemd puts what it keeps secret; its modes are systemd's business (systemd.exec(5))."""
    return Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"))


def _dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    if (mode := path.stat().st_mode & 0o777) & 0o077 and path.parent != _credentials():
        log.warning("secrets_readable_by_others", file=str(path), mode=f"{mode:04o}", mend=f"chmod 600 {path}")
    text = io.StringIO(path.read_text(encoding="utf-8", errors="replace"))
    return {name: value or "" for name, value in dotenv_values(stream=text, interpolate=False).items()}


def _from_dotenv(path: Path) -> Iterator[Given]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    for name, value in _dotenv(path).items():
        # The last line of a name is the one in force.
        at = [number for number, line in enumerate(lines, 1) if re.match(rf"\s*(export\s+)?{re.escape(name)}\b", line)]
        yield from _from_names({name: value}, f"{path.name}:{at[-1]}" if at else path.name)


def _from_names(values: Mapping[str, str], source: str) -> Iterator[Given]:
    for name, value in values.items():
        section, _, key = name.lower().partition("_")
        yield Given(section, key, value, source, name)


def _from_toml(config: Path | None, problems: list[str]) -> Iterator[Given]:
    path = config or Path("config.toml")
    if not path.is_file():
        if config is not None:
            hint = "not a file" if path.exists() else f"no such file; start with: cp config.example.toml {path}"
            problems.append(f"{path}: {hint}")
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path.name}: not TOML: {error}")
        return
    for section, table in tables.items():
        if not isinstance(table, dict):
            yield Given("", section, table, f"{path.name}:{_line(text, '', section)}", section)
            continue
        if section not in sections():
            yield Given(section, "", table, f"{path.name}:{_line(text, section, '')}", f"[{section}]")
            continue
        for key, value in table.items():
            yield Given(section, key, value, f"{path.name}:{_line(text, section, key)}", f"[{section}] {key}")


def _line(text: str, section: str, key: str) -> int:
    """The line of a key, or of its table's header where there is no such line."""
    table, header = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
            table = match[1].strip("\"'")
            header = number if table == section else header
        elif table == section and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return header


def _split(name: str) -> tuple[str, str] | None:
    """Section and key of a name like IMAP_PORT, None when it is not a setting's."""
    section, _, key = name.lower().partition("_")
    known = sections().get(section)
    return (section, key) if known and key in known.model_fields else None


def _near(word: str, words: Iterable[str]) -> str:
    match = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {match[0]}?" if match else ""


def _names() -> dict[str, tuple[str, str]]:
    """Section and key of every name that the environment may use."""
    return {
        f"{section}_{key}".upper(): (section, key) for section, keys in sections().items() for key in keys.model_fields
    }


def _name_problem(given: Given) -> str:
    """What is wrong with where or under which name the value stands, "" when nothing is."""
    in_file = given.name.startswith("[")
    if given.section not in sections() or given.key not in sections()[given.section].model_fields:
        if not in_file:
            return f"{given.source}: unknown key {given.name}{_near(given.name.upper(), _names())}"
        if given.section not in sections():
            return f"{given.source}: unknown table {given.name}{_near(given.section, sections())}"
        return f"{given.source}: unknown key {given.name}{_near(given.key, sections()[given.section].model_fields)}"
    if in_file and is_secret(sections()[given.section].model_fields[given.key]):
        name = f"{given.section}_{given.key}".upper()
        return f"{given.source}: {given.name} is a secret and does not belong in this file; set {name} in .env"
    if re.search(r"change[-_]me$", str(given.value)):
        return f"{given.source}: {given.name} is still the example's value; fill it in, or delete the line"
    return ""


def _near_misses(environment: Mapping[str, str], chosen: Mapping[tuple[str, str], Given]) -> Iterator[str]:
    """Environment names one slip away from a setting that nobody gave: silence would switch a service off."""
    unset = [name for name, place in _names().items() if place not in chosen]
    for name in environment:
        match = difflib.get_close_matches(name.upper(), unset, n=1, cutoff=0.92)
        if match and not _split(name):
            yield f"environment: unknown key {name}; did you mean {match[0]}?"


def _suspects(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Environment names that look like a setting's, each with that: somebody else's, or a slip that goes unheard."""
    for name in environment:
        match = difflib.get_close_matches(name.upper(), _names(), n=1, cutoff=0.8)
        if match and not _split(name) and name.lower().partition("_")[0] in sections():
            yield name, match[0]


def _value_problem(loc: tuple[int | str, ...], message: str, chosen: Mapping[tuple[str, str], Given]) -> str:
    section, key = str(loc[0]), str(loc[1]) if len(loc) > 1 else ""
    given = chosen.get((section, key))
    message = message.removeprefix("Value error, ")
    if given is None:
        return f"[{section}] {key}: {message}"
    shown = "" if is_secret(sections()[section].model_fields[key]) else f" (got {given.value!r})"
    return f"{given.source}: {given.name}: {message}{shown}"


def _grounded(settings: Settings) -> Iterator[str]:
    """What a canary lacks to fly."""
    if settings.canary.interval_min:
        if not settings.smtp.on or settings.notification.email is None:
            yield (
                "[canary] interval_min: it is sent by SMTP, and its absence told to the admin: set smtp.host and "
                "notification.email"
            )
        if not settings.canary.address and "@" not in settings.imap.username:
            yield "[canary] address: missing, as the IMAP login is no address"


def _trays_apart(chosen: Mapping[tuple[str, str], Given]) -> Iterator[str]:
    """A mailbox to correct messages by that is also where they are filed: they would be corrected for ever."""
    fields = sections()["labels"].model_fields
    names = {
        key: str(chosen["labels", key].value if ("labels", key) in chosen else fields[key].default) for key in fields
    }
    for key in (key for key in fields if key.startswith("reclassify_") and names[key] != "-"):
        if [name.casefold() for name in names.values()].count(names[key].casefold()) > 1:
            given = chosen.get(("labels", key))
            where = f"{given.source}: {given.name}" if given else f"[labels] {key}"
            yield f"{where}: is another label as well; what is filed there would be dispatched again for ever"


def _incomplete(chosen: Mapping[tuple[str, str], Given], *, need_imap: bool) -> Iterator[str]:
    """What is missing from a service that was begun, and what would send a password in clear text."""
    for name, section in sections().items():
        given = {key: chosen[name, key].value for key in section.model_fields if (name, key) in chosen}
        needed = section.needed(given) if issubclass(section, Service) else ()
        missing = [key for key in needed if (name, key) not in chosen]
        if len(missing) == len(needed) and not (name == "imap" and need_imap):
            continue  # The service is off, which start-up says; half of it would be a mistake.
        for key in missing:
            field = section.model_fields[key]
            place = (
                ".env or the environment" if is_secret(field) else f"config.toml ([{name}] {key}) or the environment"
            )
            yield f"{name.upper()}_{key.upper()}: missing ({field.description}); set it in {place}"
    mailbox = chosen.get(("imap", "mailbox"))
    for name in sections()["labels"].model_fields:
        label = chosen.get(("labels", name))
        if label and str(label.value).casefold() == (str(mailbox.value) if mailbox else "INBOX").casefold():
            yield f"{label.source}: {label.name}: is the mailbox that is read; a finished message must leave it"
    yield from _trays_apart(chosen)
    for section_name, key in (("notification", "email"), ("smtp", "sender")):
        address = chosen.get((section_name, key))
        if address and not str(address.value).isascii():
            yield f"{address.source}: {address.name}: not every mail server takes an address that is not ASCII"
    yield from _without_tokens(chosen)
    for name in ("imap", "smtp"):
        host, security = chosen.get((name, "host")), chosen.get((name, "security"))
        if host and security and security.value == "none" and not is_local(str(host.value)):
            yield f"{security.source}: {security.name}: none would send the password in clear text; use tls or starttls"


def _without_tokens(chosen: Mapping[tuple[str, str], Given]) -> Iterator[str]:
    """Whether mail is to be sent with tokens that there are none of."""
    borrowed, auth = chosen.get(("smtp", "auth")), chosen.get(("imap", "auth"))
    if borrowed and borrowed.value == "imap" and (auth is None or auth.value == "password"):
        yield f"{borrowed.source}: {borrowed.name}: the mailbox has no access tokens; set imap.auth, or smtp.password"
