"""Which wishes a run leaves: every one is served in the end, none by a run that knew nothing of it."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.rebalance_kinds import RebalanceKind, RebalanceMode, unserved

wishes = st.one_of(
    st.sampled_from([RebalanceKind(), RebalanceKind(RebalanceMode.BUY_ONLY)]),
    st.integers(1, 4).map(lambda amount: RebalanceKind(RebalanceMode.RAISE_CASH, Decimal(amount))),
)


def newest(asked: list[RebalanceKind]) -> dict[RebalanceKind, int]:
    return {wish: number for number, wish in enumerate(asked, start=1)}


@given(st.lists(wishes, min_size=1, max_size=8), st.booleans())
def test_runs_come_to_an_end_and_leave_nothing(asked: list[RebalanceKind], live: bool) -> None:
    done: dict[RebalanceKind, int] = {}
    runs: list[RebalanceKind] = []
    while left := unserved(newest(asked), done, live=live):
        assert left[0] not in runs, "a run that changes nothing"
        runs.append(left[0])
        done[left[0]] = len(asked)
    kinds = {wish.mode for wish in asked}
    assert RebalanceMode.FULL not in kinds or runs[0] == RebalanceKind()
    sums = {wish.amount for wish in asked if wish.mode is RebalanceMode.RAISE_CASH}
    raised = [wish.amount for wish in runs if wish.mode is RebalanceMode.RAISE_CASH]
    assert raised == ([max(sums)] if live and sums else sorted(sums, reverse=True))
    assert live or set(runs) == set(asked)


@given(st.lists(wishes, min_size=1, max_size=8), st.integers(0, 8), wishes)
def test_no_run_serves_what_was_asked_for_after_it_began(
    asked: list[RebalanceKind], known: int, ran: RebalanceKind
) -> None:
    left = unserved(newest(asked), {ran: known}, live=True)
    assert {wish for wish, number in newest(asked).items() if number > known} <= set(left)


def test_no_kind_serves_what_asks_for_more() -> None:
    one, more = (
        RebalanceKind(RebalanceMode.RAISE_CASH, Decimal(100)),
        RebalanceKind(RebalanceMode.RAISE_CASH, Decimal(101)),
    )
    for ran, wish in (
        (one, more),
        (more, RebalanceKind()),
        (RebalanceKind(), one),
        (RebalanceKind(RebalanceMode.BUY_ONLY), RebalanceKind()),
        (RebalanceKind(), RebalanceKind(RebalanceMode.BUY_ONLY)),
    ):
        assert unserved({wish: 1}, {ran: 1}, live=True) == [wish]
