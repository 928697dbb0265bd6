"""The judge: the gateway's books and what was published, with the ledger as the accused.

Nothing of the planner is used: targets are recomputed from weights, equity and prices; holdings, cash and turnover from
the broker's executions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from operator import itemgetter
from typing import Any
from uuid import UUID

from rebalancer.domain.money import HUNDRED, ONE, ZERO
from rebalancer.ledger.queries.invariants import OrderOnRecord
from sandbox.fault_trials.hand_halts import HandHalt

CENT = Decimal("0.01")
EUROS = "EUR.USD"
"""The only currencies that are traded."""
CASH_SLACK = Decimal("0.001")
"""Of equity: what prices may move between decision and fill."""
OFF_TARGET = Decimal("0.005")
"""Of equity, beside a share of each symbol: what a run that ends well may leave, costs included."""
ON_THE_WAY = Decimal("0.02")
"""Of equity: what a run that is broken off may have traded in vain."""
CHURN = Decimal("1.05")
STAYS = Decimal("0.01")
"""Of equity: what of dollars never goes back, and no less than that does (docs/currencies.md); accounts are large."""
SUPERSEDED = 2
"""So many targets there are, at least, where some have been replaced by others."""
ONE_ORDER = 1
"""Had been asked about before the halt, and was on its way."""


@dataclass(frozen=True, slots=True)
class AccountCase:
    """What is known of one account beside the broker's books.

    Attributes:
        cash / positions: at the start.
        reserve_percent: of equity.
        targets: in the order in which they were published; the last are in force.
        trades_unsettled: it has margin, and may buy with the proceeds of a sale at once.
        kept: shares by symbol that belong to no strategy.
        reserve_in_cash: part of the reserve; the rest is a target.
        euros: of an account that converts them for its buys; 0 of others.
        raised: USD that its owner wants by a day to come.
        gives_back: dollars that nothing needs become euros.
        by_hand: so many orders were entered by people, and may be open.
    """

    cash: Decimal
    positions: Mapping[str, Decimal]
    reserve_percent: Decimal
    targets: Sequence[Mapping[str, Decimal]]
    trades_unsettled: bool
    kept: Mapping[str, Decimal] = field(default_factory=dict)
    reserve_in_cash: Decimal = ONE
    euros: Decimal = ZERO
    raised: Decimal = ZERO
    gives_back: bool = False
    by_hand: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """All that is judged.

    Attributes:
        books: the gateway's ``/state``.
        prices: USD by instrument, as they were at the end; but for splits they did not move.
        orders: on record, by order ref.
        edits: how often the accounts file was changed.
        elsewhere: instruments that are listed elsewhere under the ticker of a target: nobody asked to trade them.
        by_hand: so many orders were entered by people.
        halts: by people.
        holds_back: an order may have reached the books long after it was sent.
    """

    accounts: Mapping[str, AccountCase]
    books: Mapping[str, Any]
    prices: Mapping[str, Decimal]
    orders: Mapping[str, OrderOnRecord]
    edits: int = 0
    elsewhere: frozenset[str] = frozenset()
    by_hand: int = 0
    halts: Sequence[HandHalt] = ()
    holds_back: bool = False
    executions: Mapping[str, Sequence[Mapping[str, Any]]] = field(init=False)
    ratios: Mapping[str, Decimal] = field(init=False)
    """New shares for those at the start, by symbol."""

    def __post_init__(self) -> None:
        by_account: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for execution in self.books["executions"]:
            by_account[execution["account"]].append(execution)
        object.__setattr__(self, "executions", by_account)
        ratios: dict[str, Decimal] = defaultdict(lambda: ONE)
        for split in self.books["splits"]:
            ratios[split["symbol"]] *= Decimal(split["ratio"])
        object.__setattr__(self, "ratios", ratios)


def findings(case: Case) -> list[str]:
    """One sentence for each broken promise; none: the money came out right."""
    return [
        *_orders_without_intent(case),
        *_refs_used_twice(case),
        *_books_apart(case),
        *_several_hands(case),
        *_out_of_turn(case),
        *_in_spite_of_halts(case),
        *(finding for account_id in case.accounts for finding in _account(case, account_id)),
    ]


def _orders_without_intent(case: Case) -> Iterator[str]:
    if (nameless := sum(not order["order_ref"] for order in case.books["orders"])) != case.by_hand:
        yield f"{nameless} orders have no ref, people entered {case.by_hand}"
    for order in _ours(case):
        ref, known = order["order_ref"], case.orders.get(order["order_ref"])
        if known is None:
            yield f"{_name(order)} has no intent on record"
        elif known.created_at.isoformat() > order["placed_at"]:
            yield f"{_name(order)} reached the broker at {order['placed_at']}, before its intent {known.created_at}"
        elif f"{known.account_id} {known.side} {known.quantity} {known.symbol}" != _what(order):
            yield f"{_name(order)} is not the order of its intent {ref}"


def _ours(case: Case) -> Iterator[Mapping[str, Any]]:
    return (order for order in case.books["orders"] if order["order_ref"])


def _refs_used_twice(case: Case) -> Iterator[str]:
    for ref, count in Counter(order["order_ref"] for order in _ours(case)).items():
        if count > 1:
            yield f"order ref {ref} was sent {count} times"


def _books_apart(case: Case) -> Iterator[str]:
    """Fills, prices and commissions on record are the broker's."""
    done: dict[str, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO, ZERO])
    for execution in case.books["executions"]:
        quantity, price = Decimal(execution["quantity"]), Decimal(execution["price"])
        sums = done[execution["order_ref"]]
        sums[0] += quantity
        sums[1] += quantity * price
        sums[2] += Decimal(execution["commission"])
    for ref in done.keys() - case.orders.keys():
        yield f"{done[ref][0]} shares were traded by {ref or 'an order without a ref'}, which is not on record"
    for ref, order in case.orders.items():
        at_broker = done.get(ref, [ZERO, ZERO, ZERO])
        on_record = [order.filled, order.notional, order.commission]
        for what, ours, theirs in zip(("shares", "USD", "commission"), on_record, at_broker, strict=True):
            if abs(ours - theirs) > CENT:
                yield f"{order.account_id} {ref}: {ours} {what} on record, {theirs} at the broker"


