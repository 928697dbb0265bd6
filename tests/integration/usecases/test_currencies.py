"""Runs of accounts that are kept in another currency than dollars, and of those that convert it for their buys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.domain.accounts import ApprovalMode, Fx
from rebalancer.domain.errors import GatewayUnavailable, OrderRejected, OrdersUnfilled, QuoteUnavailable, Refused
from rebalancer.domain.outcomes import Blocked
from rebalancer.domain.portfolio import Targets
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import Ratio
from rebalancer.usecases import RunContext, print_equity, print_rebalance, rebalance
from sandbox.gateway.exchange_accounts import Payment
from tests.integration.gateway.test_currencies import EURO_PAIR, FRANC_PAIR
from tests.integration.ibkr.serving import SETUP, connected, serving
from tests.integration.usecases.conftest import ACCOUNT, AN_OPTION, OPTIONS, WEIGHTS, Desk, FixedTargets
from tests.memory_record import MemoryRun, claim

PAIRS = {"EUR.USD": EURO_PAIR, "USD.CHF": FRANC_PAIR}
EUROS = Decimal("100000")


def desk_of(*, instruments: dict[str, Any] | None = None, **account: Any) -> Iterator[Desk]:
    own = {"margin": True, "base_currency": "EUR", "cash": 0, "other_cash": {"EUR": EUROS}, **account}
    with (
        serving(
            accounts={ACCOUNT: own},
            instruments={**SETUP["instruments"], **PAIRS, **(instruments or {})},
            currencies={"EUR": "1.25", "CHF": "1.25"},
            gateway={"messages_per_window": 1000},
        ) as served,
        connected(served, options=OPTIONS, messages_per_s=900) as broker,
    ):
        yield Desk(served, broker)


@pytest.fixture
def euros() -> Iterator[Desk]:
    """100,000 EUR at 1.25 USD, on margin; every stock is 100 USD."""
    yield from desk_of()


@pytest.fixture
def settling() -> Iterator[Desk]:
    """The same without margin."""
    yield from desk_of(margin=False)


def converting(here: Desk, run: MemoryRun, fx: Fx = Fx.CONVERT, **rules: Any) -> RunContext:
    context = here.context(run)
    wanted = replace(context.account.rules, fx=fx, **rules)
    return replace(context, account=replace(context.account, rules=wanted))


def run_live(here: Desk, **rules: Any) -> dict[str, Any]:
    result = rebalance(converting(here, here.claim(), **rules))
    assert isinstance(result, dict), result
    return result


def preview(here: Desk, **rules: Any) -> dict[str, Any]:
    return print_rebalance(converting(here, claim(here.ledger), **rules))


def cash(here: Desk, currency: str = "EUR") -> Decimal:
    state = here.served.do(lambda gateway: gateway.account(ACCOUNT))
    return state.cash if currency == "USD" else state.other_cash[currency]


def asked(result: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(one["action"], one["symbol"], one["quantity"]) for one in result["orders"]]


def bought(here: Desk) -> Decimal:
    return sum((count for symbol, count in here.positions.items()), Decimal(0))


def test_equity_is_said_in_both_currencies_at_the_brokers_rate(euros: Desk) -> None:
    result = print_equity(euros.context(claim(euros.ledger)))
    assert (result["net_liquidation"], result["cash"]) == ("125000.00", "0.00")
    assert result["base"] == {
        "currency": "EUR",
        "rate": "0.8000000",
        "cash": "100000.00",
        "net_liquidation": "100000.00",
    }


def test_without_a_word_only_dollars_are_spent(euros: Desk) -> None:
    euros.served.do(lambda gateway: gateway.exchange.pay(ACCOUNT, Payment({"USD": Decimal(10_000)})))
    result = run_live(euros, fx=Fx.OFF)
    assert {action for action, *_ in asked(result)} == {"BUY"}
    assert 0 <= cash(euros, "USD") < 300
    assert cash(euros) == EUROS
    assert result["equity_info"]["base"]["currency"] == "EUR"


def test_a_preview_shows_the_conversion_and_a_live_run_makes_it(euros: Desk) -> None:
    shown = preview(euros)
    assert cash(euros) == EUROS
    made = run_live(euros)
    assert asked(made) == asked(shown)
    (side, symbol, quantity), *buys = asked(made)
    assert (side, symbol) == ("SELL", "EUR.USD")
    assert all(action == "BUY" for action, *_ in buys)
    assert any("count as dollars" in note for note in shown["notes"])
    dollars, left = cash(euros, "USD"), cash(euros)
    assert 0 <= dollars <= 500, "what the buys did not need of it"
    assert left == EUROS - quantity - Decimal(made["orders"][0]["commission"])
    assert bought(euros) * 100 == pytest.approx(125_000 * Decimal("0.99"), rel=Decimal("0.01"))
    assert euros.ledger.snapshots[-1].account.base is not None


def test_after_its_own_fills_nothing_is_left_to_do(euros: Desk) -> None:
    run_live(euros)
    again = run_live(euros)
    assert again["orders"] == []
    assert preview(euros)["orders"] == []


def test_the_reserve_may_stay_in_the_base_currency_and_what_is_kept_is_never_sold(euros: Desk) -> None:
    result = run_live(euros, fx_reserve=Decimal(40_000))
    assert asked(result)[0][2] <= 60_000
    assert 40_000 <= cash(euros) < 41_500
    assert bought(euros) * 100 == pytest.approx(75_000 * Decimal("0.99"), rel=Decimal("0.01"))


def test_a_pair_that_begins_with_dollars_is_bought() -> None:
    for here in desk_of(base_currency="CHF", other_cash={"CHF": EUROS}):
        result = run_live(here)
        assert asked(result)[0][:2] == ("BUY", "USD.CHF")
        value = Decimal(result["orders"][0]["market_value"])
        assert value == asked(result)[0][2], "in dollars"
        assert cash(here, "CHF") >= 0
        assert 0 <= cash(here, "USD") <= 500
        assert run_live(here)["orders"] == []


def test_sells_come_first_and_less_is_converted() -> None:
    for here in desk_of(positions={"IWM": 500}):
        result = run_live(here)
        kinds = [(action, symbol) for action, symbol, _ in asked(result)]
        assert kinds[:2] == [("SELL", "IWM"), ("SELL", "EUR.USD")]
        dollars = Decimal(result["orders"][1]["market_value"])
        assert dollars == pytest.approx(122_000, rel=Decimal("0.01")), "the sale brought the rest"


def test_a_reserve_in_a_fund_is_bought_with_what_is_converted() -> None:
    """TLT is the fund; 10 % of 125,000 USD are the reserve, a tenth of it in cash."""
    for here in desk_of():
        here.targets.weights = {"SPY": "0.6", "QQQ": "0.4"}

        def run(number: int, here: Desk = here) -> dict[str, Any]:
            context = converting(here, here.claim(), reserve_symbol="TLT")
            context = replace(context, rules=replace(context.rules, reserve_fraction=Ratio(Decimal("0.1"))))
            result = rebalance(context)
            assert isinstance(result, dict), number
            return result

        first, *rest = asked(run(1))
        assert first[:2] == ("SELL", "EUR.USD")
        assert {symbol for _, symbol, _ in rest} == {"SPY", "QQQ", "TLT"}
        assert here.positions["TLT"] * 100 == pytest.approx(125_000 * Decimal("0.09"), rel=Decimal("0.02"))
        assert cash(here, "USD") >= 0
        assert cash(here) >= 0
        assert run(2)["orders"] == []


def test_a_conversion_that_does_not_come_leaves_the_fund_unbought_rather_than_borrowed() -> None:
    for here in desk_of():
        here.served.do(lambda gateway: gateway.exchange.pay(ACCOUNT, Payment({"USD": Decimal(3_000)})))
        here.fault(rejections={"EUR.USD": {"code": 201, "text": "no permission for currencies"}})
        with pytest.raises(OrderRejected, match="no permission"):
            rebalance(converting(here, here.claim(), reserve_symbol="IWM"))
        assert cash(here, "USD") >= 0
        assert cash(here) == EUROS


def test_without_margin_the_buys_wait_until_the_dollars_have_settled(settling: Desk) -> None:
    """What is left in euros is less than what the buys cost, and AvailableFunds do not count what has not settled."""
    shown = preview(settling)
    assert {one["symbol"]: one["quantity_today"] for one in shown["orders"]}["EUR.USD"] > 0
    ended = rebalance(converting(settling, settling.claim()))
    assert isinstance(ended, Blocked)
    assert ended.rule is Rule.SETTLEMENT
    assert cash(settling) >= 0
    assert cash(settling, "USD") >= 0


def test_a_conversion_that_is_refused_buys_what_the_dollars_allow_and_says_so(euros: Desk) -> None:
    euros.served.do(lambda gateway: gateway.exchange.pay(ACCOUNT, Payment({"USD": Decimal(5_000)})))
    euros.fault(rejections={"EUR.USD": {"code": 201, "text": "no permission for currencies"}})
    with pytest.raises(OrderRejected, match="no permission"):
        rebalance(converting(euros, euros.claim()))
    assert cash(euros) == EUROS
    assert 0 <= cash(euros, "USD") < 1_500
    assert euros.ledger.plans


def test_a_conversion_that_fills_in_part_is_followed_and_planned_again(euros: Desk) -> None:
    euros.fault(fills={"EUR.USD": {"mode": "partial", "fraction": "0.5"}})
    with pytest.raises(OrdersUnfilled, match=r"EUR\.USD"):
        rebalance(converting(euros, euros.claim()))
    assert cash(euros) > 0
    assert cash(euros, "USD") >= 0, "nothing was borrowed"
    assert euros.open_refs == []
    euros.fault()
    run_live(euros)
    assert run_live(euros)["orders"] == []
    assert bought(euros) * 100 == pytest.approx(125_000 * Decimal("0.99"), rel=Decimal("0.01"))


def test_a_connection_that_is_lost_amid_the_conversion_converts_nothing_twice(euros: Desk) -> None:
    euros.fault(fills={"EUR.USD": {"mode": "delayed", "delay_ms": 300}})

    def cut() -> None:
        euros.served.do(lambda gateway: gateway.disconnect_all())

    with euros.amid_orders(cut):
        result = run_live(euros)
    sold = sum(
        quantity
        for action, symbol, quantity in euros.served.do(
            lambda gateway: [(one.side, one.symbol, one.filled) for one in gateway.orders]
        )
        if symbol == "EUR.USD"
    )
    assert sold <= 100_000
    assert cash(euros) >= 0
    assert 0 <= cash(euros, "USD") <= 500
    assert result["orders"]
    euros.fault()
    assert run_live(euros)["orders"] == []


@pytest.mark.parametrize("price", ["1.30", "1.20"])
def test_a_rate_that_the_market_belies_is_refused(euros: Desk, price: str) -> None:
    euros.served.do(lambda gateway: gateway.exchange.pay(ACCOUNT, Payment({"USD": Decimal(5_000)})))
    euros.served.do(lambda gateway: gateway.exchange.set_price("EUR.USD", Decimal(price)))
    with pytest.raises(Refused) as refused:
        rebalance(converting(euros, euros.claim()))
    assert refused.value.rule is Rule.EXCHANGE_RATE_DISAGREES
    assert euros.refs == []
    assert run_live(euros, fx=Fx.OFF)["orders"], "who converts nothing is not asked"


def test_without_a_quote_nothing_is_traded(euros: Desk) -> None:
    euros.fault(quotes={"EUR.USD": "none"})
    with pytest.raises(QuoteUnavailable, match=r"EUR\.USD"):
        rebalance(converting(euros, euros.claim()))
    assert euros.refs == []


def test_a_currency_without_a_pair_is_refused(euros: Desk) -> None:
    euros.served.do(lambda gateway: gateway.exchange.market.redefine("EUR.USD", defined=False))
    with pytest.raises(Refused, match="no pairs of EUR") as refused:
        rebalance(converting(euros, euros.claim()))
    assert refused.value.rule is Rule.CURRENCY_PAIR_UNKNOWN
    assert euros.refs == []


def test_a_large_conversion_waits_for_a_person_and_the_plan_shows_it(euros: Desk) -> None:
    euros.settings["max_day_fx_usd"] = 50_000
    ended = rebalance(converting(euros, euros.claim()))
    assert isinstance(ended, Blocked)
    assert (ended.rule, "conversions" in ended.reason) == (Rule.APPROVAL, True)
    assert euros.refs == []
    assert {"rule": "limits"}.items() <= preview(euros)["rules"][0].items()


def test_a_plan_that_waits_has_its_conversion(euros: Desk) -> None:
    context = converting(euros, euros.claim())
    ended = rebalance(replace(context, safeguards=replace(context.safeguards, approval=ApprovalMode.MANUAL)))
    assert isinstance(ended, Blocked)
    (plan,) = euros.ledger.plans.values()
    order = plan["conversion"]["order"]
    assert (order["side"], order["symbol"]) == ("SELL", "EUR.USD")
    assert Decimal(order["usd"]) == pytest.approx(125_000, rel=Decimal("0.02"))


def test_the_broker_is_not_asked_what_it_thinks_of_buys_whose_dollars_are_yet_to_come(euros: Desk) -> None:
    """The account's first orders, which are asked about otherwise: its funds are euros."""
    euros.settings["what_if"] = "always"
    result = run_live(euros)
    assert asked(result)[0][:2] == ("SELL", "EUR.USD")


