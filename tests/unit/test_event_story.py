"""An event is told in the order of cause, whatever the clocks say."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from api.web import remedies
from api.web.order_story import order_story
from api.web.timeline import Story, story
from api.web.written import basis_points, duration
from rebalancer.domain.approvals import ApprovalState
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger.audit_log import AuditEntry
from rebalancer.ledger.queries.event_decisions import EventDecisions, PlanQuestion
from rebalancer.ledger.queries.event_history import AttemptView, EventHistory, FillView, OrderView, ReportView
from rebalancer.ledger.queries.event_search import EventView
from rebalancer.ledger.queries.signals import SignalView
from rebalancer.ledger.states import EventState, SignalState
from tests.ledger_rows import INPUTS, NOON, PLAN

EVENT = UUID("7d1c9b5e-0d3f-4d0e-9a55-0f6f5b3f2a11")
NOBODY = EventDecisions((), ())
SELL = {"symbol": "TLT", "side": "SELL", "quantity": 5, "price": "100", "fee": "1.00", "reason": "above its target"}


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def an_order(side: str = "BUY", symbol: str = "SPY", sent: float = 2.4, filled_at: float = 2) -> OrderView:
    """Filled in two parts within the second in which it was sent; the broker's clock knows whole seconds."""
    reports = [
        ReportView(after(sent + 0.2), "Submitted", Decimal(0), Decimal(194), None, None, confirmed=True),
        ReportView(after(sent + 0.3), "Submitted", Decimal(100), Decimal(94), None, None, confirmed=True),
        ReportView(after(sent + 0.5), "Filled", Decimal(194), Decimal(0), None, None, confirmed=True),
    ]
    fills = [
        FillView(f"x.{part}", after(filled_at), Decimal(part), Decimal("100.01"), Decimal("0.50"), "USD")
        for part in (100, 94)
    ]
    return OrderView(
        order_ref=f"ref-{symbol}",
        symbol=symbol,
        side=side,
        quantity=194,
        order_type="MKT",
        limit_price=None,
        time_in_force="DAY",
        planned_price=Decimal(100),
        reason="below its target",
        status="Filled",
        filled=Decimal(194),
        perm_id=77,
        created_at=after(sent),
        final_at=after(sent + 0.6),
        reports=tuple(reports),
        fills=tuple(fills),
    )


def an_attempt(number: int = 1, began: float = 1, **facts: Any) -> AttemptView:
    values: dict[str, Any] = {
        "number": number,
        "worker": "w/1/1",
        "started_at": after(began),
        "finished_at": after(began + 5),
        "outcome": "succeeded",
        "error": None,
        "inputs": INPUTS,
        "plan": PLAN,
        "result": None,
        "before": None,
        "after": None,
        "orders": (an_order(),),
    }
    return AttemptView(**values | facts)


def a_history(*attempts: AttemptView, state: EventState = EventState.SUCCEEDED, **facts: Any) -> EventHistory:
    ended = attempts[-1].finished_at if state in (EventState.SUCCEEDED, EventState.REMOVED) else None
    event = EventView(
        event_id=EVENT,
        account_id="DU1000001",
        exec_command="rebalance",
        strategy="etf-blend-301-20",
        state=state,
        reason="done",
        times_queued=len(attempts),
        created_at=NOON,
        due_at=NOON,
        finished_at=ended,
        last_error=None,
        needs_attention=False,
        rule=None,
        data={},
        remove_requested=False,
    )
    signal = SignalView(1, "etf-blend-301-20", "m", SignalState.ACCEPTED, "rebalance", {}, None, None, after(0.1))
    return EventHistory(replace(event, **facts), (signal,), attempts)


def a_question(state: ApprovalState, decided_at: datetime | None = None, by: str | None = None) -> PlanQuestion:
    return PlanQuestion(
        attempt=1,
        reasons=("it is large",),
        state=state,
        asked_at=after(2),
        silent_at=after(60),
        expires_at=after(3600),
        decided_at=decided_at,
        decided_by=by,
    )


def told(shown: Story) -> list[str]:
    return [f"{step.kind} {step.text}" for step in shown.steps]


def test_a_fill_stands_after_its_order_although_the_brokers_clock_is_a_second_behind() -> None:
    shown = story(a_history(an_attempt()), NOBODY)
    assert [step.kind for step in shown.steps] == ["signal", "event", "attempt", "attempt", "orders", "attempt", "done"]
    (order,) = shown.money
    assert [(moment.kind, moment.text.split()[0]) for moment in order.moments] == [
        ("sent", "Sent:"),
        ("report", "Submitted"),
        ("fill", "Filled"),
        ("report", "Submitted"),
        ("fill", "Filled"),
        ("report", "Filled"),
    ]
    assert order.took == timedelta(seconds=0.5)
    assert order.slippage == Decimal("1.94")
    assert (shown.slippage, shown.commission, shown.bought) == (Decimal("1.94"), Decimal("1.00"), Decimal("19401.94"))


def test_a_fill_that_no_report_counts_is_told_too() -> None:
    silent = replace(an_order(), reports=())
    assert [moment.kind for moment in order_story(silent).moments] == ["sent", "fill", "fill"]
    assert order_story(silent).took == timedelta(seconds=0.6)


