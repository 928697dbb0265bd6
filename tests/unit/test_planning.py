"""Plans by example: what they say, what they refuse, and the defects of older programs that must not return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rebalancer.domain.errors import QuoteUnavailable, Refused
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import AccountSnapshot, FeeSchedule, Plan, PlanLine, Position, Quote, TargetWeight
from rebalancer.planning import PlanningRules, check_weights, plan, size_buys
from rebalancer.planning.wording import plan_notes

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
FREE = FeeSchedule(ZERO, ZERO, ZERO)
RULES = PlanningRules(ZERO, fees=FREE)


def quote(symbol: str, bid: str, ask: str | None = None) -> Quote:
    return Quote(symbol, Decimal(bid), Decimal(ask or bid), NOW)


def account(held: Mapping[str, str], cash: str, equity: str, others: tuple[Position, ...] = ()) -> AccountSnapshot:
    positions = tuple(Position(symbol, Decimal(quantity)) for symbol, quantity in held.items())
    return AccountSnapshot("DU1", NOW, Decimal(equity), Decimal(cash), None, None, positions + others)


def targets(**weights: str) -> list[TargetWeight]:
    return [TargetWeight(symbol, Decimal(weight)) for symbol, weight in weights.items()]


def quotes(**prices: str) -> dict[str, Quote]:
    return {symbol: quote(symbol, *price.split("/")) for symbol, price in prices.items()}


def orders(made: Plan) -> list[tuple[str, str, int]]:
    return [(order.side.value, order.symbol, order.quantity) for order in made.orders]


def line(made: Plan, symbol: str) -> PlanLine:
    return next(entry for entry in made.lines if entry.symbol == symbol)


def refusal(snapshot: AccountSnapshot, weights: list[TargetWeight], rules: PlanningRules = RULES) -> Refused:
    with pytest.raises(Refused) as caught:
        plan(snapshot, weights, quotes(SPY="100", QQQ="50"), rules)
    return caught.value


class TestDefectsOfOlderPrograms:
    """B1 of the study of the originals: each once lost or could have lost money."""

    def test_1_empty_allocations_sell_nothing(self) -> None:
        assert refusal(account({"SPY": "10"}, "0", "1000"), []).rule == "allocations_empty"

    @pytest.mark.parametrize("equity", ["0", "-5", "NaN", "Infinity"])
    def test_2_missing_equity_sells_nothing(self, equity: str) -> None:
        assert refusal(account({"SPY": "10"}, "0", equity), targets(SPY="1")).rule == "equity_not_positive"

    def test_3_the_reserve_is_never_spent(self) -> None:
        rules = PlanningRules(Decimal("0.1"), fees=FREE)
        made = plan(account({}, "100000", "100000"), targets(SPY="1"), quotes(SPY="100"), rules)
        assert orders(made) == [("BUY", "SPY", 900)]
        assert made.reserve == made.spendable_cash - 80000 == 10000

    def test_4_idle_cash_is_not_poured_into_the_drifted_few(self) -> None:
        """A 4.4 % holding with a 5 % target ended at 13.2 %."""
        snapshot = account({"QQQ": "88", "SPY": "855"}, "10100", "100000")
        made = plan(snapshot, targets(SPY="0.95", QQQ="0.05"), quotes(SPY="100", QQQ="50"), RULES)
        assert orders(made) == [("BUY", "SPY", 95), ("BUY", "QQQ", 12)]

    def test_5_duplicate_rows_are_refused_not_each_compared_with_the_whole_position(self) -> None:
        twice = [*targets(SPY="0.5"), *targets(SPY="0.5")]
        assert refusal(account({"SPY": "10"}, "0", "1000"), twice).rule == "allocations_duplicate"

    def test_6_a_fractional_holding_is_never_oversold(self) -> None:
        made = plan(account({"SPY": "5.6"}, "440", "1000"), targets(QQQ="1"), quotes(SPY="100", QQQ="50"), RULES)
        assert orders(made)[0] == ("SELL", "SPY", 5)
        assert line(made, "SPY").planned_shares == Decimal("0.6")
        assert line(made, "SPY").note == "0.6 shares cannot be sold: orders are for whole shares"

    def test_7_percent_values_are_refused_with_a_hint(self) -> None:
        refused = refusal(account({}, "1000", "1000"), targets(SPY="50", QQQ="50"))
        assert refused.rule == "allocations_range"
        assert "percent" in refused.reason
        assert refused.numbers == {"SPY": "50", "QQQ": "50"}

    def test_8_a_target_of_less_than_half_a_share_buys_nothing_and_says_so(self) -> None:
        made = plan(account({}, "1000", "1000"), targets(SPY="0.3", QQQ="0.7"), quotes(SPY="900", QQQ="50"), RULES)
        assert orders(made) == [("BUY", "QQQ", 14)]
        assert line(made, "SPY").note == "drift of 0.3333 shares is within the threshold of 0.5"

    def test_9_raising_the_reserve_sells(self) -> None:
        rules = PlanningRules(Decimal("0.1"), fees=FREE)
        made = plan(account({"SPY": "1000"}, "0", "100000"), targets(SPY="1"), quotes(SPY="100"), rules)
        assert orders(made) == [("SELL", "SPY", 100)]

    def test_10_other_instruments_of_the_same_symbol_are_left_alone(self) -> None:
        others = (
            Position("SPY", Decimal(3), security_type="OPT"),
            Position("SPY", Decimal(7), currency="CAD"),
            Position("T 4 1/2", Decimal(1000), security_type="BOND"),
        )
        made = plan(account({"SPY": "10"}, "0", "1000", others), targets(QQQ="1"), quotes(SPY="100", QQQ="50"), RULES)
        assert orders(made) == [("SELL", "SPY", 10), ("BUY", "QQQ", 20)]
        assert [note.split(":")[0] for note in made.notes] == ["SPY", "SPY", "T 4 1/2"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("weights", "rule"),
        [
            (targets(SPY="-0.1", QQQ="1"), "allocations_range"),
            (targets(SPY="NaN"), "allocations_range"),
            (targets(SPY="1.001"), "allocations_range"),
            (targets(SPY="0.5", QQQ="0.48"), "allocations_sum"),
            (targets(SPY="0.6", QQQ="0.42"), "allocations_sum"),
            (targets(SPY="0", QQQ="0"), "allocations_sum"),
        ],
    )
    def test_weights(self, weights: list[TargetWeight], rule: str) -> None:
        with pytest.raises(Refused) as caught:
            check_weights(weights, Decimal("0.99"))
        assert caught.value.rule == rule

    def test_small_percent_values_get_the_hint_too(self) -> None:
        with pytest.raises(Refused, match="percent"):
            check_weights([TargetWeight(f"S{i}", Decimal("0.5")) for i in range(200)], Decimal("0.99"))

    @pytest.mark.parametrize("fraction", ["-0.01", "1.01", "50", "NaN"])
    def test_reserve(self, fraction: str) -> None:
        rules = PlanningRules(Decimal(fraction))
        assert refusal(account({}, "1000", "1000"), targets(SPY="1"), rules).rule == "reserve_range"

    def test_other_rules(self) -> None:
        refused = refusal(account({}, "1", "1"), targets(SPY="1"), replace(RULES, drift_band=Decimal(-1)))
        assert (refused.rule, refused.numbers) == ("planning_rules", {"drift_band": "-1"})

    def test_unknown_cash(self) -> None:
        assert refusal(account({}, "NaN", "1000"), targets(SPY="1")).rule == "cash_missing"

    @pytest.mark.parametrize("quantity", ["NaN", "Infinity"])
    def test_unknown_quantity(self, quantity: str) -> None:
        assert refusal(account({"SPY": quantity}, "0", "1000"), targets(SPY="1")).rule == "position_invalid"

    def test_two_contracts_under_one_symbol(self) -> None:
        snapshot = account({"SPY": "1"}, "0", "1000", (Position("SPY", Decimal(2), contract_id=7),))
        assert refusal(snapshot, targets(SPY="1")).rule == "positions_ambiguous"

    def test_costs_beyond_equity(self) -> None:
        """Deep in debt: selling everything would cost more than is left."""
        rules = replace(RULES, fees=FeeSchedule(minimum=Decimal(20), maximum_rate=Decimal(1)))
        snapshot = account({"SPY": "1000"}, "-99990", "10")
        assert refusal(snapshot, targets(SPY="1"), rules).rule == "costs_exceed_equity"

    def test_equity_below_the_grid_of_levels_is_refused(self) -> None:
        assert refusal(account({}, "1e-9", "1e-9"), targets(SPY="1")).rule == "costs_exceed_equity"

    def test_numbers_beyond_computing(self) -> None:
        assert refusal(account({}, "1", "1e900"), targets(SPY="1")).rule == "numbers_out_of_range"

    def test_every_symbol_without_a_usable_quote_is_named(self) -> None:
        made_of = targets(SPY="0.5", QQQ="0.2", IWM="0.2", EFA="0.1")
        priced = quotes(SPY="100", QQQ="51/50", IWM="0/10", OLD="-1/5")
        with pytest.raises(QuoteUnavailable) as caught:
            plan(account({"OLD": "1"}, "900", "1000"), made_of, priced, RULES)
        assert [symbol in str(caught.value) for symbol in ("EFA", "IWM", "OLD", "QQQ", "SPY")] == [True] * 4 + [False]

    def test_a_weight_of_zero_needs_no_quote(self) -> None:
        made = plan(account({}, "1000", "1000"), targets(SPY="1", GONE="0"), quotes(SPY="100"), RULES)
        assert [entry.symbol for entry in made.lines] == ["SPY"]


class TestWhatAPlanSays:
    def test_reasons_and_order_of_sending(self) -> None:
        snapshot = account({"A": "10", "B": "30", "C": "5"}, "0", "4500")
        made = plan(snapshot, targets(C="0.7", D="0.3"), quotes(A="100", B="100", C="100", D="100"), RULES)
        assert [(order.symbol, order.reason) for order in made.orders] == [
            ("B", "holds 66.7 %, no longer a target: sell 30"),
            ("A", "holds 22.2 %, no longer a target: sell 10"),
            ("C", "holds 11.1 %, target 70.0 %: buy 26"),
            ("D", "holds 0.0 %, target 30.0 %: buy 13"),
        ]

    def test_short_cash_is_explained(self) -> None:
        made = plan(account({"A": "5"}, "250", "2000"), targets(A="0.5", B="0.5"), quotes(A="100", B="300"), RULES)
        assert [order.reason for order in made.buys] == ["holds 25.0 %, target 50.0 %: buy 2 of 5, cash allows no more"]
        assert line(made, "B").note == "cash does not allow one share at 300.00 USD"

    def test_a_choice_that_is_not_proven_says_what_is_open(self) -> None:
        empty = account({}, "100", "100")
        assert plan_notes(empty, targets(A="1"), Decimal(100), ZERO) == ()
        assert plan_notes(empty, targets(A="1"), Decimal(100), Decimal("0.5")) == (
            "the choice of whole shares is within 0.500000 USD of deviation of the best",
        )

    def test_drift_within_the_band_is_explained(self) -> None:
        rules = replace(RULES, drift_band=Decimal("0.05"))
        snapshot = account({"SPY": "52", "QQQ": "96"}, "0", "10000")
        made = plan(snapshot, targets(SPY="0.5", QQQ="0.5"), quotes(SPY="100", QQQ="50"), rules)
        assert orders(made) == []
        assert line(made, "SPY").note == "drift of 2.0 % is within the band of 5.0 %"

    def test_drift_of_the_whole_band_is_within_it(self) -> None:
        rules = replace(RULES, drift_band=Decimal("0.05"))
        held = account({"SPY": "55", "QQQ": "90"}, "0", "10000")
        made = plan(held, targets(SPY="0.5", QQQ="0.5"), quotes(SPY="100", QQQ="50"), rules)
        assert orders(made) == []
        assert line(made, "SPY").note == "drift of 5.0 % is within the band of 5.0 %"

    @pytest.mark.parametrize(("cash", "shares"), [("40", "0.4"), ("50", "0.5")])
    def test_drift_within_the_threshold_is_explained(self, cash: str, shares: str) -> None:
        made = plan(account({"A": "10"}, cash, f"10{cash}"), targets(A="1"), quotes(A="100"), RULES)
        assert line(made, "A").note == f"drift of {shares} shares is within the threshold of 0.5"

    def test_where_nothing_is_investable_any_holding_is_all_of_it(self) -> None:
        everything = PlanningRules(Decimal(1), fees=FREE)
        made = plan(account({"A": "10"}, "0", "1000"), targets(A="0.5", B="0.5"), quotes(A="100", B="1"), everything)
        shown = {entry.symbol: (entry.current_weight, entry.planned_weight) for entry in made.lines}
        assert shown == {"A": (1, 0), "B": (0, 0)}

    def test_weights_below_one_are_told_to_the_hundredth(self) -> None:
        made = plan(account({}, "1000", "1000"), targets(A="0.9949"), quotes(A="1"), RULES)
        assert made.notes == ("the target weights sum to 99.49 %, the rest stays cash",)

    def test_a_fraction_that_is_just_wanted_is_no_drift(self) -> None:
        held = account({"A": "10.5", "B": "89.5"}, "0", "10000")
        made = plan(held, targets(A="0.005", B="0.995"), quotes(A="100", B="100"), RULES)
        assert (orders(made)[0], line(made, "A").note) == (("SELL", "A", 10), None)

    def test_what_a_lot_leaves_is_explained_to_the_share(self) -> None:
        def left(held: str) -> str | None:
            snapshot = account({"A": held, "B": "100"}, "0", str(10_000 + 100 * int(held)))
            share = Decimal(held) - Decimal("0.7")
            weights = targets(A=str(share * 100 / snapshot.net_liquidation), B=str(10_000 / snapshot.net_liquidation))
            made = plan(snapshot, weights, quotes(A="100", B="100"), RULES, {"A": 10})
            assert orders(made) == []
            return line(made, "A").note

        assert left("1") == "1 shares cannot be sold: orders are for multiples of 10 shares"
        assert left("10") == left("11") == "0.7 shares above its target: orders are for multiples of 10 shares"

    def test_orders_are_for_multiples_of_a_lot_and_what_remains_is_explained(self) -> None:
        snapshot = account({"A": "105", "B": "7", "C": "39"}, "8000", "23100")
        priced = quotes(A="100", B="100", C="100", D="100")
        lots = {"A": 10, "B": 10, "C": 10, "D": 50}
        made = plan(snapshot, targets(C="0.15", D="0.85"), priced, RULES, lots)
        assert orders(made) == [("SELL", "A", 100), ("BUY", "D", 150)]
        assert made.buys[0].reason == "holds 0.0 %, target 85.0 %: buy 150 of 200, cash allows no more"
        assert [line(made, symbol).note for symbol in "ABCD"] == [
            "5 shares cannot be sold: orders are for multiples of 10 shares",
            "7 shares cannot be sold: orders are for multiples of 10 shares",
            "4.35 shares above its target: orders are for multiples of 10 shares",
            None,
        ]
        assert [entry.odd for entry in made.lines] == [True, True, True, False]

    def test_a_lot_that_cash_does_not_pay_for_is_explained(self) -> None:
        made = plan(account({}, "900", "900"), targets(A="0.99"), quotes(A="100"), RULES, {"A": 10})
        assert (orders(made), line(made, "A").note) == ([], "cash does not allow a lot of 10 shares at 100.00 USD")

    def test_less_than_half_a_lot_is_not_bought(self) -> None:
        rules = replace(RULES, minimum_weight_sum=Decimal("0.1"))
        made = plan(account({}, "9000", "9000"), targets(A="0.5"), quotes(A="100"), rules, {"A": 100})
        assert orders(made) == []
        assert line(made, "A").note == "45 shares below its target: orders are for multiples of 100 shares"

    def test_weights_and_shares_of_a_line(self) -> None:
        made = plan(account({"SPY": "2"}, "1800", "2000"), targets(SPY="1"), quotes(SPY="99/101"), RULES)
        entry = line(made, "SPY")
        assert (entry.held, entry.price, entry.target_weight) == (2, 100, 1)
        assert entry.planned_shares == 19
        assert entry.drift < 0 < entry.planned_weight

    def test_a_short_position_is_neither_covered_nor_enlarged_and_its_cash_not_spent(self) -> None:
        snapshot = account({"SPY": "-5"}, "1500", "1000")
        made = plan(snapshot, targets(SPY="0.2", QQQ="0.8"), quotes(SPY="100", QQQ="50"), RULES)
        assert orders(made) == [("BUY", "QQQ", 16)]
        assert made.spendable_cash == 1000
        assert line(made, "SPY").note == "short position of 5 shares: never traded"

    def test_weights_above_one_in_total_are_scaled_down(self) -> None:
        made = plan(account({}, "1000", "1000"), targets(A="0.505", B="0.505"), quotes(A="1", B="1"), RULES)
        assert orders(made) == [("BUY", "A", 500), ("BUY", "B", 500)]
        assert made.notes == ("the target weights sum to 101.00 % and are scaled down to 100 %",)

    def test_cash_below_the_reserve_buys_nothing(self) -> None:
        rules = PlanningRules(Decimal("0.1"), fees=FREE)
        snapshot = account({"SPY": "95"}, "500", "10000")
        made = plan(snapshot, targets(SPY="0.5", QQQ="0.5"), quotes(SPY="100", QQQ="50"), rules)
        assert orders(made) == [("SELL", "SPY", 50), ("BUY", "QQQ", 90)]
        assert orders(plan(account({}, "500", "10000"), targets(SPY="1"), quotes(SPY="100"), rules)) == []

    def test_a_reserve_of_everything_sells_everything(self) -> None:
        made = plan(account({"SPY": "10"}, "0", "1000"), targets(SPY="1"), quotes(SPY="100"), PlanningRules(Decimal(1)))
        assert orders(made) == [("SELL", "SPY", 10)]

    def test_exactly_half_a_share_is_left_alone(self) -> None:
        made = plan(account({"SPY": "10"}, "50", "1050"), targets(SPY="1"), quotes(SPY="100"), RULES)
        assert orders(made) == []

    def test_costs_that_undo_their_own_reason_do_not_trade(self) -> None:
        """10.5003 shares are wanted; a buy costs 1.05 USD of equity, with which 10.49 are."""
        rules = PlanningRules(ZERO)
        made = plan(account({"SPY": "10"}, "50.03", "1050.03"), targets(SPY="1"), quotes(SPY="100"), rules)
        assert orders(made) == []

    def test_the_price_margin_is_part_of_the_price(self) -> None:
        rules = replace(RULES, price_margin=Decimal("0.01"))
        made = plan(account({}, "1000", "1000"), targets(SPY="1"), quotes(SPY="100"), rules)
        assert [(order.quantity, order.price) for order in made.buys] == [(9, Decimal(101))]

    def test_a_buy_may_use_the_part_of_the_reserve_that_its_own_costs_lower(self) -> None:
        """Above the reserve are 500, four cost 520: equity falls by 120, and the reserve by 60."""
        rules = PlanningRules(Decimal("0.5"), fees=FREE, minimum_weight_sum=Decimal("0.9"))
        made = plan(account({}, "1000", "1000"), targets(A="0.9"), quotes(A="70/130"), rules)
        assert orders(made) == [("BUY", "A", 4)]
        assert (made.reserve, made.spendable_cash) == (440, 560)

    @pytest.mark.parametrize(("cash", "investable"), [("181.00", "1101.78384050"), ("180.99", "1103.99")])
    def test_cash_that_is_owed_or_kept_buys_nothing(self, cash: str, investable: str) -> None:
        """A costs 101, 50 stay cash and 30 cover the short position; half a share of C is worth 3 more.

        Where a share of A can be paid, targets are those at which none is wanted; else those of all that there is.
        """
        held = {"A": "10", "SHORT": "-1", "C": "0.5"}
        rules = replace(RULES, reserve_amount=Decimal(50), minimum_weight_sum=Decimal("0.9"))
        prices = quotes(A="99/101", SHORT="30", C="6")
        made = plan(account(held, cash, str(Decimal(cash) + 973)), targets(A="0.953"), prices, rules)
        assert made.orders == ()
        assert (made.investable, made.spendable_cash) == (Decimal(investable), Decimal(cash) - 80)

    def test_fees_are_in_the_orders_and_out_of_the_spendable_cash(self) -> None:
        snapshot = account({"A": "100"}, "0", "1000")
        made = plan(snapshot, targets(B="1"), quotes(A="10", B="20"), PlanningRules(ZERO))
        assert made.fees == 2
        assert made.spendable_cash == 998
        assert orders(made) == [("SELL", "A", 100), ("BUY", "B", 49)]


class TestLiveBuys:
    SNAPSHOT = account({"A": "10"}, "0", "1000")
    WEIGHTS = targets(B="0.5", C="0.5")
    QUOTES = quotes(A="100", B="50", C="25")

    def made(self) -> Plan:
        return plan(self.SNAPSHOT, self.WEIGHTS, self.QUOTES, RULES)

    def test_sells_that_brought_less_buy_less(self) -> None:
        buys = size_buys(self.made(), account({}, "510", "510"), self.QUOTES, RULES)
        assert sum(order.notional for order in buys) == 500

    def test_what_was_already_bought_is_not_bought_again(self) -> None:
        buys = size_buys(self.made(), account({"B": "9"}, "550", "1000"), self.QUOTES, RULES)
        assert [(order.symbol, order.quantity) for order in buys] == [("C", 20), ("B", 1)]

    def test_a_name_that_the_plan_did_not_find_underweight_is_never_bought(self) -> None:
        buys = size_buys(self.made(), account({}, "5000", "5000"), self.QUOTES, RULES)
        assert {order.symbol for order in buys} == {"B", "C"}

    @pytest.mark.parametrize(
        ("held", "cash", "band"),
        [("10", "40", "0"), ("10", "50", "0"), ("9", "100", "0.1")],
        ids=["within the threshold", "on the threshold", "on the band"],
    )
    def test_a_name_that_the_plan_left_alone_is_not_bought_when_it_shrinks(
        self, held: str, cash: str, band: str
    ) -> None:
        rules = replace(RULES, drift_band=Decimal(band))
        equity = str(Decimal(held) * 100 + Decimal(cash))
        made = plan(account({"A": held}, cash, equity), targets(A="1"), quotes(A="100"), rules)
        assert made.orders == ()
        assert size_buys(made, account({"A": "5"}, "500", "1000"), quotes(A="100"), rules) == ()

    def test_a_name_for_which_the_plan_lacked_cash_may_be_bought(self) -> None:
        poor = plan(account({"A": "1"}, "0", "1000"), self.WEIGHTS, quotes(A="20", B="50", C="25"), RULES)
        assert poor.buys == ()
        buys = size_buys(poor, account({}, "60", "1000"), self.QUOTES, RULES)
        assert sum(order.notional for order in buys) == 50

    def test_fresh_prices_limit_the_quantity(self) -> None:
        buys = size_buys(self.made(), account({}, "1000", "1000"), quotes(B="100", C="25"), RULES)
        assert sum(order.notional for order in buys) <= 1000

    @pytest.mark.parametrize(("held", "bought"), [("8", 0), ("7", 3)])
    def test_a_shortfall_of_the_whole_threshold_is_left_alone(self, held: str, bought: int) -> None:
        rules = replace(RULES, share_threshold=Decimal(2))
        made = plan(account({}, "1000", "1000"), targets(A="1"), quotes(A="100"), rules)
        buys = size_buys(made, account({"A": held}, "900", "1000"), quotes(A="100"), rules)
        assert sum(order.quantity for order in buys) == bought

    def test_a_missing_quote_abandons_the_buys(self) -> None:
        with pytest.raises(QuoteUnavailable, match="C"):
            size_buys(self.made(), account({}, "1000", "1000"), quotes(B="50"), RULES)
