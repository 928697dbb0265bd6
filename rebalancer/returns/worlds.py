"""The same money in worlds that differ from each other by one thing, from the strategy on paper to the account.

Each world holds fractions of shares of what its *mix* says, buys and sells at mid where it rebalances, and gets what
came or went when the account did. What one world has more at the end than the one before is what that thing has made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from rebalancer.domain.money import ONE, ZERO
from rebalancer.returns.looks import Look, Meanwhile, Untellable


class Part(StrEnum):
    """What makes an account differ from its strategy, in the order in which it comes on top."""

    REPLACEMENTS = "replacements"
    DELAY = "delay"
    """From the first look that saw new targets to the run that traded them."""
    REBALANCES = "rebalances"
    """Runs without new targets, which bring a drift back that the strategy on paper leaves."""
    HOLDS = "holds"
    RESERVE = "reserve"
    """Cash that is kept, or its fund, and what a plan allows for costs."""
    FLOWS = "flows"
    """Cash that came and waited for the next run."""
    ROUNDING = "rounding"
    """Whole shares; also what bands leave alone, other kinds of rebalance, and what did not fill."""
    SPREAD = "spread"
    """Fills against mid at the decision."""
    COMMISSION = "commission"
    OTHER = "other"
    """What no look explains: dividends, interest, fees, trades by hand."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Fractions of equity; what is missing to 1 is cash.

    Attributes:
        cost: fraction of equity that is lost on the way.
    """

    shares: Mapping[str, Decimal]
    apart: Decimal = ZERO
    cost: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class World:
    """How the money is invested.

    Attributes:
        mix: as of a look at which it rebalances.
        when: whether it rebalances at a look, given the targets that it has rebalanced to last.
        invests: what comes is invested at once like the rest.
    """

    mix: Callable[[Look], Mix]
    when: Callable[[Look, object], bool]
    invests: bool = True


@dataclass(frozen=True, slots=True)
class Earned:
    """What became of the money.

    Attributes:
        final: USD at the last look.
        growth: of one USD that was there all the time.
    """

    final: Decimal
    growth: Decimal


@dataclass(slots=True)
class _Money:
    """What a world holds, USD and shares."""

    cash: Decimal
    apart: Decimal = ZERO
    shares: dict[str, Decimal] = field(default_factory=dict)

    def value(self, look: Look) -> Decimal:
        """USD.

        Raises:
            Untellable: something that is held has no price.
        """
        return sum((count * look.price(one) for one, count in self.shares.items()), self.cash + self.apart)

    def pass_time(self, change: Meanwhile) -> None:
        self.apart *= change.apart
        for symbol in change.splits.keys() & self.shares.keys():
            self.shares[symbol] *= change.splits[symbol]

    def receive(self, amount: Decimal, value: Decimal, *, invested: bool) -> None:
        """USD that came or went; invested like the rest, but for what is apart, as long as there is a rest."""
        rest = value - self.apart
        if not invested or rest <= 0:
            self.cash += amount
            return
        by = (rest + amount) / rest
        self.cash *= by
        self.shares = {symbol: count * by for symbol, count in self.shares.items()}

    def rebalance(self, mix: Mix, value: Decimal, look: Look) -> None:
        """To fractions of ``value``.

        Raises:
            Untellable: something that is to be held has no price.
        """
        self.shares = {one: part * value / look.price(one) for one, part in mix.shares.items() if part}
        self.apart = mix.apart * value
        self.cash = value * (ONE - mix.cost - mix.apart - sum(mix.shares.values(), ZERO))


def lived(world: World, looks: Sequence[Look], changes: Sequence[Meanwhile]) -> Earned:
    """The money of the first look in that world until the last.

    Args:
        looks: two at least.
        changes: of :func:`~rebalancer.returns.looks.meanwhile`.

    Raises:
        Untellable: a price is missing where one is needed, which is at a rebalance, a flow, and the end; or more was
            taken out than this world would have had.
    """
    money = _Money(looks[0].equity)
    base, growth, known = looks[0].equity, ONE, looks[0].targets
    value = base
    for number, (look, change) in enumerate(zip(looks, changes, strict=True)):
        first, last = number == 0, number == len(looks) - 1
        flow = ZERO if first else look.flow
        due = first or (not last and world.when(look, known))
        money.pass_time(change)
        if not (due or flow or last):
            continue
        value = money.value(look)
        if flow or last:
            growth *= value / base
            money.receive(flow, value, invested=world.invests)
            value = base = _positive(value + flow, look)
        if due:
            money.rebalance(world.mix(look), value, look)
            known = look.targets
    return Earned(value, growth)


def _positive(value: Decimal, look: Look) -> Decimal:
    if value <= 0:
        raise Untellable(f"more was taken out by {look.at:%Y-%m-%d} than the strategy would have had")
    return value


def _scaled(weights: Mapping[str, Decimal], by: Decimal) -> dict[str, Decimal]:
    return {symbol: weight * by for symbol, weight in weights.items()}


def _whole(weights: Mapping[str, Decimal]) -> Mix:
    """Weights that sum to more than 1 are scaled down, as in a plan."""
    return Mix(_scaled(weights, ONE / max(ONE, sum(weights.values(), ZERO))))


def _held_apart(look: Look) -> Mix:
    apart = look.apart.value / look.equity
    return Mix(_scaled(look.planned, ONE - apart), apart)


def _reserved(look: Look) -> Mix:
    shares = _scaled(look.planned, look.investable / look.equity)
    if look.fund is not None:
        shares[look.fund] = look.after.get(look.fund, ZERO) * look.price(look.fund) / look.equity
    return Mix(shares, look.apart.value / look.equity)


def _held(look: Look, cost: Decimal = ZERO) -> Mix:
    shares = {symbol: count * look.price(symbol) / look.equity for symbol, count in look.after.items()}
    return Mix(shares, look.apart.value / look.equity, cost / look.equity)


def _new_targets(look: Look, known: object) -> bool:
    return look.targets != known


def _runs(look: Look, _known: object) -> bool:
    return look.trades is not None


def _runs_of_new_targets(look: Look, known: object) -> bool:
    return _runs(look, known) and _new_targets(look, known)


STRATEGY = World(lambda look: _whole(look.published), _new_targets)
WORLDS: Mapping[Part, World] = {
    Part.REPLACEMENTS: World(lambda look: _whole(look.wanted), _new_targets),
    Part.DELAY: World(lambda look: _whole(look.wanted), _runs_of_new_targets),
    Part.REBALANCES: World(lambda look: _whole(look.wanted), _runs),
    Part.HOLDS: World(_held_apart, _runs),
    Part.RESERVE: World(_reserved, _runs),
    Part.FLOWS: World(_reserved, _runs, invests=False),
    Part.ROUNDING: World(_held, _runs, invests=False),
    Part.SPREAD: World(lambda look: _held(look, look.slippage), _runs, invests=False),
    Part.COMMISSION: World(lambda look: _held(look, look.slippage + look.commission), _runs, invests=False),
}
"""Each as the one before, but for its part: what a part makes is the difference of the two."""
