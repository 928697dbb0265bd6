"""Orders that a restored ledger has lost come back from the broker, whatever state they were in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, update

from rebalancer.domain.claims import Claim
from rebalancer.domain.rebalance_kinds import RebalanceKind
from rebalancer.ledger import halts
from rebalancer.ledger.installations import RESTORE
from rebalancer.ledger.models import Attempt, Event, FillRow, HaltRow, InstallationRow, Order, OrderReport, SnapshotRow
from rebalancer.ledger.queries import trading_activity
from rebalancer.ledger.recovered_orders import REASON
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.states import EventState
from tests.conftest import empty
from tests.integration.survival.conftest import MakeBench, allocations, benches
from tests.integration.survival.harness import ACCOUNT, Bench

__all__ = ["allocations", "benches"]  # fixtures


def forget_orders(ledger: Ledger) -> None:
    """The backup was made when the event was active and had sent nothing; its numbers go on elsewhere."""
    with ledger.begin() as session:
        for model in (FillRow, OrderReport, Order, SnapshotRow, Attempt):
            session.execute(delete(model))
        session.execute(
            update(Event).values(state="retrying", finished_at=None, lease_until=None, worker=None, attempt=1000)
        )


def restored(ledger: Ledger, *, ago: timedelta = timedelta()) -> None:
    """A person has looked and resumed."""
    with ledger.begin() as session:
        halts.halt(session, halts.EVERYTHING, "restored from a backup", RESTORE)
        session.execute(update(HaltRow).values(since=datetime.now(UTC) - ago))
        halts.resume(session, halts.EVERYTHING, "me")


def lose(ledger: Ledger) -> None:
    """The backup was made before all of it; who made it is in there."""
    with ledger.begin() as session:
        identity, place = session.execute(select(InstallationRow.identity, InstallationRow.place)).one()
    empty(ledger)
    with ledger.begin() as session:
        session.add(InstallationRow(identity=identity, place=place, made_at=datetime.now(UTC) - timedelta(days=1)))


def found(here: Bench) -> list[Order]:
    with here.ledger.begin() as session:
        return list(session.scalars(select(Order).where(Order.reason == REASON)))


def test_an_events_own_orders_count_as_its_work(benches: MakeBench) -> None:
    with benches() as here:
        here.aim()
        event_id = here.request()
        here.attempt(event_id)
        sent = here.refs
        forget_orders(here.ledger)
        restored(here.ledger)
        assert here.attempt(event_id).state is EventState.SUCCEEDED
        assert here.refs == sent, "nothing was left to do"
        assert {order.event_id for order in found(here)} == {event_id}
        here.prove_books()


def test_orders_of_an_event_that_is_lost_too_count_as_the_days_trading(benches: MakeBench) -> None:
    with benches() as here:
        here.aim()
        here.rebalance()
        sent = here.refs
        lose(here.ledger)
        restored(here.ledger)
        event_id = here.request()
        here.attempt(event_id)
        assert here.refs == sent
        assert sorted(order.order_ref for order in found(here)) == sorted(sent)
        here.prove_books()
        with here.ledger.begin() as session:
            (lost,) = {order.event_id for order in found(here)}
            assert session.get_one(Event, lost).reason == REASON
            today = trading_activity.traded_since(session, ACCOUNT, datetime.now(UTC) - timedelta(hours=1))
            assert today.orders == len(sent)
            claim = session.get_one(Event, event_id)
            assert trading_activity.last_rebalance(session, _claim(claim)) is not None


def _claim(event: Event) -> Claim:
    return Claim(event.id, 1, event.account_id, event.command, "", RebalanceKind(), 1, 1, 0, 0, False, False, "w")  # type: ignore[arg-type]


def test_orders_that_still_work_are_found_cancelled_and_settled(benches: MakeBench) -> None:
    """The machine died while they were filling."""
    slow = {"mode": "partial", "delay_ms": 100, "interval_ms": 60_000}
    with benches(fills=slow) as here:
        here.attempt(event_id := here.request())
        here.crash()
        forget_orders(here.ledger)
        restored(here.ledger)
        here.attempt(event_id)
        assert found(here)
        assert all(order.final_at for order in found(here))
        here.prove_books()


def test_without_a_restore_orders_that_are_not_on_record_are_another_installations(benches: MakeBench) -> None:
    """A ledger that was begun anew, or restored by other means: a person says that it is so."""
    with benches() as here:
        here.rebalance()
        lose(here.ledger)
        outcome = here.rebalance()
        assert outcome.state is EventState.HELD
        assert "other_installation" in outcome.error
        restored(here.ledger, ago=timedelta(days=8))
        with here.ledger.begin() as session:
            halts.resume(session, ACCOUNT, "me")
        assert here.rebalance().state is EventState.SUCCEEDED
        assert found(here) == []
