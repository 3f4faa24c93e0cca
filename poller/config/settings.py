"""Every setting: its name, default, unit and bounds, and which are secrets.

`config.toml` holds what anyone may read, `.env` or the environment or systemd credentials the secrets. The environment
wins over credentials, those over `.env`, `.env` over `config.toml`. `[section] key` there is `SECTION_KEY` elsewhere.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    EmailStr,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    SecretStr,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from poller.config.accounts import R2, Anthropic, ClickUp, HubSpot, Imap, Smtp
from poller.config.form_settings import Forms
from poller.config.section import Section, ServiceUrl, is_secret, text
from poller.config.validators import postgresql_problem

_SQLITE = re.compile(r"sqlite:///[^:?#]*[^:?#/]")  # SQLAlchemy takes more, which would leave no file behind


class Notification(Section):
    """Who is told."""

    email: EmailStr | None = Field(None, description="the admin's address; empty: nobody is told")


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


class Canary(Section):
    """A mail that the daemon sends to the mailbox it reads, to see that mail arrives."""

    interval_min: NonNegativeFloat = Field(0, description="minutes between two; 0: none is sent")
    late_min: PositiveFloat = Field(10, description="minutes after which one that has not arrived is told of")
    address: EmailStr | None = Field(None, description="where it is sent; empty: the IMAP login")


class Digest(Section):
    """The letter to notification.email that sums up a week."""

    weekday: Literal["never", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = Field(
        "monday", description="day on which it is sent; never: on none"
    )
    hour: Annotated[int, Field(ge=0, le=23)] = Field(8, description="hour of that day")
    timezone: str = Field(
        "Europe/Paris", description="time zone of that hour, of the days in it, and of the times in alerts (IANA name)"
    )

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("must be the name of a time zone, such as Europe/Paris") from error
        return timezone


class Metrics(Section):
    """What Prometheus is told."""

    listen: str = Field(
        "",
        description="host:port where Prometheus asks, 127.0.0.1:9464 for instance; empty: nothing listens",
    )

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, listen: str) -> str:
        host, _, port = listen.rpartition(":")
        if listen and not (host and port.isdecimal() and 0 < int(port) < 65_536):  # noqa: PLR2004  ports have 16 bits
            raise ValueError("must be host:port, for instance 127.0.0.1:9464")
        return listen

    textfile: Annotated[str, text(r"|.*\.prom", "must end in .prom")] = Field(
        "",
        description="file.prom that is written every few seconds, for node_exporter's textfile collector; empty: none",
    )


class Receipts(Section):
    """What admins find in their mail client."""

    enabled: bool = Field(
        True, description="whether a small message beside each processed one says what was done, unread if need be"
    )


class Labels(Section):
    """The mailbox that each outcome is filed under; "/" stands for the server's separator."""

    support: str = Field("Support", min_length=1, description="SUPPORT, done")
    modelisation: str = Field("Modélisation", min_length=1, description="MODELISATION, done")
    ignored: str = Field("Ignorés", min_length=1, description="never work: auto-replies, bounces, lists")
    failed: str = Field("Échecs", min_length=1, description="needs a person")
    reclassify_support: str = Field(
        "Reclasser/Support",
        min_length=1,
        description="what a person drags there is dispatched as SUPPORT from then on; - for none",
    )
    reclassify_modelisation: str = Field(
        "Reclasser/Modélisation", min_length=1, description="likewise, as MODELISATION; - for none"
    )


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
        if url.get_secret_value().startswith("sqlite") and not _SQLITE.fullmatch(url.get_secret_value()):
            raise ValueError("must be sqlite:/// and the path of a file: four slashes where that is absolute")
        if url.get_secret_value().startswith("postgresql") and (problem := postgresql_problem(url.get_secret_value())):
            raise ValueError(problem)
        return url

    workers: Annotated[int, Field(ge=1, le=32)] = Field(8, description="messages in hand at once")
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
    receipts: Receipts = Receipts()
    canary: Canary = Canary()
    digest: Digest = Digest()
    alerts: Alerts = Alerts()
    heartbeat: Heartbeat = Heartbeat()
    metrics: Metrics = Metrics()
    forms: Forms = Forms()
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
