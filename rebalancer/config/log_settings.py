"""Settings of the logs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rebalancer.config.settings_section import Section
from rebalancer.config.types import Capitals, SmallLetters


class LogSettings(Section):
    """What is logged, and how it is written."""

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Capitals] = Field(
        default="INFO", description="Least severity that is logged."
    )
    log_format: Annotated[Literal["json", "console"], SmallLetters] = Field(
        default="json", description="One JSON object per line, or text for a person."
    )
