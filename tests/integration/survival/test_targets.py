"""Success means that the account holds its targets, and one bad holding never stops an account."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from rebalancer.domain.commands import Command
from rebalancer.domain.notices import NoticeKind
from rebalancer.ledger.models import NoticeRow, Order, SnapshotRow
from rebalancer.ledger.states import EventState
from rebalancer.usecases import Blocked, Result, RunContext, print_rebalance, rebalance
from sandbox.gateway.behaviour import Behaviour, Delivery
from sandbox.gateway.exchange_accounts import Payment
from sandbox.gateway.messages import PORTFOLIO
from sandbox.gateway.scenario import OpenOrder
from sandbox.gateway.server import Gateway
from sandbox.gateway.wire import Message
from tests.integration.ibkr.serving import until
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.harness import (
    ACCOUNT,
    HOLDINGS,
    OTHER,
    SETUP,
    VALUE,
    WEIGHTS,
    Bench,
    when_orders_arrive,
)
from tests.integration.survival.test_instruments import LONDON, instruments, listing

NEVER = {"mode": "never"}
STUCK = ("AvailableFunds", "EquityWithLoanValue")


class Rewrites(Behaviour):
    """Passes every message to a client through a function."""

    def __init__(self, change: Callable[[Message], Iterable[Message]]) -> None:
        self.change = change

    def outgoing(self, client_id: int, message: Message) -> Iterable[Delivery]:
        del client_id
        return tuple(Delivery(one) for one in self.change(message))


def rules(here: Bench, **changes: Any) -> None:
    """Change rules of the account."""
    account = here._accounts[ACCOUNT]
    changed = dataclasses.replace(account, rules=dataclasses.replace(account.rules, **changes))
    here._accounts = {**here._accounts, ACCOUNT: changed}


def sent(here: Bench) -> list[tuple[str, int, str]]:
    return here.served.do(
        lambda gateway: [
            (one.side.value, int(one.ticket.quantity), one.symbol)
            for one in gateway.orders
            if one.account == ACCOUNT and one.order_id > 0
        ]
    )


def status_of(here: Bench, order_ref: str) -> str:
    return here.served.do(
        lambda gateway: next(str(one.status) for one in gateway.orders if one.ticket.order_ref == order_ref)
    )


def holding(**more: Any) -> dict[str, Any]:
    return {ACCOUNT: {"cash": 20_000, "margin": True, "positions": {**HOLDINGS, **more}}, OTHER: {"cash": 1}}


# -- one bad holding ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [False, True], ids=["no target", "on hold"])
def test_a_holding_without_a_quote_is_left_alone_and_the_rest_traded(benches: MakeBench, held: bool) -> None:
    with benches(accounts=holding(XLE=10), faults={"quotes": {"XLE": "none"}}) as here:
        here.patience(quote_timeout_s=0.3)
        rules(here, hold=("XLE",) if held else ())
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome
        assert outcome.result is not None
        assert here.positions["XLE"] == 10
        assert here.positions["GLD"] > 170
        assert any("XLE: 10 shares are" in note for note in outcome.result["notes"])
        assert outcome.result["attention"] == ([] if held else ["XLE: no usable two-sided quote"])
        with here.ledger.begin() as session:
            told = session.scalars(select(NoticeRow.kind)).all()
        assert (NoticeKind.LEFT_ALONE in told) is not held
        here.prove_books()


def test_a_target_of_weight_zero_needs_neither_definition_nor_quote(benches: MakeBench) -> None:
    with benches(accounts=holding()) as here, here.targets({**WEIGHTS, "ZZZZ": 0}):
        assert here.rebalance().state is EventState.SUCCEEDED


@pytest.mark.parametrize("order_type", ["MKT", "LMT"])
def test_a_sell_that_never_fills_keeps_no_buy_from_being_sent(benches: MakeBench, order_type: str) -> None:
    accounts = {ACCOUNT: {"cash": 1_000, "margin": True, "positions": {"IWM": 900, "XLE": 5}}, OTHER: {"cash": 1}}
    with benches(fills={"by_symbol": {"XLE": NEVER}}, accounts=accounts) as here:
        here.settings |= {"order_type": order_type, "order_timeout_s": 0.5, "order_rounds": 1}
        outcome = here.rebalance()
        assert outcome.state is EventState.RETRYING
        assert "XLE" in outcome.error
        assert {symbol for side, _, symbol in sent(here) if side == "BUY"} == set(WEIGHTS)
        assert here.served.do(lambda gateway: gateway.cash(ACCOUNT)) < 2_500
        here.prove_books()


# -- orders of the owner --------------------------------------------------------------------------------------------


def by_hand(symbol: str, **more: Any) -> dict[str, Any]:
    return {"symbol": symbol, "side": "BUY", "quantity": 5, "limit_price": 50, "order_ref": f"hand {symbol}", **more}


def test_a_run_that_is_refused_cancels_nothing(benches: MakeBench) -> None:
    accounts = holding()
    accounts[ACCOUNT]["open_orders"] = [by_hand("XLU")]
    with benches(accounts=accounts, faults={"quotes": {"GLD": "none"}}) as here:
        here.patience(quote_timeout_s=0.3)
        for _ in range(2):
            assert "QuoteUnavailable" in here.rebalance().error
        assert status_of(here, "hand XLU") == "Submitted"


def test_without_anything_to_trade_nothing_is_cancelled(benches: MakeBench) -> None:
    with benches(accounts=holding()) as here:
        assert here.rebalance().state is EventState.SUCCEEDED
        before = here.refs
        hand = OpenOrder.model_validate(by_hand("XLU"))
        here.served.do(lambda gateway: gateway.exchange.enter(ACCOUNT, hand))
        assert here.rebalance().state is EventState.SUCCEEDED
        assert here.refs == [*before, "hand XLU"]
        assert status_of(here, "hand XLU") == "Submitted"


def test_an_order_in_a_symbol_on_hold_is_never_cancelled(benches: MakeBench) -> None:
    accounts = holding()
    accounts[ACCOUNT]["open_orders"] = [by_hand("XLU"), by_hand("AGG")]
    with benches(accounts=accounts) as here:
        rules(here, hold=("XLU",))
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome
        assert status_of(here, "hand XLU") == "Submitted"
        assert status_of(here, "hand AGG") == "Cancelled"
        assert outcome.result is not None
        assert [order["order_ref"] for order in outcome.result["cancelled_orders"]] == ["hand AGG"]


def test_an_order_by_hand_in_another_kind_of_instrument_is_never_cancelled(benches: MakeBench) -> None:
    """A stop on a call on a target, say: its message names the target's symbol."""
    call = {"con_id": 888, "name": "call", "price": 3, "symbol": "SPY", "security_type": "OPT", "multiplier": 100}
    accounts = holding(**{"SPY call": 1})
    order = by_hand("SPY call", side="SELL", quantity=1)
    accounts[ACCOUNT]["open_orders"] = [order, by_hand("AGG")]
    with benches(accounts=accounts, instruments={**SETUP["instruments"], "SPY call": call}) as here:
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome
        assert status_of(here, "hand SPY call") == "Submitted"
        assert status_of(here, "hand AGG") == "Cancelled"


