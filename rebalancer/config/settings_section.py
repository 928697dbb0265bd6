"""What the parts of the settings have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


class Section(BaseSettings):
    """A part of the settings; its values may be right one by one and still contradict each other."""

    model_config = SettingsConfigDict(defer_build=True)  # nobody validates a part alone

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what it is given: environment and files are :mod:`rebalancer.config.settings`' to read. Pydantic would
        read the environment again, and the whole, which each process does all the time, would take eight times as long.
        """
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    def contradictions(self) -> Iterator[str]:
        """One sentence for each, beginning with the names of the settings; a part adds its own to those of others."""
        yield from ()

    @model_validator(mode="after")
    def _all_at_once(self) -> Self:
        if found := list(self.contradictions()):
            raise ValueError("\n".join(found))
        return self
