"""What the workers tell each other of the gateway that they share; all times are the database's."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import exists, func, select, text
from sqlalchemy.dialects.postgresql import insert

from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.domain.gateways import of_gateway
from rebalancer.domain.notices import NoticeKind
from rebalancer.ledger import outbox, unacknowledged_orders
from rebalancer.ledger.models import GatewayRow, Order
from rebalancer.ledger.session import Session

_LATELY = timedelta(days=8)
"""A gateway says it at each login, hence each day; one that was raised says it no more."""
_LOCKS = 0x6F726465
"""Class of the advisory locks by which first orders take turns."""


def take_turn(session: Session, address: str, wait: timedelta) -> None:
    """Wait until no other worker sends the first order of a session of this gateway; ends with the transaction.

    Raises:
        RecordUnavailable: not within ``wait``.
    """
    # The order is followed while the transaction stands still.
    for setting, value in (
        ("lock_timeout", wait),
        ("statement_timeout", wait),
        ("idle_in_transaction_session_timeout", timedelta(minutes=5)),
    ):
        session.execute(text(f"SET LOCAL {setting} = {int(value.total_seconds() * 1000)}"))
    session.execute(select(func.pg_advisory_xact_lock(_LOCKS, func.hashtext(address))))


def acknowledged_within(session: Session, address: str, age: timedelta) -> bool:
    """Whether the gateway has taken a first order since then."""
    # Statements of one transaction share now(); this one may have waited for its turn.
    found = exists().where(GatewayRow.address == address, GatewayRow.acknowledged_at > func.clock_timestamp() - age)
    return bool(session.scalar(select(found)))


def acknowledged(session: Session, address: str) -> None:
    """The gateway has taken a first order."""
    _put(session, address, "acknowledged_at")


def away(session: Session, address: str) -> None:
    """Nobody listens there: the gateway's process has ended."""
    _put(session, address, "away_at")


def desupported(session: Session, address: str, day: date, text: str, gateway: str = MAIN_GATEWAY) -> None:
    """IBKR takes no login of its build any more from that day on: told once a week until then."""
    year, week, _ = datetime.now(UTC).isocalendar()
    key = f"desupported:{address}:{day.isoformat()}:{year}-{week}"
    outbox.tell(session, NoticeKind.DESUPPORTED, key=key, on=day.isoformat(), text=text, **of_gateway(gateway))


def end_of_life(session: Session, gateway: str = MAIN_GATEWAY) -> str | None:
    """The day from which on no login is taken any more, in ISO 8601, where the gateway has said so lately."""
    newest = outbox.newest_of(session, NoticeKind.DESUPPORTED, of=of_gateway(gateway))
    is_new = newest is not None and newest.at > datetime.now(UTC) - _LATELY
    return str(newest.detail["on"]) if newest is not None and is_new else None


def _put(session: Session, address: str, column: str) -> None:
    row = insert(GatewayRow).values({"address": address, column: func.clock_timestamp()})
    session.execute(row.on_conflict_do_update(index_elements=[GatewayRow.address], set_={column: row.excluded[column]}))


def waiting_at(session: Session, address: str, accounts: Collection[str]) -> Order | None:
    """An order of those accounts, which are the login's, that may still wait behind a window of that gateway."""
    waiting = unacknowledged_orders.waiting(session, accounts)
    gone = unacknowledged_orders.gone(session, waiting, address)
    return next((order for order in waiting if order not in gone), None)
