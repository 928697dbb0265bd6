"""Strategies that are held, and what a person says to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Path
from pydantic import Field

from api.auth import Approver, ReadAllowed
from api.decisions import Done
from api.problems import CHANGING, NOT_FOUND, READING
from api.state import ServicesOf
from api.values import Record
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.strategy_holds import HoldKind, HoldState
from rebalancer.operations import strategy_holds

router = APIRouter(prefix="/strategy-holds", tags=["control"])

HoldId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class HeldStrategy(Record):
    """A strategy whose accounts wait: for its canary, or since several of them were refused by the same rule."""

    id: int
    kind: HoldKind
    strategy: str
    state: HoldState = Field(description="asked: a person decides.")
    event_id: UUID = Field(description="Of the canary, or of the account that was refused last.")
    account_id: str
    reasons: list[str]
    since: datetime
    judge_by: datetime | None = Field(description="When a canary that has not finished becomes a question.")
    asked_at: datetime | None
    waiting: list[str] = Field(description="Accounts that wait for it now.")


@contextmanager
def _no_such_hold() -> Iterator[None]:
    try:
        yield
    except RequestRefused as refused:
        raise HTTPException(404, str(refused)) from refused


@router.get("", dependencies=[ReadAllowed], responses=READING)
def list_strategy_holds(services: ServicesOf) -> list[HeldStrategy]:
    """Strategies that are held, oldest first."""
    return [HeldStrategy.model_validate(one) for one in strategy_holds.held(services)]


@router.post("/{hold_id}/release", responses={**CHANGING, **NOT_FOUND})
def release(services: ServicesOf, caller: Approver, hold_id: HoldId) -> Done:
    """Let the accounts trade that wait for it."""
    caller.note(services, "release", str(hold_id))
    with _no_such_hold():
        freed = strategy_holds.release(services, hold_id, caller.name)
    return Done(message=f"Released; {freed} held events are due")


@router.post("/{hold_id}/withdraw", responses={**CHANGING, **NOT_FOUND})
def withdraw(services: ServicesOf, caller: Approver, hold_id: HoldId) -> Done:
    """End the events that wait for it; the account that traded first keeps its own."""
    caller.note(services, "withdraw", str(hold_id))
    with _no_such_hold():
        removed = strategy_holds.withdraw(services, hold_id, caller.name)
    return Done(message=f"Withdrawn; {removed} events ended")
