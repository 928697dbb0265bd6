"""Settings of reports that nobody needs for trading."""

from __future__ import annotations

from datetime import time
from typing import Annotated

from pydantic import Field

from rebalancer.config.notification_settings import OFF, day_and_time
from rebalancer.config.settings_section import Section
from rebalancer.config.types import SmallLetters


class ReportSettings(Section):
    """What is counted up of the ledger for its owner."""

    execution_quality: bool = Field(
        default=False,
        description="Say in the daily digest, and show on a page below Money, what trading cost against the prices at "
        "which it was decided.",
    )
    letter_weekly: Annotated[str, SmallLetters] = Field(
        default=OFF,
        pattern=rf"^((mon|tue|wed|thu|fri|sat|sun) ([01]\d|2[0-3]):[0-5]\d|{OFF})$",
        json_schema_extra={"allowed": "day and HH:MM, or off"},
        description="When a letter about the seven days before is sent, for example sat 08:00.",
    )
    letter_monthly: Annotated[str, SmallLetters] = Field(
        default=OFF,
        pattern=rf"^(([01]\d|2[0-3]):[0-5]\d|{OFF})$",
        json_schema_extra={"allowed": "HH:MM or off"},
        description="When on the first of a month a letter about the month before is sent.",
    )

    @property
    def weekly_at(self) -> tuple[int, time] | None:
        """``letter_weekly`` as day of the week (0 is Monday) and time, ``None`` for off."""
        return None if self.letter_weekly == OFF else day_and_time(self.letter_weekly)

    @property
    def monthly_at(self) -> time | None:
        """``letter_monthly`` as such, ``None`` for off."""
        return None if self.letter_monthly == OFF else time.fromisoformat(self.letter_monthly)
