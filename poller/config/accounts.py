"""The settings of the accounts that we have elsewhere: the mailbox, the mail server and each service."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import EmailStr, Field, HttpUrl, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr, field_validator

from poller.config.section import Port, Security, Service, ServiceUrl, text

if TYPE_CHECKING:
    from collections.abc import Mapping


class Anthropic(Service):
    """Claude, asked where the rules are unsure."""

    api_key: SecretStr = Field(SecretStr(""), description="API key (sk-ant-...); without it the rules decide alone")
    base_url: ServiceUrl | None = Field(None, description="where the API is; empty: Anthropic's own")
    model: str = Field("claude-haiku-5-5", min_length=1, description="model id")
    max_calls_per_day: NonNegativeInt = Field(
        1_000, description="calls in a day (UTC), after which the rules decide alone; 0: no limit"
    )

    @classmethod
    def needed(cls, given: Mapping[str, object], /) -> tuple[str, ...]:
        """The key alone."""
        del given
        return ("api_key",)


class HubSpot(Service):
    """Contact, ticket and note."""

    api_key: SecretStr = Field(SecretStr(""), description="service key or private app token (pat-...)")
    hub_id: Annotated[str, text(r"[0-9]*", "must be digits alone")] = Field(
        "", description="account number, for the links to tickets"
    )
    pipeline_id: str = Field("0", min_length=1, description="ticket pipeline, internal id")
    stage_new: str = Field("1", min_length=1, description="stage of a new ticket, internal id")
    base_url: ServiceUrl | None = Field(None, description="where the API is; empty: HubSpot's own")
    calls_per_10s: PositiveInt = Field(100, description="calls in ten seconds: 100, or 190 from Professional on")
    reference_property: bool = Field(
        False, description="whether tickets have the unique property figurative_reference (poller setup-hubspot)"
    )

    @classmethod
    def needed(cls, given: Mapping[str, object], /) -> tuple[str, ...]:
        """Key and account."""
        del given
        return ("api_key", "hub_id")


class ClickUp(Service):
    """The 3D team's subtask."""

    api_key: SecretStr = Field(SecretStr(""), description="personal token (pk_...)")
    parent_task_id: str = Field("", description="task under which the subtasks are created")
    base_url: ServiceUrl | None = Field(None, description="where the API is; empty: ClickUp's own")
    calls_per_min: PositiveInt = Field(100, description="calls a minute: 100, Business Plus 1,000, Enterprise 10,000")

    @classmethod
    def needed(cls, given: Mapping[str, object], /) -> tuple[str, ...]:
        """Token and parent task."""
        del given
        return ("api_key", "parent_task_id")


class R2(Service):
    """Cloudflare R2, where the files go."""

    access_key_id: SecretStr = Field(SecretStr(""), description="R2 API token, access key id")
    secret_access_key: SecretStr = Field(SecretStr(""), description="R2 API token, secret access key")
    bucket_name: str = Field("", description="bucket")
    endpoint_url: ServiceUrl | None = Field(None, description="https://<account>.r2.cloudflarestorage.com")
    public_url: HttpUrl | None = Field(None, description="what a key is appended to for a link that customers can open")
    max_file_bytes: PositiveInt = Field(100_000_000, description="bytes; a larger file stays in the mail")
    max_mail_bytes: PositiveInt = Field(
        200_000_000, description="bytes of all files of a mail; what is beyond stays in the mail"
    )
    max_sender_bytes_per_day: NonNegativeInt = Field(
        1_000_000_000, description="bytes of the files of one sender in a day (UTC); 0: no limit"
    )

    @field_validator("endpoint_url")
    @classmethod
    def _without_bucket(cls, url: HttpUrl | None) -> HttpUrl | None:
        if url and (url.path or "/") != "/":
            raise ValueError("the account's address, without the bucket behind it")
        return url

    @classmethod
    def needed(cls, given: Mapping[str, object], /) -> tuple[str, ...]:
        """All five: a file without a public link is of no use."""
        del given
        return ("access_key_id", "secret_access_key", "bucket_name", "endpoint_url", "public_url")


class Smtp(Service):
    """How the admin is told."""

    host: str = Field("", description="server; empty: no notification is sent")
    port: Port = Field(587, description="port")
    security: Security = Field("starttls", description="tls, starttls, or none (loopback only)")
    username: str = Field("", description="login; empty: none")
    auth: Literal["password", "imap"] = Field(
        "password", description="password, or imap: the same access tokens as the mailbox's"
    )
    password: SecretStr = Field(SecretStr(""), description="password")
    sender: EmailStr | None = Field(None, description="From address; empty: the SMTP login, else the IMAP login")

    @classmethod
    def needed(cls, given: Mapping[str, object], /) -> tuple[str, ...]:
        """The server alone."""
        del given
        return ("host",)


class Imap(Service):
    """The mailbox that customers write to."""

    host: str = Field("", description="server")
    port: Port = Field(993, description="port")
    security: Security = Field("tls", description="tls, starttls, or none (loopback only)")
    username: str = Field("", description="login; with tokens, the mailbox's address")
    auth: Literal["password", "google", "microsoft"] = Field(
        "password", description="password, or access tokens of google or microsoft"
    )
    password: SecretStr = Field(SecretStr(""), description="password or app password")
    tenant: Annotated[str, text(r"[\w.-]*", "must be an id or a domain")] = Field(
        "", description="microsoft: directory (tenant) id or domain"
    )
    client_id: str = Field("", description="google, microsoft: application (client) id")
    client_secret: SecretStr = Field(SecretStr(""), description="google, microsoft: client secret, its value")
    refresh_token: SecretStr = Field(SecretStr(""), description="google: what the mailbox's owner consented to")
    service_account_file: str = Field(
        "",
        description="google: key file of a service account with domain-wide delegation, in place of the three above, "
        "read for each token",
    )
    token_url: ServiceUrl | None = Field(None, description="token endpoint; empty: Google's or Microsoft's own")
    mailbox: str = Field("INBOX", min_length=1, description="the mailbox that is read")
    own_domains: str = Field(
        "", description="domains of the company beside the login's, with spaces between; a colleague writes from there"
    )
    authserv_id: Annotated[str, text(r"\S*", "must have no space in it")] = Field(
        "",
        description="the server's name in the Authentication-Results it writes (RFC 8601); - where it writes none, as "
        "Microsoft 365; empty: nothing is said of whether a sender is genuine",
    )
    since: date | None = Field(
        None, description="day (2026-11-22) before which messages are left alone; empty: the day of the first start"
    )
    poll_interval_s: PositiveFloat = Field(
        60, description="seconds between two looks at the mailbox; IDLE tells of new mail between them"
    )
    timeout_s: PositiveFloat = Field(30, description="seconds without an answer before a connection is given up")
    max_message_bytes: PositiveInt = Field(
        50_000_000, description="bytes; of a larger message only the beginning is read, and the ticket says so"
    )
    max_per_sender_per_h: NonNegativeInt = Field(
        200, description="messages of one sender that are worked on in an hour, further ones wait; 0: no limit"
    )

    @classmethod
    def needed(cls, given: Mapping[str, object], /) -> tuple[str, ...]:
        """Server, login, and what it is proved with."""
        proof = {
            "google": ("client_id", "client_secret", "refresh_token"),
            "microsoft": ("tenant", "client_id", "client_secret"),
        }
        if given.get("auth") == "google" and given.get("service_account_file"):
            return ("host", "username")
        return ("host", "username", *proof.get(str(given.get("auth")), ("password",)))
