"""Define the base classes and field types of the settings sections."""

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
    """An external service: on if all the settings that it needs are given, off if none of them is."""

    @classmethod
    def needed(cls, given: Mapping[str, object], /) -> tuple[str, ...]:
        """Return the keys that the service needs, given these settings. Without any of them it is off."""
        del given
        return ()

    @property
    def on(self) -> bool:
        """Return True if the service has every setting that it needs."""
        return all(getattr(self, key) for key in self.needed(dict(self)))


def is_secret(field: FieldInfo) -> bool:
    """Return True if a value of this setting must be kept out of config.toml, logs and messages."""
    return field.annotation is SecretStr
