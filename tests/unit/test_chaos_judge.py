"""The judge of a trial sees each broken promise, and nothing where all were kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Any
from uuid import UUID, uuid4

import pytest

from rebalancer.ledger.queries.invariants import OrderOnRecord
from sandbox.chaos.judge import AccountCase, Case, findings
from sandbox.fault_trials.hand_halts import HandHalt

NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
FIRST, SECOND = uuid4(), uuid4()
ACCOUNT = "DU1"
PRICES = {"SPY": Decimal(100), "GLD": Decimal(50)}


def order(ref: str, at_s: float, side: str, quantity: int, symbol: str = "SPY") -> dict[str, Any]:
    return {
        "order_ref": ref,
        "account": ACCOUNT,
        "side": side,
        "quantity": str(quantity),
        "symbol": symbol,
        "placed_at": (NOON + timedelta(seconds=at_s)).isoformat(),
    }


def fill(ref: str, at_s: float, side: str, quantity: int, symbol: str = "SPY") -> dict[str, Any]:
    return {
        **order(ref, at_s, side, quantity, symbol),
        "price": str(PRICES[symbol]),
        "commission": "1",
        "at": (NOON + timedelta(seconds=at_s)).isoformat(),
    }


def record(run: UUID, side: str, quantity: int, symbol: str = "SPY", filled: int | None = None) -> OrderOnRecord:
    done = Decimal(quantity if filled is None else filled)
    return OrderOnRecord(
        run=(run, 1),
        account_id=ACCOUNT,
        symbol=symbol,
        side=side,
        quantity=quantity,
        created_at=NOON,
        run_began_at=NOON,
        run_ended_at=NOON + timedelta(minutes=1),
        filled=done,
        notional=done * PRICES[symbol],
        commission=Decimal(bool(done)),
    )


def case(
    fills: list[dict[str, Any]],
    orders: Mapping[str, OrderOnRecord],
    *,
    positions: Mapping[str, int],
    cash: str,
    settled: str | None = None,
    margin: bool = True,
    reserve: int = 0,
) -> Case:
    """One account that began with cash only, and aims at 60 % SPY, then 40 % GLD."""
    worth = sum((count * PRICES[symbol] for symbol, count in positions.items()), Decimal(cash))
    account = {
        "cash": cash,
        "settled_cash": settled or cash,
        "net_liquidation": str(worth),
        "positions": {symbol: str(count) for symbol, count in positions.items()},
    }
    targets = [{"SPY": Decimal("0.6")}, {"GLD": Decimal("0.4")}]
    known = AccountCase(Decimal(10_000), {}, Decimal(reserve), targets, margin)
    books = {"accounts": {ACCOUNT: account}, "executions": fills, "orders": fills, "splits": []}
    return Case({ACCOUNT: known}, books, PRICES, orders)


SOUND = case(
    [fill("a", 1, "BUY", 60), fill("b", 2, "SELL", 60), fill("c", 3, "BUY", 80, "GLD")],
    {"a": record(FIRST, "BUY", 60), "b": record(SECOND, "SELL", 60), "c": record(SECOND, "BUY", 80, "GLD")},
    positions={"GLD": 80},
    cash="5997",
)


def with_books(**changed: Any) -> Case:
    return replace_case(books={**SOUND.books, **changed})


def replace_case(**changed: Any) -> Case:
    known = {one.name: getattr(SOUND, one.name) for one in fields(Case) if one.init}
    return Case(**{**known, **changed})


FILLS = SOUND.books["executions"]


HELD_ELSEWHERE = {
    **SOUND.books,
    "accounts": {ACCOUNT: {**SOUND.books["accounts"][ACCOUNT], "positions": {"GLD": "80", "GLD LSE": "1"}}},
}


def split(symbol: str, ratio: int, *at_s: float) -> dict[str, Any]:
    """``at_s``: when its price changes, when holdings follow, when the last close does."""
    moments = [(NOON + timedelta(seconds=one)).isoformat() for one in at_s]
    return {
        "symbol": symbol,
        "ratio": str(ratio),
        **dict(zip(("announced_at", "booked_at", "close_at"), moments, strict=True)),
    }


def bought_beside_a_split(*at_s: float, began_s: float = 0, **targets: str) -> Case:
    """Of 10,000 USD and 20 SPY at 100, which become 40 at 50, all but 1,049 USD is spent on GLD in the fourth second.
    The reserve is a tenth: 1,200 USD, or 1,000 without SPY.
    """
    fills = [fill("c", 4, "BUY", 179, "GLD")]
    intent = replace(
        record(FIRST, "BUY", 179, "GLD"),
        created_at=NOON + timedelta(seconds=3),
        run_began_at=NOON + timedelta(seconds=began_s),
    )
    made = case(fills, {"c": intent}, positions={"GLD": 179, "SPY": 20}, cash="1049", reserve=10)
    wanted = [{symbol: Decimal(weight) for symbol, weight in targets.items()}]
    start = replace(made.accounts[ACCOUNT], positions={"SPY": Decimal(20)}, targets=wanted)
    known = {one.name: getattr(made, one.name) for one in fields(Case) if one.init}
    books = {**made.books, "splits": [split("SPY", 2, *at_s)]}
    return Case(**{**known, "accounts": {ACCOUNT: start}, "books": books, "prices": {**PRICES, "SPY": Decimal(50)}})


def reserves_missed(judged: Case) -> list[str]:
    return [finding for finding in findings(judged) if "its reserve" in finding]


@pytest.mark.parametrize("at_s", [(1, 2, 2.5), (1, 5, 6), (2.9, 3.5, 9)])
def test_what_a_run_cannot_quote_amid_a_split_binds_no_reserve(at_s: tuple[float, ...]) -> None:
    assert reserves_missed(bought_beside_a_split(*at_s, began_s=2, GLD="0.8")) == []


@pytest.mark.parametrize(
    ("at_s", "began_s", "targets"),
    [
        ((3.1, 3.2, 3.3), 2, {"GLD": "0.8"}),
        ((1, 1.2, 1.5), 2, {"GLD": "0.8"}),
        ((1, 2, 2.5), 2, {"GLD": "0.7", "SPY": "0.1"}),
    ],
    ids=["intended before it", "begun after it", "a target is never left alone"],
)
def test_otherwise_a_split_changes_nothing_of_the_reserve(
    at_s: tuple[float, ...], began_s: float, targets: dict[str, str]
) -> None:
    [finding] = reserves_missed(bought_beside_a_split(*at_s, began_s=began_s, **targets))
    assert finding.endswith("where 1199.90 are its reserve")


def split_at(at_s: float, first: list[dict[str, Any]], **changed: Any) -> Case:
    """Some fills, then 60 SPY become 120 at half the price, and are sold."""
    sold = {**fill("b", 2, "SELL", 120), "price": "50"}
    books = {
        **SOUND.books,
        "splits": [split("SPY", 2, at_s, at_s, at_s)],
        "executions": [*first, sold, FILLS[2]],
        "orders": [],
    }
    on_record = {**SOUND.orders, "b": replace(SOUND.orders["b"], filled=Decimal(120))}
    orders = {one["order_ref"]: on_record[one["order_ref"]] for one in books["executions"]}
    return replace_case(books=books, orders=orders, prices={**PRICES, "SPY": Decimal(50)}, **changed)


def test_what_is_sold_after_a_split_is_what_was_held_by_then() -> None:
    assert findings(split_at(1.5, FILLS[:1])) == []
    [finding] = findings(split_at(2.5, FILLS[:1]))
    assert finding.startswith("DU1 was short -60 SPY")


def test_what_was_bought_after_a_split_and_before_it_was_booked_is_not_more_then() -> None:
    bought = split_at(2.5, FILLS[:1])
    [late] = bought.books["splits"]
    early = {**late, "announced_at": split("SPY", 2, 0, 0, 0)["announced_at"], "booked_at": FILLS[1]["at"]}
    known = {one.name: getattr(bought, one.name) for one in fields(Case) if one.init}
    found = findings(Case(**{**known, "books": {**bought.books, "splits": [early]}}))
    assert any("was short -60 SPY" in one for one in found), found


def test_what_was_held_before_a_split_was_worth_what_it_is_worth_after_it() -> None:
    start = AccountCase(Decimal(4_000), {"SPY": Decimal(60)}, Decimal(0), [{"GLD": Decimal("0.4")}], True)
    assert findings(split_at(1, [], accounts={ACCOUNT: start})) == []


def test_where_all_promises_are_kept_nothing_is_found() -> None:
    assert findings(SOUND) == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (replace_case(orders={name: SOUND.orders[name] for name in ("a", "b")}), "no intent on record"),
        (replace_case(orders={**SOUND.orders, "c": replace(SOUND.orders["c"], quantity=8)}), "not the order of its"),
        (
            replace_case(
                orders={**SOUND.orders, "a": replace(SOUND.orders["a"], created_at=NOON + timedelta(hours=1))}
            ),
            "before its intent",
        ),
        (with_books(orders=[*FILLS, FILLS[0]]), "sent 2 times"),
        (with_books(orders=[*FILLS, order("", 4, "BUY", 1)]), "1 orders have no ref, people entered 0"),
        (with_books(executions=[*FILLS, fill("", 4, "BUY", 1)]), "1 shares were traded by an order without a ref"),
        (
            replace_case(orders={**SOUND.orders, "c": replace(SOUND.orders["c"], run_ended_at=NOON)}),
            "sent at 2026-03-02T17:00:03+00:00, after its run had ended",
        ),
        (
            replace_case(
                orders={
                    **SOUND.orders,
                    "c": replace(
                        SOUND.orders["c"],
                        created_at=NOON + timedelta(seconds=2),
                        run_ended_at=NOON + timedelta(seconds=1),
                    ),
                },
                holds_back=True,
            ),
            "was intended at 2026-03-02 17:00:02+00:00, after its run had ended",
        ),
        (replace_case(halts=[HandHalt(ACCOUNT, NOON + timedelta(seconds=1.5))]), "and 2 orders were sent until"),
        (
            case(
                [fill("c", 1, "BUY", 195, "GLD")],
                {"c": record(FIRST, "BUY", 195, "GLD")},
                positions={"GLD": 195},
                cash="249",
                reserve=10,
            ),
            "had 249.00 USD at 2026-03-02T17:00:01+00:00, where 999.90 are its reserve",
        ),
        (
            replace_case(
                prices={**PRICES, "GLD LSE": Decimal(10)}, elsewhere=frozenset({"GLD LSE"}), books=HELD_ELSEWHERE
            ),
            "ended with 1 GLD LSE, which nobody asked to trade",
        ),
        (
            replace_case(accounts={ACCOUNT: replace(SOUND.accounts[ACCOUNT], kept={"SPY": Decimal(5)})}),
            "had 0 SPY at 2026-03-02T17:00:02+00:00, of which 5 are its owner's",
        ),
        (replace_case(orders={**SOUND.orders, "a": record(FIRST, "BUY", 60, filled=59)}), "59 shares on record, 60"),
        (
            replace_case(orders={**SOUND.orders, "a": replace(SOUND.orders["a"], notional=Decimal(5999))}),
            "5999 USD on record, 6000",
        ),
        (
            replace_case(orders={**SOUND.orders, "a": replace(SOUND.orders["a"], commission=Decimal(0))}),
            "0 commission on record, 1",
        ),
        (
            replace_case(
                orders={**SOUND.orders, "a": record(SECOND, "BUY", 60), "b": record(FIRST, "SELL", 60)},
            ),
            "then another run, then it again",
        ),
        (
            case(
                [fill("a", 1, "SELL", 10), fill("b", 2, "BUY", 10), fill("c", 3, "BUY", 80, "GLD")],
                {"a": record(FIRST, "SELL", 10), "b": record(FIRST, "BUY", 10), "c": record(FIRST, "BUY", 80, "GLD")},
                positions={"GLD": 80},
                cash="5997",
            ),
            "was short -10 SPY",
        ),
        (
            case(
                [fill("a", 1, "BUY", 60), fill("c", 2, "BUY", 90, "GLD"), fill("b", 3, "SELL", 60)],
                {"a": record(FIRST, "BUY", 60), "b": record(FIRST, "SELL", 60), "c": record(FIRST, "BUY", 90, "GLD")},
                positions={"GLD": 90},
                cash="5497",
            ),
            "had borrowed 502.00 USD",
        ),
        (
            case(
                [fill("a", 1, "BUY", 60), fill("b", 2, "SELL", 60), fill("c", 3, "BUY", 90, "GLD")],
                {"a": record(FIRST, "BUY", 60), "b": record(FIRST, "SELL", 60), "c": record(FIRST, "BUY", 90, "GLD")},
                positions={"GLD": 90},
                cash="5497",
                settled="0",
                margin=False,
            ),
            "of unsettled proceeds",
        ),
        (
            case([fill("a", 1, "BUY", 60)], {"a": record(FIRST, "BUY", 60)}, positions={"SPY": 60}, cash="3999"),
            "above its targets: GLD -4000, SPY +6000",
        ),
        (case([], {}, positions={}, cash="10000"), "ended 4000.00 USD below its targets"),
        (
            case(
                [
                    fill(name, at, side, 60)
                    for at, (name, side) in enumerate(zip("pqrs", ("BUY", "SELL") * 2, strict=True))
                ]
                + FILLS,
                {
                    **{name: record(FIRST, side, 60) for name, side in zip("pqrs", ("BUY", "SELL") * 2, strict=True)},
                    **SOUND.orders,
                },
                positions={"GLD": 80},
                cash="5993",
            ),
            "traded 40000 USD where its targets justify",
        ),
    ],
)
def test_each_broken_promise_is_seen(broken: Case, said: str) -> None:
    assert any(said in finding for finding in findings(broken)), findings(broken)


def test_what_its_owner_keeps_is_no_part_of_what_is_judged() -> None:
    """Five SPY beside the rest, before and after: the targets are of what is left without them."""
    books, known = SOUND.books["accounts"][ACCOUNT], SOUND.accounts[ACCOUNT]
    worth = str(Decimal(books["net_liquidation"]) + 5 * PRICES["SPY"])
    account = {**books, "net_liquidation": worth, "positions": {**books["positions"], "SPY": "5"}}
    keeps = replace(known, kept={"SPY": Decimal(5)}, positions={"SPY": Decimal(5)})
    assert (
        findings(replace_case(accounts={ACCOUNT: keeps}, books={**SOUND.books, "accounts": {ACCOUNT: account}})) == []
    )


def test_of_a_reserve_in_a_fund_a_tenth_is_cash() -> None:
    bought = case(
        [fill("c", 1, "BUY", 180, "GLD")],
        {"c": record(FIRST, "BUY", 180, "GLD")},
        positions={"GLD": 180},
        cash="999",
        reserve=50,
    )
    assert any("its reserve" in finding for finding in findings(bought))
    of_fund = replace(bought.accounts[ACCOUNT], reserve_in_cash=Decimal("0.1"))
    assert not any("its reserve" in finding for finding in findings(replace(bought, accounts={ACCOUNT: of_fund})))


@pytest.mark.parametrize(
    "excused",
    [
        with_books(orders=[*FILLS, order("", 4, "BUY", 1)]),
        replace_case(halts=[HandHalt(ACCOUNT, NOON + timedelta(seconds=2.5))]),
        replace_case(halts=[HandHalt(ACCOUNT, NOON, NOON + timedelta(seconds=1.5))]),
        replace_case(halts=[HandHalt("DU2", NOON)]),
    ],
)
def test_what_people_do_and_one_order_on_its_way_are_no_finding(excused: Case) -> None:
    by_hand = sum(not one["order_ref"] for one in excused.books["orders"])
    assert findings(replace(excused, by_hand=by_hand)) == []


def test_what_unsettled_proceeds_cannot_buy_yet_is_no_finding() -> None:
    waits = case(
        [fill("a", 1, "BUY", 60), fill("b", 2, "SELL", 60)],
        {"a": record(FIRST, "BUY", 60), "b": record(SECOND, "SELL", 60)},
        positions={},
        cash="9998",
        settled="3999",
        margin=False,
    )
    assert findings(waits) == []


EUROS_SOLD = {
    **order("fx", 1, "SELL", 5_000, "EUR.USD"),
    "price": "1.25",
    "commission": "1.6",
    "at": (NOON + timedelta(seconds=1)).isoformat(),
}


def in_euros(sold: dict[str, Any], euros: str = "8000", *, back: bool = False, cash: str = "3750") -> Case:
    """The account of :data:`SOUND`, of whose cash 6,250 USD were 5,000 EUR."""
    targets = SOUND.accounts[ACCOUNT].targets
    start = AccountCase(Decimal(cash), {}, Decimal(0), targets, True, euros=Decimal(euros), gives_back=back)
    quantity, price = Decimal(sold["quantity"]), Decimal(sold["price"])
    known = OrderOnRecord(
        **{
            **{one.name: getattr(SOUND.orders["a"], one.name) for one in fields(OrderOnRecord)},
            "symbol": "EUR.USD",
            "side": sold["side"],
            "quantity": int(quantity),
            "filled": quantity,
            "notional": quantity * price,
            "commission": Decimal(sold["commission"]),
        }
    )
    first = {**FILLS[0], "at": (NOON + timedelta(seconds=1.5)).isoformat()}
    executions = sorted([sold, first, *FILLS[1:]], key=itemgetter("at"))
    return replace_case(
        accounts={ACCOUNT: start},
        prices={**PRICES, "EUR.USD": Decimal("1.25")},
        books={**SOUND.books, "executions": executions, "orders": [sold, *FILLS]},
        orders={**SOUND.orders, "fx": known},
    )


def test_euros_that_are_sold_for_what_is_bought_are_sound() -> None:
    assert findings(in_euros(EUROS_SOLD)) == []


@pytest.mark.parametrize(
    ("case", "finding"),
    [
        (in_euros(EUROS_SOLD, "5000"), "had sold 1.60 EUR more than it had"),
        (
            in_euros({**EUROS_SOLD, "quantity": "9000"}, "20000"),
            "bought 11250 USD with its euros, and stocks for 10000",
        ),
        (in_euros({**EUROS_SOLD, "side": "BUY"}), "bought 5000 EUR, which nobody asked for"),
        (in_euros({**EUROS_SOLD, "quantity": "500"}), "had borrowed 1626.00 USD"),
    ],
)
def test_a_conversion_that_nobody_needs_is_found(case: Case, finding: str) -> None:
    assert any(finding in found for found in findings(case)), findings(case)


@pytest.mark.parametrize(("attempts", "sound"), [(2, True), (1, False)], ids=["broken off", "ended well"])
def test_dollars_of_a_run_that_was_broken_off_may_stay_and_go_back(attempts: int, sound: bool) -> None:
    """Its event was tried again, when other targets needed less."""
    converted = in_euros({**EUROS_SOLD, "quantity": "9000"}, "20000")
    known = {one.name: getattr(converted, one.name) for one in fields(Case) if one.init}
    event_id, _ = converted.orders["fx"].run
    later = {
        ref: replace(one, run=(event_id, attempts)) for ref, one in converted.orders.items() if ref not in ("fx", "a")
    }
    found = findings(Case(**{**known, "orders": {**converted.orders, **later}}))
    assert any("bought 11250 USD with its euros" in one for one in found) is not sound, found


EUROS_BOUGHT = {**EUROS_SOLD, "side": "BUY", "quantity": "4000", "at": (NOON + timedelta(seconds=4)).isoformat()}


def with_cash(case: Case, cash: str) -> Case:
    """The same with so much in the end, and all else as it was."""
    account = {**case.books["accounts"][ACCOUNT], "cash": cash, "settled_cash": cash}
    known = {one.name: getattr(case, one.name) for one in fields(Case) if one.init}
    return Case(**{**known, "books": {**case.books, "accounts": {ACCOUNT: account}}})


def test_euros_that_are_bought_with_idle_dollars_are_sound() -> None:
    sound = with_cash(in_euros(EUROS_BOUGHT, back=True, cash="10000"), "150")
    assert findings(sound) == []


@pytest.mark.parametrize(
    ("case", "finding"),
    [
        (in_euros({**EUROS_BOUGHT, "quantity": "4780"}, back=True, cash="10000"), "after dollars had gone back"),
        (in_euros({**EUROS_BOUGHT, "quantity": "40000"}, back=True, cash="10000"), "bought euros for 50000 USD"),
        (in_euros(EUROS_BOUGHT, back=True, cash="10000"), "which nothing needs and did not go back"),
    ],
)
def test_a_way_back_that_is_too_long_or_too_short_is_found(case: Case, finding: str) -> None:
    assert any(finding in found for found in findings(case)), findings(case)


def test_forth_and_back_in_one_run_is_found() -> None:
    case = with_cash(in_euros(EUROS_SOLD, back=True, cash="10000"), "150")
    both = {**EUROS_BOUGHT, "order_ref": "fx", "quantity": "5000"}
    known = {one.name: getattr(case, one.name) for one in fields(Case) if one.init}
    executions = [*case.books["executions"], both]
    twice = Case(**{**known, "books": {**case.books, "executions": executions}})
    assert any("forth and back in one run" in found for found in findings(twice)), findings(twice)


@pytest.mark.parametrize(("raised", "found"), [("5000", False), ("6500", True)])
def test_cash_by_a_day_that_is_not_there_is_found(raised: str, found: bool) -> None:
    wanted = replace(SOUND.accounts[ACCOUNT], raised=Decimal(raised))
    told = findings(replace_case(accounts={ACCOUNT: wanted}))
    assert any("where its owner wants" in one for one in told) is found, told
