"""What the connection tells of its gateway, and what other workers know of it: the first order of a gateway session
travels alone, a gateway that is away has restarted, and what announces a loss is for people.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from typing import Protocol

from rebalancer.domain.orders import Fill


class GatewayRecord(Protocol):
    """Shared by all workers of one gateway. No call raises but where it says so; each may block for seconds."""

    def first_order(self, connected_s: float, accounts: Collection[str]) -> AbstractContextManager[bool]:
        """Have the right to send an order alone.

        Args:
            connected_s: how long the connection has been open over which it is sent.
            accounts: of the login.

        Returns:
            A context that yields False when the gateway has acknowledged an order since that connection was opened, so
            that nobody needs to travel alone.

        Raises:
            GatewayUnavailable: another worker's first order is on its way, or is not acknowledged; or nobody can say.
        """

    def acknowledged(self) -> None:
        """The gateway has taken an order."""

    def away(self) -> bool:
        """Nobody listens at the gateway's address: its process has ended, and with it what waited on its screen.

        Returns:
            Whether that is on record now.
        """

    def warned(self, accounts: Collection[str], code: int, text: str) -> bool:
        """A code that announces a loss was heard.

        Returns:
            Whether that is on record now.
        """

    def liquidated(self, account_id: str, execution_id: str, trade: str) -> bool:
        """IBKR has sold by itself; told once for each execution.

        Args:
            trade: side, quantity and symbol.

        Returns:
            Whether that is on record now.
        """

    def refused(self, order_ref: str, code: int, text: str) -> bool:
        """The broker has refused an order for good; it matters only if the order was unacknowledged.

        Returns:
            Whether that is on record now.
        """

    def corrected(self, fill: Fill) -> bool:
        """The broker has corrected an execution, perhaps one of ours.

        Returns:
            Whether that is on record now.
        """

    def desupported(self, day: date, text: str) -> bool:
        """IBKR takes no login of this build of the gateway any more from that day on.

        Returns:
            Whether that is on record now.
        """


class Unrecorded:
    """Nobody else is there."""

    @contextmanager
    def first_order(self, connected_s: float, accounts: Collection[str]) -> Iterator[bool]:
        """Alone anyway."""
        del connected_s, accounts
        yield True

    def acknowledged(self) -> None:
        """Nobody waits for it."""

    def away(self) -> bool:
        """Nobody asks."""
        return True

    def warned(self, accounts: Collection[str], code: int, text: str) -> bool:
        """The log has it."""
        del accounts, code, text
        return True

    def liquidated(self, account_id: str, execution_id: str, trade: str) -> bool:
        """The log has it."""
        del account_id, execution_id, trade
        return True

    def refused(self, order_ref: str, code: int, text: str) -> bool:
        """The log has it."""
        del order_ref, code, text
        return True

    def corrected(self, fill: Fill) -> bool:
        """The log has it."""
        del fill
        return True

    def desupported(self, day: date, text: str) -> bool:
        """The log has it."""
        del day, text
        return True
