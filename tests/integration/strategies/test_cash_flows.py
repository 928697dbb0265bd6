"""What came or went is told apart, with a real worker and a broker that pays."""

from __future__ import annotations

from decimal import Decimal

from rebalancer.domain.cash_flows import CashFlow
from rebalancer.domain.commands import Command
from rebalancer.domain.notices import NoticeKind
from rebalancer.ledger.queries import cash_flows
from sandbox.gateway.exchange_accounts import Payment
from tests.integration.strategies.conftest import Desk

ACCOUNT = "DU1000005"


def look(desk: Desk) -> None:
    desk.world.finish(desk.world.submit(ACCOUNT, Command.PRINT_REBALANCE))


def pay(desk: Desk, usd: int = 0, dividends: int = 0) -> None:
    """Cash, and what is yet to be paid."""
    payment = Payment({"USD": Decimal(usd)} if usd else {}, accrued_dividends=Decimal(dividends))
    desk.world.gateway.do(lambda gateway: gateway.exchange.pay(ACCOUNT, payment))


def flows(desk: Desk) -> list[CashFlow]:
    with desk.world.ledger.begin() as session:
        return cash_flows.newest(session, ACCOUNT, 10)[::-1]


def test_deposits_dividends_and_withdrawals_are_told_apart(desk: Desk) -> None:
    desk.configure({ACCOUNT: ""}, "")
    desk.world.start_worker()
    look(desk)
    pay(desk, dividends=2000)
    look(desk)
    pay(desk, usd=1700, dividends=-2000)
    look(desk)
    pay(desk, usd=25_000)
    look(desk)
    pay(desk, usd=-10_000)
    look(desk)
    pay(desk, usd=-7)
    look(desk)
    assert [(one.kind, one.amount) for one in flows(desk)] == [
        ("dividend", 1700),
        ("deposit", 25_000),
        ("withdrawal", -10_000),
    ]
    assert desk.told() == [NoticeKind.CASH_FLOW] * 3
    desk.world.finish(desk.world.submit(ACCOUNT, Command.REBALANCE))
    look(desk)
    assert len(flows(desk)) == 3, "what we have traded is no flow"
