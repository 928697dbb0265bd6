"""`rebalancer up --sandbox --scenario`: an account in euros, as docs/currencies.md has it typed."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT
from tests.e2e.shell import empty_folder

pytestmark = pytest.mark.timeout(400)
DOCUMENT = (ROOT / "docs/currencies.md").read_text(encoding="utf-8").partition("**Try it**")[2]


def test_an_account_in_euros_as_the_document_has_it() -> None:
    accounts, typed, shown, *_ = re.findall(r"```(?:yaml)?\n(.*?)```", DOCUMENT, re.DOTALL)
    up, preview, live = typed.replace("REPOSITORY", str(ROOT)).splitlines()
    with empty_folder() as shell:
        (shell.folder / "accounts.yaml").write_text(accounts)
        (shell.folder / "targets.csv").write_text("Symbol,Weight\nSPY,60%\nTLT,40%\n")
        with shell.started(up, "Ctrl-C stops everything"):
            shell.wait_until_healthy()
            planned = shell.expect(preview, 0, "SELL EUR.USD")
            done = shell.expect(live, 0, "completed successfully")
            for line in shown.splitlines():
                assert " ".join(line.split()) in " ".join(done.split())
                assert " ".join(line.split()[:3]) in " ".join(planned.split())
            assert "EUR for one USD" in shell.expect("rebalancer value DU2000001")


def test_a_scenario_is_of_a_simulated_broker() -> None:
    with empty_folder() as shell:
        (shell.folder / "accounts.yaml").write_text("accounts: []")
        assert "add --sandbox" in shell.expect("rebalancer up --scenario accounts.yaml", 2)
