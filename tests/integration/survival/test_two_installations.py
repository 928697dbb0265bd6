"""One installation trades an account: another one is told, by the gateway, by the orders at the broker, before it sends
anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from rebalancer.domain.commands import Command
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.order_refs import LONGEST, OrderRef
from rebalancer.domain.portfolio import OrderType
from rebalancer.health import readiness
from rebalancer.health.readiness import Check
from rebalancer.ibkr.turn import client_id_of
from rebalancer.ledger import halts, installations
from rebalancer.ledger.models import Event, HaltRow, InstallationRow, NoticeRow
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.states import EventState
from rebalancer.runner.servers import RunningServer
from rebalancer.usecases import print_rebalance
from sandbox.allocations.server import AllocationsServer
from tests.conftest import empty
from tests.integration.ibkr.serving import connected, order, until
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.harness import ACCOUNT, Bench, ends_on_target, when_orders_arrive
from tests.integration.survival.installations import elsewhere, second_ledger, trial

SEEDS = int(os.environ.get("TWO_INSTALLATIONS_SEEDS", "2"))
TURNS = os.environ.get("TWO_INSTALLATIONS_TURNS", "on") == "on"
OTHERS = ["0123456789ab-1-01-deadbeef", "0123456789ab-1-01"]
"""Of another installation, and of one of before installations had an identity."""


@pytest.fixture(scope="module")
def far_ledger(postgres: RunningServer) -> Iterator[Ledger]:
    made = second_ledger(postgres.url)
    yield made
    made.close()


@pytest.fixture
def far(far_ledger: Ledger) -> Ledger:
    """The ledger of another installation."""
    empty(far_ledger)
    return far_ledger


def kinds(ledger: Ledger) -> list[str]:
    with ledger.begin() as session:
        return list(session.scalars(select(NoticeRow.kind)))


def standing(here: Bench) -> Check:
    """What page, doctor and `/readyz` say, and what people are told when it lasts."""
    with here.ledger.begin() as session:
        return readiness.alone(session)


def identity(ledger: Ledger) -> str:
    with ledger.begin() as session:
        return installations.current(session)


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_two_installations_and_one_signal_never_go_beyond_the_targets(
    seed: int, tmp_path: Path, ledger: Ledger, far: Ledger, allocations: AllocationsServer
) -> None:
    found = trial(seed, tmp_path, (ledger, far), allocations, turns=TURNS)
    sys.stderr.write(f"{found}\n")
    assert found.wrong == ()
    assert sum(found.traded.values()) == 6, "each account was traded by one"
    assert found.stopped == 6, "and the other was stopped"


def test_orders_of_another_installation_hold_the_account_until_a_person_resumes(here: Bench, far: Ledger) -> None:
    other = elsewhere(here, far)
    try:
        assert other.rebalance().state is EventState.SUCCEEDED
        theirs = other.refs
        event_id = here.request()
        outcome = here.attempt(event_id)
        assert outcome.state is EventState.HELD
        assert outcome.error.startswith(f"halted: {ACCOUNT} by other installation")
        assert "other_installation" in outcome.error
        assert min(theirs) in outcome.error
        assert here.refs == theirs
        assert NoticeKind.OTHER_INSTALLATION in kinds(here.ledger)
        seen = standing(here)
        assert not seen.ok
        assert f"another installation trades {ACCOUNT}: order {min(theirs)} and" in seen.detail
        with here.ledger.begin() as session:
            assert halts.resume(session, ACCOUNT, "ann") == [event_id]
        assert here.attempt(event_id).state is EventState.SUCCEEDED, "a person has looked"
        assert here.positions == here.wanted
        assert standing(here).ok
    finally:
        other.close()


@pytest.mark.parametrize("ref", OTHERS)
def test_working_orders_of_another_installation_are_not_cancelled(here: Bench, ref: str) -> None:
    far_away = order(
        ref, account_id=ACCOUNT, order_type=OrderType.LIMIT, limit_price=Decimal(10), quantity=1, contract_id=1000
    )
    with connected(here.served, client_id=55) as stranger:
        updates = stranger.execute([far_away], 20, lambda: None)
        next(updates)
        until(lambda: here.refs == [ref])
        outcome = here.rebalance()
        assert outcome.state is EventState.HELD
        assert ref in outcome.error
        assert [one.order_ref for one in stranger.open_orders(ACCOUNT)] == [ref]
        assert here.refs == [ref]
        updates.close()  # type: ignore[attr-defined]


def test_a_dry_run_says_it(here: Bench, far: Ledger) -> None:
    other = elsewhere(here, far)
    try:
        other.rebalance()
        outcome = here.attempt(here.request(Command.PRINT_REBALANCE), print_rebalance)
        assert outcome.result is not None
        assert "other_installation" in [one["rule"] for one in outcome.result["rules"]]
        assert other.refs[0] in str(outcome.result["rules"])
    finally:
        other.close()


def test_an_account_that_another_client_trades_is_asked_for_again(here: Bench) -> None:
    with connected(here.served, client_id=client_id_of(ACCOUNT)) as other:
        other.managed_accounts()
        outcome = here.rebalance()
        assert outcome.state is EventState.HELD
        assert outcome.error.startswith("other_installation: ")
        assert "326" in outcome.error
        assert here.refs == []
        seen = standing(here)
        assert not seen.ok
        assert f"another client trades {ACCOUNT} at this moment" in seen.detail
    with here.ledger.begin() as session:
        session.execute(update(Event).values(due_at=_ago(1)))
    ends_on_target(here)


def test_without_account_turns_no_second_connection_is_made(here: Bench) -> None:
    here.patience(account_turns=False)
    with connected(here.served, client_id=client_id_of(ACCOUNT)) as other:
        other.managed_accounts()
        ends_on_target(here)


def test_the_turn_is_given_back_at_once(here: Bench) -> None:
    for _ in range(3):
        assert here.rebalance().state is EventState.SUCCEEDED

    def given_back() -> bool:
        return client_id_of(ACCOUNT) not in here.served.do(lambda gateway: list(gateway._clients))

    until(given_back)  # the gateway hears of it a moment later


def test_a_turn_that_is_lost_is_taken_again_before_the_next_order(benches: MakeBench) -> None:
    with benches(fills={"mode": "delayed", "delay_ms": 300}) as here:
        here.aim()
        when_orders_arrive(here, 1, lambda _gateway: lose_the_turn(here))
        ends_on_target(here)


def lose_the_turn(here: Bench) -> None:
    """As when the gateway closes that connection alone."""
    for session in here.link._beside.values():
        here.link.post(partial(session.drop, "lost"))


def test_refs_name_the_installation_and_are_short(here: Bench) -> None:
    here.rebalance()
    assert here.refs
    for text in here.refs:
        ref = OrderRef.read(text)
        assert ref is not None
        assert (str(ref), ref.installation) == (text, identity(here.ledger))
        assert len(text) <= LONGEST


def test_a_ledger_that_was_copied_elsewhere_has_another_identity(here: Bench) -> None:
    here.rebalance()
    before = identity(here.ledger)
    with here.ledger.begin() as session:
        session.execute(update(InstallationRow).values(place="where it came from"))
    assert identity(here.ledger) != before
    assert identity(here.ledger) == identity(here.ledger)
    assert here.rebalance().state is EventState.SUCCEEDED, "orders on record stay ours"


def test_whoever_we_were_before_the_restore_is_another_if_it_still_trades(here: Bench, far: Ledger) -> None:
    """A new server was restored from a backup, and the old one goes on."""
    with here.ledger.begin() as session:
        session.execute(delete(InstallationRow))
        session.add(InstallationRow(identity=identity(far), place="there", retired_at=None, made_at=_ago(2)))
        session.add(HaltRow(scope="all", reason="restored", by="restore", since=_ago(1)))
        session.flush()
        assert installations.current(session) != identity(far)
        halts.resume(session, "all", "ann")
    other = elsewhere(here, far)
    try:
        other.rebalance()
        outcome = here.rebalance()
        assert outcome.state is EventState.HELD
        assert "other_installation" in outcome.error
    finally:
        other.close()


def _ago(hours: int) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)
