"""Return, gap and replay over a real ledger: the same figures as text, as JSON, as CSV and on the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from rebalancer.config.settings import Settings
from rebalancer.domain.errors import ConfigurationError
from rebalancer.ledger.models import Attempt, SnapshotRow
from rebalancer.ledger.queries.account_returns import account_returns
from rebalancer.ledger.queries.recorded_runs import recorded_runs, replayed
from rebalancer.ledger.queries.spans import Span
from rebalancer.ledger.session import Ledger
from rebalancer.planning import PlanningRules
from rebalancer.planning.changed_rules import RuleChanges
from rebalancer.replay.runs import Skipped, replay, together
from rebalancer.returns.worlds import Part
from tests.contract.conftest import BEARER
from tests.contract.test_cli import run, typed
from tests.history_rows import add_history, add_run
from tests.ledger_rows import seeded
from tests.recorded_euros import EuroHistory
from tests.recorded_history import ACCOUNT, BEGIN, History

__all__ = ["run", "typed"]
HTML = BEARER | {"Accept": "text/html"}
RULES = PlanningRules(Decimal("0.02"))
BAND = RuleChanges(drift_band=Decimal("0.03"))
ALL = Span()


def history(months: int = 18) -> History:
    return History(RULES, months=months)


@pytest.fixture
def lived(ledger: Ledger) -> History:
    """One account's history on record."""
    made = history()
    with ledger.begin() as session:
        add_history(session, made)
    return made


# -- replay -----------------------------------------------------------------------------------------------------------


def test_runs_come_back_from_the_ledger_as_they_went_there(ledger: Ledger, lived: History) -> None:
    with ledger.begin() as session:
        found = replayed(session, [ACCOUNT], ALL, RuleChanges())
        changed = replayed(session, [ACCOUNT], ALL, BAND)
    assert (found.skipped(), len(found.steps), found.worth) == ({}, 18, 0)
    assert not any(step.differs for step in found.steps)
    expected = replay(history().runs(), BAND)
    assert [step.would for step in changed.steps] == [step.would for step in expected.steps]
    assert (changed.was, changed.worth) == (expected.was, expected.worth)


def test_so_do_those_that_convert_currencies(client: httpx.Client, ledger: Ledger) -> None:
    rules, changes = replace(RULES, minimum_weight_sum=Decimal("0.1")), RuleChanges(reserve_fraction=Decimal("0.1"))
    with ledger.begin() as session:
        runs = add_history(session, EuroHistory(rules, months=12))
    with ledger.begin() as session:
        found = replayed(session, [ACCOUNT], ALL, RuleChanges())
        changed = replayed(session, [ACCOUNT], ALL, changes)
    assert (found.skipped(), len(found.steps), found.worth) == ({}, 12, 0)
    assert not any(step.differs for step in found.steps)
    expected = together([replay(runs, changes)])
    assert [step.would for step in changed.steps] == [step.would for step in expected.steps]
    assert (changed.was, changed.worth) == (expected.was, expected.worth)
    assert changed.would.turnover < changed.was.turnover
    asked = {"from": "2006-01-01", "set": "cash_reserve_percent=10"}
    told = client.get("/replay", params=asked, headers=BEARER).raise_for_status().json()
    assert told["worth"] == pytest.approx(float(changed.worth or 0))
    assert told["notes"] == ["12 of 12 recorded plans are compared, 12 differ"]


def test_only_plans_that_were_carried_out_count(ledger: Ledger) -> None:
    plans = list(history(6).runs())
    with ledger.begin() as session:
        add_run(session, plans[0])
        add_run(session, plans[1], outcome="held", filled=False)
        add_run(session, plans[2], outcome="failed")
        add_run(session, plans[3], command="print-rebalance", filled=False)
        add_run(session, plans[4], planner=False)
        add_run(session, plans[5], "DU1000002")
        seeded(ledger)
    with ledger.begin() as session:
        runs = list(recorded_runs(session, ACCOUNT, Span(BEGIN - timedelta(1), BEGIN + timedelta(days=365))))
    assert [(one.carried_out, one.inputs is not None) for one in runs] == [
        (True, True),
        (False, True),
        (True, True),
        (True, False),
    ]
    assert replay(runs, RuleChanges()).skipped() == {Skipped.NOT_CARRIED_OUT: 1, Skipped.UNRECORDED: 1}


