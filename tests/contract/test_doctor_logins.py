"""The doctor at two logins: whose account is where, and which gateway is in trouble."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rebalancer.cli.main import app
from rebalancer.config.settings import Settings
from rebalancer.health.doctor import examine
from rebalancer.health.readiness import Check
from tests.integration.ibkr.serving import ServedGateway, serving

Examine = Callable[..., dict[str, Check]]


@pytest.fixture
def gateways() -> Iterator[tuple[ServedGateway, ServedGateway]]:
    with ExitStack() as stack:
        own, partner = ({"DU1": {"cash": 1000}}, {"DU2": {"cash": 1000}})
        yield stack.enter_context(serving(accounts=own)), stack.enter_context(serving(accounts=partner))


@pytest.fixture
def examined(
    app_settings: Settings,
    gateways: tuple[ServedGateway, ServedGateway],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Examine:
    """The doctor's checks by name, with what is given of the account that the second login manages."""
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(app_settings.flat()[name]))
    monkeypatch.setenv("IB_PORT", str(gateways[0].port))
    file = tmp_path / "accounts.yaml"
    monkeypatch.setenv("ACCOUNTS_FILE", str(file))

    def examined(
        *, of_second: str = ", gateway: partner", port: int | None = None, more: str = "", of_first: str = ""
    ) -> dict[str, Check]:
        file.write_text(
            f"gateways:\n  partner: {{port: {port or gateways[1].port}, trading_mode: paper}}\n{more}"
            f"accounts:\n  - {{account_id: DU1, type: paper, strategy_name: s{of_first}}}\n"
            f"  - {{account_id: DU2, type: paper, strategy_name: s{of_second}}}\n"
        )
        return {check.name: check for check in examine()}

    return examined


def test_each_gateway_is_looked_at_and_named(examined: Examine) -> None:
    found = examined()
    for gateway, account in (("main", "DU1"), ("partner", "DU2")):
        assert found[f"gateway login of {gateway}"].detail.endswith(f"manages {account}")
        assert found[f"gateway mode of {gateway}"].ok
        assert found[f"gateway accounts of {gateway}"].detail == "the login manages all 1 traded accounts"
        assert found[f"gateway values of {gateway}"].ok
    assert "gateway login" not in found


def test_an_account_at_the_wrong_login_is_named_with_the_line_that_puts_it_right(examined: Examine) -> None:
    found = examined(of_second="")
    wrong = found["gateway accounts of main"]
    assert not wrong.ok
    assert wrong.detail == "DU2 belongs to the login of partner: write gateway: partner for it in the accounts file"
    assert "gateway login of partner" in found  # though no account names it, it is looked at for that


def test_an_account_is_traced_back_to_the_main_login_though_no_account_uses_that(
    examined: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = examined(of_first=", gateway: partner")
    wrong = found["gateway accounts of partner"]
    assert wrong.detail == "DU1 belongs to the login of main: write gateway: main for it in the accounts file"
    assert "gateway login of main" not in found
    monkeypatch.setenv("IB_PORT", "1")
    away = examined(of_first=", gateway: partner")
    assert away["gateway accounts of partner"].detail.startswith("the login does not manage DU1")
    assert "gateway login of main" not in away


def test_an_account_that_no_login_manages_is_told_as_ever(examined: Examine) -> None:
    found = examined(more="  third: {port: 1, trading_mode: paper}\n", of_second=", gateway: third")
    assert "DU2 belongs to the login of partner" not in found["gateway login of third"].detail
    assert "correct gateways.third in the accounts file" in found["gateway login of third"].detail


def test_a_gateway_that_is_away_is_told_of_that_gateway_alone(examined: Examine) -> None:
    found = examined(port=1)
    assert found["gateway login of main"].ok
    assert "correct gateways.partner in the accounts file" in found["gateway login of partner"].detail


def test_a_live_gateway_is_not_reached_in_paper_trading_and_that_is_said(examined: Examine) -> None:
    found = examined(more="  live: {port: 1, trading_mode: live}\n")
    assert found["gateway live"].ok
    assert "is not used: gateway live is live, but TRADING_MODE is paper" in found["gateway live"].detail
    assert "gateway login of live" not in found


def test_a_gateway_that_a_sandbox_does_not_have_is_not_looked_for_where_the_file_has_it(
    examined: Examine, gateways: tuple[ServedGateway, ServedGateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_ADDRESSES", f"partner=127.0.0.1:{gateways[1].port}")
    found = examined(port=4012, more="  third: {port: 4014, trading_mode: paper}\n")
    assert found["gateway login of partner"].ok
    assert "GATEWAY_ADDRESSES says nothing of gateway third" in found["gateway third"].detail
    assert found["gateway third"].ok  # nobody needs it
    monkeypatch.setenv("GATEWAY_ADDRESSES", "none")
    assert not examined()["gateway partner"].ok


def test_health_names_the_gateway_that_lacks_workers(examined: Examine) -> None:
    examined()
    shown = CliRunner().invoke(app, ["health"]).output
    assert "worker of main" in shown
    assert "start `celery -A tasks worker` with WORKER_GATEWAY=partner" in shown


def test_the_list_of_accounts_says_which_are_at_another_gateway(examined: Examine) -> None:
    examined()
    lines = CliRunner().invoke(app, ["accounts"]).output.splitlines()
    assert [("at partner" in line) for line in lines if "DU" in line] == [False, True]
