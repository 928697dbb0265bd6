"""The books as a scenario begins them."""

from __future__ import annotations

from rebalancer.domain.portfolio import OrderType
from sandbox.gateway import scenario
from sandbox.gateway.exchange_accounts import AccountState, Holding
from sandbox.gateway.memory import Memory
from sandbox.gateway.tickets import ContractQuery, Ticket


def opening(setup: scenario.Scenario) -> Memory:
    """The scenario's accounts."""
    return Memory(tuple(_opened(key, account, setup) for key, account in setup.accounts.items()))


def _opened(account_id: str, account: scenario.Account, setup: scenario.Scenario) -> AccountState:
    settled = account.cash if account.settled_cash is None else account.settled_cash
    holdings = {
        symbol: Holding(
            holding.quantity,
            setup.instruments[symbol].unit_price if holding.average_cost is None else holding.average_cost,
        )
        for symbol, holding in account.positions.items()
    }
    return AccountState(
        account_id=account_id,
        type=account.type,
        margin=account.margin,
        settled_only=account.settled_cash_only,
        settled=settled,
        unsettled=account.cash - settled,
        holdings=holdings,
        base_currency=account.base_currency,
        other_cash=account.other_cash,
        auto_convert=account.auto_convert,
        accrued_interest=account.accrued_interest,
        accrued_dividends=account.accrued_dividends,
    )


def hand_ticket(account_id: str, wish: scenario.OpenOrder, spec: scenario.Instrument) -> Ticket:
    """What an order entered by hand asks for."""
    return Ticket(
        contract=ContractQuery(spec.con_id, "", spec.security_type, _venue(spec), "", spec.currency),
        action=wish.side,
        quantity=wish.quantity,
        order_type=OrderType.LIMIT,
        limit_price=wish.limit_price,
        aux_price=None,
        time_in_force="GTC",
        account=account_id,
        order_ref=wish.order_ref,
        transmit=True,
        outside_hours=False,
        what_if=False,
    )


def _venue(spec: scenario.Instrument) -> str:
    return spec.exchange if spec.security_type == "CASH" else "SMART"
