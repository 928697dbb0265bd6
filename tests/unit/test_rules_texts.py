"""What goes on record of a refusal, word for word and number for number: an operator sees nothing else of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from rebalancer.domain.errors import QuoteUnavailable, Refused
from rebalancer.domain.portfolio import FeeSchedule, MarketDataType, Position, Quote, Replacement, SettledCash, Targets
from rebalancer.domain.rebalance_kinds import RebalanceKind, RebalanceMode, covers, read_kind
from rebalancer.planning import PlanningRules, replacements
from rebalancer.planning.buying_power import spendable_now
from rebalancer.planning.checks import check_account, check_rules, check_weights, holdings
from rebalancer.planning.checks import check_quotes as check_two_sided
from rebalancer.risk.cooldown import Pace, too_soon
from rebalancer.risk.first_times import first_times
from rebalancer.risk.input_checks import check_quotes, check_targets, check_unchanged, without_cash
from rebalancer.risk.market_hours import UNKNOWN_FOR, HoursPolicy, calendars
from tests.unit.test_funds import ACCOUNT
from tests.unit.test_planning import account, targets
from tests.unit.test_rules_first_times import ALL, KNOWN, now
from tests.unit.test_rules_hours import instrument

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LATE = Quote("SPY", Decimal(100), Decimal(101), NOW - 2 * MINUTE, MarketDataType.DELAYED, close=Decimal(50))


def dated(as_of: date) -> None:
    published = Targets("s", tuple(targets(SPY="1")), as_of)
    check_targets(published, NOW.date(), timedelta(days=100), allow_cash_share=False)


def quoted(*, allow_delayed: bool, max_age: timedelta) -> None:
    seen = {"SPY": LATE, "QQQ": replace(LATE, symbol="QQQ")}
    check_quotes(seen, NOW, max_age, Decimal("0.3"), allow_delayed=allow_delayed)


def replaced(scale: str) -> None:
    replacements.apply(targets(A="1"), [Replacement("A", "B", Decimal(scale))])


def hours() -> None:
    calendars([instrument("SPY", "soon"), instrument("QQQ", "20261123:0930")], HoursPolicy(False, MINUTE, MINUTE))


def unsettled() -> None:
    untold = replace(ACCOUNT, settled_cash=None, available_funds=None, account_type="INDIVIDUAL")
    spendable_now(untold, SettledCash.CASH)


DATES = {"today": "2026-11-23", "max_age_days": "100"}


@pytest.mark.parametrize(
    ("judge", "reason", "numbers"),
    [
        (
            lambda: dated(date(2026, 8, 14)),
            "the targets are of 2026-08-14, 101 days ago; allowed are 100",
            {"as_of": "2026-08-14", **DATES},
        ),
        (
            lambda: dated(date(2026, 11, 25)),
            "the targets are of 2026-11-25, today is 2026-11-23",
            {"as_of": "2026-11-25", **DATES},
        ),
        (
            lambda: without_cash(targets(SPY="0.5", CASH="0.5"), allow_cash_share=False, stocks=()),
            "cash among the targets, and the account has no allow_cash_share (pin a stock of that name): CASH 0.5",
            {"CASH": "0.5"},
        ),
        (
            lambda: check_unchanged(tuple(targets(SPY="0.5", QQQ="0.5")), tuple(targets(SPY="1"))),
            "changed while the run was under way: QQQ 0.5 -> 0, SPY 0.5 -> 1",
            {"QQQ": "0.5 -> 0", "SPY": "0.5 -> 1"},
        ),
        (
            lambda: quoted(allow_delayed=True, max_age=MINUTE),
            "older than 60 s: QQQ 120 s, SPY 120 s",
            {"QQQ": "120 s", "SPY": "120 s"},
        ),
        (
            lambda: quoted(allow_delayed=False, max_age=2 * MINUTE),
            "not live: QQQ delayed, SPY delayed",
            {"QQQ": "delayed", "SPY": "delayed"},
        ),
        (
            lambda: quoted(allow_delayed=True, max_age=2 * MINUTE),
            "30.0 % or more from the last close: QQQ 100.5 against 50, SPY 100.5 against 50",
            {"QQQ": "100.5 against 50", "SPY": "100.5 against 50"},
        ),
        (
            lambda: check_weights(targets(A="2", B="3"), Decimal(1)),
            "target weights outside 0 to 1: A 2, B 3",
            {"A": "2", "B": "3"},
        ),
        (lambda: check_weights([], Decimal(1)), "there are no target weights: nothing would be held", {}),
        (
            lambda: check_weights(targets(A="0.5") * 2, Decimal(1)),
            "more than one target weight: A 2",
            {"A": "2"},
        ),
        (lambda: replaced("-1"), "A is replaced with scale -1", {"source": "A", "target": "B", "scale": "-1"}),
        (unsettled, "the broker does not say how much cash of DU1 has settled", {"account_type": "INDIVIDUAL"}),
    ],
)
def test_a_refusal_on_record(judge: Callable[[], object], reason: str, numbers: dict[str, str]) -> None:
    with pytest.raises(Refused) as caught:
        judge()
    assert (caught.value.reason, caught.value.numbers) == (reason, numbers)


def test_planning_rules_that_are_wrong_are_named() -> None:
    below, negative = Decimal(-1), FeeSchedule(Decimal(-1), Decimal(-1), Decimal(-1))
    numbers = dict.fromkeys(
        (
            "share_threshold",
            "drift_band",
            "relative_band",
            "reserve_amount",
            "price_margin",
            "minimum_weight_sum",
            "fees.per_share",
            "fees.minimum",
            "fees.maximum_rate",
        ),
        "-1",
    )
    amounts = {name: below for name in numbers if not name.startswith("fees.")}
    with pytest.raises(Refused) as caught:
        check_rules(PlanningRules(Decimal(0), fees=negative, **amounts))
    assert caught.value.numbers == numbers
    assert caught.value.reason == "negative or not a number: " + ", ".join(f"{name} -1" for name in numbers)


def test_quotes_that_cannot_be_planned_with_are_shown() -> None:
    with pytest.raises(QuoteUnavailable) as caught:
        check_two_sided({"SPY", "QQQ"}, {"SPY": replace(LATE, bid=Decimal(0))})
    assert str(caught.value) == "no usable quote: QQQ (none), SPY (bid 0, ask 101)"


def test_hours_that_cannot_be_read_are_shown_by_symbol() -> None:
    with pytest.raises(Refused) as caught:
        hours()
    problems = caught.value.numbers
    assert list(problems) == ["SPY", "QQQ"]
    assert "soon" in problems["SPY"]
    listing = f"QQQ: {problems['QQQ']}; SPY: {problems['SPY']}"
    assert caught.value.reason == f"hours that cannot be read: {listing}"


def test_what_is_new_to_an_account_is_named() -> None:
    seen = now(login="xyz", SPY="0.25", NEW="0.5", LATEST="0.25")
    assert first_times(KNOWN, seen, ALL) == (
        "the login manages other accounts than when it last traded",
        "75.0 % of the targets are new to the account: LATEST, NEW",
    )


def test_once_a_day_without_a_known_session_waits_for_one_to_be_known() -> None:
    last = NOW - MINUTE
    policy = HoursPolicy(False, MINUTE, MINUTE)
    over = calendars([instrument("SPY", "20261123:0930-20261123:1600")], policy)
    blocked = too_soon(Pace(True, timedelta()), last, NOW, over, policy)
    assert blocked is not None
    assert blocked.reason == "traded today at 14:59 UTC, once a day is allowed"
    assert blocked.until == datetime(2026, 11, 24, 5, 0, tzinfo=UTC) + UNKNOWN_FOR, "midnight in New York"


class TestKinds:
    def test_what_cannot_be_read_is_shown_in_short(self) -> None:
        with pytest.raises(ValueError, match="kind") as caught:
            read_kind({"kind": "x" * 50})
        assert str(caught.value) == f"unknown kind {'x' * 40!r}; known are full, buy-only, raise-cash"
        with pytest.raises(ValueError, match="USD") as caught:
            read_kind({"kind": "raise-cash", "amount": "y" * 50})
        assert str(caught.value) == f"raise-cash needs an amount of USD above 0, got {'y' * 40!r}"

    def test_a_dollar_and_less_may_be_raised(self) -> None:
        assert read_kind({"kind": "raise-cash", "amount": "0.5"}).amount == Decimal("0.5")

    def test_of_equal_sums_one_holds_the_other(self) -> None:
        one = RebalanceKind(RebalanceMode.RAISE_CASH, Decimal(100))
        assert covers(one, RebalanceKind(RebalanceMode.RAISE_CASH, Decimal("100.00")), live=True)
        assert covers(one, RebalanceKind(RebalanceMode.RAISE_CASH, Decimal(99)), live=True)
        assert not covers(one, RebalanceKind(RebalanceMode.RAISE_CASH, Decimal(99)), live=False)


def test_an_account_that_cannot_be_read_is_shown_as_it_was_told() -> None:
    with pytest.raises(Refused) as caught:
        check_account(account({}, "NaN", "1000"))
    assert (caught.value.reason, caught.value.numbers) == ("cash is NaN USD", {"cash": "NaN"})
    option = Position("A", Decimal(1), security_type="OPT")
    odd = replace(account({}, "0", "1000"), positions=(option, Position("SPY", Decimal("Infinity"))))
    with pytest.raises(Refused) as caught:
        holdings(odd)
    said = ("SPY has a quantity of Infinity", {"SPY": "Infinity"})
    assert (caught.value.reason, caught.value.numbers) == said
