"""What cash was that came or went: each side of each bound."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.cash_flows import CashFlowKind, kind_of

EQUITY = 100_000


@pytest.mark.parametrize(
    ("amount", "paid", "kind"),
    [
        ("500", "0", CashFlowKind.DEPOSIT),
        ("499.99", "0", CashFlowKind.SMALL),
        ("-500", "0", CashFlowKind.WITHDRAWAL),
        ("-499.99", "0", CashFlowKind.SMALL),
        ("800", "800", CashFlowKind.DIVIDEND),
        ("800.01", "800", CashFlowKind.DIVIDEND),
        ("800.02", "800", CashFlowKind.DEPOSIT),  # more than dividends explain
        ("680", "800", CashFlowKind.DIVIDEND),  # less a tax of 15 %
        ("480", "800", CashFlowKind.DIVIDEND),
        ("479.99", "800", CashFlowKind.SMALL),
        ("12", "12", CashFlowKind.DIVIDEND),
        ("-800", "800", CashFlowKind.WITHDRAWAL),
        ("800", "-800", CashFlowKind.DEPOSIT),
    ],
)
def test_each_kind(amount: str, paid: str, kind: CashFlowKind) -> None:
    assert kind_of(Decimal(amount), Decimal(EQUITY), Decimal(paid)) is kind


@given(st.decimals(-(10**6), 10**6, places=2), st.decimals(0, 10**6, places=2), st.decimals(-(10**5), 10**5, places=2))
def test_the_kind_never_belies_the_direction(amount: Decimal, equity: Decimal, paid: Decimal) -> None:
    kind = kind_of(amount, equity, paid)
    if kind in (CashFlowKind.DEPOSIT, CashFlowKind.DIVIDEND):
        assert amount > 0
    if kind is CashFlowKind.WITHDRAWAL:
        assert amount <= 0
    if paid <= 0:
        assert kind is not CashFlowKind.DIVIDEND
