"""What people were told, and whether it arrived."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.auth import ReadAllowed
from api.problems import READING
from api.state import ServicesOf
from api.values import Before, Limit, Record
from rebalancer.domain.notices import NoticeKind, Severity
from rebalancer.ledger import outbox
from rebalancer.ledger.outbox import Told
from rebalancer.notifier import preferences
from rebalancer.notify.style import Style
from rebalancer.notify.wording import describe

router = APIRouter(tags=["notifications"])


class Delivery(Record):
    """What became of telling one target, which is shown by its name only."""

    target: str
    state: Literal["waiting", "sent", "given up"]
    due_at: datetime
    tries: int
    last_error: str | None
    ended_at: datetime | None


class Notification(BaseModel):
    """A fact as it is told."""

    id: int
    at: datetime
    kind: NoticeKind
    severity: Severity
    account_id: str | None = Field(description="Whom it concerns; null for everybody.")
    event_id: UUID | None
    text: str = Field(description="As people read it: without amounts, unless NOTIFY_AMOUNTS.")
    routed: bool = Field(description="It is decided who is told; without deliveries, nobody.")
    deliveries: list[Delivery]


@router.get("/notifications", dependencies=[ReadAllowed], responses=READING)
def list_notifications(services: ServicesOf, limit: Limit = 100, before: Before = None) -> list[Notification]:
    """What people were told or will be, newest first."""
    style = preferences.style(services)
    with services.ledger.begin() as session:
        return [_notification(one, style) for one in outbox.recent(session, limit, before)]


def _notification(one: Told, style: Style) -> Notification:
    notice = one.notice
    return Notification(
        id=notice.id,
        at=notice.at,
        kind=notice.kind,
        severity=notice.severity,
        account_id=notice.account_id,
        event_id=notice.event_id,
        text=describe(notice, style).text,
        routed=one.routed,
        deliveries=[Delivery.model_validate(telling) for telling in one.tellings],
    )
