"""One event told as a story in the order of cause: signal, queued, attempt, plan, orders, fills, the end.

Cause decides, not the clock: the broker's clock has whole seconds and is another one than ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from api.web import remedies, words
from api.web.drawing import Bar, bars
from api.web.order_story import OrderStory, order_story, to_come
from rebalancer.domain.actors import who
from rebalancer.domain.approvals import ApprovalState
from rebalancer.domain.currencies import CurrencyPair
from rebalancer.domain.money import ZERO
from rebalancer.ledger.queries.event_decisions import ALL_EVENTS, EventDecisions
from rebalancer.ledger.queries.event_history import AttemptView, EventHistory
from rebalancer.ledger.states import ACTIVE, EventState, Outcome
from rebalancer.planning.blends import member_lines
from rebalancer.usecases.approval import SILENCE

Kind = Literal["signal", "event", "attempt", "asked", "decided", "request", "trouble", "orders", "done"]
ENDS: dict[str, Kind] = {Outcome.FAILED: "trouble", Outcome.LOST: "trouble", Outcome.HELD: "asked"}


@dataclass(frozen=True, slots=True)
class Note:
    """Why a drift remains, or what the plan assumes, and what a person can do about it."""

    text: str
    remedy: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """One moment of the story; an attempt's orders are one step, with those that are still to come."""

    at: datetime
    kind: Kind
    text: str
    took: timedelta | None = None
    orders: tuple[OrderStory, ...] = ()
    coming: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """What the event's page shows; weights and notes are those of the newest attempt that got that far.

    Attributes:
        took: from when it was queued until it ended; ``None`` while it has not.
        slippage: USD that all fills cost more (+) or less than planned; ``None`` without fills.
        coming: orders of the running plan that have not been sent.
        members: of a blend, each with what it has moved.
    """

    history: EventHistory
    decisions: EventDecisions
    steps: tuple[Step, ...]
    money: tuple[OrderStory, ...]
    coming: tuple[dict[str, Any], ...]
    bought: Decimal
    sold: Decimal
    commission: Decimal
    slippage: Decimal | None
    took: timedelta | None
    before: tuple[Bar, ...]
    after: tuple[Bar, ...]
    decided: AttemptView | None
    members: tuple[tuple[str, str], ...]
    notes: tuple[Note, ...]
    remedy: str


def story(history: EventHistory, decisions: EventDecisions) -> Story:
    """Tell an event."""
    money = tuple(order_story(order) for attempt in history.attempts for order in attempt.orders)
    decided = next((attempt for attempt in reversed(history.attempts) if attempt.plan), None)
    event = history.event
    stocks = [one.order for one in money if CurrencyPair.read(one.order.symbol) is None]
    slipped = [one.slippage for one in money if one.slippage is not None]
    return Story(
        history=history,
        decisions=decisions,
        steps=tuple(_steps(history, decisions)),
        money=money,
        coming=_coming(history, history.attempts[-1]) if history.attempts else (),
        bought=sum((order.notional for order in stocks if order.side == "BUY"), ZERO),
        sold=sum((order.notional for order in stocks if order.side == "SELL"), ZERO),
        commission=sum((one.order.commission for one in money), ZERO),
        slippage=sum(slipped, ZERO) if slipped else None,
        took=event.finished_at - event.created_at if event.finished_at else None,
        before=bars(decided.before.weights) if decided and decided.before else (),
        after=bars(decided.after.weights) if decided and decided.after else (),
        decided=decided,
        members=tuple(member_lines(decided.inputs["targets"])) if decided and decided.inputs else (),
        notes=tuple(_notes(decided)),
        remedy=remedies.for_rule(event.rule) if event.state in ACTIVE else "",
    )


def _notes(decided: AttemptView | None) -> Iterator[Note]:
    """Why not: symbols that are left as they are first, then remarks on the whole plan."""
    if decided is None or decided.plan is None:
        return
    lines = (f"{line['symbol']}: {line['note']}" for line in decided.plan["lines"] if line["note"])
    for text in (*lines, *decided.plan["notes"]):
        yield Note(text, remedies.for_note(text))


def _coming(history: EventHistory, attempt: AttemptView) -> tuple[dict[str, Any], ...]:
    """What the running plan has not sent yet: nothing as long as it has sent nothing, since rules may still stop it."""
    runs = history.event.state is EventState.RUNNING and attempt is history.attempts[-1] and not attempt.finished_at
    return to_come(attempt.plan, attempt.orders) if runs and attempt.orders else ()


def _steps(history: EventHistory, decisions: EventDecisions) -> Iterator[Step]:
    """What our own clock tells apart is put between the attempts by it; within an attempt cause decides."""
    yield from _beginning(history)
    loose: Sequence[Step] = sorted(
        (*_later_signals(history), *_answers(decisions), *_requests(decisions)), key=lambda step: step.at
    )
    for attempt in history.attempts:
        began, ended = attempt.started_at, attempt.finished_at
        earlier, loose = _split(loose, began)
        during, loose = _split(loose, ended)
        yield from earlier
        yield from _attempt_steps(history, attempt, decisions, during)
    yield from loose
    event = history.event
    if event.finished_at:
        ended_as = words.state_word(event.state)
        reason = "" if event.reason == ended_as else f": {event.reason}"
        yield Step(event.finished_at, "done", f"Event {ended_as}{reason}", event.finished_at - event.created_at)


