"""A source read once: what is looked at again and again, and what a run trades, are read the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rebalancer.config.signal_settings import SignalSettings
from rebalancer.domain.portfolio import Targets
from rebalancer.domain.sources import Source
from rebalancer.sources.fetching import fetch
from rebalancer.sources.tables import read_table


@dataclass(frozen=True, slots=True)
class Reading:
    """Targets as the source has them now.

    Attributes:
        targets: ``None`` when the version that was known is still the newest.
        validators: what the server said of this version.
    """

    targets: Targets | None
    validators: Mapping[str, str] = field(default_factory=dict)


def read(source: Source, settings: SignalSettings, known: Mapping[str, str] | None = None) -> Reading:
    """Read a source.

    Args:
        known: validators of the version that is known; without them it is read in any case.

    Raises:
        AllocationsUnavailable: it cannot be read; worth a retry.
        Refused: it justifies no order, ``allocations_*``.
    """
    secret = settings.secret_of(source.strategy)
    document = fetch(source, secret, settings.allocations_timeout_s, known or {})
    if document is None:
        return Reading(None)
    return Reading(read_table(source.strategy, document.body, source.table, document.form), document.validators)
