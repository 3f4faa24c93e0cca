"""Find what is wrong with the settings as they were given: one line each, without a secret."""

from __future__ import annotations

import difflib
import re
from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING

from poller.config.section import Service, is_secret
from poller.config.settings import sections
from poller.config.sources import names, split
from poller.config.validators import is_local
from poller.model import SERVICE_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from poller.config.settings import Settings
    from poller.config.sources import SettingValue

# Placeholders in config.example.toml. The bucket is not among them: one may well have the name that it has there.
EXAMPLES = {
    ("imap", "host"): "imap.example.com",
    ("imap", "username"): "support@example.com",
    ("hubspot", "hub_id"): "12345678",
    ("clickup", "parent_task_id"): "86abc1234",
    ("r2", "endpoint_url"): "https://0123456789abcdef.r2.cloudflarestorage.com",
    ("r2", "public_url"): "https://files.example.com",
    ("notification", "email"): "admin@example.com",
    ("smtp", "host"): "smtp.example.com",
    ("smtp", "username"): "support@example.com",
    ("smtp", "sender"): "support@example.com",
}

_LONGEST_CLOSING = timedelta(days=365)

# Replaces pydantic's message where a value is of another type.
WANTED = {
    "bool": "must be true or false",
    "date": "must be a day, for instance 2026-11-22",
    "float": "must be a number",
    "int": "must be a whole number",
    "string": "must be a text, between quotation marks",
    "url": "must be a whole address, such as https://www.example.com",
}


def location_problem(given: SettingValue) -> str:
    """Return what is wrong with the place or the name of the value, "" when nothing is."""
    if not given.name:
        return f"{given.source}: not KEY=VALUE"
    in_file = given.name.startswith("[")
    if given.section not in sections() or given.key not in sections()[given.section].model_fields:
        if not in_file:
            return f"{given.source}: unknown key {given.name}{_near(given.name.upper(), names())}"
        if given.section not in sections():
            return f"{given.source}: unknown table {given.name}{_near(given.section, sections())}"
        return f"{given.source}: unknown key {given.name}{_near(given.key, sections()[given.section].model_fields)}"
    if in_file and is_secret(sections()[given.section].model_fields[given.key]):
        name = f"{given.section}_{given.key}".upper()
        return f"{given.source}: {given.name} is a secret and does not belong in this file; set {name} in .env"
    return ""


def is_example(given: SettingValue) -> bool:
    """Return whether the value is a placeholder of config.example.toml or .env.example."""
    written = str(given.value)
    # A placeholder of a file is a mistake only in that file: another program may know that host.
    in_file = given.name.startswith("[")
    return bool(re.search(r"change[-_]me$", written)) or (
        in_file and written == EXAMPLES.get((given.section, given.key))
    )


def unfilled(example: SettingValue) -> str:
    """Return what is to be done about a placeholder."""
    return f"{example.source}: {example.name} is still the example's value; fill it in, or delete the line"


def _near(word: str, words: Iterable[str]) -> str:
    match = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {match[0]}?" if match else ""


def near_misses(environment: Mapping[str, str], chosen: Mapping[tuple[str, str], SettingValue]) -> Iterator[str]:
    """Yield a problem for each environment name that is one slip away from a setting that was not given.

    Silence would switch a service off.
    """
    unset = [name for name, place in names().items() if place not in chosen]
    for name in environment:
        if split(name):
            continue
        if match := difflib.get_close_matches(name.upper(), unset, n=1, cutoff=0.92):
            yield f"environment: unknown key {name}; did you mean {match[0]}?"


