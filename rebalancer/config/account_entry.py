"""One account of the accounts file: what may be written of it, and the value that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict

from rebalancer.config.blend_entry import STRATEGIES, check_sum, read_members
from rebalancer.config.hold_entry import HOLD, Hold, read_hold
from rebalancer.domain.accounts import (
    LONGEST_STRATEGY_NAME,
    MAIN_GATEWAY,
    STRATEGY_NAME,
    Account,
    AccountRules,
    ApprovalMode,
    Fx,
    Member,
    OwnLimits,
    StaleMember,
    TradingMode,
    blend_name,
)
from rebalancer.domain.gateways import NAME as GATEWAY_NAME
from rebalancer.domain.money import ZERO
from rebalancer.domain.notices import Severity, Subscription
from rebalancer.domain.order_styles import OrderStyle, StyleRules
from rebalancer.domain.symbols import PATTERN, canonical
from rebalancer.domain.units import NO_USD, Percent, Usd

LARGE_RESERVE = Decimal(10)

AccountId = Annotated[StrictStr, Field(pattern=r"^[A-Z]{1,3}[0-9]+$")]
Strategy = Annotated[StrictStr, Field(pattern=f"^{STRATEGY_NAME}$", max_length=LONGEST_STRATEGY_NAME)]
Symbol = Annotated[StrictStr, Field(pattern=PATTERN, max_length=20), AfterValidator(canonical)]
SmallReserve = Annotated[Percent, Field(strict=True, ge=0, le=10)]
Reserve = Annotated[Percent, Field(strict=True, ge=0, le=100)]
Amount = Annotated[Usd, Field(strict=True, gt=0, le=1_000_000_000)]

ACCOUNT_ID: JsonDict = {"allowed": "1-3 capitals and digits, such as DU1234567"}
SYMBOL: JsonDict = {"allowed": "a ticker symbol in capitals"}
NAMES: JsonDict = {"allowed": "a list of names from NOTIFY_URLS"}
STRATEGY: JsonDict = {"allowed": "a letter or digit, then text without spaces"}
RESERVE: JsonDict = {"allowed": "0 to 10; to 100 with allow_large_reserve"}
DEFAULT_RESERVE = Percent(Decimal("1.0"))
GATEWAY: JsonDict = {"allowed": "small letters, digits and -, beginning with a letter"}
ADDRESS = "remove it; ALLOCATIONS_BASE_URL in .env is its url without /<strategy>/allocations, for all accounts"
RESERVE_TWICE = "sets the reserve twice: keep cash_reserve_percent or cash_reserve_usd"


class Entry(BaseModel):
    """A mapping of the accounts file; unknown keys are refused.

    Attributes:
        former_keys: how what earlier programs knew under a key is written today.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    former_keys: ClassVar[Mapping[str, str]] = {}


def _off(value: object) -> object:
    """YAML reads the word off as false."""
    return Fx.OFF if value is False else value


def _names(value: object) -> object:
    """A list of names as a tuple."""
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one for one in value):
        raise ValueError(f"has to be {NAMES['allowed']}")
    return tuple(value)


class NotifyEntry(Entry):
    """``notify`` of an account."""

    to: Annotated[tuple[str, ...], BeforeValidator(_names)] | None = Field(
        default=None, json_schema_extra=NAMES, description="Who is told of the account; everybody if it is left out."
    )
    severity: Severity | None = Field(
        default=None, description="Least severity that is told of the account, in place of NOTIFY_SEVERITY."
    )


