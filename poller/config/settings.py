"""Define every setting: its name, default, unit, bounds, and whether it is a secret.

`config.toml` holds what anyone may read. The secrets come from `.env`, the environment or systemd credentials. The
environment wins over credentials, credentials over `.env`, and `.env` over `config.toml`. `[section] key` there is
`SECTION_KEY` elsewhere.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, date, tzinfo
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
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

from poller.config.section import Section, Security, Service, is_secret
from poller.config.ticket_properties import TicketProperties, TicketPropertiesSetting
from poller.config.validators import (
    FileType,
    FileTypes,
    MemberIds,
    OwnAddress,
    Port,
    Priority,
    ServiceUrl,
    Tags,
    postgresql_problem,
    text,
)
from poller.working_days import OfficeHours

if TYPE_CHECKING:
    from collections.abc import Mapping


class AnthropicSettings(Service):
    """Settings of Claude, which is asked where the rules are unsure."""

    api_key: SecretStr = Field(SecretStr(""), description="API key (sk-ant-...); without it the rules decide alone")
    base_url: ServiceUrl | None = Field(None, description="where the API is; empty: Anthropic's own")
    model: str = Field("claude-haiku-5-5", min_length=1, description="model id")
    max_calls_per_day: NonNegativeInt = Field(
        1_000, description="calls in a day (UTC), after which the rules decide alone; 0: no limit"
    )

    wait_s: NonNegativeFloat = Field(
        900, description="seconds for which an unsure request waits for Claude, before the rules decide alone; 0: none"
    )

    @classmethod
    def needed(cls, given: Mapping[str, object], /) -> tuple[str, ...]:
        """Return the names of the required settings: the key alone."""
        del given
        return ("api_key",)


class HubSpotSettings(Service):
    """Settings of HubSpot, which gets contact, ticket and note."""

    api_key: SecretStr = Field(SecretStr(""), description="service key or private app token (pat-...)")
    hub_id: Annotated[str, text(r"[0-9]*", "must be digits alone")] = Field(
        "", description="account number, for the links to tickets"
    )
    pipeline_id: str = Field("0", min_length=1, description="ticket pipeline, internal id")
    stage_new: str = Field("1", min_length=1, description="stage of a new ticket, internal id")
    base_url: ServiceUrl | None = Field(None, description="where the API is; empty: HubSpot's own")
    api_version: Literal["2026-09", "2026-03"] = Field("2026-09", description="date of the API: 2026-09, or 2026-03")
    calls_per_10s: PositiveInt = Field(100, description="calls in ten seconds: 100, or 190 from Professional on")
    reference_property: bool = Field(
        False, description="whether tickets have the unique property figurative_reference (poller setup-hubspot)"
    )
    ticket_properties: TicketPropertiesSetting = Field(
        TicketProperties(), description="further properties of new tickets, and of those of one category"
    )

    @classmethod
    def needed(cls, given: Mapping[str, object], /) -> tuple[str, ...]:
        """Return the names of the required settings: key and account."""
        del given
        return ("api_key", "hub_id")


class ClickUpSettings(Service):
    """Settings of ClickUp, which gets the 3D team's subtask."""

    api_key: SecretStr = Field(SecretStr(""), description="personal token (pk_...)")
    parent_task_id: str = Field("", description="task under which the subtasks are created")
    base_url: ServiceUrl | None = Field(None, description="where the API is; empty: ClickUp's own")
    calls_per_min: PositiveInt = Field(100, description="calls a minute: 100, Business Plus 1,000, Enterprise 10,000")
    assignees: MemberIds = Field((), description="members that a subtask is assigned to, by their numbers; []: nobody")
    tags: Tags = Field((), description="tags of a subtask, which must be in the space; []: none")
    priority: Priority | None = Field(
        None, description="priority of a subtask: urgent, high, normal, low, or 1 to 4; empty: none"
    )
    due_working_days: Annotated[int, Field(ge=0, le=250)] | None = Field(
        None,
        description="working days from a mail's arrival until its subtask is due, without the public holidays of "
        "France; 0: the day itself, or the next working day; empty: no due date",
    )

    @classmethod
    def needed(cls, given: Mapping[str, object], /) -> tuple[str, ...]:
        """Return the names of the required settings: token and parent task."""
        del given
        return ("api_key", "parent_task_id")


