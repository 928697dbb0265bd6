"""What a command works with, and what it can come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from rebalancer.config.accounts_file import Account
from rebalancer.config.broker_settings import BrokerSettings
from rebalancer.config.order_settings import OrderSettings
from rebalancer.config.settings import Settings
from rebalancer.domain.daily_window import DailyWindow
from rebalancer.domain.errors import RebalancerError
from rebalancer.domain.orders import Instrument
from rebalancer.domain.portfolio import Replacement, SettledCash, TimeInForce
from rebalancer.domain.ports import Broker, TargetSource
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.run_record import RunRecord
from rebalancer.domain.units import Ratio
from rebalancer.planning import PlanningRules
from rebalancer.planning.buying_power import Terms
from rebalancer.risk import Blocked
from rebalancer.risk.market_hours import calendars, closed
from rebalancer.usecases.policy import Safeguards, StylePolicy, planning_rules

__all__ = ["Blocked", "NotNow", "OrderContext", "OrderPolicy", "Result", "RunContext", "UseCase"]


class NotNow(RebalancerError):
    """An expected refusal in the midst of a run: what was sent has been followed to its end, nothing more is sent."""

    def __init__(self, blocked: Blocked) -> None:
        super().__init__(blocked.reason)
        self.blocked = blocked


@dataclass(frozen=True, slots=True)
class OrderPolicy:
    """How orders are sent, and how patiently they are followed.

    Attributes:
        terms: of accounts without margin; others need no cushion.
        rounds: how often one run plans what did not fill.
        grace_s: how long an order that nobody knows may take to be listed.
        reconnect_s: how long a run whose orders are under way waits for the gateway.
        restart_window: without new orders.
        off_target: fraction of equity up to which a run may end short of its plan.
        gateway: its address.
        fx_collar: how much worse than its quote a conversion of currencies may fill, as a fraction.
    """

    terms: Terms
    time_in_force: TimeInForce
    outside_regular_hours: bool
    settled_cash_only: SettledCash
    timeout_s: float
    rounds: int
    grace_s: float
    reconnect_s: float
    restart_window: DailyWindow | None
    off_target: Ratio
    gateway: str
    fx_collar: Ratio

    @classmethod
    def of(cls, orders: OrderSettings, gateway: BrokerSettings) -> Self:
        """As the settings have it."""
        return cls(
            terms=Terms(orders.order_type, orders.limit_collar, orders.cash_account_cushion),
            time_in_force=orders.time_in_force,
            outside_regular_hours=orders.extended_hours_enabled,
            settled_cash_only=orders.settled_cash_only,
            timeout_s=orders.order_timeout_s,
            rounds=orders.order_rounds,
            grace_s=orders.broker_grace_s,
            reconnect_s=orders.reconnect_timeout_s,
            restart_window=orders.daily_restart_window,
            off_target=orders.target_tolerance,
            gateway=gateway.gateway_address,
            fx_collar=orders.fx_collar,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderContext:
    """What it takes to look after orders that were sent: no account has to be configured for that."""

    run: RunRecord
    broker: Broker
    policy: OrderPolicy
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def account_id(self) -> str:
        """Whose orders they are."""
        return self.run.claim.account_id


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext(OrderContext):
    """Everything that one run of a command needs.

    Attributes:
        substitutes: by symbol, what is held in its place after a sale at a loss; empty unless that is wanted.
    """

    account: Account
    targets: TargetSource
    replacements: tuple[Replacement, ...]
    rules: PlanningRules
    safeguards: Safeguards
    styles: StylePolicy
    substitutes: Mapping[str, Replacement] = field(default_factory=dict)

    def checkpoint(self) -> None:
        """Stop here unless a new order may be sent; called before every order.

        Raises:
            LeaseLost, RemovalRequested: see :meth:`~rebalancer.domain.run_record.RunRecord.clearance`.
            NotNow: a person has halted the account, or the gateway is about to restart.
            GatewayUnavailable: the turn to trade the account is lost.
        """
        self.run.fence()
        self.broker.require_turn()
        for halt in self.run.clearance():
            raise NotNow(halt)
        window = self.policy.restart_window
        end = window.end_of(self.clock()) if window is not None else None
        if end is not None:
            raise NotNow(Blocked(Rule.GATEWAY_RESTART, f"the gateway restarts, no new orders {window}", end))

    def checkpoint_for(self, instruments: Iterable[Instrument]) -> Callable[[], None]:
        """:meth:`checkpoint` that also stops, by :class:`NotNow`, when one of the instruments trades no more."""
        hours = self.safeguards.hours
        known = calendars(instruments, hours)

        def checkpoint() -> None:
            self.checkpoint()
            if (shut := closed(known, self.clock(), hours.under_way)) is not None:
                raise NotNow(shut)

        return checkpoint

    @classmethod
    def of(
        cls,
        settings: Settings,
        run: RunRecord,
        account: Account,
        *,
        broker: Broker,
        targets: TargetSource,
        replacements: tuple[Replacement, ...],
        substitutes: Iterable[Replacement] = (),
    ) -> Self:
        """Apply the settings to one account."""
        return cls(
            run=run,
            broker=broker,
            policy=OrderPolicy.of(settings.orders, settings.broker),
            account=account,
            targets=targets,
            replacements=replacements,
            rules=planning_rules(settings.orders, settings.risk, account, run.claim.kind, run.claim.kept_cash),
            safeguards=Safeguards.of(settings, account),
            styles=StylePolicy.of(settings, account),
            substitutes={rule.source: rule for rule in substitutes},
        )


Result = dict[str, Any]
UseCase = Callable[[RunContext], Result | Blocked]
