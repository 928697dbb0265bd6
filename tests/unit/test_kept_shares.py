"""Shares that are kept apart: what may be written, what is refused, and what of the account is left to trade."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.config.accounts_file import load_accounts
from rebalancer.domain.account_history import Seen
from rebalancer.domain.accounts import AccountRules
from rebalancer.domain.errors import ConfigurationError, QuoteUnavailable, Refused
from rebalancer.domain.portfolio import Position
from rebalancer.domain.rule_names import Rule
from rebalancer.planning.weights import held_weights
from rebalancer.risk.exclusions import set_apart
from rebalancer.risk.kept_shares import check_kept
from tests.unit.test_planning import account, quotes, targets

CASH = Decimal(1000)
KEPT = {"A": Decimal(100)}
Written = Callable[[str], AccountRules]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def read(hold: str) -> AccountRules:
        path = tmp_path / "accounts.yaml"
        path.write_text(f"accounts: [{{account_id: DU1, type: paper, strategy_name: a, hold: {hold}}}]")
        return load_accounts(path, {}).get("DU1").rules

    return read


@pytest.mark.parametrize(
    ("hold", "symbols", "shares"),
    [
        ("[SPY, BRK.B]", ("SPY", "BRK B"), {}),
        ("{SPY: 100, BRK.B: 2.5}", (), {"SPY": Decimal(100), "BRK B": Decimal("2.5")}),
        ("{SPY: 100, GLD: all}", ("GLD",), {"SPY": Decimal(100)}),
        ("[]", (), {}),
    ],
)
def test_whole_symbols_are_a_list_and_shares_a_mapping(
    written: Written, hold: str, symbols: tuple[str, ...], shares: Mapping[str, Decimal]
) -> None:
    rules = written(hold)
    assert (rules.hold, rules.kept) == (symbols, shares)


@pytest.mark.parametrize(
    ("hold", "problem"),
    [
        ("SPY", "has to be a list of ticker symbols in capitals, or a mapping of them to shares"),
        ("{spy: 100}", "has 'spy': use a list of ticker symbols in capitals"),
        ("{SPY: 0}", "has 0 for SPY: use a number of shares, or all"),
        ("{SPY: -1}", "has -1 for SPY"),
        ("{SPY: some}", "has some for SPY"),
        ("{SPY: }", "has None for SPY"),
        ("{SPY: 2000000000}", "has 2000000000 for SPY"),
        ("{BRK.B: 1, BRK-B: 2}", "has a symbol twice: keep one"),
    ],
)
def test_anything_else_is_refused(written: Written, hold: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        written(hold)
    (found,) = refused.value.problems
    assert problem in found


def judged(shares: str, price: str, recorded: str | None = "100") -> None:
    kept = {} if recorded is None else {"A": Decimal(recorded)}
    seen = Seen({"A": (Decimal(150), Decimal(200))}, CASH, kept=kept)
    check_kept(KEPT, seen, account({"A": shares}, str(CASH), "100000"), quotes(A=price))


@pytest.mark.parametrize(
    ("shares", "price", "instead"),
    [("300", "100", "200"), ("300", "130", "200"), ("450", "70", "300"), ("225", "133", "150"), ("75", "400", "50")],
)
def test_a_split_of_kept_shares_is_refused_with_the_number_that_would_be_as_many(
    shares: str, price: str, instead: str
) -> None:
    with pytest.raises(Refused, match="looks like a split") as refused:
        judged(shares, price)
    assert refused.value.rule is Rule.SPLIT_SUSPECTED
    assert f"100 are kept, {instead} would be as many" in refused.value.numbers["A"]


@pytest.mark.parametrize(
    ("shares", "price", "recorded"),
    [
        ("150", "200", "100"),
        ("150", "100", "100"),  # a market that falls
        ("300", "200", "100"),  # bought by hand
        ("300", "180", "100"),
        ("100", "190", "100"),  # a third sold by hand
        ("170", "100", "100"),
        ("300", "100", "50"),  # the number is newer than the record
        ("300", "100", None),
    ],
)
def test_everything_else_passes(shares: str, price: str, recorded: str | None) -> None:
    judged(shares, price, recorded)


@pytest.mark.parametrize("held", [{}, {"A": "99.99"}, {"A": "-100"}, {"B": "100"}])
def test_fewer_shares_than_are_kept_are_refused(held: dict[str, str]) -> None:
    with pytest.raises(Refused, match="hold keeps apart: A ") as refused:
        check_kept(KEPT, None, account(held, "1000", "100000"), quotes(A="200"))
    assert refused.value.rule is Rule.KEPT_SHARES_MISSING


def test_two_contracts_under_one_symbol_are_refused() -> None:
    twice = replace(account({}, "0", "40000"), positions=(Position("A", Decimal(100)), Position("A", Decimal(100))))
    with pytest.raises(Refused, match="positions_ambiguous"):
        check_kept(KEPT, None, twice, quotes(A="200"))


def test_the_rest_is_counted_and_traded_and_the_note_says_so() -> None:
    left = set_apart(
        account({"A": "150", "B": "10"}, "1000", "32000"), targets(A="1"), quotes(A="200", B="100"), (), kept=KEPT
    )
    assert {one.symbol: one.quantity for one in left.snapshot.positions} == {"A": 50, "B": 10}
    assert left.snapshot.net_liquidation == 1000 + 50 * 200 + 10 * 100
    assert left.kept == KEPT
    assert left.weights == tuple(targets(A="1"))
    assert left.notes == (
        "A: 100 of 150 shares are kept apart, neither counted nor traded",
        "the equity of this plan is USD cash and US stocks that may be traded only, 12000.00 USD",
    )


def test_a_symbol_that_is_left_alone_is_left_alone_whole() -> None:
    left = set_apart(account({"A": "150"}, "1000", "31000"), targets(B="1"), {}, (), {"A": "no quote"}, kept=KEPT)
    assert (left.snapshot.positions, left.kept) == ((), {})


def test_the_value_of_kept_shares_has_to_be_known() -> None:
    with pytest.raises(QuoteUnavailable):
        set_apart(account({"A": "150"}, "1000", "31000"), targets(A="1"), {}, (), kept=KEPT)


def test_the_weight_that_is_shown_is_that_of_the_rest() -> None:
    record = {"lines": [{"symbol": "A"}], "investable": "12500", "kept": {"A": "100"}}
    positions = [{"symbol": "A", "quantity": "150", "price": "200"}]
    assert held_weights(record, positions) == {"A": Decimal("0.8")}


def test_the_fund_of_the_reserve_cannot_be_on_hold(tmp_path: Path) -> None:
    path = tmp_path / "accounts.yaml"
    entry = "accounts: [{account_id: DU1, type: paper, strategy_name: a, reserve_symbol: SGOV"
    path.write_text(f"{entry}, hold: {{SGOV: 5}}}}]")
    with pytest.raises(ConfigurationError, match="hold has SGOV, which is the reserve_symbol: keep one"):
        load_accounts(path, {})
    path.write_text(f"{entry}}}]")
    assert load_accounts(path, {}).get("DU1").rules.reserve_symbol == "SGOV"


def test_what_was_not_on_record_or_has_no_quote_cannot_have_been_split() -> None:
    held = account({"A": "300"}, "1000", "100000")
    known = {"A": (Decimal(150), Decimal(200))}
    check_kept(KEPT, Seen({}, CASH, kept=KEPT), held, quotes(A="100"))
    check_kept(KEPT, Seen(known, CASH, kept=KEPT), held, {})
    option = replace(held, positions=(*held.positions, Position("A", Decimal(300), security_type="OPT")))
    check_kept({}, Seen(known, CASH, kept=KEPT), option, quotes(A="100"))
