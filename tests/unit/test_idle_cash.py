"""How long cash has been idle: each side of each bound."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.units import Ratio
from rebalancer.planning.idle_cash import FRESH, LEAST, CashLook, cash_look, idle_since, is_due
from tests.ledger_rows import PLAN

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
DAY = timedelta(days=1)
WAIT = 3 * DAY


def looks(*spare: str, end: datetime = NOON) -> list[CashLook]:
    """One a day, the last at ``end``."""
    return [CashLook(end - DAY * back, Ratio(Decimal(one))) for back, one in enumerate(reversed(spare))][::-1]


def test_cash_is_idle_from_the_first_of_the_looks_that_all_show_it() -> None:
    assert idle_since(looks("0.02", "0.001", "0.02", "0.005")) == NOON - DAY
    assert idle_since(looks("0.02", "0.0049")) is None
    assert idle_since([]) is None


def test_it_is_due_when_it_was_idle_for_the_whole_time() -> None:
    assert is_due(looks("0.02", "0.02", "0.02", "0.02"), NOON, WAIT)
    assert not is_due(looks("0.02", "0.02", "0.02"), NOON, WAIT)
    assert not is_due(looks("0.02", "0.02", "0.004", "0.02"), NOON, WAIT)
    assert not is_due([], NOON, WAIT)


def test_nothing_is_bought_for_what_was_not_seen_lately() -> None:
    old = looks("0.02", "0.02", "0.02", "0.02", end=NOON - FRESH)
    assert is_due(old, NOON, WAIT)
    assert not is_due(old, NOON + timedelta(seconds=1), WAIT)


def test_a_look_counts_what_is_beyond_reserve_and_cash_target() -> None:
    held = [{"symbol": "SPY", "quantity": "400", "price": "100"}]
    seen = cash_look(NOON, PLAN, held, Decimal(60000))
    assert seen is not None
    assert seen.spare == Decimal(59000) / Decimal(99000)
    with_cash_target = PLAN | {"lines": [line | {"target_weight": "0.2"} for line in PLAN["lines"]]}  # type: ignore[attr-defined]
    seen = cash_look(NOON, with_cash_target, held, Decimal(60000))
    assert seen is not None
    assert seen.spare == Decimal(59000) / Decimal(99000) - Decimal("0.6")
    assert cash_look(NOON, None, held, Decimal(60000)) is None


@given(st.lists(st.decimals(-1, 1, places=4).map(Ratio), min_size=1, max_size=20), st.integers(0, 25))
def test_what_is_due_was_never_seen_below_the_least(spare: list[Ratio], days: int) -> None:
    seen = [CashLook(NOON - DAY * back, one) for back, one in enumerate(reversed(spare))][::-1]
    if is_due(seen, NOON, DAY * days):
        assert len(seen) > days
        assert all(one.spare >= LEAST for one in seen[-days - 1 :])