class R2Settings(Service):
    """Settings of Cloudflare R2, which stores the files."""

    access_key_id: SecretStr = Field(SecretStr(""), description="R2 API token, access key id")
    secret_access_key: SecretStr = Field(SecretStr(""), description="R2 API token, secret access key")
    bucket_name: str = Field("", description="bucket")
    endpoint_url: ServiceUrl | None = Field(None, description="https://<account>.r2.cloudflarestorage.com")
    public_url: HttpUrl | None = Field(None, description="what a key is appended to for a link that customers can open")
    file_types: FileTypes = Field(
        get_args(FileType), description="kinds of files that are stored: models, images, documents, archives, video"
    )
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
        """Return the names of the required settings: all five, because a file without a public link is of no use."""
        del given
        return ("access_key_id", "secret_access_key", "bucket_name", "endpoint_url", "public_url")


class SupportSettings(Section):
    """The files of support requests."""

    files: Literal["none", "hubspot", "r2"] = Field(
        "none",
        description="where they go: none (they stay in the mail), hubspot (private, on a note of the ticket), r2 "
        "(public links, as for modelling)",
    )


class ModelsSettings(Section):
    """Settings of the look into 3D files, photos and documents, which needs the extra `models`."""

    enabled: bool = Field(True, description="whether 3D files get a picture and facts, and photos and PDF a preview")
    renderer: Literal["own", "f3d"] = Field("own", description="own; f3d: also f3d's unit, for what own cannot draw")
    f3d_socket: str = Field("/run/figurative-poller-f3d.socket", description="socket of f3d's unit")

    @property
    def f3d(self) -> Path | None:
        """Return the socket of f3d, None where it is not asked."""
        return Path(self.f3d_socket) if self.renderer == "f3d" else None


class AcknowledgementSettings(Section):
    """The short letter that tells a customer that the mail has arrived."""

    enabled: bool = Field(False, description="whether customers get one")
    name: str = Field("Figurative", description="name that it comes from and is signed with")
    templates: str = Field("", description="directory with templates in place of ours; empty: ours")
    answer_within_h: Annotated[float, Field(ge=0, le=1000)] = Field(
        8, description="office hours within which a person answers, as the letter says; 0: it says nothing of it"
    )
    max_per_sender_per_day: PositiveInt = Field(2, description="letters to one address in 24 hours")
    max_form_letters_per_day: NonNegativeInt = Field(
        50, description="letters to all visitors of the forms in 24 hours; 0: they get none"
    )


class OfficeSettings(Section):
    """The office hours, Monday to Friday without the public holidays of France."""

    opens_h: Annotated[int, Field(ge=0, le=23)] = Field(9, description="hour at which the office opens")
    closes_h: Annotated[int, Field(ge=1, le=24)] = Field(18, description="hour at which it closes")
    closed_from: date | None = Field(None, description="first day (2026-12-24) of a closing period; empty: none")
    closed_until: date | None = Field(None, description="its last day")


class LearningSettings(Section):
    """What is learnt from people's corrections, which needs the extra `learning`."""

    mode: Literal["off", "shadow", "decide"] = Field(
        "shadow",
        description="off; shadow: its opinion stands beside the decision; decide: it decides where the rules are "
        "unsure and it is sure, and in Claude's place where that is out of reach",
    )
    examples: bool = Field(False, description="whether Claude is shown the most similar mails that people corrected")


class SmtpSettings(Service):
    """Settings of the SMTP server that sends the notifications to the admin."""

    host: str = Field("", description="server; empty: no notification is sent")
    port: Port = Field(587, description="port")
    security: Security = Field("starttls", description="tls, starttls, or none (loopback only)")
    ca_file: str = Field(
        "", description="PEM file of the certificate authorities that vouch for the server; empty: the system's"
    )
    username: str = Field("", description="login; empty: none")
    auth: Literal["password", "imap"] = Field(
        "password", description="password, or imap: the same access tokens as the mailbox's"
    )
    password: SecretStr = Field(SecretStr(""), description="password")
    sender: OwnAddress | None = Field(None, description="From address; empty: the SMTP login, else the IMAP login")

    @classmethod
    def needed(cls, given: Mapping[str, object], /) -> tuple[str, ...]:
        """Return the names of the required settings: the server alone."""
        del given
        return ("host",)


