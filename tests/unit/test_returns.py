"""Return and gap, each figure once more by plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pytest

from rebalancer.domain.money import ONE, ZERO
from rebalancer.returns.gap import Returns, returns_of
from rebalancer.returns.looks import Apart, Look, Trade
from rebalancer.returns.measures import Flow, annual, money_weighted
from rebalancer.returns.worlds import Part
from tests.twenty_years import Day, Life

BEGIN = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
YEAR = timedelta(days=365.25)
CENT = Decimal("0.01")
Weights = dict[str, float]


# -- twenty years -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def measured() -> tuple[list[Day], Returns]:
    life = Life()
    found = returns_of("DU1", life.looks())
    assert found is not None
    return life.past, found


def share(weights: dict[str, Decimal], of: float = 1.0) -> Weights:
    return {name: of * float(weight) for name, weight in weights.items()}


def apart(day: Day) -> float:
    return float(day.own / day.equity)


def held_apart(day: Day) -> Weights:
    planned = {line.symbol: line.target_weight for line in day.plan.lines}
    return {"own": apart(day)} | share(planned, 1 - apart(day))


def reserved(day: Day) -> Weights:
    planned = {line.symbol: line.target_weight for line in day.plan.lines}
    return {"own": apart(day)} | share(planned, float(day.plan.investable / day.equity))


def really(day: Day) -> Weights:
    worth = {name: count * day.mids[name] / day.equity for name, count in day.after.items()}
    return {"own": apart(day)} | share(worth)


def spread(day: Day) -> float:
    return float(day.slippage / day.equity)


def both(day: Day) -> float:
    return float((day.slippage + day.commission) / day.equity)


def compounded(
    days: list[Day],
    weights: Callable[[Day], Weights],
    when: Callable[[Day, bool], bool],
    cost: Callable[[Day], float] = lambda _day: 0.0,
    *,
    invested: bool = True,
) -> tuple[float, float]:
    """Weights that drift with daily returns, in floats: what a spreadsheet would do, and not what the program does.

    Args:
        when: whether it rebalances, given the day and whether there are targets that it has not traded yet.

    Returns:
        USD at the end, and what became of one USD.
    """
    value, growth = float(days[0].equity), 1.0
    now, before, waiting = dict[str, float](), days[0], True
    for number, day in enumerate(days):
        waiting = waiting or day.new
        if number:
            moves = {name: float(day.mids[name] / before.mids[name]) for name in day.mids}
            moves["own"] = float(day.own / before.own)
            earned = 1 + sum(part * (moves[name] - 1) for name, part in now.items())
            now = {name: part * moves[name] / earned for name, part in now.items()}
            value, growth = value * earned, growth * earned
            flow = float(day.flow)
            own = now.get("own", 0.0)
            bought = (value + flow - own * value) / (value - own * value) if invested else 1.0
            thinner = value / (value + flow)
            now = {name: part * thinner * (1.0 if name == "own" else bought) for name, part in now.items()}
            value += flow
        if number < len(days) - 1 and when(day, waiting):
            lost = cost(day)
            now = {name: part / (1 - lost) for name, part in weights(day).items()}
            value, growth, waiting = value * (1 - lost), growth * (1 - lost), False
        before = day
    return value, growth


def independent(days: list[Day]) -> dict[Part | None, tuple[float, float]]:
    """Every world, by its part."""
    new, run = (lambda _day, waiting: waiting), (lambda day, _waiting: day.runs)
    late = lambda day, waiting: day.runs and waiting  # noqa: E731 - a table of rules
    published, wanted = (lambda day: share(day.published)), (lambda day: share(day.wanted))
    return {
        None: compounded(days, published, new),
        Part.REPLACEMENTS: compounded(days, wanted, new),
        Part.DELAY: compounded(days, wanted, late),
        Part.REBALANCES: compounded(days, wanted, run),
        Part.HOLDS: compounded(days, held_apart, run),
        Part.RESERVE: compounded(days, reserved, run),
        Part.FLOWS: compounded(days, reserved, run, invested=False),
        Part.ROUNDING: compounded(days, really, run, invested=False),
        Part.SPREAD: compounded(days, really, run, spread, invested=False),
        Part.COMMISSION: compounded(days, really, run, both, invested=False),
    }


def test_the_parts_add_up_exactly_to_the_gap_over_twenty_years() -> None:
    days, found = measured()
    assert (found.end - found.begin).days > 7_290
    assert sum(one.runs for one in days) == found.runs == 481
    assert found.strategy is not None
    assert sum(one.usd for one in found.parts) == found.gap == found.account.final - found.strategy.final
    assert sum(one.rate for one in found.parts) == found.gap_rate
    assert [one.part for one in found.parts] == list(Part)
    assert all(one.usd for one in found.parts if one.part is not Part.OTHER), "each plays its part"
    assert (found.untold, found.replaced) == ((), False)


def test_each_part_is_what_plain_arithmetic_gives() -> None:
    days, found = measured()
    assert found.strategy is not None
    worlds = independent(days)
    value, growth = worlds[None]
    assert float(found.strategy.final) == pytest.approx(value, abs=0.01)
    assert float(found.strategy.time_weighted) == pytest.approx(growth - 1, abs=2e-6)
    for one in found.parts[:-1]:
        (before, grown_before), (value, growth) = (value, growth), worlds[one.part]
        assert float(one.usd) == pytest.approx(value - before, abs=0.02), one.part
        assert float(one.rate) == pytest.approx(growth - grown_before, abs=3e-6), one.part
    assert abs(found.parts[-1].usd) <= CENT, "nothing is left where everything is on record"


def test_the_accounts_own_figures_are_what_plain_arithmetic_gives() -> None:
    days, found = measured()
    growth = ONE
    for before, day in pairwise(days):
        growth *= (day.equity - day.flow) / before.equity
    flows = sum(day.flow for day in days[1:])
    assert found.account.time_weighted == pytest.approx(growth - 1, abs=Decimal("1e-6"))
    assert found.came == flows
    assert found.earned == pytest.approx(days[-1].equity - days[0].equity - flows, abs=CENT)
    years = len(days[1:]) / 252
    annually = found.account.time_weighted_annual
    assert float(annually or 0) == pytest.approx(float(growth) ** (1 / years) - 1, abs=1e-5)
    rate = found.account.money_weighted
    assert rate is not None
    last = len(days) - 1
    grown = float(days[0].equity) * (1 + float(rate))
    grown += sum(float(day.flow) * (1 + float(rate)) ** ((last - at) / last) for at, day in enumerate(days) if at)
    assert grown == pytest.approx(float(days[-1].equity), rel=1e-5)


def test_dividends_are_what_nothing_else_explains() -> None:
    plain, paid = Life(days=500), Life(days=500, dividends=Decimal(700))
    without, found = returns_of("DU1", plain.looks()), returns_of("DU1", paid.looks())
    assert without is not None
    assert found is not None
    parts = {one.part: one.usd for one in found.parts}
    assert 3_000 < parts[Part.OTHER] < 5_000, "five payments and what became of them"
    assert sum(parts.values()) == found.gap
    assert found.strategy == without.strategy


# -- what is not on record --------------------------------------------------------------------------------------------


def look(day: int, equity: str, price: str = "100", shares: str = "10", **facts: object) -> Look:
    """Ten SPY and 1,000 USD; the strategy wants half of each SPY and cash."""
    half = {"SPY": Decimal("0.5")}
    plain = Look(
        at=BEGIN + timedelta(days=day),
        equity=Decimal(equity),
        prices={"SPY": Decimal(price)},
        targets="a",
        published=half,
        wanted=half,
        planned=half,
        investable=Decimal(equity),
        shares={"SPY": Decimal(shares)},
    )
    return replace(plain, **facts)  # type: ignore[arg-type]


def told(*looks: Look) -> Returns:
    found = returns_of("DU1", looks)
    assert found is not None
    return found


def nonzero(found: Returns) -> dict[Part, Decimal]:
    return {one.part: one.usd for one in found.parts if one.usd}


def test_before_the_first_run_there_is_nothing_to_measure() -> None:
    preview, run = look(0, "2000"), look(1, "2000", trades=())
    assert returns_of("DU1", []) is None
    assert returns_of("DU1", [preview, preview]) is None
    assert returns_of("DU1", [preview, run]) is None
    found = told(preview, run, look(2, "2100", "110"))
    assert (found.begin, found.runs, found.earned) == (run.at, 1, 100)
    assert found.account.time_weighted == Decimal("0.05")
    assert nonzero(found) == {}


def test_a_deposit_is_no_gain_and_what_it_waited_is_named() -> None:
    run, paid = look(0, "2000", trades=()), look(1, "4100", "110", flow=Decimal(2_000))
    found = told(run, paid, look(2, "4200", "120"))
    assert (found.came, found.earned) == (2_000, 200)
    assert found.account.time_weighted == pytest.approx(Decimal("1.05") * 4200 / 4100 - 1, abs=Decimal("1e-6"))
    assert nonzero(found) == {Part.FLOWS: -Decimal("95.24")}, "half of 2,000 USD did not rise from 110 to 120"


def test_a_missing_price_is_named_and_nothing_is_put_in_its_place() -> None:
    published = {"QQQ": Decimal("0.5")}
    run = look(0, "2000", trades=(), published=published)
    found = told(run, look(2, "2100", "110"))
    assert found.untold == ("no price of QQQ on 2026-01-05",)
    assert found.replaced
    assert found.strategy is not None
    assert found.parts[0].part is Part.DELAY
    assert sum(one.usd for one in found.parts) == found.gap == 0
    without = told(look(0, "2000", trades=()), look(2, "2100", prices={}))
    assert (without.strategy, without.parts, without.gap, without.gap_rate) == (None, (), None, None)
    assert without.untold == ("no price of SPY on 2026-01-07",)
    assert without.account.time_weighted == Decimal("0.05")


def test_a_price_is_only_missed_where_it_is_needed() -> None:
    found = told(look(0, "2000", trades=()), look(1, "2050", prices={}), look(2, "2100", "110"))
    assert found.untold == ()


def test_a_split_is_no_loss() -> None:
    run = look(0, "2000", trades=())
    found = told(run, look(1, "2010", "50.5", "20"), look(2, "2100", "55", "20"))
    assert nonzero(found) == {}
    bought = told(run, look(1, "2010", "101", "20"), look(2, "2100", "110", "20"))
    assert nonzero(bought) == {}, "shares that somebody has bought are none"


def test_what_is_apart_earns_by_itself_while_its_shares_stay() -> None:
    """1,000 of 3,000 USD are in 7 shares of the owner's own, which double; then half of them are sold by hand."""
    seven, three = {"OWN": Decimal(7)}, {"OWN": Decimal(3)}
    run = look(0, "3000", trades=(), apart=Apart(Decimal(1_000), seven), investable=Decimal(2_000))
    found = told(run, look(1, "4000", apart=Apart(Decimal(2_000), seven)))
    assert nonzero(found) == {Part.HOLDS: 1_000}
    sold = told(run, look(1, "3000", apart=Apart(Decimal(400), three)))
    assert nonzero(sold) == {}


