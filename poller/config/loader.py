"""Load the settings from files and environment, or report every problem at once, without a secret."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import ValidationError

from integrations.errors import ConfigurationError
from poller.config import problems as config_problems
from poller.config import sources
from poller.config.section import is_secret
from poller.config.settings import Settings, sections
from poller.config.ticket_properties import TicketProperties

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from poller.config.sources import SettingValue

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Explained:
    """One setting as it is in force."""

    name: str  # "[imap] port"
    value: str | float | bool | None  # of a secret: "set" or "not set"
    source: str  # as in `SettingValue`, or "default"
    bare: bool = False  # whether the files have the value as it is: a day, a list, or what is said of a secret

    @property
    def shown(self) -> str:
        """Return the value as config.toml has it: "" is one that is not set."""
        if isinstance(self.value, str):
            return self.value if self.bare else json.dumps(self.value, ensure_ascii=False)
        return json.dumps("" if self.value is None else self.value)


class InvalidSettingsError(ConfigurationError):
    """The settings cannot be used. `problems` gives the reasons, one line each."""

    def __init__(self, problems: list[str]) -> None:
        """Keep the lines, and join them in the error's message. A single line is the whole message."""
        self.problems = problems
        several = [f"{len(problems)} problems in the configuration:", *(f"  {problem}" for problem in problems)]
        super().__init__(problems[0] if len(problems) == 1 else "\n".join(several))


def load(config: Path | None = None, dotenv: Path | None = None, *, need_imap: bool = True) -> Settings:
    """Load the settings in force.

    `config` and `dotenv` default to config.toml and .env in the working directory, which may be missing. A file that
    was named must exist. `need_imap` is for commands that read the mailbox.

    Raises:
        InvalidSettingsError: with every problem found.
    """
    given = _gathered(config, dotenv)
    # Most often the command was run in another directory than that of the files.
    nothing = f"no setting is given: {Path.cwd()} has no config.toml; go to where it is, or run `poller config example`"
    settings = _assembled(given, [nothing] if need_imap and not given else [], os.environ, need_imap=need_imap)
    for name, near in config_problems.similar_names(os.environ):
        log.warning("unknown_variable", name=name, did_you_mean=near)
    return settings


def explain(config: Path | None = None, dotenv: Path | None = None) -> Iterator[Explained]:
    """Yield every setting in force, and where its value came from, without secrets.

    Raises:
        InvalidSettingsError: with every problem found.
    """
    given = _gathered(config, dotenv)
    settings = _assembled(given, [], os.environ, need_imap=False)
    chosen = _chosen(given, [])
    for section, keys in sections().items():
        for key, field in keys.model_fields.items():
            value = getattr(getattr(settings, section), key)
            is_table = isinstance(value, TicketProperties) and str(value) != ""
            bare = is_secret(field) or isinstance(value, date | tuple) or is_table
            if is_secret(field):
                value = "set" if value.get_secret_value() else "not set"
            elif isinstance(value, float) and value.is_integer():
                value = int(value)
            elif isinstance(value, tuple):
                value = json.dumps(value, ensure_ascii=False)
            elif not isinstance(value, str | float | bool | int | None):
                # Pydantic adds a slash behind a host name. The files do not have it.
                value = str(value).rstrip("/")
            by = chosen.get((section, key))
            yield Explained(f"[{section}] {key}", value, by.source if by else "default", bare)


def _gathered(config: Path | None, dotenv: Path | None) -> list[SettingValue]:
    problems: list[str] = []
    given = list(sources.written(config, dotenv, problems))
    if problems:
        # Stop here: after an unreadable file, each setting in it would be reported as missing.
        raise InvalidSettingsError(problems)
    return given


def from_names(values: Mapping[str, str]) -> Settings:
    """Return the settings from a mapping of environment names, and nothing else: for the sandbox.

    Raises:
        InvalidSettingsError: with every problem found.
    """
    return _assembled(list(sources.from_names(values, "sandbox")), [], {}, need_imap=True)


def _assembled(
    given_values: list[SettingValue], problems: list[str], environment: Mapping[str, str], *, need_imap: bool
) -> Settings:
    chosen = _chosen(given_values, problems)
    examples = {place: given for place, given in chosen.items() if config_problems.is_example(given)}
    problems += map(config_problems.unfilled, examples.values())
    chosen = {place: given for place, given in chosen.items() if place not in examples}
    problems += config_problems.near_misses(environment, chosen)
    tables: dict[str, dict[str, Any]] = {}
    for given in chosen.values():
        tables.setdefault(given.section, {})[given.key] = given.value
    try:
        settings = Settings.model_validate(tables)
    except ValidationError as error:
        problems += [
            config_problems.refused(entry["loc"], entry["type"], entry["msg"], chosen) for entry in error.errors()
        ]
    else:
        problems += config_problems.conflicts(settings)
    problems += config_problems.incomplete(chosen, examples, need_imap=need_imap)
    if problems:
        raise InvalidSettingsError(problems)
    return settings


def _chosen(given_values: list[SettingValue], problems: list[str]) -> dict[tuple[str, str], SettingValue]:
    """Return the value of each setting that has one, by section and key."""
    chosen: dict[tuple[str, str], SettingValue] = {}
    for given in given_values:
        problem = config_problems.location_problem(given)
        if problem:
            problems.append(problem)
        elif given.value != "":
            chosen[given.section, given.key] = given  # The later source wins.
    return chosen
