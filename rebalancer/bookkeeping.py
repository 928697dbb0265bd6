"""An account after its fills, without waiting for the broker's own books to catch up.

IBKR pushes positions and cash some time after a fill; what a run needs next is known exactly from the fills.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from rebalancer.model import AccountSnapshot, Position, Side
from rebalancer.money import ZERO
from rebalancer.orders import Fill


def after_fills(
    snapshot: AccountSnapshot, fills: Iterable[Fill], commissions: Mapping[str, Decimal], unknown_fee: Decimal
) -> AccountSnapshot:
    """Apply fills to a snapshot taken before them.

    Args:
        fills: one per execution, corrections already applied.
        commissions: USD by execution id.
        unknown_fee: USD to assume for a fill whose commission has not been reported.

    Returns:
        Positions and cash afterwards. Net liquidation only loses the commissions: what a fill gained or lost against
        the mid price shows in the next real snapshot.
    """
    held = {position.symbol: position for position in snapshot.positions if is_tradable(position)}
    others = tuple(position for position in snapshot.positions if not is_tradable(position))
    cash = paid = ZERO
    for fill in fills:
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        fee = commissions.get(fill.execution_id, unknown_fee)
        cash -= signed * fill.price + fee
        paid += fee
        before = held.get(fill.symbol, Position(fill.symbol, ZERO))
        held[fill.symbol] = replace(before, quantity=before.quantity + signed)
    return replace(
        snapshot,
        cash=snapshot.cash + cash,
        net_liquidation=snapshot.net_liquidation - paid,
        positions=tuple(position for position in held.values() if position.quantity) + others,
    )


def is_tradable(position: Position) -> bool:
    """US stocks and ETFs; everything else is never touched nor counted as stock."""
    return position.security_type == "STK" and position.currency == "USD"
