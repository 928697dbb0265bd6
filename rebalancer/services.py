"""What every process that takes requests works with, wired from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rebalancer.config.accounts_file import (
    Account,
    Accounts,
    ReplacementSets,
    load_replacement_sets,
    read_accounts,
    read_replacement_sets,
)
from rebalancer.config.logins import misplaced, settings_at
from rebalancer.config.settings import Settings
from rebalancer.domain.accounts import MAIN_GATEWAY, TradingMode
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.portfolio import Replacement
from rebalancer.ledger.session import Ledger

if TYPE_CHECKING:
    from celery import Celery

    from rebalancer.queueing.dispatcher import Dispatcher
    from rebalancer.sources.targets import StrategyTargets


@dataclass(frozen=True)
class Services:
    """Settings, ledger and the one way in.

    Attributes:
        publisher: Celery app that sends the messages; without one, a bare one with the same configuration.
    """

    settings: Settings
    ledger: Ledger
    publisher: Celery | None = None

    @classmethod
    def of(cls, settings: Settings, publisher: Celery | None = None) -> Self:
        """Wire the services; nothing is connected yet."""
        return cls(settings, Ledger(settings.stores.database_url), publisher)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """The one way in."""
        from celery import Celery  # noqa: PLC0415 - who only looks at the ledger does without

        from rebalancer.queueing.dispatcher import Dispatcher  # noqa: PLC0415 - as above

        app = self.publisher or Celery(
            "rebalancer", broker=self.settings.stores.redis_url, config_source="celeryconfig"
        )
        return Dispatcher(self.settings, self.ledger, app, self.accounts)

    def accounts(self) -> Accounts:
        """The accounts as the file has them now: an edit takes effect with the next request or run."""
        return _accounts(
            self.settings, *map(_stamp, (self.settings.files.accounts_file, self.settings.files.replacement_sets_file))
        )

    def settings_of(self, gateway: str) -> Settings:
        """The settings with which one gateway is worked with.

        Raises:
            ConfigurationError: as :func:`~rebalancer.config.logins.settings_at`.
        """
        return (
            self.settings if gateway == MAIN_GATEWAY else settings_at(self.settings, self.accounts().gateways, gateway)
        )

    def mode_of(self, account: Account) -> TradingMode:
        """What the account's gateway trades."""
        return self.accounts().mode_of(account, self.settings.broker.trading_mode)

    @cached_property
    def targets(self) -> StrategyTargets:
        """Where runs have their targets from."""
        from rebalancer.sources.targets import StrategyTargets  # noqa: PLC0415 - who makes no plan does without HTTP

        return StrategyTargets(self.settings, self.ledger, self.accounts)

    def replacements(self, account: Account) -> tuple[Replacement, ...]:
        """Rules of the account's replacement set."""
        return tuple(self._replacement_sets()[account.replacement_set]) if account.replacement_set else ()

    def substitutes(self) -> tuple[Replacement, ...]:
        """What is held for a while in place of a symbol that was sold at a loss; nothing unless that is wanted."""
        name = self.settings.risk.substitutes_set
        return tuple(self._replacement_sets()[name]) if name else ()

    def _replacement_sets(self) -> ReplacementSets:
        return load_replacement_sets(self.settings.files.replacement_sets_file)


def _stamp(path: Path) -> tuple[int, ...]:
    """Differs after an edit; empty for a file that cannot be read, which loading then tells."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@lru_cache(maxsize=4)
def _accounts(settings: Settings, *_stamps: tuple[int, ...]) -> Accounts:
    """Parsing takes longer than everything else that a request needs; a wrong file is never remembered."""
    known, wrong = read_replacement_sets(settings.files.replacement_sets_file)
    targets = [target.name for target in settings.notifications.notify_targets]
    accounts, problems = read_accounts(settings.files.accounts_file, known, settings.broker.trading_mode, targets)
    unknown = settings.risk.unknown_set(known)
    if wrong := [*wrong, *problems, *unknown, *misplaced(settings.broker, accounts.gateways)]:
        raise ConfigurationError(wrong)
    return accounts
