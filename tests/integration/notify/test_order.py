"""Whatever happens in whatever order: no fact lost, none sent twice, each account's in its order, but for what the
service refused again and again.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, update

from rebalancer.domain.notices import NoticeKind, Severity
from rebalancer.ledger import outbox
from rebalancer.ledger.models import DeliveryRow, NoticeRow
from rebalancer.ledger.outbox import MOST, Claimed
from rebalancer.ledger.session import Ledger
from rebalancer.notify.routing import Routes, route

DAY = timedelta(days=1)
ROUTES = Routes(("phone", "mail"), Severity.INFO, DAY)
STEP = st.sampled_from(
    [
        *[("tell", "A", NoticeKind.ATTENTION)] * 4,
        ("tell", "B", NoticeKind.HELD),
        ("tell", None, NoticeKind.HELD),
        *[("claim", "phone")] * 3,
        *[(step, "phone") for step in ("sent", "failed", "later")],
    ]
)


class Senders:
    """Two senders' view: what they have claimed, and what each target has received."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.told: list[tuple[str | None, int]] = []
        self.received: dict[str, list[tuple[str | None, int]]] = {"phone": [], "mail": []}
        self.failures: Counter[int] = Counter()
        self.claimed: dict[str, list[Claimed]] = {"phone": [], "mail": []}

    def tell(self, account: str | None, kind: NoticeKind) -> None:
        number = len(self.told)
        with self.ledger.begin() as session:
            outbox.tell(session, kind, account, number=number)
            outbox.route_new(session, lambda notice: route(notice, ROUTES))
        self.told.append((account, number))

    def claim(self, target: str) -> bool:
        with self.ledger.begin() as session:
            found = outbox.claim(session, target, DAY)
        if found is not None:
            assert 1 <= len(found.notices) <= MOST
            assert len({notice.account_id for notice in found.notices}) == 1
            self.claimed[target].append(found)
        return found is not None

    def sent(self, target: str) -> None:
        if self.claimed[target]:
            done = self.claimed[target].pop()
            self.received[target] += [(one.account_id, one.detail["number"]) for one in done.notices]
            with self.ledger.begin() as session:
                outbox.sent(session, done)

    def failed(self, target: str) -> None:
        if self.claimed[target]:
            refused = self.claimed[target].pop()
            self.failures.update(one.detail["number"] for one in refused.notices)
            with self.ledger.begin() as session:
                outbox.failed(session, refused, "no", DAY)

    def later(self, target: str) -> None:
        """Windows and pauses have passed."""
        with self.ledger.begin() as session:
            session.execute(update(DeliveryRow).where(DeliveryRow.target == target).values(due_at=func.now()))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=10, max_size=60))
def test_nothing_is_lost_doubled_or_overtaken(ledger: Ledger, steps: list[tuple[str, ...]]) -> None:
    with ledger.begin() as session:
        session.execute(delete(DeliveryRow))
        session.execute(delete(NoticeRow))
    senders = Senders(ledger)
    for step, *arguments in steps:
        getattr(senders, step)(*arguments)
    for target in ("phone", "mail"):
        while senders.claimed[target]:
            senders.sent(target)
        senders.later(target)
        while senders.claim(target):
            senders.sent(target)
        received = senders.received[target]
        assert sorted(received, key=lambda one: one[1]) == senders.told
        for account in ("A", "B", None):
            willing = [one for one in received if senders.failures[one[1]] < outbox.TRIES_TOGETHER]
            mine = [number for name, number in willing if name == account]
            assert mine == sorted(mine)
