"""The scenario: one YAML file that says everything about a simulated gateway."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from rebalancer.config.yaml_file import Document, read_yaml
from rebalancer.domain.currencies import CurrencyPair
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.money import CENT
from rebalancer.domain.portfolio import FeeSchedule
from rebalancer.domain.units import Ratio, Usd
from sandbox.gateway.exchange_accounts import USD
from sandbox.gateway.fault_settings import Faults
from sandbox.gateway.fill_rules import AdaptiveScans, Exact, FillRules, NotNegative, Part, Positive
from sandbox.gateway.wire import MAX_VERSION, MIN_VERSION

_FEES = FeeSchedule()
SCENARIOS = Path(__file__).parent.parent / "scenarios"


Share = Annotated[Exact, Field(ge=0, le=1)]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name} is no time zone of the IANA database; zone_name says how it is written") from error
    return name


class Gateway(Part):
    """How the gateway presents itself and what it tolerates.

    Attributes:
        ledger_prefix: ``$LEDGER-`` stands before the keys of one currency, as TWS 10.47 has it for new users.
        not_ready_ms: after each start, so long ``AccountReady`` is false.
        not_ready_positions / not_ready_values: share of the position rows, and of the amounts, shown meanwhile.
        time_zone: its own zone; the lists of executions and completed orders begin at midnight there.
        zone_name: how it writes that zone, for example ``JST`` or ``China Standard Time``, if not by its name.
        execution_time: with the zone, without one, or as UTC with a hyphen.
        clock_ahead_s: how far its clock is ahead of the true time.
        completed_order_omits: what it leaves out of completed orders; real ones leave the quantity out of filled ones.
        numbers_from: beyond which its permanent ids and execution ids begin; no two logins of one broker share any.
    """

    server_version: Annotated[int, Field(ge=MIN_VERSION, le=MAX_VERSION)] = MAX_VERSION
    latency_ms: NotNegative = Decimal(0)
    read_only: bool = False
    master_client_id: int | None = None
    max_clients: Annotated[int, Field(gt=0)] = 32
    max_market_data_lines: Annotated[int, Field(gt=0)] = 100
    max_account_summaries: Annotated[int, Field(gt=0)] = 2
    max_orders_per_side: Annotated[int, Field(gt=0)] = 20
    messages_per_window: Annotated[int, Field(gt=0)] = 50
    # A little less than IBKR's second: a client that paces itself exactly must not be refused for our jitter.
    message_window_s: Positive = Decimal("0.8")
    rate_violations_before_close: Annotated[int, Field(gt=0)] | None = None
    account_refresh_s: Positive = Decimal(180)
    ledger_prefix: bool = True
    not_ready_ms: NotNegative = Decimal(0)
    not_ready_positions: Share = Decimal(1)
    not_ready_values: Share = Decimal(1)

    time_zone: Annotated[str, AfterValidator(_zone)] = "US/Eastern"
    zone_name: str | None = None
    execution_time: Literal["zone", "local", "utc"] = "zone"
    clock_ahead_s: Exact = Decimal(0)
    completed_order_omits: frozenset[Literal["account", "order_ref", "quantity", "filled"]] = frozenset({"quantity"})
    numbers_from: Annotated[int, Field(ge=0, le=300_000_000)] = 0


class Market(Part):
    """When the market is open.

    ``open`` and ``closed`` ignore the calendar; ``calendar`` is Monday to Friday, 09:30 to 16:00 in New York.

    Attributes:
        closes: of ``open``: when the session of that day ends; the next day is whole again.
    """

    mode: Literal["open", "closed", "calendar"] = "open"
    holidays: tuple[date, ...] = ()
    early_closes: dict[date, time] = Field(default_factory=dict)
    closes: AwareDatetime | None = None
    clock: AwareDatetime | None = None


class Quotes(Part):
    """How quotes move: a random walk of each symbol, the same for the same seed."""

    seed: int = 1
    move_bps_per_s: NotNegative = Decimal(0)
    interval_ms: Positive = Decimal(250)


class Orders(Part):
    """How orders are treated beside filling.

    Attributes:
        market_order_cushion: share of a market buy's cost that must be available on top of it; IBKR wants 0.05 of cash
            accounts.
        cancel_delay_ms: time between PendingCancel and Cancelled, in which an order may still fill.
        warn_unset_tif: tell clients that leave the time in force empty that a preset made it DAY (10349).
        life: in which order an order's life is told, see :mod:`sandbox.gateway.order_life`.
        adaptive: how Adaptive orders fill, by priority.
        vwap_slices: pieces in which a Vwap order fills between its start and its end.
        on_close: an order for the closing auction is told as PreSubmitted, or nothing is said of it until it ends.
    """

    market_order_cushion: NotNegative = Decimal(0)
    cancel_delay_ms: NotNegative = Decimal(0)
    commission_delay_ms: NotNegative = Decimal(0)
    warn_unset_tif: bool = True
    life: Literal["orderly", "captured", "filled_first"] = "captured"
    adaptive: AdaptiveScans = AdaptiveScans()
    vwap_slices: Annotated[int, Field(ge=1, le=100)] = 4
    on_close: Literal["told", "silent"] = "told"


class Fees(Part):
    """IBKR's fixed pricing."""

    per_share: NotNegative = _FEES.per_share
    minimum: NotNegative = _FEES.minimum
    maximum_rate: NotNegative = _FEES.maximum_rate

    def schedule(self) -> FeeSchedule:
        """As the product's own value."""
        return FeeSchedule(self.per_share, Usd(self.minimum), Ratio(self.maximum_rate))


