"""Sends whatever an OpenAPI document allows. To load Schemathesis takes half a second, which one process spends."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis import Case
from schemathesis.checks import CHECKS as KNOWN
from schemathesis.checks import load_all_checks

from tests.contract.conftest import BEARER

ENDLESS = "/stream"
NOT_READY = "/readyz"
REFUSALS = "positive_data_acceptance"
"""The one check left out: what can be understood is still refused, for a market open that has passed or a wrong key."""
load_all_checks()
CHECKS = [check for check in KNOWN.get_all() if check.__name__ != REFUSALS]
EXAMPLES = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def document(url: str) -> Any:
    """The served document, without what never answers at all or not yet."""
    return schemathesis.openapi.from_url(f"{url}/openapi.json").exclude(path=[ENDLESS, NOT_READY])


def send_all(operation: Any, known: dict[str, str]) -> None:
    """Send whatever the document allows; half of it about an account and an event that exist."""

    @EXAMPLES
    @given(case=operation.as_strategy(), exists=strategies.booleans())
    def send(case: Case, exists: bool) -> None:
        for values in (case.path_parameters, case.body):
            if exists and isinstance(values, dict):
                values.update({name: value for name, value in known.items() if name in values})
        if "wait_s" in operation.query:
            case.query = {**(case.query or {}), "wait_s": 0}
        case.call_and_validate(headers=BEARER, checks=CHECKS)

    send()
