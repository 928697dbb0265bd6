"""First in, first out, against a ledger of single shares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.household import Trade
from rebalancer.domain.portfolio import Side
from rebalancer.domain.units import Shares, Usd
from rebalancer.realized_gains import gains, total

START = datetime(2025, 1, 2, 17, 0, tzinfo=UTC)
CENT = Decimal("0.01")
TRADES = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(1, 30), st.integers(1, 50_000), st.integers(0, 300)), max_size=25
)


@given(TRADES)
def test_every_share_is_sold_once_at_what_it_cost(drawn: list[tuple[Side, int, int, int]]) -> None:
    """Shares one by one: each buy queues its shares at cost, each sale takes the first ones."""
    queue: list[Decimal] = []
    made, expected, held = [], Decimal(0), 0
    for number, (side, wanted, price_cents, fee_cents) in enumerate(drawn):
        quantity = wanted if side is Side.BUY else min(wanted, held)
        if not quantity:
            continue
        price, fee = price_cents * CENT, fee_cents * CENT
        at = START + timedelta(days=number)
        made.append(Trade("DU1", "SPY", side, at, Shares(Decimal(quantity)), price, Usd(fee)))
        if side is Side.BUY:
            queue += [price + fee / quantity] * quantity
            held += quantity
        else:
            taken, queue = queue[:quantity], queue[quantity:]
            expected += quantity * price - fee - sum(taken, Decimal(0))
            held -= quantity
    found = list(gains(made))
    assert sum((one.quantity for one in found), Decimal(0)) == sum(
        (one.quantity for one in made if one.side is Side.SELL), Decimal(0)
    )
    assert all(one.cost is not None and one.quantity > 0 for one in found)
    assert abs(total(found) - expected) <= 2 * CENT, "cents of the one lot that is not sold whole"
