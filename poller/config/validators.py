"""Check where a secret may be sent: to this machine, or over TLS to one that proves its identity."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, validate_email

_PRIVATE_NAMES = {"local", "internal", "test"}


def is_local(host: str) -> bool:
    """Return whether a host is this machine, by name or address. Then what is sent there passes no network."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def service_problem(url: str) -> str:
    """Return why no key may be sent to a service at this URL, "" where one may."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not is_local(host):
        return "must begin with https://; http:// would send the key in clear text"
    try:
        link_local = ip_address(host).is_link_local
    except ValueError:
        return ""
    # A cloud's metadata service (169.254.169.254) gives out the machine's credentials.
    return "must not be a link-local address" if link_local else ""


def postgresql_problem(url: str) -> str:
    """Return why no password may be sent to PostgreSQL at this URL, "" where one may.

    libpq does not require TLS by itself.
    """
    address, _, query = url.partition("?")
    given = parse_qs(query)
    server = address.removeprefix("postgresql://").partition("/")[0].rpartition("@")[2]
    hosts = [*server.split(","), *given.get("host", [])]
    names = (host if host.endswith("]") else host.rpartition(":")[0] or host for host in hosts)
    # A directory holds a socket of this machine. Without a name it is the default one.
    elsewhere = any(name and not name.startswith("/") and not is_local(name) for name in names)
    if elsewhere and given.get("sslmode", [""])[-1] not in {"verify-ca", "verify-full"}:
        return "must end in ?sslmode=verify-full&sslrootcert=system, for the server is another machine"
    return ""


def _private(url: HttpUrl) -> HttpUrl:
    """Return a service's address if a key sent to it is safe, otherwise raise ValueError."""
    if problem := service_problem(str(url)):
        raise ValueError(problem)
    return url


def _own_address(given: str) -> str:
    """Return the address of an e-mail setting. The admin may have names that the Internet does not know (RFC 6762)."""
    # Such names are no e-mail addresses to the library, so it is asked for one that differs in its end.
    stand_in = ".fr" if given.lower().rpartition(".")[2] in _PRIVATE_NAMES else ""
    return validate_email(given + stand_in)[1].removesuffix(stand_in)


def text(pattern: str, words: str) -> AfterValidator:
    """Return a validator that a text must match `pattern` as a whole. `words` tell a person the rule."""

    def fitting(given: str) -> str:
        if not re.fullmatch(pattern, given):
            raise ValueError(words)
        return given

    return AfterValidator(fitting)


def _words(given: object) -> object:
    """Return the words of a text as a list: the environment knows no lists."""
    return given.replace(",", " ").split() if isinstance(given, str) else given


def _names(given: object) -> object:
    """Return the names of a text with commas between as a list: a name may have spaces in it."""
    return [name.strip() for name in given.split(",") if name.strip()] if isinstance(given, str) else given


def _priority(given: object) -> int:
    """Return a priority's number, 1 to 4, from its number or its name."""
    named = {name: str(number) for number, name in enumerate(("urgent", "high", "normal", "low"), start=1)}
    number = named.get(str(given), str(given))
    if number not in named.values():
        raise ValueError("must be urgent, high, normal or low, or 1 to 4")
    return int(number)


OwnAddress = Annotated[str, AfterValidator(_own_address)]
FileType = Literal["models", "images", "documents", "archives", "video"]
FileTypes = Annotated[tuple[FileType, ...], BeforeValidator(_words)]
MemberIds = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_words)]
Tags = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_names)]
Priority = Annotated[int, BeforeValidator(_priority)]
ServiceUrl = Annotated[HttpUrl, AfterValidator(_private)]
Port = Annotated[int, Field(ge=1, le=65535)]