class ImapSettings(Service):
    """Settings of the mailbox that customers write to."""

    host: str = Field("", description="server")
    port: Port = Field(993, description="port")
    security: Security = Field("tls", description="tls, starttls, or none (loopback only)")
    ca_file: str = Field(
        "", description="PEM file of the certificate authorities that vouch for the server; empty: the system's"
    )
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
        "Microsoft 365; empty: nothing is said of whether a sender is genuine, and no colleague is believed",
    )
    since: date | None = Field(
        None, description="day (2026-11-22) before which messages are left alone; empty: the day of the first start"
    )
    poll_interval_s: PositiveFloat = Field(
        60, description="seconds between two looks at the mailbox; IDLE tells of new mail between them"
    )
    timeout_s: PositiveFloat = Field(30, description="seconds without an answer before a connection is given up")
    max_message_bytes: PositiveInt = Field(
        157_286_400, description="bytes; of a larger message only the beginning is read, and the ticket says so"
    )
    max_per_sender_per_h: NonNegativeInt = Field(
        200, description="messages of one sender that are worked on in an hour, further ones wait; 0: no limit"
    )
    max_new_senders_per_h: NonNegativeInt = Field(
        500,
        description="senders who have not written before, and are worked for in an hour; further ones wait; "
        "0: no limit",
    )

    @classmethod
    def needed(cls, given: Mapping[str, object], /) -> tuple[str, ...]:
        """Return the names of the required settings: server, login, and the credentials of the chosen `auth`."""
        proof = {
            "google": ("client_id", "client_secret", "refresh_token"),
            "microsoft": ("tenant", "client_id", "client_secret"),
        }
        if given.get("auth") == "google" and given.get("service_account_file"):
            return ("host", "username")
        return ("host", "username", *proof.get(str(given.get("auth")), ("password",)))


_FORM = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")  # as a browser writes it (RFC 6454 section 6.2)
SECRET_CHARS = 16  # of a form's token or key, at least


