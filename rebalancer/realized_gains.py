"""Realized gains by tax year, lot by lot. Pure.

Of a sale whose lots the broker's statement has, those count: they are what is told to the tax office. Of others the
executions on record, first in, first out. Shares that were held before the first execution on record have no lot here:
of them the broker's own figure counts.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Self

from rebalancer.domain.household import StatedLot, Trade
from rebalancer.domain.money import ZERO, cents
from rebalancer.domain.portfolio import Side
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.domain.units import Shares, Usd

TERMS: Mapping[bool | None, str] = {True: "long", False: "short", None: "unknown"}
"""What tax forms call it."""


class Source(StrEnum):
    """What a gain is known from."""

    STATEMENT = "statement"
    """Lots of the broker's statement."""
    EXECUTIONS = "executions"
    """First in, first out."""
    BROKER = "broker"
    """The figure that the broker has booked for the sale; nothing on record says what the shares have cost."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Gain:
    """Shares that were sold out of one lot.

    Attributes:
        opened: day on which they were bought; ``None`` before the first execution on record.
        proceeds: USD, commission taken off.
        cost: USD, commission included; ``None`` where nobody says.
        broker: what the broker has booked for these shares, USD; ``None`` where it did not say.
        stated: the lot is the broker's statement's.
    """

    account_id: str
    symbol: str
    opened: date | None
    closed: date
    quantity: Shares
    proceeds: Usd
    cost: Usd | None
    broker: Usd | None = None
    stated: bool = False

    @property
    def source(self) -> Source:
        """What it is known from."""
        if self.cost is not None:
            return Source.STATEMENT if self.stated else Source.EXECUTIONS
        return Source.UNKNOWN if self.broker is None else Source.BROKER

    @property
    def gain(self) -> Usd | None:
        """USD; negative: a loss; ``None`` where neither the lot nor the broker tells."""
        return self.broker if self.cost is None else Usd(self.proceeds - self.cost)

    @property
    def term(self) -> str:
        """``long``, ``short`` or ``unknown``."""
        return TERMS[self.long_term]

    @property
    def long_term(self) -> bool | None:
        """Held for more than a year (26 U.S.C. 1222); ``None`` where that is not known."""
        return None if self.opened is None else _a_year_later(self.opened) < self.closed


@dataclass(frozen=True, slots=True)
class _Lot:
    """Shares that are left of a buy, and what they cost, commission included."""

    opened: date
    quantity: Decimal
    cost: Decimal


def gains(trades: Iterable[Trade], stated: Iterable[StatedLot] = ()) -> Iterator[Gain]:
    """What each sale realized, lot by lot; what statements have of sales that are not on record comes last.

    Args:
        trades: of whichever accounts, in order of time.
        stated: lots of the same accounts that statements have.
    """
    lots: dict[tuple[str, str], deque[_Lot]] = defaultdict(deque)
    told = _Told.of(stated)
    for one in trades:
        mine = lots[one.account_id, one.symbol]
        if one.side is Side.BUY:
            mine.append(_Lot(trading_day(one.at), one.quantity, one.quantity * one.price + one.commission))
        elif known := told.take(one):
            for lot in known:
                _forget(mine, lot)
            yield from map(_as_stated, known)
        else:
            yield from _sold(one, mine)
    yield from map(_as_stated, told.left())


def of_year(found: Iterable[Gain], year: int) -> list[Gain]:
    """Those that were realized in it, in New York's calendar, by day."""
    return sorted((one for one in found if one.closed.year == year), key=attrgetter("closed"))


@dataclass(frozen=True, slots=True)
class _Told:
    """Lots of statements that no sale on record has taken yet.

    Attributes:
        lots: by account, symbol, and the second of the sale.
        untold: accounts, symbols and days of sales whose lots no statement has.
    """

    lots: dict[tuple[str, str, datetime], deque[StatedLot]]
    untold: set[tuple[str, str, date]] = field(default_factory=set)

    @classmethod
    def of(cls, stated: Iterable[StatedLot]) -> Self:
        lots: dict[tuple[str, str, datetime], deque[StatedLot]] = defaultdict(deque)
        for one in stated:
            lots[one.account_id, one.symbol, _second(one.closed_at)].append(one)
        return cls(lots)

    def take(self, sale: Trade) -> list[StatedLot]:
        """The lots of a sale, or parts of them; none unless they are of all of its shares."""
        known = self.lots.get((sale.account_id, sale.symbol, _second(sale.at)), deque())
        if sum((one.quantity for one in known), ZERO) < sale.quantity:
            self.untold.add((sale.account_id, sale.symbol, trading_day(sale.at)))
            return []
        taken, left = list[StatedLot](), sale.quantity
        while left:
            lot = known.popleft()
            part, rest = _split(lot, min(left, lot.quantity))
            if rest is not None:
                known.appendleft(rest)
            taken.append(part)
            left = Shares(left - part.quantity)
        return taken

    def left(self) -> Iterator[StatedLot]:
        """Of sales by hand; not of a day on which a sale on record found no lots: it might be of the same."""
        for (account_id, symbol, at), lots in self.lots.items():
            if (account_id, symbol, trading_day(at)) not in self.untold:
                yield from lots


