"""Messages on which money depends, read from their fields by ourselves.

ib_async's decoder drops a whole message for one field that it cannot read, an execution for an unknown zone name. Here
a field that is missing or unreadable is only that. Positions of the fields: TWS API text protocol, server versions 157
to 178.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.domain.money import ZERO
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import CommissionReport, Fill, OpenOrder
from rebalancer.domain.portfolio import Position
from rebalancer.domain.units import Shares
from rebalancer.ibkr import mapping
from rebalancer.ibkr.messages import (
    CompletedOrderMessage,
    CompletedOrderRow,
    ExecutionMessage,
    MarkMessage,
    OpenOrderMessage,
    PositionMessage,
    StatusMessage,
)

STATUS, OPEN_ORDER, PORTFOLIO, EXECUTION, COMMISSION, POSITION = 3, 5, 7, 11, 59, 61
POSITION_OF_ONE, ACCOUNT_VALUE, COMPLETED_ORDER = 71, 73, 101
NOBODY = -1
"""Client id of a message that lacks it: no client has it."""
PUSHED = -1
EXECUTED_AT = 15
"""Where an execution has its time."""
_COMPLETED_ACCOUNT, _COMPLETED_REF = 19, 22
_COMPLETED = f"{COMPLETED_ORDER}\0".encode()
_LENGTH = 4
"""Bytes before each message."""
_STATUSES = frozenset(OrderStatus)


@dataclass(frozen=True, slots=True)
class Fields:
    """A message's fields, of which some may be missing or make no sense."""

    values: Sequence[str]

    def text(self, at: int) -> str:
        """Empty where it is missing."""
        return self.values[at] if at < len(self.values) else ""

    def number(self, at: int) -> Decimal | None:
        """``None`` where it is missing, unreadable or "not set"."""
        return mapping.decimal_text(self.text(at))

    def amount(self, at: int) -> Decimal:
        """A quantity or price for which all that means zero."""
        return self.number(at) or ZERO

    def integer(self, at: int, default: int = 0) -> int:
        """``default`` where it is missing or unreadable."""
        try:
            return int(self.text(at))
        except ValueError:
            return default


def whole_messages(received: bytes) -> tuple[list[bytes], bytes]:
    """Messages without the length that stands before each, and what there is of one that is not whole yet."""
    found, at = list[bytes](), 0
    while (begins := at + _LENGTH) <= len(received):
        ends = begins + int.from_bytes(received[at:begins])
        if ends > len(received):
            break
        found.append(received[begins:ends])
        at = ends
    return found, received[at:]


def fields_of(message: bytes) -> list[str]:
    """Each of them ends with NUL."""
    return message.decode(errors="backslashreplace").split("\0")[:-1]


def ended_order_of_another(message: bytes, accounts: Collection[bytes]) -> bool:
    """A completedOrder (101) that names an account which is not among these; of no other message more is read."""
    if not message.startswith(_COMPLETED):
        return False
    account = message.split(b"\0", _COMPLETED_ACCOUNT + 1)[_COMPLETED_ACCOUNT : _COMPLETED_ACCOUNT + 1]
    return account not in ([], [b""]) and account[0] not in accounts


def execution(fields: Fields, at: datetime) -> ExecutionMessage:
    """execDetails (11); without execution id, quantity or price its fill only states a cumulative quantity.

    Args:
        at: when it happened.
    """
    whole = fields.text(14) and fields.amount(19) > 0 and fields.amount(20) > 0
    quantity = fields.amount(19) if whole else ZERO
    fill = Fill(
        order_ref=fields.text(26),
        execution_id=fields.text(14),
        at=at,
        account_id=fields.text(16),
        symbol=mapping.symbol_of(fields.text(4), fields.text(5), fields.text(11)),
        side=mapping.side(fields.text(18)),
        quantity=quantity,
        price=fields.amount(20),
        cumulative_quantity=max(fields.amount(24), quantity),
        perm_id=fields.integer(21),
        contract_id=fields.integer(3),
    )
    return ExecutionMessage(
        fields.integer(1, PUSHED),
        fields.integer(2),
        fields.integer(22, NOBODY),
        fill,
        liquidation=fields.integer(23) > 0,
    )


