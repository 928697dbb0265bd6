"""The return of an account, that of its strategy, and what the gap between them is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, localcontext
from itertools import pairwise

from rebalancer.domain.money import ONE, ZERO, cents
from rebalancer.domain.units import Ratio, Usd
from rebalancer.returns.looks import Look, Untellable, from_first_run, meanwhile
from rebalancer.returns.measures import RATE, Flow, annual, money_weighted
from rebalancer.returns.worlds import STRATEGY, WORLDS, Earned, Part, lived

_WIDE = Context(prec=40)


@dataclass(frozen=True, slots=True)
class Performance:
    """What became of the money.

    Attributes:
        final: USD at the end.
        time_weighted: rate over the span, whenever money came or went.
        money_weighted: rate over the span at which the money grew, each part for as long as it was there.
        time_weighted_annual / money_weighted_annual: ``None`` for less than a year.
    """

    final: Usd
    time_weighted: Ratio
    money_weighted: Ratio | None
    time_weighted_annual: Ratio | None
    money_weighted_annual: Ratio | None


@dataclass(frozen=True, slots=True)
class PartOfGap:
    """What one thing made: USD at the end, and of the time-weighted return; negative where it cost."""

    part: Part
    usd: Usd
    rate: Ratio


@dataclass(frozen=True, slots=True)
class Returns:
    """Of an account, from its first run in a span to its newest look.

    Attributes:
        start: USD at the beginning.
        came: USD that came (+) or went since.
        strategy: ``None`` where a price of it is not on record.
        replaced: ``strategy`` is taken after replacements, since prices of what they replace are not on record.
        parts: they add up exactly to what the account has more or less than its strategy, both in USD and in its rate.
        untold: what is not on record, in words.
    """

    account_id: str
    begin: datetime
    end: datetime
    runs: int
    start: Usd
    came: Usd
    account: Performance
    strategy: Performance | None
    replaced: bool
    parts: tuple[PartOfGap, ...]
    untold: tuple[str, ...]

    @property
    def earned(self) -> Usd:
        """USD."""
        return Usd(self.account.final - self.start - self.came)

    @property
    def gap(self) -> Usd | None:
        """USD that the account has more (+) or less than its strategy; ``None`` where that cannot be told."""
        return None if self.strategy is None else Usd(self.account.final - self.strategy.final)

    @property
    def gap_rate(self) -> Ratio | None:
        """The same of the time-weighted rates."""
        return None if self.strategy is None else Ratio(self.account.time_weighted - self.strategy.time_weighted)


def returns_of(account_id: str, looks: Sequence[Look]) -> Returns | None:
    """Of one account; ``None`` without a run and a later look, since there is nothing to measure then.

    Args:
        looks: oldest first.
    """
    looks = from_first_run(looks)
    if len(looks) < 2:
        return None
    with localcontext(_WIDE):
        account = _account(looks)
        worlds, untold = _worlds(looks)
        return Returns(
            account_id=account_id,
            begin=looks[0].at,
            end=looks[-1].at,
            runs=sum(one.trades is not None for one in looks),
            start=Usd(cents(looks[0].equity)),
            came=Usd(sum((one.flow for one in looks[1:]), ZERO)),
            account=_performance(account, looks),
            strategy=_performance(worlds[0], looks) if worlds else None,
            replaced=len(worlds) == len(WORLDS),
            parts=tuple(_parts([*worlds, account])) if worlds else (),
            untold=untold,
        )


def _worlds(looks: Sequence[Look]) -> tuple[list[Earned], tuple[str, ...]]:
    """The strategy and every world; without the strategy where what it replaces has no price; else none."""
    untold: list[str] = []
    changes = meanwhile(looks)
    for chosen in ((STRATEGY, *WORLDS.values()), tuple(WORLDS.values())):
        try:
            return [_rounded(lived(world, looks, changes)) for world in chosen], tuple(untold)
        except Untellable as missing:
            untold.append(str(missing))
    return [], tuple(dict.fromkeys(untold))


def _account(looks: Sequence[Look]) -> Earned:
    growth = ONE
    for before, now in pairwise(looks):
        growth *= (now.equity - now.flow) / before.equity
    return _rounded(Earned(looks[-1].equity, growth))


def _rounded(earned: Earned) -> Earned:
    """To the cent and to :data:`RATE`, so that differences add up as they are shown."""
    return Earned(cents(earned.final), earned.growth.quantize(RATE))


def _parts(ends: Sequence[Earned]) -> Iterator[PartOfGap]:
    """Differences of each from the one before, the account last."""
    names = (*WORLDS, Part.OTHER)[1 - len(ends) :]
    for part, (before, after) in zip(names, pairwise(ends), strict=True):
        yield PartOfGap(part, Usd(after.final - before.final), Ratio(after.growth - before.growth))


def _performance(earned: Earned, looks: Sequence[Look]) -> Performance:
    begin, end = looks[0].at, looks[-1].at
    flows = [Flow(one.at, one.flow) for one in looks[1:] if one.flow]
    time_weighted = Ratio(earned.growth - ONE)
    by_money = money_weighted(begin, looks[0].equity, flows, end, earned.final)
    return Performance(
        final=Usd(earned.final),
        time_weighted=time_weighted,
        money_weighted=by_money,
        time_weighted_annual=annual(time_weighted, begin, end),
        money_weighted_annual=annual(by_money, begin, end),
    )
