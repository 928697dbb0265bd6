"""``strategies:`` of an account, in place of ``strategy_name``: several of them, each with its part of the account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic.config import JsonDict

from rebalancer.domain.accounts import Member, is_strategy_name
from rebalancer.domain.money import HUNDRED, ZERO
from rebalancer.domain.units import Percent, ratio

STRATEGIES: JsonDict = {"allowed": "a list of mappings with name and weight, more than 0 to 100 percent"}
KEYS = frozenset({"name", "weight"})


def read_members(value: object) -> tuple[Member, ...]:
    """The list as members.

    Raises:
        ValueError: it is none, or names a strategy twice.
    """
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"has to be {STRATEGIES['allowed']}")
    members = tuple(_member(row) for row in value)
    names = [member.strategy for member in members]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"has {', '.join(twice)} twice: write each name once")
    return members


def check_sum(members: tuple[Member, ...], *, allow_cash_share: bool) -> None:
    """Refuse parts that are not all of the account, unless the rest is to be cash.

    Raises:
        ValueError: with the sum.
    """
    total = sum((member.share for member in members), ZERO) * HUNDRED
    if total == HUNDRED or (allow_cash_share and total < HUNDRED):
        return
    rest = "" if total > HUNDRED else ", or set allow_cash_share: true to keep the rest as cash"
    raise ValueError(f"has weights that sum to {total.normalize():f}: make it 100{rest}")


def _member(row: object) -> Member:
    if isinstance(row, Member):
        return row
    if not isinstance(row, dict) or row.keys() != KEYS:
        raise ValueError(f"has to be {STRATEGIES['allowed']}")
    return Member(_name(row["name"]), ratio(_weight(row["name"], row["weight"])))


def _name(name: Any) -> str:
    if not isinstance(name, str) or not is_strategy_name(name):
        raise ValueError(f"has the name {name!s:.40}: use a letter or digit, then text without spaces")
    return name


def _weight(name: Any, weight: Any) -> Percent:
    if not isinstance(weight, Decimal) or not ZERO < weight <= HUNDRED:
        raise ValueError(f"has the weight {weight!s:.40} for {name!s:.40}: use more than 0 to 100")
    return Percent(weight)
