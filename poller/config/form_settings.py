"""The settings of the forms that `poller forms` serves."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import Field, NonNegativeInt, SecretStr, field_validator

from poller.config.section import Section, text

_FORM = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")  # as a browser writes it (RFC 6454 section 6.2)
SECRET_CHARS = 16  # of a form's token or key, at least


class Forms(Section):
    """The forms of the site, which `poller forms` serves."""

    names: str = Field("", description="the forms ([a-z0-9-]), with spaces between; empty: none")
    public: str = Field(
        "", description="those of them that anybody may post to, without token or signature, with spaces between"
    )
    page: bool = Field(False, description="whether a public form can be tried out as a page of its own")
    origins: str = Field(
        "", description="origins (https://www.example.com) whose pages may post from a browser, with spaces between"
    )
    proxies: str = Field(
        "", description="addresses or networks of proxies whose X-Forwarded-For is believed, with spaces between"
    )
    honeypot: Annotated[str, text(r"[a-z][a-z_]{0,39}", "must be small letters and _, 40 at most")] = Field(
        "topic_again",
        description="field that only a program fills in: its post to a public form is dropped",
    )
    max_bytes: Annotated[int, Field(ge=1_000)] = Field(
        25_000_000, description="bytes of a post; as a mail it has a third more, which the mail server must take"
    )
    max_files: NonNegativeInt = Field(10, description="files of a post")
    max_text_chars: Annotated[int, Field(ge=1, le=100_000)] = Field(50_000, description="characters of the message")
    max_per_address_per_h: NonNegativeInt = Field(
        100, description="posts of one address to the public forms at once, and as many an hour after; 0: no limit"
    )
    tokens: SecretStr = Field(SecretStr(""), description="bearer token of each form: contact=secret quote=secret")
    signing_keys: SecretStr = Field(SecretStr(""), description="key that each form's posts are signed with, likewise")

    @field_validator("names", "public")
    @classmethod
    def _form_names(cls, names: str) -> str:
        if any(not _FORM.fullmatch(name) for name in names.split()):
            raise ValueError("must be names of small letters, digits and hyphens, with spaces between")
        return names

    @field_validator("origins")
    @classmethod
    def _known_origins(cls, origins: str) -> str:
        for origin in origins.split():
            if not _ORIGIN.fullmatch(origin):
                raise ValueError("must be origins such as https://www.example.com, with spaces between")
        return origins

    @field_validator("proxies")
    @classmethod
    def _known_networks(cls, proxies: str) -> str:
        for proxy in proxies.split():
            try:
                whole = ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError(
                    "must be addresses or networks, such as 127.0.0.1 10.0.0.0/8, with spaces between"
                ) from None
            if "/" in proxy and ip_network(proxy.partition("/")[0]).network_address != whole.network_address:
                raise ValueError(f"{proxy} is an address within the network {whole}: write either")
        return proxies

    @field_validator("honeypot")
    @classmethod
    def _no_field(cls, honeypot: str) -> str:
        if honeypot in {"email", "name", "subject", "message", "files", "idempotency_key"}:
            raise ValueError("must not be a field that people fill in")
        return honeypot

    @field_validator("tokens", "signing_keys")
    @classmethod
    def _secrets(cls, secrets: SecretStr) -> SecretStr:
        for entry in secrets.get_secret_value().split():
            name, _, secret = entry.partition("=")
            if not _FORM.fullmatch(name) or len(secret) < SECRET_CHARS:
                raise ValueError(f"must be form=secret, with spaces between, each secret of {SECRET_CHARS} characters")
        return secrets
