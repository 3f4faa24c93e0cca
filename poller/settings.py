"""Every setting: its name, default, unit and bounds, and which are secrets.

`config.toml` holds what anyone may read, `.env` or the environment or systemd credentials the secrets. The environment
wins over credentials, those over `.env`, `.env` over `config.toml`. `[section] key` there is `SECTION_KEY` elsewhere.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    EmailStr,
    Field,
    HttpUrl,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from poller.endpoints import postgresql_problem, service_problem

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


def _private(url: HttpUrl) -> HttpUrl:
    """A service's address, where its key is safe."""
    if problem := service_problem(str(url)):
        raise ValueError(problem)
    return url


Security = Literal["tls", "starttls", "none"]
ServiceUrl = Annotated[HttpUrl, AfterValidator(_private)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A table of config.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True)


class Service(Section):
    """An outside service: on when the settings it cannot do without are given, off when none of them is."""

    @classmethod
    def needed(cls) -> tuple[str, ...]:
        """The keys without which the service is off."""
        return ()

    @property
    def on(self) -> bool:
        """Whether the service has what it needs."""
        return all(getattr(self, key) for key in self.needed())


class Anthropic(Service):
    """Claude, asked where the rules are unsure."""

    api_key: SecretStr = Field(SecretStr(""), description="API key (sk-ant-...); without it the rules decide alone")
    base_url: ServiceUrl | None = Field(None, description="where the API is; empty: Anthropic's own")
    model: str = Field("claude-haiku-5-5", min_length=1, description="model id")
    max_calls_per_day: NonNegativeInt = Field(
        1_000, description="calls in a day (UTC), after which the rules decide alone; 0: no limit"
    )

    @classmethod
    def needed(cls) -> tuple[str, ...]:
        """The key alone."""
        return ("api_key",)


class HubSpot(Service):
    """Contact, ticket and note."""

    api_key: SecretStr = Field(SecretStr(""), description="service key or private app token (pat-...)")
    hub_id: str = Field("", pattern=r"^\d*$", description="account number, for the links to tickets")
    pipeline_id: str = Field("0", min_length=1, description="ticket pipeline, internal id")
    stage_new: str = Field("1", min_length=1, description="stage of a new ticket, internal id")
    base_url: ServiceUrl | None = Field(None, description="where the API is; empty: HubSpot's own")
    calls_per_10s: PositiveInt = Field(100, description="calls in ten seconds: 100, or 190 from Professional on")
    reference_property: bool = Field(
        False, description="whether tickets have the unique property figurative_reference (poller setup-hubspot)"
    )

    @classmethod
    def needed(cls) -> tuple[str, ...]:
        """Key and account."""
        return ("api_key", "hub_id")


class ClickUp(Service):
    """The 3D team's subtask."""

    api_key: SecretStr = Field(SecretStr(""), description="personal token (pk_...)")
    parent_task_id: str = Field("", description="task under which the subtasks are created")
    base_url: ServiceUrl | None = Field(None, description="where the API is; empty: ClickUp's own")
    calls_per_min: PositiveInt = Field(100, description="calls a minute: 100, Business Plus 1,000, Enterprise 10,000")

    @classmethod
    def needed(cls) -> tuple[str, ...]:
        """Token and parent task."""
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

    @classmethod
    def needed(cls) -> tuple[str, ...]:
        """All five: a file without a public link is of no use."""
        return ("access_key_id", "secret_access_key", "bucket_name", "endpoint_url", "public_url")


class Notification(Section):
    """Who is told."""

    email: EmailStr | None = Field(None, description="the admin's address; empty: nobody is told")


class Smtp(Service):
    """How the admin is told."""

    host: str = Field("", description="server; empty: no notification is sent")
    port: Port = Field(587, description="port")
    security: Security = Field("starttls", description="tls, starttls, or none (loopback only)")
    username: str = Field("", description="login; empty: none")
    password: SecretStr = Field(SecretStr(""), description="password")
    sender: EmailStr | None = Field(None, description="From address; empty: the SMTP login, else the IMAP login")

    @classmethod
    def needed(cls) -> tuple[str, ...]:
        """The server alone."""
        return ("host",)


class Alerts(Section):
    """When the admin is told that mail is not being done, by a mail to notification.email."""

    waiting_min: PositiveFloat = Field(60, description="minutes that a message waits before the admin is told")
    polls_failing_min: PositiveFloat = Field(
        15, description="minutes that the mailbox is out of reach before the admin is told"
    )


class Heartbeat(Section):
    """Who misses the daemon when it falls silent."""

    url: ServiceUrl | None = Field(
        None, description="address that is asked for after each good poll, as healthchecks.io gives one; empty: none"
    )


