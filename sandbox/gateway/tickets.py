"""The placeOrder message: what a client asks, read field by field as its version lays it out."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from rebalancer.domain.portfolio import OrderType
from sandbox.gateway.wire import FieldReader

_CONDITION_FIELDS = {1: 6, 3: 3, 4: 3, 5: 4, 6: 5, 7: 5}


@dataclass(frozen=True, slots=True)
class ContractQuery:
    """A contract as a client names it; everything may be empty."""

    contract_id: int
    symbol: str
    security_type: str
    exchange: str
    primary_exchange: str
    currency: str
    local_symbol: str = ""


@dataclass(frozen=True, slots=True)
class Ticket:
    """An order as a client sends it.

    Attributes:
        limit_price / aux_price: ``None`` when unset.
        unsupported: names of the features it uses that the gateway does not simulate.
        algo_strategy / algo_params: the algorithm that works it, if one does, and its tags and values.
    """

    contract: ContractQuery
    action: str
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None
    aux_price: Decimal | None
    time_in_force: str
    account: str
    order_ref: str
    transmit: bool
    outside_hours: bool
    what_if: bool
    unsupported: tuple[str, ...] = ()
    algo_strategy: str = ""
    algo_params: tuple[tuple[str, str], ...] = ()

    @property
    def limit(self) -> Decimal | None:
        """USD per share that it does not pay more, or take less, than; of MIDPRICE its cap, which it need not have."""
        bounded = self.order_type not in (OrderType.MARKET, OrderType.MARKET_ON_CLOSE)
        return self.limit_price or None if bounded else None


def read_contract(fields: FieldReader) -> ContractQuery:
    """The twelve contract fields that many requests share."""
    contract_id, symbol, security_type = fields.integer(), fields.text(), fields.text()
    fields.skip(4)  # expiry, strike, right, multiplier
    exchange, primary, currency, local_symbol = fields.text(), fields.text(), fields.text(), fields.text()
    fields.skip()  # trading class
    return ContractQuery(contract_id, symbol.upper(), security_type, exchange, primary, currency, local_symbol.upper())


class _TicketReader:
    """Walks one placeOrder message and remembers which unsimulated features it uses."""

    def __init__(self, fields: FieldReader, version: int) -> None:
        self.fields = fields
        self.version = version
        self.unsupported: list[str] = []
        self.algo_strategy = ""
        self.algo_params: tuple[tuple[str, str], ...] = ()

    def note(self, name: str, used: bool) -> bool:
        if used:
            self.unsupported.append(name)
        return used

    def pairs(self) -> None:
        self.fields.skip(2 * self.fields.integer())

    def combo(self) -> None:
        self.note("combination", True)
        self.fields.skip(8 * self.fields.integer())
        self.fields.skip(self.fields.integer())
        self.pairs()

    def allocation_to_volatility(self) -> None:
        """From sharesAllocation to the delta-neutral block."""
        fields = self.fields
        fields.skip()  # sharesAllocation
        self.note("discretionaryAmt", bool(fields.number()))
        self.note("goodAfterTime", bool(fields.text()))
        self.note("goodTillDate", bool(fields.text()))
        self.note("faGroup", bool(fields.text()))
        fields.skip(2)  # faMethod, faPercentage
        if self.version < 177:
            fields.skip()  # faProfile
        self.note("modelCode", bool(fields.text()))
        fields.skip(6)  # shortSaleSlot, designatedLocation, exemptCode, ocaType, rule80A, settlingFirm
        self.note("allOrNone", fields.flag())
        self.note("minQty", bool(fields.number()))
        fields.skip(13)  # percentOffset .. overridePercentageConstraints, volatility, volatilityType
        delta_neutral = fields.text()  # an order that came back in openOrder says "None"
        self.note("deltaNeutral", delta_neutral not in ("", "None"))
        fields.skip(8 if delta_neutral else 0)
        fields.skip()  # deltaNeutralAuxPrice

    def scale_to_algo(self) -> None:
        """From continuousUpdate to the algo parameters."""
        fields = self.fields
        fields.skip(6)  # continuousUpdate, referencePriceType, trailStopPrice, trailingPercent, two scale sizes
        if self.note("scale", (fields.number() or 0) > 0):
            fields.skip(7)
        fields.skip(3)  # scaleTable, activeStartTime, activeStopTime
        if self.note("hedge", bool(fields.text())):
            fields.skip()
        fields.skip(4)  # optOutSmartRouting, clearingAccount, clearingIntent, notHeld
        if self.note("deltaNeutralContract", fields.flag()):
            fields.skip(3)
        self.algo_strategy = fields.text()
        if self.algo_strategy:
            self.algo_params = tuple((fields.text(), fields.text()) for _ in range(fields.integer()))
        fields.skip()  # algoId

    def conditions(self) -> None:
        count = self.fields.integer()
        for _ in range(count):
            self.note("condition", True)
            self.fields.skip(_CONDITION_FIELDS.get(self.fields.integer(), 0))
        if count:
            self.fields.skip(2)  # conditionsIgnoreRth, conditionsCancelOrder

    def tail(self, order_type: str, exchange: str) -> None:
        """From adjustedOrderType to the end, by version."""
        fields = self.fields
        self.note("adjustedOrderType", fields.text() not in ("", "None"))
        fields.skip(9)  # triggerPrice .. softDollarTier
        self.note("cashQty", bool(fields.number()))
        fields.skip(8)  # four MiFID fields, dontUseAutoPriceForHedge .. usePriceMgmtAlgo
        fields.skip(sum(self.version >= gate for gate in (158, 160, 162, 166, 169)))
        if self.version >= 170:
            self.pegs(order_type, exchange)

    def pegs(self, order_type: str, exchange: str) -> None:
        if exchange == "IBKRATS":
            self.fields.skip()
        if order_type in ("PEG BEST", "PEGBEST"):
            self.fields.skip()
            offset = self.fields.text()
            self.fields.skip(2 if offset.lower() in ("infinite", "infinity") else 0)
        elif order_type in ("PEG MID", "PEGMID"):
            self.fields.skip(2)


def read_ticket(fields: FieldReader, version: int) -> Ticket:
    """Read everything after the order id; nothing may be left over.

    Raises:
        FieldError: the message does not fit the version's layout.
    """
    walk = _TicketReader(fields, version)
    contract = read_contract(fields)
    fields.skip(2)  # secIdType, secId
    action, quantity, order_type = fields.text(), fields.number() or Decimal(0), fields.text()
    limit_price, aux_price, time_in_force = fields.number(), fields.number(), fields.text()
    walk.note("ocaGroup", bool(fields.text()))
    account = fields.text()
    fields.skip(2)  # openClose, origin
    order_ref, transmit = fields.text(), fields.flag()
    walk.note("parentId", bool(fields.integer()))
    fields.skip(4)  # blockOrder, sweepToFill, displaySize, triggerMethod
    outside_hours = fields.flag()
    fields.skip()  # hidden
    if contract.security_type == "BAG":
        walk.combo()
    walk.allocation_to_volatility()
    walk.scale_to_algo()
    what_if = fields.flag()
    fields.skip(4)  # orderMiscOptions, solicited, randomizeSize, randomizePrice
    if order_type in ("PEG BENCH", "PEGBENCH"):
        fields.skip(5)
    walk.conditions()
    walk.tail(order_type, contract.exchange)
    fields.finish()
    return Ticket(
        contract=contract,
        action=action,
        quantity=quantity,
        order_type=order_type,
        limit_price=limit_price,
        aux_price=aux_price,
        time_in_force=time_in_force,
        account=account,
        order_ref=order_ref,
        transmit=transmit,
        outside_hours=outside_hours,
        what_if=what_if,
        unsupported=tuple(walk.unsupported),
        algo_strategy=walk.algo_strategy,
        algo_params=walk.algo_params,
    )
