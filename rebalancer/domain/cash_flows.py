"""Cash that comes or goes without a trade, by what it is as far as that can be known. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from rebalancer.domain.money import CENT, ZERO

LEAST = Decimal("0.005")
"""Of equity: what is less may be interest, a fee or a dividend as well."""
LEAST_PAID = Decimal("0.6")
"""Of the dividends that are no longer accrued: what withholding taxes leave of them."""


class CashFlowKind(StrEnum):
    """What a movement of cash was."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    DIVIDEND = "dividend"
    """As much has come as accrued dividends have fallen, or what taxes leave of it."""
    SMALL = "small"
    """Too little to be told apart."""


@dataclass(frozen=True, slots=True)
class CashFlow:
    """Cash that came or went between two looks at an account, of which no position had changed.

    Attributes:
        amount: USD, negative for what went.
        at: of the later look.
        kind: ``None`` for what is on record from before kinds were told.
    """

    account_id: str
    at: datetime
    amount: Decimal
    kind: CashFlowKind | None


def kind_of(amount: Decimal, equity: Decimal, dividends_paid: Decimal) -> CashFlowKind:
    """What a movement is.

    Args:
        amount: USD, negative for what went.
        equity: of the account afterwards, USD.
        dividends_paid: by how much the accrued dividends have fallen, USD; negative if they have risen.
    """
    if dividends_paid > ZERO and LEAST_PAID * dividends_paid <= amount <= dividends_paid + CENT:
        return CashFlowKind.DIVIDEND
    if abs(amount) < LEAST * abs(equity):
        return CashFlowKind.SMALL
    return CashFlowKind.DEPOSIT if amount > ZERO else CashFlowKind.WITHDRAWAL
