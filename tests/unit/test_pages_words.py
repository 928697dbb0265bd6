"""What the pages say of plans, of health and of sums, without a page."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from api.web import words
from api.web.approvals import waiting_plan
from rebalancer.domain.approvals import Approval, ApprovalState
from rebalancer.health.headline import headline
from rebalancer.health.readiness import Check
from tests.ledger_rows import PLAN, SWITCH

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
FINE = Check("database", True, "answers")
DEAF = Check("signals", False, "nothing was heard")
MISSPELT = Check("the last signal of blend was not understood", True, "unknown exec 'Rebalance'", warning=True)


def asked(plan: dict[str, object], orders: dict[str, Decimal]) -> Approval:
    return Approval(
        id=1,
        event_id=UUID(int=1),
        account_id="DU1",
        state=ApprovalState.PENDING,
        reasons=("large",),
        orders=orders,
        plan=plan,
        asked_at=NOON,
        silent_at=None,
        expires_at=NOON,
        decided_by=None,
    )


def test_a_plan_lists_sells_first_with_their_weights_and_its_totals() -> None:
    shown = waiting_plan(asked(SWITCH, {}))
    assert [(order.side, order.symbol, order.amount) for order in shown.orders] == [
        ("SELL", "MSFT", Decimal("57372.12")),
        ("BUY", "SPY", Decimal(19400)),
    ]
    assert (shown.orders[1].before, shown.orders[1].after) == (Decimal("0.404040"), Decimal("0.600000"))
    assert (shown.sold, shown.bought, shown.fees) == (Decimal("57372.12"), Decimal(19400), Decimal("2.50"))
    assert shown.turnover == Decimal("0.7677212")


def test_a_plan_of_which_only_amounts_are_on_record_says_no_more_than_them() -> None:
    shown = waiting_plan(asked({}, {"SPY": Decimal(100), "QQQ": Decimal(-30)}))
    assert [(order.side, order.symbol, order.amount, order.shares) for order in shown.orders] == [
        ("SELL", "QQQ", Decimal(30), None),
        ("BUY", "SPY", Decimal(100), None),
    ]
    assert (shown.turnover, shown.fees) == (None, None)


def test_an_order_without_its_line_has_no_weights() -> None:
    shown = waiting_plan(asked(PLAN | {"lines": []}, {}))
    assert (shown.orders[0].before, shown.orders[0].after) == (None, None)


@pytest.mark.parametrize(
    ("checks", "remarks", "facts", "kind", "text"),
    [
        ((FINE,), (), {}, "good", "All is well"),
        ((FINE, DEAF), (), {"plans": 1}, "bad", "Not ready: signals · 1 plan waits for you"),
        ((FINE,), (), {"plans": 3}, "warn", "3 plans wait for you"),
        ((FINE,), (), {"halted": True}, "warn", "Halted"),
        ((FINE,), (), {"attention": 1, "retried": 2}, "warn", "1 event needs attention · 2 events are being retried"),
        ((FINE,), (MISSPELT,), {}, "warn", "the last signal of blend was not understood"),
    ],
)
def test_the_headline_names_the_most_urgent_first(
    checks: tuple[Check, ...], remarks: tuple[Check, ...], facts: dict[str, int], kind: str, text: str
) -> None:
    made = headline(
        checks, remarks, **{"halted": False, "strategies": 0, "plans": 0, "attention": 0, "retried": 0} | facts
    )  # type: ignore[arg-type]
    assert (made.kind, made.text) == (kind, text)


def test_a_minus_stays_with_its_amount_at_the_end_of_a_line() -> None:
    assert words.money(Decimal("-57372")) == "\N{MINUS SIGN}\N{WORD JOINER}$57,372.00"


@pytest.mark.parametrize(("amount", "kind"), [(None, ""), (Decimal(0), ""), (Decimal(1), "up"), (Decimal(-1), "down")])
def test_a_gain_has_the_colour_of_its_sign(amount: Decimal | None, kind: str) -> None:
    assert words.direction(amount) == kind


def test_figures_are_counted_with_their_words() -> None:
    assert [words.counted(number, "plan") for number in (0, 1, 2)] == ["0 plans", "1 plan", "2 plans"]
