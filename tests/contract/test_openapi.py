"""Whatever is sent to whatever the OpenAPI document names, the server never fails and answers as documented."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis import Case
from schemathesis.checks import CHECKS as KNOWN
from schemathesis.checks import load_all_checks

from api.app import create_app
from rebalancer.config.settings import Settings
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.ledger_rows import seeded
from tests.serving import serving

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


@pytest.fixture
def event_id(ledger: Ledger) -> str:
    return str(seeded(ledger)["failing"])


@pytest.fixture
def document(app_settings: Settings, event_id: str) -> Iterator[Any]:
    """The served document, over a ledger with something in it."""
    del event_id
    with serving(create_app(app_settings)) as client:
        yield schemathesis.openapi.from_url(f"{client.base_url}/openapi.json").exclude(path=[ENDLESS, NOT_READY])


def test_nothing_that_is_sent_makes_the_server_fail(document: Any, event_id: str) -> None:
    known = {"account_id": "DU1000001", "exec_command": "print-equity", "event_id": event_id}
    for found in document.get_all_operations():
        _try(found.ok(), known)


def _try(operation: Any, known: dict[str, str]) -> None:
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


def test_all_checks_are_made() -> None:
    assert {"not_a_server_error", "ignored_auth", "negative_data_rejection", "unsupported_method"} <= {
        check.__name__ for check in CHECKS
    }
    assert len(CHECKS) == len(KNOWN.get_all_names()) - 1


def test_every_operation_is_described_with_its_errors(app_settings: Settings) -> None:
    described = create_app(app_settings).openapi()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), f"{method} {path}"
            if path.startswith(("/queue", "/rebalance", "/accounts", "/halts", "/approvals", "/schedules")):
                assert {"401", "403", "422", "429", "503"} <= operation["responses"].keys(), f"{method} {path}"
