"""What a section of the settings is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, SecretStr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo


Security = Literal["tls", "starttls", "none"]


class Section(BaseModel):
    """A table of config.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True)


class Service(Section):
    """An outside service: on when the settings it cannot do without are given, off when none of them is."""

    @classmethod
    def needed(cls, given: Mapping[str, object], /) -> tuple[str, ...]:
        """The keys without which the service is off, where these settings are given."""
        del given
        return ()

    @property
    def on(self) -> bool:
        """Whether the service has what it needs."""
        return all(getattr(self, key) for key in self.needed(dict(self)))


def is_secret(field: FieldInfo) -> bool:
    """Whether a value of this setting must be kept out of config.toml, logs and messages."""
    return field.annotation is SecretStr