def _split(steps: Sequence[Step], until: datetime | None) -> tuple[Sequence[Step], Sequence[Step]]:
    """Those before a moment, or all without one, and the rest."""
    ones = [step for step in steps if until is None or step.at < until]
    return ones, steps[len(ones) :]


def _beginning(history: EventHistory) -> Iterator[Step]:
    if history.signals:
        yield _signal(history, 0)
    yield Step(history.event.created_at, "event", f"Queued: {history.event.exec_command}")


def _later_signals(history: EventHistory) -> Iterator[Step]:
    for number in range(1, len(history.signals)):
        yield _signal(history, number)


def _signal(history: EventHistory, number: int) -> Step:
    signal = history.signals[number]
    remark = f" ({signal.remark})" if signal.remark else ""
    return Step(signal.received_at, "signal", f"Signal from {signal.channel}: {signal.command}{remark}")


def _answers(decisions: EventDecisions) -> Iterator[Step]:
    for one in decisions.questions:
        if one.decided_at and one.decided_by:
            verb = "rejected" if one.state is ApprovalState.REJECTED else "approved"
            by = f": {SILENCE}" if one.decided_by == SILENCE else f" by {one.decided_by}"
            yield Step(one.decided_at, "decided", f"Plan {verb}{by}")


def _requests(decisions: EventDecisions) -> Iterator[Step]:
    for one in decisions.requests:
        what = "Retry" if one.action == "retry" else "Removal"
        which = ", with all other events" if one.subject == ALL_EVENTS else ""
        yield Step(one.at, "request", f"{what} asked for by {who(one.actor)}{which}")


def _attempt_steps(
    history: EventHistory, attempt: AttemptView, decisions: EventDecisions, during: Sequence[Step]
) -> Iterator[Step]:
    """An attempt; an answer that it used comes before the orders, whatever else came meanwhile after them."""
    yield Step(attempt.started_at, "attempt", f"Attempt {attempt.number} began on {attempt.worker.split('/')[0]}")
    if attempt.plan:
        yield _planned(attempt, attempt.plan)
    yield from _asked(attempt, decisions)
    yield from (step for step in during if step.kind == "decided")
    coming = _coming(history, attempt)
    if attempt.orders:
        yield Step(
            attempt.orders[0].created_at,
            "orders",
            words.count(len(attempt.orders), "order"),
            orders=tuple(map(order_story, attempt.orders)),
            coming=coming,
        )
    yield from (step for step in during if step.kind != "decided")
    if attempt.finished_at and attempt.outcome:
        yield _ended(attempt, attempt.outcome, attempt.finished_at)


def _planned(attempt: AttemptView, plan: dict[str, Any]) -> Step:
    proposed = [str(order["side"]) for order in plan["orders"]]
    conversion = plan.get("conversion") or {}
    there, back = (_exchanged(conversion.get(way)) for way in ("order", "back"))
    between = f", {there} between them" if there else ""
    after = f", {back} after them" if back else ""
    sells, buys = (words.count(proposed.count(side), side.lower()) for side in ("SELL", "BUY"))
    text = f"Planned {sells} and {buys}{between}{after}"
    left = sum(1 for line in plan["lines"] if line["note"])
    alone = f", {words.count(left, 'symbol')} left as {'it is' if left == 1 else 'they are'}" if left else ""
    at = attempt.before.at if attempt.before else attempt.started_at
    return Step(at, "attempt", f"{text} on {words.money(plan['equity'])}{alone}")


def _exchanged(order: dict[str, Any] | None) -> str:
    return f"{words.quantity(order['quantity'])} {order['symbol']}" if order else ""


def _asked(attempt: AttemptView, decisions: EventDecisions) -> Iterator[Step]:
    for one in decisions.questions:
        if one.attempt == attempt.number:
            text = f"Put before a person: {'; '.join(one.reasons)}"
            silent = f". Goes ahead at {words.moment(one.silent_at)} unless rejected" if one.silent_at else ""
            yield Step(one.asked_at, "asked", text + silent)


def _ended(attempt: AttemptView, outcome: str, at: datetime) -> Step:
    """A plan that was refused was held at first; who refused it comes after that."""
    if outcome == Outcome.REJECTED:
        return Step(at, "asked", f"Attempt {attempt.number} held with its plan", at - attempt.started_at)
    error = f": {attempt.error}" if attempt.error else ""
    text = f"Attempt {attempt.number} {outcome}{error}"
    return Step(at, ENDS.get(outcome, "attempt"), text, at - attempt.started_at)
