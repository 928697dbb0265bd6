"""One account's equity, cash and holdings, asked for now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, repeat

from rebalancer.domain.errors import GatewayUnavailable, Refused
from rebalancer.domain.portfolio import AccountSnapshot, Position
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.ibkr import account_keys as keys
from rebalancer.ibkr import asking
from rebalancer.ibkr.account_keys import AccountValues
from rebalancer.ibkr.account_stream import AccountStream
from rebalancer.ibkr.ahead import Ahead
from rebalancer.ibkr.mapping import EXCHANGED
from rebalancer.ibkr.session import GatewaySession
from rebalancer.planning.buying_power import has_margin

_RE_ASK_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Longest waits for a push before the account is asked for again; the last one repeats."""


def require_managed(session: GatewaySession, account_id: str) -> None:
    """Raise :class:`Refused` unless the login manages the account; IBKR answers for others with empty lists."""
    if account_id in session.accounts:
        return
    managed = ", ".join(sorted(session.accounts))
    raise Refused(
        Rule.ACCOUNT_NOT_MANAGED,
        f"the login does not manage {account_id}; it manages {managed}",
        {"account_id": account_id, "managed": managed},
    )


async def booked_snapshot(
    session: GatewaySession,
    account_id: str,
    booked: Callable[[AccountSnapshot], bool],
    patience_s: float,
    ahead: Ahead,
    *,
    pushed: bool = False,
) -> AccountSnapshot:
    """The account once its values are ready and it shows what ``booked`` looks for, asked again whenever something is
    pushed; after ``patience_s`` the account as it is.

    Args:
        pushed: what the broker has pushed may be the answer, if it shows that.

    Raises:
        Refused: ``account_not_managed``, ``equity_missing``, ``equity_not_positive``, ``equity_currency``,
            ``exchange_rate``, ``cash_missing``.
        GatewayUnavailable: ``account_not_ready``, for all of ``patience_s``.
    """
    require_managed(session, account_id)
    deadline = asyncio.get_running_loop().time() + patience_s
    waits = chain(_RE_ASK_S, repeat(_RE_ASK_S[-1]))
    with ahead.stream(session, account_id) as stream:
        if pushed and (shown := await _pushed(session, account_id, booked, stream)) is not None:
            return shown
        while True:
            held, values = await ahead.holdings(session, account_id, stream)
            is_ready = keys.ready(values)
            seen = await _snapshot(session, account_id, held, values) if is_ready else None
            left_s = deadline - asyncio.get_running_loop().time()
            if seen is not None and (left_s <= 0 or booked(seen)):
                return seen
            if left_s <= 0:
                raise GatewayUnavailable(_not_ready(account_id, values, patience_s))
            await stream.any_booking(min(next(waits), left_s))


async def _pushed(
    session: GatewaySession, account_id: str, booked: Callable[[AccountSnapshot], bool], stream: AccountStream
) -> AccountSnapshot | None:
    """The account as it was pushed, if it shows that. Fills are told over another connection, and may be heard a moment
    before: it is waited for, since a question would take longer.
    """
    deadline = asyncio.get_running_loop().time() + _RE_ASK_S[0]
    while (shown := stream.shown()) is not None:
        if keys.ready(shown[1]) and booked(found := await _snapshot(session, account_id, *shown)):
            return found
        left_s = deadline - asyncio.get_running_loop().time()
        if left_s <= 0:
            break
        await stream.any_booking(left_s)
    return None


async def _snapshot(
    session: GatewaySession, account_id: str, held: Sequence[Position], values: AccountValues
) -> AccountSnapshot:
    """Holdings and values, of one round trip; without the virtual positions that list what was traded of a pair of
    currencies, and no cash (IBKR, *FX Portfolio*).
    """
    base = keys.base(account_id, values)
    found = AccountSnapshot(
        account_id=account_id,
        at=datetime.now(UTC),
        net_liquidation=keys.equity(account_id, values, base),
        cash=keys.cash(account_id, values, base),
        settled_cash=keys.settled(values, trading_day(datetime.now(UTC)), base),
        available_funds=keys.usd(values, "AvailableFunds", base),
        positions=tuple(one for one in held if one.security_type != EXCHANGED),
        account_type=values.get(("AccountType", "")) or None,
        buying_power=keys.usd(values, "BuyingPower", base),
        previous_equity=keys.usd(values, "PreviousDayEquityWithLoanValue", base),
        other_cash=keys.other_cash(account_id, values, base),
        accrued=keys.accrued(values, base),
        accrued_dividends=keys.accrued_dividends(values, base),
        stock_value=keys.stocks(values),
        trading_type=values.get(("TradingType-S", "")) or None,
        base=base,
    )
    if found.settled_cash is not None or has_margin(found):
        return found
    summary = await asking.account_summary(session, account_id, [keys.SETTLED_CASH])
    return replace(found, settled_cash=keys.usd(summary, keys.SETTLED_CASH))


def _not_ready(account_id: str, values: AccountValues, patience_s: float) -> str:
    told = ", ".join(f"{key} {text}" for key in (keys.EQUITY, keys.TOTAL_CASH) if (text := keys.told(values, key)))
    reason = f"account_not_ready: the broker says of {account_id} that its values are incomplete (AccountReady false)"
    return f"{reason}, for {patience_s:g} s; so far {told or 'none'}"