def test_a_conversion_that_a_window_keeps_back_halts_the_account_and_nothing_is_bought(euros: Desk) -> None:
    euros.fault(swallowed_orders={"EUR": {"times": 1}})
    ended = rebalance(converting(euros, euros.claim()))
    assert isinstance(ended, Blocked)
    assert ended.rule is Rule.HALT
    assert bought(euros) == 0
    assert cash(euros) == EUROS


def test_euros_that_ibkr_converts_by_itself_meanwhile_are_waited_for(settling: Desk) -> None:
    """The books show other dollars than our fills leave: nothing is planned from them until they are old."""
    rebalance(converting(settling, settling.claim()))
    paid = Payment({"EUR": Decimal(-400), "USD": Decimal("499.85")})
    settling.served.do(lambda gateway: gateway.exchange.pay(ACCOUNT, paid))
    with pytest.raises(GatewayUnavailable, match="does not show our fills"):
        rebalance(converting(settling, settling.claim()))
    assert cash(settling) >= 0


@dataclass
class ChangedTargets(FixedTargets):
    """A strategy that has other targets from the second question on."""

    later: dict[str, str] = field(default_factory=lambda: {**WEIGHTS, "SPY": WEIGHTS["TLT"], "TLT": WEIGHTS["SPY"]})

    def fetch(self, strategy: str) -> Targets:
        now = super().fetch(strategy)
        self.weights = self.later
        return now


@pytest.fixture
def lagging() -> Iterator[Desk]:
    """An option beside the stocks, which may bind funds; those show a sale 1.5 s late."""
    yield from desk_of(
        cash=1_000,
        other_cash={"EUR": Decimal(60_000)},
        positions={"IWM": 900, "an option": 1},
        funds_lag_ms=1_500,
        instruments={"an option": AN_OPTION},
    )


def test_what_lagging_funds_kept_a_plan_from_converting_is_converted_in_the_next_round(lagging: Desk) -> None:
    """Case of `rebalancer sandbox chaos --seed 1`: the plan bought what funds of before the sale paid for, and the
    euros that were left stood for success.
    """
    lagging.targets = ChangedTargets()
    with pytest.raises(Refused, match="changed while the run was under way"):
        run_live(lagging)
    run_live(lagging)
    assert cash(lagging, "USD") + cash(lagging) * Decimal("1.25") < 3_000, "everything is invested but the reserve"
