"""What IBKR's account values say.

IBKR's keys of one currency come plain or with a prefix, whose setting is on by default for new users of TWS and Gateway
10.47 and later (TWS API changelog, 8 May 2026).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import ZERO
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import NO_USD, Usd
from rebalancer.ibkr.mapping import CURRENCY, decimal_text

AccountValues = Mapping[tuple[str, str], str]
"""(key, currency) -> text; the currency is empty where none applies."""

EQUITY = "NetLiquidation"
TOTAL_CASH = "TotalCashValue"
SETTLED_CASH = "SettledCash"
_DOLLARS = "CashBalance"
_SETTLEMENT = ("SettledCashByDate", "SettledCashByDate-S")
_PREFIXES = ("", "$LEDGER-")
_BASE = "BASE"


def ready(values: AccountValues) -> bool:
    """False while IBKR says itself that the values may be out of date or incomplete, as after a restart."""
    return all(text.strip().lower() == "true" for (key, _), text in values.items() if key == "AccountReady")


def usd(values: AccountValues, key: str) -> Usd | None:
    """An account-wide amount; ``None`` without a usable one in USD."""
    text = values.get((key, CURRENCY))
    amount = None if text is None else decimal_text(text)
    return None if amount is None else Usd(amount)


def told(values: AccountValues, key: str) -> str:
    """A key as it came, in every currency, for a person."""
    return ", ".join(f"{text} {currency}" for (name, currency), text in values.items() if _plain(name) == key)


def equity(account_id: str, values: AccountValues) -> Usd:
    """Net liquidation, USD.

    Raises:
        Refused: ``equity_missing``, ``equity_currency``, ``equity_not_positive``.
    """
    found = _required(account_id, values, EQUITY)
    if found <= 0:
        reason = f"{EQUITY} of {account_id} is {found} USD"
        raise Refused(Rule.EQUITY_NOT_POSITIVE, reason, {"net_liquidation": str(found)})
    return found


def cash(account_id: str, values: AccountValues) -> Usd:
    """Trade-date cash that exists in USD, less what is owed in other currencies: buying with another currency's cash
    would borrow dollars against it.

    Raises:
        Refused: ``equity_missing``, ``equity_currency``, ``cash_missing``.
    """
    total = _required(account_id, values, TOTAL_CASH)
    dollars = list(_of_currency(values, _DOLLARS, CURRENCY))
    if dollars:
        return Usd(min(total, *dollars))
    listing = told(values, _DOLLARS)
    reason = f"the broker does not say how much cash of {account_id} is in USD; {_DOLLARS}: {listing or 'none'}"
    raise Refused(Rule.CASH_MISSING, reason, {"account_id": account_id, "tag": _DOLLARS, "found": listing})


def other_cash(account_id: str, values: AccountValues) -> Usd:
    """What IBKR, at its own rates, counts as cash beyond the cash in USD; together both are all cash.

    Raises:
        Refused: as :func:`cash`.
    """
    return Usd(_required(account_id, values, TOTAL_CASH) - cash(account_id, values))


def accrued(values: AccountValues) -> Usd:
    """Interest and dividends that net liquidation counts before they are paid, USD; negative where they are owed."""
    # Without the prefix, the account's own AccruedCash and that of its dollars share key and currency.
    whole = [*_of_currency(values, "AccruedCash", _BASE), usd(values, "AccruedCash")]
    interest = next((amount for amount in whole if amount is not None), ZERO)
    return Usd(interest + accrued_dividends(values))


def accrued_dividends(values: AccountValues) -> Usd:
    """Of them the dividends."""
    return usd(values, "AccruedDividend") or NO_USD


def stocks(values: AccountValues) -> Usd | None:
    """What IBKR values the stocks in USD at; ``None`` where it does not say."""
    return next(map(Usd, _of_currency(values, "StockMarketValue", CURRENCY)), None)


def settled(values: AccountValues, today: date) -> Usd | None:
    """USD that can be spent without owing any on a settlement day: the lowest balance from today on.

    IBKR lists what will have settled by each date, today first, trade-date cash last. Points before the newest one not
    after ``today`` are over. If all are later (a day without settlement), the lowest of them is the best bound known.

    Returns:
        ``None`` without a readable list of dollars, or of no currency where there is no other.
    """
    lists = [
        text
        for key in _SETTLEMENT
        for currency in (CURRENCY, *(("",) if _dollars_only(values) else ()))
        for text in _texts(values, key, currency)
    ]
    schedules = [_schedule(text) for text in lists]
    if not schedules or not all(schedules):
        return None
    return Usd(min(_lowest(points, today) for points in schedules))


def _required(account_id: str, values: AccountValues, key: str) -> Usd:
    value = usd(values, key)
    if value is not None:
        return value
    found = {currency: text for (name, currency), text in values.items() if name == key and currency != _BASE}
    numbers = {"account_id": account_id, "tag": key, **found}
    if found and CURRENCY not in found:
        listing = ", ".join(f"{text} {currency}" for currency, text in found.items())
        raise Refused(
            Rule.EQUITY_CURRENCY, f"{key} of {account_id} is in another currency than USD: {listing}", numbers
        )
    raise Refused(Rule.EQUITY_MISSING, f"the broker sent no usable {key} for {account_id}", numbers)


def _plain(key: str) -> str:
    return key.removeprefix(_PREFIXES[1])


def _texts(values: AccountValues, key: str, currency: str) -> list[str]:
    """A key of one currency in both spellings."""
    both = (values.get((f"{prefix}{key}", currency)) for prefix in _PREFIXES)
    return [text for text in both if text is not None]


def _of_currency(values: AccountValues, key: str, currency: str) -> Iterator[Decimal]:
    for text in _texts(values, key, currency):
        amount = decimal_text(text)
        if amount is not None:
            yield amount


def _dollars_only(values: AccountValues) -> bool:
    """Whether all cash is in dollars: no other currency has any, now or at a settlement."""
    known = {"", _BASE, CURRENCY}
    return not any(
        currency not in known and _plain(key) in {_DOLLARS, *_SETTLEMENT} and decimal_text(text) != 0
        for (key, currency), text in values.items()
    )


def _schedule(text: str) -> list[tuple[date, Decimal]]:
    """Points of ``20261002:1234.56;20261005:2345.67``; empty unless all can be read and the dates ascend."""
    points: list[tuple[date, Decimal]] = []
    for part in text.strip().rstrip(";").split(";"):
        day, _, amount = part.partition(":")
        balance = decimal_text(amount)
        try:
            on = datetime.strptime(day.strip(), "%Y%m%d").date()  # noqa: DTZ007 - a date of IBKR's, without time
        except ValueError:
            return []
        if balance is None or (points and on <= points[-1][0]):
            return []
        points.append((on, balance))
    return points


def _lowest(points: list[tuple[date, Decimal]], today: date) -> Decimal:
    over = [on for on, _ in points if on <= today]
    return min(balance for on, balance in points if not over or on >= over[-1])
