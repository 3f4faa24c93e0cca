"""Decide who may post to a form.

A client needs the form's token, or a signature of what it sends. Every client may post to a public form.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from integrations.errors import ConfigurationError
from poller.forms.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poller.config.settings import FormsSettings

SIGNATURE_HEADER: Final = "X-Figurative-Signature"
TOLERANCE_S = 300  # between the sender's clock and ours; an intercepted signature is valid for as long

_SIGNATURE: Final = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Form:
    """A form of the site."""

    name: str  # [a-z0-9-]
    public: bool  # whether every client may post to it
    token: str  # "" when there is none
    signing_key: str  # likewise


class BodySignature:
    """The signature that a body must match. It is fed with the body in pieces."""

    def __init__(self, form: Form, content_type: str, timestamp: str, signature: str) -> None:
        """Prepare the HMAC-SHA256 over timestamp, form, Content-Type and raw body, full stops between.

        `signature` is what the sender gave, in hex. Without the form's name and the Content-Type, an intercepted post
        could be sent to another form of the same key, or be read as something else.
        """
        self.signature = signature
        signed = f"{timestamp}.{form.name}.{content_type}.".encode("latin-1")
        self._mac = hmac.new(form.signing_key.encode(), signed, hashlib.sha256)

    def update(self, piece: bytes) -> None:
        """Add the next piece of the body."""
        self._mac.update(piece)

    def check(self) -> None:
        """Check the signature against the whole body.

        Raises:
            Problem: 401, the body is not the one that was signed.
        """
        if not hmac.compare_digest(self._mac.hexdigest(), self.signature):
            raise _refused(f"{SIGNATURE_HEADER} does not fit the form, the Content-Type and the body")


def forms_of(settings: FormsSettings) -> dict[str, Form]:
    """Return the configured forms by name.

    Raises:
        ConfigurationError: no client could post to a form, or a secret belongs to no form.
    """
    names, public = settings.names.split(), set(settings.public.split())
    tokens, keys = secrets_of(settings.tokens.get_secret_value()), secrets_of(settings.signing_keys.get_secret_value())
    if stray := sorted((public | set(tokens) | set(keys)) - set(names)):
        raise ConfigurationError(f"[forms] names: {stray[0]} is not among them, but is public or has a secret")
    forms = {name: Form(name, name in public, tokens.get(name, ""), keys.get(name, "")) for name in names}
    for form in forms.values():
        if not (form.public or form.token or form.signing_key):
            raise ConfigurationError(
                f"[forms] names: nobody may post to {form.name}: give it a secret in FORMS_TOKENS or "
                "FORMS_SIGNING_KEYS, or name it in [forms] public"
            )
    return forms


def secrets_of(text: str) -> dict[str, str]:
    """Parse the secret of each form, from "name=secret name=secret"."""
    return {name: secret for name, _, secret in (entry.partition("=") for entry in text.split())}


def admit(form: Form, headers: Mapping[str, str], now_s: float) -> BodySignature | None:
    """Check the headers of a post, before any of the body is read.

    Return the signature that the body still has to match, None when none is needed.

    Raises:
        Problem: 401.
    """
    if form.public:
        return None
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and form.token:
        if hmac.compare_digest(token.strip().encode(), form.token.encode()):
            return None
        raise _refused("the token is not this form's")
    if form.signing_key and (given := headers.get(SIGNATURE_HEADER)):
        match = _SIGNATURE.fullmatch(given.strip())
        if match is None:
            raise _refused(f"{SIGNATURE_HEADER} must be t=<seconds since 1970>,v1=<HMAC-SHA256 in hex>")
        if abs(now_s - int(match[1])) > TOLERANCE_S:
            raise _refused(f"{SIGNATURE_HEADER} is over {TOLERANCE_S} seconds old, or of a clock that is wrong")
        return BodySignature(form, headers.get("content-type", ""), match[1], match[2])
    ways = [*(["a bearer token"] if form.token else []), *([SIGNATURE_HEADER] if form.signing_key else [])]
    raise _refused(f"this form needs {' or '.join(ways)}")


def _refused(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="forms"'})
