"""Every figure that an owner is told is computed twice: by the program, and by something that shares nothing with it.

=================  ======================================================================================
who computes       how
=================  ======================================================================================
plain arithmetic   fractions, floats or decimals in the test, from the same facts
a peer library     pyxirr, which is no part of the program
PostgreSQL         SQL over the rows, in the test
the other side     the broker's books as the sandbox keeps them, of which the program hears by its statement
by hand            numbers worked out on paper, as in the documents' examples
=================  ======================================================================================

``TABLE`` says of each figure which test that is; the tests below hold it against what the program tells and against the
tests that there are.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from rebalancer.costs.shortfall import PARTS
from rebalancer.costs.summary import Percentiles
from rebalancer.realized_gains import GAIN_COLUMNS
from rebalancer.replay.runs import together
from rebalancer.replay.wording import rows
from rebalancer.returns.gap import Performance
from rebalancer.returns.worlds import Part
from rebalancer.statements.content import Kind

TESTS = Path(__file__).parents[1]
PLAINLY, PEER, SQL, BROKER, BY_HAND = "plain arithmetic", "a peer library", "PostgreSQL", "the other side", "by hand"
Figures = Mapping[str, tuple[str, str]]
"""By name: the test, as ``file::name`` below the folder tests, and who computes in it."""

_PART_OF_COST = ("property/test_costs.py::test_each_part_is_what_lies_between_two_prices", PLAINLY)
_COST = ("integration/ledger/test_costs.py::test_the_whole_is_what_postgresql_makes_of_the_fills", SQL)
_SUMMED = (
    "property/test_costs.py::test_whatever_orders_are_put_together_by_the_parts_sum_to_the_whole_exactly",
    PLAINLY,
)
_PERCENTILE = ("property/test_costs.py::test_percentiles_are_those_of_a_spreadsheet", PLAINLY)
COSTS: Figures = {
    **dict.fromkeys(PARTS, _PART_OF_COST),
    "cost": _COST,
    "worth": _COST,
    "basis points": _PART_OF_COST,
    **{one.name: _PERCENTILE for one in fields(Percentiles)},
    **dict.fromkeys(("asked", "filled", "without_quote", "incomplete"), _SUMMED),
}
_PART_OF_GAP = ("unit/test_returns.py::test_each_part_is_what_plain_arithmetic_gives", PLAINLY)
_OWN = ("unit/test_returns.py::test_the_accounts_own_figures_are_what_plain_arithmetic_gives", PLAINLY)
_RATE = ("property/test_money_weighted.py::test_it_is_the_rate_of_a_peer_library", PEER)
RETURNS: Figures = {
    **dict.fromkeys(Part, _PART_OF_GAP),
    Part.OTHER: ("unit/test_returns.py::test_dividends_are_what_nothing_else_explains", BY_HAND),
    "gap": ("unit/test_returns.py::test_the_parts_add_up_exactly_to_the_gap_over_twenty_years", PLAINLY),
    "final": _PART_OF_GAP,
    "time_weighted": _OWN,
    "time_weighted_annual": _OWN,
    "money_weighted": _RATE,
    "money_weighted_annual": _RATE,
    "came": _OWN,
    "earned": _OWN,
}
_PLANS = (
    "property/test_replay.py::test_the_figures_of_plans_are_what_plain_arithmetic_makes_of_their_records",
    PLAINLY,
)
REPLAY: Figures = {
    **dict.fromkeys(("orders", "turnover", "spread", "commission", "cost"), _PLANS),
    **dict.fromkeys(("drift found, mean", "drift left, mean"), _PLANS),
    "worth": (
        "property/test_replay.py::test_by_other_rules_it_is_what_an_account_with_those_rules_would_have_done",
        PLAINLY,
    ),
}
_YEAR = ("integration/statements/test_year.py::test_ledger_and_statement_are_the_same_over_a_year", PLAINLY)
_SEEDED = "integration/statements/test_kinds.py::test_a_seeded_difference_is_found_to_the_share_and_the_cent"
_OF_A_YEAR = (Kind.DIVIDEND, Kind.TAX, Kind.INTEREST, Kind.FEE, Kind.DEPOSIT, Kind.WITHDRAWAL, Kind.HAND_TRADE)
_OF_A_YEAR += (Kind.SPLIT, Kind.LATE_COMMISSION, Kind.LOST_FILL, Kind.CONVERSION)
_KINDS = "integration/statements/test_kinds.py"
STATEMENTS: Figures = {
    "shares": _YEAR,
    "cash": _YEAR,
    **dict.fromkeys(_OF_A_YEAR, _YEAR),
    **dict.fromkeys((Kind.OTHER_FILL, Kind.OTHER_COMMISSION, Kind.POSITION, Kind.CASH), (_SEEDED, BROKER)),
    Kind.CORPORATE_ACTION: ("unit/test_flex_decoding.py::test_corporate_actions_and_transfers", BY_HAND),
    Kind.TRANSFER: ("unit/test_flex_decoding.py::test_corporate_actions_and_transfers", BY_HAND),
    Kind.FOREIGN_ORDER: (f"{_KINDS}::test_an_order_of_our_form_that_is_not_on_record_is_for_a_person", BROKER),
    Kind.PERHAPS_OURS: (f"{_KINDS}::test_a_trade_without_a_ref_that_may_be_ours_is_for_a_person", BROKER),
    Kind.MISSING_FILL: (f"{_KINDS}::test_a_fill_that_the_statement_lacks_is_for_a_person", BROKER),
    Kind.UNKNOWN_ENTRY: (f"{_KINDS}::test_a_kind_of_cash_that_nobody_knows_is_for_a_person", BROKER),
    Kind.ROUNDING: (
        "property/test_statement_proof.py::test_the_differences_are_what_lies_between_ledger_and_statement",
        PLAINLY,
    ),
}
_SHARES = ("property/test_realized_gains.py::test_every_share_is_sold_once_at_what_it_cost", PLAINLY)
_LOTS = ("integration/statements/test_closed_lots.py::test_oldest_first_both_ways_is_the_same_to_the_cent", BROKER)
_TERM = ("unit/test_realized_gains.py::test_more_than_a_year_is_long", BY_HAND)
HOUSEHOLD: Figures = {
    **dict.fromkeys(("quantity", "opened", "source"), _LOTS),
    **dict.fromkeys(("proceeds", "cost", "gain"), _SHARES),
    "broker": (
        "unit/test_realized_gains.py::test_shares_from_before_the_record_are_the_brokers_figure_in_proportion",
        BY_HAND,
    ),
    "closed": ("unit/test_realized_gains.py::test_a_year_ends_in_new_york", BY_HAND),
    "term": _TERM,
    "loss": ("unit/test_wash_sales.py::test_a_sale_at_a_loss_after_another_account_has_bought", BY_HAND),
    "free from": ("unit/test_wash_sales.py::test_what_thirty_days_bind_is_told_without_any_plan", BY_HAND),
    "weight of a substitute": (
        "property/test_substitutes.py::test_what_is_held_and_what_is_bought_are_the_target",
        PLAINLY,
    ),
}
_LETTER = (
    "integration/notify/test_letters.py::test_a_letter_says_what_the_ledger_has_of_its_month_and_nothing_else",
    BY_HAND,
)
LETTERS: Figures = dict.fromkeys(("equity", "gain", "rebalances", "trades"), _LETTER)
TABLE: Mapping[str, Figures] = {
    "execution-quality": COSTS,
    "returns": RETURNS,
    "replay": REPLAY,
    "statements": STATEMENTS,
    "household": HOUSEHOLD,
    "letters": LETTERS,
}


@cache
def known_in(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef))


@pytest.mark.parametrize("room", TABLE)
def test_the_test_of_each_figure_is_there(room: str) -> None:
    for figure, (place, how) in TABLE[room].items():
        file, _, name = place.partition("::")
        assert name in known_in(file), figure
        assert how in (__doc__ or ""), figure


def test_every_figure_that_is_told_has_one() -> None:
    told = {
        "execution-quality": {*PARTS, *(one.name for one in fields(Percentiles))},
        "returns": {*Part, *(one.name for one in fields(Performance))},
        "replay": {one.name for one in rows(together([]))},
        "statements": {*Kind},
        "household": {*GAIN_COLUMNS} - {"account_id", "symbol"},
    }
    assert [(room, found - TABLE[room].keys()) for room, found in told.items() if found - TABLE[room].keys()] == []