def _several_hands(case: Case) -> Iterator[str]:
    """Orders of one run stand together: two runs that send in turns are two hands on one account."""
    runs: dict[str, list[tuple[UUID, int]]] = defaultdict(list)
    for order in sorted(case.books["orders"], key=lambda order: order["placed_at"]):
        known = case.orders.get(order["order_ref"])
        if known is not None and runs[order["account"]][-1:] != [known.run]:
            runs[order["account"]].append(known.run)
    for account_id, sequence in runs.items():
        for run, times in Counter(sequence).items():
            if times > 1:
                yield f"{account_id}: run {run[0]} attempt {run[1]} sent orders, then another run, then it again"


def _out_of_turn(case: Case) -> Iterator[str]:
    """Once a run has ended, it intends and sends nothing more."""
    for order in _ours(case):
        known = case.orders.get(order["order_ref"])
        if known is None or known.run_ended_at is None:
            continue
        if known.created_at > known.run_ended_at:
            yield f"{_name(order)} was intended at {known.created_at}, after its run had ended at {known.run_ended_at}"
        elif order["placed_at"] > known.run_ended_at.isoformat() and not case.holds_back:
            yield f"{_name(order)} was sent at {order['placed_at']}, after its run had ended at {known.run_ended_at}"


def _in_spite_of_halts(case: Case) -> Iterator[str]:
    """While an account is halted nothing is sent, but for the one order that may be on its way."""
    for halt in () if case.holds_back else case.halts:
        placed = [datetime.fromisoformat(one["placed_at"]) for one in _ours(case) if one["account"] == halt.account_id]
        within = [at for at in placed if halt.since < at and (halt.until is None or at < halt.until)]
        if len(within) > ONE_ORDER:
            yield f"{halt.account_id} was halted at {halt.since}, and {len(within)} orders were sent until {within[-1]}"


