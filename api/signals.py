"""Signals, quarantine included, channels, and the record of changes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from api.auth import Identified, ReadAllowed
from api.events import SignalRecord
from api.problems import READING
from api.state import ServicesOf
from api.values import Before, KeptObject, Limit, Record
from rebalancer.domain.commands import Command
from rebalancer.ledger import audit_log
from rebalancer.ledger.queries import signals as ledger
from rebalancer.ledger.queries.gaps import find_gaps
from rebalancer.ledger.states import EventState, SignalState

router = APIRouter(tags=["signals"])

ChannelFilter = Annotated[str | None, Query(pattern=r"^[!-~]+$", max_length=200)]


class ServingEvent(Record):
    """An event that serves a signal."""

    event_id: UUID
    account_id: str
    state: EventState


class ListedSignal(SignalRecord):
    """A signal and the events that serve it, one per account."""

    events: list[ServingEvent]


class Channel(Record):
    """How a strategy's channel is heard."""

    channel: str
    heard_until: datetime = Field(description="Nothing can have been missed until here.")
    attached_since: datetime | None
    trouble: str | None


class Gap(Record):
    """A silence that is longer than a channel's history reaches back: signals of it may have been missed."""

    id: int
    channel: str
    since: datetime
    until: datetime
    fetched: int = Field(description="Messages of that time that are on record: history still had them.")
    answered_at: datetime | None = Field(description="When it was decided what follows.")
    remark: str | None = Field(description="What was found out, and what was done.")
    command: Command | None = Field(description="What accounts were asked for in answer, if anything.")
    events: list[ServingEvent] = Field(description="Of that answer.")


class AuditRecord(Record):
    """A change that somebody asked for; the actor is a key's name or fingerprint, or a user of the command line."""

    id: int
    at: datetime
    actor: str
    address: str
    action: str
    subject: str
    detail: KeptObject


@router.get("/signals", dependencies=[ReadAllowed], responses=READING)
def list_signals(
    services: ServicesOf,
    *,
    limit: Limit = 100,
    state: Annotated[SignalState | None, Query(description="quarantined: kept, but nobody could act on it.")] = None,
    channel: ChannelFilter = None,
    before: Before = None,
) -> list[ListedSignal]:
    """Every signal that arrived, newest first, and what became of it."""
    with services.ledger.begin() as session:
        found = ledger.find_signals(session, limit, state=state, channel=channel, before=before)
    return [ListedSignal.model_validate(one) for one in found]


@router.get("/channels", dependencies=[ReadAllowed], responses=READING)
def list_channels(services: ServicesOf) -> list[Channel]:
    """The strategies' channels that are listened to."""
    with services.ledger.begin() as session:
        return [Channel.model_validate(one) for one in ledger.channels(session)]


@router.get("/gaps", dependencies=[ReadAllowed], responses=READING)
def list_gaps(services: ServicesOf, limit: Limit = 100) -> list[Gap]:
    """When signals of a channel may have been missed, newest first, and what was done about it."""
    with services.ledger.begin() as session:
        return [Gap.model_validate(one) for one in find_gaps(session, limit)]


@router.get("/audit", responses=READING)
def list_changes(
    services: ServicesOf, _caller: Identified, limit: Limit = 100, before: Before = None
) -> list[AuditRecord]:
    """Who asked for which change, newest first; never open to everybody."""
    with services.ledger.begin() as session:
        return [AuditRecord.model_validate(one) for one in audit_log.recent(session, limit, before)]