class LocalHours(Part):
    """When an instrument trades, Monday to Friday, in its own zone."""

    zone: str
    opens: time
    closes: time


class Instrument(Part):
    """A contract; stocks are traded, others are only held or the object of orders by hand.

    Attributes:
        symbol: its ticker, which several may share; the name under which it stands when absent.
        price: USD per unit, where the walk starts, whatever the currency; of a pair units of its second currency.
        spread_bps: ask - bid in hundredths of a percent of the price, rounded outwards to whole ticks.
        min_tick: as in contract details; orders and quotes keep to ``price_steps``.
        price_steps: of its market rule, step by low edge; ``min_tick`` when absent, but from 1 USD on at least a cent.
        min_size / size_increment: shares, as in contract details; orders keep to them, 0 asks for nothing.
        suggested_size_increment: the same, but no order has to.
        close: last session's close, USD; the price when absent.
        defined: ``False``: positions name it, but IBKR has no definition (200).
        expiry / strike / right / multiplier: of derivatives; a unit is worth ``multiplier`` times the price.
        hours: other than the market's; ``none``: contract details leave hours and zone empty.
        isin: in contract details; one is made up from the contract id when absent.
        odd_lot_below / odd_lot_bps: of a pair, units of its first currency below which an order is an odd lot, and how
            much worse, in hundredths of a percent, that fills.
    """

    con_id: Annotated[int, Field(gt=0)]
    name: str
    price: Positive
    symbol: str = ""
    exchange: str = "ARCA"
    stock_type: str = "ETF"
    spread_bps: NotNegative = Decimal(2)
    min_tick: Positive = Decimal("0.01")
    price_steps: Annotated[dict[NotNegative, Positive], Field(min_length=1)] | None = None
    min_size: NotNegative = Decimal(1)
    size_increment: NotNegative = Decimal(1)
    suggested_size_increment: NotNegative = Decimal(100)
    close: Positive | None = None
    defined: bool = True
    security_type: Literal["STK", "OPT", "FUT", "BOND", "FUND", "WAR", "CASH"] = "STK"
    currency: str = "USD"
    expiry: str = ""
    strike: NotNegative = Decimal(0)
    right: Literal["", "C", "P"] = ""
    multiplier: Positive = Decimal(1)
    local_symbol: str = ""
    hours: LocalHours | Literal["none"] | None = None
    isin: str = ""
    odd_lot_below: NotNegative = Decimal(0)
    odd_lot_bps: NotNegative = Decimal(0)

    @model_validator(mode="after")
    def _from_zero(self) -> Instrument:
        if self.price_steps is not None and 0 not in self.price_steps:
            raise ValueError("price_steps have to begin at 0")
        return self

    @property
    def unit_price(self) -> Decimal:
        """USD that one unit is worth at the start."""
        return self.price * self.multiplier

    def steps(self) -> tuple[tuple[Decimal, Decimal], ...]:
        """Low edge and step, edges increasing."""
        if self.price_steps is not None:
            return tuple(sorted(self.price_steps.items()))
        finer = ((Decimal(1), CENT),) if self.min_tick < CENT and self.security_type != "CASH" else ()
        return ((Decimal(0), self.min_tick), *finer)


class Holding(Part):
    """A position at the start."""

    quantity: Exact
    average_cost: NotNegative | None = None


class OpenOrder(Part):
    """An order that is already working at the start, entered by hand in TWS or by an earlier API client.

    Attributes:
        client_id / order_id: 0 and 0 for an order entered by hand.
    """

    symbol: str
    side: Literal["BUY", "SELL"]
    quantity: Positive
    limit_price: Positive
    client_id: int = 0
    order_id: int = 0
    order_ref: str = ""