class FormsSettings(Section):
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
    max_address_bytes_per_day: NonNegativeInt = Field(
        250_000_000, description="bytes of the posts of one address to the public forms in a day; 0: no limit"
    )
    max_public_bytes_per_day: NonNegativeInt = Field(
        2_500_000_000, description="bytes of all posts to the public forms in a day; 0: no limit"
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
                raise ValueError(
                    f"must be form=secret, with spaces between; a secret has at least {SECRET_CHARS} characters"
                )
        return secrets


_SQLITE = re.compile(r"sqlite:///[^:?#]*[^:?#/]")  # SQLAlchemy accepts more, but that would leave no file


class NotificationSettings(Section):
    """The recipient of notifications."""

    email: OwnAddress | None = Field(None, description="the admin's address; empty: nobody is told")
    reply_to_customer: bool = Field(
        False, description="whether an answer to a notification goes to the customer (Reply-To), not to our own address"
    )


class AlertsSettings(Section):
    """The thresholds after which a mail to notification.email says that mail is not being processed."""

    waiting_min: PositiveFloat = Field(60, description="minutes that a message waits before the admin is told")
    polls_failing_min: PositiveFloat = Field(
        15, description="minutes that the mailbox is out of reach before the admin is told"
    )
    unanswered_after_h: NonNegativeFloat = Field(
        0,
        description="office hours after which a ticket that nobody has answered or moved is listed in the digest; "
        "0: none is",
    )
    unanswered_letter: bool = Field(
        False, description="whether a letter lists them as well, on each working day that there are any"
    )


class HeartbeatSettings(Section):
    """The monitor that raises an alarm if the daemon falls silent."""

    url: ServiceUrl | None = Field(
        None, description="address that is asked for after each good poll, as healthchecks.io gives one; empty: none"
    )


class CanarySettings(Section):
    """The mail that the daemon sends to the mailbox it reads, to check that mail arrives."""

    interval_min: NonNegativeFloat = Field(0, description="minutes between two; 0: none is sent")
    late_min: PositiveFloat = Field(10, description="minutes after which one that has not arrived is told of")
    address: OwnAddress | None = Field(None, description="where it is sent; empty: the IMAP login")


class DigestSettings(Section):
    """The weekly summary mail to notification.email."""

    weekday: Literal["never", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = Field(
        "monday", description="day on which it is sent; never: on none"
    )
    hour: Annotated[int, Field(ge=0, le=23)] = Field(8, description="hour of that day")
    timezone: str = Field(
        "Europe/Paris", description="time zone of that hour, of the days in it, and of the times in mails (IANA name)"
    )

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("must be the name of a time zone, such as Europe/Paris") from error
        return timezone


class MetricsSettings(Section):
    """The metrics for Prometheus."""

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


class ReceiptsSettings(Section):
    """The receipts that admins find in their mail client."""

    enabled: bool = Field(
        True, description="whether a small message beside each processed one says what was done, unread if need be"
    )


class LabelsSettings(Section):
    """The mailbox for each outcome. "/" stands for the server's separator."""

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
    """Return the state directory: systemd's StateDirectory, else the user's (XDG base directory specification)."""
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(given) if given else Path(home) / "figurative-poller"


class StateSettings(Section):
    """The state store: what is recorded about each message."""

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
    """All settings. `loader.load` reads them and reports what is wrong with them."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    anthropic: AnthropicSettings = AnthropicSettings()
    hubspot: HubSpotSettings = HubSpotSettings()
    clickup: ClickUpSettings = ClickUpSettings()
    r2: R2Settings = R2Settings()
    support: SupportSettings = SupportSettings()
    models: ModelsSettings = ModelsSettings()
    learning: LearningSettings = LearningSettings()
    notification: NotificationSettings = NotificationSettings()
    acknowledgement: AcknowledgementSettings = AcknowledgementSettings()
    office: OfficeSettings = OfficeSettings()
    smtp: SmtpSettings = SmtpSettings()
    imap: ImapSettings = ImapSettings()
    labels: LabelsSettings = LabelsSettings()
    receipts: ReceiptsSettings = ReceiptsSettings()
    canary: CanarySettings = CanarySettings()
    digest: DigestSettings = DigestSettings()
    alerts: AlertsSettings = AlertsSettings()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    metrics: MetricsSettings = MetricsSettings()
    forms: FormsSettings = FormsSettings()
    state: StateSettings = StateSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only what `loader.load` gathered: the stock sources do not know a value's file and line."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @property
    def state_url(self) -> str:
        """Return the database URL in force."""
        return self.state.url.get_secret_value() or f"sqlite:///{state_directory() / 'poller.sqlite'}"

    @property
    def directory(self) -> Path:
        """Return the directory of the lock and the spool files.

        It is the SQLite file's directory, or the state directory with PostgreSQL.
        """
        return (
            Path(self.state_url.split("///", 1)[1]).parent if self.state_url.startswith("sqlite") else state_directory()
        )

    @property
    def sender(self) -> str:
        """Return the address that notifications come from."""
        logins = (login for login in (self.smtp.username, self.imap.username) if "@" in login)
        return self.smtp.sender or next(logins, f"poller@{self.smtp.host or self.imap.host or 'localhost'}")

    @property
    def mailbox_address(self) -> str:
        """Return the address that customers write to: the IMAP login where that is an address, else the sender."""
        return self.imap.username if "@" in self.imap.username else self.sender

    def without_secrets(self, text: str) -> str:
        """Return the text with stars in place of each secret: a service may repeat what it was sent."""
        for name, section in sections().items():
            for key, field in section.model_fields.items():
                if is_secret(field) and (secret := getattr(getattr(self, name), key).get_secret_value()):
                    text = text.replace(secret, "***")
        return text


def changed_settings(before: Settings, after: Settings) -> list[str]:
    """Return the names of the settings that differ, as "section.key", in order and without their values."""
    return [
        f"{name}.{key}"
        for name, section in sections().items()
        for key in section.model_fields
        if getattr(getattr(before, name), key) != getattr(getattr(after, name), key)
    ]


def reader_zone(settings: Settings) -> tzinfo:
    """Return the time zone of the times that a person reads, UTC on a machine that has no time zones."""
    try:
        return ZoneInfo(settings.digest.timezone)
    except ZoneInfoNotFoundError:  # the default, which is not validated
        return UTC


def office_hours(settings: Settings) -> OfficeHours:
    """Return the office hours, in the time zone in which a person is told times."""
    given = settings.office
    return OfficeHours(given.opens_h, given.closes_h, reader_zone(settings), given.closed_from, given.closed_until)


def sections() -> dict[str, type[Section]]:
    """Return the tables of config.toml by name, in order."""
    return {name: cast("type[Section]", field.annotation) for name, field in Settings.model_fields.items()}
