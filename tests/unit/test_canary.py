"""Whether an account that traded first has fared well enough: each side of each bound."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.costs.shortfall import Decided
from rebalancer.domain.portfolio import Side
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.strategy_holds import CanaryTerms
from rebalancer.domain.units import Ratio, Shares, Usd
from rebalancer.risk.breaker import COUNTED, trips
from rebalancer.risk.canary import Executed, Trial, judge, slippage

TERMS = CanaryTerms(Ratio(Decimal("0.005")), timedelta(minutes=60))
DONE = Trial(refusals=(), executed=(), finished=True, removed=False, overdue=False, state="succeeded, done")
UNDER_WAY = replace(DONE, finished=False, state="running, running")


def filled(
    price: str, side: Side = Side.BUY, shares: int = 10, symbol: str = "SPY", mid: str | None = "100"
) -> Executed:
    value = Usd(shares * Decimal(price))
    return Executed(
        symbol, side, Shares(Decimal(shares)), Shares(Decimal(shares)), value, None if mid is None else Decimal(mid)
    )


def test_it_passes_when_it_has_finished_and_nothing_was_wrong() -> None:
    assert judge(DONE, TERMS) == ()
    assert judge(replace(DONE, executed=(filled("100.5"), filled("99.5", Side.SELL))), TERMS) == ()


def test_nothing_is_said_while_it_is_under_way() -> None:
    assert judge(UNDER_WAY, TERMS) is None


def test_a_symbol_that_fills_worse_than_allowed_is_named_on_either_side() -> None:
    told = judge(replace(DONE, executed=(filled("100.51"), filled("100", symbol="QQQ"))), TERMS)
    assert told == ("SPY filled 0.51 % worse than the middle of its quote, allowed are 0.50 %",)
    told = judge(replace(DONE, executed=(filled("99.49", Side.SELL),)), TERMS)
    assert told == ("SPY filled 0.51 % worse than the middle of its quote, allowed are 0.50 %",)


def test_orders_of_one_symbol_are_judged_together() -> None:
    assert judge(replace(DONE, executed=(filled("100.9"), filled("100.1"))), TERMS) == ()


def test_a_price_that_is_not_known_is_a_reason() -> None:
    unknown = ("SPY: its price cannot be judged, since an execution or a quote is not on record",)
    assert judge(replace(DONE, executed=(replace(filled("100"), told=Shares(Decimal(9))),)), TERMS) == unknown
    assert judge(replace(DONE, executed=(filled("100", mid=None),)), TERMS) == unknown


def test_a_refusal_is_a_reason_at_once_whatever_follows() -> None:
    assert judge(replace(UNDER_WAY, refusals=("OrderRejected: 201: no",)), TERMS) == ("OrderRejected: 201: no",)
    assert judge(replace(DONE, refusals=("Refused: quotes_stale",)), TERMS) == ("Refused: quotes_stale",)


def test_time_and_removal_are_reasons_only_while_it_has_not_finished() -> None:
    late = judge(replace(UNDER_WAY, overdue=True), TERMS)
    assert late == ("it has not finished within 60 minutes: running, running",)
    assert judge(replace(DONE, overdue=True), TERMS) == ()
    assert judge(replace(UNDER_WAY, removed=True, overdue=True), TERMS) == ("it was removed before it had finished",)


def test_the_middle_of_a_quote_on_record() -> None:
    quote = Decided.read("99.98", "100.02")
    assert quote is not None
    assert quote.mid == 100
    assert Decided.read(None, None) is None


prices = st.decimals("1", "500", places=2)
orders = st.builds(
    lambda side, shares, price, mid: Executed("SPY", side, Shares(shares), Shares(shares), Usd(shares * price), mid),
    st.sampled_from(Side),
    st.integers(1, 10_000).map(Decimal),
    prices,
    prices,
)


@given(st.lists(orders, max_size=5))
def test_slippage_lies_between_that_of_its_best_and_its_worst_order(executed: list[Executed]) -> None:
    each = [slippage([one]) for one in executed] or [Ratio(Decimal(0))]
    assert min(each) - Decimal("1e-20") <= slippage(executed) <= max(each) + Decimal("1e-20")


@given(st.lists(orders, max_size=5), st.booleans(), st.booleans(), st.booleans())
def test_the_others_follow_only_a_canary_that_has_finished_within_its_bound(
    executed: list[Executed], finished: bool, removed: bool, overdue: bool
) -> None:
    trial = Trial((), tuple(executed), finished, removed, overdue, "state")
    if judge(trial, TERMS) == ():
        assert finished
        assert not removed
        assert slippage(executed) <= TERMS.most_slippage
    assert judge(replace(trial, refusals=("no",)), TERMS)


def test_a_breaker_counts_accounts_and_only_what_is_of_the_strategy() -> None:
    assert trips(Rule.QUOTES_STALE, ["DU1", "DU2"], 2)
    assert not trips(Rule.QUOTES_STALE, ["DU1", "DU1"], 2)
    assert not trips(Rule.QUOTES_STALE, ["DU1", "DU2"], 3)
    assert not trips(Rule.QUOTES_STALE, ["DU1", "DU2"], 0)
    assert not trips(Rule.CASH_MISSING, ["DU1", "DU2"], 2)
    assert COUNTED.isdisjoint({Rule.POSITIONS_MISSING, Rule.EQUITY_DISAGREES, Rule.LIMITS, Rule.HALT})
