"""A token endpoint on loopback, with its answers in order and the forms that it was sent."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.recording_server import Listener, http

if TYPE_CHECKING:
    from pathlib import Path


class TokenEndpoint(Listener):
    """Each answer is a status and a JSON object, or the body as it is; the last is given from then on."""

    def __init__(self, *answers: tuple[int, dict[str, Any] | bytes], header: str = "X: y") -> None:
        self._answers = [_answer(status, body, header) for status, body in answers]
        super().__init__(self._next)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/token"

    @property
    def forms(self) -> list[dict[str, str]]:
        """The posted forms, one a request."""
        bodies = [part.partition(b"\r\n\r\n")[2].decode() for part in self.received.split(b"POST ")[1:]]
        return [{name: values[0] for name, values in parse_qs(body).items()} for body in bodies]

    def _next(self, request: bytes) -> bytes | None:
        answered = http(self._answers[0])(request)
        if answered and len(self._answers) > 1:
            self._answers.pop(0)
        return answered


def _answer(status: int, body: dict[str, Any] | bytes, header: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} said", "Content-Type: application/json", header, f"Content-Length: {len(content)}"]
    return "\r\n".join([*head, "", ""]).encode() + content


def given(token: str, **more: object) -> tuple[int, dict[str, Any]]:
    """A token."""
    return 200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"} | more


def application_token(**claims: object) -> str:
    """A token that says these things of itself."""
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims, {})
    )


def claims(token: str) -> dict[str, Any]:
    """The claims of a token (RFC 7519)."""
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return said


def write_key_file(path: Path, address: str) -> None:
    """A service account's, with a new key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {"type": "service_account", "client_email": address, "token_uri": "https://elsewhere.example/token"}
    path.write_text(json.dumps(account | {"private_key": key.decode()}))