class Imap(Service):
    """The mailbox that customers write to."""

    host: str = Field("", description="server")
    port: Port = Field(993, description="port")
    security: Security = Field("tls", description="tls, starttls, or none (loopback only)")
    username: str = Field("", description="login")
    password: SecretStr = Field(SecretStr(""), description="password or app password")
    mailbox: str = Field("INBOX", min_length=1, description="the mailbox that is read")
    own_domains: str = Field(
        "", description="domains of the company beside the login's, with spaces between; a colleague writes from there"
    )
    authserv_id: str = Field(
        "",
        pattern=r"^\S*$",
        description="the server's name in the Authentication-Results it writes (RFC 8601); - where it writes none, as "
        "Microsoft 365; empty: nothing is said of whether a sender is genuine",
    )
    since: date | None = Field(
        None, description="day (2026-11-22) before which messages are left alone; empty: the day of the first start"
    )
    poll_interval_s: PositiveFloat = Field(60, description="seconds between two looks at the mailbox")
    timeout_s: PositiveFloat = Field(30, description="seconds without an answer before a connection is given up")
    max_message_bytes: PositiveInt = Field(
        50_000_000, description="bytes; of a larger message only the beginning is read, and the ticket says so"
    )
    max_per_sender_per_h: NonNegativeInt = Field(
        200, description="messages of one sender that are worked on in an hour, further ones wait; 0: no limit"
    )

    @classmethod
    def needed(cls) -> tuple[str, ...]:
        """Server, login and password."""
        return ("host", "username", "password")


class Labels(Section):
    """The mailbox that each outcome is filed under; "/" stands for the server's separator."""

    support: str = Field("Support", min_length=1, description="SUPPORT, done")
    modelisation: str = Field("Modélisation", min_length=1, description="MODELISATION, done")
    ignored: str = Field("Ignorés", min_length=1, description="never work: auto-replies, bounces, lists")
    failed: str = Field("Échecs", min_length=1, description="needs a person")


def state_directory() -> Path:
    """Where the state lies: systemd's StateDirectory, else the user's (XDG base directory specification)."""
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(given) if given else Path(home) / "figurative-poller"


class State(Section):
    """What is remembered of each message."""

    url: SecretStr = Field(
        SecretStr(""),
        description="sqlite:///path or postgresql://...; empty: poller.sqlite in the state directory",
    )

    @field_validator("url")
    @classmethod
    def _known_database(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value().split(":")[0] not in {"", "sqlite", "postgresql"}:
            raise ValueError("must begin with sqlite:/// or postgresql://")
        if url.get_secret_value().startswith("postgresql") and (problem := postgresql_problem(url.get_secret_value())):
            raise ValueError(problem)
        return url

    workers: Annotated[int, Field(ge=1, le=32)] = Field(4, description="messages in hand at once")
    give_up_after_h: PositiveFloat = Field(
        120, description="hours that a message waits for a service before it is filed as failed (RFC 5321 4.5.4.1)"
    )
    settle_s: NonNegativeFloat = Field(
        10, description="seconds until what was created shows in a service's lists: a look sooner may miss it"
    )
    takeover_s: PositiveFloat = Field(
        90, description="seconds of silence after which a machine's messages are another's (PostgreSQL); same on all"
    )


class Settings(BaseSettings):
    """All of them; `configuration.load` reads them and says what is wrong with them."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    anthropic: Anthropic = Anthropic()
    hubspot: HubSpot = HubSpot()
    clickup: ClickUp = ClickUp()
    r2: R2 = R2()
    notification: Notification = Notification()
    smtp: Smtp = Smtp()
    imap: Imap = Imap()
    labels: Labels = Labels()
    alerts: Alerts = Alerts()
    heartbeat: Heartbeat = Heartbeat()
    state: State = State()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `configuration.load` gathered: the stock sources do not know a value's file and line."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @property
    def state_url(self) -> str:
        """The database URL in force."""
        return self.state.url.get_secret_value() or f"sqlite:///{state_directory() / 'poller.sqlite'}"

    @property
    def directory(self) -> Path:
        """Where the lock and the spool files lie: beside the SQLite file, else in the state directory."""
        return (
            Path(self.state_url.split("///", 1)[1]).parent if self.state_url.startswith("sqlite") else state_directory()
        )

    @property
    def sender(self) -> str:
        """The address that notifications come from."""
        logins = (login for login in (self.smtp.username, self.imap.username) if "@" in login)
        return self.smtp.sender or next(logins, f"poller@{self.smtp.host}")

    def without_secrets(self, text: str) -> str:
        """The text with stars in place of each secret: a service may repeat what it was sent."""
        for name, section in sections().items():
            for key, field in section.model_fields.items():
                if is_secret(field) and (secret := getattr(getattr(self, name), key).get_secret_value()):
                    text = text.replace(secret, "***")
        return text


def sections() -> dict[str, type[Section]]:
    """The tables of config.toml by name, in order."""
    return {name: cast("type[Section]", field.annotation) for name, field in Settings.model_fields.items()}


def is_secret(field: FieldInfo) -> bool:
    """Whether a value of this setting must be kept out of config.toml, logs and messages."""
    return field.annotation is SecretStr