def test_a_cancel_that_is_refused_once_is_sent_again(benches: MakeBench) -> None:
    accounts = holding()
    accounts[ACCOUNT]["open_orders"] = [by_hand("XLU", client_id=7, order_id=3)]
    refused = {"XLU": {"code": 161, "text": "not in a cancellable state", "times": 1}}
    with benches(accounts=accounts, faults={"cancel_refusals": refused}) as here:
        assert here.rebalance().state is EventState.SUCCEEDED
        assert status_of(here, "hand XLU") == "Cancelled"


# -- what else may be in an account ----------------------------------------------------------------------------------


@pytest.mark.parametrize("hold", [(), ("ABCD.CNT",)], ids=["no target", "on hold"])
def test_a_dead_line_keeps_nothing_from_being_traded(benches: MakeBench, hold: tuple[str, ...]) -> None:
    """Escrow and contingent rights stay in accounts for years, without a definition and without a price."""
    dead = {"con_id": 999, "name": "escrow", "price": "0.01", "defined": False}
    with benches(accounts=holding(**{"ABCD.CNT": 50}), instruments={**SETUP["instruments"], "ABCD.CNT": dead}) as here:
        rules(here, hold=hold)
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome
        assert here.positions["GLD"] > 100
        assert here.positions["ABCD.CNT"] == 50
        assert outcome.result is not None
        assert [words.partition(":")[0] for words in outcome.result["attention"]] == ([] if hold else ["ABCD.CNT"])


