"""What the groups of the settings have in common."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, SecretStr

from rebalancer.config.field_help import is_secret
from rebalancer.config.types import secret_texts
from rebalancer.domain.errors import ConfigurationError


class Section(BaseModel):
    """A group of settings. The environment name of a field is its name in capitals, whatever its group."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        validate_by_name=True,
        str_strip_whitespace=True,
        hide_input_in_errors=True,
    )

    def contradictions(self) -> Iterator[str]:
        """One sentence for each, beginning with the names of the settings: values may be right one by one and still
        contradict each other. :class:`rebalancer.config.settings.Settings` refuses those of all groups at once.
        """
        yield from ()

    def require(self, name: str) -> str:
        """The value of a secret that the caller cannot do without.

        Raises:
            ConfigurationError: it is not set; the message says which variable to set.
        """
        secret: SecretStr | None = getattr(self, name)
        if secret is None:
            purpose = type(self).model_fields[name].description
            raise ConfigurationError([f"{name.upper()} is not set: add it to .env or the environment ({purpose})"])
        return secret.get_secret_value()

    def secret_values(self) -> Iterator[str]:
        """Every text that must not be logged: the keys, and the passwords inside URLs as written and as decoded."""
        for name, field in type(self).model_fields.items():
            if is_secret(field) and (value := getattr(self, name)) is not None:
                yield from secret_texts(value)