def test_costs_are_the_fills_against_mid_and_their_commission() -> None:
    trade = Trade("SPY", Decimal(10), Decimal("100.30"), Decimal(2))
    found = told(look(0, "2000", shares="0", trades=(trade,)), look(1, "1995"))
    assert nonzero(found) == {Part.SPREAD: -3, Part.COMMISSION: -2}


def test_a_conversion_costs_its_spread_and_holds_nothing() -> None:
    """1,000 EUR are sold a cent below mid; the euro falls by a tenth meanwhile, which is not what was sold."""
    rates = {"SPY": Decimal(100), "EUR.USD": Decimal("1.25")}
    sold = Trade("EUR.USD", Decimal(-1_000), Decimal("1.24"), Decimal(2), conversion=True)
    run = look(0, "2000", shares="0", prices=rates, trades=(sold,))
    assert nonzero(told(run, look(1, "1988", shares="0", prices=rates | {"EUR.USD": Decimal("1.125")}))) == {
        Part.SPREAD: -10,
        Part.COMMISSION: -2,
    }


def test_a_fund_that_holds_the_reserve_is_part_of_it() -> None:
    prices = {"SPY": Decimal(100), "SGOV": Decimal(100)}
    held = {"SPY": Decimal(5), "SGOV": Decimal(4)}
    run = replace(look(0, "1000", trades=(), prices=prices, fund="SGOV"), shares=held)
    found = told(run, look(1, "1004", prices=prices | {"SGOV": Decimal(101)}))
    assert nonzero(found) == {Part.RESERVE: 4}