def _account(case: Case, account_id: str) -> Iterator[str]:
    yield from _along_the_way(case, account_id)
    yield from _converted(case, account_id)
    yield from _where_it_ended(case, account_id)
    yield from _turnover(case, account_id)


def _along_the_way(case: Case, account_id: str) -> Iterator[str]:
    """Never short, never borrowed, the reserve kept; a cash account never spends what has not settled."""
    start, equity = case.accounts[account_id], _equity(case, account_id)
    cash, settled, held, euros = start.cash, start.cash, dict(start.positions), start.euros
    splits = sorted(case.books["splits"], key=itemgetter("booked_at"))
    for execution in case.executions.get(account_id, ()):
        while splits and splits[0]["booked_at"] <= execution["at"]:
            split = splits.pop(0)
            held[split["symbol"]] = _after_split(case, account_id, split, held.get(split["symbol"], ZERO))
        quantity, price = Decimal(execution["quantity"]), Decimal(execution["price"])
        buys = execution["side"] == "BUY"
        symbol = execution["symbol"]
        if symbol == EUROS:
            cash += (-quantity if buys else quantity) * price
            euros -= (-quantity if buys else quantity) + Decimal(execution["commission"])
            if buys and cash < (STAYS - CASH_SLACK) * equity:
                yield f"{account_id} had {cash:.2f} USD at {execution['at']}, after dollars had gone back"
            continue
        held[symbol] = held.get(symbol, ZERO) + (quantity if buys else -quantity)
        change = (-quantity if buys else quantity) * price - Decimal(execution["commission"])
        cash += change
        settled += min(change, ZERO)
        reserve = (equity - _left_alone(case, account_id, execution, held)) * start.reserve_percent / HUNDRED
        reserve *= start.reserve_in_cash
        if held[symbol] < 0:
            yield f"{account_id} was short {held[symbol]} {symbol} at {execution['at']}"
        elif held[symbol] < (kept := start.kept.get(symbol, ZERO)):
            yield f"{account_id} had {held[symbol]} {symbol} at {execution['at']}, of which {kept} are its owner's"
        if cash < -CASH_SLACK * equity:
            yield f"{account_id} had borrowed {-cash:.2f} USD at {execution['at']}"
        elif buys and cash + euros * case.prices.get(EUROS, ZERO) < reserve - CASH_SLACK * equity:
            yield f"{account_id} had {cash:.2f} USD at {execution['at']}, where {reserve:.2f} are its reserve"
        if not start.trades_unsettled and buys and settled < -CASH_SLACK * equity:
            yield f"{account_id} had spent {-settled:.2f} USD of unsettled proceeds at {execution['at']}"


def _after_split(case: Case, account_id: str, split: Mapping[str, Any], held: Decimal) -> Decimal:
    """Shares once it is booked: those that were bought at the new price are no old ones."""
    bought = (
        Decimal(one["quantity"])
        for one in case.executions.get(account_id, ())
        if (one["symbol"], one["side"]) == (split["symbol"], "BUY")
        and split["announced_at"] <= one["at"] < split["booked_at"]
    )
    old = held - min(sum(bought, ZERO), held)
    return held + old * (Decimal(split["ratio"]) - ONE)


def _converted(case: Case, account_id: str) -> Iterator[str]:
    """Euros are sold, never more than there are, and no more than what is bought costs; they are bought where that is
    asked for, with no more than sales have brought and dollars were there, and in no run that has sold some.
    """
    start, slack = case.accounts[account_id], ON_THE_WAY * _equity(case, account_id)
    left, ways, worth = start.euros, defaultdict[Any, set[str]](set), dict.fromkeys(("BUY", "SELL"), ZERO)
    for execution in case.executions.get(account_id, ()):
        if execution["symbol"] != EUROS:
            continue
        side, quantity = execution["side"], Decimal(execution["quantity"])
        if side == "BUY" and not start.gives_back:
            yield f"{account_id} bought {execution['quantity']} EUR, which nobody asked for"
        left -= (quantity if side == "SELL" else -quantity) + Decimal(execution["commission"])
        worth[side] += _worth(execution)
        if (known := case.orders.get(execution["order_ref"])) is not None:
            ways[known.run].add(side)
        if left < 0:
            yield f"{account_id} had sold {-left:.2f} EUR more than it had at {execution['at']}"
    if any(len(sides) > 1 for sides in ways.values()):
        yield f"{account_id} changed euros forth and back in one run"
    bought, sold = (_traded(case, account_id, side) for side in ("BUY", "SELL"))
    stranded = _stranded(case, account_id)
    if worth["SELL"] > bought + stranded + slack:
        yield f"{account_id} bought {worth['SELL']:.0f} USD with its euros, and stocks for {bought:.0f}"
    if worth["BUY"] > sold + start.cash + stranded + slack:
        yield f"{account_id} bought euros for {worth['BUY']:.0f} USD, and had {sold + start.cash:.0f}"


