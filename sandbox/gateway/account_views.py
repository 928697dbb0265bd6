"""What clients are shown of the accounts: it may lag behind the books, and be incomplete after a start."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from rebalancer.domain.money import ONE, ZERO
from sandbox.gateway import scenario
from sandbox.gateway.account_values import AccountView
from sandbox.gateway.behaviour import Behaviour
from sandbox.gateway.exchange_accounts import Holding, Valuation
from sandbox.gateway.exchange_events import Lagging
from sandbox.gateway.hours import trading_day


class AccountViews:
    """Keeps how each account looked before the changes that are not shown yet.

    Args:
        after: runs something after so many seconds, at once after none.
        valuation: an account as it is.
        changed: told of an account, and of a symbol whose holding changed, when clients may see something new.
    """

    def __init__(
        self,
        setup: scenario.Scenario,
        clock: Callable[[], datetime],
        after: Callable[[float, Callable[[], object]], None],
        valuation: Callable[[str], Valuation],
        changed: Callable[[str, str | None], None],
        *,
        behaviour: Behaviour,
    ) -> None:
        self._setup = setup
        self._clock = clock
        self._after = after
        self._valuation = valuation
        self._changed = changed
        self._starting = 0
        self._behaviour = behaviour
        self._shown_at: dict[tuple[Lagging, str], datetime] = {}
        self._lag_s: dict[str, dict[Lagging, float]] = {}
        self._before: defaultdict[tuple[Lagging, str], deque[Valuation]] = defaultdict(deque)

    @property
    def ready(self) -> bool:
        """The gateway has loaded its accounts."""
        return not self._starting

    def start(self) -> None:
        """The gateway starts: for a while it has not loaded its accounts."""
        not_ready_s = float(self._setup.gateway.not_ready_ms) / 1000
        if not_ready_s:
            self._starting += 1
            self._after(not_ready_s, self._loaded)

    def of(self, account: str) -> AccountView:
        """Account values as they are told now."""
        books = self._shown("values", account)
        waiting = self._before["funds", account]
        return AccountView(
            books=books,
            funds=waiting[0] if waiting else books,
            today=trading_day(self._clock()),
            ready=self.ready,
            share=ONE if self.ready else self._setup.gateway.not_ready_values,
        )

    def holdings(self, account: str) -> Mapping[str, Holding]:
        """Positions as they are told now, sold-out ones with quantity 0."""
        state = self._shown("positions", account).state
        virtual = {pair: Holding(quantity, ZERO) for pair, quantity in state.exchanged.items()}
        found = {**state.holdings, **virtual}
        if self.ready:
            return found
        count = int(Decimal(len(found)) * self._setup.gateway.not_ready_positions)
        return dict(list(found.items())[:count])

    def changing(self, account: str) -> None:
        """The books are about to change. No change is shown before an earlier one."""
        now = self._clock()
        self._lag_s[account] = lags_s = self._lags_s(account, now)
        for part, lag_s in lags_s.items():
            if lag_s:
                self._shown_at[part, account] = now + timedelta(seconds=lag_s)
                waiting = self._before[part, account]
                waiting.append(self._valuation(account))
                self._after(lag_s, waiting.popleft)

    def told_after_s(self, account: str, symbol: str | None) -> list[tuple[float, str | None]]:
        """When clients hear of a change of the books: seconds, and the symbol where its holding is shown by then."""
        lags_s = self._lag_s[account]
        return [(lag_s, symbol if lag_s == lags_s["positions"] else None) for lag_s in sorted(set(lags_s.values()))]

    def _shown(self, part: Lagging, account: str) -> Valuation:
        waiting = self._before[part, account]
        return waiting[0] if waiting else self._valuation(account)

    def _lags_s(self, account: str, now: datetime) -> dict[Lagging, float]:
        wish = self._setup.accounts[account]
        own_ms: dict[Lagging, Decimal] = {
            "positions": wish.positions_lag_ms,
            "values": wish.values_lag_ms,
            "funds": max(wish.funds_lag_ms, wish.values_lag_ms),
        }
        return {part: max(float(ms) / 1000, self._at_least(part, account, now)) for part, ms in own_ms.items()}

    def _at_least(self, part: Lagging, account: str, now: datetime) -> float:
        before_it = self._shown_at.get((part, account), now) - now
        return max(self._behaviour.lag_s(part), before_it.total_seconds(), 0.0)

    def _loaded(self) -> None:
        self._starting -= 1
        if self.ready:
            for account in self._setup.accounts:
                for symbol in (None, *self._valuation(account).state.holdings):
                    self._changed(account, symbol)
