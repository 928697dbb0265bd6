"""The rules of one account, from the settings and the accounts file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

from rebalancer.config.order_settings import OrderSettings
from rebalancer.config.risk_settings import RiskSettings
from rebalancer.config.settings import Settings
from rebalancer.domain.accounts import Account, ApprovalMode, FirstTime, TradingMode
from rebalancer.domain.household import WashSales
from rebalancer.domain.order_styles import StyleRules, StyleTerms
from rebalancer.domain.portfolio import OrderType
from rebalancer.domain.rebalance_kinds import RebalanceKind, RebalanceMode
from rebalancer.domain.units import NO_RATIO, NO_USD, Percent, Ratio, Usd, ratio
from rebalancer.planning import PlanningRules
from rebalancer.risk.cooldown import Pace
from rebalancer.risk.input_checks import CASH_SHARE_SUM
from rebalancer.risk.limits import Limits
from rebalancer.risk.market_hours import HoursPolicy


@dataclass(frozen=True, slots=True)
class Safeguards:
    """What stands between a plan and its first order.

    Attributes:
        equity_tolerance: fraction by which the broker's equity may differ from its own cash and holdings.
        split_guard: how far back a holding's recorded price and quantity are compared.
        collar: fraction by which a limit may be worse than its quote; 0 where all orders are market orders.
        max_move: fraction of equity by which an approved plan may change.
        first_times: what a person is asked about the first time; nothing in the paper world.
        what_if: ask the broker about flagged orders beforehand.
        wash_sales: what becomes of orders that would make one.
        day_fx_usd: what one account may convert of currencies in a day, USD.
        guarded: a strategy of the account has a canary or a breaker.
    """

    mode: TradingMode
    limits: Limits
    pace: Pace
    hours: HoursPolicy
    targets_max_age: timedelta
    quotes_max_age: timedelta
    max_from_close: Ratio
    allow_delayed: bool
    equity_tolerance: Ratio
    split_guard: timedelta
    collar: Ratio
    approval: ApprovalMode
    approval_wait: timedelta
    approval_expires: timedelta
    max_move: Ratio
    first_times: frozenset[FirstTime]
    what_if: bool
    what_if_timeout_s: float
    clock_tolerance: timedelta
    wash_sales: WashSales
    day_fx_usd: Usd
    guarded: bool = False

    @classmethod
    def of(cls, settings: Settings, account: Account) -> Self:
        """Apply the settings to one account."""
        limited = settings.orders.order_type is OrderType.LIMIT
        return cls(
            mode=settings.broker.trading_mode,
            limits=_limits(settings.risk, account),
            pace=Pace(account.pdt_protection_enabled, timedelta(days=account.rules.cooldown_days)),
            hours=HoursPolicy(
                extended=settings.orders.extended_hours_enabled and limited,
                delay=timedelta(seconds=settings.risk.market_open_delay_s),
                cutoff=timedelta(seconds=settings.risk.market_close_cutoff_s),
            ),
            targets_max_age=timedelta(days=settings.risk.targets_max_age_days),
            quotes_max_age=timedelta(seconds=settings.broker.quote_max_age_s + settings.broker.quote_timeout_s),
            max_from_close=ratio(settings.risk.quote_max_from_close_percent),
            allow_delayed=settings.risk.allow_delayed_quotes,
            equity_tolerance=ratio(settings.risk.equity_tolerance_percent),
            split_guard=timedelta(days=settings.risk.split_guard_days),
            collar=settings.orders.limit_collar if limited or style_rules(settings, account).any else NO_RATIO,
            approval=account.rules.approval,
            approval_wait=timedelta(minutes=account.rules.approval_wait_minutes),
            approval_expires=timedelta(hours=settings.risk.approval_expires_h),
            max_move=ratio(settings.risk.approval_max_move_percent),
            first_times=settings.risk.first_times if settings.broker.trading_mode is TradingMode.LIVE else frozenset(),
            what_if=settings.risk.what_if == "always"
            or (settings.risk.what_if == "live" and settings.broker.trading_mode is TradingMode.LIVE),
            what_if_timeout_s=settings.risk.what_if_timeout_s,
            clock_tolerance=timedelta(seconds=settings.risk.clock_tolerance_s),
            wash_sales=settings.risk.wash_sales,
            day_fx_usd=settings.risk.max_day_fx_usd,
            guarded=bool(account.guards),
        )


@dataclass(frozen=True, slots=True)
class StylePolicy:
    """How the account's orders are worked, beyond ORDER_TYPE."""

    rules: StyleRules
    terms: StyleTerms

    @classmethod
    def of(cls, settings: Settings, account: Account) -> Self:
        """Apply the settings to one account."""
        return cls(style_rules(settings, account), settings.styles.terms(settings.events))

    @property
    def further_rounds(self) -> int:
        """Of a run whose orders may have a style: that which it works them in, and one for each step of a walk."""
        return 1 + self.terms.steps if self.rules.any else 0


def style_rules(settings: Settings, account: Account) -> StyleRules:
    """Those of the account, and the usual style."""
    return replace(account.rules.styles, usual=settings.styles.order_style)


def planning_rules(
    orders: OrderSettings, risk: RiskSettings, account: Account, kind: RebalanceKind, kept: Usd = NO_USD
) -> PlanningRules:
    """Rules of the plan. Bands are for drift: whoever adds or takes out cash wants it done whatever the drift.

    The sum of the weights is checked before replacements and holds, which may lower it on purpose.

    Args:
        kept: USD that were raised and are not to be invested.
    """
    full = kind.mode is RebalanceMode.FULL
    return PlanningRules(
        reserve_fraction=account.cash_reserve,
        share_threshold=orders.share_threshold,
        drift_band=orders.drift_band if full else NO_RATIO,
        fees=orders.fee_schedule,
        price_margin=orders.price_margin,
        minimum_weight_sum=CASH_SHARE_SUM,
        relative_band=ratio(risk.relative_band_percent) if full else NO_RATIO,
        reserve_amount=Usd(account.rules.reserve_usd + kind.amount + kept),
        kind=kind.mode,
    )


def _limits(risk: RiskSettings, account: Account) -> Limits:
    own = account.rules.limits
    general = Limits(
        order_usd=risk.max_order_usd,
        order_share=ratio(risk.max_order_percent),
        run_turnover=ratio(risk.max_run_turnover_percent),
        day_turnover=ratio(risk.max_day_turnover_percent),
        day_orders=risk.max_day_orders,
        all_day_usd=risk.max_day_usd_all_accounts,
        all_day_orders=risk.max_day_orders_all_accounts,
        from_last=ratio(risk.max_from_last_percent),
    )
    return general.and_own(own.order_usd, _ratio(own.order_percent), _ratio(own.day_turnover_percent), own.day_orders)


def _ratio(percent: Percent | None) -> Ratio | None:
    return None if percent is None else ratio(percent)