def test_a_short_position_is_neither_bought_back_nor_is_its_cash_spent(benches: MakeBench) -> None:
    accounts = holding(XLE=-100)
    with benches(accounts=accounts) as here:
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome
        assert here.positions["XLE"] == -100
        invested = sum(shares * 100 for symbol, shares in here.positions.items() if symbol != "XLE")
        assert invested <= 80_000, "cash of 20,000 USD, of which 10,000 are owed, and 70,000 in stocks"
        assert here.served.do(lambda gateway: gateway.cash(ACCOUNT)) >= 10_000


def test_money_that_comes_during_a_run_stops_it_and_is_invested_later(benches: MakeBench) -> None:
    """A cash account's euros are changed into dollars by themselves, say: nobody can tell that from fills that lack."""
    account = {"margin": True, "cash": 20_000, "other_cash": {"EUR": 10_000}, "positions": HOLDINGS}
    slow = {"by_symbol": {"IWM": {"mode": "delayed", "delay_ms": 300}}}
    with benches(accounts={ACCOUNT: account}, currencies={"EUR": "1.1"}, fills=slow) as here:
        changed = Payment({"EUR": Decimal(-10_000), "USD": Decimal(11_000)})
        when_orders_arrive(here, 1, lambda gateway: gateway.exchange.pay(ACCOUNT, changed))
        here.patience(books_timeout_s=0.3)
        outcome = here.rebalance()
        assert outcome.state is EventState.RETRYING
        assert "does not show our fills yet: cash is" in outcome.error
        assert {side for side, _, _ in sent(here)} == {"SELL"}
        with here.ledger.begin() as session:  # IBKR shows a fill within minutes; what it shows then is right
            session.execute(update(Order).values(final_at=Order.final_at - timedelta(hours=1)))
        assert here.rebalance().state is EventState.SUCCEEDED
        assert 0 <= here.served.do(lambda gateway: gateway.cash(ACCOUNT)) < 3_000
        here.prove_books()


# -- quotes and hours in the midst of a run --------------------------------------------------------------------------


def test_a_price_that_jumps_between_sells_and_buys_is_judged_like_that_of_the_plan(benches: MakeBench) -> None:
    with benches(accounts=holding(), fills={"by_symbol": {"IWM": {"mode": "delayed", "delay_ms": 600}}}) as here:
        here.settings |= {"order_type": "LMT", "order_timeout_s": 3}
        here.patience(quote_max_age_s=0.0)

        def crash(gateway: Gateway) -> None:
            gateway.exchange.market.set_price("GLD", Decimal(30), datetime.now(UTC))

        when_orders_arrive(here, 1, crash)
        outcome = here.rebalance()
        assert outcome.state is EventState.RETRYING
        assert "quotes_far_from_close" in outcome.error
        assert {side for side, _, _ in sent(here)} == {"SELL"}


