"""Days as they are typed: of UTC, the last one included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from rebalancer.ledger.queries.spans import Span

_FORMS = ["%Y-%m-%d"]
Since = Annotated[datetime | None, typer.Option("--from", formats=_FORMS, help="First day, of UTC.")]
Until = Annotated[datetime | None, typer.Option("--to", formats=_FORMS, help="Last day, of UTC.")]


def span_of(since: datetime | None, until: datetime | None) -> Span:
    """From the beginning of the first day to the end of the last."""
    begin = None if since is None else since.replace(tzinfo=UTC)
    return Span(begin, None if until is None else until.replace(tzinfo=UTC) + timedelta(days=1))
