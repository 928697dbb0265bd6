"""Accounts as their owners configured them, and which of the two worlds they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from rebalancer.domain.money import HUNDRED, ZERO
from rebalancer.domain.notices import Subscription
from rebalancer.domain.order_styles import StyleRules
from rebalancer.domain.strategy_holds import StrategyGuard
from rebalancer.domain.units import NO_USD, Percent, Ratio, Shares, Usd, ratio

STRATEGY_NAME = r"[A-Za-z0-9]\S*"
LONGEST_STRATEGY_NAME = 200
"""Form and length of a strategy's name, which is that of its channel too."""
MAIN_GATEWAY = "main"
"""Name of the gateway of the settings, which an account has that names none."""


def is_strategy_name(name: str) -> bool:
    """Whether a strategy may be called so."""
    return len(name) <= LONGEST_STRATEGY_NAME and re.fullmatch(STRATEGY_NAME, name) is not None


class TradingMode(StrEnum):
    """Which of the two worlds at Interactive Brokers a process works in."""

    PAPER = "paper"
    LIVE = "live"

    @classmethod
    def of(cls, account_id: str) -> TradingMode:
        """The world that an account is of, by its id: those of paper accounts start with D (DU, or DF for advisors)."""
        return cls.PAPER if account_id.startswith("D") else cls.LIVE


class FirstTime(StrEnum):
    """What is asked about."""

    ACCOUNT = "account"
    STRATEGY = "strategy"
    GATEWAY = "gateway"
    TARGETS = "targets"


class ApprovalMode(StrEnum):
    """How much the program may do alone."""

    AUTO = "auto"
    NOTIFY = "notify-then-wait"
    MANUAL = "manual"


class Fx(StrEnum):
    """What becomes of cash: of that in the base currency, or of idle dollars."""

    OFF = "off"
    CONVERT = "convert"


class StaleMember(StrEnum):
    """What becomes of a blend when the targets of one of its strategies cannot be used."""

    REFUSE = "refuse"
    FREEZE = "freeze"


@dataclass(frozen=True, slots=True)
class Member:
    """A strategy in a blend, and its part of it."""

    strategy: str
    share: Ratio


def blend_name(members: Iterable[Member]) -> str:
    """What a blend is called: ``a 60 + b 40``. No strategy is called so, since their names have no spaces."""
    shares = {member.strategy: (member.share * HUNDRED).normalize() for member in members}
    return " + ".join(f"{name} {shares[name]:f}" for name in sorted(shares))


@dataclass(frozen=True, slots=True)
class OwnLimits:
    """Limits of one account, which count besides the general ones; ``None`` where it has none of its own.

    Attributes:
        order_percent: one order, percent of equity.
        day_turnover_percent: sells and buys of a day, percent of equity; also of one run.
    """

    order_usd: Usd | None = None
    order_percent: Percent | None = None
    day_turnover_percent: Percent | None = None
    day_orders: int | None = None


@dataclass(frozen=True, slots=True)
class AccountRules:
    """What the owner of one account wants beyond its targets.

    Attributes:
        reserve_usd: fixed part of equity that stays cash.
        reserve_symbol: what holds the reserve, but for a small part in cash.
        hold: symbols that are never traded nor counted.
        kept: shares by symbol that are never traded nor counted; the rest of them is.
        pinned: symbols whose contract the owner has decided, which are stocks whatever else they may mean.
        approval_wait_minutes: how long ``notify-then-wait`` waits for a rejection.
        stale_member: of a blend.
        fx_reserve: cash in the base currency that is never converted, in it.
        fx_back: what becomes of dollars that neither reserve nor targets need.
        idle_cash_days: after which cash over the reserve is invested; ``None``: it waits for the next rebalance.
        styles: how its orders are worked, but for the usual style of the settings.
    """

    reserve_usd: Usd = NO_USD
    reserve_symbol: str | None = None
    allow_cash_share: bool = False
    hold: tuple[str, ...] = ()
    kept: Mapping[str, Shares] = field(default_factory=dict)
    pinned: frozenset[str] = frozenset()
    approval: ApprovalMode = ApprovalMode.AUTO
    approval_wait_minutes: int = 15
    cooldown_days: int = 0
    limits: OwnLimits = field(default_factory=OwnLimits)
    stale_member: StaleMember = StaleMember.REFUSE
    fx: Fx = Fx.OFF
    fx_reserve: Decimal = ZERO
    fx_back: Fx = Fx.OFF
    idle_cash_days: int | None = None
    styles: StyleRules = field(default_factory=StyleRules)


@dataclass(frozen=True, slots=True)
class Account:
    """One account at Interactive Brokers and how it follows its strategy.

    Attributes:
        strategy: name of the strategy and of its channel; of a blend all names with their percentages.
        cash_reserve_percent: part of equity that stays cash, 0-10, or 0-100 where that is allowed.
        replacement_set: name of a set in the replacement-sets file.
        pdt_protection_enabled: trade at most once a day.
        name: what people are shown instead of the id, where that must not be seen.
        notify: what its owner wants to be told.
        members: of a blend; empty for an account that follows one strategy.
        gateway: name of the one whose login manages it.
        guards: of those of its strategies that have one.
    """

    account_id: str
    type: TradingMode
    enabled: bool
    strategy: str
    cash_reserve_percent: Percent
    replacement_set: str | None
    pdt_protection_enabled: bool
    rules: AccountRules = field(default_factory=AccountRules)
    name: str | None = None
    notify: Subscription = field(default_factory=Subscription)
    members: tuple[Member, ...] = ()
    gateway: str = MAIN_GATEWAY
    guards: Mapping[str, StrategyGuard] = field(default_factory=dict)

    @property
    def follows(self) -> tuple[str, ...]:
        """Strategies whose signals reach it."""
        return tuple(member.strategy for member in self.members) or (self.strategy,)

    @property
    def cash_reserve(self) -> Ratio:
        """``cash_reserve_percent`` as a fraction."""
        return ratio(self.cash_reserve_percent)
