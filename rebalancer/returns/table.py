"""Return and gap as rows of a table for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rebalancer.returns.gap import Returns

HEAD = ["account_id", "begin", "end", "row", "usd", "rate", "money_weighted"]


def lines(found: Returns) -> Iterator[tuple[Any, ...]]:
    """The strategy, if it can be told, then each part of the gap, then the account: each the sum of those before."""
    span = (found.account_id, found.begin, found.end)
    if found.strategy is not None:
        one = found.strategy
        yield (*span, "strategy", one.final, one.time_weighted, one.money_weighted)
    for part in found.parts:
        yield (*span, str(part.part), part.usd, part.rate, None)
    account = found.account
    yield (*span, "account", account.final, account.time_weighted, account.money_weighted)
