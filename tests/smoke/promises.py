"""Nothing lost, nothing twice: asked of the ledger and of the gateway's own order book, which must agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from decimal import Decimal
from typing import Any

import psycopg2


class Books:
    """The ledger, read with plain SQL, beside what the gateway has seen.

    Args:
        dsn: of the ledger, for libpq.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Rows of one query, on a connection of its own, so that a restarted server is no matter."""
        connection = psycopg2.connect(self._dsn, connect_timeout=5)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(query, arguments)
                return cursor.fetchall()
        finally:
            connection.close()

    def states(self) -> Counter[str]:
        """How many events are in each state."""
        return Counter(state for (state,) in self.rows("SELECT state FROM events"))

    def workers(self) -> set[str]:
        """Hosts of the processes that made attempts."""
        return {worker.split("/")[0] for (worker,) in self.rows("SELECT worker FROM attempts")}

    def orders(self) -> dict[str, Decimal]:
        """Filled quantity by order ref, of orders that filled."""
        return dict(self.rows("SELECT order_ref, filled FROM orders WHERE filled > 0"))

    def trading(self) -> bool:
        """Orders are at the broker and have not filled."""
        return bool(self.rows("SELECT order_ref FROM orders WHERE order_id IS NOT NULL AND settled_at IS NULL"))

    def unserved(self) -> list[tuple[Any, ...]]:
        """Signals whose wish no success has served."""
        return self.rows(
            "SELECT served.signal_id FROM signal_events served WHERE NOT EXISTS (SELECT FROM attempts WHERE "
            "event_id = served.event_id AND outcome = 'succeeded' AND taken >= served.wish)"
        )


def prove(books: Books, gateway: dict[str, Any], accounts: Collection[str]) -> None:
    """Every signal served; each order once; the same fills in both books."""
    assert books.unserved() == []
    refs = Counter(order["order_ref"] for order in gateway["orders"])
    assert [ref for ref, times in refs.items() if times > 1] == []
    filled = {order["order_ref"]: Decimal(order["filled"]) for order in gateway["orders"] if Decimal(order["filled"])}
    assert books.orders() == filled
    assert {order["account"] for order in gateway["orders"]} <= set(accounts)


def connected(gateway: dict[str, Any]) -> list[int]:
    """Client ids of the connections that are open now; who has not said its id yet is not connected."""
    opened = (one["client_id"] for one in gateway["connections"] if one["closed_at"] is None)
    return sorted(client_id for client_id in opened if client_id is not None)


def refused(gateway: dict[str, Any]) -> list[str]:
    """Why connections were refused."""
    return [one["refused"] for one in gateway["connections"] if one["refused"]]


def prove_one_way(gateway: dict[str, Any]) -> None:
    """With still prices nothing is bought that was also sold."""
    sides = defaultdict(set)
    for one in gateway["executions"]:
        sides[one["account"], one["symbol"]].add(one["side"])
    assert [key for key, both in sides.items() if len(both) > 1] == []


def prove_on_target(books: Books, accounts: Collection[str]) -> None:
    """The newest dry run of each account found nothing left to do."""
    newest = books.rows(
        "SELECT DISTINCT ON (e.account_id) e.account_id, a.result->'orders' FROM events e JOIN attempts a ON "
        "a.event_id = e.id WHERE e.command = 'print-rebalance' AND a.outcome = 'succeeded' "
        "ORDER BY e.account_id, a.finished_at DESC"
    )
    assert dict(newest) == {account: [] for account in accounts}
