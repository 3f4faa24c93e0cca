"""Tests of the addresses that a secret may be sent to, and of the words for the others."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from poller.config import validators

CLEAR = "must begin with https://"
DOOR = "must not be a link-local address"
PROOF = "must end in ?sslmode=verify-full&sslrootcert=system"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://api.example.com/v2", ""),
        ("http://127.0.0.1:8080", ""),
        ("http://127.3.2.1", ""),
        ("http://[::1]:8080/x", ""),
        ("http://localhost", ""),
        ("http://api.example.com", CLEAR),
        ("http://localhost.example.com", CLEAR),
        ("http://127.0.0.1.example.com", CLEAR),
        ("http://127.0.0.1@api.example.com", CLEAR),
        ("http://10.0.0.1", CLEAR),
        ("http://169.254.169.254", CLEAR),
        ("https://169.254.169.254/latest", DOOR),
        ("https://[fe80::1]", DOOR),
    ],
)
def test_service_url_must_use_tls_or_loopback(url: str, problem: str) -> None:
    assert validators.service_problem(url).startswith(problem or "")
    assert bool(validators.service_problem(url)) == bool(problem)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql:///database", ""),
        ("postgresql://poller@127.0.0.1:5432/database", ""),
        ("postgresql://u:p@localhost/database", ""),
        ("postgresql://[::1]:5432/database", ""),
        ("postgresql:///database?host=/var/run/postgresql", ""),
        ("postgresql://u:p@db.example.com/database?sslmode=verify-full&sslrootcert=system", ""),
        ("postgresql://u:p@db.example.com/database?sslmode=verify-ca", ""),
        ("postgresql://u:p@db.example.com/database", PROOF),
        ("postgresql://u:p@db.example.com/database?sslmode=require", PROOF),
        ("postgresql://u:p@db.example.com/database?sslmode=verify-full&sslmode=disable", PROOF),
        ("postgresql://u:p@127.0.0.1,db.example.com/database", PROOF),
        ("postgresql://u:p@[2001:db8::1]:5432/database", PROOF),
        ("postgresql:///database?host=db.example.com", PROOF),
        ("postgresql://u:127.0.0.1@db.example.com/database", PROOF),
    ],
)
def test_remote_database_url_must_verify_certificate(url: str, problem: str) -> None:
    assert validators.postgresql_problem(url).startswith(problem)
    assert bool(validators.postgresql_problem(url)) == bool(problem)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("", False),
        ("mail.example.com", False),
    ],
)
def test_is_local_accepts_loopback_hosts_only(host: str, local: bool) -> None:
    assert validators.is_local(host) is local


@pytest.mark.parametrize(
    ("address", "accepted"),
    [
        ("admin@srv.local", True),
        ("admin@mail.corp.internal", True),
        ("admin@figurative.test", True),
        ("admin@figurative.fr", True),
        ("admin.local", False),
        ("ad min@srv.local", False),
        ("admin@-srv.local", False),
        ("admin@figurative.invalid", False),
    ],
)
def test_own_address_may_be_in_a_private_network(address: str, accepted: bool) -> None:
    own = TypeAdapter(validators.OwnAddress)
    if accepted:
        assert own.validate_python(address) == address
    else:
        with pytest.raises(ValidationError, match="valid email address"):
            own.validate_python(address)