class AccountEntry(Entry):
    """One account in the list under ``accounts:``."""

    former_keys: ClassVar[Mapping[str, str]] = {
        "notification": "write its channel as strategy_name, beside account_id",
        "rebalancing": "write its reserve as cash_reserve_percent, beside account_id",
        "equity_reserve_percentage": "write it as cash_reserve_percent",
        "cash_reserve_percentage": "write it as cash_reserve_percent",
        "allocations": ADDRESS,
        "auto_deploy_remaining_cash": "remove it; whole shares are chosen nearest to the targets, within the cash",
    }

    account_id: AccountId = Field(
        json_schema_extra=ACCOUNT_ID,
        description="Account id at Interactive Brokers; those that start with D are paper accounts.",
    )
    type: TradingMode = Field(
        description="World of the account; it is traded only where TRADING_MODE, or that of its gateway, is the same."
    )
    enabled: StrictBool = Field(default=True, description="Whether signals reach the account.")
    strategy_name: Strategy | None = Field(
        json_schema_extra=STRATEGY,
        description="Strategy that the account follows, and name of its channel; or `strategies` in its place.",
    )
    allow_large_reserve: StrictBool = Field(
        default=False, description="Permit a reserve of more than 10 percent, which is otherwise taken for a mistake."
    )
    cash_reserve_percent: Reserve = Field(
        default=DEFAULT_RESERVE,
        json_schema_extra=RESERVE,
        description="Part of equity that stays cash, because prices move while orders fill.",
    )
    cash_reserve_usd: Amount | None = Field(
        default=None,
        json_schema_extra={"allowed": "more than 0, at most 1000000000"},
        description="A fixed amount that stays cash, in place of the percentage.",
    )
    allow_cash_share: StrictBool = Field(
        default=False,
        description="Take targets that sum to less than 0.99 as meant, the rest as cash; else they are refused.",
    )
    reserve_symbol: Symbol | None = Field(
        default=None,
        json_schema_extra=SYMBOL,
        description="T-bill fund that holds the reserve, but for a small part in cash; see [blends](blends.md).",
    )
    strategies: Annotated[tuple[Member, ...], BeforeValidator(read_members)] | None = Field(
        default=None,
        validate_default=True,
        json_schema_extra=STRATEGIES,
        description="Several strategies in place of strategy_name; their weights sum to 100, see [blends](blends.md).",
    )
    stale_member: StaleMember | None = Field(
        default=None,
        description="With strategies: whether one whose targets cannot be used stops the run (refuse, as without), "
        "or is taken as it was at the last rebalance (freeze).",
    )
    fx: Annotated[Fx, BeforeValidator(_off)] = Field(
        default=Fx.OFF,
        description="Cash in the account's base currency, where that is not USD: leave it alone, or convert of it what "
        "buys need; see [currencies](currencies.md).",
    )
    fx_reserve: Annotated[Decimal, Field(strict=True, ge=0, le=1_000_000_000)] = Field(
        default=ZERO, description="With fx: convert, the part of that cash that is never converted, in its currency."
    )
    fx_back: Annotated[Fx, BeforeValidator(_off)] = Field(
        default=Fx.OFF,
        description="With fx: convert, whether dollars that neither reserve nor targets need are converted back "
        "after the buys; see [currencies](currencies.md#the-way-back).",
    )
    hold: Annotated[Hold, BeforeValidator(read_hold)] = Field(
        default_factory=Hold,
        json_schema_extra=HOLD,
        description="Symbols that are the owner's own: never sold, never bought, not counted as equity. "
        "With shares, `{SPY: 100}`, so many of the symbol, and the rest is traded.",
    )
    replacement_set: Annotated[StrictStr, Field(min_length=1)] | None = Field(
        default=None, description="Name of the replacement set for an account that may not hold some symbols."
    )
    pdt_protection_enabled: StrictBool = Field(
        default=False, description="Trade at most once a day, against the pattern-day-trader rule."
    )
    cooldown_days: Annotated[Decimal, Field(strict=True, ge=0, le=366, multiple_of=1)] = Field(
        default=Decimal(0), description="Days that must pass after a live rebalance before the next one."
    )
    invest_idle_cash_after: Decimal | None = Field(
        default=None,
        strict=True,
        ge=1,
        le=366,
        multiple_of=1,
        description="Days after which cash over the reserve is invested by a buy-only rebalance; see [cash](cash.md).",
    )
    approval: ApprovalMode = Field(
        default=ApprovalMode.AUTO,
        description="Trade alone, after a wait in which a person may object, or only after a person's approval.",
    )
    approval_wait_minutes: Annotated[Decimal, Field(strict=True, ge=1, le=10_080, multiple_of=1)] = Field(
        default=Decimal(15), description="How long notify-then-wait waits for an objection."
    )
    max_order_usd: Amount | None = Field(
        default=None,
        json_schema_extra={"allowed": "more than 0, at most 1000000000"},
        description="Largest order without approval, besides MAX_ORDER_USD.",
    )
    max_order_percent: Percent | None = Field(
        default=None,
        strict=True,
        ge=0,
        le=1000,
        description="Largest order in percent of equity, besides MAX_ORDER_PERCENT.",
    )
    max_day_turnover_percent: Percent | None = Field(
        default=None,
        strict=True,
        ge=0,
        le=10_000,
        description="Most sells and buys of a run and of a day in percent of equity, besides the general limits.",
    )
    max_day_orders: Decimal | None = Field(
        default=None,
        strict=True,
        ge=0,
        le=10_000,
        multiple_of=1,
        description="Most orders of a day without approval, besides MAX_DAY_ORDERS.",
    )
    gateway: Annotated[StrictStr, Field(pattern=f"^{GATEWAY_NAME}$")] = Field(
        default=MAIN_GATEWAY,
        json_schema_extra=GATEWAY,
        description="Gateway whose login manages the account, one of `gateways`; main is that of IB_HOST and IB_PORT.",
    )
    broker: Literal["ibkr"] = Field(default="ibkr", description="Only Interactive Brokers is known.")
    order_style: OrderStyle | None = Field(
        default=None,
        description="How its orders are worked, in place of ORDER_STYLE; see [order styles](order-styles.md).",
    )
    name: Annotated[StrictStr, Field(min_length=1, max_length=30, pattern=r"^[^\x00-\x1f]+$")] | None = Field(
        default=None,
        json_schema_extra={"allowed": "1 to 30 characters"},
        description="What notifications call the account; without one they say the last four characters of its id.",
    )
    notify: NotifyEntry = Field(
        default_factory=NotifyEntry,
        json_schema_extra={"allowed": "a mapping with to and severity"},
        description="Who is told what of the account.",
    )

    @field_validator("cash_reserve_percent")
    @classmethod
    def _large_only_if_allowed(cls, percent: Percent, info: ValidationInfo) -> Percent:
        if percent > LARGE_RESERVE and not info.data.get("allow_large_reserve"):
            raise ValueError(f"= {percent} is refused: use {RESERVE['allowed']} (default {DEFAULT_RESERVE})")
        return percent

    @model_validator(mode="before")
    @classmethod
    def _one_name_or_several(cls, row: object) -> object:
        return {"strategy_name": None, **row} if isinstance(row, dict) and row.get("strategies") is not None else row

    @field_validator("strategies")
    @classmethod
    def _strategies(cls, members: tuple[Member, ...] | None, info: ValidationInfo) -> tuple[Member, ...] | None:
        if members is None:
            if info.data.get("strategy_name", "") is None:
                raise ValueError("is missing, and so is strategy_name: write one of them")
            return None
        if info.data.get("strategy_name") is not None:
            raise ValueError("is there beside strategy_name: keep one")
        check_sum(members, allow_cash_share=bool(info.data.get("allow_cash_share")))
        return members

    @field_validator("stale_member")
    @classmethod
    def _of_a_blend(cls, choice: StaleMember | None, info: ValidationInfo) -> StaleMember | None:
        if choice is not None and info.data.get("strategies", ()) is None:
            raise ValueError("is for accounts with strategies: remove it")
        return choice

    @field_validator("hold")
    @classmethod
    def _not_the_reserve(cls, hold: Hold, info: ValidationInfo) -> Hold:
        symbol = info.data.get("reserve_symbol")
        if symbol is not None and symbol in {*hold.symbols, *hold.shares}:
            raise ValueError(f"has {symbol}, which is the reserve_symbol: keep one")
        return hold

    @field_validator("fx_reserve")
    @classmethod
    def _of_a_conversion(cls, kept: Decimal, info: ValidationInfo) -> Decimal:
        if kept and info.data.get("fx") is Fx.OFF:
            raise ValueError("is for accounts with fx: convert: remove it")
        return kept

    @field_validator("fx_back")
    @classmethod
    def _there_and_back(cls, back: Fx, info: ValidationInfo) -> Fx:
        if back is Fx.CONVERT and info.data.get("fx") is Fx.OFF:
            raise ValueError("= convert needs fx: convert, or what is converted back would count no more: write both")
        return back

    @model_validator(mode="after")
    def _one_reserve(self) -> Self:
        if self.cash_reserve_usd is not None and "cash_reserve_percent" in self.model_fields_set:
            raise ValueError(RESERVE_TWICE)
        return self

    def account(self) -> Account:
        """The entry as a value."""
        return Account(
            account_id=self.account_id,
            type=self.type,
            enabled=self.enabled,
            strategy=self.strategy_name or blend_name(self.strategies or ()),
            cash_reserve_percent=self.cash_reserve_percent if self.cash_reserve_usd is None else Percent(ZERO),
            replacement_set=self.replacement_set,
            pdt_protection_enabled=self.pdt_protection_enabled,
            rules=self._rules(),
            name=self.name,
            notify=Subscription(self.notify.to, self.notify.severity),
            members=self.strategies or (),
            gateway=self.gateway,
        )

    def _rules(self) -> AccountRules:
        orders, idle = self.max_day_orders, self.invest_idle_cash_after
        return AccountRules(
            reserve_usd=self.cash_reserve_usd or NO_USD,
            reserve_symbol=self.reserve_symbol,
            allow_cash_share=self.allow_cash_share,
            hold=self.hold.symbols,
            kept=self.hold.shares,
            approval=self.approval,
            approval_wait_minutes=int(self.approval_wait_minutes),
            cooldown_days=int(self.cooldown_days),
            limits=OwnLimits(
                self.max_order_usd,
                self.max_order_percent,
                self.max_day_turnover_percent,
                None if orders is None else int(orders),
            ),
            stale_member=self.stale_member or StaleMember.REFUSE,
            fx=self.fx,
            fx_reserve=self.fx_reserve,
            fx_back=self.fx_back,
            idle_cash_days=None if idle is None else int(idle),
            styles=StyleRules(account=self.order_style),
        )
