"""The faults that can be switched on, by a scenario's ``faults`` or at run time by the control port.

Each is absent by default; several may be on at once. ``F..`` are the numbers of the project's fault catalogue.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from sandbox.gateway.exchange_events import Lagging
from sandbox.gateway.fill_rules import Exact, Fills, Part

ALL_SYMBOLS = "*"
Seconds = Annotated[Decimal, Field(ge=0)]
Times = Annotated[int, Field(gt=0)]
Style = Literal["MIDPRICE", "MOC", "LOC", "Adaptive", "Vwap"]


class Code(Part):
    """An error or a warning; ``times``: only so often, for ever when absent."""

    code: int
    text: str = "Injected by the scenario"
    times: Times | None = None


class Rejection(Code):
    """An order that IBKR refuses.

    Attributes:
        told: ``False``: it becomes Inactive without any error.
        stays: it is Inactive and stays in the list of open orders, or is listed as a completed one; where absent,
            ``orders.life`` decides.
    """

    told: bool = True
    stays: Literal["listed", "completed"] | None = None


class OrderReset(Part):
    """Reset the connection when an order arrives, before or after it has reached the book."""

    when: Literal["before", "after"]
    times: Times | None = 1


class LineNotice(Part):
    """An error or a warning for a market data line.

    Attributes:
        ticks: what still comes: nothing, live ticks, or ticks marked as delayed.
    """

    code: int
    text: str = "Requested market data is not subscribed."
    ticks: Literal["none", "live", "delayed"] = "none"


class Swallow(Part):
    """A window at the gateway keeps an order back, and the client hears nothing of it.

    Attributes:
        times: how many windows open; each has one order behind it. Orders of ``*`` count together.
        each_session: count anew after each restart of the gateway.
        click_ms: somebody confirms the window after so long; by itself nobody does.
        drops_others: orders that arrive while it is open are lost for good.
    """

    times: Times | None = None
    each_session: bool = False
    click_ms: Seconds | None = None
    drops_others: bool = False


class Inactive(Part):
    """Report an order as Inactive, and let it work after all."""

    for_ms: Seconds = Decimal(200)


class Faults(Part):
    """What goes wrong.

    Attributes:
        taken_client_ids: F1, refused with 326 although no connection holds them.
        connections: F2, F8: accept and stay silent, or reset at once.
        muted: F6, ignore every request and send nothing, with connections open.
        ignored_requests: F4, request ids that are never answered.
        order_reset: F5.
        dropped_messages: F9, message ids that are never sent, e.g. 3 for orderStatus.
        duplicated_messages: F10, message ids that are sent twice.
        delayed_ms: F10, F17: milliseconds by message id; later messages overtake.
        commission: F10, amount to report instead of the true one, e.g. -1.
        corrected_executions: F18, each new execution is followed by a correction of its price.
        order_notices: F11, warnings sent about every new order while it lives.
        rejections: F12, by symbol or ``*``.
        refused_styles: F12, order types and algorithms that the broker does not take.
        fills: F13, instead of the scenario's fill rules, by symbol or ``*``.
        cancel_refusals: F14, by symbol or ``*``.
        ignored_cancels: F14, symbols or ``*``: a cancel is not answered and changes nothing.
        inactive: F22, by symbol or ``*``.
        quotes: F15, by symbol or ``*``: no ticks, -1, 0 or a bid above the ask.
        market_data: F15, by symbol or ``*``.
        halted: F15, symbols or ``*``: tick 49 says so, and nothing fills.
        what_if_late: F23, a what-if order is answered without margins first.
        split_frames: F25, write in pieces of so many bytes.
        account_not_ready: F28, the broker calls the account values incomplete.
        lags_ms: F28, milliseconds by ``positions``, ``values`` and ``funds``, after which these show at the earliest
            what has changed, in every account.
        hidden_positions: F28, symbols whose position rows are not sent, whatever net liquidation counts.
        hidden_values: F28, keys of account values that are not sent, with or without ``$LEDGER-``.
        executions: F27, how the request for executions is answered, while pushes go on: with nothing, or with every
            second one.
        swallowed_orders: F26, by symbol or ``*``.
    """

    taken_client_ids: frozenset[int] = frozenset()
    connections: Literal["welcome", "silence", "reset"] = "welcome"
    muted: bool = False
    ignored_requests: frozenset[int] = frozenset()
    order_reset: OrderReset | None = None
    dropped_messages: frozenset[int] = frozenset()
    duplicated_messages: frozenset[int] = frozenset()
    delayed_ms: dict[int, Seconds] = Field(default_factory=dict)
    commission: Exact | None = None
    corrected_executions: bool = False
    order_notices: tuple[Code, ...] = ()
    rejections: dict[str, Rejection] = Field(default_factory=dict)
    refused_styles: frozenset[Style] = frozenset()
    fills: dict[str, Fills] = Field(default_factory=dict)
    cancel_refusals: dict[str, Code] = Field(default_factory=dict)
    ignored_cancels: frozenset[str] = frozenset()
    inactive: dict[str, Inactive] = Field(default_factory=dict)
    quotes: dict[str, Literal["none", "minus_one", "zero", "crossed"]] = Field(default_factory=dict)
    market_data: dict[str, LineNotice] = Field(default_factory=dict)
    halted: frozenset[str] = frozenset()
    what_if_late: bool = False
    split_frames: Annotated[int, Field(gt=0)] | None = None
    account_not_ready: bool = False
    lags_ms: dict[Lagging, Seconds] = Field(default_factory=dict)
    hidden_positions: frozenset[str] = frozenset()
    hidden_values: frozenset[str] = frozenset()
    executions: Literal["whole", "empty", "partial"] = "whole"
    swallowed_orders: dict[str, Swallow] = Field(default_factory=dict)
