"""One account's equity, cash and holdings, asked for now."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

from rebalancer.errors import Refused
from rebalancer.ibkr import asking, mapping
from rebalancer.ibkr.asking import AccountValues
from rebalancer.ibkr.session import Session
from rebalancer.model import AccountSnapshot

_EQUITY = "NetLiquidation"
_CASH = "TotalCashValue"


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
    )


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
