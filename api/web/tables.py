"""Tables for other programs, as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import Response, StreamingResponse

from api.auth import IsKnown, MayRead
from api.state import ServicesOf
from api.values import AccountFilter
from api.web.days import Day, begin_of
from rebalancer.ledger.queries import exports
from rebalancer.ledger.queries.account_returns import account_returns
from rebalancer.ledger.queries.exports import Export, Part
from rebalancer.ledger.queries.spans import Span
from rebalancer.ledger.session import Ledger
from rebalancer.returns import table as returns_table

router = APIRouter(include_in_schema=False)

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a text begins that a spreadsheet would take for a formula."""
PIECE = 64_000
"""Characters that are sent at once: to send each row costs a hundred times what it takes to write it."""


def _part(account_id: AccountFilter = None, since: Day = None, until: Day = None) -> Part:
    """Days are of UTC, the last one included."""
    return Part(account_id, begin_of(since), begin_of(until, timedelta(days=1)))


Chosen = Annotated[Part, Depends(_part)]


@router.get("/csv/fills")
def fills_csv(services: ServicesOf, allowed: MayRead, part: Chosen) -> Response:
    """Every fill."""
    if not allowed:
        raise HTTPException(403, "Not authenticated")
    return _csv(services.ledger, "fills", exports.FILLS, part)


@router.get("/csv/orders")
def orders_csv(services: ServicesOf, allowed: MayRead, part: Chosen) -> Response:
    """Every order."""
    if not allowed:
        raise HTTPException(403, "Not authenticated")
    return _csv(services.ledger, "orders", exports.orders(services.ledger), part)


@router.get("/csv/audit")
def audit_csv(services: ServicesOf, known: IsKnown, part: Chosen) -> Response:
    """Every change that was asked for."""
    if not known:
        raise HTTPException(403, "Not authenticated")
    return _csv(services.ledger, "audit", exports.AUDIT, part)


@router.get("/csv/returns")
def returns_csv(services: ServicesOf, allowed: MayRead, part: Chosen) -> Response:
    """Strategy, parts of the gap and account, of each account that has something to measure."""
    if not allowed:
        raise HTTPException(403, "Not authenticated")
    accounts = [one.account_id for one in services.accounts() if part.account_id in (None, one.account_id)]
    with services.ledger.begin() as session:
        found = [account_returns(session, one, Span(part.since, part.until)) for one in accounts]
    lines = [line for one in found if one is not None for line in returns_table.lines(one)]
    return csv_file("returns", returns_table.HEAD, iter(lines))


def _csv(ledger: Ledger, name: str, export: Export, part: Part) -> StreamingResponse:
    return csv_file(name, export.head, exports.rows(ledger, export, part))


def csv_file(name: str, head: Sequence[str], found: Iterator[Sequence[Any]]) -> StreamingResponse:
    """A file that a spreadsheet opens, row by row as they are found."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(_lines(head, found), headers=headers, media_type="text/csv")


def _lines(head: Sequence[str], found: Iterator[Sequence[Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(head)
    for row in found:
        writer.writerow([cell(value) for value in row])
        if buffer.tell() >= PIECE:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def cell(value: object) -> str:
    """A value as text; one that a spreadsheet would run begins with an apostrophe, numbers do not."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    text = value if isinstance(value, str) else json.dumps(value) if isinstance(value, dict | list) else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA) else text
