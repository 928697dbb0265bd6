"""One account's equity, cash and holdings, asked for now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain, repeat

from rebalancer.errors import Refused
from rebalancer.ibkr import asking, mapping
from rebalancer.ibkr.asking import AccountValues
from rebalancer.ibkr.session import Session
from rebalancer.model import AccountSnapshot

_EQUITY = "NetLiquidation"
_CASH = "TotalCashValue"
_RE_ASK_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Longest waits for a push before the account is asked for again; the last one repeats."""


def require_managed(session: Session, account_id: str) -> None:
    """Raise :class:`Refused` unless the login manages the account; IBKR answers for others with empty lists."""
    if account_id in session.accounts:
        return
    managed = ", ".join(sorted(session.accounts))
    raise Refused(
        "account_not_managed",
        f"the login does not manage {account_id}; it manages {managed}",
        {"account_id": account_id, "managed": managed},
    )


async def snapshot(session: Session, account_id: str) -> AccountSnapshot:
    """Holdings and values in one round trip.

    Raises:
        Refused: ``account_not_managed``, ``equity_missing``, ``equity_not_positive``, ``equity_currency``.
    """
    require_managed(session, account_id)
    held, values = await asyncio.gather(asking.positions(session), asking.account_values(session, account_id))
    return AccountSnapshot(
        account_id=account_id,
        at=datetime.now(UTC),
        net_liquidation=_equity(account_id, values),
        cash=_cash(account_id, values),
        settled_cash=_usd(values, "SettledCash"),
        available_funds=_usd(values, "AvailableFunds"),
        positions=tuple(mapping.position(row) for row in held if row.account == account_id),
        account_type=values.get(("AccountType", "")) or None,
        buying_power=_usd(values, "BuyingPower"),
        previous_equity=_usd(values, "PreviousDayEquityWithLoanValue"),
    )


async def booked_snapshot(
    session: Session, account_id: str, booked: Callable[[AccountSnapshot], bool], patience_s: float
) -> AccountSnapshot:
    """The account once it shows what ``booked`` looks for, asked again whenever something is pushed; after
    ``patience_s`` the account as it is.
    """
    deadline = asyncio.get_running_loop().time() + patience_s
    waits = chain(_RE_ASK_S, repeat(_RE_ASK_S[-1]))
    while True:
        found = await snapshot(session, account_id)
        left_s = deadline - asyncio.get_running_loop().time()
        if left_s <= 0 or booked(found):
            return found
        await _any_booking(session, min(next(waits), left_s))


async def _any_booking(session: Session, timeout_s: float) -> None:
    """Until the broker pushes a position or a cash movement may have followed a commission, at most ``timeout_s``."""
    heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_position(_position: object) -> None:
        if not heard.done():
            heard.set_result(None)

    session.ib.positionEvent += on_position
    try:
        await asyncio.wait((heard,), timeout=timeout_s)
    finally:
        session.ib.positionEvent -= on_position


def _usd(values: AccountValues, tag: str) -> Decimal | None:
    text = values.get((tag, mapping.CURRENCY))
    return None if text is None else mapping.decimal_text(text)


def _equity(account_id: str, values: AccountValues) -> Decimal:
    equity = _required(account_id, values, _EQUITY)
    if equity <= 0:
        reason = f"{_EQUITY} of {account_id} is {equity} USD"
        raise Refused("equity_not_positive", reason, {"net_liquidation": str(equity)})
    return equity


def _cash(account_id: str, values: AccountValues) -> Decimal:
    """Trade-date cash that exists in USD: buying with another currency's cash would borrow dollars against it."""
    total = _required(account_id, values, _CASH)
    dollars = _usd(values, "CashBalance")
    return total if dollars is None else min(total, dollars)


def _required(account_id: str, values: AccountValues, tag: str) -> Decimal:
    value = _usd(values, tag)
    if value is not None:
        return value
    found = {currency: text for (name, currency), text in values.items() if name == tag and currency != "BASE"}
    numbers = {"account_id": account_id, "tag": tag, **found}
    if found and mapping.CURRENCY not in found:
        listing = ", ".join(f"{text} {currency}" for currency, text in found.items())
        raise Refused("equity_currency", f"{tag} of {account_id} is in another currency than USD: {listing}", numbers)
    raise Refused("equity_missing", f"the broker sent no usable {tag} for {account_id}", numbers)
