"""Six accounts at a broker as real ones are: with margin, cash only, retirement, in euros; three strategies, a blend,
shares that their owner keeps, a reserve in a fund, cash that invests itself, cash by a day, orders that are worked
patiently; a seed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import yaml

from sandbox.fault_trials.cast import Cast
from sandbox.gateway.scenario import SCENARIOS

STRATEGIES: Mapping[str, tuple[str, str]] = {
    "alpha": ("DU3000001", "DU3000002"),
    "beta": ("DU3000003", "DU3000004"),
    "gamma": ("DU3000005", "DU3000006"),
}
BLENDS: Mapping[str, Mapping[str, int]] = {"DU3000006": {"gamma": 60, "alpha": 40}}
"""Accounts that follow another strategy besides; percent."""
KEPT: Mapping[str, Mapping[str, int]] = {"DU3000001": {"KO": 30}}
"""Shares that belong to nobody's strategy, beside those that do."""
FUNDS: Mapping[str, str] = {"DU3000004": "SGOV"}
"""Where accounts have their reserve, but for a part in cash."""
STYLES: Mapping[str, str] = {"DU3000004": "adaptive-normal"}
"""Accounts whose orders are worked otherwise than at once."""
IDLE: Mapping[str, Mapping[str, Any]] = {
    "DU3000001": {"invest_idle_cash_after": 1, "cash_reserve_percent": 6},
}
"""Accounts whose idle cash invests itself, and what their owners keep at first."""
FREED: Mapping[str, Mapping[str, Any]] = {"DU3000001": {"cash_reserve_percent": 1}}
"""What these keep in the end: the rest lies idle, and no strategy publishes any more."""
PAYS_OUT = "DU3000006"
"""Whose owner wants cash by a day."""
LEAVES_CASH = "alpha"
"""The strategy whose targets leave a part in cash at times."""
GUARDS: Mapping[str, Mapping[str, Any]] = {
    "alpha": {"canary": {"within_minutes": 1}},
    "beta": {"breaker_accounts": 2},
}
"""Where strategies have them: one account trades a signal first, and the same refusal in both holds both."""
PARTNERS = frozenset({"DU3000002", "DU3000005", "DU3000006"})
"""At a second login, where there is one: of each kind one, and two that share a strategy with accounts of the first."""
CASH = frozenset({"DU3000003", "DU3000005"})
"""Without margin: what a sale brings may be spent on the next trading day."""
RETIREMENT = frozenset({"DU3000005", "DU3000006"})
EUROS = frozenset({"DU3000002"})
"""Kept in euros, most of their cash too, of which they convert what their buys need; idle dollars go back."""
EURO_USD = 1.25
DOLLARS_OF_EUROS = 0.3
"""Part of their cash that is in dollars at the start."""
PAIR: Mapping[str, Any] = {
    "con_id": 12_087_792,
    "name": "European Monetary Union Euro",
    "security_type": "CASH",
    "symbol": "EUR",
    "currency": "USD",
    "exchange": "IDEALPRO",
    "price": EURO_USD,
    "spread_bps": 1,
    "min_tick": 0.00005,
    "odd_lot_below": 20_000,
    "odd_lot_bps": 2,
}
POOL = ("SPY", "QQQ", "IWM", "GLD", "TLT", "EFA", "VNQ", "XLE", "KO", "JPM", "AAPL", "MSFT", "USMV", "DBC")
ELSEWHERE: Mapping[str, Mapping[str, Any]] = {
    f"{symbol} LSE": {"symbol": symbol, "con_id": 990_000 + number, "price": 10 * number, "exchange": "LSEETF"}
    for number, symbol in enumerate(POOL[:6], start=1)
}
"""Contracts in USD with the same tickers, which are none of the targets: who holds them keeps them."""
SETTINGS = {
    "MAX_RUN_TURNOVER_PERCENT": "250",
    "MAX_DAY_TURNOVER_PERCENT": "1000",
    "ORDER_TIMEOUT_S": "10",
    "ORDER_ACK_TIMEOUT_S": "3",
    "CANCEL_TIMEOUT_S": "5",
    "BROKER_GRACE_S": "2",
    "MARKET_CLOSE_CUTOFF_S": "60",
    "LEASE_S": "3",
    "TARGET_TOLERANCE_PERCENT": "0.2",
    "WASH_SALES": "warn",
    "STYLE_PATIENCE_S": "3",
    "WALK_STEP_S": "1",
}
"""As patient as a trial of seconds allows; some accounts trade more in it than may be traded a day unasked."""


