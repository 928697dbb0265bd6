"""Which wishes a run leaves: every one is served in the end, none by a run that knew nothing of it."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.planning import Kind
from rebalancer.planning.request_kind import Wish, unserved

wishes = st.one_of(
    st.sampled_from([Wish(), Wish(Kind.BUY_ONLY)]),
    st.integers(1, 4).map(lambda amount: Wish(Kind.RAISE_CASH, Decimal(amount))),
)


def newest(asked: list[Wish]) -> dict[Wish, int]:
    return {wish: number for number, wish in enumerate(asked, start=1)}


@given(st.lists(wishes, min_size=1, max_size=8), st.booleans())
def test_runs_come_to_an_end_and_leave_nothing(asked: list[Wish], live: bool) -> None:
    done: dict[Wish, int] = {}
    runs: list[Wish] = []
    while left := unserved(newest(asked), done, live=live):
        assert left[0] not in runs, "a run that changes nothing"
        runs.append(left[0])
        done[left[0]] = len(asked)
    kinds = {wish.kind for wish in asked}
    assert Kind.FULL not in kinds or runs[0] == Wish()
    sums = {wish.amount for wish in asked if wish.kind is Kind.RAISE_CASH}
    raised = [wish.amount for wish in runs if wish.kind is Kind.RAISE_CASH]
    assert raised == ([max(sums)] if live and sums else sorted(sums, reverse=True))
    assert live or set(runs) == set(asked)


@given(st.lists(wishes, min_size=1, max_size=8), st.integers(0, 8), wishes)
def test_no_run_serves_what_was_asked_for_after_it_began(asked: list[Wish], known: int, ran: Wish) -> None:
    left = unserved(newest(asked), {ran: known}, live=True)
    assert {wish for wish, number in newest(asked).items() if number > known} <= set(left)


def test_no_kind_serves_what_asks_for_more() -> None:
    one, more = Wish(Kind.RAISE_CASH, Decimal(100)), Wish(Kind.RAISE_CASH, Decimal(101))
    for ran, wish in (
        (one, more),
        (more, Wish()),
        (Wish(), one),
        (Wish(Kind.BUY_ONLY), Wish()),
        (Wish(), Wish(Kind.BUY_ONLY)),
    ):
        assert unserved({wish: 1}, {ran: 1}, live=True) == [wish]
