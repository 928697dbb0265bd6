"""Cash over the reserve invests itself: beat looks at it once a trading day, and asks for a buy-only rebalance when it
has been idle for as long as its owner says.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from rebalancer.config.accounts_file import Account
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.rebalance_kinds import RebalanceKind, RebalanceMode
from rebalancer.domain.trading_sessions import is_weekday, market_open, trading_day
from rebalancer.ledger import idle_cash
from rebalancer.ledger.idle_cash import CHANNEL
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.planning.idle_cash import FRESH, idle_since, is_due
from rebalancer.services import Services

log = structlog.get_logger()

AFTER_OPEN = timedelta(minutes=30)
"""When the day's look is due: spreads are wide before."""


class IdleCash:
    """May run in several processes at once: each signal's id has its account and day, which makes one of it.

    Args:
        clock: now, UTC.
    """

    def __init__(self, services: Services, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._services = services
        self._clock = clock
        self._asked: set[str] = set()

    def look(self) -> None:
        """Ask for what is due; without an account that wants it, for nothing.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        try:
            accounts = self._services.accounts().active(self._services.settings.broker.trading_mode)
        except ConfigurationError:  # whoever has to act on the file tells
            return
        wanting = [account for account in accounts if account.rules.idle_cash_days is not None]
        now = self._clock()
        if not wanting or not self._is_time(now):
            return
        for account in wanting:
            self._look_at(account, now, timedelta(days=account.rules.idle_cash_days or 0))

    @staticmethod
    def _is_time(now: datetime) -> bool:
        today = trading_day(now)
        return is_weekday(today) and now >= market_open(today) + AFTER_OPEN

    def _look_at(self, account: Account, now: datetime, wait: timedelta) -> None:
        day = trading_day(now).isoformat()
        self._ask(account, Command.PRINT_REBALANCE, f"look:{account.account_id}:{day}", {})
        with self._services.ledger.begin() as session:
            found = idle_cash.looks(session, account.account_id, now - wait - FRESH)
            if not is_due(found, now, wait) or idle_cash.is_busy(session, account.account_id):
                return
        seen = {"idle_since": str(idle_since(found)), "share_of_equity": f"{found[-1].spare:.4f}"}
        self._ask(account, Command.REBALANCE, f"invest:{account.account_id}:{day}", seen)

    def _ask(self, account: Account, command: Command, message_id: str, payload: dict[str, str]) -> None:
        if message_id in self._asked:
            return
        mode = RebalanceMode.BUY_ONLY if command is Command.REBALANCE else RebalanceMode.FULL
        signal = NewSignal(CHANNEL, message_id, command, payload, kind=RebalanceKind(mode))
        recorded = self._services.dispatcher.submit(signal, [Addressee.of(account)])
        self._asked = {one for one in self._asked if one.endswith(message_id[-10:])} | {message_id}
        if not recorded.duplicate:
            log.info("idle_cash_asked", account_id=account.account_id, command=command, message_id=message_id)
