"""What a gateway may do differently from a healthy one: each question is asked at exactly one place.

:class:`Behaviour` answers for a healthy gateway. Fault injection overrides single answers; nothing else in the
simulator knows that faults exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from sandbox.gateway.checks import Refusal
from sandbox.gateway.exchange_events import Execution, Lagging, Order
from sandbox.gateway.fill_rules import Fills
from sandbox.gateway.market import Quote
from sandbox.gateway.tickets import Ticket
from sandbox.gateway.windows import Window
from sandbox.gateway.wire import Message


class Admission(Enum):
    """What a new connection meets."""

    WELCOME = "welcome"
    SILENCE = "silence"
    RESET = "reset"


class Incoming(Enum):
    """What becomes of a request."""

    HANDLE = "handle"
    IGNORE = "ignore"
    RESET_BEFORE = "reset before it is handled"
    RESET_AFTER = "reset after it was handled"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to a client; a delayed one is overtaken by those behind it."""

    message: Message
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LineAnswer:
    """What a market data line meets.

    Attributes:
        notice: an error or a warning for it.
        ticks: whether quotes come all the same.
        kind: IBKR's market data type, 1 live or 3 delayed.
    """

    notice: Refusal | None = None
    ticks: bool = True
    kind: int = 1


class Behaviour:
    """A healthy gateway."""

    def admission(self) -> Admission:
        """Asked when a client has connected."""
        return Admission.WELCOME

    def client_id_taken(self, client_id: int) -> bool:
        """Asked at startApi: is the id busy although no connection holds it?"""
        del client_id
        return False

    def incoming(self, client_id: int, message_id: int) -> Incoming:
        """Asked for every request within the rate limit, before it is read."""
        del client_id, message_id
        return Incoming.HANDLE

    def outgoing(self, client_id: int, message: Message) -> Iterable[Delivery]:
        """Asked for every message to a client: none, one or several deliveries."""
        del client_id
        return (Delivery(message),)

    def listed(self, executions: Sequence[Execution]) -> Sequence[Execution]:
        """Asked when a client asks for executions; ``executions`` are those that match."""
        return executions

    def frames(self, data: bytes) -> Sequence[bytes]:
        """Asked for every batch of frames before it is written: the pieces to write one by one."""
        return (data,)

    def restarted(self) -> None:
        """Told when the gateway has restarted."""

    def window(self, symbol: str) -> Window | None:
        """Asked for every well-formed new order: does a window keep it back?"""
        del symbol
        return None

    def refusal(self, order: Order) -> Refusal | None:
        """Asked for every well-formed new order: reject it as if IBKR had, and perhaps keep it in a list?"""
        del order
        return None

    def style_refusal(self, ticket: Ticket) -> Refusal | None:
        """Asked for every well-formed new order: refuse how it is to be worked?"""
        del ticket
        return None

    def notices(self, order: Order) -> Sequence[Refusal]:
        """Asked for every accepted new order: codes and texts to send about it while it lives."""
        del order
        return ()

    def cancel_refusal(self, order: Order) -> Refusal | None:
        """Asked for every cancel of an open order: refuse it, leaving the order as it is?"""
        del order
        return None

    def ignores_cancel(self, order: Order) -> bool:
        """Asked for every cancel of a known order: leave it unanswered?"""
        del order
        return False

    def inactive_for_s(self, order: Order) -> float | None:
        """Asked for every accepted order: report it as Inactive for so long before it works?"""
        del order
        return None

    def lag_s(self, part: Lagging) -> float:
        """Asked before an account changes: how much later a part of it shows that at least?"""
        del part
        return 0.0

    def corrected(self, execution: Execution) -> Decimal | None:
        """Asked after every execution: the price, USD per share, that a correction gives it."""
        del execution
        return None

    def fill_rule(self, symbol: str, rule: Fills) -> Fills:
        """Asked when the fills of an order are planned; ``rule`` is the scenario's."""
        del symbol
        return rule

    def margins_late(self) -> bool:
        """Asked for every what-if order: send it without margins first?"""
        return False

    def line(self, symbol: str) -> LineAnswer:
        """Asked when a client wants quotes of a symbol."""
        del symbol
        return LineAnswer()

    def halted(self, symbol: str) -> bool:
        """Asked before quotes are shown and orders filled: is trading halted?"""
        del symbol
        return False

    def quote(self, quote: Quote) -> Quote | None:
        """Asked before a quote is shown to a client; ``None`` shows nothing."""
        return quote
