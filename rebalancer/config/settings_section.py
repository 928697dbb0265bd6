"""What the parts of the settings have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import model_validator
from pydantic_settings import BaseSettings


class Section(BaseSettings):
    """A part of the settings; its values may be right one by one and still contradict each other."""

    def contradictions(self) -> Iterator[str]:
        """One sentence for each, beginning with the names of the settings; a part adds its own to those of others."""
        yield from ()

    @model_validator(mode="after")
    def _all_at_once(self) -> Self:
        if found := list(self.contradictions()):
            raise ValueError("\n".join(found))
        return self