def test_a_price_far_from_a_last_close_that_nobody_tells_again_is_asked_for_anew(benches: MakeBench) -> None:
    """A split: the close follows the price, and the tick that says so is lost. Chaos, seed 343."""
    told: set[object] = set()

    def once(message: Message) -> Iterable[Message]:
        tells_close = message[0] == 1 and message[3] == 9
        if tells_close and message[2] in told:
            return []
        told.update(message[2:3] if tells_close else ())
        return [message]

    def follow(gateway: Gateway) -> None:
        market = gateway.exchange.market
        market.split_close("GLD", Decimal(2))
        market.set_price("GLD", market.quote("GLD").mark, datetime.now(UTC))

    with benches(Rewrites(once), accounts=holding()) as here:
        here.patience(quote_max_age_s=600)
        here.served.do(lambda gateway: gateway.exchange.split("GLD", Decimal(2), 0))
        outcome = here.rebalance()
        assert "quotes_far_from_close" in outcome.error
        assert here.refs == []
        here.served.do(follow)
        assert here.rebalance().state is EventState.SUCCEEDED


def test_no_order_is_sent_after_the_close(benches: MakeBench) -> None:
    new_york = ZoneInfo("America/New_York")
    now = datetime.now(new_york)
    end = (now + timedelta(minutes=2)).replace(second=0, microsecond=0)
    hours = f"{now - timedelta(hours=2):%Y%m%d:%H%M}-{end:%Y%m%d:%H%M}"

    def closing(message: Message) -> Iterable[Message]:
        if message[0] != 10:
            return [message]
        return [tuple(hours if isinstance(field, str) and field.count(":") > 1 else field for field in message)]

    slow = {"by_symbol": {"IWM": {"mode": "delayed", "delay_ms": 500}}}
    with benches(Rewrites(closing), accounts=holding(), fills=slow) as here:
        here.settings |= {"order_timeout_s": 5, "market_close_cutoff_s": 5, "market_open_delay_s": 0}
        here.settings["quote_max_age_s"] = 300
        clock = [now]

        def at_the_close(context: RunContext) -> Result | Blocked:
            return rebalance(dataclasses.replace(context, clock=lambda: clock[0]))

        def later(_gateway: Gateway) -> None:
            clock[0] = end - timedelta(seconds=3)

        when_orders_arrive(here, 2, later)
        outcome = here.attempt(here.request(), at_the_close)
        assert outcome.state is EventState.HELD, outcome
        assert "market closed" in outcome.error
        assert {side for side, _, _ in sent(here)} == {"SELL"}
        here.prove_books()


# -- funds that lag --------------------------------------------------------------------------------------------------


def funds(amount: str) -> Behaviour:
    """An account whose AvailableFunds do not move, as a cash account's do not on the day of a sale."""

    def change(message: Message) -> Iterable[Message]:
        stuck = (
            message[0] == VALUE and message[3] == ACCOUNT and message[5] in ("AvailableFunds", "EquityWithLoanValue")
        )
        return [(*message[:6], amount, message[7]) if stuck else message]

    return Rewrites(change)


def test_a_cash_account_sells_and_waits_for_its_proceeds_and_the_preview_says_so(benches: MakeBench) -> None:
    accounts = {ACCOUNT: {"cash": 1_000, "positions": {"IWM": 450, "SPY": 450}}, OTHER: {"cash": 1}}
    with benches(funds("1000.00"), accounts=accounts) as here:
        preview = here.attempt(here.request(Command.PRINT_REBALANCE), print_rebalance).result
        assert preview is not None
        buys = [order for order in preview["orders"] if order["action"] == "BUY"]
        assert buys
        assert all(order["quantity_today"] < order["quantity"] for order in buys)
        assert [rule["rule"] for rule in preview["rules"]] == ["settlement"]
        event = here.request()
        outcome = here.attempt(event)
        assert outcome.state is EventState.HELD
        assert "settle" in outcome.error
        assert {side for side, _, _ in sent(here)} == {"SELL"}
        here.prove_books()


