"""The broker's codes: each has a meaning and at least one action, and unknown ones are never taken for an end."""

from __future__ import annotations

import pytest

from rebalancer.ibkr.codes import _ROWS, CODES, Action, announces_loss, classify


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_known_code_says_what_it_means_and_asks_for(code: int) -> None:
    known = classify(code)
    assert known.known
    assert known.meaning
    assert known.actions
    assert known.source in set("SDIP")


def test_no_code_stands_twice() -> None:
    codes = [code for row in _ROWS for code in row[0]]
    assert len(codes) == len(set(codes)) == len(CODES)


@pytest.mark.parametrize("code", [10349, 399, 2109, 10090, 10167, 2104, 300])
def test_remarks_are_harmless(code: int) -> None:
    assert classify(code).harmless


@pytest.mark.parametrize("code", [103, 110, 200, 201, 202, 203, 321, 383, 434, 435, 10243, 10311])
def test_refusals_are_permanent_for_their_order(code: int) -> None:
    assert classify(code).permanent


@pytest.mark.parametrize("code", [100, 104, 135, 136, 161, 10147, 10148, 1101, 1102])
def test_codes_that_prove_nothing_ask_for_reconciliation(code: int) -> None:
    assert classify(code).reconcile
    assert not classify(code).permanent


@pytest.mark.parametrize("code", [135, 136, 161, 10147, 10148, 10149])
def test_what_may_be_the_answer_to_a_cancel_says_nothing_certain_of_the_order(code: int) -> None:
    assert classify(code).reconcile


def test_unknown_warning_is_harmless() -> None:
    assert classify(2177).harmless
    assert not classify(2177).known


@pytest.mark.parametrize("code", [-1, 5, 10318, 99999])
def test_unknown_code_is_reconciled_and_shown_never_final(code: int) -> None:
    assert classify(code).actions == {Action.RECONCILE, Action.ALERT}
    assert not classify(code).permanent


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (2148, "whatever it says"),
        (2137, "The closing order quantity is greater than your current position"),
        (2188, "Positions may be LIQUIDATED without further notice"),
        (2176, "You have a margin call"),
        (77777, "margin deficiency"),
    ],
)
def test_codes_that_announce_a_loss_by_number_or_text(code: int, text: str) -> None:
    assert announces_loss(code, text)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (2150, "Invalid position trade derived value"),
        (2104, "Market data farm connection is OK"),
        (201, "Order rejected - reason: margin call would follow, positions may be liquidated"),
        (399, "Order Message: will not be placed"),
    ],
)
def test_other_codes_announce_none(code: int, text: str) -> None:
    assert not announces_loss(code, text)
