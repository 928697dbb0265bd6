"""Whatever is sent to whatever the OpenAPI document names, the server never fails and answers as documented."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from api.app import create_app
from rebalancer.config.settings import Settings
from rebalancer.ledger.session import Ledger
from tests.ledger_rows import seeded
from tests.serving import serving


@pytest.fixture
def sending() -> Any:
    """Loaded by who needs it alone."""
    return import_module("tests.contract.sending")


@pytest.fixture
def event_id(ledger: Ledger) -> str:
    return str(seeded(ledger)["failing"])


def test_nothing_that_is_sent_makes_the_server_fail(sending: Any, app_settings: Settings, event_id: str) -> None:
    known = {"account_id": "DU1000001", "exec_command": "print-equity", "event_id": event_id}
    with serving(create_app(app_settings)) as client:
        for found in sending.document(str(client.base_url)).get_all_operations():
            sending.send_all(found.ok(), known)


def test_all_checks_are_made(sending: Any) -> None:
    assert {"not_a_server_error", "ignored_auth", "negative_data_rejection", "unsupported_method"} <= {
        check.__name__ for check in sending.CHECKS
    }
    assert len(sending.CHECKS) == len(sending.KNOWN.get_all_names()) - 1


def test_every_operation_is_described_with_its_errors(app_settings: Settings) -> None:
    described = create_app(app_settings).openapi()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), f"{method} {path}"
            if path.startswith(("/queue", "/rebalance", "/accounts", "/halts", "/approvals", "/schedules")):
                assert {"401", "403", "422", "429", "503"} <= operation["responses"].keys(), f"{method} {path}"
