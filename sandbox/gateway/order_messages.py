"""Whole orders on the wire: openOrder and completedOrder, field by field as their versions lay them out."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.portfolio import Side
from sandbox.gateway.exchange import WhatIf
from sandbox.gateway.exchange_accounts import MAINTENANCE_RATE, MARGIN_RATE
from sandbox.gateway.exchange_events import Order
from sandbox.gateway.market import Listing
from sandbox.gateway.messages import OPEN_ORDER, contract_fields, number
from sandbox.gateway.order_styles import algorithm_fields
from sandbox.gateway.wire import UNSET_DOUBLE, UNSET_INT, Lasting, Message

_NOT_BEST = ("", "", "", "", "")  # minTradeQty .. midOffsetAtHalf
_NO_MARGINS = (UNSET_DOUBLE,) * 9


@dataclass(frozen=True, slots=True)
class OrderState:
    """The openOrder fields that depend on the moment.

    Attributes:
        margins: initial, maintenance and equity: before, change, after.
        commission: known or estimated, else unset.
    """

    what_if: bool = False
    margins: tuple[str, ...] = _NO_MARGINS
    commission: str = UNSET_DOUBLE
    currency: str = ""


def open_order(version: int, listing: Listing, order: Order, state: OrderState | None = None) -> Message:
    """An open order with everything that its owner asked."""
    return (
        OPEN_ORDER,
        order.order_id,
        *contract_fields(listing, listing.venue, strike="0", right="?"),
        *_wish(order),
        order.ticket.order_ref,
        order.client_id,
        order.perm_id,
        order.ticket.outside_hours,
        *_allocation(version, order),
        *_instructions(),
        *_routing(),
        *algorithm_fields(order),
        *_state(order, state or OrderState()),
        *_tail(version),
    )


def what_if(version: int, listing: Listing, answer: WhatIf) -> Message:
    """The answer to a what-if order."""
    before = answer.before
    margin = before.state.margin
    signed = answer.notional if answer.order.side is Side.BUY else -answer.notional
    initial = signed * (MARGIN_RATE if margin else 1)
    maintenance = signed * (MAINTENANCE_RATE if margin else 1)
    starts = (before.initial_margin, before.maintenance_margin, before.net_liquidation)
    changes = (initial, maintenance, -answer.fee)
    ends = tuple(start + change for start, change in zip(starts, changes, strict=True))
    state = OrderState(
        what_if=True,
        margins=tuple(_money(amount) for amount in (*starts, *changes, *ends)),
        commission=number(answer.fee),
        currency="USD",
    )
    return open_order(version, listing, answer.order, state)


@lru_cache(maxsize=2**15)
def completed_order(
    version: int, listing: Listing, order: Order, stamp: str, omits: frozenset[str] = frozenset()
) -> Message:
    """An order that has ended; its owner's number is not part of it. Every client that asks hears of each order of the
    day.

    Args:
        stamp: when it ended, as the gateway writes it.
        omits: ``account``, ``order_ref``, ``filled``, or ``quantity``, which only filled orders lack.
    """
    action, quantity, *terms, _account, position, origin = _wish(order)
    fields = (
        101,
        *contract_fields(listing, listing.venue, strike="0", right="?"),
        action,
        0 if "quantity" in omits and order.status is OrderStatus.FILLED else quantity,
        *terms,
        "" if "account" in omits else order.account,
        position,
        origin,
        "" if "order_ref" in omits else order.ticket.order_ref,
        order.perm_id,
        order.ticket.outside_hours,
        *_completed_allocation(version),
        *_completed_instructions(),
        *("", 0, 0, 0, "", "", "", ""),  # combination, legs, scale, hedge
        *("", "IB", 0, 0),  # clearing, notHeld, delta-neutral contract
        *algorithm_fields(order),
        *(0, order.status, 0, 0),  # solicited, status, randomize
        *(0, UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, 0, 0),  # conditions .. isOmsContainer
        *("", "" if "filled" in omits else number(order.filled), 0, 0, "", 0, 0, UNSET_INT),  # autoCancelDate ..
        stamp,
        order.end_text,
        *(_NOT_BEST if version >= 170 else ()),
    )
    return Lasting(fields)


def _money(amount: Decimal) -> str:
    return format(round(amount, 2), "f")


def _price(value: Decimal | None) -> str:
    return "0.0" if value is None else number(value)


def _wish(order: Order) -> tuple[object, ...]:
    """action to origin."""
    ticket = order.ticket
    return (
        ticket.action,
        number(ticket.quantity),
        ticket.order_type,
        _price(ticket.limit_price),
        _price(ticket.aux_price),
        ticket.time_in_force or "DAY",
        "",
        ticket.account,
        "",
        0,
    )


def _allocation(version: int, order: Order) -> tuple[object, ...]:
    """hidden to goodTillDate."""
    share = f"{order.perm_id}.0/{order.account}/100"
    return (0, 0, "", share, "", "", "", *(("",) if version < 177 else ()), "", "")


def _instructions() -> tuple[object, ...]:
    """rule80A to the delta-neutral block of an order without one, which real gateways name ``None``."""
    return (
        *("", UNSET_DOUBLE, "", 0, "", -1, 0, "", "", ""),  # rule80A .. delta
        *("", "", 0, 0, 0, 0, "", 3, 0, 0, ""),  # stockRangeLower .. nbboPriceCap
        *(0, 0, "", 0, "None", ""),  # parentId .. deltaNeutralAuxPrice
        *(0, "", "", "", "?", 0, 0, ""),  # delta-neutral block
    )


def _routing() -> tuple[object, ...]:
    """continuousUpdate to the delta-neutral contract."""
    return (
        *(0, 0, "", "", "", "", ""),  # continuousUpdate .. comboLegsDescrip
        *(0, 0, 0),  # legs, order legs, routing parameters
        *("", "", UNSET_DOUBLE),  # scale
        *("", 0, "", "IB", 0, 0),  # hedgeType .. delta-neutral contract
    )


def _state(order: Order, state: OrderState) -> tuple[object, ...]:
    """solicited to warningText."""
    return (
        0,
        state.what_if,
        order.status,
        *state.margins,
        state.commission,
        UNSET_DOUBLE,
        UNSET_DOUBLE,
        state.currency,
        "",
    )


def _tail(version: int) -> tuple[object, ...]:
    """randomizeSize to the end."""
    return (
        *(0, 0, 0, "None", UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE),  # randomize .. lmtPriceOffset
        *(UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, 0),  # adjusted prices, trailing unit
        *("", "", "", UNSET_DOUBLE, 0, 0, 0, 0),  # soft dollars .. usePriceMgmtAlgo
        *((UNSET_INT,) if version >= 158 else ()),  # duration
        *((UNSET_INT,) if version >= 160 else ()),  # postToAts
        *((0,) if version >= 162 else ()),  # autoCancelParent
        *(_NOT_BEST if version >= 170 else ()),
    )


def _completed_allocation(version: int) -> tuple[object, ...]:
    """hidden to goodTillDate; a completed order does not say how it was shared."""
    return (0, 0, "", "", "", "", *(("",) if version < 177 else ()), "", "")


def _completed_instructions() -> tuple[object, ...]:
    """rule80A to trailingPercent."""
    return (
        *("", UNSET_DOUBLE, "", 0, "", -1, "", "", ""),  # rule80A .. delta
        *("", "", 0, 0, 0, "", 3),  # stockRangeLower .. ocaType
        *(0, "", 0, "None", ""),  # triggerMethod .. deltaNeutralAuxPrice
        *(0, 0, 0, ""),  # delta-neutral block
        *(0, 0, "", ""),  # continuousUpdate .. trailingPercent
    )
