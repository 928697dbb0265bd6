"""What keeps the contract of a run's record."""

from __future__ import annotations

import pytest

from tests.integration.ledger.record_keepers import InMemory, InPostgres, Keeper


@pytest.fixture(params=["postgres", "memory"])
def keeper(request: pytest.FixtureRequest) -> Keeper:
    """Of either kind, with nothing on record."""
    return InMemory() if request.param == "memory" else InPostgres(request.getfixturevalue("ledger"))
