"""`rebalancer doctor --orders` tells whether orders come through, and what to look for when they do not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rebalancer.cli.main import app
from rebalancer.config.settings import Settings
from rebalancer.ledger import halts
from rebalancer.ledger.models import GatewayRow
from rebalancer.ledger.session import Ledger
from sandbox.allocations.server import AllocationsServer
from sandbox.gateway.fault_settings import Faults
from tests.integration.ibkr.serving import ServedGateway, serving

PAPER, LIVE = "DU1", "U1"
Doctor = Callable[..., tuple[int, str]]


@pytest.fixture
def gateway() -> Iterator[ServedGateway]:
    accounts = {name: {"cash": 100_000} for name in (PAPER, LIVE)}
    with serving(accounts=accounts) as found:
        yield found


@pytest.fixture
def doctor(
    app_settings: Settings, gateway: ServedGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Doctor]:
    """Asks the doctor; ``mode`` is the trading mode, ``answer`` what a person types."""
    file = tmp_path / "accounts.yaml"
    rows = [f"  - {{account_id: {PAPER}, type: paper, strategy_name: blend}}\n"]
    rows.append(f"  - {{account_id: {LIVE}, type: live, strategy_name: blend}}\n")
    file.write_text(f"accounts:\n{''.join(rows)}")
    with AllocationsServer() as allocations:
        allocations.publish("blend", {"SPY": 0.6, "GLD": 0.3})
        environment = {
            "ENV_FILE": os.devnull,
            "DATABASE_URL": app_settings.stores.database_url,
            "REDIS_URL": app_settings.stores.redis_url,
            "ACCOUNTS_FILE": str(file),
            "IB_PORT": str(gateway.port),
            "ALLOCATIONS_BASE_URL": allocations.url,
            "ALLOCATIONS_API_KEY": "sandbox",
            "ORDER_ACK_TIMEOUT_S": "0.5",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

        def ask(*arguments: str, mode: str = "paper", answer: str = "") -> tuple[int, str]:
            monkeypatch.setenv("TRADING_MODE", mode)
            done = CliRunner().invoke(app, ["doctor", "--orders", *arguments], input=answer)
            assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
            return done.exit_code, " ".join(done.output.split())

        yield ask


def orders(gateway: ServedGateway) -> list[tuple[str, str, int, str]]:
    """Account, symbol, quantity and status of everything that was sent."""
    return gateway.do(
        lambda here: [(one.account, one.symbol, int(one.ticket.quantity), str(one.status)) for one in here.orders]
    )


def fault(gateway: ServedGateway, **faults: Any) -> None:
    gateway.do(lambda here: here.set_faults(Faults.model_validate(faults)))


def test_an_order_of_a_paper_account_is_acknowledged_cancelled_and_gone(
    doctor: Doctor, gateway: ServedGateway, ledger: Ledger
) -> None:
    code, output = doctor()
    assert (code, "was acknowledged, cancelled, and is gone" in output) == (0, True), output
    assert orders(gateway) == [(PAPER, "SPY", 1, "Cancelled")]
    (limit,) = gateway.do(lambda here: [one.ticket.limit_price for one in here.orders])
    assert limit is not None
    assert 85 < limit < 91
    with ledger.begin() as session:
        (row,) = session.query(GatewayRow).all()
    assert row.acknowledged_at is not None


def test_a_window_is_named_with_its_remedy(doctor: Doctor, gateway: ServedGateway) -> None:
    fault(gateway, swallowed_orders={"*": {"times": 1}})
    code, output = doctor()
    assert code == 1
    assert "has said nothing of it for 0.5 s: look at the gateway's screen" in output
    assert "Bypass Order Precautions" in output
    assert orders(gateway) == []


def test_a_refusal_is_told_with_its_code(doctor: Doctor, gateway: ServedGateway) -> None:
    fault(gateway, rejections={"SPY": {"code": 201, "text": "no trading permissions"}})
    code, output = doctor()
    assert (code, "was refused (code 201: no trading permissions)" in output) == (1, True), output


def test_an_order_that_resists_its_cancel_is_named(doctor: Doctor, gateway: ServedGateway, monkeypatch: Any) -> None:
    monkeypatch.setenv("CANCEL_TIMEOUT_S", "0.3")
    fault(gateway, cancel_refusals={"SPY": {"code": 161, "text": "no"}})
    code, output = doctor()
    assert (code, "is still open" in output, "cancel it by hand" in output) == (1, True, True), output


@pytest.mark.parametrize(("answer", "sent"), [("U1\n", 1), ("\n", 0), ("yes\n", 0), ("DU1\n", 0)])
def test_a_live_account_needs_its_id_typed(doctor: Doctor, gateway: ServedGateway, answer: str, sent: int) -> None:
    code, output = doctor(mode="live", answer=answer)
    assert (code == 0) is bool(sent), output
    assert [one[0] for one in orders(gateway)] == [LIVE] * sent


def test_an_account_of_another_login_is_tried_at_its_own_gateway(
    doctor: Doctor, gateway: ServedGateway, tmp_path: Path
) -> None:
    with serving(accounts={"DU2": {"cash": 100_000}}) as partner:
        (tmp_path / "accounts.yaml").write_text(
            f"gateways:\n  partner: {{port: {partner.port}, trading_mode: paper}}\n"
            "accounts:\n  - {account_id: DU2, type: paper, strategy_name: blend, gateway: partner}\n"
        )
        code, output = doctor("--account", "DU2")
        assert code == 0, output
        assert orders(partner) == [("DU2", "SPY", 1, "Cancelled")]
    assert orders(gateway) == []


def test_nothing_is_sent_while_the_account_is_halted(doctor: Doctor, gateway: ServedGateway, ledger: Ledger) -> None:
    with ledger.begin() as session:
        halts.halt(session, PAPER, "wary", "ann")
    code, output = doctor("--account", PAPER)
    assert (code, "wary" in output) == (1, True), output
    assert orders(gateway) == []


def test_without_a_gateway_or_quotes_nothing_is_proven(doctor: Doctor, gateway: ServedGateway) -> None:
    fault(gateway, quotes={"*": "none"})
    code, output = doctor()
    assert (code, "nothing was proven" in output) == (1, True), output
    assert orders(gateway) == []
