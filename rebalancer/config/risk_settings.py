"""Settings of the rules that stand between a plan and its first order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from rebalancer.config.field_help import nearest
from rebalancer.config.settings_section import Section
from rebalancer.config.types import SmallLetters
from rebalancer.domain.accounts import FirstTime
from rebalancer.domain.household import WashSales
from rebalancer.domain.units import Percent, Usd

_KINDS = "|".join(FirstTime)


class RiskSettings(Section):
    """Limits without approval, hours, ages. Percentages are as written."""

    targets_max_age_days: int = Field(
        default=100,
        ge=1,
        le=3660,
        description="Targets whose as_of is longer ago are refused; those of a quarterly strategy never are.",
    )
    clock_tolerance_s: float = Field(
        default=5,
        ge=1,
        le=3600,
        description="How far the gateway's clock and ours may be apart; beyond it live runs are held.",
    )
    allow_delayed_quotes: bool = Field(
        default=False, description="Size live orders from delayed quotes too; dry runs always may."
    )
    quote_max_from_close_percent: Percent = Field(
        default=Percent(Decimal(30)),
        gt=0,
        le=1000,
        description="A quote as far from the last close, or further, is refused: a split (2:1, 3:2, 2:3) or a wrong "
        "price is likelier than a move.",
    )
    equity_tolerance_percent: Percent = Field(
        default=Percent(Decimal(1)),
        gt=0,
        le=100,
        description="How far the broker's equity may be from its own cash and holdings at their quotes; beyond, and "
        "unless something that is never traded explains it, nothing is traded.",
    )
    split_guard_days: int = Field(
        default=3,
        ge=0,
        le=30,
        description="Refuse an account in which a price or quantity has jumped like a split against what was recorded "
        "in so many days, and the other has not followed, or whose list of positions lacks shares that nobody has "
        "sold; 0 compares nothing.",
    )
    max_from_last_percent: Percent = Field(
        default=Percent(Decimal(10)),
        gt=0,
        le=1000,
        description="A price further from the last trade, limit collar included, needs a person's approval.",
    )
    max_order_usd: Usd = Field(
        default=Usd(Decimal(1_000_000)),
        ge=0,
        le=1_000_000_000,
        description="A larger order needs a person's approval.",
    )
    max_order_percent: Percent = Field(
        default=Percent(Decimal(100)),
        ge=0,
        le=1000,
        description="An order of more percent of equity needs a person's approval.",
    )
    max_run_turnover_percent: Percent = Field(
        default=Percent(Decimal(210)),
        ge=0,
        le=1000,
        description="More sells and buys in one run, in percent of equity, need approval; a complete switch is 200.",
    )
    max_day_turnover_percent: Percent = Field(
        default=Percent(Decimal(420)),
        ge=0,
        le=10_000,
        description="The same for the fills and plans of one account and day.",
    )
    max_day_orders: int = Field(
        default=500, ge=0, le=10_000, description="More orders of one account and day need a person's approval."
    )
    max_day_usd_all_accounts: Usd = Field(
        default=Usd(Decimal(20_000_000)),
        ge=0,
        le=1_000_000_000_000,
        description="More USD sold and bought in all accounts and one day need a person's approval.",
    )
    max_day_orders_all_accounts: int = Field(
        default=2_000, ge=0, le=100_000, description="More orders in all accounts and one day need a person's approval."
    )
    max_day_fx_usd: Usd = Field(
        default=Usd(Decimal(1_000_000)),
        ge=0,
        le=1_000_000_000,
        description="More USD bought with another currency in one account and day need a person's approval.",
    )
    relative_band_percent: Percent = Field(
        default=Percent(Decimal(0)),
        ge=0,
        le=100,
        description="A symbol that is off by a smaller part of its target is left alone; the tighter band counts.",
    )
    market_open_delay_s: float = Field(
        default=60, ge=0, le=14_400, description="Pause after the open, when spreads are wide."
    )
    market_close_cutoff_s: float = Field(
        default=300,
        ge=0,
        le=14_400,
        description="No live run starts so shortly before the close, since it might not end in time; at least "
        "ORDER_TIMEOUT_S.",
    )
    approval_max_move_percent: Percent = Field(
        default=Percent(Decimal(5)),
        ge=0,
        le=200,
        description="An approved plan that has moved by more, in percent of equity, has to be approved again.",
    )
    approval_expires_h: int = Field(
        default=72, ge=1, le=720, description="A plan that nobody decides on is made anew after this time."
    )
    ask_first_times: Annotated[str, SmallLetters] = Field(
        default="account,strategy,gateway,targets",
        pattern=rf"^(off|({_KINDS})(, ?({_KINDS}))*)$",
        json_schema_extra={"allowed": "off, or some of account, strategy, gateway, targets, separated by commas"},
        description="With TRADING_MODE live, what a person has to approve the first time: an account's first trades, "
        "another strategy, another gateway or login, targets of another kind or number.",
    )
    wash_sales: Annotated[WashSales, SmallLetters] = Field(
        default=WashSales.OFF,
        description="Orders that would make a loss one that the tax office does not count, by what all accounts have "
        "traded within 30 days: not looked for, named on the plan, left out of it, or, of buys, made in what "
        "WASH_SALE_SET names instead; see [household](household.md).",
    )
    wash_sale_set: str | None = Field(
        default=None,
        min_length=1,
        json_schema_extra={"allowed": "a set of the replacement-sets file"},
        description="With WASH_SALES=replace: the set that names what is held for 31 days in place of a symbol that "
        "was sold at a loss.",
    )
    what_if: Annotated[Literal["off", "live", "always"], SmallLetters] = Field(
        default="live",
        description="When the broker is asked first what flagged orders (an account's first ones, tight funds) would "
        "do to the margin: never, with TRADING_MODE live, or always.",
    )
    what_if_timeout_s: float = Field(
        default=5, ge=0.1, le=60, description="How long to wait for such an answer; without one the run goes on."
    )

    def contradictions(self) -> Iterator[str]:
        """One without the other; see :class:`Section`."""
        if self.wash_sales is WashSales.REPLACE and self.wash_sale_set is None:
            yield "WASH_SALES = replace: WASH_SALE_SET has to name a set of the replacement-sets file, or use hold"

    @property
    def substitutes_set(self) -> str | None:
        """``wash_sale_set`` while it is in force."""
        return self.wash_sale_set if self.wash_sales is WashSales.REPLACE else None

    def unknown_set(self, known: Collection[str]) -> Iterator[str]:
        """A sentence if the set in force is none of the replacement-sets file's."""
        if self.substitutes_set is not None and self.substitutes_set not in known:
            remedy = nearest(self.substitutes_set, known) if known else "no replacement set is defined"
            yield f"WASH_SALE_SET = {self.substitutes_set!r} is unknown: {remedy}"

    @property
    def first_times(self) -> frozenset[FirstTime]:
        """``ask_first_times``, read."""
        if self.ask_first_times == "off":
            return frozenset()
        return frozenset(FirstTime(name.strip()) for name in self.ask_first_times.split(","))
