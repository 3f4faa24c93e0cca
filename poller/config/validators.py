"""Where a secret may be sent: to this machine, or over TLS to one that proves who it is."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, HttpUrl


def is_local(host: str) -> bool:
    """Whether a host is this machine, by its name or address: what is sent there passes no network."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def service_problem(url: str) -> str:
    """Why no key may be sent to a service at this URL, "" where one may."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not is_local(host):
        return "must begin with https://; http:// would send the key in clear text"
    try:
        link_local = ip_address(host).is_link_local
    except ValueError:
        return ""
    # A cloud's own door (169.254.169.254), behind which the machine's credentials lie.
    return "must not be a link-local address" if link_local else ""


def postgresql_problem(url: str) -> str:
    """Why no password may be sent to PostgreSQL at this URL, "" where one may: libpq asks for no TLS of itself."""
    address, _, query = url.partition("?")
    given = parse_qs(query)
    server = address.removeprefix("postgresql://").partition("/")[0].rpartition("@")[2]
    hosts = [*server.split(","), *given.get("host", [])]
    names = (host if host.endswith("]") else host.rpartition(":")[0] or host for host in hosts)
    # A directory holds a socket of this machine; without a name it is the usual one.
    elsewhere = any(name and not name.startswith("/") and not is_local(name) for name in names)
    if elsewhere and given.get("sslmode", [""])[-1] not in {"verify-ca", "verify-full"}:
        return "must end in ?sslmode=verify-full&sslrootcert=system, for the server is another machine"
    return ""


def _private(url: HttpUrl) -> HttpUrl:
    """A service's address, where its key is safe."""
    if problem := service_problem(str(url)):
        raise ValueError(problem)
    return url


def text(pattern: str, words: str) -> AfterValidator:
    """What a text must be: all of it fits the pattern, and the words say to a person what does."""

    def fitting(given: str) -> str:
        if not re.fullmatch(pattern, given):
            raise ValueError(words)
        return given

    return AfterValidator(fitting)


ServiceUrl = Annotated[HttpUrl, AfterValidator(_private)]
Port = Annotated[int, Field(ge=1, le=65535)]
