"""Which settings a process works with, and what a start today would change: an edit is applied or told, never lost."""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rebalancer.config.settings import Settings, load_settings
from rebalancer.domain.errors import RebalancerError
from rebalancer.health.readiness import Check
from rebalancer.ledger.heartbeats import SILENT_S, ComponentView

KEY = "settings"
"""In the detail of a process."""
LOOK_EVERY_S = 15.0
TRADING = ("broker", "events", "orders", "risk")
"""Groups of settings that every process of one installation shares; none is secret."""
OWN = "worker_gateway"
"""Among them the one that they do not share."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that is at work.

    Attributes:
        mark: tells the values of :data:`TRADING` apart.
        since: when it read them.
        changed: names of settings, secrets included, that would have another value if it began now.
        refused: why it could not begin now.
    """

    name: str
    host: str
    mark: str
    since: datetime
    changed: tuple[str, ...]
    refused: tuple[str, ...]


class SettingsInUse:
    """Of this process.

    Args:
        settings: as it read them.
        look_every_s: how often it reads again what it began with.
        also: what else has changed since it began.
    """

    def __init__(
        self, settings: Settings, look_every_s: float = LOOK_EVERY_S, also: Callable[[], list[str]] = list
    ) -> None:
        self._settings, self._look_every_s, self._also = settings, look_every_s, also
        self._mark = mark(settings)
        self._since = datetime.now(UTC).isoformat()
        self._looked = time.monotonic()
        self._changed: list[str] = []
        self._refused: list[str] = []

    def report(self) -> dict[str, Any]:
        """For the process' sign of life."""
        if time.monotonic() - self._looked >= self._look_every_s:
            self._looked = time.monotonic()
            self._look()
        told = {"mark": self._mark, "since": self._since, "changed": self._changed, "refused": self._refused}
        return {KEY: told}

    def _look(self) -> None:
        try:
            today, also = load_settings(), self._also()
        except RebalancerError as refused:
            self._refused = str(refused).splitlines()
            return
        self._refused, self._changed = [], also
        if today is self._settings:  # what has not changed is not even read twice
            return
        before = self._settings.flat()
        self._changed = also + sorted(name.upper() for name, value in today.flat().items() if value != before[name])


def mark(settings: Settings) -> str:
    """Eight hexadecimal digits that differ where the trading settings do."""
    groups = settings.model_dump(mode="json", include=set(TRADING)).values()
    values = {name: value for group in groups for name, value in group.items() if name != OWN}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def processes(seen: Sequence[ComponentView]) -> list[Process]:
    """Those at work that say what they work with, by name and host."""
    alive = (one for one in seen if one.age_s <= SILENT_S and KEY in one.detail)
    return sorted((_process(one) for one in alive), key=lambda one: (one.name, one.host))


def _process(one: ComponentView) -> Process:
    told = one.detail[KEY]
    since = datetime.fromisoformat(told["since"])
    return Process(
        name=one.name,
        host=one.host,
        mark=told["mark"],
        since=since,
        changed=tuple(told["changed"]),
        refused=tuple(told["refused"]),
    )


def older(found: Sequence[Process]) -> list[str]:
    """A sentence for each kind of process that does not work with what the settings say now."""
    kinds: dict[tuple[str, str], list[Process]] = defaultdict(list)
    for one in found:
        if one.refused:
            kinds[one.name, f"would not start again: {'; '.join(one.refused)}"].append(one)
        elif one.changed:
            kinds[one.name, f"works without the change of {', '.join(one.changed)}: restart it"].append(one)
    return [f"{name} (since {_first(group):%Y-%m-%d %H:%M} UTC) {text}" for (name, text), group in kinds.items()]


def _first(group: Sequence[Process]) -> datetime:
    return min(one.since for one in group)


def check(found: Sequence[Process], settings: Settings) -> Check:
    """Whether all processes work with the settings that are read here and now."""
    problems = older(found)
    others = sorted({one.name for one in found if not one.changed and one.mark != mark(settings)})
    if others:
        problems.append(
            f"{', '.join(others)}: other trading settings than this command reads; give both the same environment "
            "(with Docker Compose: docker compose up --detach)"
        )
    return Check("settings in use", not problems, "; ".join(problems) or f"{len(found)} processes work with them")
