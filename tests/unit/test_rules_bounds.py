"""Each rule on its bound, and on either side of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rebalancer.domain.account_history import Seen, Traded
from rebalancer.domain.errors import GatewayUnavailable, Refused
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import Plan, Position, Quote
from rebalancer.domain.units import Ratio, Usd
from rebalancer.planning.checks import check_reserve, check_weights
from rebalancer.planning.rules import PlanningRules
from rebalancer.risk.exclusions import Disagreement, Remainder, check_agreement, check_marks, set_apart
from rebalancer.risk.input_checks import check_quotes, from_close
from rebalancer.risk.limits import beyond, far_prices
from rebalancer.risk.missing_positions import check_missing
from rebalancer.risk.plan_change import exceeded, moved
from rebalancer.risk.splits import check_splits
from tests.unit.test_planning import account, quotes, targets
from tests.unit.test_rules_limits import PRICES, SWITCH, WIDE

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
TENTH = Decimal("0.1")


class TestLimits:
    def test_what_just_reaches_every_limit_is_within_it(self) -> None:
        exact = replace(
            WIDE,
            order_usd=Decimal(10_000),
            order_share=Decimal(1),
            run_turnover=Decimal(2),
            day_turnover=Decimal("2.5"),
            day_orders=5,
            all_day_usd=Decimal(45_000),
            all_day_orders=11,
        )
        today, everywhere = Traded(3, Decimal(5000)), Traded(9, Decimal(25_000))
        assert beyond(SWITCH, PRICES, exact, today=today, everywhere=everywhere, collar=ZERO) is None

    def test_an_accounts_own_share_of_an_order_counts(self) -> None:
        assert WIDE.and_own(None, Decimal("0.5"), None, None) == replace(WIDE, order_share=Decimal("0.5"))

    @pytest.mark.parametrize(
        ("spy", "qqq", "far"),
        [
            ("110", None, ["SELL 100 SPY at 98.0000 USD is more than 10.0 % from the last 110"]),
            ("89.1", None, []),  # a sell's limit lies below its quote: 10.0 % above the last, not 14.5 %
            (None, "46", ["BUY 200 QQQ at 51.0000 USD is more than 10.0 % from the last 46"]),
            ("0", "46", ["BUY 200 QQQ at 51.0000 USD is more than 10.0 % from the last 46"]),
            ("0.5", None, ["SELL 100 SPY at 98.0000 USD is more than 10.0 % from the last 0.5"]),
        ],
    )
    def test_a_limit_price_is_compared_on_its_own_side(self, spy: str | None, qqq: str | None, far: list[str]) -> None:
        lasts = {"SPY": spy, "QQQ": qqq}
        seen = {key: replace(one, last=last and Decimal(last)) for key, one in PRICES.items() for last in [lasts[key]]}
        assert list(far_prices(SWITCH, seen, WIDE, Decimal("0.02"))) == far

    def test_a_price_as_far_as_allowed_is_not_far(self) -> None:
        seen = {"SPY": replace(PRICES["SPY"], last=Decimal(100)), "QQQ": replace(PRICES["QQQ"], last=Decimal(50))}
        assert list(far_prices(SWITCH, seen, WIDE, TENTH)) == []
        assert len(list(far_prices(SWITCH, seen, WIDE, Decimal("0.1001")))) == 2


def test_small_change_counts_as_any_other() -> None:
    """Of less than a dollar."""
    tiny: Plan = replace(SWITCH, sells=(), buys=(replace(SWITCH.buys[0], quantity=1, price=Decimal("0.5")),))
    assert exceeded({"QQQ": Decimal("0.6")}, tiny) == 0
    assert exceeded({"QQQ": Decimal("0.4")}, tiny) == TENTH / 10_000
    assert exceeded({"QQQ": Decimal("-0.4")}, tiny) == Decimal("0.5") / 10_000
    assert moved({}, tiny) == Decimal("0.5") / 10_000


class TestQuotes:
    QUOTE = Quote("SPY", Decimal(100), Decimal(101), NOW, close=Decimal(100))

    def judge(self, quote: Quote) -> None:
        check_quotes({"SPY": quote}, NOW, timedelta(seconds=90), Decimal("0.5"), allow_delayed=False)

    def test_a_quote_as_old_as_allowed_is_taken(self) -> None:
        self.judge(replace(self.QUOTE, at=NOW - timedelta(seconds=90)))
        with pytest.raises(Refused) as caught:
            self.judge(replace(self.QUOTE, at=NOW - timedelta(seconds=91)))
        assert str(caught.value) == "quotes_stale: older than 90 s: SPY 91 s"

    def test_as_far_from_the_close_as_is_refused(self) -> None:
        self.judge(replace(self.QUOTE, close=Decimal("67.01")))
        with pytest.raises(Refused) as caught:
            self.judge(replace(self.QUOTE, close=Decimal(67)))
        assert caught.value.reason == "50.0 % or more from the last close: SPY 100.5 against 67"

    @pytest.mark.parametrize(
        ("bid", "ask", "close", "distance"),
        [
            ("0.4", "0.4", "0.5", "0.2"),
            ("100", "101", "0", "0"),
            ("100", "101", "Infinity", "0"),
            ("100", "101", "NaN", "0"),
            ("100", "Infinity", "100", "0"),
            ("-1", "101", "100", "0"),
        ],
    )
    def test_only_prices_are_compared_with_a_close(self, bid: str, ask: str, close: str, distance: str) -> None:
        quote = Quote("A", Decimal(bid), Decimal(ask), NOW, close=Decimal(close))
        assert from_close(quote) == Decimal(distance)


class TestMissing:
    """100 A at 100 USD, 5 B at 100, cash, and 300 H on hold, worth about 30,000."""

    HOLD = Position("H", Decimal(300))
    SEEN = Seen(
        {"A": (Decimal(100), Decimal(100)), "B": (Decimal(5), Decimal(100))},
        Decimal(1000),
        Decimal(30_000),
        {"H": Decimal(300)},
    )

    def check(self, held: Mapping[str, str], cash: str, equity: str, seen: Seen = SEEN, **prices: str) -> None:
        check_missing(seen, account(held, cash, equity, (self.HOLD,)), quotes(**(prices or {"A": "100", "B": "100"})))

    def is_missing(self, held: Mapping[str, str], cash: str, equity: str, **prices: str) -> str:
        with pytest.raises(Refused) as caught:
            self.check(held, cash, equity, **prices)
        assert caught.value.rule == "positions_missing"
        return caught.value.reason

    def test_it_says_what_is_missing(self) -> None:
        said = "the broker's list of positions lacks what its equity counts: "
        a = "A: 100 shares became 0, and equity counts 10500.00 USD more than is listed"
        b = "B: 5 shares became 0, and equity counts 10500.00 USD more than is listed"
        assert self.is_missing({}, "1000", "41500") == f"{said}{a}; {b}"

    def test_half_its_value_in_equity_is_enough_to_miss_it(self) -> None:
        self.is_missing({"B": "5"}, "1000", "36500")
        self.check({"B": "5"}, "1000", "36499.99")

    def test_half_its_value_in_cash_is_a_sale(self) -> None:
        self.is_missing({"B": "5"}, "5999.99", "41500")
        self.check({"B": "5"}, "6000", "41500")

    def test_cash_and_what_is_listed_account_for_the_equity(self) -> None:
        self.check({"B": "5"}, "20000", "50500", replace(self.SEEN, cash=Decimal(20_000)))
        self.check({"A": "40", "B": "5"}, "1000", "35500")

    def test_a_holding_without_a_quote_has_the_price_that_it_had(self) -> None:
        self.is_missing({"A": "100"}, "1000", "41500", A="100")

    def test_a_dollar_is_not_missed(self) -> None:
        dollar = replace(self.SEEN, holdings={"A": (Decimal(1), Decimal(1))})
        self.check({}, "1000", "31001", dollar, A="1")
        with pytest.raises(Refused):
            self.check({}, "1000", "31002", dollar, A="1.01")


class TestSplits:
    def check(self, before: str, shares: str, price: str, cash: str = "1000", was: str = "200") -> None:
        seen = Seen({"A": (Decimal(before), Decimal(was))}, Decimal(1000))
        check_splits(seen, account({"A": shares}, cash, "100000"), quotes(A=price))

    def test_it_says_what_was_and_what_is(self) -> None:
        with pytest.raises(Refused) as caught:
            self.check("100", "100", "100")
        what = "100 shares at 200 USD became 100 at 100"
        assert caught.value.reason == f"this looks like a split that is booked by half: A: {what}"
        assert caught.value.numbers == {"A": what}

    def test_it_names_every_holding(self) -> None:
        seen = Seen({"B": (Decimal(10), Decimal(20)), "A": (Decimal(100), Decimal(200))}, Decimal(1000))
        with pytest.raises(Refused) as caught:
            check_splits(seen, account({"B": "10", "A": "100"}, "1000", "9999"), quotes(A="100", B="10"))
        listing = "A: 100 shares at 200 USD became 100 at 100; B: 10 shares at 20 USD became 10 at 10"
        assert caught.value.reason.endswith(f"by half: {listing}")

    def test_a_single_share_can_split(self) -> None:
        with pytest.raises(Refused):
            self.check("1", "1", "100")

    def test_what_is_or_was_not_held_cannot(self) -> None:
        self.check("100", "0", "100")
        self.check("0", "100", "100")

    def test_half_of_what_shares_cost_is_a_purchase(self) -> None:
        self.check("100", "200", "201", cash="-9050")
        with pytest.raises(Refused):
            self.check("100", "200", "201", cash="-9049.99")

    @pytest.mark.parametrize(("price", "split"), [("95", True), ("105", True), ("94.99", False), ("105.01", False)])
    def test_five_percent_around_a_ratio(self, price: str, split: bool) -> None:
        if not split:
            self.check("100", "100", price)
            return
        with pytest.raises(Refused):
            self.check("100", "100", price)

    @pytest.mark.parametrize(("price", "split"), [("4200", True), ("3800", True), ("3799", False), ("4201", False)])
    def test_five_percent_of_a_large_ratio(self, price: str, split: bool) -> None:
        """1:20, of shares that have been at 200."""
        if not split:
            self.check("100", "100", price)
            return
        with pytest.raises(Refused):
            self.check("100", "100", price)


class TestAgreement:
    def judge(self, told: str) -> None:
        gap = Disagreement("net liquidation value", Decimal(told), Decimal(10_000))
        left = Remainder(account({}, "10000", told), (), gaps=(gap,))
        check_agreement(left, Decimal(10_000), Decimal("0.01"))

    def test_the_tolerance_and_a_dollar_more_agree(self) -> None:
        self.judge("10101")
        self.judge("9899")
        with pytest.raises(Refused) as caught:
            self.judge("10101.01")
        said = "the broker's net liquidation value is 10101.01 USD, its own cash and positions make up 10000.00 USD"
        assert caught.value.reason == said

    def left(self, held: Mapping[str, str], hold: str, equity: str, cash: str = "0", **prices: str) -> Remainder:
        return set_apart(account(held, cash, equity), targets(A="1"), quotes(A="100", **prices), {hold})

    def test_figures_are_named(self) -> None:
        snapshot = replace(account({"A": "1"}, "0", "500"), stock_value=Decimal(300))
        left = set_apart(snapshot, targets(A="1"), quotes(A="100"), ())
        assert [gap.what for gap in left.gaps] == ["net liquidation value", "value of the stocks"]

    def test_a_hold_explains_only_a_gap_of_its_sign(self) -> None:
        assert self.left({"A": "1", "B": "1"}, "B", "500").gaps == ()
        assert len(self.left({"A": "9", "B": "1"}, "B", "500").gaps) == 1
        assert len(self.left({"A": "9", "B": "1"}, "B", "900").gaps) == 1, "no gap needs an explanation"
        assert self.left({"A": "1", "B": "-1"}, "B", "100").gaps == (), "a short may owe nothing that is known yet"

    def marked(self, equity: str, stocks: str | None, *others: Position, mark: str = "200") -> None:
        """100 USD in cash, one A at 100, and two B on hold."""
        position = Position("B", Decimal(2), contract_id=7)
        snapshot = account({"A": "1"}, "100", equity, (position, *others))
        snapshot = replace(snapshot, stock_value=None if stocks is None else Decimal(stocks))
        left = set_apart(snapshot, targets(A="1"), quotes(A="100"), {"B"})
        check_marks(left, {7: Usd(Decimal(mark))}, Usd(Decimal(equity)), Ratio(Decimal("0.01")))

    def test_a_hold_is_worth_what_the_broker_says_and_no_more(self) -> None:
        self.marked("400", "300")
        self.marked("400", None)
        for told in ("1000", None):
            with pytest.raises(Refused, match="equity_disagrees"):
                self.marked("1100", told)

    def test_an_option_is_part_of_the_equity_and_of_no_stock(self) -> None:
        option = Position("SPY", Decimal(1), security_type="OPT")
        self.marked("1100", "300", option)
        self.marked("1100", None, option)
        with pytest.raises(Refused, match=r"value of the stocks is 1000.00 USD.*make up 300.00"):
            self.marked("1100", "1000", option)

    def test_what_the_broker_sets_no_value_on_is_asked_for_again(self) -> None:
        left = self.left({"A": "1", "B": "1"}, "B", "500")
        with pytest.raises(GatewayUnavailable, match="lists B and does not say what that is worth"):
            check_marks(left, {7: Usd(Decimal(400))}, Usd(Decimal(500)), Ratio(Decimal("0.01")))

    def test_a_short_on_hold_keeps_what_it_brought_or_what_the_equity_lacks(self) -> None:
        def short(equity: str, cost: str, **prices: str) -> Decimal:
            position = Position("B", Decimal(-10), average_cost=Decimal(cost))
            snapshot = account({"A": "1"}, "5000", equity, (position,))
            return set_apart(snapshot, targets(A="1"), quotes(A="100", **prices), {"B"}).cover

        assert short("3100", "150") == 2000, "the equity lacks 2,000 of cash and A"
        assert short("3100", "250") == 2500, "it brought 2,500"
        assert short("3100", "150", B="179/180") == 1800, "it is quoted"

    def test_quoted_shorts_are_part_of_what_the_equity_lacks(self) -> None:
        shorts = tuple(Position(symbol, Decimal(-10), average_cost=Decimal(1)) for symbol in ("B", "C"))
        snapshot = account({"A": "1"}, "5000", "3100", shorts)
        left = set_apart(snapshot, targets(A="1"), quotes(A="100", B="50"), {"B", "C"})
        assert left.cover == 2000

    def test_half_a_share_on_hold_is_no_short(self) -> None:
        assert self.left({"A": "1", "B": "0.5"}, "B", "150").cover == 0
        assert self.left({"A": "1", "B": "0.5"}, "B", "80").cover == 0

    def test_what_has_accrued_is_known(self) -> None:
        snapshot = replace(account({"A": "1"}, "50", "157"), accrued=Decimal(7))
        left = set_apart(snapshot, targets(A="1"), quotes(A="100"), ())
        assert [(gap.told, gap.known) for gap in left.gaps] == [(157, 157)]

    @pytest.mark.parametrize(("equity", "noted"), [("100", False), ("101", False), ("101.02", True), ("99", False)])
    def test_equity_that_is_left_out_is_noted_from_a_hundredth(self, equity: str, noted: bool) -> None:
        left = set_apart(account({"A": "1"}, "0", equity), targets(A="1"), quotes(A="100"), ())
        note = "the equity of this plan is USD cash and US stocks that may be traded only, 100.00 USD"
        assert left.notes == ((note,) if noted else ())

    def test_a_hundredth_is_not_noted_yet(self) -> None:
        assert set_apart(account({"A": "1"}, "0", "100"), targets(A="1"), quotes(A="99"), ()).notes == ()
        assert len(set_apart(account({"A": "1"}, "0", "100"), targets(A="1"), quotes(A="98.99"), ()).notes) == 1


class TestWeights:
    @pytest.mark.parametrize(
        ("weights", "hint"),
        [
            (("50",), True),
            (("49.99",), False),
            (("60", "90"), True),
            (("60", "90.01"), False),
            (("0", "100"), True),
            (("-1", "101"), False),
            (("1.5",), False),
        ],
    )
    def test_what_looks_like_percent_is_called_that(self, weights: tuple[str, ...], hint: bool) -> None:
        with pytest.raises(Refused) as caught:
            check_weights(targets(**dict(zip("AB", weights, strict=False))), Decimal("0.99"))
        wrong = {key: text for key, text in zip("AB", weights, strict=False) if not 0 <= Decimal(text) <= 1}
        listing = ", ".join(f"{key} {text}" for key, text in wrong.items())
        said = "; they look like percent, fractions are expected" if hint else ""
        assert caught.value.reason == f"target weights outside 0 to 1: {listing}{said}"
        assert caught.value.numbers == wrong

    @pytest.mark.parametrize("total", ["0.99", "1.01"])
    def test_sums_on_the_bounds_are_taken(self, total: str) -> None:
        check_weights(targets(A=total if total < "1" else "1", B="0" if total < "1" else "0.01"), Decimal("0.99"))

    def test_a_reserve_just_below_equity_leaves_something(self) -> None:
        rules = PlanningRules(ZERO, reserve_amount=Decimal(1000))
        check_reserve(Decimal("1000.01"), rules)
        with pytest.raises(Refused, match="reserve_exceeds_equity"):
            check_reserve(Decimal(1000), rules)