def test_more_than_a_world_has_cannot_be_taken_out_of_it() -> None:
    run = look(0, "2000", trades=(), published={"SPY": ONE}, wanted={"SPY": ONE})
    gone = look(1, "100", "10", flow=Decimal(-1_000), shares="0")
    found = told(run, gone, look(2, "100", "10", shares="0"))
    assert found.strategy is None
    assert found.untold == ("more was taken out by 2026-01-06 than the strategy would have had",)


# -- rates ------------------------------------------------------------------------------------------------------------


def test_known_money_weighted_rates() -> None:
    half = BEGIN + YEAR / 2
    assert money_weighted(BEGIN, Decimal(100), [], BEGIN + YEAR, Decimal(121)) == Decimal("0.21")
    # 100 that become 110 by half of the year, and 100 more that become 110 with them: 100 x + 100 sqrt(x) = 231
    flows = [Flow(half, Decimal(100))]
    assert money_weighted(BEGIN, Decimal(100), flows, BEGIN + YEAR, Decimal(231)) == Decimal("0.21")
    assert money_weighted(BEGIN, Decimal(100), flows, BEGIN + YEAR, Decimal(200)) == ZERO
    assert money_weighted(BEGIN, Decimal(100), [], BEGIN + YEAR, Decimal(25)) == Decimal("-0.75")


