"""Runs over a real socket are made again from what they have put on record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rebalancer.domain.accounts import Fx
from rebalancer.domain.errors import OrdersUnfilled
from rebalancer.domain.rebalance_kinds import RebalanceKind, RebalanceMode
from rebalancer.planning.changed_rules import RuleChanges
from rebalancer.planning.conversion import every_order
from rebalancer.planning.recorded import recorded_inputs
from rebalancer.planning.recorded_conversions import recorded_terms
from rebalancer.replay.runs import RecordedRun, Replay, replay
from rebalancer.usecases import rebalance
from tests import memory_record
from tests.integration.usecases.conftest import ACCOUNT, Desk
from tests.integration.usecases.test_currencies import desk_of


def recorded(here: Desk) -> list[RecordedRun]:
    """Every plan on record, those of further rounds as well."""
    ledger = here.ledger
    return [
        RecordedRun(
            account_id=ACCOUNT,
            event_id=attempt[0],
            at=datetime.now(UTC),
            inputs=recorded_inputs(inputs, ACCOUNT),
            plan=plan,
            carried_out=True,
            terms=recorded_terms(inputs),
        )
        for attempt in ledger.plans
        for inputs, plan in (
            (ledger.inputs[attempt], ledger.plans[attempt]),
            *((one["inputs"], one["plan"]) for one in ledger.rounds[attempt]),
        )
    ]


def run(here: Desk, kind: RebalanceKind | None = None, **rules: object) -> None:
    claimed = memory_record.claim(here.ledger, ACCOUNT, kind=kind or RebalanceKind())
    context = here.context(claimed)
    account = replace(context.account, rules=replace(context.account.rules, **rules))  # type: ignore[arg-type]
    rebalance(replace(context, account=account))


def again(here: Desk) -> Replay:
    return replay(recorded(here), RuleChanges())


def test_every_run_of_an_account_is_made_again_exactly(here: Desk) -> None:
    """Targets, prices, holds, kept shares, a reserve in a fund and kinds of rebalance change from run to run."""
    run(here)
    here.targets.weights = {"GLD": "0.5", "SPY": "0.3", "TLT": "0.2"}
    run(here)
    here.served.do(lambda gateway: gateway.exchange.set_price("GLD", Decimal(96)))
    here.served.do(lambda gateway: gateway.exchange.set_price("SPY", Decimal(104)))
    run(here, hold=("TLT",))
    run(here, kept={"SPY": Decimal(20)})
    run(here, reserve_symbol="IWM", reserve_usd=Decimal(4_000))
    run(here, RebalanceKind(RebalanceMode.RAISE_CASH, Decimal(2_500)), reserve_symbol="IWM", reserve_usd=Decimal(4_000))
    run(here, RebalanceKind(RebalanceMode.BUY_ONLY))
    found = again(here)
    assert found.skipped() == {}
    assert len(found.steps) == len(recorded(here)) >= 7
    assert [step for step in found.steps if step.differs] == []
    assert found.was.orders > 10


def test_a_run_that_plans_again_is_made_again_round_by_round(here: Desk) -> None:
    here.settings |= {"order_timeout_s": 0.3, "order_rounds": 2}
    here.fault(fills={"GLD": {"mode": "never"}})
    with pytest.raises(OrdersUnfilled):
        run(here)
    found = again(here)
    assert len(found.steps) == 2
    assert found.skipped() == {}


RULES = {"fx": Fx.CONVERT, "fx_back": Fx.CONVERT, "fx_reserve": Decimal(2_000), "allow_cash_share": True}


def test_runs_that_convert_are_made_again_there_and_back() -> None:
    for here in desk_of():
        run(here, **RULES)
        here.targets.weights = {"SPY": "0.2", "TLT": "0.2"}
        run(here, **RULES)
        run(here, RebalanceKind(RebalanceMode.BUY_ONLY), **RULES)
        plans = [one.plan for one in recorded(here)]
        found = again(here)
        assert found.skipped() == {}
        assert [step for step in found.steps if step.differs] == []
        assert plans[0]["conversion"]["order"]["quantity"] > 90_000
        assert any("back" in plan["conversion"] for plan in plans)
        assert found.was.orders == sum(len(every_order(plan)) for plan in plans)


@pytest.mark.parametrize("margin", [True, False])
def test_another_reserve_would_have_been_another_conversion(margin: bool) -> None:
    for here in desk_of(margin=margin):
        run(here, **RULES)
        (step,) = replay(recorded(here)[:1], RuleChanges(reserve_fraction=Decimal("0.2"))).steps
        assert step.skipped is None
        assert step.was is not None
        assert step.would is not None
        less = step.was.turnover - step.would.turnover
        rest = Decimal(98_000) * Decimal("1.25") * Decimal("0.18")
        assert less == pytest.approx(2 * rest, rel=Decimal("0.15")), "less to buy, and as much less to sell for it"
