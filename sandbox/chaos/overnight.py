"""A split as exchanges make them: before the open, when long since nobody has traded the stock. Decided by the books of
the broker and the runs that the ledger says are under way; everything else goes on.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rebalancer.ledger.queries import invariants
from rebalancer.usecases.snapshots import LAG
from sandbox.chaos.cast import KEPT, POOL
from sandbox.chaos.people import if_possible
from sandbox.fault_trials.stage import Stage

NIGHT_S = 6.0
"""Its moment is awaited so long."""
POLL_S = 0.1
LATEST_BOOKED_S = 5.0
"""Holdings may follow hours after the open, and runs do not wait for them."""
Books = Sequence[Mapping[str, Any]]
"""Of each login."""


def split(stage: Stage, chance: random.Random) -> None:
    """Of a stock that somebody holds, or may want; once in a trial: where its moment does not come, it is not. Not of
    shares that their owner keeps: how many he means afterwards is his to say, and until then his account waits.
    """
    kept = {symbol for shares in KEPT.values() for symbol in shares}
    symbols = chance.sample([one for one in POOL if one not in kept], len(POOL) - len(kept))
    how = {
        "ratio": str(chance.choice((2, 3))),
        "booked_after_s": round(chance.uniform(0, LATEST_BOOKED_S), 1),
        "close_follows": True,
    }
    stage.wait_until(lambda: _has_split(stage, symbols, how), NIGHT_S, poll_s=POLL_S)


def _has_split(stage: Stage, symbols: Sequence[str], how: Mapping[str, Any]) -> bool:
    """Whether one has been split, now or before: of the symbols the first that rests."""
    if any(stage.is_stopped(server) for server in ("gateway", "postgres")):
        return False
    if any(one["splits"] for one in stage.books()):  # waits for a gateway that is down, while nobody waits for us
        return True
    with if_possible(), stage.ledger.begin() as session:
        busy = invariants.running_alone(session)
        books = stage.books()
        resting = [symbol for symbol in symbols if _rests(stage, books, symbol, busy)]
        if resting:
            held = [symbol for symbol in resting if _holders(books, symbol)]
            stage.ask_gateway("POST", "/splits", {"symbol": (held or resting)[0], **how})
            return True
    return False


def _rests(stage: Stage, books: Books, symbol: str, busy: frozenset[str]) -> bool:
    """No run of whoever holds or follows it is under way, no order is at work, and none has been for so long that every
    trade is on the books.
    """
    at_work = [order for one in books for order in one["orders"] if order["ended_at"] is None] + [
        order for one in books for order in one["windows"]
    ]
    traded = [trade for one in books for trade in one["executions"] if _age_s(trade) < LAG.total_seconds()]
    moved = {one["symbol"] for one in (*at_work, *traded)}
    return symbol not in moved and not busy & (_holders(books, symbol) | stage.followers(symbol))


def _holders(books: Books, symbol: str) -> set[str]:
    return {account for one in books for account, told in one["accounts"].items() if symbol in told["positions"]}


def _age_s(trade: Mapping[str, Any]) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(trade["at"])).total_seconds()
