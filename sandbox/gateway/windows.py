"""Orders that a window in the gateway keeps back until somebody answers it.

The client hears nothing of them: no status, no error; they are in no list, and a cancel by number finds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.gateway.tickets import Ticket


@dataclass(frozen=True, slots=True)
class Window:
    """How a window behaves that opens for an order.

    Attributes:
        click_s: after how long somebody confirms it; ``None``: not by itself.
        drops_others: orders that arrive while it is open are lost for good.
    """

    click_s: float | None = None
    drops_others: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Swallowed:
    """An order that waits behind a window."""

    client_id: int
    order_id: int
    ticket: Ticket
    window: Window


class Windows:
    """The windows that are open at the gateway.

    Args:
        transmit: takes client id, order id and ticket of an order whose window was confirmed.
        call_later: runs something after so many seconds.
    """

    def __init__(
        self,
        transmit: Callable[[int, int, Ticket], None],
        call_later: Callable[[float, Callable[[], object]], object],
    ) -> None:
        self._transmit = transmit
        self._call_later = call_later
        self._open: list[Swallowed] = []

    @property
    def waiting(self) -> tuple[Swallowed, ...]:
        """What waits, oldest first."""
        return tuple(self._open)

    def keeps_back(self, client_id: int, order_id: int, ticket: Ticket, window: Window | None) -> bool:
        """Whether a window opens for an order, or one that is open already loses it."""
        if any(one.window.drops_others for one in self._open):
            return True
        if window is None:
            return False
        order = Swallowed(client_id, order_id, ticket, window)
        self._open.append(order)
        if window.click_s is not None:
            self._call_later(window.click_s, lambda: self._answer([order], send=True))
        return True

    def answer(self, *, send: bool = True) -> int:
        """Somebody answers every window: what waited enters the book now, or never; how many."""
        return self._answer(self.waiting, send=send)

    def _answer(self, orders: tuple[Swallowed, ...] | list[Swallowed], *, send: bool) -> int:
        answered = [one for one in orders if one in self._open]
        self._open = [one for one in self._open if one not in answered]
        for one in answered if send else ():
            self._transmit(one.client_id, one.order_id, one.ticket)
        return len(answered)

    def forget(self) -> None:
        """The gateway has restarted: nobody can confirm them any more."""
        self._open.clear()
