"""What IBKR's account values say.

IBKR's keys of one currency come plain or with a prefix, whose setting is on by default for new users of TWS and Gateway
10.47 and later (TWS API changelog, 8 May 2026). Amounts of the whole account are in its base currency; ``ExchangeRate``
says how much of that is one unit of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import BaseCurrency
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
_RATE = "ExchangeRate"
_LEAST_RATE, _MOST_RATE = Decimal("0.00001"), Decimal(100_000)
"""Units of a currency for a dollar: from about 0.3 (Kuwait) to some ten thousands (Iran, Vietnam) there are some."""
_ROUNDING = Decimal("0.05")
"""Amounts of one account are rounded each by itself."""


def ready(values: AccountValues) -> bool:
    """False while IBKR says itself that the values may be out of date or incomplete, as after a restart."""
    return all(text.strip().lower() == "true" for (key, _), text in values.items() if key == "AccountReady")


def base(account_id: str, values: AccountValues) -> BaseCurrency | None:
    """The currency that the account is kept in, with its rate; ``None`` for dollars.

    Raises:
        Refused: ``equity_currency``, the equity is told in several others; ``exchange_rate``, the rate is missing or
            makes no sense.
    """
    told_in = {currency for name, currency in values if name in {EQUITY, TOTAL_CASH}} - {_BASE, ""}
    if not told_in or CURRENCY in told_in:
        return None
    if len(told_in) > 1:
        _required(account_id, values, EQUITY, None)
    (currency,) = told_in
    listing = _told_of(values, _RATE, CURRENCY)
    rates = set(_of_currency(values, _RATE, CURRENCY))
    if len(rates) != 1 or not _LEAST_RATE <= min(rates) <= _MOST_RATE:
        reason = f"{account_id} is kept in {currency}, and the broker's {_RATE} for USD is {listing or 'missing'}"
        raise Refused(Rule.EXCHANGE_RATE, reason, {"account_id": account_id, "currency": currency, "rate": listing})
    return BaseCurrency(currency, min(rates), next(_of_currency(values, _DOLLARS, currency), ZERO))


def usd(values: AccountValues, key: str, base: BaseCurrency | None = None) -> Usd | None:
    """An account-wide amount; ``None`` without a usable one in the account's currency."""
    text = values.get((key, base.currency if base else CURRENCY))
    amount = None if text is None else decimal_text(text)
    if amount is None:
        return None
    return base.dollars(amount) if base else Usd(amount)


def told(values: AccountValues, key: str) -> str:
    """A key as it came, in every currency, for a person."""
    return ", ".join(f"{text} {currency}" for (name, currency), text in values.items() if _plain(name) == key)


def equity(account_id: str, values: AccountValues, base: BaseCurrency | None = None) -> Usd:
    """Net liquidation, USD.

    Raises:
        Refused: ``equity_missing``, ``equity_currency``, ``equity_not_positive``.
    """
    found = _required(account_id, values, EQUITY, base)
    if found <= 0:
        reason = f"{EQUITY} of {account_id} is {found} USD"
        raise Refused(Rule.EQUITY_NOT_POSITIVE, reason, {"net_liquidation": str(found)})
    return found


def cash(account_id: str, values: AccountValues, base: BaseCurrency | None = None) -> Usd:
    """Trade-date cash that exists in USD, less what is owed in other currencies: buying with another currency's cash
    would borrow dollars against it.

    Raises:
        Refused: ``equity_missing``, ``equity_currency``, ``cash_missing``.
    """
    total = _required(account_id, values, TOTAL_CASH, base)
    dollars = list(_of_currency(values, _DOLLARS, CURRENCY))
    if not dollars and base and not _told_of(values, _DOLLARS, CURRENCY) and _is_all(values, base):
        dollars = [ZERO]
    if dollars:
        return Usd(min(total, *dollars))
    listing = told(values, _DOLLARS)
    reason = f"the broker does not say how much cash of {account_id} is in USD; {_DOLLARS}: {listing or 'none'}"
    raise Refused(Rule.CASH_MISSING, reason, {"account_id": account_id, "tag": _DOLLARS, "found": listing})


def other_cash(account_id: str, values: AccountValues, base: BaseCurrency | None = None) -> Usd:
    """What IBKR, at its own rates, counts as cash beyond the cash in USD; together both are all cash.

    Raises:
        Refused: as :func:`cash`.
    """
    return Usd(_required(account_id, values, TOTAL_CASH, base) - cash(account_id, values, base))


def accrued(values: AccountValues, base: BaseCurrency | None = None) -> Usd:
    """Interest and dividends that net liquidation counts before they are paid, USD; negative where they are owed."""
    # Without the prefix, the account's own AccruedCash and that of its dollars share key and currency.
    told_of_all = next(_of_currency(values, "AccruedCash", _BASE), None)
    whole = base.dollars(told_of_all) if base and told_of_all is not None else told_of_all
    interest = usd(values, "AccruedCash", base) if whole is None else whole
    return Usd((interest or ZERO) + accrued_dividends(values, base))


def accrued_dividends(values: AccountValues, base: BaseCurrency | None = None) -> Usd:
    """Of them the dividends."""
    return usd(values, "AccruedDividend", base) or NO_USD


def stocks(values: AccountValues) -> Usd | None:
    """What IBKR values the stocks in USD at; ``None`` where it does not say."""
    return next(map(Usd, _of_currency(values, "StockMarketValue", CURRENCY)), None)


def settled(values: AccountValues, today: date, base: BaseCurrency | None = None) -> Usd | None:
    """USD that can be spent without owing any on a settlement day: the lowest balance from today on.

    IBKR lists what will have settled by each date, today first, trade-date cash last. Points before the newest one not
    after ``today`` are over. If all are later (a day without settlement), the lowest of them is the best bound known.

    Returns:
        ``None`` without a readable list of dollars, or of no currency where there is no other.
    """
    lists = [
        text
        for key in _SETTLEMENT
        for currency in (CURRENCY, *(("",) if base is None and _dollars_only(values) else ()))
        for text in _texts(values, key, currency)
    ]
    schedules = [_schedule(text) for text in lists]
    if not schedules or not all(schedules):
        return None
    return Usd(min(_lowest(points, today) for points in schedules))


def _required(account_id: str, values: AccountValues, key: str, base: BaseCurrency | None) -> Usd:
    value = usd(values, key, base)
    if value is not None:
        return value
    found = {currency: text for (name, currency), text in values.items() if name == key and currency != _BASE}
    numbers = {"account_id": account_id, "tag": key, **found}
    if found and CURRENCY not in found and base is None:
        listing = ", ".join(f"{text} {currency}" for currency, text in found.items())
        raise Refused(
            Rule.EQUITY_CURRENCY, f"{key} of {account_id} is in another currency than USD: {listing}", numbers
        )
    raise Refused(Rule.EQUITY_MISSING, f"the broker sent no usable {key} for {account_id}", numbers)


def _is_all(values: AccountValues, base: BaseCurrency) -> bool:
    """Whether the cash in the base currency is all cash that there is."""
    total = decimal_text(values.get((TOTAL_CASH, base.currency), ""))
    listed = [*_of_currency(values, _DOLLARS, base.currency)]
    return total is not None and bool(listed) and abs(total - base.cash) <= _ROUNDING


def _told_of(values: AccountValues, key: str, currency: str) -> str:
    """A key of one currency as it came."""
    return ", ".join(_texts(values, key, currency))


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
