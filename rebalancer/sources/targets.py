"""Targets for a run: from the strategy's source, or from the allocations API where it has none."""

from __future__ import annotations

from collections.abc import Callable

from rebalancer.allocations import AllocationsClient
from rebalancer.config.accounts_file import Accounts
from rebalancer.config.settings import Settings
from rebalancer.domain.errors import RecordUnavailable, Refused
from rebalancer.domain.portfolio import Targets
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.sources import Source, digest
from rebalancer.ledger import sources
from rebalancer.ledger.session import Ledger
from rebalancer.sources.fetching import unavailable
from rebalancer.sources.reading import read


class StrategyTargets:
    """Implements :class:`rebalancer.domain.ports.TargetSource` for all strategies.

    A table is traded when it was read twice alike: by the look that accepted it, and by the run. So nothing is traded
    that was not held against what was accepted before, nor an old copy that some server of a publisher still has.

    Args:
        accounts: as the file has them now.
    """

    def __init__(self, settings: Settings, ledger: Ledger, accounts: Callable[[], Accounts]) -> None:
        self._settings = settings
        self._ledger = ledger
        self._accounts = accounts

    def fetch(self, strategy: str) -> Targets:
        """See :meth:`rebalancer.domain.ports.TargetSource.fetch`.

        Raises:
            ConfigurationError: the allocations API is needed, and its key is not set.
        """
        source = self._accounts().sources.get(strategy)
        if source is None:
            return AllocationsClient.of(self._settings.signals).fetch(strategy)
        targets = read(source, self._settings.signals)
        self._require_accepted(source, targets)
        return targets

    def _require_accepted(self, source: Source, targets: Targets) -> None:
        now = digest(targets.weights)
        try:
            with self._ledger.begin() as session:
                known = sources.known(session, source.strategy)
                if known is not None and (known.digest, known.as_of) == (now, targets.as_of):
                    return
                if known is not None and known.rule is not None and known.held_digest == now:
                    raise Refused(Rule(known.rule), known.problem or "it waits for its owner")
                sources.ask(session, source)
        except RecordUnavailable as away:
            raise unavailable(source, f"the ledger cannot say what was accepted last: {away}") from away
        raise unavailable(source, "it is not what was accepted last; it is looked at at once")