def test_funds_that_lag_in_an_account_with_margin_are_waited_for(benches: MakeBench) -> None:
    accounts = {ACCOUNT: {"cash": 1_000, "margin": True, "positions": {"IWM": 450, "SPY": 450}}, OTHER: {"cash": 1}}
    behaviour = funds("1000.00")
    with benches(behaviour, accounts=accounts) as here:
        assert isinstance(behaviour, Rewrites)
        here.patience(books_timeout_s=0.5)
        here.settings["order_rounds"] = 1
        event = here.request()
        outcome = here.attempt(event)
        assert outcome.state is EventState.RETRYING
        assert "funds that the broker does not make available yet" in outcome.error
        assert "BUY" not in {side for side, _, _ in sent(here)}
        behaviour.change = lambda message: [message]
        assert here.attempt(event).state is EventState.SUCCEEDED
        assert here.positions["GLD"] > 170
        here.prove_books()


def test_a_list_of_positions_that_is_short_is_refused_with_both_numbers(benches: MakeBench) -> None:
    def without_spy(message: Message) -> Iterable[Message]:
        return [] if message[0] == 71 and message[3] == ACCOUNT and message[5] == "SPY" else [message]

    with benches(Rewrites(without_spy), accounts=holding()) as here:
        outcome = here.rebalance()
        assert "equity_disagrees" in outcome.error
        assert "90000" in outcome.error
        assert "50000" in outcome.error
        assert here.refs == []


@pytest.mark.parametrize(("hidden", "hold"), [("SPY", ("XLE",)), ("DBC", ())], ids=["beside a hold", "of little worth"])
def test_a_position_that_the_list_hides_is_not_bought_again(
    benches: MakeBench, hidden: str, hold: tuple[str, ...]
) -> None:
    """What the equity has beyond cash and positions could be the hold's; and 0.8 % of it passes for rounding."""
    weights = {"SPY": 0.5, "DBC": 0.008, "TLT": 0.49}
    with benches(accounts=holding(XLE=100)) as here, here.targets(weights):
        rules(here, hold=hold)
        assert here.rebalance().state is EventState.SUCCEEDED
        before, held = here.refs, here.positions
        here.fault(hidden_positions=[hidden])
        with here.ledger.begin() as session:  # the books of that run are no longer waited for
            session.execute(update(Order).values(final_at=Order.final_at - timedelta(hours=1)))
        outcome = here.rebalance()
        assert "positions_missing" in outcome.error
        assert f"{hidden}: {held[hidden]} shares became 0" in outcome.error
        assert here.refs == before
        here.fault()
        assert here.rebalance().state is EventState.SUCCEEDED
        assert here.positions == held


@pytest.mark.parametrize("apart", ["on hold", "listed in London"])
def test_a_position_that_the_first_list_hides_is_not_what_another_is_worth(benches: MakeBench, apart: str) -> None:
    """There is no record yet that could tell, and what stands beside it has no quote."""
    name = "XLE in London"
    london = {name: listing(388, "XLE", "LSEETF", hours=LONDON, price=30)}
    held = holding(**{"XLE" if apart == "on hold" else name: 100})
    with benches(instruments=instruments(**london), accounts=held) as here:
        rules(here, hold=("XLE",) if apart == "on hold" else ())
        here.fault(hidden_positions=["SPY"])
        outcome = here.rebalance()
        assert "equity_disagrees" in outcome.error
        assert here.refs == []
        here.fault()
        assert here.rebalance().state is EventState.SUCCEEDED
        here.prove_books()


def test_what_the_broker_lists_and_sets_no_value_on_is_asked_for_again(benches: MakeBench) -> None:
    def unmarked(message: Message) -> Iterable[Message]:
        return [] if message[0] == PORTFOLIO and message[3] == "XLE" else [message]

    behaviour = Rewrites(unmarked)
    with benches(behaviour, accounts=holding(XLE=100)) as here:
        rules(here, hold=("XLE",))
        event = here.request()
        outcome = here.attempt(event)
        assert "lists XLE and does not say what that is worth" in outcome.error
        assert here.refs == []
        behaviour.change = lambda message: [message]
        assert here.attempt(event).state is EventState.SUCCEEDED


