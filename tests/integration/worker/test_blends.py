"""Blends and sleeves from file to fills: several strategies, kept shares, and a reserve in T-bills."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import select

from rebalancer.domain.commands import Command
from rebalancer.domain.notices import NoticeKind
from rebalancer.ledger.models import Event, NoticeRow
from rebalancer.ledger.queries.event_history import EventHistory, event_history
from rebalancer.operations.requests import request
from rebalancer.planning.blends import member_lines
from rebalancer.services import Services
from tests.integration.worker.test_sources import ended, replace_file, signals, versions
from tests.world import World, held, until

ACCOUNT = "DU1000002"
PROVIDER = "etf-blend-301-20"
BEFORE, AFTER = "Ticker,Weight\nQQQ,60%\nBTAL,40%\n", "Ticker,Weight\nQQQ,40%\nBTAL,60%\n"


@pytest.fixture
def blended(here: World) -> World:
    (here.folder / "accounts.yaml").write_text(
        f"accounts:\n  - account_id: {ACCOUNT}\n    type: paper\n"
        f"    strategies: [{{name: by-file, weight: 60}}, {{name: {PROVIDER}, weight: 40}}]\n"
        "    stale_member: freeze\n"
        "sources:\n  by-file: {file: targets.csv}\n"
    )
    here.allocations.publish(PROVIDER, {"SPY": 0.5, "QQQ": 0.5})
    replace_file(here.folder / "targets.csv", BEFORE)
    return here


def told(world: World) -> list[dict[str, object]]:
    with world.ledger.begin() as session:
        return list(session.scalars(select(NoticeRow.detail).where(NoticeRow.kind == NoticeKind.REBALANCED)))


def newest(world: World) -> EventHistory:
    with world.ledger.begin() as session:
        event_id = session.scalars(select(Event.id).order_by(Event.created_at.desc()).limit(1)).one()
        found = event_history(session, event_id)
    assert found is not None
    return found


def test_each_member_moves_the_account_and_a_silent_one_stays_as_it_was(blended: World) -> None:
    blended.start_worker()
    blended.start_beat()
    until(lambda: versions(blended) == {"by-file": 1}, 60, blended.logs)
    preview = blended.finish(blended.submit(ACCOUNT, Command.PRINT_REBALANCE)).result
    assert preview is not None
    first = blended.finish(blended.submit(ACCOUNT, Command.REBALANCE)).result
    assert first is not None
    assert {one["symbol"] for one in preview["orders"]} == {one["symbol"] for one in first["orders"]}
    shares = held(blended, ACCOUNT)
    assert {symbol for symbol, quantity in shares.items() if quantity >= 1} == {"QQQ", "BTAL", "SPY"}

    blended.allocations.set_raw(PROVIDER, status=500)
    replace_file(blended.folder / "targets.csv", AFTER, written=2)
    until(lambda: signals(blended) == 3, 60, blended.logs)
    until(lambda: ended(blended) == {ACCOUNT: ["succeeded", "succeeded"]}, 120, blended.logs)
    assert held(blended, ACCOUNT)["SPY"] == shares["SPY"], "its strategy is frozen"
    assert held(blended, ACCOUNT)["BTAL"] > shares["BTAL"]

    lines = dict(member_lines(newest(blended).attempts[-1].inputs["targets"]))  # type: ignore[index]
    assert "moved BTAL +12.0 %, QQQ -12.0 % of the account" in lines["by-file, 60.0 %"]
    assert "as at the last rebalance, since" in lines[f"{PROVIDER}, 40.0 %"]
    assert lines[f"{PROVIDER}, 40.0 %"].endswith("moved nothing")
    assert ["frozen" in detail for detail in told(blended)] == [False, True]
    last = blended.finish(blended.submit(ACCOUNT, Command.PRINT_REBALANCE)).result
    assert last is not None
    assert last["orders"] == []


SLEEVES = f"""accounts:
  - account_id: {ACCOUNT}
    type: paper
    strategy_name: {PROVIDER}
    cash_reserve_percent: 5
    reserve_symbol: SGOV
    hold: {{AAPL: 100, GLD: all}}
"""


def test_kept_shares_stay_and_the_reserve_is_in_t_bills_from_preview_to_raised_cash(here: World) -> None:
    (here.folder / "accounts.yaml").write_text(SLEEVES)
    here.allocations.publish(PROVIDER, {"SPY": 0.5, "QQQ": 0.5})
    before = held(here, ACCOUNT)
    here.start_worker()
    here.start_beat()
    preview = here.finish(here.submit(ACCOUNT, Command.PRINT_REBALANCE)).result
    live = here.finish(here.submit(ACCOUNT, Command.REBALANCE)).result
    assert preview is not None
    assert live is not None
    assert [(one["symbol"], one["quantity"]) for one in preview["orders"]] == [
        (one["symbol"], one["quantity"]) for one in live["orders"]
    ]
    after = held(here, ACCOUNT)
    kept = {"AAPL": 100, "GLD": before["GLD"]}
    assert {symbol: after[symbol] for symbol in kept} == kept
    assert {symbol for symbol, quantity in after.items() if quantity} == {"SPY", "QQQ", "SGOV", *kept}
    equity = Decimal(live["equity_info"]["total_equity"])
    assert after["SGOV"] * Decimal("100.48") == pytest.approx(equity * Decimal("0.045"), rel=Decimal("0.05"))

    services = Services.of(here.settings)
    wish = {"kind": "raise-cash", "amount": "1000"}
    account = services.accounts().get(ACCOUNT)
    raised = here.finish(request(services.dispatcher, account, Command.REBALANCE, wish, "cli").event_id).result
    assert raised is not None
    assert [(one["symbol"], one["action"]) for one in raised["orders"]] == [("SGOV", "SELL")]
    assert {symbol: quantity for symbol, quantity in held(here, ACCOUNT).items() if symbol != "SGOV"} == {
        symbol: quantity for symbol, quantity in after.items() if symbol != "SGOV"
    }
