"""A replay where records are incomplete, and what cannot be honoured."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.cli.replays import shown
from rebalancer.config.replayed_settings import HONOURED, read_changes
from rebalancer.domain.errors import ConfigurationError, QuoteUnavailable
from rebalancer.domain.portfolio import Position, ProposedOrder, Side
from rebalancer.domain.units import Usd
from rebalancer.planning import PlanningRules
from rebalancer.planning.changed_rules import RuleChanges
from rebalancer.replay.departure import Departure
from rebalancer.replay.runs import RecordedRun, Skipped, replay, together
from rebalancer.replay.wording import SENTENCES, notes, rows
from tests.recorded_history import History
from tests.unit.test_planning import account, quotes

THREE = Decimal("0.03")
BAND = RuleChanges(drift_band=Decimal("0.05"))


def history(months: int = 8) -> list[RecordedRun]:
    return list(History(PlanningRules(Decimal("0.02")), months=months).runs())


def as_asked(run: RecordedRun) -> RecordedRun:
    """The same with quotes of what was held or wanted then only, as a run asks for them."""
    assert run.inputs is not None
    asked = {one.symbol for one in (*run.inputs.snapshot.positions, *run.inputs.weights)}
    kept = {symbol: quote for symbol, quote in run.inputs.quotes.items() if symbol in asked}
    return replace(run, inputs=replace(run.inputs, quotes=kept))


def test_what_was_not_carried_out_or_kept_is_said_and_counts_as_it_was() -> None:
    runs = history()
    runs[2] = replace(runs[2], carried_out=False)
    runs[4] = replace(runs[4], inputs=None)
    runs[5] = replace(runs[5], inputs=None, plan={**runs[5].plan, "conversion": {"currency": "EUR"}})
    found = replay(runs, RuleChanges())
    assert found.skipped() == {Skipped.NOT_CARRIED_OUT: 1, Skipped.UNRECORDED: 1, Skipped.CONVERTS: 1}
    assert (found.was, found.worth) == (found.would, 0)
    assert found.was.plans == 5
    assert list(notes(found)) == [
        "5 of 8 recorded plans are compared, 0 differ",
        f"1 {SENTENCES[Skipped.UNRECORDED]}",
        f"1 {SENTENCES[Skipped.CONVERTS]}",
        f"1 {SENTENCES[Skipped.NOT_CARRIED_OUT]}",
    ]


def test_a_plan_that_this_program_makes_otherwise_is_compared_with_nothing() -> None:
    runs = history()
    runs[3] = replace(runs[3], plan={**runs[3].plan, "investable": "1"})
    assert replay(runs, RuleChanges()).skipped() == {Skipped.CHANGED_PLANNER: 1}


def test_a_plan_that_the_other_rules_refuse_trades_nothing() -> None:
    found = replay(history(3), RuleChanges(reserve_usd=Usd(Decimal(10_000_000))))
    assert found.skipped() == {Skipped.REFUSED: 3}
    assert found.would.orders == 0
    (first, *_) = [note for note in notes(found) if "2006-01-02" in note]
    assert "equity is 100000" in first


def test_what_would_be_held_and_has_no_price_on_record_is_named_and_never_guessed() -> None:
    """By the other threshold a few shares stay after the strategy has left their symbol, which nobody quotes then."""
    runs = [as_asked(run) for run in history(40)]
    assert replay(runs, RuleChanges()).skipped() == {}
    found = replay(runs, RuleChanges(share_threshold=Decimal(60)))
    assert found.skipped().keys() == {Skipped.UNPRICED}
    last = next(n for n, step in enumerate(found.steps) if step.skipped)
    assert "no price of" in str(found.steps[last].why)
    assert replay(runs[: last + 1], RuleChanges(share_threshold=Decimal(60))).worth is None


def test_prices_that_are_not_on_record_are_named() -> None:
    apart = Departure({"GLD": Decimal(3), "SPY": Decimal(-1)})
    with pytest.raises(QuoteUnavailable, match="no price of GLD is on record"):
        apart.worth(quotes(SPY="100"))
    assert apart.worth(quotes(SPY="100", GLD="50")) == 50


def test_a_sale_by_hand_is_of_no_more_than_would_have_been_there() -> None:
    """On record 10 SPY were left when their owner sold them all; 4 fewer would have been there to sell."""
    prices = quotes(SPY="100")
    apart = Departure({"SPY": Decimal(-4)}, Usd(Decimal(400)))
    assert apart.fitted(account({"SPY": "10"}, "0", "1000"), prices) == apart
    assert apart.fitted(account({}, "1000", "1000"), prices) == Departure({}, Usd(Decimal(0)))


def test_a_departure_is_the_difference_of_two_plans_orders() -> None:
    def order(side: Side, count: int) -> ProposedOrder:
        return ProposedOrder("SPY", side, count, Decimal(10), Usd(Decimal(1)), "a test")

    apart = Departure().after([order(Side.BUY, 5)], [order(Side.BUY, 3), order(Side.SELL, 1)])
    assert apart == Departure({"SPY": Decimal(3)}, Usd(Decimal(-29)))
    other = Position("BOND", Decimal(2), security_type="BOND")
    snapshot = account({"SPY": "4"}, "50", "90")
    moved = apart.applied(replace(snapshot, positions=(*snapshot.positions, other)), quotes(SPY="10"))
    assert [(one.symbol, one.quantity) for one in moved.positions] == [("SPY", 7), ("BOND", 2)]
    assert (moved.cash, moved.net_liquidation) == (21, 91)
    assert Departure({"GLD": Decimal(1)}).applied(snapshot, quotes(GLD="7")).positions[-1] == Position(
        "GLD", Decimal(1)
    )


def test_accounts_are_added_up() -> None:
    one = replay(history(), BAND)
    both = together([one, one])
    assert (both.was.turnover, both.worth) == (2 * one.was.turnover, one.worth and 2 * one.worth)
    assert together([]).was.mean_drift_left is None
    assert [row.was for row in rows(together([])) if row.unit == "count"] == [0]


def test_changes_are_read_as_settings_are() -> None:
    assert read_changes(["drift_band_percent = 2", "FEE_MINIMUM=0.35", "CASH_RESERVE_PERCENT=40"]) == RuleChanges(
        drift_band=Decimal("0.02"), fee_minimum=Usd(Decimal("0.35")), reserve_fraction=Decimal("0.4")
    )
    assert read_changes([f"{name}=1" for name in HONOURED if name != "cash_reserve_usd"])
    assert read_changes(["cash_reserve_usd=500"]) == RuleChanges(reserve_usd=Usd(Decimal(500)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ORDER_TYPE=LMT", "ORDER_TYPE is no part of a plan, so no record says what it would have changed: a replay"),
        ("hold=SPY", "hold is no part of a plan"),
        ("DRIFT_BAND=2", "DRIFT_BAND is no setting: a replay honours DRIFT_BAND_PERCENT, "),
        ("DRIFT_BAND_PERCENT", "DRIFT_BAND_PERCENT: write NAME=VALUE, such as DRIFT_BAND_PERCENT=2"),
        ("DRIFT_BAND_PERCENT=51", "DRIFT_BAND_PERCENT = '51' is refused: use 0 to 50"),
        ("FEE_MINIMUM=much", "FEE_MINIMUM = 'much' is refused: use 0 to 100"),
        ("FEE_MINIMUM=nan", "FEE_MINIMUM = 'nan' is refused: use 0 to 100"),
        ("cash_reserve_percent=101", "cash_reserve_percent = '101' is refused: use 0 to 100"),
        ("cash_reserve_usd=0", "cash_reserve_usd = '0' is refused: use more than 0"),
    ],
)
def test_what_a_replay_cannot_honour_is_refused_by_name(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_changes([text, "PRICE_MARGIN_PERCENT=1"])
    (problem,) = refused.value.problems
    assert problem.startswith(told)


def test_every_problem_is_told_at_once() -> None:
    texts = ["A=1", "FEE_MINIMUM=1", "FEE_MINIMUM=2", "cash_reserve_percent=1", "cash_reserve_usd=1"]
    with pytest.raises(ConfigurationError) as refused:
        read_changes(texts)
    assert len(refused.value.problems) == 3


def test_the_example_of_the_document() -> None:
    text = (Path(__file__).parents[2] / "docs/replay.md").read_text()
    found = replay(History(PlanningRules(Decimal("0.02")), months=18, rests=18).runs(), RuleChanges(drift_band=THREE))
    assert found.worth is not None
    for row in rows(found):
        was, would = re.escape(shown(row, row.was)), re.escape(shown(row, row.would))
        assert re.search(rf"^{row.name} +{was} +{would}$", text, re.MULTILINE)
    assert f"worth {found.worth:+,.2f} USD" in text
    assert [note for note in notes(found) if note not in text] == []
