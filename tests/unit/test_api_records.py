"""What the API shows of the program's values is declared field by field; each declaration is held against its value."""

from __future__ import annotations

import types
from dataclasses import fields
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

import pytest

from api import (
    accounts,
    cash_plans,
    decision_links,
    decisions,
    events,
    health,
    household,
    notifications,
    queue,
    replay,
    returns,
    signals,
    sources,
    statements,
    strategy_holds,
    values,
)
from api import app as whole_api
from api.web.approvals import PlannedOrder
from rebalancer.domain.approvals import Approval
from rebalancer.domain.cash_flows import CashFlow
from rebalancer.domain.cash_plans import CashPlan
from rebalancer.domain.portfolio import BaseCurrency
from rebalancer.domain.strategy_holds import StrategyHold
from rebalancer.health.settings_in_use import Process
from rebalancer.health.sources import SourceLine
from rebalancer.ledger.audit_log import AuditEntry
from rebalancer.ledger.halts import Halt
from rebalancer.ledger.outbox import Telling
from rebalancer.ledger.queries import event_history, event_search
from rebalancer.ledger.queries import signals as signal_views
from rebalancer.ledger.queries.gaps import GapView
from rebalancer.ledger.schedules import Schedule
from rebalancer.ledger.statements import StatementView
from rebalancer.planning.weights import WeightLine
from rebalancer.realized_gains import Gain
from rebalancer.replay.figures import Figures
from rebalancer.replay.runs import Step
from rebalancer.replay.wording import Row
from rebalancer.returns.gap import PartOfGap, Performance, Returns
from rebalancer.risk.wash_sales import Window
from rebalancer.statements.content import Difference

VIEWS: dict[type[values.Record], type[Any]] = {
    values.WeightState: WeightLine,
    events.SignalRecord: signal_views.SignalView,
    events.BaseRecord: BaseCurrency,
    events.ReportRecord: event_history.ReportView,
    events.FillRecord: event_history.FillView,
    events.OrderRecord: event_history.OrderView,
    events.SnapshotRecord: event_history.SnapshotView,
    events.AttemptRecord: event_history.AttemptView,
    events.EventRecord: event_history.EventHistory,
    queue.QueueStatus: event_search.QueueStatus,
    queue.QueuedEvent: event_search.EventView,
    signals.ServingEvent: signal_views.ServingEvent,
    signals.ListedSignal: signal_views.SignalView,
    signals.Channel: signal_views.ChannelView,
    signals.Gap: GapView,
    signals.AuditRecord: AuditEntry,
    decisions.HaltState: Halt,
    decisions.ApprovalState: Approval,
    decisions.ScheduleState: Schedule,
    sources.SourceRecord: SourceLine,
    strategy_holds.HeldStrategy: StrategyHold,
    cash_plans.CashPlanRecord: CashPlan,
    accounts.CashFlowRecord: CashFlow,
    health.ProcessAtWork: Process,
    notifications.Delivery: Telling,
    decision_links.OrderShown: PlannedOrder,
    sources.SourceRecord: SourceLine,
    statements.DifferenceRecord: Difference,
    statements.StatementRecord: StatementView,
    household.GainState: Gain,
    household.WindowState: Window,
    replay.FigureState: Row,
    replay.FiguresState: Figures,
    replay.StepState: Step,
    returns.PerformanceState: Performance,
    returns.PartState: PartOfGap,
    returns.ReturnsState: Returns,
}
ADDED = {"type", "retry_after", "execution_time"}
"""Of an event, by what it waits for: made by the API."""


def all_records(of: type[Any] = values.Record) -> set[type[Any]]:
    return {one for kind in of.__subclasses__() for one in {kind, *all_records(kind)}}


def test_every_record_is_compared_with_what_it_shows() -> None:
    assert whole_api.create_app, "all modules of the API are loaded"
    assert all_records() - {queue.PublicEvent} == set(VIEWS)


@pytest.mark.parametrize("record", VIEWS, ids=lambda record: record.__name__)
def test_a_record_has_the_fields_and_types_of_what_it_shows(record: type[values.Record]) -> None:
    shown = {name: plain(field.annotation) for name, field in record.model_fields.items() if name not in ADDED}
    known = members(VIEWS[record])
    assert shown == {name: known.get(name) for name in shown}


def members(view: type[Any]) -> dict[str, Any]:
    """Types of a value's fields and properties."""
    hints = get_type_hints(view)
    own = {field.name: plain(hints[field.name]) for field in fields(view)}
    for name, member in vars(view).items():
        if isinstance(member, property):
            own[name] = plain(get_type_hints(member.fget)["return"])
    return own


def plain(kind: Any) -> Any:
    """A type without what JSON makes of it: tuples are lists, records what they show, and decimals stay decimals."""
    kind = kind.__supertype__ if isinstance(kind, NewType) else kind  # a unit is nothing at run time
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return plain(inner[0])
    if origin is Literal:
        return str
    if origin in (Union, types.UnionType):
        return frozenset(map(plain, inner))
    if origin is dict:
        return (dict, *map(plain, inner))
    if origin in (list, tuple):
        return (list, plain(inner[0]))
    return VIEWS.get(kind, kind)