def _second(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _split(lot: StatedLot, taken: Shares) -> tuple[StatedLot, StatedLot | None]:
    """So many shares of a lot, and the rest of it; amounts are together those of the whole."""
    if taken == lot.quantity:
        return lot, None
    cost, realized = (_part(amount, taken, lot.quantity) for amount in (lot.cost, lot.realized))
    rest = replace(
        lot,
        quantity=Shares(lot.quantity - taken),
        cost=Usd(lot.cost - cost),
        realized=Usd(lot.realized - realized),
    )
    return replace(lot, quantity=taken, cost=cost, realized=realized), rest


def _as_stated(lot: StatedLot) -> Gain:
    return Gain(
        account_id=lot.account_id,
        symbol=lot.symbol,
        opened=lot.opened,
        closed=trading_day(lot.closed_at),
        quantity=lot.quantity,
        proceeds=Usd(lot.cost + lot.realized),
        cost=lot.cost,
        broker=lot.realized,
        stated=True,
    )


def _forget(lots: deque[_Lot], sold: StatedLot) -> None:
    """Take shares that the broker has sold out of our lots: those of the same day first, then the oldest."""
    left, ours = sold.quantity, list(lots)
    for number in sorted(range(len(ours)), key=lambda place: ours[place].opened != sold.opened):
        lot = ours[number]
        taken = Shares(min(left, lot.quantity))
        ours[number] = replace(lot, quantity=lot.quantity - taken, cost=lot.cost - _part(lot.cost, taken, lot.quantity))
        left = Shares(left - taken)
    lots.clear()
    lots.extend(lot for lot in ours if lot.quantity)


def _sold(sale: Trade, lots: deque[_Lot]) -> Iterator[Gain]:
    """Amounts are of whole cents, and together those of the sale and of the lots."""
    day, left = trading_day(sale.at), sale.quantity
    proceeds, broker = sale.quantity * sale.price - sale.commission, sale.realized
    while left:
        lot = lots.popleft() if lots else None
        taken = left if lot is None else min(left, lot.quantity)
        cost = None if lot is None else _part(lot.cost, taken, lot.quantity)
        brought, booked = _part(proceeds, taken, left), None if broker is None else _part(broker, taken, left)
        if lot is not None and cost is not None and taken < lot.quantity:
            lots.appendleft(replace(lot, quantity=lot.quantity - taken, cost=lot.cost - cost))
        yield Gain(
            account_id=sale.account_id,
            symbol=sale.symbol,
            opened=None if lot is None else lot.opened,
            closed=day,
            quantity=Shares(taken),
            proceeds=brought,
            cost=cost,
            broker=booked,
        )
        left = Shares(left - taken)
        proceeds -= brought
        broker = None if broker is None or booked is None else Usd(broker - booked)


def _part(amount: Decimal, taken: Decimal, of: Decimal) -> Usd:
    """Of an amount for ``of`` shares what is that of some; all of it for all of them."""
    return Usd(amount if taken == of else cents(amount * taken / of))


def _a_year_later(day: date) -> date:
    """The same day of the next year; of 29 February the 28th."""
    try:
        return day.replace(year=day.year + 1)
    except ValueError:
        return day.replace(year=day.year + 1, day=28)


def total(found: Iterable[Gain]) -> Usd:
    """USD of those that are known."""
    return Usd(sum((one.gain for one in found if one.gain is not None), ZERO))


@dataclass(frozen=True, slots=True)
class Sold:
    """Gains of one account, symbol, term and source together.

    Attributes:
        gain: USD of those that are known.
        unknown: shares of which nobody says what they have cost.
    """

    account_id: str
    symbol: str
    term: str
    source: Source
    quantity: Shares
    proceeds: Usd
    gain: Usd
    unknown: Shares


def summarize(found: Iterable[Gain]) -> list[Sold]:
    """Sorted by account, symbol and term."""
    groups: dict[tuple[str, str, str, Source], list[Gain]] = {}
    for one in found:
        groups.setdefault((one.account_id, one.symbol, one.term, one.source), []).append(one)
    return [
        Sold(
            *group,
            quantity=Shares(sum((one.quantity for one in rows), ZERO)),
            proceeds=Usd(sum((one.proceeds for one in rows), ZERO)),
            gain=total(rows),
            unknown=Shares(sum((one.quantity for one in rows if one.gain is None), ZERO)),
        )
        for group, rows in sorted(groups.items())
    ]


def gain_record(one: Gain) -> dict[str, object]:
    """For a file: what is declared, and what follows from it."""
    declared = {field.name: getattr(one, field.name) for field in fields(one) if field.name != "stated"}
    return {**declared, "gain": one.gain, "term": one.term, "source": str(one.source)}


GAIN_COLUMNS = (*(field.name for field in fields(Gain) if field.name != "stated"), "gain", "term", "source")
"""Those of :func:`gain_record`."""
