"""An account's values under IBKR's keys, as the update stream and the account summary name them.

The two differ: ``SettledCash``, ``Leverage`` and ``DayTradesRemaining`` come in summaries only, ``SettledCashByDate``
in updates only, and only updates may have ``$LEDGER-`` in front of the keys of one currency.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from rebalancer.domain.money import ONE, ZERO, cents
from sandbox.gateway.exchange_accounts import USD, Valuation

LEDGER_TAG = "$LEDGER"
LEDGER_PREFIX = "$LEDGER-"
BASE = "BASE"


@dataclass(frozen=True, slots=True)
class AccountValue:
    """One key of one account; ``currency`` is empty where none applies."""

    key: str
    value: str
    currency: str


@dataclass(frozen=True, slots=True)
class AccountView:
    """What clients are shown of an account at one moment.

    Attributes:
        books: equity, cash and holdings.
        funds: from which what the account may spend is told; it may lag further behind than ``books``.
        today: New York's date.
        ready: the broker calls the values complete.
        share: part of each amount that is shown.
    """

    books: Valuation
    funds: Valuation
    today: date
    ready: bool = True
    share: Decimal = ONE

    def text(self, usd: Decimal) -> str:
        """An amount of the whole account, in its base currency."""
        return self.own(usd / self.books.rate(self.books.state.base_currency))

    def own(self, amount: Decimal) -> str:
        """An amount in the currency that it is in."""
        return format(cents(amount * self.share), "f")


def update_values(view: AccountView, prefix: str) -> tuple[AccountValue, ...]:
    """Everything that an account-updates subscription sends."""
    base = view.books.state.base_currency
    plain = {key: text for key, text in _plain(view).items() if key not in _SUMMARY_ONLY}
    return (
        *(AccountValue(key, text, "") for key, text in plain.items()),
        *(AccountValue(key, view.text(usd), base) for key, usd in _money(view).items()),
        AccountValue("SettledCashByDate", _settlement(view), USD),
        *ledger(view, prefix),
    )


def ledger(view: AccountView, prefix: str = "") -> tuple[AccountValue, ...]:
    """The cash ledger per currency, and converted to the base currency."""
    return tuple(
        AccountValue(f"{prefix}{key}", text, currency)
        for currency in dict.fromkeys((BASE, view.books.state.base_currency, USD, *view.books.state.other_cash))
        for key, text in _of_currency(view, currency)
    )


def summary(view: AccountView, tags: Iterable[str]) -> tuple[AccountValue, ...]:
    """The values that an account summary asks for; unknown tags have none."""
    plain, money = _plain(view), _money(view)
    if not view.books.state.margin:
        money = {**money, "SettledCash": view.books.state.settled}
    found: list[AccountValue] = []
    for tag in tags:
        if tag.startswith(LEDGER_TAG):
            found += ledger(view)
        elif tag in plain:
            found.append(AccountValue(tag, plain[tag], ""))
        elif tag in money:
            found.append(AccountValue(tag, view.text(money[tag]), view.books.state.base_currency))
    return tuple(found)


_SUMMARY_ONLY = frozenset({"DayTradesRemaining", "Leverage"})


def _plain(view: AccountView) -> Mapping[str, str]:
    books = view.books
    equity = books.net_liquidation
    cushion = (books.equity_with_loan - books.maintenance_margin) / equity if equity > 0 else ZERO
    return {
        "AccountCode": books.state.account_id,
        "AccountReady": "true" if view.ready else "false",
        "AccountType": books.state.type,
        "Cushion": format(cushion.quantize(Decimal("0.000001")), "f"),
        "DayTradesRemaining": "-1",
        "Leverage": format((books.gross / equity).quantize(Decimal("0.01")), "f") if equity > 0 else "0.00",
        "LookAheadNextChange": "0",
        "TradingType-S": "STKMRGN" if books.state.margin else "STKCASH",
    }


def _money(view: AccountView) -> Mapping[str, Decimal]:
    """Account-wide amounts, USD."""
    books, funds = view.books, view.funds
    amounts = {
        "AccruedCash": books.state.accrued_interest,
        "AccruedDividend": books.state.accrued_dividends,
        "BuyingPower": funds.buying_power,
        "EquityWithLoanValue": funds.equity_with_loan,
        "GrossPositionValue": books.gross,
        "NetLiquidation": books.net_liquidation,
        "PreviousDayEquityWithLoanValue": (
            books.net_liquidation if books.previous_equity is None else books.previous_equity
        ),
        "TotalCashValue": books.total_cash,
    }
    for prefix in ("", "Full", "LookAhead"):
        amounts[f"{prefix}AvailableFunds"] = funds.available
        amounts[f"{prefix}ExcessLiquidity"] = funds.equity_with_loan - funds.maintenance_margin
        amounts[f"{prefix}InitMarginReq"] = funds.initial_margin
        amounts[f"{prefix}MaintMarginReq"] = funds.maintenance_margin
    return amounts


def _settlement(view: AccountView) -> str:
    """USD settled today, and once everything has settled: ``20261002:1234.56;20261005:2345.67``."""
    state = view.books.state
    points = {view.today: state.settled}
    if state.unsettled and state.settlement is not None:
        points[max(state.settlement, view.today)] = state.cash
    return ";".join(f"{day:%Y%m%d}:{view.own(amount)}" for day, amount in points.items())


def _of_currency(view: AccountView, currency: str) -> Iterator[tuple[str, str]]:
    """Keys and texts of one currency; of all of them, in the base currency, for ``BASE``."""
    books, base = view.books, view.books.state.base_currency
    rate = books.rate(base) if currency == BASE else books.rate(currency)
    usd = {USD: _in_dollars(books), BASE: _in_all_currencies(books)}.get(currency)
    if usd is None:
        cash = books.state.other_cash.get(currency, ZERO) * rate
        usd = dict.fromkeys(_in_dollars(books), ZERO) | {
            "CashBalance": cash,
            "NetLiquidationByCurrency": cash,
            "TotalCashBalance": cash,
        }
    yield "Currency", currency
    yield "ExchangeRate", "1.00" if currency in (BASE, base) else f"{rate / books.rate(base):.7f}"
    for key, amount in usd.items():
        yield key, view.own(amount / rate)


def _in_dollars(books: Valuation) -> dict[str, Decimal]:
    state = books.state
    accrued = state.accrued_interest + state.accrued_dividends
    return {
        "AccruedCash": state.accrued_interest,
        "CashBalance": state.cash,
        "NetDividend": state.accrued_dividends,
        "NetLiquidationByCurrency": state.cash + books.holdings + accrued,
        "OptionMarketValue": books.of_kind("OPT"),
        "RealizedPnL": sum((holding.realized for holding in state.holdings.values()), ZERO),
        "StockMarketValue": books.of_kind("STK"),
        "TotalCashBalance": state.cash,
        "UnrealizedPnL": sum((books.unrealized(symbol) for symbol in state.holdings), ZERO),
    }


def _in_all_currencies(books: Valuation) -> dict[str, Decimal]:
    return _in_dollars(books) | {
        "CashBalance": books.total_cash,
        "NetLiquidationByCurrency": books.net_liquidation,
        "TotalCashBalance": books.total_cash,
    }