def test_a_rate_that_is_none_is_not_told() -> None:
    assert money_weighted(BEGIN, Decimal(100), [], BEGIN, Decimal(100)) is None
    assert money_weighted(BEGIN, Decimal(1), [], BEGIN + YEAR, Decimal(10) ** 20) is None
    assert money_weighted(BEGIN, Decimal(100), [Flow(BEGIN, Decimal(5))], BEGIN + YEAR, Decimal(-50)) is None


def test_a_rate_of_a_year_needs_a_year() -> None:
    assert annual(None, BEGIN, BEGIN + 2 * YEAR) is None
    assert annual(Decimal("0.21"), BEGIN, BEGIN + YEAR * 0.99) is None
    assert annual(Decimal("0.21"), BEGIN, BEGIN + 2 * YEAR) == Decimal("0.1")
    assert annual(Decimal(-1), BEGIN, BEGIN + 2 * YEAR) is None
    assert annual(ZERO, BEGIN, BEGIN + 2 * YEAR) == ZERO


def test_the_example_of_the_document() -> None:
    text = (Path(__file__).parents[2] / "docs/returns.md").read_text()
    sixty = {"SPY": Decimal("0.6"), "TLT": Decimal("0.4")}
    bought = (
        Trade("SPY", Decimal(118), Decimal("500.05"), ONE),
        Trade("TLT", Decimal(435), Decimal("90.02"), Decimal("2.18")),
    )
    run = Look(
        at=BEGIN,
        equity=Decimal(100_000),
        prices={"SPY": Decimal(500), "TLT": Decimal(90)},
        targets="a",
        published=sixty,
        wanted=sixty,
        planned=sixty,
        investable=Decimal(98_000),
        shares={},
        trades=bought,
    )
    cash = Decimal(100_000) - sum(one.shares * one.price + one.commission for one in bought)
    prices = {"SPY": Decimal(520), "TLT": Decimal(91)}
    worth = 118 * prices["SPY"] + 435 * prices["TLT"] + cash
    found = told(run, replace(run, at=BEGIN + timedelta(days=30), equity=worth, prices=prices, trades=None))
    assert found.strategy is not None
    assert f"| strategy | {found.strategy.final:,.2f} |" in text
    assert f"| account | {found.account.final:,.2f} |" in text
    text = text.replace("\N{MINUS SIGN}", "-")
    for part, usd in nonzero(found).items():
        assert f"| `{part}` | {usd:+,.2f} |" in text
    assert f"{found.gap:+,.2f} USD, or {(found.gap_rate or ZERO) * 10_000:+.2f} basis" in text
