"""What a section of the settings is made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, SecretStr

from poller.config.validators import service_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo


def _private(url: HttpUrl) -> HttpUrl:
    """A service's address, where its key is safe."""
    if problem := service_problem(str(url)):
        raise ValueError(problem)
    return url


def text(pattern: str, words: str) -> AfterValidator:
    """What a text must be: all of it fits the pattern, and the words say to a person what does."""

    def fitting(given: str) -> str:
        if not re.fullmatch(pattern, given):
            raise ValueError(words)
        return given

    return AfterValidator(fitting)


Security = Literal["tls", "starttls", "none"]
ServiceUrl = Annotated[HttpUrl, AfterValidator(_private)]
Port = Annotated[int, Field(ge=1, le=65535)]


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