def test_of_a_run_that_planned_anew_before_its_first_order_the_last_plan_counts(ledger: Ledger) -> None:
    first, *_ = history(1).runs()
    assert first.inputs is not None
    before = replace(first.inputs, snapshot=replace(first.inputs.snapshot, at=BEGIN - timedelta(seconds=30)))
    with ledger.begin() as session:
        add_run(session, replace(first, inputs=before), further=[first])
    with ledger.begin() as session:
        runs = list(recorded_runs(session, ACCOUNT, ALL))
    assert [one.carried_out for one in runs] == [False, True]


def test_the_command_line_shows_what_was_beside_what_would_have_been(
    run: Callable[..., tuple[int, Any]], typed: Callable[..., Any], lived: History
) -> None:
    code, told = run("replay", "--set", "DRIFT_BAND_PERCENT=3", "--account", ACCOUNT)
    expected = replay(history().runs(), BAND)
    rows = {row["name"]: row for row in told["rows"]}
    assert code == 0
    assert (rows["orders"]["was"], rows["orders"]["would"]) == (str(expected.was.orders), str(expected.would.orders))
    assert Decimal(rows["turnover"]["would"]) == expected.would.turnover
    assert Decimal(told["worth"]) == expected.worth
    assert len(told["differing"]) == sum(step.differs for step in expected.steps) > 0
    assert f"18 of 18 recorded plans are compared, {len(told['differing'])} differ" in told["notes"]
    shown = typed("replay", "--set", "DRIFT_BAND_PERCENT=3", "--from", "2006-03-01", "--to", "2006-08-31").stdout
    assert "would have been" in shown
    assert "7 of 7 recorded plans" in shown


def test_what_cannot_be_honoured_is_refused_by_name(typed: Callable[..., Any]) -> None:
    done = typed("replay", "--set", "ORDER_TYPE=LMT", "--set", "DRIFT_BAND_PERCENT=90")
    assert isinstance(done.exception, ConfigurationError)
    assert [problem.split()[0] for problem in done.exception.problems] == ["ORDER_TYPE", "DRIFT_BAND_PERCENT"]


def test_the_api_tells_what_was_beside_what_would_have_been(client: httpx.Client, lived: History) -> None:
    expected = replay(history().runs(), BAND)
    asked = {"from": "2006-01-01", "set": ["DRIFT_BAND_PERCENT=3", "FEE_MINIMUM=1"], "account_id": ACCOUNT}
    told = client.get("/replay", params=asked, headers=BEARER).raise_for_status().json()
    figures = {one["name"]: one for one in told["figures"]}
    assert (figures["orders"]["was"], figures["orders"]["would"]) == (expected.was.orders, expected.would.orders)
    assert figures["turnover"]["would"] == pytest.approx(float(expected.would.turnover))
    assert told["worth"] == pytest.approx(float(expected.worth or 0))
    assert len(told["differing"]) == sum(step.differs for step in expected.steps) > 0
    assert told["notes"][0].startswith("18 of 18 recorded plans are compared")
    half = client.get("/replay", params={"from": "2006-03-01", "to": "2006-08-31"}, headers=BEARER).json()
    assert half["notes"][0] == "7 of 7 recorded plans are compared, 0 differ", "without a change every plan comes out"
    refused = client.get("/replay", params={"set": "ORDER_TYPE=LMT"}, headers=BEARER)
    assert refused.status_code == 422
    assert "ORDER_TYPE is no part of a plan" in refused.json()["detail"]
    assert client.get("/replay", params=asked | {"account_id": "DU9"}, headers=BEARER).status_code == 404


