"""Accounts of one strategy, a worker, and what beat does for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from redis import Redis
from sqlalchemy import select

from rebalancer.domain.commands import Command
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.strategy_holds import HoldState, StrategyHold
from rebalancer.ledger import outbox, strategy_holds
from rebalancer.ledger.models import NoticeRow, StrategyHoldRow
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.operations.strategy_holds import StrategyWatch
from rebalancer.runner.servers import RunningServer
from rebalancer.services import Services
from tests.integration.ibkr.serving import Script
from tests.world import World, until, world

STRATEGY = "etf-blend-301-20"
GUARD = "canary: {}"


@dataclass
class Desk:
    """A strategy with several accounts, as listener, worker, beat and its owner see them."""

    world: World
    services: Services
    watch: StrategyWatch
    gateway: Script

    def configure(self, accounts: Mapping[str, str], guard: str = GUARD) -> None:
        """Accounts with their own rules, and what guards their strategy."""
        entries = (
            f"  - {{account_id: {account}, type: paper, strategy_name: {STRATEGY}{rule}}}\n"
            for account, rule in accounts.items()
        )
        guards = f"strategies:\n  {STRATEGY}: {{{guard}}}\n" if guard else ""
        Path(self.world.environment["ACCOUNTS_FILE"]).write_text(f"accounts:\n{''.join(entries)}{guards}")

    def signal(self, command: Command = Command.REBALANCE) -> dict[str, UUID]:
        """One message of the strategy; the events that serve it by account."""
        following = self.services.accounts().following(STRATEGY, self.services.settings.broker.trading_mode)
        signal = NewSignal(STRATEGY, uuid4().hex, command, {"exec": command})
        recorded = self.services.dispatcher.submit(signal, [Addressee.of(one, STRATEGY) for one in following])
        return {one.account_id: one.event_id for one in recorded.served}

    def beat(self, *, judged: bool = True) -> None:
        """One look at everything that beat looks at, but for canaries where that is said."""
        if judged:
            self.watch.look()
        self.services.dispatcher.release()
        self.services.dispatcher.publish_due()

    def until(
        self, event_id: UUID, state: str, rule: str | None = None, deadline_s: float = 60, *, judged: bool = True
    ) -> None:
        def reached() -> bool:
            self.beat(judged=judged)
            seen = self.world.event(event_id)
            return seen.state == state and (rule is None or seen.rule == rule)

        until(reached, deadline_s, lambda: f"{self.world.event(event_id)} {self.holds()}")

    def state(self, event_id: UUID) -> str:
        return self.world.event(event_id).state

    def holds(self) -> list[StrategyHold]:
        with self.world.ledger.begin() as session:
            return strategy_holds.in_force(session)

    def asked(self) -> StrategyHold:
        """The only question there is, once it is asked."""

        def is_asked() -> bool:
            self.beat()
            return [one.state for one in self.holds()] == [HoldState.ASKED]

        until(is_asked, 60, lambda: str(self.holds()))
        return self.holds()[0]

    def ended(self) -> list[tuple[str, str]]:
        """State of every hold so far, and who ended it, in order."""
        with self.world.ledger.begin() as session:
            rows = session.scalars(select(StrategyHoldRow).order_by(StrategyHoldRow.id)).all()
            return [(row.state, row.decided_by or "") for row in rows]

    def told(self) -> list[NoticeKind]:
        """What people were told, in order."""
        with self.world.ledger.begin() as session:
            return [one.notice.kind for one in outbox.recent(session, 200)][::-1]

    def forget_notices(self) -> None:
        with self.world.ledger.begin() as session:
            session.query(NoticeRow).delete()

    def sent(self, account: str) -> int:
        """Orders of the account that have reached the gateway."""
        return self.world.gateway.do(lambda gateway: sum(order.account == account for order in gateway.orders))


@pytest.fixture
def desk(tmp_path: Path, ledger: Ledger, redis_server: RunningServer) -> Iterator[Desk]:
    """Its worker has not begun."""
    Redis.from_url(redis_server.url).flushall()
    gateway = Script()
    with world(tmp_path, ledger, redis_server.url, gateway) as made:
        made.environment["SLOW_RETRY_DELAY_S"] = "1"
        services = Services.of(made.settings)
        yield Desk(made, services, StrategyWatch(services), gateway)
