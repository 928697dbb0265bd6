"""Two gateways are two logins of one broker: each manages its own accounts, and what has a number has its own."""

from __future__ import annotations

import pytest

from rebalancer.domain.errors import ConfigurationError
from sandbox.gateway.run import of_login
from sandbox.gateway.scenario import Scenario, load_scenario
from tests.integration.ibkr.serving import ServedGateway, connected, executing, order


def traded(scenario: Scenario, account: str) -> tuple[set[int], set[str]]:
    """Permanent ids and execution ids, after an order."""
    served = ServedGateway(scenario.model_dump(), None)
    try:
        with connected(served) as broker:
            instrument = broker.instruments(["QQQ"])["QQQ"]
            bought = order("r-1", account_id=account, symbol="QQQ", contract_id=instrument.contract_id, quantity=1)
            list(executing(broker, [bought], 20))
        return served.do(
            lambda gateway: (
                {one.perm_id for one in gateway.orders},
                {one.execution_id.split(".", 1)[1] for one in gateway.executions},
            )
        )
    finally:
        served.stop()


def test_logins_of_one_broker_have_no_number_in_common() -> None:
    scenario = load_scenario("default")
    one, other = (of_login(scenario, [account]) for account in ("DU1000001", "DU1000002"))
    assert (list(one.accounts), list(other.accounts)) == (["DU1000001"], ["DU1000002"])
    (perm_ids, executions), (others_perm_ids, others_executions) = traded(one, "DU1000001"), traded(other, "DU1000002")
    assert perm_ids
    assert executions
    assert not perm_ids & others_perm_ids
    assert not executions & others_executions


def test_a_login_without_an_account_of_the_scenario_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="the scenario has no account DU9; it has DU1000001"):
        of_login(load_scenario("default"), ["DU9"])
