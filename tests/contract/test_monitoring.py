"""The Grafana board and the alert rules that we ship ask for what /metrics gives, in words that Prometheus takes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from rebalancer.ledger.session import Ledger
from tests.conftest import ROOT
from tests.ledger_rows import add_failing, add_traded, add_waiting

SHIPPED = ROOT / "deploy/monitoring"
BOARD: dict[str, Any] = json.loads((SHIPPED / "grafana-dashboard.json").read_text())
ALERTS: list[dict[str, Any]] = yaml.safe_load((SHIPPED / "rebalancer-alerts.yaml").read_text())["groups"][0]["rules"]
ASKED = {f"board: {panel['title']}": [one["expr"] for one in panel["targets"]] for panel in BOARD["panels"]}
ASKED |= {f"alert: {rule['alert']}": [rule["expr"]] for rule in ALERTS}
OF_PROMETHEUS = {"up": {"job"}}
OF_TABLES = {"rebalancer_source_good": {"strategy"}, "rebalancer_source_read_timestamp_seconds": {"strategy"}}
"""Served where targets come from tables."""


def selected(expression: str) -> dict[str, set[str]]:
    """Of an expression: its metrics, and the labels that they are chosen by."""
    labels: dict[str, set[str]] = {}

    def look(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            labels.setdefault(node.name or "", set()).update(one.name for one in node.matchers.matchers)
        return True

    promql_parser.walk(promql_parser.parse(expression.replace("$account", ".*")), look)
    return labels


def served(client: httpx.Client) -> dict[str, set[str]]:
    """Every metric with its labels, as far as there are samples."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {family.name: {label for one in family.samples for label in one.labels} for family in families}


@pytest.fixture
def lived(client: httpx.Client, ledger: Ledger) -> httpx.Client:
    """A day in which everything that is counted has happened."""
    with ledger.begin() as session:
        add_traded(session, at=datetime.now(UTC) - timedelta(seconds=20))
        add_failing(session, "DU1000002")
        add_waiting(session, "DU1000003")
    return client


def test_what_is_asked_for_is_served(lived: httpx.Client) -> None:
    found = served(lived) | OF_PROMETHEUS | OF_TABLES
    for expressions in ASKED.values():
        for expression in expressions:
            chosen = selected(expression)
            assert chosen, expression
            for name, labels in chosen.items():
                assert labels <= found[name], expression


def test_every_figure_is_on_the_board_or_wakes_somebody(lived: httpx.Client) -> None:
    text = json.dumps(list(ASKED.values()))
    assert [name for name in served(lived) if name not in text and name != "rebalancer_fills_today"] == []


def test_the_board_is_one_that_grafana_takes() -> None:
    panels = BOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [tuple(panel["gridPos"][name] for name in ("x", "y", "w", "h")) for panel in panels]
    assert all(x + width <= 24 for x, _, width, _ in places)
    fields = [
        (column, row)
        for x, y, width, height in places
        for column in range(x, x + width)
        for row in range(y, y + height)
    ]
    assert len(fields) == len(set(fields)), "panels lie over each other"
    assert {panel["type"] for panel in panels} <= {"stat", "table", "timeseries"}
    variables = {one["name"] for one in BOARD["templating"]["list"]}
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert variables == {"datasource", "account"}


def test_every_alert_says_what_and_the_remedy() -> None:
    for rule in ALERTS:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"].keys() == {"summary", "remedy"}
        if "for" in rule:
            assert promql_parser.parse_duration(rule["for"]) > timedelta(0)


def test_an_expression_with_a_slip_is_found() -> None:
    with pytest.raises(ValueError, match="unclosed"):
        promql_parser.parse("sum by (account (rebalancer_events)")


def test_the_day_is_told_in_sums(lived: httpx.Client) -> None:
    samples = {
        (sample.name.removeprefix("rebalancer_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(lived.get("/metrics").text)
        for sample in family.samples
    }
    assert samples["orders_today", "DU1000001", "BUY", "Filled"] == 1
    assert samples["fills_today", "DU1000001", "BUY"] == 2
    assert samples["traded_today_usd", "DU1000001", "BUY"] == pytest.approx(194 * 100.01)
    assert samples["commissions_today_usd", "DU1000001", "BUY"] == pytest.approx(1.0)
    assert samples["slippage_today_usd", "DU1000001", "BUY"] == pytest.approx(1.94)
    assert samples["attempts_today", "DU1000001", "succeeded"] == 1
    assert samples["rebalance_seconds_today", "0.5"] == pytest.approx(9)
    assert samples["events_waiting", "approval", "held"] == 1
    assert samples["events_waiting", "", "retrying"] == 1


def test_what_an_earlier_day_did_is_none_of_todays(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        add_traded(session)
    today = {name: labels for name, labels in served(client).items() if "_today" in name}
    assert today.keys() >= {"rebalancer_orders_today", "rebalancer_attempts_today"}
    assert all(labels == set() for labels in today.values())
