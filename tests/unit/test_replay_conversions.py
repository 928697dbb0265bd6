"""A replay of accounts that convert currencies: what is on record of them, and what a difference in them is worth."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.cli.replays import shown
from rebalancer.domain.errors import QuoteUnavailable
from rebalancer.domain.portfolio import BaseCurrency, ProposedOrder, Quote, Side
from rebalancer.domain.units import Ratio, Usd
from rebalancer.planning import PlanningRules
from rebalancer.planning.changed_rules import RuleChanges
from rebalancer.planning.conversion import Exchange
from rebalancer.planning.conversion_terms import BackTerms, ConversionTerms
from rebalancer.planning.recorded import PLANNER
from rebalancer.planning.recorded_conversions import recorded_terms, terms_record
from rebalancer.replay.departure import Departure
from rebalancer.replay.figures import Figures
from rebalancer.replay.runs import RecordedRun, Skipped, replay
from rebalancer.replay.wording import rows
from tests.property.planning_worlds import NOW
from tests.recorded_euros import EuroHistory
from tests.recorded_history import History
from tests.unit.test_conversion import euros, pair
from tests.unit.test_planning import account

RULES = PlanningRules(Ratio(Decimal("0.02")), minimum_weight_sum=Ratio(Decimal("0.1")))
BACK = BackTerms(Usd(Decimal("-12.345678901234567890123456789")), True, ("a reason",), ("a reason", "another"))


def usd(amount: str) -> Usd:
    return Usd(Decimal(amount))


def terms(exchange: Exchange, dollars: str = "0", back: BackTerms | None = None) -> ConversionTerms:
    return ConversionTerms(exchange, usd(dollars), back)


def history() -> list[RecordedRun]:
    return list(EuroHistory(RULES, months=8).runs())


@pytest.mark.parametrize("back", [None, BACK])
def test_what_decides_on_conversions_comes_back_from_its_record_to_the_last_digit(back: BackTerms | None) -> None:
    made = terms(euros("100000.0100", "0.5", "1.24990", "1.2501", lot=1_000), "0.100000000000000000000000000001", back)
    quote = made.exchange.quote
    told = {"bid": str(quote.bid), "ask": str(quote.ask), "at": quote.at.isoformat(), "data_type": quote.data_type}
    record = {"quotes": {quote.symbol: told}, PLANNER: {"conversion": terms_record(made)}}
    read = recorded_terms(json.loads(json.dumps(record)))
    assert read is not None
    assert replace(read.exchange, instrument=made.exchange.instrument) == made.exchange
    wanted, kept = made.exchange.instrument, read.exchange.instrument
    assert (kept.symbol, kept.lot, kept.price_steps) == (wanted.symbol, wanted.lot, wanted.price_steps)
    assert (read.dollars, read.back) == (made.dollars, back)
    assert str(read.exchange.base.cash) == "100000.0100"


def test_a_conversion_that_this_program_makes_otherwise_is_compared_with_nothing() -> None:
    runs = history()
    place = next(n for n, run in enumerate(runs) if run.plan["conversion"]["order"])
    conversion = runs[place].plan["conversion"]
    order = conversion["order"] | {"quantity": conversion["order"]["quantity"] + 1}
    runs[place] = replace(runs[place], plan={**runs[place].plan, "conversion": conversion | {"order": order}})
    assert replay(runs, RuleChanges()).skipped() == {Skipped.CHANGED_PLANNER: 1}


def test_by_the_other_rules_nothing_may_be_converted_at_all() -> None:
    found = replay(history()[:1], RuleChanges(reserve_usd=usd("10000000")))
    assert found.skipped() == {Skipped.REFUSED: 1}


def test_where_a_run_has_no_rate_on_record_a_difference_in_the_base_currency_is_named() -> None:
    """A run of an account without any of it asks for no pair."""
    changes = RuleChanges(reserve_fraction=Ratio(Decimal("0.3")))
    plain = list(History(RULES, months=8).runs())
    found = replay([*history()[:2], plain[2]], changes)
    assert found.skipped() == {Skipped.UNPRICED: 1}
    assert (found.steps[-1].why, found.worth) == ("no price of the base currency is on record", None)
    assert replay([*history()[:2], plain[2]], RuleChanges()).skipped() == {}, "without a difference nothing is missing"


def test_the_base_currency_is_worth_what_plans_count_it_at() -> None:
    departed = Departure({}, usd("5"), Decimal(7))
    assert round(departed.worth({}, euros()), 10) == 5 + 7 * Decimal("1.2499")
    with pytest.raises(QuoteUnavailable, match="no price of SPY, the base currency is on record"):
        replace(departed, shares={"SPY": Decimal(1)}).worth({})


def test_a_difference_in_both_currencies_changes_what_counts_as_dollars() -> None:
    recorded = terms(euros("1000"), "50", BACK)
    apart = Departure({}, usd("20"), Decimal(100))
    moved = apart.terms(recorded)
    assert moved is not None
    assert (moved.exchange.base.cash, moved.dollars) == (1_100, 70)
    assert moved.back == replace(BACK, dollars=Usd(BACK.dollars + 20))
    there = account({}, "1298.6501", "1298.6501")  # 50 USD and 999 EUR at 1.2499
    would = apart.applied(there, {}, recorded)
    assert (would.cash, would.net_liquidation) == (Decimal("1443.6401"), Decimal("1443.6401"))


def test_where_nothing_would_have_been_there_to_convert_nothing_counts() -> None:
    recorded = terms(euros("1000", kept="900"), "50")
    apart = Departure({}, usd("0"), Decimal(-100))
    assert apart.terms(recorded) is None
    there = account({}, "173.7401", "173.7401")  # 50 USD and 99 EUR at 1.2499
    assert round(apart.applied(there, {}, recorded).cash, 10) == 50
    assert apart.terms(None) is None


def test_euros_that_were_sold_by_hand_were_no_more_than_would_have_been_there() -> None:
    apart = Departure({}, usd("500"), Decimal(-400))
    assert apart.fitted(account({}, "0", "0"), {}, euros("500")) == apart
    fitted = apart.fitted(account({}, "0", "0"), {}, euros("100"))
    assert (fitted.base, round(fitted.cash, 10)) == (-100, 500 - 300 * Decimal("1.2499"))


def test_conversions_are_part_of_what_differs() -> None:
    sale = ProposedOrder("EUR.USD", Side.SELL, 1_000, Decimal("1.2499"), usd("2"), "a test")
    back = ProposedOrder("EUR.USD", Side.BUY, 100, Decimal("1.2501"), usd("2"), "a test")
    apart = Departure().after_exchanges([sale], [back], euros())
    fees = 2 / Decimal("1.2499")
    assert apart.cash == Decimal("1249.9") + Decimal("125.01")
    assert round(apart.base, 10) == round(-1_000 - fees - (100 - fees), 10)


@pytest.mark.parametrize(
    ("exchange", "order", "turnover", "spread"),
    [
        (euros(), ProposedOrder("EUR.USD", Side.SELL, 1_000, Decimal("1.2499"), usd("2"), ""), "1249.9", "0.1"),
        (
            Exchange(
                BaseCurrency("CHF", Decimal("0.8"), Decimal(900)),
                pair("USD.CHF"),
                Quote("USD.CHF", Decimal("0.7999"), Decimal("0.8001"), NOW),
                Decimal(0),
                Ratio(Decimal(0)),
            ),
            ProposedOrder("USD.CHF", Side.BUY, 1_000, Decimal("0.8001"), usd("2"), ""),
            "1000",
            "0.125",
        ),
    ],
)
def test_an_order_for_currencies_counts_in_dollars(
    exchange: Exchange, order: ProposedOrder, turnover: str, spread: str
) -> None:
    found = Figures.of_exchange(order, exchange)
    assert (found.plans, found.orders, found.turnover, found.commission) == (0, 1, Decimal(turnover), 2)
    assert round(found.spread, 10) == Decimal(spread)


def test_the_example_of_the_document() -> None:
    text = (Path(__file__).parents[2] / "docs/replay.md").read_text()
    _, text = text.split("## Where currencies are converted")
    history = EuroHistory(RULES, months=1)
    found = replay(history.runs(), RuleChanges(reserve_fraction=Ratio(Decimal("0.1"))))
    for row in rows(found)[:5]:
        was, would = re.escape(shown(row, row.was)), re.escape(shown(row, row.would))
        assert re.search(rf"^{row.name} +{was} +{would}$", text, re.MULTILINE)
    less = found.was.turnover - found.would.turnover
    assert f"the buys need {less / 2:,.0f} USD less" in text
