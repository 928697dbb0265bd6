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
    """One delivery per target that is told; a digest goes to all of an account's targets, whatever its severity."""
    subscription = routes.subscriptions.get(notice.account_id or "", Subscription())
    least = subscription.severity or routes.severity
    is_digest = notice.kind is NoticeKind.DIGEST
    if notice.severity.rank < least.rank and not is_digest:
        return ()
    box = DIGESTS if is_digest else notice.account_id or EVERYBODY
    waits = notice.severity is Severity.INFO and not is_digest
    due_at = notice.at + routes.window if waits else notice.at
    return [
        Delivery(name, box, due_at) for name in routes.targets if subscription.to is None or name in subscription.to
    ]
