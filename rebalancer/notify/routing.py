"""Who is told of a fact, and when at the latest; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from rebalancer.domain.notices import Delivery, Notice, NoticeKind, Severity, Subscription

EVERYBODY = ""
"""Box of facts that concern no single account."""
DIGESTS = "digest"
"""Box in which a day's digests of all accounts meet."""
REPORTS = frozenset({NoticeKind.DIGEST, NoticeKind.LETTER})
"""They go to all of an account's targets, whatever severity these ask for, and wait for no company."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Where facts go.

    Attributes:
        targets: names of all.
        severity: least one, where an account says nothing else.
        window: how long information waits for company.
    """

    targets: tuple[str, ...]
    severity: Severity
    window: timedelta
    subscriptions: Mapping[str, Subscription] = field(default_factory=dict)


def route(notice: Notice, routes: Routes) -> Sequence[Delivery]:
    """One delivery per target that is told."""
    subscription = routes.subscriptions.get(notice.account_id or "", Subscription())
    least = subscription.severity or routes.severity
    is_report = notice.kind in REPORTS
    if notice.severity.rank < least.rank and not is_report:
        return ()
    waits = notice.severity is Severity.INFO and not is_report
    due_at = notice.at + routes.window if waits else notice.at
    told = (name for name in routes.targets if subscription.to is None or name in subscription.to)
    return [Delivery(name, _box(notice), due_at) for name in told]


def _box(notice: Notice) -> str:
    """Whose messages it travels with; letters about one period meet as digests do."""
    if notice.kind is NoticeKind.LETTER:
        return f"letter {notice.detail['period']}"
    return DIGESTS if notice.kind is NoticeKind.DIGEST else notice.account_id or EVERYBODY
