"""Which purchases a broker takes sales from: pure; splits are not followed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from rebalancer.domain.portfolio import Side
from sandbox.gateway.exchange_events import Execution

_FINEST = Decimal("1e-8")


@dataclass(frozen=True, slots=True)
class ClosedLot:
    """Shares that a sale has taken from a purchase."""

    sale: Execution
    purchase: Execution
    quantity: Decimal

    @property
    def cost(self) -> Decimal:
        """USD, commission included."""
        bought = self.purchase
        return (self.quantity * (bought.price + bought.commission / bought.quantity)).quantize(_FINEST)

    @property
    def realized(self) -> Decimal:
        """Gain (+) or loss, USD."""
        sale = self.sale
        return (self.quantity * (sale.price - sale.commission / sale.quantity)).quantize(_FINEST) - self.cost


def closed_lots(trades: Iterable[Execution], *, newest_first: bool) -> Iterator[ClosedLot]:
    """Of one account's trades, oldest first; of shares that nobody has bought in them there is no lot."""
    held: dict[str, list[tuple[Execution, Decimal]]] = {}
    for trade in trades:
        if trade.order.pair:
            continue
        mine = held.setdefault(trade.order.symbol, [])
        if trade.order.side is Side.BUY:
            mine.append((trade, trade.quantity))
            continue
        left = trade.quantity
        while left and mine:
            purchase, there = mine.pop(-1 if newest_first else 0)
            taken = min(left, there)
            if taken < there:
                mine.insert(len(mine) if newest_first else 0, (purchase, there - taken))
            yield ClosedLot(trade, purchase, taken)
            left -= taken
