"""How much and when an account has traded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Numeric, Select, bindparam, column, func, or_, select, true

from rebalancer.domain.account_history import Traded
from rebalancer.domain.claims import Claim
from rebalancer.domain.units import Usd
from rebalancer.ledger import unreported_fills
from rebalancer.ledger.models import STOCK, Attempt, Event, FillRow, Order
from rebalancer.ledger.orders import NEVER_SENT
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState, Outcome


def traded_since(session: Session, account_id: str, since: datetime) -> Traded:
    """Orders sent and USD filled since then; fills without a told execution count at the planned price."""
    return _traded(session, _TRADED, {"account_id": account_id, "since": since})


def traded_everywhere_since(session: Session, claim: Claim, since: datetime) -> Traded:
    """Orders sent and USD filled since then in all accounts, with what other running plans still lack of both.

    A plan is on record before it is compared with the limits: of two runs that are compared at the same moment, at
    least one sees the other.
    """
    done = _traded(session, _TRADED_EVERYWHERE, {"since": since})
    orders, notional = _STILL_LACKING.rows(session, {"event_id": claim.event_id})[0]
    return Traded(done.orders + orders, Usd(done.notional + notional))


def _traded(session: Session, chosen: Prepared, parameters: dict[str, Any]) -> Traded:
    orders, amount, converted = chosen.rows(session, parameters)[0]
    return Traded(orders, Usd(amount), Usd(converted))


def _activity(*which: ColumnElement[bool]) -> Select[Any]:
    """Orders and USD of the account that ``which`` names for orders and for fills, or of all."""
    of_orders, of_fills = which or (true(), true())
    lately = Order.created_at >= bindparam("since")
    sent = select(func.count()).where(of_orders, lately, Order.status != NEVER_SENT)
    executed = select(func.coalesce(func.sum(FillRow.quantity * FillRow.price), 0)).where(
        of_fills, FillRow.security_type == STOCK, FillRow.at >= bindparam("since")
    )
    stated = unreported_fills.notional(of_orders, lately)
    converted = unreported_fills.converted(of_orders, lately)
    return select(sent.scalar_subquery(), executed.scalar_subquery() + stated, converted)


_TRADED = Prepared(
    "traded",
    _activity(Order.account_id == bindparam("account_id"), FillRow.account_id == bindparam("account_id")),
)
_TRADED_EVERYWHERE = Prepared("traded_everywhere", _activity())


def _still_lacking() -> Select[Any]:
    """Orders and USD that the plans of other running attempts still lack; further rounds repeat parts of the first
    plan, which counts.
    """
    rows = func.jsonb_to_recordset(Attempt.plan["orders"])
    planned = rows.table_valued(column("quantity", Numeric), column("price", Numeric)).render_derived(with_types=True)
    own = (Order.event_id == Attempt.event_id) & (Order.attempt == Attempt.number) & (Order.security_type == STOCK)
    sent = select(func.count()).where(own).correlate(Attempt).scalar_subquery()
    filled = select(func.coalesce(func.sum(FillRow.quantity * FillRow.price), 0)).join(
        Order, Order.order_ref == FillRow.order_ref
    )
    stated = unreported_fills.notional(own)
    runs = (
        select(
            (select(func.count()).select_from(planned).scalar_subquery() - sent).label("orders"),
            (
                select(func.coalesce(func.sum(planned.c.quantity * planned.c.price), 0)).scalar_subquery()
                - filled.where(own).correlate(Attempt).scalar_subquery()
                - stated
            ).label("notional"),
        )
        .select_from(Attempt)
        .join(Event, (Event.id == Attempt.event_id) & (Event.attempt == Attempt.number))
        .where(
            Event.state == EventState.RUNNING,
            Event.exclusive,
            Event.id != bindparam("event_id"),
            Attempt.plan.is_not(None),
        )
        .subquery()
    )
    lacking = (func.sum(func.greatest(0, one)) for one in (runs.c.orders, runs.c.notional))
    return select(*(func.coalesce(amount, 0) for amount in lacking))


_STILL_LACKING = Prepared("still_lacking", _still_lacking())


def last_rebalance(session: Session, claim: Claim) -> datetime | None:
    """First order of the account's newest rebalance that traded, without what this event is still in the midst of: a
    run that is tried again must be allowed to finish what it began.
    """
    succeeded = (
        select(func.max(Attempt.number))
        .where(Attempt.event_id == claim.event_id, Attempt.outcome == Outcome.SUCCEEDED)
        .scalar_subquery()
    )
    earlier = or_(Order.event_id != claim.event_id, Order.attempt <= succeeded)
    newest = (
        select(Order.event_id, Order.attempt)
        .where(Order.account_id == claim.account_id, Order.status != NEVER_SENT, earlier)
        .order_by(Order.created_at.desc())
        .limit(1)
        .subquery()
    )
    return session.scalar(
        select(func.min(Order.created_at))
        .select_from(Order)
        .join(newest, (newest.c.event_id == Order.event_id) & (newest.c.attempt == Order.attempt))
    )


def ever_traded(session: Session, account_id: str) -> bool:
    """Whether any order of the account has reached the broker."""
    found = select(Order.order_ref).where(Order.account_id == account_id, Order.status != NEVER_SENT).limit(1)
    return session.scalar(found) is not None
