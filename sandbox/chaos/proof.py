"""The nightly proof at the end of a trial: what the broker states of each account, held against the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.domain.currencies import USD
from rebalancer.flex.decoding import decode
from rebalancer.flex.xml import root_of
from rebalancer.ledger import statements
from rebalancer.runner.programs import program_of
from rebalancer.statements.content import Holdings, Start, total
from sandbox.fault_trials.stage import Stage
from sandbox.flex.knobs import Knobs
from sandbox.flex.server import of_files


def unproved(stage: Stage, begun: date) -> Iterator[str]:
    """One sentence for each difference that nothing explains.

    Args:
        begun: day on which the trial began, in New York.
    """
    scenario = stage.cast.scenario or {}
    for statement in decode(root_of(_stated(stage))):
        start = Start(begun - timedelta(days=1), _opening(statement.account_id, scenario))
        with stage.ledger.begin() as session:
            proof = statements.compare(session, statement, start)
        yield from (f"{statement.account_id}: statement: {one.kind}: {one.text}" for one in proof.unexplained)


def _stated(stage: Stage) -> bytes:
    """What the Flex web service says of all accounts, of yesterday and of today until now."""
    site = stage.stack.site
    scenario = site.folder.root / f"{program_of('scenario', MAIN_GATEWAY)}.yaml"
    books = [site.folder.root / f"{program_of('books', name)}.json" for name in site.logins]
    token, knobs = site.environment["FLEX_TOKEN"], Knobs(through="today", days=2, per_minute=None)
    service = of_files(scenario, books, token, knobs)
    return service.statement(token, service.request(token, site.environment["FLEX_QUERY_ID"]))


def _opening(account_id: str, scenario: Mapping[str, Any]) -> Holdings:
    """Several contracts may have one ticker."""
    account, instruments = scenario["accounts"][account_id], scenario["instruments"]
    shares = total(
        {instruments[name].get("symbol", name): Decimal(str(held["quantity"]))}
        for name, held in account["positions"].items()
    )
    others = {currency: Decimal(str(amount)) for currency, amount in account.get("other_cash", {}).items()}
    return Holdings(shares, {USD: Decimal(str(account["cash"])), **others})
