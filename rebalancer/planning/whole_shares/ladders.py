"""What each number of shares of a name costs and leaves of its deviation, in exact whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from rebalancer.domain.money import ONE, ZERO, nearest_shares
from rebalancer.domain.portfolio import FeeSchedule
from rebalancer.domain.units import Ratio, Shares, Usd


@dataclass(frozen=True, slots=True)
class Want:
    """A name below its target.

    Attributes:
        shortfall: shares, positive.
        value: USD by which one share reduces the deviation.
        price: USD that one share costs.
        lot: shares, of which only multiples are bought.
    """

    symbol: str
    shortfall: Shares
    value: Decimal
    price: Decimal
    lot: int = 1


def outlay(quantity: int, want: Want, fees: FeeSchedule, kept: Ratio) -> Usd:
    """Cash above the reserve that a buy uses up, USD.

    Args:
        kept: fraction of equity that stays cash. A buy's spread and fee lower equity and thereby that reserve, so
            only the rest of them, ``1 - kept``, weighs on the cash above it.
    """
    return Usd(_unit_outlay(want, kept) * quantity + (ONE - kept) * fees.estimate(quantity, want.price))


def _unit_outlay(want: Want, kept: Ratio) -> Decimal:
    return (ONE - kept) * want.price + kept * want.value


def _fee_cap(want: Want, fees: FeeSchedule, kept: Ratio) -> Decimal:
    return (ONE - kept) * fees.maximum_rate * want.price


def _last_value(want: Want) -> Decimal:
    """USD of deviation that the last wanted lot removes: it may overshoot the target by less than half."""
    beyond = want.shortfall - nearest_shares(want.shortfall, want.lot)
    return want.value * (want.lot + min(ZERO, 2 * beyond))


@dataclass(frozen=True, slots=True)
class Scale:
    """Exact conversion of USD into whole numbers, by decimal places."""

    places: int

    @classmethod
    def fitting(cls, wants: Sequence[Want], cash: Usd, fees: FeeSchedule, kept: Ratio) -> Scale:
        """The scale that every amount of the wants fits on."""
        amounts = [(ONE - kept) * fees.per_share, (ONE - kept) * fees.minimum, cash]
        for want in wants:
            amounts += [_unit_outlay(want, kept), want.value, _last_value(want), _fee_cap(want, fees, kept)]
        return cls(max(0, *(-_exponent(amount) for amount in amounts)))

    def floor(self, amount: Decimal) -> int:
        """Scaled amount; exact for the amounts that the scale fits."""
        scaled = amount.scaleb(self.places)
        whole = int(scaled)
        return whole - 1 if whole > scaled else whole

    def usd(self, amount: Fraction) -> Usd:
        """The way back, rounded."""
        return Usd((Decimal(amount.numerator) / Decimal(amount.denominator)).scaleb(-self.places))


def _exponent(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


@dataclass(frozen=True, slots=True)
class Ladder:
    """Buying 0 to ``wanted`` lots of one name; amounts per lot and scaled, see :class:`Scale`."""

    wanted: int
    unit_cost: int
    unit_value: int
    last_value: int
    unit_fee: int
    fee_minimum: int
    fee_cap: int

    @classmethod
    def of(cls, want: Want, fees: FeeSchedule, kept: Ratio, scale: Scale) -> Ladder:
        """Scale a want."""
        return cls(
            nearest_shares(want.shortfall, want.lot) // want.lot,
            unit_cost=scale.floor(_unit_outlay(want, kept)) * want.lot,
            unit_value=scale.floor(want.value) * want.lot,
            last_value=scale.floor(_last_value(want)),
            unit_fee=scale.floor((ONE - kept) * fees.per_share) * want.lot,
            fee_minimum=scale.floor((ONE - kept) * fees.minimum),
            fee_cap=scale.floor(_fee_cap(want, fees, kept)) * want.lot,
        )

    def cost(self, shares: int) -> int:
        """Outlay, strictly increasing."""
        fee = min(max(self.unit_fee * shares, self.fee_minimum), self.fee_cap * shares)
        return self.unit_cost * shares + fee

    def loss(self, shares: int) -> int:
        """Deviation in excess of that of all wanted shares, strictly decreasing."""
        missing = self.wanted - shares
        return self.last_value + (missing - 1) * self.unit_value if missing else 0

    def gain(self, shares: int) -> int:
        """Deviation that one share more removes."""
        return self.last_value if shares == self.wanted - 1 else self.unit_value

    def pieces(self) -> list[tuple[int, int]]:
        """Ranges of shares, both ends included, within which cost and loss are linear."""
        capped = self.fee_minimum // self.fee_cap if self.fee_cap else self.wanted
        flat = self.fee_minimum // self.unit_fee if self.unit_fee else self.wanted
        last = self.wanted - 1
        ends = sorted({-1, min(capped, last), min(flat, last), last, self.wanted})
        return [(low + 1, high) for low, high in pairwise(ends)]


def total_cost(ladders: Sequence[Ladder], quantities: Sequence[int]) -> int:
    """Outlay of a purchase."""
    return sum(ladder.cost(shares) for ladder, shares in zip(ladders, quantities, strict=True))


def fill(ladders: Sequence[Ladder], cash: int, quantities: Sequence[int]) -> list[int]:
    """Add every share that is still affordable, those that remove most deviation first."""
    filled = list(quantities)
    spare = cash - total_cost(ladders, filled)
    gains = {i: ladder.gain(filled[i]) for i, ladder in enumerate(ladders) if filled[i] < ladder.wanted}
    for i in sorted(gains, key=lambda i: (-gains[i], i)):
        before = ladders[i].cost(filled[i])
        filled[i] = most_affordable(ladders[i], filled[i], ladders[i].wanted, before + spare)
        spare -= ladders[i].cost(filled[i]) - before
    return filled


def most_affordable(ladder: Ladder, low: int, high: int, cash: int) -> int:
    """Most shares from ``low``, which is affordable, to ``high`` whose cost is within ``cash``."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if ladder.cost(middle) <= cash else (low, middle - 1)
    return low
