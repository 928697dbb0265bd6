"""What is bounded keeps the newest."""

from __future__ import annotations

from rebalancer.ibkr.newest import Newest


def test_a_new_entry_takes_the_place_of_the_oldest() -> None:
    kept = Newest[int, str](2)
    for number in range(4):
        kept[number] = str(number)
    assert kept == {2: "2", 3: "3"}


def test_what_is_known_already_displaces_nothing() -> None:
    kept = Newest[int, str](2)
    for number, text in ((1, "a"), (2, "b"), (1, "c"), (1, "d")):
        kept[number] = text
    assert kept == {1: "d", 2: "b"}
