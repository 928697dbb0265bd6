"""The one statement that puts a signal on record, with the events that serve it and their links."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    Boolean,
    ColumnElement,
    DateTime,
    Integer,
    Numeric,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    column,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, Insert, insert

from rebalancer.domain.rule_names import Rule
from rebalancer.ledger.dispatch_claims import accounts_in_hand
from rebalancer.ledger.models import Event, Signal, SignalEvent
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.states import ACTIVE, EventState

_DEFAULTS = {one.name: literal(one.default.arg) for one in Event.__table__.columns if one.default is not None}
"""Of new events: a statement that is built before it is executed has to bring them itself."""


def _ready_for_news() -> ColumnElement[bool]:
    """Waiting events that a new request wakes: new targets may be sold for and bought from settled cash today, whatever
    the proceeds of an earlier sale wait for.
    """
    return or_(Event.state == EventState.RETRYING, and_(Event.state == EventState.HELD, Event.rule == Rule.SETTLEMENT))


def _signal() -> Insert:
    return (
        insert(Signal)
        .values(
            channel=bindparam("on_channel", type_=Text()),
            message_id=bindparam("with_id", type_=Text()),
            state=bindparam("in_state", type_=Text()),
            command=bindparam("asks_for", type_=Text()),
            payload=bindparam("with_payload", type_=JSONB()),
            remark=bindparam("with_remark", type_=Text()),
            published_at=bindparam("sent_at", type_=DateTime(timezone=True)),
        )
        .on_conflict_do_nothing(index_elements=[Signal.channel, Signal.message_id])
    )


def _events(signal: CTE) -> Insert:
    """New ones, and active ones that serve one more signal."""
    given = func.unnest(
        bindparam("new_ids", type_=ARRAY(Uuid)),
        bindparam("accounts", type_=ARRAY(Text)),
        bindparam("strategies", type_=ARRAY(Text)),
        bindparam("gateways", type_=ARRAY(Text)),
    ).table_valued(
        column("id", Uuid),
        column("account_id", Text),
        column("strategy", Text),
        column("gateway", Text),
        with_ordinality="place",
    )
    given = given.render_derived()
    alone = bindparam("alone", type_=Boolean())
    waits = and_(alone, given.c.account_id.in_(accounts_in_hand()))  # looked up once for all
    leaves = and_(given.c.place <= bindparam("at_once", type_=Integer()), ~waits)
    new: dict[str, ColumnElement[Any]] = _DEFAULTS | {
        "id": given.c.id,
        "account_id": given.c.account_id,
        "strategy": given.c.strategy,
        "gateway": given.c.gateway,
        "command": bindparam("asks_for", type_=Text()),
        "exclusive": alone,
        "state": literal(EventState.QUEUED),
        "reason": literal("new"),
        "data": bindparam("with_data", type_=JSONB()),
        "due_at": func.now(),
        "dispatch_no": case((leaves, 1), else_=0),
        "dispatched_at": case((leaves, func.now())),
    }
    rows = select(*new.values()).select_from(given, signal).order_by(given.c.place)
    fresh = insert(Event).from_select([*new], rows, include_defaults=False)
    return fresh.on_conflict_do_update(
        index_elements=[Event.account_id, Event.command],
        index_where=and_(Event.state.in_(ACTIVE), ~Event.remove_requested),
        set_={
            Event.requested_generation: Event.requested_generation + 1,
            Event.data: fresh.excluded.data,
            Event.strategy: fresh.excluded.strategy,
            Event.due_at: case((_ready_for_news(), func.least(Event.due_at, func.now())), else_=Event.due_at),
        },
    )


def _links(signal: CTE, served: CTE) -> Insert:
    asked = {
        SignalEvent.signal_id: signal.c.id,
        SignalEvent.event_id: served.c.id,
        SignalEvent.request_no: served.c.request_no,
        SignalEvent.kind: bindparam("of_kind", type_=Text()),
        SignalEvent.amount: bindparam("for_amount", type_=Numeric()),
    }
    return insert(SignalEvent).from_select([*asked], select(*asked.values()))


def _recorded() -> Select[Any]:
    """All of it in one statement: no row of a signal that is on record already, one without an event where nobody is
    addressed.
    """
    signal = _signal().returning(Signal.id).cte("signal")
    created = literal_column("xmax = 0", Boolean)
    served = (
        _events(signal)
        .returning(
            Event.id,
            Event.account_id,
            Event.strategy,
            Event.gateway,
            Event.requested_generation.label("request_no"),
            Event.state,
            created.label("created"),
            case((created, Event.dispatch_no), else_=0).label("leaves_as"),
        )
        .cte("served")
    )
    whole = select(signal.c.id.label("signal_id"), *served.c).select_from(signal.outerjoin(served, true()))
    return whole.add_cte(_links(signal, served).cte("links"))


RECORD = Prepared("record_signal", _recorded())
