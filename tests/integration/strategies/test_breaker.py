"""The same refusal in several accounts holds their strategy, with one notice."""

from __future__ import annotations

from sqlalchemy import select

from rebalancer.domain.notices import NoticeKind
from rebalancer.ledger.models import Event
from rebalancer.operations import strategy_holds as operations
from tests.integration.strategies.conftest import STRATEGY, Desk
from tests.world import until

ACCOUNTS = {f"DU100000{number}": "" for number in (1, 2, 3, 5)}
BREAKER = "breaker_accounts: 2"
HALF = {"SPY": 0.3, "QQQ": 0.2}
WHOLE = {"SPY": 0.5, "QQQ": 0.5}


def all_held(desk: Desk) -> bool:
    desk.beat()
    with desk.world.ledger.begin() as session:
        return [*session.scalars(select(Event.rule))] == ["breaker"] * len(ACCOUNTS)


def test_two_accounts_that_are_refused_by_the_same_rule_hold_all(desk: Desk) -> None:
    desk.configure(ACCOUNTS, BREAKER)
    desk.world.allocations.publish(STRATEGY, HALF)
    desk.world.start_worker()
    events = desk.signal()
    until(lambda: all_held(desk), 60, lambda: str([desk.world.event(one) for one in events.values()]))
    (hold,) = desk.holds()
    assert hold.reasons[0].startswith("allocations_sum refuses DU100000")
    assert hold.waiting == tuple(ACCOUNTS)
    assert desk.told() == [NoticeKind.FAILING, NoticeKind.STRATEGY_HELD]
    assert f"`rebalancer release {hold.id}`" in desk.world.event(events["DU1000005"]).reason

    desk.world.allocations.publish(STRATEGY, WHOLE)
    assert operations.release(desk.services, hold.id, "Ada") == len(ACCOUNTS)
    for event_id in events.values():
        desk.until(event_id, "succeeded")
    assert desk.ended() == [("released", "Ada")]
    assert NoticeKind.ATTENTION not in desk.told()


def test_a_new_signal_ends_it_and_is_tried_afresh(desk: Desk) -> None:
    desk.configure(ACCOUNTS, BREAKER)
    desk.world.allocations.publish(STRATEGY, HALF)
    desk.world.start_worker()
    events = desk.signal()
    until(lambda: all_held(desk), 60, lambda: str([desk.world.event(one) for one in events.values()]))
    desk.world.allocations.publish(STRATEGY, WHOLE)
    assert desk.signal() == events
    for event_id in events.values():
        desk.until(event_id, "succeeded")
    assert desk.ended() == [("superseded", "a newer signal")]


def test_without_a_breaker_each_account_is_told_of_by_itself(desk: Desk) -> None:
    desk.configure(ACCOUNTS, "")
    desk.world.allocations.publish(STRATEGY, HALF)
    desk.world.start_worker()
    for event_id in desk.signal().values():
        until(lambda event_id=event_id: desk.world.event(event_id).last_error is not None)  # type: ignore[misc]
    assert desk.told().count(NoticeKind.FAILING) == len(ACCOUNTS)
    assert desk.ended() == []


def test_what_is_wrong_with_one_account_holds_no_other(desk: Desk) -> None:
    """Neither manages the other's login: a rule that says nothing of the strategy."""
    desk.configure({"DU1999998": "", "DU1999999": "", "DU1000001": ""}, BREAKER)
    desk.world.start_worker()
    events = desk.signal()
    desk.until(events["DU1000001"], "succeeded")
    for account in ("DU1999998", "DU1999999"):
        until(lambda account=account: desk.world.event(events[account]).last_error is not None)  # type: ignore[misc]
        assert desk.world.event(events[account]).rule == "account_not_managed"
    assert desk.ended() == []
