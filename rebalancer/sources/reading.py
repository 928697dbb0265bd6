"""A source read once: what is looked at again and again, and what a run trades, are read the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rebalancer.config.signal_settings import SignalSettings
from rebalancer.domain.portfolio import Targets
from rebalancer.domain.sources import Source
from rebalancer.sources.fetching import Document, fetch, fetch_if_newer
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


def read_if_newer(source: Source, settings: SignalSettings, known: Mapping[str, str]) -> Reading:
    """Read a source, unless its server says that the version that is known still is the newest.

    Args:
        known: that version's validators; without any it is read in any case.

    Raises:
        AllocationsUnavailable, Refused: as :func:`read`.
    """
    secret = settings.secret_of(source.strategy)
    document = fetch_if_newer(source, secret, settings.allocations_timeout_s, known)
    return Reading(None) if document is None else Reading(_targets(source, document), document.validators)


def read(source: Source, settings: SignalSettings) -> Targets:
    """Read a source.

    Raises:
        AllocationsUnavailable: it cannot be read; worth a retry.
        Refused: it justifies no order, ``allocations_*``.
    """
    document = fetch(source, settings.secret_of(source.strategy), settings.allocations_timeout_s)
    return _targets(source, document)


def _targets(source: Source, document: Document) -> Targets:
    return read_table(source.strategy, document.body, source.table, document.form)
