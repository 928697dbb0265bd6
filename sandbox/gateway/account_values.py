"""An account's values under IBKR's keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from rebalancer.money import ZERO, cents
from sandbox.gateway.accounts import Valuation

LEDGER_TAG = "$LEDGER"
_MONEY = (
    "AccruedCash",
    "AvailableFunds",
    "BuyingPower",
    "EquityWithLoanValue",
    "ExcessLiquidity",
    "FullAvailableFunds",
    "FullExcessLiquidity",
    "FullInitMarginReq",
    "FullMaintMarginReq",
    "GrossPositionValue",
    "InitMarginReq",
    "LookAheadAvailableFunds",
    "LookAheadExcessLiquidity",
    "LookAheadInitMarginReq",
    "LookAheadMaintMarginReq",
    "MaintMarginReq",
    "NetLiquidation",
    "PreviousDayEquityWithLoanValue",
    "SettledCash",
    "TotalCashValue",
)


@dataclass(frozen=True, slots=True)
class AccountValue:
    """One key of one account; ``currency`` is empty where none applies."""

    key: str
    value: str
    currency: str


def all_values(valuation: Valuation) -> tuple[AccountValue, ...]:
    """Everything that an account-updates subscription sends."""
    plain = _plain(valuation).items()
    return (
        *(AccountValue(key, text, "") for key, text in plain),
        *(AccountValue(key, text, "USD") for key, text in _money(valuation).items()),
        *ledger(valuation),
    )


def ledger(valuation: Valuation) -> tuple[AccountValue, ...]:
    """The cash ledger per currency, and converted to the base currency."""
    return tuple(_ledger(valuation))


def summary(valuation: Valuation, tags: Iterable[str]) -> tuple[AccountValue, ...]:
    """The values that an account summary asks for; unknown tags have none."""
    plain, money = _plain(valuation), _money(valuation)
    found: list[AccountValue] = []
    for tag in tags:
        if tag.startswith(LEDGER_TAG):
            found += ledger(valuation)
        elif tag in plain:
            found.append(AccountValue(tag, plain[tag], ""))
        elif tag in money:
            found.append(AccountValue(tag, money[tag], "USD"))
    return tuple(found)


def _plain(valuation: Valuation) -> Mapping[str, str]:
    equity = valuation.net_liquidation
    cushion = (equity - valuation.maintenance_margin) / equity if equity > 0 else ZERO
    return {
        "AccountCode": valuation.state.account_id,
        "AccountReady": "true",
        "AccountType": valuation.state.type,
        "Cushion": format(cushion.quantize(Decimal("0.000001")), "f"),
        "DayTradesRemaining": "-1",
        "Leverage": format((valuation.gross / equity).quantize(Decimal("0.01")), "f") if equity > 0 else "0.00",
        "LookAheadNextChange": "0",
    }


def _money(valuation: Valuation) -> Mapping[str, str]:
    equity, initial, maintenance = (
        valuation.net_liquidation,
        valuation.initial_margin,
        valuation.maintenance_margin,
    )
    amounts = dict.fromkeys(_MONEY, equity) | {
        "AccruedCash": ZERO,
        "BuyingPower": valuation.buying_power,
        "GrossPositionValue": valuation.gross,
        "PreviousDayEquityWithLoanValue": equity if valuation.previous_equity is None else valuation.previous_equity,
        "SettledCash": valuation.state.settled,
        "TotalCashValue": valuation.state.cash,
    }
    for prefix in ("", "Full", "LookAhead"):
        amounts[f"{prefix}AvailableFunds"] = equity - initial
        amounts[f"{prefix}ExcessLiquidity"] = equity - maintenance
        amounts[f"{prefix}InitMarginReq"] = initial
        amounts[f"{prefix}MaintMarginReq"] = maintenance
    return {key: format(cents(amounts[key]), "f") for key in _MONEY}


def _ledger(valuation: Valuation) -> Iterator[AccountValue]:
    symbols = valuation.state.holdings
    amounts = {
        "AccruedCash": ZERO,
        "CashBalance": valuation.state.cash,
        "NetLiquidationByCurrency": valuation.net_liquidation,
        "RealizedPnL": sum((holding.realized for holding in symbols.values()), ZERO),
        "StockMarketValue": sum((valuation.value(symbol) for symbol in symbols), ZERO),
        "TotalCashBalance": valuation.state.cash,
        "UnrealizedPnL": sum((valuation.unrealized(symbol) for symbol in symbols), ZERO),
    }
    for currency in ("BASE", "USD"):
        yield AccountValue("Currency", currency, currency)
        yield AccountValue("ExchangeRate", "1.00", currency)
        for key, amount in amounts.items():
            yield AccountValue(key, format(cents(amount), "f"), currency)
