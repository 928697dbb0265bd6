"""A split as exchanges make them: overnight, when nobody trades the stock. When that is, the broker's books tell and
the runs that the ledger says are under way; everything else goes on.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
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
    """Whether one has been split, now or before: of those that rest the first that somebody holds, or the first."""
    if any(stage.is_stopped(server) for server in ("gateway", "postgres")):
        return False
    if any(one["splits"] for one in stage.books()):  # waits for a gateway that is down, while nobody waits for us
        return True
    with if_possible(), stage.ledger.begin() as session:
        busy = invariants.running_alone(session)
        books = stage.books()
        holders = {symbol: _holders(books, symbol) for symbol in symbols if symbol not in _moved(books)}
        resting = [symbol for symbol, held_by in holders.items() if not busy & (held_by | stage.followers(symbol))]
        if resting:
            symbol = next((one for one in resting if holders[one]), resting[0])
            stage.ask_gateway("POST", "/splits", {"symbol": symbol, **how})
            return True
    return False


def _moved(books: Books) -> set[str]:
    """What is at work, or was traded so lately that the books may not show it."""
    at_work = (one for login in books for one in login["orders"] if one["ended_at"] is None)
    waiting = (one for login in books for one in login["windows"])
    traded = (one for login in books for one in login["executions"] if _age(one) < LAG)
    return {one["symbol"] for one in (*at_work, *waiting, *traded)}


def _holders(books: Books, symbol: str) -> set[str]:
    return {account for one in books for account, told in one["accounts"].items() if symbol in told["positions"]}


def _age(trade: Mapping[str, Any]) -> timedelta:
    return datetime.now(UTC) - datetime.fromisoformat(trade["at"])
