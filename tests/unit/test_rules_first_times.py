"""What counts as new."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rebalancer.domain.account_history import LastTrade
from rebalancer.domain.accounts import FirstTime
from rebalancer.risk.first_times import Now, first_times

ALL = frozenset(FirstTime)
KNOWN = LastTrade("blend", "gateway:4001", "abc", 4, frozenset({"SPY", "GLD", "TLT", "QQQ", "IWM"}))


def now(strategy: str = "blend", gateway: str = "gateway:4001", login: str = "abc", **weights: str) -> Now:
    shares = weights or {"SPY": "0.4", "GLD": "0.3", "TLT": "0.2", "QQQ": "0.1"}
    return Now(strategy, gateway, login, {symbol: Decimal(weight) for symbol, weight in shares.items()})


def test_what_is_known_is_not_asked_about() -> None:
    assert first_times(KNOWN, now(), ALL) == ()
    assert first_times(KNOWN, now(IWM="0.6", SPY="0.4"), ALL) == (), "a rotation among what it has held"


@pytest.mark.parametrize(
    ("kind", "seen", "words"),
    [
        (FirstTime.STRATEGY, now("other"), "the strategy is other, it was blend"),
        (FirstTime.GATEWAY, now(gateway="there:4001"), "the gateway is there:4001"),
        (FirstTime.GATEWAY, now(login="xyz"), "other accounts"),
        (FirstTime.TARGETS, now(SPY="0.5", NEW="0.5"), "50.0 % of the targets are new to the account: NEW"),
        (FirstTime.TARGETS, now(SPY="1", GLD="0"), "there are 1 targets, there were 4"),
    ],
)
def test_each_is_told_by_name_and_can_be_left_out(kind: FirstTime, seen: Now, words: str) -> None:
    (told,) = first_times(KNOWN, seen, {kind})
    assert words in told
    assert first_times(KNOWN, seen, ALL - {kind}) == ()


def test_an_account_without_a_past_is_asked_about_once() -> None:
    assert first_times(None, now("x", "y", "z", NEW="1"), ALL) == ("the account has never traded before",)
    assert first_times(None, now(), ALL - {FirstTime.ACCOUNT}) == ()


def test_what_was_not_recorded_is_not_compared() -> None:
    past = LastTrade("blend", None, None, 4, KNOWN.symbols)
    assert first_times(past, now(gateway="there", login="other"), ALL) == ()


@pytest.mark.parametrize(
    ("before", "after", "asked"), [(2, 4, 0), (2, 5, 1), (1, 3, 0), (8, 4, 0), (8, 3, 1), (1, 4, 1)]
)
def test_a_jump_in_the_number_is_more_than_double_and_at_least_three(before: int, after: int, asked: int) -> None:
    names = [f"S{number}" for number in range(10)]
    past = LastTrade("blend", None, None, before, frozenset(names))
    weights = {name: str(Decimal(1) / after) for name in names[:after]}
    assert len(first_times(past, now(**weights), ALL)) == asked