def similar_names(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield environment names that look like a setting's, each with that setting's name.

    Each is another program's, or a slip that has gone unnoticed.
    """
    for name in environment:
        if split(name) or name.lower().partition("_")[0] not in sections():
            continue
        if match := difflib.get_close_matches(name.upper(), names(), n=1, cutoff=0.8):
            yield name, match[0]


def refused(loc: tuple[int | str, ...], kind: str, message: str, chosen: Mapping[tuple[str, str], SettingValue]) -> str:
    """Return what pydantic says of the value at a location, with the place in which it stands.

    `kind` is the type of its error (https://docs.pydantic.dev/latest/errors/validation_errors/).
    """
    section, key = str(loc[0]), str(loc[1]) if len(loc) > 1 else ""
    given = chosen.get((section, key))
    said = message.removeprefix("Value error, ").replace("Input should be", "must be", 1)
    message = WANTED.get(kind.partition("_")[0], said)
    if given is None:
        return f"[{section}] {key}: {message}"
    shown = "" if is_secret(sections()[section].model_fields[key]) else f" (got {given.value!r})"
    return f"{given.source}: {given.name}: {message}{shown}"


def incomplete(
    chosen: Mapping[tuple[str, str], SettingValue], examples: Collection[tuple[str, str]], *, need_imap: bool
) -> Iterator[str]:
    """Yield what is missing from a service that was begun, and what would send a password in clear text.

    `examples` are the settings that were already reported as placeholders: once is enough.
    """
    for name, section in sections().items():
        given = {key: chosen[name, key].value for key in section.model_fields if (name, key) in chosen}
        needed = section.needed(given) if issubclass(section, Service) else ()
        if not any((name, key) in chosen for key in needed) and not (name == "imap" and need_imap):
            continue  # The service is off, which start-up says. Half of it would be a mistake.
        begun = " and ".join(chosen[name, key].name for key in needed if (name, key) in chosen)
        # Commands that read no mailbox report half of its settings as a mistake, too.
        off = "" if name == "imap" or not begun else f", or delete {begun} to leave {SERVICE_NAMES[name]} off"
        for key in (key for key in needed if (name, key) not in {*chosen, *examples}):
            field = section.model_fields[key]
            place = (
                ".env or the environment" if is_secret(field) else f"config.toml ([{name}] {key}) or the environment"
            )
            yield f"{name.upper()}_{key.upper()}: missing ({field.description}); set it in {place}{off}"
    yield from _mailboxes_apart(chosen)
    for section_name, key in (("notification", "email"), ("smtp", "sender")):
        address = chosen.get((section_name, key))
        if address and not str(address.value).isascii():
            yield f"{address.source}: {address.name}: not every mail server takes an address that is not ASCII"
    yield from _without_tokens(chosen)
    for name in ("imap", "smtp"):
        host, security = chosen.get((name, "host")), chosen.get((name, "security"))
        if host and security and security.value == "none" and not is_local(str(host.value)):
            yield f"{security.source}: {security.name}: none would send the password in clear text; use tls or starttls"


def _mailboxes_apart(chosen: Mapping[tuple[str, str], SettingValue]) -> Iterator[str]:
    """Yield a problem for two mailboxes that are one. "-" stands for a reclassify mailbox that is turned off."""
    places = [("imap", "mailbox"), *(("labels", key) for key in sections()["labels"].model_fields)]
    names = {
        (section, key): str(
            chosen[section, key].value if (section, key) in chosen else sections()[section].model_fields[key].default
        )
        for section, key in places
    }
    for one, other in combinations(places, 2):
        to_correct = other[1].startswith("reclassify_")
        if names[one].casefold() != names[other].casefold() or (to_correct and names[other] == "-"):
            continue
        if one == ("imap", "mailbox"):
            why = "a finished message must leave the mailbox that is read"
        elif to_correct:
            why = "what is filed there would be dispatched again for ever"
        else:
            why = "nobody could tell what became of a message"
        at, by = (one, other) if one in chosen and other not in chosen else (other, one)
        where = f"{chosen[at].source}: {chosen[at].name}" if at in chosen else f"[{at[0]}] {at[1]}"
        yield f"{where}: is the same mailbox as [{by[0]}] {by[1]}; {why}"


def _without_tokens(chosen: Mapping[tuple[str, str], SettingValue]) -> Iterator[str]:
    """Yield a problem where mail is to be sent with the access tokens of the mailbox, and it has none."""
    borrowed, auth = chosen.get(("smtp", "auth")), chosen.get(("imap", "auth"))
    if borrowed and borrowed.value == "imap" and (auth is None or auth.value == "password"):
        yield f"{borrowed.source}: {borrowed.name}: the mailbox has no access tokens; set imap.auth, or smtp.password"


def conflicts(settings: Settings) -> Iterator[str]:
    """Yield what settings of several keys, each valid by itself, lack or say together."""
    yield from _canary_problems(settings)
    if settings.acknowledgement.enabled:
        yield from _acknowledgement_problems(settings)
    yield from _office_problems(settings)


def _canary_problems(settings: Settings) -> Iterator[str]:
    if settings.canary.interval_min:
        if not settings.smtp.on or settings.notification.email is None:
            yield (
                "[canary] interval_min: it is sent by SMTP, and its absence told to the admin: set smtp.host and "
                "notification.email"
            )
        if not settings.canary.address and "@" not in settings.imap.username:
            yield "[canary] address: missing, as the IMAP login is no address"


def _acknowledgement_problems(settings: Settings) -> Iterator[str]:
    if not settings.smtp.on:
        yield "[acknowledgement] enabled: it is sent by SMTP: set smtp.host"
    login = settings.imap.username
    if login and "@" not in login and not settings.imap.own_domains:
        # Without an address of ours no mail is known to be to us.
        yield "[acknowledgement] enabled: the IMAP login is no address: set imap.own_domains"


def _office_problems(settings: Settings) -> Iterator[str]:
    office = settings.office
    if office.opens_h >= office.closes_h:
        yield "[office] opens_h: must be before closes_h"
    begins, ends = office.closed_from, office.closed_until
    if (begins or ends) and not (begins and ends and begins <= ends <= begins + _LONGEST_CLOSING):
        yield "[office] closed_from, closed_until: a closing period has both days, and lasts a year at most"
