"""Runs that convert the dollars which they leave idle back into the account's base currency."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.domain.accounts import ApprovalMode, Fx
from rebalancer.domain.approvals import ApprovalState
from rebalancer.domain.errors import GatewayUnavailable, OrderRejected, QuoteUnavailable
from rebalancer.domain.outcomes import Blocked
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.domain.rule_names import Rule
from rebalancer.usecases import RunContext, rebalance
from sandbox.gateway.exchange_accounts import Payment
from sandbox.gateway.scenario import OpenOrder
from tests.integration.usecases.conftest import ACCOUNT, Desk
from tests.integration.usecases.test_currencies import asked, cash, converting, desk_of, preview, run_live
from tests.memory_record import MemoryRun

BACK = {"fx_back": Fx.CONVERT, "allow_cash_share": True}
DEFENSIVE = {"SPY": "0.2", "TLT": "0.2"}
"""Sixty percent stay cash."""


def desk_with(**account: Any) -> Iterator[Desk]:
    for here in desk_of(**{"other_cash": {"EUR": 1_000}, "positions": {"SPY": 800, "TLT": 200}, **account}):
        here.targets.weights = dict(DEFENSIVE)
        yield here


@pytest.fixture
def here() -> Iterator[Desk]:
    """100,000 USD in stocks and 1,000 EUR, of which targets are for 40 % now."""
    yield from desk_with()


@pytest.fixture
def rich() -> Iterator[Desk]:
    """At those targets but for a few shares, most of its cash in euros, and 6,000 USD too many."""
    yield from desk_with(positions={"SPY": 200, "TLT": 200}, cash=7_250, other_cash={"EUR": 46_000})


def live(here: Desk, run: MemoryRun | None = None) -> dict[str, Any]:
    result = rebalance(back(here, run))
    assert isinstance(result, dict), result
    return result


def back(here: Desk, run: MemoryRun | None = None) -> RunContext:
    return converting(here, run or here.claim(), **BACK)


def exchanged(result: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [one for one in asked(result) if "." in one[1]]


def test_what_sales_bring_beyond_targets_and_reserve_goes_back_last_in_preview_and_live(here: Desk) -> None:
    shown = preview(here, **BACK)
    made = live(here)
    assert asked(made) == asked(shown)
    *stocks, (side, symbol, quantity) = asked(made)
    assert (side, symbol) == ("BUY", "EUR.USD")
    assert all("." not in one for _, one, _ in stocks)
    assert any("are converted back into EUR" in note for note in shown["notes"])
    equity = Decimal(shown["equity_info"]["total_equity"])
    kept = cash(here, "USD")
    assert equity * Decimal("0.01") <= kept <= equity * Decimal("0.015"), "the reserve, and a share of each target"
    commission = Decimal(made["orders"][-1]["commission"])
    assert cash(here) == 1_000 + quantity - commission
    assert quantity == pytest.approx(Decimal(47_500), rel=Decimal("0.02")), "59 % of equity, in euros"


def test_after_it_nothing_is_left_to_do_and_nothing_goes_forth_again(here: Desk) -> None:
    live(here)
    for _ in range(2):
        assert live(here)["orders"] == []
    assert preview(here, **BACK)["orders"] == []


def test_the_way_there_is_open_when_the_targets_want_it_again(here: Desk) -> None:
    live(here)
    here.targets.weights = {"SPY": "0.5", "TLT": "0.5"}
    assert exchanged(live(here))[0][0] == "SELL"
    assert cash(here, "USD") >= 0
    assert live(here)["orders"] == []


def test_without_a_word_dollars_stay_dollars_and_no_pair_is_asked_for(here: Desk) -> None:
    here.fault(quotes={"EUR.USD": "none"})
    result = run_live(here, fx=Fx.OFF, allow_cash_share=True)
    assert exchanged(result) == []
    assert cash(here) == 1_000
    here.fault()
    assert exchanged(run_live(here, allow_cash_share=True)) == []
    assert cash(here, "USD") > 50_000


def test_dollars_that_came_in_go_back_without_any_other_order() -> None:
    for here in desk_with(positions={"SPY": 201, "TLT": 201}, cash=3_800, other_cash={"EUR": 46_000}):
        result = live(here)
        assert [side for side, *_ in asked(result)] == ["BUY"]
        assert exchanged(result)
        assert cash(here, "USD") >= 1_000


def test_an_account_without_any_euros_gets_some() -> None:
    for here in desk_with(other_cash={"EUR": 0}):
        assert exchanged(live(here))
        assert cash(here) > 40_000


def test_what_is_kept_of_the_base_currency_is_not_filled_up(here: Desk) -> None:
    result = run_live(here, fx_reserve=Decimal(5_000), **BACK)
    assert exchanged(result) == []
    assert cash(here) == 1_000


def test_a_pair_that_begins_with_dollars_is_sold() -> None:
    for here in desk_with(base_currency="CHF", other_cash={"CHF": 1_000}):
        result = live(here)
        assert exchanged(result)[0][:2] == ("SELL", "USD.CHF")
        assert cash(here, "USD") >= 1_000
        assert cash(here, "CHF") > 40_000
        assert live(here)["orders"] == []


def test_without_margin_only_what_has_settled_goes_back() -> None:
    for here in desk_with(margin=False):
        assert exchanged(live(here)) == []
        assert cash(here) == 1_000
    for here in desk_with(margin=False, cash=8_000):
        (order,) = exchanged(live(here))
        assert 5_000 < order[2] * Decimal("1.25") < 8_000


def test_more_than_half_is_converted_for_a_person_to_see_first(here: Desk) -> None:
    here.settings["max_day_fx_usd"] = 20_000
    ended = rebalance(back(here))
    assert isinstance(ended, Blocked)
    assert (ended.rule, "conversions" in ended.reason) == (Rule.APPROVAL, True)
    assert here.refs == []
    assert {"rule": "limits"}.items() <= preview(here, **BACK)["rules"][0].items()


def test_a_plan_that_waits_has_the_way_back_and_an_approval_is_for_that_amount(rich: Desk) -> None:
    here, run = rich, rich.claim()
    context = back(here, run)
    context = replace(context, safeguards=replace(context.safeguards, approval=ApprovalMode.MANUAL))
    assert isinstance(rebalance(context), Blocked)
    ((_, approval),) = here.ledger.approvals
    assert approval.orders["EUR.USD"] == Decimal(approval.plan["conversion"]["back"]["usd"]) > 2_000
    here.ledger.decide(run, ApprovalState.APPROVED)
    here.served.do(lambda gateway: gateway.exchange.pay(ACCOUNT, Payment({"USD": Decimal(30_000)})))
    context = replace(context, safeguards=replace(context.safeguards, max_move=Decimal("0.01")))
    assert isinstance(rebalance(context), Blocked), "it has moved"
    assert here.refs == []
    assert [approval.state for _, approval in here.ledger.approvals] == [ApprovalState.REPLACED, ApprovalState.PENDING]


@pytest.mark.parametrize("kind", [RebalanceMode.BUY_ONLY, RebalanceMode.RAISE_CASH])
def test_only_a_full_rebalance_converts_back(rich: Desk, kind: RebalanceMode) -> None:
    context = back(rich)
    context = replace(context, rules=replace(context.rules, kind=kind))
    result = rebalance(context)
    assert isinstance(result, dict)
    assert exchanged(result) == []
    assert any(f"not converted back: this is a {kind} rebalance" in note for note in result["notes"])


def test_cash_that_is_to_be_there_by_a_day_stays_in_dollars(here: Desk) -> None:
    here.ledger.cash_planned.add(ACCOUNT)
    result = live(here)
    assert exchanged(result) == []
    assert any("cash is to be there by a day" in note for note in result["notes"])
    assert cash(here) == 1_000


def test_orders_of_others_that_stay_open_may_need_the_dollars() -> None:
    wish = OpenOrder(symbol="SPY", side="BUY", quantity=Decimal(1), limit_price=Decimal(1))
    for here in desk_with(positions={"SPY": 201, "TLT": 201}, cash=3_800, other_cash={"EUR": 46_000}):
        here.served.do(lambda gateway: gateway.exchange.enter(ACCOUNT, wish))
        result = live(here)
        assert asked(result) == []
        assert any("SPY have open orders" in note for note in result["notes"])
        assert len(here.open_refs) == 1


def test_a_way_back_that_is_refused_leaves_the_account_at_its_targets_and_says_so(here: Desk) -> None:
    here.fault(rejections={"EUR.USD": {"code": 201, "text": "no permission for currencies"}})
    with pytest.raises(OrderRejected, match="no permission"):
        live(here)
    assert cash(here) == 1_000
    assert here.positions["SPY"] < 300


def test_half_a_way_back_is_success_and_the_next_run_goes_the_rest(here: Desk) -> None:
    here.fault(fills={"EUR.USD": {"mode": "partial", "fraction": "0.5"}})
    assert live(here)["status"] == "success"
    half = cash(here)
    assert 1_000 < half < 30_000
    assert here.open_refs == []
    here.fault()
    assert len(exchanged(live(here))) == 1
    assert cash(here) > 45_000


def test_a_connection_that_is_lost_amid_the_way_back_converts_nothing_twice(here: Desk) -> None:
    here.fault(fills={"EUR.USD": {"mode": "delayed", "delay_ms": 300}})
    with here.amid_orders(lambda: here.served.do(lambda gateway: gateway.disconnect_all())):
        live(here)
    here.fault()
    live(here)
    assert cash(here, "USD") >= 1_000
    assert live(here)["orders"] == []


def test_without_a_quote_nothing_is_traded(here: Desk) -> None:
    here.fault(quotes={"EUR.USD": "none"})
    with pytest.raises(QuoteUnavailable, match=r"EUR\.USD"):
        live(here)
    assert here.refs == []


def test_books_that_do_not_show_the_euros_yet_are_waited_for(here: Desk) -> None:
    live(here)
    run = here.claim()
    here.served.do(lambda gateway: gateway.exchange.pay(ACCOUNT, Payment({"EUR": Decimal(-20_000)})))
    with pytest.raises(GatewayUnavailable, match="where there must be"):
        live(here, run)
