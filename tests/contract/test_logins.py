"""A paper login beside a live one: what the command line, the page and the links of messages take for real money."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.app import create_app
from rebalancer.cli.main import app
from rebalancer.config.settings import Settings
from rebalancer.domain.accounts import TradingMode
from rebalancer.services import Services
from tests.contract.conftest import BEARER
from tests.serving import serving

ACCOUNTS = """gateways:
  paper: {port: 4012, trading_mode: paper}
accounts:
  - {account_id: U1000001, type: live, strategy_name: blend}
  - {account_id: DU1000002, type: paper, strategy_name: blend, gateway: paper}
  - {account_id: DU1000003, type: paper, strategy_name: blend}
"""


@pytest.fixture
def settings(app_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    file = tmp_path / "accounts.yaml"
    file.write_text(ACCOUNTS)
    made = app_settings.changed(trading_mode="live", ib_port=4001, accounts_file=file, api_reads_private=False)
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "accounts_file", "replacement_sets_file", "trading_mode", "ib_port"):
        monkeypatch.setenv(name.upper(), str(made.flat()[name]))
    return made


def test_real_money_is_confirmed_and_the_other_logins_paper_is_not(settings: Settings) -> None:
    del settings
    live = CliRunner().invoke(app, ["rebalance", "U1000001"], input="no\n")
    assert "Type U1000001 to confirm" in live.output
    paper = CliRunner().invoke(app, ["rebalance", "DU1000002", "--wait", "0.1"])
    assert "Type DU1000002" not in paper.output
    assert "rebalancer event" in paper.output


def test_an_account_is_of_the_mode_of_its_gateway(settings: Settings) -> None:
    here = Services.of(settings)
    modes = {account.account_id: here.mode_of(account) for account in here.accounts()}
    assert modes == {"U1000001": TradingMode.LIVE, "DU1000002": TradingMode.PAPER, "DU1000003": TradingMode.LIVE}


def test_the_page_says_where_an_account_is_and_steers_those_that_are_traded(settings: Settings) -> None:
    with serving(create_app(settings)) as client:
        page = client.get("/", headers=BEARER | {"Accept": "text/html"}).text
        assert "blend at paper" in page
        assert page.count("blend at") == 1
        assert 'data-dry="DU1000002"' in page
        assert 'data-dry="DU1000003"' not in page  # at the live login, where it is of the other mode


def test_a_request_for_a_paper_account_of_the_live_login_is_refused(settings: Settings) -> None:
    with serving(create_app(settings)) as client:
        refused = client.post(
            "/queue/events", headers=BEARER, json={"account_id": "DU1000003", "exec_command": "rebalance"}
        )
        assert refused.status_code >= 400
        assert "but TRADING_MODE is live" in refused.text
