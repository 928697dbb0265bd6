"""`rebalancer up --sandbox` with an accounts file of two logins: a simulated gateway and a worker for each."""

from __future__ import annotations

import json

import pytest

from tests.e2e.shell import empty_folder

pytestmark = pytest.mark.timeout(400)
ACCOUNTS = """gateways:
  partner: {port: 4012, trading_mode: paper}
  later: {port: 4011, trading_mode: live}
accounts:
  - {account_id: DU1000001, type: paper, strategy_name: etf-blend-301-20}
  - {account_id: DU1000002, type: paper, strategy_name: etf-blend-301-20, gateway: partner}
  - {account_id: U3, type: live, strategy_name: etf-blend-301-20, gateway: later}
"""


def test_two_logins_from_one_accounts_file() -> None:
    with empty_folder() as shell:
        (shell.folder / "accounts.yaml").write_text(ACCOUNTS)
        with shell.started("rebalancer up --sandbox", "Ctrl-C stops everything"):
            shell.wait_until_healthy()
            programs = {one["name"] for one in json.loads(shell.expect("rebalancer ps --json"))["programs"]}
            assert {"gateway", "gateway-partner", "worker", "worker-partner"} <= programs
            assert not any("later" in name for name in programs)
            shell.expect("rebalancer ps", 0, "simulated gateway partner")
            shell.expect("rebalancer doctor", 0, "manages DU1000002")
            shell.expect("rebalancer health", 0, "gateway of partner")
            for account in ("DU1000001", "DU1000002"):
                shell.expect(f"rebalancer rebalance {account}", 0, "completed successfully")
            listed = shell.expect("rebalancer accounts")
            assert "at partner" in listed