def test_a_refusal_of_the_broker_is_seen_without_opening_the_order() -> None:
    refused = ReportView(after(3), "Inactive", Decimal(0), Decimal(194), 201, "margin", confirmed=True)
    shown = order_story(replace(an_order(), reports=(refused,), fills=(), final_at=None))
    assert (shown.troubles, shown.took, shown.slippage) == (("Inactive: 201 margin",), None, None)


def test_consent_stands_between_the_question_and_the_orders() -> None:
    held = an_attempt(1, 1, outcome="held", error="needs approval: it is large", orders=())
    traded = an_attempt(2, 40, orders=(an_order(sent=42, filled_at=41),))
    asked = a_question(ApprovalState.USED, after(39), "API key k")
    shown = story(a_history(held, traded), EventDecisions((asked,), ()))
    assert told(shown)[4:] == [
        f"asked Put before a person: it is large. Goes ahead at {NOON + timedelta(minutes=1):%Y-%m-%d %H:%M:%S} UTC"
        " unless rejected",
        "asked Attempt 1 held: needs approval: it is large",
        "decided Plan approved by API key k",
        "attempt Attempt 2 began on w",
        "attempt Planned no sell and 1 buy on $100,000.00",
        "orders 1 order",
        "attempt Attempt 2 succeeded",
        "done Event done",
    ]


def test_silence_is_told_as_silence_and_before_what_it_allowed() -> None:
    held = an_attempt(1, 1, outcome="held", error="needs approval", orders=())
    traded = an_attempt(2, 60, orders=(an_order(sent=62, filled_at=61),))
    asked = a_question(ApprovalState.USED, after(63), "nobody objected")
    kinds = told(story(a_history(held, traded), EventDecisions((asked,), ())))
    assert kinds.index("decided Plan approved: nobody objected") < kinds.index("orders 1 order")
    assert kinds.index("decided Plan approved: nobody objected") > kinds.index("attempt Attempt 2 began on w")


def test_a_rejected_plan_was_held_first() -> None:
    held = an_attempt(1, 1, outcome="rejected", error="rejected by me", orders=())
    asked = a_question(ApprovalState.REJECTED, after(30), "me")
    removed = a_history(held, state=EventState.REMOVED, finished_at=after(30), reason="rejected by me")
    shown = told(story(removed, EventDecisions((asked,), ())))
    assert shown[-3:] == [
        "asked Attempt 1 held with its plan",
        "decided Plan rejected by me",
        "done Event removed: rejected by me",
    ]


def test_who_asked_for_removal_is_part_of_the_story() -> None:
    asked = AuditEntry(1, after(3), "owner, on the page", "127.0.0.1", "remove", str(EVENT), {})
    everything = replace(asked, id=2, at=after(4), actor="me", subject="all events")
    history = a_history(an_attempt(outcome="removed"), state=EventState.REMOVED)
    shown = told(story(history, EventDecisions((), (asked, everything))))
    assert shown[-4:] == [
        "request Removal asked for by owner, on the page",
        "request Removal asked for by me, with all other events",
        "attempt Attempt 1 removed",
        "done Event removed: done",
    ]


def test_while_the_sells_run_the_buys_are_to_come() -> None:
    plan = PLAN | {"orders": [SELL, *PLAN["orders"]]}
    runs = an_attempt(plan=plan, finished_at=None, outcome=None, orders=(an_order("SELL", "TLT"),))
    shown = story(a_history(runs, state=EventState.RUNNING), NOBODY)
    assert [one["symbol"] for one in shown.coming] == ["SPY"]
    assert [one["symbol"] for step in shown.steps for one in step.coming] == ["SPY"]
    waits = replace(runs, orders=())
    assert story(a_history(waits, state=EventState.RUNNING), NOBODY).coming == (), "a rule may still stop the plan"
    ended = replace(runs, finished_at=after(9), outcome="failed")
    assert story(a_history(ended, state=EventState.RETRYING), NOBODY).coming == ()


def test_why_not_is_said_with_what_can_be_done() -> None:
    note = "drift of 0.5 shares is within the threshold of 0.5"
    line = PLAN["lines"][0] | {"note": note}  # type: ignore[operator]
    plan = PLAN | {"lines": [line], "notes": ["made for this test"], "orders": []}
    (left, remark) = story(a_history(an_attempt(plan=plan, orders=())), NOBODY).notes
    assert left.text == f"SPY: {note}"
    assert "SHARE_THRESHOLD" in (left.remedy or "")
    assert (remark.text, remark.remedy) == ("made for this test", None)


@pytest.mark.parametrize("rule", Rule)
def test_every_rule_says_where_its_remedy_is(rule: Rule) -> None:
    assert remedies.for_rule(rule)


def test_a_rule_of_another_version_is_no_error() -> None:
    assert "docs/troubleshooting.md" in remedies.for_rule("a_later_rule")
    assert remedies.for_rule(None) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (12, "12 s"), (185, "3 min 5 s"), (7800, "2 h 10 min"), (273600, "3 d 4 h"), (60, "1 min 0 s")],
)
def test_durations_have_two_parts_at_most(seconds: float, text: str) -> None:
    assert duration(timedelta(seconds=seconds)).replace("\N{NO-BREAK SPACE}", " ") == text


def test_costs_are_in_basis_points() -> None:
    assert basis_points(Decimal(3), Decimal(10_000)).startswith("3.0")
    assert basis_points(Decimal(-3), Decimal(10_000)).startswith("\N{MINUS SIGN}3.0")
    assert basis_points(None, Decimal(1)) == basis_points(Decimal(1), Decimal(0)) == "\N{EN DASH}"
