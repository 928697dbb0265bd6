"""Who is listened for: the accounts file as it is now, or as it was when it could last be read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from listener.timing import Timing
from rebalancer.config.accounts_file import Account, Accounts
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.errors import ConfigurationError
from rebalancer.ledger.signal_intake import Addressee
from rebalancer.services import Services

log = structlog.get_logger()

Signature = tuple[tuple[int, int, int] | None, ...]


class Roster:
    """Accounts of this trading mode.

    Raises:
        ConfigurationError: the files cannot be read at start, when there is nothing older to go by.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._mode = services.settings.broker.trading_mode
        self._files = (services.settings.files.accounts_file, services.settings.files.replacement_sets_file)
        self._seen = _signature(self._files)
        self._accounts = services.accounts()
        self._grouped = (self._accounts, _addressees(self._accounts, self._mode))

    @property
    def strategies(self) -> tuple[str, ...]:
        """The channels to listen to."""
        return self._accounts.channels(self._mode)

    def followers(self, strategy: str) -> tuple[Account, ...]:
        """Accounts that a signal of the strategy is for."""
        return self._accounts.following(strategy, self._mode)

    def addressees(self) -> Mapping[str, Iterable[Addressee]]:
        """The same for all strategies, as the ledger wants it; safe to call from any thread.

        A signal that comes right after an edit is for the accounts of that edit: :meth:`watch` may not have looked yet.
        """
        known, grouped = self._grouped
        with suppress(ConfigurationError):  # which the watch complains about
            accounts = self._services.accounts()
            if accounts is not known:  # the very same as long as no file changes
                grouped = _addressees(accounts, self._mode)
                self._grouped = accounts, grouped
        return grouped

    async def watch(self, on_change: Callable[[], None], timing: Timing) -> None:
        """Follow edits for ever. A file that cannot be trusted changes nothing and is complained about once."""
        while True:
            await asyncio.sleep(timing.files_every)
            now = _signature(self._files)
            if now != self._seen:
                self._seen = now
                await self._reload(on_change)

    async def _reload(self, on_change: Callable[[], None]) -> None:
        try:
            accounts = await asyncio.to_thread(self._services.accounts)
        except ConfigurationError as error:
            log.error("accounts_refused", problems=error.problems, kept=len(self._accounts))
            return
        self._accounts = accounts
        log.info("accounts_reloaded", accounts=len(accounts), strategies=self.strategies)
        on_change()


def _addressees(accounts: Accounts, mode: TradingMode) -> dict[str, tuple[Addressee, ...]]:
    return {
        strategy: tuple(Addressee.of(account, strategy) for account in accounts.following(strategy, mode))
        for strategy in accounts.strategies(mode)
    }


def _signature(files: Iterable[Path]) -> Signature:
    """Changes whenever an editor or a deployment replaces a file, also while it is missing."""
    return tuple(_stamp(file) for file in files)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
