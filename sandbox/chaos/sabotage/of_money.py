"""What the broker says, taken for more or for less than it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import count

from rebalancer.domain.account_history import Seen
from rebalancer.domain.currencies import USD
from rebalancer.domain.order_progress import OrderProgress
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import CommissionReport, Definitions, Fill, split_execution_id
from rebalancer.domain.portfolio import AccountSnapshot, Plan, Quote
from rebalancer.domain.units import NO_RATIO, NO_USD, Usd
from rebalancer.ibkr import account_keys
from rebalancer.ibkr.account_keys import AccountValues
from rebalancer.planning.conversion_back import PART
from rebalancer.planning.expected_books import Books
from rebalancer.planning.rules import PlanningRules
from rebalancer.risk.identity import KnownContracts
from rebalancer.usecases.context import OrderContext
from rebalancer.usecases.order_batch import Batch
from sandbox.chaos.sabotage.patching import Patch, Variant, instead

LOST = ("gateway reset amid orders", "order reset after", "worker killed", "second worker killed")


def _funds(cash: Callable[..., Usd]) -> Callable[..., Usd]:
    def found(account_id: str, values: AccountValues) -> Usd:
        return account_keys.usd(values, "AvailableFunds") or cash(account_id, values)

    return found


def _all_cash(snapshot: AccountSnapshot, _which: object) -> Usd:
    return snapshot.cash


def _counted_twice(executed: Callable[..., OrderProgress]) -> Callable[..., OrderProgress]:
    again = count(1)

    def twice(progress: OrderProgress, fill: Fill) -> OrderProgress:
        known = split_execution_id(fill.execution_id)[0] in progress.fills
        return executed(
            progress, replace(fill, execution_id=f"again{next(again)}.{fill.execution_id}") if known else fill
        )

    return twice


def _never_looked_for(context: OrderContext) -> list[str]:
    context.run.never_sent([order.order_ref for order in context.run.unresolved()], "not looked for")
    return []


def _without_word(reported: Callable[..., OrderProgress]) -> Callable[..., OrderProgress]:
    """Only what executions tell has filled."""

    def told(progress: OrderProgress, status: OrderStatus, _stated: Decimal, perm_id: int = 0) -> OrderProgress:
        return reported(progress, status, progress.stated, perm_id)

    return told


def _in_full(_books: Books, _snapshot: AccountSnapshot) -> None:
    """Whatever the broker shows is all that there is."""


def _whatever_was_seen(_seen: Seen, _snapshot: AccountSnapshot, _quotes: Mapping[str, Quote]) -> None:
    """Price and shares may change against each other, or one without the other."""


def _by_symbol(symbols: Collection[str], held: Mapping[int, str], known: KnownContracts, _pins: object) -> Definitions:
    wanted = {*symbols, *held.values()}
    found = {symbol: known.listings[symbol][0] for symbol in wanted if known.listings.get(symbol)}
    return Definitions(found, {}, {}, {})


def _again(convert: Callable[..., Batch]) -> Callable[..., Batch]:
    def twice(*arguments: object) -> Batch:
        convert(*arguments)
        return convert(*arguments)

    return twice


def _nothing_stays(idle_dollars: Callable[[Plan, Usd], Usd]) -> Callable[[Plan, Usd], Usd]:
    def idle(made: Plan, dollars: Usd) -> Usd:
        return Usd(idle_dollars(made, dollars) + max(made.reserve, PART * made.equity))

    return idle


def _kept_forgotten(rules: Callable[..., PlanningRules]) -> Callable[..., PlanningRules]:
    def made(*arguments: object) -> PlanningRules:
        return rules(*arguments[:4], NO_USD)

    return made


def _in_dollars(report: type[CommissionReport]) -> Callable[..., CommissionReport]:
    def told(execution_id: str, paid: Decimal, _currency: str, realized: Decimal | None) -> CommissionReport:
        return report(execution_id, paid, USD, realized)

    return told


VARIANTS = {
    "a commission in euros taken for dollars": Variant([Patch("rebalancer.ibkr.frames:CommissionReport", _in_dollars)]),
    "a conversion sent twice": Variant([Patch("rebalancer.usecases.execution:convert", _again)]),
    "dollars that are needed given back": Variant(
        [
            Patch("rebalancer.planning.conversion_back:idle_dollars", _nothing_stays),
            Patch("rebalancer.usecases.conversion:idle_dollars", _nothing_stays),
        ]
    ),
    "cash by a day invested again": Variant([Patch("rebalancer.usecases.context:planning_rules", _kept_forgotten)]),
    "completion by status alone": Variant(
        [
            instead("rebalancer.ibkr.watch:OrderWatch.fills_missing", property(lambda _: False)),
            instead("rebalancer.ibkr.watch:OrderWatch.final", property(lambda watch: watch.ended)),
        ],
        ("executions late",),
    ),
    "half a split traded": Variant(
        [
            instead("rebalancer.risk.input_checks:from_close", lambda _quote: NO_RATIO),
            instead("rebalancer.usecases.decision:check_splits", _whatever_was_seen),
        ],
        ("a split",),
    ),
    "status Filled ignored": Variant(
        [Patch("rebalancer.domain.order_progress:OrderProgress.reported", _without_word)],
        ("executions withheld", "books late"),
    ),
    "books that lag believed": Variant(
        [instead("rebalancer.planning.expected_books:Books.lacking", _in_full)],
        ("books late",),
    ),
    "fills counted twice": Variant(
        [Patch("rebalancer.domain.order_progress:OrderProgress.executed", _counted_twice)],
        ("reports doubled",),
    ),
    "AvailableFunds taken for cash": Variant([Patch("rebalancer.ibkr.account_keys:cash", _funds)]),
    "unsettled cash spent": Variant(
        [
            instead("rebalancer.usecases.decision:spendable_now", _all_cash),
            instead("rebalancer.usecases.execution:spendable_now", _all_cash),
        ]
    ),
    "reserve ignored": Variant(
        [instead("rebalancer.planning.rules:PlanningRules.reserve", lambda _rules, _equity: NO_USD)]
    ),
    "orders not looked for after a reconnect": Variant(
        [
            instead("rebalancer.usecases.reconciliation:account_for", _never_looked_for),
            instead("rebalancer.usecases.reconciliation:_ask_again", lambda _context: []),
        ],
        LOST,
    ),
    "contract ids ignored": Variant([instead("rebalancer.ibkr.contracts:identify", _by_symbol)]),
}