def _stranded(case: Case, account_id: str) -> Decimal:
    """USD that euros were sold for, by one order of a run, and that it did not spend: it was broken off between that
    and its buys, and when its event was tried again, other targets needed less.
    """
    if len(case.accounts[account_id].targets) < SUPERSEDED:
        return ZERO
    last = dict(sorted(one.run for one in case.orders.values() if one.account_id == account_id))
    orders, unspent = defaultdict[Any, set[str]](set), defaultdict[Any, Decimal](Decimal)
    for execution in case.executions.get(account_id, ()):
        known = case.orders.get(execution["order_ref"])
        if known is not None and (execution["symbol"], execution["side"]) == (EUROS, "SELL"):
            orders[known.run].add(execution["order_ref"])
            unspent[known.run] += _worth(execution)
        elif known is not None and execution["symbol"] != EUROS and execution["side"] == "BUY":
            unspent[known.run] -= _worth(execution)
    broken_off = (run for run, refs in orders.items() if len(refs) == 1 and run[1] < last[run[0]])
    return sum((max(ZERO, unspent[run]) for run in broken_off), ZERO)


def _traded(case: Case, account_id: str, side: str) -> Decimal:
    return sum((_worth(one) for one in _stocks(case, account_id) if one["side"] == side), ZERO)


def _stocks(case: Case, account_id: str) -> list[Mapping[str, Any]]:
    """Executions but for those of currencies."""
    return [one for one in case.executions.get(account_id, ()) if one["symbol"] != EUROS]


def _worth(execution: Mapping[str, Any]) -> Decimal:
    return Decimal(execution["quantity"]) * Decimal(execution["price"])


def _left_alone(case: Case, account_id: str, execution: Mapping[str, Any], held: Mapping[str, Decimal]) -> Decimal:
    """USD of holdings that the run of an execution has left alone, and so not counted: what is no target and has no
    usable quote, as a stock whose last close is the one before its split.
    """
    known = case.orders.get(execution["order_ref"])
    if known is None:
        return ZERO
    began, intended = known.run_began_at, known.created_at
    unusable = {
        split["symbol"]
        for split in case.books["splits"]
        if datetime.fromisoformat(split["announced_at"]) <= intended
        and (split["close_at"] is None or datetime.fromisoformat(split["close_at"]) >= began)
    }
    alone = {symbol for symbol in unusable if any(symbol not in one for one in case.accounts[account_id].targets)}
    return sum((held.get(symbol, ZERO) * _price_at(case, symbol, execution["at"]) for symbol in alone), ZERO)


def _price_at(case: Case, symbol: str, moment: str) -> Decimal:
    """USD for a share as it was then, of a split that was not booked yet for the new ones that it became."""
    price = case.prices[symbol]
    for split in case.books["splits"]:
        if split["symbol"] == symbol and split["booked_at"] > moment:
            price *= Decimal(split["ratio"])
    return price


