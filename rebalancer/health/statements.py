"""What of the broker's statements a person should know: differences that nothing explains, and nights without any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta

from rebalancer.domain.trading_sessions import trading_day
from rebalancer.health.readiness import Check
from rebalancer.ledger import flex_queries, statements
from rebalancer.ledger.flex_queries import QueryView
from rebalancer.ledger.session import Session
from rebalancer.ledger.statements import StatementView
from rebalancer.services import Services

LONGEST = timedelta(days=5)
"""From a statement's day to the next one's: a weekend with holidays around it."""


def queries(services: Services, session: Session) -> list[QueryView]:
    """Those of the settings that were ever asked for."""
    named = [one.query_id for one in services.settings.statements.flex_queries]
    return list(flex_queries.everything(session, named).values()) if named else []


def remarks(services: Services, session: Session, now: datetime | None = None) -> list[Check]:
    """Each as a remark; nothing while statements are off."""
    if not services.settings.statements.flex_queries:
        return []
    today = trading_day(now or datetime.now(UTC))
    asked = queries(services, session)
    found = [
        Check(f"no statement of query {one.query_id}", True, one.problem, warning=True)
        for one in asked
        if one.problem is not None
    ]
    if any(one.read_at is not None for one in asked):
        active = [one.account_id for one in services.accounts().active(services.settings.broker.trading_mode)]
        newest = statements.newest_of(session, active)
        found += (check for account_id in active for check in _of_account(account_id, newest, today - LONGEST))
    return found


def _of_account(account_id: str, found: Mapping[str, StatementView], oldest: date) -> Iterator[Check]:
    newest = found.get(account_id)
    if newest is None:
        yield Check(f"no statement has account {account_id}", True, "add it to the query", warning=True)
        return
    if newest.unexplained:
        first = next(one for one in newest.differences if not one.kind.explained)
        yield Check(
            f"the statement of {account_id} of {newest.last} differs from the ledger",
            True,
            f"{first.kind}: {first.text}; `rebalancer statements --account {account_id}` has all",
            warning=True,
        )
    if newest.last < oldest:
        why = "the query no longer has the account, or IBKR is late: see docs/statements.md"
        yield Check(f"the newest statement of {account_id} is of {newest.last}", True, why, warning=True)