def test_what_a_hand_sells_during_the_run_is_no_success(benches: MakeBench) -> None:
    """Every order has filled, and yet the account does not hold its targets."""
    with benches(accounts=holding(), fills={"by_symbol": {"GLD": {"mode": "delayed", "delay_ms": 300}}}) as here:
        hand = OpenOrder(symbol="SPY", side="SELL", quantity=Decimal(50), limit_price=Decimal(50), order_ref="hand")

        def sell(gateway: Gateway) -> None:
            gateway.exchange.enter(ACCOUNT, hand)

        when_orders_arrive(here, 5, sell)
        here.patience(books_timeout_s=0.2)
        outcome = here.rebalance()
        assert outcome.state is EventState.RETRYING
        assert "SPY is 174 instead of 224" in outcome.error


def test_half_a_split_stops_the_account_until_the_other_half_is_booked(benches: MakeBench) -> None:
    """The last close is adjusted at once, so that only what was recorded tells; the shares come hours later."""
    with benches(accounts=holding()) as here:
        here.settings["quote_max_from_close_percent"] = 1000
        here.patience(quote_max_age_s=0.0)
        assert here.rebalance().state is EventState.SUCCEEDED
        with here.ledger.begin() as session:  # the books of that run are no longer waited for
            hour = timedelta(hours=1)
            session.execute(update(Order).values(created_at=Order.created_at - hour, final_at=Order.final_at - hour))
            session.execute(update(SnapshotRow).values(at=SnapshotRow.at - hour))
        held = here.positions
        here.served.do(lambda gateway: gateway.exchange.split("SPY", Decimal(2), 1.5))
        before = here.refs
        outcome = here.rebalance()
        assert "split_suspected" in outcome.error
        assert here.refs == before
        until(lambda: here.positions["SPY"] == 2 * held["SPY"], 5)
        assert here.rebalance().state is EventState.SUCCEEDED
        assert abs(here.positions["SPY"] - 2 * held["SPY"]) <= 1, "shares of half the size round a little better"


def test_what_becomes_of_holdings_without_a_trade_is_named_once(benches: MakeBench) -> None:
    """A split that is booked whole, and shares that somebody has bought by hand, which are no target and sold."""
    with benches(accounts=holding()) as here:
        here.settings["quote_max_from_close_percent"] = 1000
        here.patience(quote_max_age_s=0.0)
        assert here.rebalance().state is EventState.SUCCEEDED
        with here.ledger.begin() as session:  # the books of that run are no longer waited for
            hour = timedelta(hours=1)
            session.execute(update(Order).values(created_at=Order.created_at - hour, final_at=Order.final_at - hour))
            session.execute(update(SnapshotRow).values(at=SnapshotRow.at - hour))
        held = here.positions["SPY"]
        here.served.do(lambda gateway: gateway.exchange.split("SPY", Decimal(2), 0))
        hand = OpenOrder(symbol="XLE", side="BUY", quantity=Decimal(3), limit_price=Decimal(500), order_ref="hand")
        here.served.do(lambda gateway: gateway.exchange.enter(ACCOUNT, hand))
        until(lambda: here.positions["SPY"] == 2 * held and here.positions.get("XLE") == 3, 5)
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome.error
        assert outcome.result is not None
        split = f"SPY: {held} shares became {2 * held} shares: a split of 2 for 1"
        assert split in outcome.result["notes"]
        first, second = outcome.result["corporate_actions"]
        assert (first, second[:28]) == (split, "XLE: 3 shares came that nobo")
        again = here.rebalance()
        assert again.result is not None
        assert "corporate_actions" not in again.result
        with here.ledger.begin() as session:
            told = session.scalars(select(NoticeRow).where(NoticeRow.kind == NoticeKind.CORPORATE_ACTION)).all()
        assert [one.detail["changes"][0] for one in told] == [split]
