"""What keeps the contract of a run's record; and a run that is about to send one order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from rebalancer.domain.claims import Claim
from rebalancer.domain.commands import Command
from rebalancer.domain.orders import OrderRequest
from rebalancer.domain.portfolio import AccountSnapshot, OrderType, Position, ProposedOrder, Side, TimeInForce
from rebalancer.ledger import orders, ownership, signal_intake
from rebalancer.ledger.session import Ledger, Session
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from tests.integration.ledger.one_order import NOW, PRICE, QUANTITY, REF
from tests.integration.ledger.record_keepers import InMemory, InPostgres, Keeper


@pytest.fixture
def claim(ledger: Ledger) -> Claim:
    """A run that has looked at its account and is about to send one order."""
    with ledger.begin() as session:
        signal = NewSignal("blend", uuid4().hex, Command.REBALANCE, {})
        event_id = signal_intake.record(session, signal, [Addressee("DU1", "blend")]).served[0].event_id
    made = ownership.claim(ledger, event_id, "test", timedelta(seconds=60))
    assert made is not None
    held = (Position("GLD", Decimal(0)), Position("SPY", Decimal(400)))
    seen = AccountSnapshot("DU1", NOW, Decimal(100_000), Decimal(60_000), None, None, held)
    request = OrderRequest(REF, "DU1", "GLD", 1, Side.BUY, QUANTITY, OrderType.MARKET, TimeInForce.DAY)
    with ledger.begin() as session:
        rows = [{"symbol": one.symbol, "quantity": str(one.quantity), "price": "100", "weight": "0"} for one in held]
        orders.record_snapshot(session, made, "before", seen, rows)
        proposed = ProposedOrder("GLD", Side.BUY, QUANTITY, PRICE, Decimal(1), "below its target")
        orders.record_intents(session, made, [(proposed, request)])
    return made


@pytest.fixture
def session(ledger: Ledger, claim: Claim) -> Iterator[Session]:
    """A transaction after the order's intent is on record."""
    del claim
    with ledger.begin() as session:
        yield session


@pytest.fixture(params=["postgres", "memory"])
def keeper(request: pytest.FixtureRequest) -> Keeper:
    """Of either kind, with nothing on record."""
    return InMemory() if request.param == "memory" else InPostgres(request.getfixturevalue("ledger"))
