"""A run of an account that follows several strategies: what it buys, what it says, and what stops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from rebalancer.domain.accounts import Member, StaleMember, blend_name
from rebalancer.domain.errors import AllocationsUnavailable, RebalancerError, Refused
from rebalancer.domain.portfolio import Targets, TargetWeight
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import Ratio
from rebalancer.usecases import RunContext, print_rebalance, rebalance
from tests.integration.usecases.conftest import Desk
from tests.memory_record import MemoryRun, claim

TODAY = datetime.now(UTC).date()
MEMBERS = (Member("a", Ratio(Decimal("0.6"))), Member("b", Ratio(Decimal("0.4"))))


@dataclass
class Strategies:
    """What each strategy says when it is asked."""

    weights: dict[str, dict[str, str]] = field(
        default_factory=lambda: {"a": {"SPY": "0.5", "GLD": "0.5"}, "b": {"SPY": "0.25", "TLT": "0.75"}}
    )
    days: dict[str, date] = field(default_factory=dict)
    silent: dict[str, RebalancerError] = field(default_factory=dict)
    then: Callable[[str], None] = lambda _strategy: None

    def fetch(self, strategy: str) -> Targets:
        self.then(strategy)
        if strategy in self.silent:
            raise self.silent[strategy]
        weights = tuple(TargetWeight(symbol, Ratio(Decimal(one))) for symbol, one in self.weights[strategy].items())
        return Targets(strategy, weights, self.days.get(strategy, TODAY))


@pytest.fixture
def strategies() -> Strategies:
    return Strategies()


@pytest.fixture
def blended(here: Desk, strategies: Strategies) -> Callable[..., RunContext]:
    def context(run: MemoryRun, stale: StaleMember = StaleMember.REFUSE) -> RunContext:
        plain = here.context(run)
        rules = replace(plain.account.rules, stale_member=stale)
        account = replace(plain.account, strategy=blend_name(MEMBERS), members=MEMBERS, rules=rules)
        return replace(plain, account=account, targets=strategies)

    return context


def test_an_account_holds_the_weighted_sum_and_the_record_says_who_wants_what(
    here: Desk, blended: Callable[..., RunContext]
) -> None:
    preview = print_rebalance(blended(claim(here.ledger)))
    run = here.claim()
    result = rebalance(blended(run))
    assert isinstance(result, dict)
    assert {one["symbol"] for one in preview["orders"]} == {one["symbol"] for one in result["orders"]}
    worth = {symbol: shares * 100 for symbol, shares in here.positions.items() if shares}
    equity = sum(worth.values()) / Decimal("0.99")
    for symbol, weight in {"SPY": "0.4", "GLD": "0.3", "TLT": "0.3"}.items():
        assert worth[symbol] / equity == pytest.approx(Decimal(weight) * Decimal("0.99"), abs=Decimal("0.005"))
    targets = here.ledger.inputs[run.claim.event_id, 1]["targets"]
    assert {symbol: Decimal(one) for symbol, one in targets["weights"].items()} == {
        "GLD": Decimal("0.3"),
        "SPY": Decimal("0.4"),
        "TLT": Decimal("0.3"),
    }
    assert {name: (one["share"], one["as_of"]) for name, one in targets["members"].items()} == {
        "a": ("0.6", TODAY.isoformat()),
        "b": ("0.4", TODAY.isoformat()),
    }
    assert "moved" not in targets, "there is nothing before it"


def test_the_event_says_which_member_moved_what(
    here: Desk, blended: Callable[..., RunContext], strategies: Strategies
) -> None:
    run = here.claim()
    rebalance(blended(run))
    here.ledger.succeed(run)
    strategies.weights["b"] = {"SPY": "0.5", "TLT": "0.5"}
    again = here.claim()
    rebalance(blended(again))
    moved = here.ledger.inputs[again.claim.event_id, 1]["targets"]["moved"]
    assert {symbol: Decimal(by) for symbol, by in moved["b"].items()} == {"SPY": Decimal("0.1"), "TLT": Decimal("-0.1")}
    assert moved["a"] == {}


def went_away(strategies: Strategies) -> None:
    strategies.silent["b"] = AllocationsUnavailable("HTTP 500")


def grew_old(strategies: Strategies) -> None:
    strategies.days["b"] = TODAY - timedelta(days=400)


def shrank(strategies: Strategies) -> None:
    strategies.weights["b"] = {"SPY": "0.25"}


STALE = pytest.mark.parametrize(
    ("becomes_stale", "why"),
    [(went_away, "b: HTTP 500"), (grew_old, "b: the targets are of"), (shrank, "b: the target weights sum to 0.25")],
)


@STALE
def test_a_stale_member_stops_the_run_before_the_first_order(
    here: Desk,
    blended: Callable[..., RunContext],
    strategies: Strategies,
    becomes_stale: Callable[[Strategies], None],
    why: str,
) -> None:
    run = here.claim()
    rebalance(blended(run))
    here.ledger.succeed(run)
    sent = here.refs
    becomes_stale(strategies)
    with pytest.raises((AllocationsUnavailable, Refused), match=why):
        rebalance(blended(here.claim()))
    assert here.refs == sent


@STALE
def test_a_frozen_member_stays_as_it_was_at_the_last_rebalance_and_that_is_told(
    here: Desk,
    blended: Callable[..., RunContext],
    strategies: Strategies,
    becomes_stale: Callable[[Strategies], None],
    why: str,
) -> None:
    run = here.claim()
    rebalance(blended(run, StaleMember.FREEZE))
    here.ledger.succeed(run)
    becomes_stale(strategies)
    strategies.weights["a"] = {"SPY": "0.4", "GLD": "0.6"}
    again = here.claim()
    result = rebalance(blended(again, StaleMember.FREEZE))
    assert isinstance(result, dict)
    (told,) = result["frozen"]
    assert told.startswith(f"b is taken as at the last rebalance (as of {TODAY})")
    assert why in told
    assert told in result["notes"]
    targets = here.ledger.inputs[again.claim.event_id, 1]["targets"]
    assert targets["members"]["b"]["weights"] == {"SPY": "0.25", "TLT": "0.75"}
    assert targets["moved"]["b"] == {}
    assert targets["moved"]["a"] == {"GLD": "0.06", "SPY": "-0.06"}
    preview = print_rebalance(blended(claim(here.ledger), StaleMember.FREEZE))
    assert preview["orders"] == []
    assert preview["frozen"] == [told]


@STALE
def test_nothing_is_frozen_that_was_in_no_rebalance(
    here: Desk,
    blended: Callable[..., RunContext],
    strategies: Strategies,
    becomes_stale: Callable[[Strategies], None],
    why: str,
) -> None:
    becomes_stale(strategies)
    with pytest.raises((AllocationsUnavailable, Refused), match=why):
        rebalance(blended(here.claim(), StaleMember.FREEZE))
    assert here.refs == []


def test_a_member_that_changes_between_sells_and_buys_stops_the_buys(
    here: Desk, blended: Callable[..., RunContext], strategies: Strategies
) -> None:
    def changed(_strategy: str) -> None:
        if here.refs:
            strategies.weights["b"] = {"TLT": "1"}

    strategies.then = changed
    with pytest.raises(Refused) as refused:
        rebalance(blended(here.claim()))
    assert refused.value.rule is Rule.ALLOCATIONS_CHANGED
    assert {order.request.side for order in here.ledger.orders.values()} == {"SELL"}


def test_a_member_that_falls_silent_between_sells_and_buys_stands(
    here: Desk, blended: Callable[..., RunContext], strategies: Strategies
) -> None:
    def silent(_strategy: str) -> None:
        if here.refs:
            strategies.silent["b"] = AllocationsUnavailable("HTTP 500")

    strategies.then = silent
    result = rebalance(blended(here.claim()))
    assert isinstance(result, dict)
    assert {order["action"] for order in result["orders"]} == {"SELL", "BUY"}
    assert "frozen" not in result