def _where_it_ended(case: Case, account_id: str) -> Iterator[str]:
    """Holdings are the newest targets, as far as whole shares and settled cash allow."""
    start, equity = case.accounts[account_id], _equity(case, account_id)
    account = case.books["accounts"][account_id]
    reserve = equity * start.reserve_percent / HUNDRED
    targets = start.targets[-1]
    every = {symbol: Decimal(quantity) for symbol, quantity in account["positions"].items()}
    held = _without_kept(start, {symbol: count for symbol, count in every.items() if symbol not in case.elsewhere})
    for symbol in sorted(case.elsewhere):
        if every.get(symbol, ZERO) != start.positions.get(symbol, ZERO):
            yield f"{account_id} ended with {every.get(symbol, ZERO)} {symbol}, which nobody asked to trade"
    allowed = OFF_TARGET * equity + sum((case.prices[symbol] for symbol in targets), ZERO)
    apart = _apart(case, held, targets, equity - reserve)
    too_much = sum((usd for usd in apart.values() if usd > 0), ZERO)
    below = _apart(case, held, targets, equity - reserve - start.raised)
    too_little = -sum((usd for usd in below.values() if usd < 0), ZERO)
    cash = Decimal(account["cash"])
    if start.raised and cash < reserve + start.raised - allowed:
        yield f"{account_id} ended with {cash:.2f} USD, where its owner wants {start.raised} beside {reserve:.2f}"
    if start.gives_back and not start.by_hand and cash > max(reserve, STAYS * equity) + STAYS * equity + allowed:
        yield f"{account_id} ended with {cash:.2f} USD, which nothing needs and did not go back"
    unsettled = ZERO if start.trades_unsettled else Decimal(account["cash"]) - Decimal(account["settled_cash"])
    if too_much > allowed:
        yield f"{account_id} ended {too_much:.2f} USD above its targets: {_shown(apart)}"
    if too_little > allowed + unsettled:
        yield f"{account_id} ended {too_little:.2f} USD below its targets, {unsettled:.2f} unsettled: {_shown(apart)}"


def _apart(
    case: Case, held: Mapping[str, Decimal], targets: Mapping[str, Decimal], investable: Decimal
) -> dict[str, Decimal]:
    """USD above the targets by symbol, negative below."""
    return {
        symbol: held.get(symbol, ZERO) * case.prices[symbol] - investable * targets.get(symbol, ZERO)
        for symbol in {*held, *targets}
    }


def _turnover(case: Case, account_id: str) -> Iterator[str]:
    """What was traded is no more than the way from target to target."""
    start, equity = case.accounts[account_id], _equity(case, account_id)
    ours = {one: count * case.ratios[one] for one, count in start.positions.items() if one not in case.elsewhere}
    ours = _without_kept(start, ours)
    way = [{symbol: count * case.prices[symbol] / equity for symbol, count in ours.items()}, *start.targets]
    justified = sum((_distance(one, other) for one, other in pairwise(way)), ZERO) * equity
    traded = sum(map(_worth, _stocks(case, account_id)), ZERO)
    allowed = justified * CHURN + ON_THE_WAY * equity * (2 + 4 * case.edits) + 2 * start.raised
    if traded > allowed:
        yield f"{account_id} traded {traded:.0f} USD where its targets justify {justified:.0f}"


def _distance(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> Decimal:
    return sum((abs(one.get(symbol, ZERO) - other.get(symbol, ZERO)) for symbol in {*one, *other}), ZERO)


def _equity(case: Case, account_id: str) -> Decimal:
    """Of what may be traded."""
    account = case.books["accounts"][account_id]
    apart = {name: Decimal(account["positions"].get(name, 0)) for name in case.elsewhere}
    apart.update(case.accounts[account_id].kept)
    worth = sum((count * case.prices[name] for name, count in apart.items()), ZERO)
    return Decimal(account["net_liquidation"]) - worth


def _without_kept(account: AccountCase, held: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {symbol: count - account.kept.get(symbol, ZERO) for symbol, count in held.items()}


def _name(order: Mapping[str, Any]) -> str:
    return f"{_what(order)} ({order['order_ref'] or 'no ref'})"


def _what(order: Mapping[str, Any]) -> str:
    return f"{order['account']} {order['side']} {Decimal(order['quantity']):f} {order['symbol']}"


def _shown(apart: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{symbol} {usd:+.0f}" for symbol, usd in sorted(apart.items()))
