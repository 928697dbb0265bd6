"""How a gateway tells the time: its own zone, its own clock, and the forms in which it writes a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sandbox.gateway import scenario


@dataclass(frozen=True, slots=True)
class Timekeeping:
    """The gateway's answers about time; moments are aware and true, only what is written of them differs."""

    settings: scenario.Gateway

    def now(self, moment: datetime) -> datetime:
        """What the gateway's clock shows at ``moment``."""
        return moment + timedelta(seconds=float(self.settings.clock_ahead_s))

    def day(self, moment: datetime) -> date:
        """The gateway's own date, which limits its lists of executions and completed orders."""
        return self._local(moment).date()

    def connection_time(self, moment: datetime) -> str:
        """Second field of the version frame."""
        local = self._local(moment)
        return f"{local:%Y%m%d %H:%M:%S} {self.settings.zone_name or f'{local:%Z}'}"

    def stamp(self, moment: datetime) -> str:
        """The time of an execution, in the form that the scenario asks for."""
        if self.settings.execution_time == "utc":
            return f"{self.now(moment).astimezone(UTC):%Y%m%d-%H:%M:%S}"
        text = f"{self._local(moment):%Y%m%d %H:%M:%S}"
        return text if self.settings.execution_time == "local" else f"{text} {self._name}"

    @property
    def _name(self) -> str:
        return self.settings.zone_name or self.settings.time_zone

    def _local(self, moment: datetime) -> datetime:
        return self.now(moment).astimezone(ZoneInfo(self.settings.time_zone))
