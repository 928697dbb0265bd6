"""Market hours: orders go out only while every symbol of the plan trades."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rebalancer.domain.errors import Refused
from rebalancer.domain.orders import Instrument
from rebalancer.domain.outcomes import Blocked
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.trading_sessions import TradingSession, next_open, parse

UNKNOWN_FOR = timedelta(hours=6)
"""IBKR tells about a week ahead; whoever finds no session in that asks again after this time."""

LAST_ORDER = timedelta(seconds=15)
"""Before the close: an order that reaches the exchange after it would wait for the next open (code 399)."""

Calendars = Mapping[str, Sequence[TradingSession]]


@dataclass(frozen=True, slots=True)
class HoursPolicy:
    """When to trade.

    Attributes:
        extended: before and after regular hours too.
        delay / cutoff: away from the open and the close.
    """

    extended: bool
    delay: timedelta
    cutoff: timedelta

    @property
    def under_way(self) -> HoursPolicy:
        """For the later orders of a run, which may use the time that was kept for it."""
        return replace(self, delay=timedelta(), cutoff=min(self.cutoff, LAST_ORDER))


def calendars(instruments: Iterable[Instrument], policy: HoursPolicy) -> Calendars:
    """Sessions by symbol.

    Raises:
        Refused: ``market_hours_unknown``; unknown hours are not open hours.
    """
    found: dict[str, Sequence[TradingSession]] = {}
    problems: dict[str, str] = {}
    for one in instruments:
        try:
            found[one.symbol] = parse(one.trading_hours if policy.extended else one.liquid_hours, one.time_zone)
        except ValueError as error:
            problems[one.symbol] = str(error)
    if problems:
        listing = "; ".join(f"{symbol}: {problem}" for symbol, problem in sorted(problems.items()))
        raise Refused(Rule.MARKET_HOURS_UNKNOWN, f"hours that cannot be read: {listing}", problems)
    return found


def opening(known: Calendars, now: datetime, policy: HoursPolicy) -> datetime | None:
    """First moment from ``now`` on at which every symbol may be traded; ``None`` if no known session offers one."""
    moment = now
    while True:
        latest = moment
        for sessions in known.values():
            found = next_open(sessions, latest, policy.delay, policy.cutoff)
            if found is None:
                return None
            latest = found
        if latest == moment:
            return moment
        moment = latest


def closed(known: Calendars, now: datetime, policy: HoursPolicy) -> Blocked | None:
    """Why not to trade now, and until when."""
    moment = opening(known, now, policy)
    if moment == now:
        return None
    shut = [symbol for symbol in sorted(known) if opening({symbol: known[symbol]}, now, policy) != now]
    reason = f"market closed for {', '.join(shut)}"
    if moment is None:
        return Blocked(Rule.MARKET_HOURS, f"{reason}; no later session is known yet", now + UNKNOWN_FOR)
    return Blocked(Rule.MARKET_HOURS, f"{reason} until {moment:%Y-%m-%d %H:%M} UTC", moment)
