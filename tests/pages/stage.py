"""A desk with something on every page of it: what all pages are swept over, and what the documents show."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import select, update

from rebalancer.config.settings import Settings
from rebalancer.domain.commands import Command
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.recurrence import Recurrence
from rebalancer.ledger import credentials, halts, heartbeats, schedules
from rebalancer.ledger.models import (
    ApprovalRow,
    Attempt,
    AuditRow,
    Channel,
    DeliveryRow,
    GapRow,
    NoticeRow,
    Signal,
    SnapshotRow,
)
from rebalancer.ledger.session import Session
from tests.conftest import ROOT
from tests.ledger_rows import INPUTS, PLAN, STRATEGY, SWITCH, add_event, add_failing, add_traded, add_waiting
from tests.pages.conftest import KEY

NAMES = ("Family trust", "Anna, IRA", "Ben, IRA", "Foundation", "Holding", "Reserve", "Children")
ACCOUNTS = tuple(f"DU100000{number}" for number in range(1, 8))
TRUST, ANNA, BEN, FOUNDATION, HOLDING, RESERVE, CHILDREN = ACCOUNTS
NO_QUOTE = "QuoteUnavailable: no two-sided quote for VXX within 10 s"
TRADED = {
    "command": "rebalance",
    "failures": 0,
    "trades": [
        {"side": "SELL", "symbol": "MSFT", "quantity": "138", "value": "57372.12", "share": "0.58"},
        {"side": "BUY", "symbol": "SPY", "quantity": "194", "value": "19400.00", "share": "0.196"},
    ],
}
COME = Decimal(15_000)
TRADED_TODAY = (ANNA, BEN, HOLDING, RESERVE, CHILDREN)
SOLD_FIRST = SWITCH | {"orders": SWITCH["orders"][::-1]}
_TOLD = {"at": "2026-11-27T15:59:59+00:00", "data_type": "live"}
QUOTES = {"SPY": {"bid": "99.97", "ask": "99.99", **_TOLD}, "MSFT": {"bid": "415.74", "ask": "415.78", **_TOLD}}
ASKED_FOR = "an order of $57,372.12 is larger than $50,000.00"


@dataclass(frozen=True, slots=True)
class Stage:
    """Events that have a page, and what opens the page of a decision."""

    traded: UUID
    failing: UUID
    waiting: UUID
    token: str


def settings(database_url: str, redis_url: str, folder: Path) -> Settings:
    """Seven accounts with names, whose file is put into ``folder``."""
    entries = (
        f"  - {{account_id: {account_id}, name: '{name}', type: paper, strategy_name: {STRATEGY}}}"
        for account_id, name in zip(ACCOUNTS, NAMES, strict=True)
    )
    accounts = folder / "accounts.yaml"
    accounts.write_text("\n".join(["accounts:", *entries, ""]))
    return Settings.from_flat(
        {
            "database_url": database_url,
            "redis_url": redis_url,
            "management_api_key": SecretStr(KEY),
            "management_key_names": "Anna",
            "accounts_file": accounts,
            "replacement_sets_file": ROOT / "replacement-sets.yaml",
            "notify_approval_links": "https://desk.example.org",
        }
    )


def set_up(session: Session, now: datetime) -> Stage:
    """Fill an empty ledger; the same ``now`` gives the same rows."""
    chance = random.Random(18)

    def event_id() -> UUID:
        return UUID(int=chance.getrandbits(128), version=4)

    runs: list[tuple[datetime, str, Decimal]] = []
    for number, account_id in enumerate(ACCOUNTS):
        past = long_ago(now)
        looked = add_event(session, account_id, id=event_id(), command="print-equity", state="succeeded", **past)
        worth = _worth(chance, Decimal(97_000 + 1_000 * number))
        _add_looks(session, looked, account_id, worth, now)
        months = range(4, 40 if account_id == TRUST else 13, 4)
        early = now + timedelta(hours=1, minutes=-number)
        runs += [(early - timedelta(weeks=weeks), account_id, worth[-weeks]) for weeks in months]
        if account_id in TRADED_TODAY:
            runs.append((now - timedelta(hours=1, minutes=number), account_id, worth[-1] + 240 * number))
    _add_misspelt(session, now)
    for at, account_id, equity in sorted(runs):
        plan = PLAN if account_id == RESERVE else SOLD_FIRST
        add_traded(session, account_id, at, str(equity), plan, id=event_id())
    traded = add_traded(session, TRUST, now - timedelta(minutes=42), "97310.55", SOLD_FIRST, id=event_id())
    session.flush()
    session.execute(update(Attempt).where(Attempt.inputs.is_not(None)).values(inputs=INPUTS | {"quotes": QUOTES}))
    due_at = now + timedelta(minutes=4, seconds=30)
    failing = add_failing(session, ANNA, NO_QUOTE, now - timedelta(minutes=9), id=event_id(), due_at=due_at)
    waiting, silent_at = event_id(), now + timedelta(minutes=12, seconds=30)
    asked = _add_plan(session, FOUNDATION, waiting, now, silent_at=silent_at)
    running = {"state": "running", "reason": "running", "attempt": 1, "worker": "worker@desk/1/1"}
    soon = now + timedelta(minutes=5)
    add_event(session, RESERVE, id=event_id(), created_at=now - timedelta(seconds=20), lease_until=soon, **running)
    _add_records(session, now, traded)
    halts.halt(session, CHILDREN, "moves to another strategy on Friday", "Anna")
    return Stage(traded, failing, waiting, credentials.make_decision_link(session, asked, "phone", soon))


def long_ago(now: datetime) -> dict[str, datetime]:
    return {"created_at": now - timedelta(days=370), "finished_at": now - timedelta(days=370)}


def _worth(chance: random.Random, today: Decimal) -> list[Decimal]:
    """USD week by week for a year, the last of them ``today``; 15,000 USD come in the middle."""
    worth = [today]
    for week in range(1, 53):
        worth.append(round((worth[-1] - (COME if week == 26 else 0)) / Decimal(chance.gauss(1.0022, 0.009)), 2))
    return worth[::-1]


def _add_looks(session: Session, event_id: UUID, account_id: str, worth: list[Decimal], now: datetime) -> None:
    for week, equity in enumerate(worth[:-1]):
        session.add(
            SnapshotRow(
                account_id=account_id,
                event_id=event_id,
                attempt=1,
                moment="before",
                at=now - timedelta(weeks=len(worth) - 1 - week),
                net_liquidation=equity,
                cash=Decimal(40_599),
                flow=COME if week == 27 else None,
                positions=[{"symbol": "SPY", "quantity": "594", "price": "100"}],
            )
        )


def _add_misspelt(session: Session, now: datetime) -> None:
    facts = {"state": "quarantined", "payload": {"exec": "Rebalance"}, "received_at": now - timedelta(hours=3)}
    remark = "'Rebalance' is no command: is 'rebalance' meant?"
    session.add(Signal(channel=STRATEGY, message_id="misspelt", command=None, remark=remark, **facts))


def _add_plan(session: Session, account_id: str, event_id: UUID, now: datetime, **facts: datetime) -> int:
    """Gives the number of the plan."""
    expires_at = now + timedelta(hours=2, seconds=30)
    given: dict[str, Any] = {"asked_at": now, "expires_at": expires_at, "reasons": [ASKED_FOR]} | facts
    add_waiting(session, account_id, SWITCH, event_id, now - timedelta(minutes=6), **given)
    asked: int = session.scalars(select(ApprovalRow.id).where(ApprovalRow.event_id == event_id)).one()
    return asked


def _add_records(session: Session, now: datetime, traded: UUID) -> None:
    heartbeats.started(session, "beat", "desk", {})
    heartbeats.started(session, "worker", "desk", {"gateway": "connected", "trouble": None})
    session.add(
        Channel(
            channel=STRATEGY,
            first_seen_at=now - timedelta(days=200),
            baseline_at=now - timedelta(days=200),
            checkpoint_at=now - timedelta(minutes=42),
            complete_at=now,
            heard_until=now,
            attached_since=now - timedelta(days=3),
        )
    )
    session.flush()
    away, back = now - timedelta(hours=26), now - timedelta(hours=25, minutes=50)
    answer = {"answered_at": back, "remark": "every account has followed the rebalance of 2026-06-01"}
    session.add(GapRow(channel=STRATEGY, since=away, until=back, noticed_at=back, **answer))
    first = now.date().replace(day=1)
    for account_id, recurrence in ((TRUST, Recurrence.MONTHLY), (FOUNDATION, Recurrence.DAILY)):
        schedules.add(
            session, account_id, Command.REBALANCE, recurrence=recurrence, first_on=_next(first), now=now, by="Anna"
        )
    for minutes, action, subject in ((190, "halt", CHILDREN), (95, "approve", TRUST), (44, "submit", TRUST)):
        at = now - timedelta(minutes=minutes)
        session.add(AuditRow(at=at, actor="Anna", address="127.0.0.1", action=action, subject=subject, detail={}))
    _tell(session, NoticeKind.REBALANCED, TRUST, now - timedelta(minutes=41), event_id=traded, **TRADED)
    _tell(
        session, NoticeKind.FAILING, ANNA, now - timedelta(minutes=9), command="rebalance", error=NO_QUOTE, failures=1
    )


def _tell(session: Session, kind: NoticeKind, account_id: str, at: datetime, **detail: object) -> None:
    event_id = detail.pop("event_id", None)
    facts = {"at": at, "kind": kind, "account_id": account_id, "event_id": event_id, "routed_at": at, "detail": detail}
    notice = NoticeRow(**facts)
    session.add(notice)
    session.flush()
    sent_at = at + timedelta(seconds=3)
    facts = {"target": "phone", "box": "all", "due_at": at, "tries": 1, "ended_at": sent_at, "sent": True}
    session.add(DeliveryRow(notice_id=notice.id, **facts))


def _next(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)
