"""What clients ask: incoming messages as frozen values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sandbox.gateway.tickets import ContractQuery, Ticket, read_contract, read_ticket
from sandbox.gateway.wire import FieldError, FieldReader, WireError

START_API = 71
PLACE_ORDER = 3


@dataclass(frozen=True, slots=True)
class StartApi:
    client_id: int


@dataclass(frozen=True, slots=True)
class NextIds:
    pass


@dataclass(frozen=True, slots=True)
class ManagedAccounts:
    pass


@dataclass(frozen=True, slots=True)
class CurrentTime:
    pass


@dataclass(frozen=True, slots=True)
class SetLogLevel:
    pass


@dataclass(frozen=True, slots=True)
class SetMarketDataType:
    kind: int


@dataclass(frozen=True, slots=True)
class ContractDetails:
    request_id: int
    contract: ContractQuery


@dataclass(frozen=True, slots=True)
class MarketRule:
    rule_id: int


@dataclass(frozen=True, slots=True)
class Quotes:
    """A market data line.

    Attributes:
        snapshot: end after one set of ticks.
    """

    request_id: int
    contract: ContractQuery
    snapshot: bool


@dataclass(frozen=True, slots=True)
class CancelQuotes:
    request_id: int


@dataclass(frozen=True, slots=True)
class AccountUpdates:
    subscribe: bool
    account: str


@dataclass(frozen=True, slots=True)
class AccountUpdatesMulti:
    request_id: int
    account: str
    ledger_only: bool


@dataclass(frozen=True, slots=True)
class CancelAccountUpdatesMulti:
    request_id: int


@dataclass(frozen=True, slots=True)
class AccountSummary:
    request_id: int
    group: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CancelAccountSummary:
    request_id: int


@dataclass(frozen=True, slots=True)
class Positions:
    pass


@dataclass(frozen=True, slots=True)
class CancelPositions:
    pass


@dataclass(frozen=True, slots=True)
class PositionsMulti:
    request_id: int
    account: str
    model_code: str


@dataclass(frozen=True, slots=True)
class CancelPositionsMulti:
    request_id: int


@dataclass(frozen=True, slots=True)
class OpenOrders:
    pass


@dataclass(frozen=True, slots=True)
class AllOpenOrders:
    pass


@dataclass(frozen=True, slots=True)
class AutoOpenOrders:
    bind: bool


@dataclass(frozen=True, slots=True)
class CompletedOrders:
    api_only: bool


@dataclass(frozen=True, slots=True)
class Executions:
    """Filters; empty or 0 matches everything.

    Attributes:
        since: IBKR's text, ``yyyymmdd-hh:mm:ss`` or with a blank, optionally followed by a zone.
    """

    request_id: int
    client_id: int
    account: str
    since: str
    symbol: str
    security_type: str
    exchange: str
    side: str


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    order_id: int
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class CancelOrder:
    order_id: int


@dataclass(frozen=True, slots=True)
class GlobalCancel:
    pass


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A message that the gateway does not simulate, or that does not exist.

    Attributes:
        request_id: whom to answer; -1 when the message has none that is known.
    """

    message_id: int
    request_id: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A known message whose fields do not fit its layout."""

    message_id: int
    request_id: int
    reason: str


Request = (
    StartApi
    | NextIds
    | ManagedAccounts
    | CurrentTime
    | SetLogLevel
    | SetMarketDataType
    | ContractDetails
    | MarketRule
    | Quotes
    | CancelQuotes
    | AccountUpdates
    | AccountUpdatesMulti
    | CancelAccountUpdatesMulti
    | AccountSummary
    | CancelAccountSummary
    | Positions
    | CancelPositions
    | PositionsMulti
    | CancelPositionsMulti
    | OpenOrders
    | AllOpenOrders
    | AutoOpenOrders
    | CompletedOrders
    | Executions
    | PlaceOrder
    | CancelOrder
    | GlobalCancel
    | Unsupported
    | Unreadable
)

Decoder = Callable[[FieldReader, int], Request]


def _start_api(fields: FieldReader, _version: int) -> Request:
    fields.skip()
    client_id = fields.integer()
    fields.skip()  # optional capabilities
    return StartApi(client_id)


def _contract_details(fields: FieldReader, version: int) -> Request:
    fields.skip()
    request = ContractDetails(fields.integer(), read_contract(fields))
    fields.skip(4 if version >= 176 else 3)  # includeExpired, secIdType, secId, issuerId
    return request


def _quotes(fields: FieldReader, _version: int) -> Request:
    fields.skip()
    request_id, contract = fields.integer(), read_contract(fields)
    if contract.security_type == "BAG":
        fields.skip(4 * fields.integer())
    if fields.flag():  # delta-neutral contract
        fields.skip(3)
    fields.skip()  # generic tick list
    snapshot, regulatory = fields.flag(), fields.flag()
    fields.skip()  # options
    return Quotes(request_id, contract, snapshot or regulatory)


def _account_updates(fields: FieldReader, _version: int) -> Request:
    fields.skip()
    return AccountUpdates(fields.flag(), fields.text())


def _account_updates_multi(fields: FieldReader, _version: int) -> Request:
    fields.skip()
    request_id, account = fields.integer(), fields.text()
    fields.skip()  # model code
    return AccountUpdatesMulti(request_id, account, fields.flag())


def _account_summary(fields: FieldReader, _version: int) -> Request:
    fields.skip()
    request_id, group = fields.integer(), fields.text()
    return AccountSummary(request_id, group, tuple(tag for tag in fields.text().split(",") if tag))


def _positions_multi(fields: FieldReader, _version: int) -> Request:
    fields.skip()
    return PositionsMulti(fields.integer(), fields.text(), fields.text())


def _executions(fields: FieldReader, _version: int) -> Request:
    fields.skip()
    request_id, client_id = fields.integer(), fields.integer()
    account, since, symbol, security_type, exchange, side = (fields.text() for _ in range(6))
    return Executions(request_id, client_id, account, since, symbol, security_type, exchange, side)


def _place_order(fields: FieldReader, version: int) -> Request:
    return PlaceOrder(fields.integer(), read_ticket(fields, version))


def _cancel_order(fields: FieldReader, version: int) -> Request:
    fields.skip()
    request = CancelOrder(fields.integer())
    fields.skip(version >= 169)  # manual cancel time
    return request


def _versioned(make: Callable[[], Request], surplus: int = 0) -> Decoder:
    """Decoder of a message that says nothing beyond its id and a per-message version."""

    def decode_it(fields: FieldReader, _version: int) -> Request:
        fields.skip(1 + surplus)
        return make()

    return decode_it


def _numbered(make: Callable[[int], Request]) -> Decoder:
    """Decoder of a message with a version and one integer."""

    def decode_it(fields: FieldReader, _version: int) -> Request:
        fields.skip()
        return make(fields.integer())

    return decode_it


_DECODERS: dict[int, Decoder] = {
    START_API: _start_api,
    1: _quotes,
    2: _numbered(CancelQuotes),
    PLACE_ORDER: _place_order,
    4: _cancel_order,
    5: _versioned(OpenOrders),
    6: _account_updates,
    7: _executions,
    8: _versioned(NextIds, surplus=1),
    9: _contract_details,
    14: _versioned(SetLogLevel, surplus=1),
    15: _numbered(lambda bind: AutoOpenOrders(bool(bind))),
    16: _versioned(AllOpenOrders),
    17: _versioned(ManagedAccounts),
    49: _versioned(CurrentTime),
    58: _versioned(GlobalCancel),
    59: _numbered(SetMarketDataType),
    61: _versioned(Positions),
    62: _account_summary,
    63: _numbered(CancelAccountSummary),
    64: _versioned(CancelPositions),
    74: _positions_multi,
    75: _numbered(CancelPositionsMulti),
    76: _account_updates_multi,
    77: _numbered(CancelAccountUpdatesMulti),
    91: lambda fields, _version: MarketRule(fields.integer()),
    99: lambda fields, _version: CompletedOrders(fields.flag()),
}

_REQUEST_ID_AT = {
    **dict.fromkeys((1, 2, 4, 7, 9, 62, 63, 74, 75, 76, 77), 2),
    **dict.fromkeys((10, 11, 22, 25, 50, 51, 52, 53, 69, 93, 95), 2),
    **dict.fromkeys((3, 12, 20, 24, 78, 79, 80, 81, 83, 84, 86, 87, 88, 89, 90, 92, 94, 96, 97, 98, 100, 102), 1),
    **dict.fromkeys((23, 54, 55, 56), 2),
    **dict.fromkeys((103, 104), 1),
}
"""Where a message carries its request id, the message id being field 0; also of messages that are only refused."""


def decode(fields: Sequence[str], version: int) -> Request:
    """Read one message.

    Returns:
        :class:`Unsupported` or :class:`Unreadable` where the client deserves an error reply.

    Raises:
        WireError: the message has no id, so the peer does not speak the protocol.
    """
    if not fields[0].isascii() or not fields[0].isdigit() or len(fields[0]) > 6:
        raise WireError(f"{fields[0][:20]!r} is no message id")
    message_id = int(fields[0])
    decoder = _DECODERS.get(message_id)
    if decoder is None:
        return Unsupported(message_id, _request_id(message_id, fields))
    reader = FieldReader(fields[1:])
    try:
        request = decoder(reader, version)
        reader.finish()
    except FieldError as error:
        return Unreadable(message_id, _request_id(message_id, fields), str(error))
    return request


def _request_id(message_id: int, fields: Sequence[str]) -> int:
    at = _REQUEST_ID_AT.get(message_id)
    if at is None or at >= len(fields):
        return -1
    text = fields[at].removeprefix("-")
    return int(fields[at]) if text.isascii() and text.isdigit() and len(text) <= 10 else -1