def status(fields: Fields, now: datetime) -> StatusMessage:
    """orderStatus (3)."""
    return StatusMessage(
        at=now,
        order_id=fields.integer(1),
        client_id=fields.integer(9, NOBODY),
        perm_id=fields.integer(6),
        status=mapping.order_status(fields.text(2)),
        filled=fields.amount(3),
        remaining=fields.amount(4),
    )


def commission(fields: Fields) -> CommissionReport | None:
    """commissionReport (59); ``None`` while the broker has not computed it (-1 or "not set")."""
    paid = fields.number(3)
    if paid is None or paid == Decimal(-1):
        return None
    return CommissionReport(fields.text(2), paid, fields.text(4), fields.number(5))


def open_order(fields: Fields, now: datetime) -> OpenOrderMessage:
    """openOrder (5) whose later fields cannot be read: what stands at its beginning, and its status wherever it is."""
    order = OpenOrder(
        account_id=fields.text(20),
        order_id=fields.integer(1),
        client_id=fields.integer(24, NOBODY),
        perm_id=fields.integer(25),
        order_ref=fields.text(23),
        symbol=mapping.symbol_of(fields.text(3), fields.text(4), fields.text(10)),
        side=mapping.side(fields.text(13)),
        quantity=fields.amount(14),
        filled=ZERO,
        order_type=fields.text(15),
        status=_status(fields, 26),
    )
    return OpenOrderMessage(now, order)


def position(values: Sequence[str]) -> PositionMessage:
    """position (61). Unlike the others it is read whole or not at all: a row that is missing would be something that is
    not held.

    Raises:
        ValueError, ArithmeticError: a field is missing or is not what it should be.
    """
    _, _, account_id, *held = values
    return PositionMessage(account_id, _held(held))


def position_of_one(values: Sequence[str]) -> PositionMessage:
    """positionMulti (71): likewise, of the one account that was asked for."""
    _, _, request_id, account_id, *held, model_code = values
    return PositionMessage(account_id, _held(held), int(request_id), model_code)


def _held(values: Sequence[str]) -> Position:
    contract_id, symbol, security_type, _, _, _, _, exchange, currency, _, _, quantity, cost = values
    return Position(
        symbol=symbol,
        quantity=Shares(mapping.amount(Decimal(quantity or 0))),
        contract_id=int(contract_id or 0),
        average_cost=mapping.amount(Decimal(cost or 0)),
        security_type=security_type,
        currency=currency,
        exchange=exchange,
    )


def mark(fields: Fields) -> MarkMessage | None:
    """portfolioValue (7); ``None`` where the broker does not say what the holding is worth."""
    value, contract_id = fields.number(15), fields.integer(2)
    if value is None or not contract_id:
        return None
    return MarkMessage(fields.text(19), contract_id, fields.text(10), value)


def completed_row(fields: Fields, read: Callable[[], CompletedOrderMessage]) -> CompletedOrderRow:
    """completedOrder (101) whose other fields nobody has read yet."""
    return CompletedOrderRow(fields.text(_COMPLETED_ACCOUNT), fields.text(_COMPLETED_REF), read)


def completed_order(fields: Fields) -> CompletedOrderMessage:
    """The same whose later fields cannot be read: likewise."""
    return CompletedOrderMessage(
        account_id=fields.text(_COMPLETED_ACCOUNT),
        order_ref=fields.text(_COMPLETED_REF),
        perm_id=fields.integer(23),
        status=_status(fields, 24),
        filled=None,
        symbol=mapping.symbol_of(fields.text(2), fields.text(3), fields.text(9)),
        side=mapping.side(fields.text(12)),
        quantity=fields.amount(13),
    )


def _status(fields: Fields, start: int) -> OrderStatus:
    """The first field that is a status; without one the order may still fill."""
    return next((OrderStatus(text) for text in fields.values[start:] if text in _STATUSES), OrderStatus.SUBMITTED)