def weights(chance: random.Random, strategy: str, *, last: bool = False) -> dict[str, float]:
    """Targets of three to six symbols, 100 % in all; or, where the strategy leaves cash, half of that at times, and at
    ``last`` mostly: what was invested is sold then.
    """
    symbols = chance.sample(POOL, chance.randint(3, 6))
    parts = [chance.randint(100, 300) for _ in symbols]
    made = {symbol: round(part / sum(parts), 4) for symbol, part in zip(symbols, parts, strict=True)}
    rest = symbols[-1]
    made[rest] = round(1 - sum(made.values()) + made[rest], 4)
    invested = chance.choice((1, 0.5, 0.5) if last else (1, 1, 1, 0.5)) if strategy == LEAVES_CASH else 1
    return {symbol: round(weight * invested, 5) for symbol, weight in made.items()}


def follows(account_id: str, strategy: str) -> dict[str, Any]:
    """What an entry of the accounts file says of it."""
    if account_id not in BLENDS:
        return {"strategy_name": strategy}
    return {"strategies": [{"name": name, "weight": weight} for name, weight in BLENDS[account_id].items()]}


def cast(chance: random.Random, broken: str = "") -> Cast:
    """Accounts, targets and a broker with quirks of its own."""
    return Cast(
        accounts=[
            {
                "account_id": account_id,
                "type": "paper",
                "cash_reserve_percent": reserve,
                "allow_cash_share": True,
                **follows(account_id, strategy),
                **({"hold": dict(KEPT[account_id])} if account_id in KEPT else {}),
                **({"reserve_symbol": FUNDS[account_id]} if account_id in FUNDS else {}),
                **({"fx": "convert", "fx_back": "convert"} if account_id in EUROS else {}),
                **({"order_style": STYLES[account_id]} if account_id in STYLES else {}),
                **IDLE.get(account_id, {}),
            }
            for strategy, accounts in STRATEGIES.items()
            for account_id, reserve in zip(accounts, (chance.choice((0, 0.5, 2)), 1), strict=True)
        ],
        targets={strategy: weights(chance, strategy) for strategy in STRATEGIES},
        scenario=_scenario(chance),
        workers=2,
        settings=SETTINGS,
        broken=broken,
    )


def _scenario(chance: random.Random) -> dict[str, Any]:
    default = yaml.safe_load((SCENARIOS / "default.yaml").read_text())
    fills = chance.choice(
        [
            {"mode": "instant"},
            {"mode": "delayed", "delay_ms": chance.randint(50, 800)},
            {
                "mode": "partial",
                "delay_ms": 100,
                "interval_ms": chance.randint(50, 300),
                "slices": chance.randint(2, 5),
            },
        ]
    )
    return {
        "market": default["market"],
        "instruments": default["instruments"]
        | {name: dict(one, name=name) for name, one in ELSEWHERE.items()}
        | {"EUR.USD": dict(PAIR)},
        "currencies": {"EUR": EURO_USD},
        "gateway": {
            "latency_ms": chance.choice((0, 5, 50)),
            "ledger_prefix": chance.random() < 0.5,
            "time_zone": chance.choice(("US/Eastern", "US/Eastern", "Europe/Berlin", "Asia/Tokyo")),
            "execution_time": chance.choice(("zone", "local", "utc")),
            "clock_ahead_s": chance.choice((0, 0, 1, -1)),
            "completed_order_omits": chance.choice((["quantity"], ["quantity", "order_ref"], ["account"])),
        },
        "quotes": {"move_bps_per_s": 0},
        "fills": fills,
        "orders": {
            "life": chance.choice(("orderly", "captured", "filled_first")),
            "commission_delay_ms": chance.choice((0, 200)),
            "cancel_delay_ms": chance.choice((0, 200)),
            "market_order_cushion": 0.05,
        },
        "accounts": {account: _account(account, chance) for accounts in STRATEGIES.values() for account in accounts},
    }


def _account(account_id: str, chance: random.Random) -> dict[str, Any]:
    held = {} if account_id in CASH else {symbol: chance.randint(20, 200) for symbol in chance.sample(POOL, 2)}
    for symbol, count in KEPT.get(account_id, {}).items():
        held[symbol] = held.get(symbol, 0) + count
    if chance.random() < 0.4:
        held[chance.choice(list(ELSEWHERE))] = chance.randint(5, 100)
    cash = chance.randint(60_000, 400_000)
    return {
        "type": "IRA" if account_id in RETIREMENT else "INDIVIDUAL",
        "margin": account_id not in CASH,
        **(_in_euros(cash) if account_id in EUROS else {"cash": cash}),
        "positions": {symbol: {"quantity": count, "average_cost": 100} for symbol, count in held.items()},
        "positions_lag_ms": chance.choice((0, 300, 1500)),
        "values_lag_ms": chance.choice((0, 0, 500)),
        "funds_lag_ms": chance.choice((0, 0, 1000)),
    }


def _in_euros(usd: int) -> dict[str, Any]:
    dollars = round(usd * DOLLARS_OF_EUROS)
    return {"base_currency": "EUR", "cash": dollars, "other_cash": {"EUR": round((usd - dollars) / EURO_USD)}}