class Account(Part):
    """An account of the login.

    Attributes:
        type: IBKR's AccountType text.
        margin: may borrow against its holdings; ``False``: a buy must be paid for in full.
        settled_cash_only: buys must be paid for with settled cash, as in a cash-type IRA.
        settled_cash: part of ``cash`` that is settled; all of it when absent.
        base_currency: in which the account as a whole is valued.
        auto_convert: without margin, a purchase for which dollars are missing is paid for from other currencies.
        other_cash: cash in other currencies than USD, in those.
        accrued_interest / accrued_dividends: yet to be paid, USD.
        positions_lag_ms / values_lag_ms / funds_lag_ms: how much later than a fill positions, account values, and those
            of them that tell what may be spent, show it.
    """

    type: str = "INDIVIDUAL"
    margin: bool = False
    settled_cash_only: bool = False
    cash: Exact
    settled_cash: Exact | None = None
    base_currency: str = USD
    auto_convert: bool = False
    other_cash: dict[str, Exact] = Field(default_factory=dict)
    accrued_interest: Exact = Decimal(0)
    accrued_dividends: Exact = Decimal(0)
    positions_lag_ms: NotNegative = Decimal(0)
    values_lag_ms: NotNegative = Decimal(0)
    funds_lag_ms: NotNegative = Decimal(0)
    positions: dict[str, Holding] = Field(default_factory=dict)
    open_orders: tuple[OpenOrder, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _short_positions(cls, data: Any) -> Any:
        """``SPY: 10`` is short for ``SPY: {quantity: 10}``."""
        if isinstance(data, dict) and isinstance(data.get("positions"), dict):
            positions = {
                symbol: value if isinstance(value, dict | Holding) else {"quantity": value}
                for symbol, value in data["positions"].items()
            }
            return {**data, "positions": positions}
        return data


class Scenario(Part):
    """A whole simulated gateway.

    Attributes:
        currencies: USD for one unit of each currency but USD.
    """

    gateway: Gateway = Gateway()
    market: Market = Market()
    quotes: Quotes = Quotes()
    fills: FillRules = FillRules()
    orders: Orders = Orders()
    fees: Fees = Fees()
    faults: Faults = Faults()
    currencies: dict[str, Positive] = Field(default_factory=dict)
    instruments: Annotated[dict[str, Instrument], Field(min_length=1)]
    accounts: Annotated[dict[str, Account], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        """Every symbol and every currency is known, and every conId names one symbol."""
        problems = [
            f"account {account_id} names {symbol}, which is not among the instruments; add it there"
            for account_id, account in self.accounts.items()
            for symbol in sorted({*account.positions, *(order.symbol for order in account.open_orders)})
            if symbol not in self.instruments
        ]
        problems += [
            f"fills.by_symbol names {symbol}, which is not among the instruments; add it there"
            for symbol in self.fills.by_symbol
            if symbol not in self.instruments
        ]
        problems += [
            f"account {account_id} names {currency}, which is not among the currencies; add it there"
            for account_id, account in self.accounts.items()
            for currency in sorted({account.base_currency, *account.other_cash} - {USD, *self.currencies})
        ]
        if USD in self.currencies or any(USD in account.other_cash for account in self.accounts.values()):
            problems.append("USD is no other currency; its cash is the account's cash, and its rate is 1")
        problems += [
            f"instruments.{name} is a pair of currencies: it has to be called {spec.symbol}.{spec.currency}, with USD"
            " as one of both and the other among the currencies"
            for name, spec in self.instruments.items()
            if spec.security_type == "CASH" and not self._is_pair(name, spec)
        ]
        con_ids = [instrument.con_id for instrument in self.instruments.values()]
        problems += [f"con_id {twice} is given twice; make it unique" for twice in _twice(con_ids)]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _is_pair(self, name: str, spec: Instrument) -> bool:
        pair = CurrencyPair.read(f"{spec.symbol}.{spec.currency}")
        return pair is not None and name == str(pair) and pair.foreign in self.currencies

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """Security type by symbol."""
        return {symbol: spec.security_type for symbol, spec in self.instruments.items()}

    def changed(self, overrides: Mapping[str, Any]) -> Scenario:
        """The same with nested values laid over it, key by key.

        Raises:
            pydantic.ValidationError: the result is no scenario.
        """
        return Scenario.model_validate(_overlay(self.model_dump(), overrides))


def _twice(values: list[int]) -> list[int]:
    return sorted({value for value in values if values.count(value) > 1})


def load_scenario(source: Path | str, overrides: Mapping[str, Any] | None = None) -> Scenario:
    """Read a scenario file.

    Args:
        source: a path, or the bare name of a shipped scenario such as ``default``.
        overrides: nested values laid over the file's, key by key; a value of ``None`` removes the key.

    Raises:
        ConfigurationError: naming file, key and remedy of every problem.
    """
    path = SCENARIOS / f"{source}.yaml" if isinstance(source, str) and "/" not in source else Path(source)
    document = read_yaml(path)
    if not isinstance(document.content, dict):
        raise ConfigurationError([f"{path}: has to be a mapping with the keys {', '.join(Scenario.model_fields)}"])
    try:
        return Scenario.model_validate(_overlay(document.content, overrides or {}))
    except ValidationError as error:
        problems = [_problem(document, detail) for detail in error.errors(include_url=False)]
        raise ConfigurationError(problems) from error


def _overlay(base: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in overrides.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), dict):
            result[key] = _overlay(result[key], value)
        else:
            result[key] = value
    return result


def _problem(document: Document, detail: ErrorDetails) -> str:
    place = document.place(detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{place} is unknown: remove it or correct its spelling (docs/sandbox.md lists every key)"
    if detail["type"] == "value_error":
        return f"{place}: {detail['ctx']['error']}"
    return f"{place}: {detail['msg']}: correct the value (docs/sandbox.md lists what may stand there)"