def test_the_page_shows_it_too_and_the_settings_lead_there(
    client: httpx.Client, lived: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = replay(history().runs(), BAND)
    asked = {"name": "DRIFT_BAND_PERCENT", "value": "3", "since": "2006-01-01"}
    text = client.get("/desk/replay", params=asked, headers=HTML).raise_for_status().text
    assert f"${expected.would.turnover:,.2f}" in text
    assert "18 of 18 recorded plans are compared" in text
    assert 'id="replayed"' not in client.get("/desk/replay", headers=HTML).raise_for_status().text
    one = client.get("/desk/replay", params=asked | {"account_id": "DU1000002"}, headers=HTML).text
    assert "0 of 0 recorded plans" in one
    refused = client.get("/desk/replay", params=asked | {"value": "99"}, headers=HTML).text
    assert "is refused: use 0 to 50" in refused
    assert client.get("/desk/replay", params=asked | {"account_id": "DU9"}, headers=HTML).status_code == 404
    settings = client.get("/desk/settings", headers=HTML).text
    assert 'href="/desk/replay?name=DRIFT_BAND_PERCENT"' in settings
    assert "ORDER_TYPE" in settings
    assert "/desk/replay?name=ORDER_TYPE" not in settings
    monkeypatch.setenv("DRIFT_BAND_PERCENT", "2.5")
    changed = client.get("/desk/settings", headers=HTML).text
    assert 'href="/desk/replay?name=DRIFT_BAND_PERCENT&amp;value=2.5"' in changed
    monkeypatch.setenv("DRIFT_BAND_PERCENT", "wide")
    assert client.get("/desk/settings", headers=HTML).status_code == 200


# -- return and gap ---------------------------------------------------------------------------------------------------


def test_the_ledger_tells_what_plain_arithmetic_does(ledger: Ledger, lived: History) -> None:
    with ledger.begin() as session:
        found = account_returns(session, ACCOUNT, ALL)
    assert found is not None
    looks = [one.inputs.snapshot for one in history().runs() if one.inputs]
    assert (found.begin, found.end, found.runs) == (looks[0].at, looks[-1].at, 18)
    assert (found.start, found.account.final) == (100_000, looks[-1].net_liquidation.quantize(Decimal("0.01")))
    assert found.came == sum(lived.deposits[1:]) != 0
    assert sum(one.usd for one in found.parts) == found.gap
    assert {one.part for one in found.parts if one.usd} >= {Part.RESERVE, Part.SPREAD, Part.COMMISSION, Part.ROUNDING}


def test_every_place_tells_the_same(
    client: httpx.Client,
    run: Callable[..., tuple[int, Any]],
    typed: Callable[..., Any],
    ledger: Ledger,
    lived: History,
) -> None:
    with ledger.begin() as session:
        found = account_returns(session, ACCOUNT, ALL)
    assert found is not None
    assert found.strategy is not None
    told = client.get(f"/accounts/{ACCOUNT}/returns").raise_for_status().json()
    assert (told["gap"], told["strategy"]["final"]) == (float(found.gap or 0), float(found.strategy.final))
    assert sum(Decimal(str(one["usd"])) for one in told["parts"]) == found.gap
    code, typed_too = run("returns", ACCOUNT)
    assert (code, Decimal(typed_too["returns"][0]["gap"])) == (0, found.gap)
    assert f"{found.gap:+,.2f}".lstrip("+-") in client.get(f"/account/{ACCOUNT}/returns?span=all", headers=HTML).text
    table = csv.DictReader(io.StringIO(client.get(f"/csv/returns?account_id={ACCOUNT}").text))
    rows = {one["row"]: Decimal(one["usd"]) for one in table}
    account = rows.pop("account")
    assert (account, sum(rows.values())) == (found.account.final, found.account.final)
    shown = typed("returns", ACCOUNT).stdout
    assert f"{found.strategy.final:,.2f}" in shown
    assert "rebalances" in shown
    assert f'href="/account/{ACCOUNT}/returns"' in client.get(f"/account/{ACCOUNT}", headers=HTML).text


def test_where_there_is_nothing_to_measure_it_is_said(
    client: httpx.Client, run: Callable[..., tuple[int, Any]], typed: Callable[..., Any], lived: History
) -> None:
    assert client.get("/accounts/DU1000002/returns").status_code == 409
    assert client.get("/accounts/DU9/returns").status_code == 404
    late = client.get(f"/accounts/{ACCOUNT}/returns?since=2020-01-01")
    assert "nothing to measure" in late.json()["detail"]
    assert "Nothing to measure" in client.get("/account/DU1000002/returns", headers=HTML).text
    assert run("returns", "DU1000002")[1] == {"returns": [], "nothing": ["DU1000002"]}
    assert "DU1000002: nothing to measure" in typed("returns").stdout
    assert client.get("/csv/returns?account_id=DU1000002").text.count("\n") == 1


def test_a_price_that_is_not_on_record_is_named(
    client: httpx.Client, typed: Callable[..., Any], ledger: Ledger
) -> None:
    plans = list(history(4).runs())
    with ledger.begin() as session:
        for one in plans:
            assert one.inputs is not None
            needed = {"GLD"} & {position.symbol for position in one.inputs.snapshot.positions}
            quotes = {symbol: quote for symbol, quote in one.inputs.quotes.items() if symbol != "GLD" or needed}
            orders = [order for order in one.plan["orders"] if order["symbol"] in quotes]
            plan = {**one.plan, "orders": orders}
            add_run(session, replace(one, plan=plan, inputs=replace(one.inputs, quotes=quotes)))
    told = client.get(f"/accounts/{ACCOUNT}/returns").raise_for_status().json()
    assert told["strategy"] is None
    assert told["untold"][0].startswith("no price of GLD on 2006-")
    text = client.get(f"/account/{ACCOUNT}/returns?span=all", headers=HTML).text
    assert told["untold"][0] in text
    assert "cannot be told" in text
    assert told["untold"][0] in typed("returns", ACCOUNT).stdout


def test_what_is_apart_and_cash_among_the_targets_are_told_from_the_rest(ledger: Ledger) -> None:
    """7 OWN on hold, which nobody quotes, rise from 700 to 1,400 USD; 20 of the SPY are kept; the strategy names CASH;
    100 USD came, which may be a dividend as well.
    """
    with ledger.begin() as session:
        add_history(session, history(2))
        first, second = session.scalars(select(SnapshotRow).where(SnapshotRow.moment == "before").order_by("at"))
        for row, worth in ((first, 700), (second, 1_400)):
            row.positions = [*row.positions, {"symbol": "OWN", "quantity": "7", "price": None}]
            row.net_liquidation += worth
            attempt = session.get_one(Attempt, (row.event_id, row.attempt))
            targets = attempt.inputs["targets"]
            named = {**targets, "weights": {**targets["weights"], "CASH": "0.1"}}
            attempt.inputs = {**attempt.inputs, "targets": named}
        second.flow = Decimal(100)
    with ledger.begin() as session:
        found = account_returns(session, ACCOUNT, ALL)
        plain = session.scalar(select(func.count()).select_from(SnapshotRow))
    assert plain == 4
    assert found is not None
    parts = {one.part: one.usd for one in found.parts}
    assert (found.untold, found.came) == ((), 0)
    assert parts[Part.HOLDS] == pytest.approx(Decimal(700), abs=Decimal(150)), "and 700 USD fewer in the strategy"
    assert sum(parts.values()) == found.gap


def test_they_are_as_private_as_what_they_hold(stranger: httpx.Client, app_settings: Settings) -> None:
    for path in (f"/accounts/{ACCOUNT}/returns", "/csv/returns"):
        assert stranger.get(path).status_code in {401, 403}
    for path in (f"/account/{ACCOUNT}/returns", "/desk/replay?value=2"):
        assert stranger.get(path, headers={"Accept": "text/html"}).status_code == 403
