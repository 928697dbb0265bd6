"""Which plans a person has to see, and what her answer allows: without a broker, over a record in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.config.settings import Settings
from rebalancer.domain.accounts import Account, AccountRules, ApprovalMode, TradingMode
from rebalancer.domain.approvals import Approval, ApprovalState
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.domain.portfolio import AccountSnapshot, Quote, Targets, TargetWeight
from rebalancer.domain.rule_names import Rule
from rebalancer.planning import PlanningRules
from rebalancer.planning.inputs import PlanInputs, plan_of
from rebalancer.risk.exclusions import set_apart
from rebalancer.usecases.approval import SILENCE, require_consent
from rebalancer.usecases.context import NotNow, RunContext
from rebalancer.usecases.decision import Decision
from rebalancer.usecases.observation import GatewayLogin, View
from tests import memory_record
from tests.memory_record import MemoryLedger, MemoryRun

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
TOO_LARGE = ("an order of 9000 USD is larger than 5000 USD",)


class Nobody:
    """Broker and strategy of a use case that must ask neither."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"asked for {name}")


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def run(ledger: MemoryLedger) -> MemoryRun:
    return memory_record.claim(ledger)


def context(
    run: MemoryRun, mode: ApprovalMode = ApprovalMode.MANUAL, clock: Callable[[], datetime] = lambda: NOON
) -> RunContext:
    """A quarter of an hour for an objection, a day for an answer, 2 % for the market to move."""
    account = Account(
        account_id="DU1",
        type=TradingMode.PAPER,
        enabled=True,
        strategy="blend",
        cash_reserve_percent=Decimal(1),
        replacement_set=None,
        pdt_protection_enabled=False,
        rules=AccountRules(approval=mode, approval_wait_minutes=15),
    )
    settings = Settings.from_flat({"approval_expires_h": 24, "approval_max_move_percent": 2})
    made = RunContext.of(settings, run, account, broker=Nobody(), targets=Nobody(), replacements=())
    return replace(made, clock=clock)


def decision(weight: str = "0.9") -> Decision:
    """10000 USD, of which so much is to be in SPY, at 100 USD."""
    snapshot = AccountSnapshot("DU1", NOON, Decimal(10_000), Decimal(10_000), None, None, ())
    weights = (TargetWeight("SPY", Decimal(weight)), TargetWeight("GLD", 1 - Decimal(weight)))
    quotes = {symbol: Quote(symbol, Decimal(100), Decimal(100), NOON) for symbol in ("SPY", "GLD")}
    view = View(
        targets=Targets("blend", weights),
        weights=weights,
        snapshot=snapshot,
        instruments={},
        left_alone={},
        foreign=(),
        open_orders=(),
        refused=(),
        gateway=GatewayLogin("gateway:4002", "abc"),
    )
    left = set_apart(snapshot, weights, quotes, (), {})
    rules = PlanningRules(reserve_fraction=Decimal("0.01"))
    inputs = PlanInputs(snapshot, weights, quotes, rules)
    made = plan_of(inputs).plan
    return Decision(view=view, inputs=inputs, left=left, plan=made, rules=rules, buys_now=made.buys)


def asked(run: MemoryRun) -> Approval:
    found = run.approval()
    assert found is not None
    return found


def held(context: RunContext, decision: Decision, beyond: tuple[str, ...] = ()) -> str:
    """It waits for a person; why."""
    with pytest.raises(NotNow) as told:
        require_consent(context, decision, beyond)
    assert told.value.blocked.rule is Rule.APPROVAL
    return told.value.blocked.reason


def test_who_lets_the_program_trade_alone_is_not_asked(run: MemoryRun) -> None:
    require_consent(context(run, ApprovalMode.AUTO), decision(), ())
    assert run.approval() is None


