"""No input, however malformed, leads through gate and planner to an order that sells more than the drift justifies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from functools import partial
from typing import TypeVar

from hypothesis import event, given
from hypothesis import strategies as st

from rebalancer.domain.errors import QuoteUnavailable, Refused
from rebalancer.domain.money import EXACT, HALF, ONE, ZERO
from rebalancer.domain.portfolio import (
    AccountSnapshot,
    FeeSchedule,
    MarketDataType,
    Position,
    Quote,
    Replacement,
    Targets,
    TargetWeight,
)
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.planning import PlanningRules, plan, replacements
from rebalancer.risk.exclusions import set_apart
from rebalancer.risk.input_checks import CASH_SHARE_SUM, check_quotes, check_targets
from tests.property.effort import examples

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
ODD = st.one_of(st.decimals(), st.sampled_from([ZERO, Decimal(50), Decimal("-0.1"), Decimal("1e-30"), Decimal("1e30")]))
SYMBOLS = st.sampled_from("ABCD")


T = TypeVar("T")


def mostly(likely: st.SearchStrategy[T], rare: st.SearchStrategy[T], one_in: int) -> st.SearchStrategy[T]:
    """``one_of`` takes equal alternatives for one, and so cannot be weighted."""
    return st.integers(1, one_in).flatmap(lambda number: rare if number == one_in else likely)


def exactly(*values: str) -> st.SearchStrategy[Decimal]:
    return mostly(st.sampled_from([Decimal(value) for value in values]), ODD, 40)


def renamed(symbol: str, quote: Quote) -> Quote:
    return replace(quote, symbol=symbol)


QUOTES = st.builds(
    Quote,
    symbol=SYMBOLS,
    bid=exactly("9.9", "10"),
    ask=exactly("10.1", "10.03"),
    at=st.sampled_from([*[NOW] * 40, NOW - timedelta(hours=1)]),
    data_type=st.sampled_from([*[MarketDataType.LIVE] * 40, MarketDataType.DELAYED]),
    close=st.one_of(st.none(), exactly("8", "12")),
)
MARKET = mostly(
    st.tuples(*(QUOTES.map(partial(renamed, symbol)) for symbol in "ABCD")).map(list), st.lists(QUOTES, max_size=4), 6
)
POSITIONS = st.builds(
    Position,
    symbol=SYMBOLS,
    quantity=exactly("7.5", "100", "0", "-3"),
    security_type=st.sampled_from(["STK", "STK", "STK", "OPT"]),
    currency=st.sampled_from(["USD", "USD", "USD", "CAD"]),
)
MEANT = st.sampled_from(["A 1", "A 0.5 B 0.5", "B 0.2 C 0.8", "A 0.4 C 0.3 D 0.29", "A 0.61 D 0.4", "C 0.3 D 0.4"])
ANYTHING = st.lists(st.builds(TargetWeight, SYMBOLS, exactly("0.5", "1", "0.3333", "0.2")), max_size=4).map(tuple)


def written(text: str) -> tuple[TargetWeight, ...]:
    """``A 0.5 B 0.5`` as weights."""
    words = text.split()
    return tuple(TargetWeight(symbol, Decimal(weight)) for symbol, weight in zip(words[::2], words[1::2], strict=True))


TARGETS = st.builds(
    Targets,
    strategy=st.just("s"),
    weights=mostly(MEANT.map(written), ANYTHING, 6),
    as_of=st.sampled_from([*[None, NOW.date()] * 8, date(2020, 1, 1), date(2030, 1, 1)]),
)
RULES = st.builds(
    PlanningRules,
    exactly("0", "0.01", "0.5"),
    exactly("0.5", "0"),
    exactly("0", "0.05"),
    st.builds(FeeSchedule, minimum=exactly("1")),
    exactly("0"),
    st.just(CASH_SHARE_SUM),
    exactly("0", "0.25"),
    exactly("0", "0", "100"),
    st.sampled_from(RebalanceMode),
)
REPLACEMENTS = st.lists(st.builds(Replacement, SYMBOLS, SYMBOLS, exactly("1", "1.5", "0.5")), max_size=2)


@examples(300)
@given(
    targets=TARGETS,
    positions=st.lists(POSITIONS, max_size=4).map(tuple),
    quotes=MARKET,
    money=st.tuples(exactly("100", "5000", "-50"), exactly("300", "9000")),
    rules=RULES,
    replaced=REPLACEMENTS,
    hold=st.sets(SYMBOLS, max_size=1),
    allow_cash_share=st.booleans(),
)
def test_nothing_sells_more_than_its_drift_justifies(  # noqa: PLR0917 - Hypothesis passes them by name
    targets: Targets,
    positions: tuple[Position, ...],
    quotes: list[Quote],
    money: tuple[Decimal, Decimal],
    rules: PlanningRules,
    replaced: list[Replacement],
    hold: set[str],
    allow_cash_share: bool,
) -> None:
    seen = {quote.symbol: quote for quote in quotes}
    snapshot = AccountSnapshot("DU1", NOW, money[1], money[0], None, None, positions)
    try:
        check_targets(targets, NOW.date(), timedelta(days=100), allow_cash_share=allow_cash_share)
        weights = replacements.apply(targets.weights, replaced)
        check_quotes(seen, NOW, timedelta(minutes=1), HALF, allow_delayed=False)
        left = set_apart(snapshot, weights, seen, hold)
        made = plan(left.snapshot, left.weights, seen, rules)
    except (Refused, QuoteUnavailable) as refusal:
        event(refusal.rule if isinstance(refusal, Refused) else "quotes")
        return
    event(f"{rules.kind}, {len(made.sells)} sells")
    asked = {entry.symbol: entry.weight for entry in weights}
    total = sum(asked.values(), ZERO)
    with localcontext(EXACT):
        for order in made.sells:
            stocks = [entry for entry in positions if (entry.security_type, entry.currency) == ("STK", "USD")]
            owned = sum((entry.quantity for entry in stocks if entry.symbol == order.symbol), ZERO)
            share = asked.get(order.symbol, ZERO) / max(ONE, total)
            wanted = share * made.investable / seen[order.symbol].mid
            assert order.symbol not in hold
            assert order.quantity <= owned
            assert order.quantity <= owned - wanted + HALF
            assert owned * seen[order.symbol].mid > (share + rules.band(share)) * made.investable
        spent = sum((order.notional + order.fee for order in made.buys), ZERO)
        brought = sum((order.notional - order.fee for order in made.sells), ZERO)
        assert not made.buys or spent <= snapshot.cash + brought - rules.reserve_amount
        assert made.spendable_cash >= 0
        assert replace(made, notes=()) == replace(plan(left.snapshot, left.weights, seen, rules), notes=())