def test_a_plan_beyond_the_limits_is_put_before_a_person_whoever_trades_alone(run: MemoryRun) -> None:
    assert TOO_LARGE[0] in held(context(run, ApprovalMode.AUTO), decision(), TOO_LARGE)
    assert asked(run).reasons == TOO_LARGE
    assert asked(run).orders == {"SPY": Decimal(8900), "GLD": Decimal(900)}
    assert asked(run).expires_at == NOON + timedelta(hours=24)


def test_nothing_passes_while_a_person_has_not_answered(run: MemoryRun) -> None:
    held(context(run), decision())
    first = asked(run)
    held(context(run), decision())
    assert asked(run) == first, "one question is enough"


def test_an_approved_plan_passes_and_is_marked_as_being_carried_out(run: MemoryRun, ledger: MemoryLedger) -> None:
    held(context(run), decision())
    ledger.decide(run, ApprovalState.APPROVED)
    require_consent(context(run), decision(), ())
    assert (asked(run).state, asked(run).decided_by) == (ApprovalState.USED, "ada")


def test_a_rejected_plan_is_asked_for_anew(run: MemoryRun, ledger: MemoryLedger) -> None:
    held(context(run), decision())
    ledger.decide(run, ApprovalState.REJECTED)
    held(context(run), decision())
    assert asked(run).state is ApprovalState.PENDING


@pytest.mark.parametrize(("weight", "passes"), [("0.9", True), ("0.895", True), ("0.85", False)])
def test_an_approval_is_for_the_plan_that_was_shown(
    run: MemoryRun, ledger: MemoryLedger, weight: str, passes: bool
) -> None:
    held(context(run), decision())
    ledger.decide(run, ApprovalState.APPROVED)
    if passes:
        require_consent(context(run), decision(weight), ())
    else:
        assert "the plan has moved by" in held(context(run), decision(weight))
        assert asked(run).state is ApprovalState.PENDING


def test_what_is_left_of_a_plan_under_way_needs_no_other_approval(run: MemoryRun, ledger: MemoryLedger) -> None:
    held(context(run), decision())
    ledger.decide(run, ApprovalState.APPROVED)
    require_consent(context(run), decision(), ())
    whole = decision()
    rest = replace(whole, plan=replace(whole.plan, buys=whole.plan.buys[1:]))
    later = memory_record.take_over(ledger, run)
    require_consent(context(later), rest, ())
    held(context(later), decision("0.5"))


def test_silence_is_consent_after_the_wait_where_the_owner_wants_it_so(run: MemoryRun) -> None:
    clock = Clock()
    here = context(run, ApprovalMode.NOTIFY, clock)
    held(here, decision())
    clock.now += timedelta(minutes=14)
    held(here, decision())
    clock.now += timedelta(minutes=1)
    require_consent(here, decision(), ())
    assert (asked(run).state, asked(run).decided_by) == (ApprovalState.USED, SILENCE)


@pytest.mark.parametrize(("mode", "beyond"), [(ApprovalMode.MANUAL, ()), (ApprovalMode.NOTIFY, TOO_LARGE)])
def test_silence_is_no_consent_otherwise(run: MemoryRun, mode: ApprovalMode, beyond: tuple[str, ...]) -> None:
    clock = Clock()
    here = context(run, mode, clock)
    held(here, decision(), beyond)
    clock.now += timedelta(hours=23)
    held(here, decision(), beyond)
    assert asked(run).silent_at is None


def test_a_question_that_nobody_answered_in_time_is_asked_anew(run: MemoryRun) -> None:
    clock = Clock()
    here = context(run, clock=clock)
    held(here, decision())
    first = asked(run)
    clock.now += timedelta(hours=24)
    held(here, decision())
    assert asked(run).id != first.id
    assert asked(run).expires_at == NOON + timedelta(hours=48)


def test_a_record_that_is_away_lets_nothing_pass(run: MemoryRun, ledger: MemoryLedger) -> None:
    ledger.away = True
    with pytest.raises(RecordUnavailable):
        require_consent(context(run), decision(), ())
