"""What happens in one trial, and when: all of it from a seed, so that it can be told again and cut shorter."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from sandbox.chaos.cast import GUARDS, PARTNERS, PAYS_OUT, STRATEGIES, cast, weights
from sandbox.chaos.strikes import STRIKES
from sandbox.fault_trials.cast import Cast

SECONDS = 5.0
SIGNALS = 6
FAULTS = 6
SECOND_LOGIN_EVERY = 5
"""Of so many seeds one has two logins."""
GUARDED_EVERY = 3
"""Of so many seeds one has strategies with a canary, or a breaker."""
EARLY = 0.2
"""What comes overnight comes early: there is something left then that nobody has traded."""
TABLES = 0.25
"""How many strategies are tables of their own, rather than a provider's."""


@dataclass(frozen=True, slots=True)
class Publish:
    """A signal to rebalance, perhaps after new targets."""

    at_s: float
    strategy: str
    targets: Mapping[str, float] | None
    twice: bool

    def __str__(self) -> str:
        again = " (sent twice)" if self.twice else ""
        return f"{self.at_s:5.2f} s  {self.strategy} publishes{again} {dict(self.targets or {}) or 'the same targets'}"


@dataclass(frozen=True, slots=True)
class Begin:
    """Something goes wrong; ``seed`` decides its details."""

    at_s: float
    kind: str
    seed: int

    def __str__(self) -> str:
        return f"{self.at_s:5.2f} s  {self.kind}"


@dataclass(frozen=True, slots=True)
class End:
    """It goes wrong no longer."""

    at_s: float
    kind: str
    seed: int

    def __str__(self) -> str:
        return f"{self.at_s:5.2f} s  {self.kind}: over"


@dataclass(frozen=True, slots=True)
class PayOut:
    """An owner's cash by a day is to be sold for now: so many USD."""

    at_s: float
    account_id: str
    amount: int

    def __str__(self) -> str:
        return f"{self.at_s:5.2f} s  {self.account_id} is to have {self.amount} USD by a day"


Step = Publish | Begin | End | PayOut


@dataclass(frozen=True, slots=True)
class Story:
    """All that decides how a trial goes.

    Attributes:
        last: targets of each strategy, published when everything is healed.
    """

    cast: Cast
    steps: Sequence[Step]
    last: Mapping[str, Mapping[str, float]]

    def shorter(self) -> Iterator[Self]:
        """The same without one of the faults, or one of the signals."""
        for left_out in self.steps:
            if isinstance(left_out, End):
                continue
            ended = [step for step in self.steps if isinstance(step, End) and _ends(step, left_out)]
            yield replace(self, steps=[step for step in self.steps if step is not left_out and step not in ended])


def _ends(end: End, step: Step) -> bool:
    return isinstance(step, Begin) and step.seed == end.seed


def tell(seed: int, kinds: Sequence[str] = (), broken: str = "") -> Story:
    """The story of a seed.

    Args:
        kinds: what goes wrong; everything by default.
        broken: name of a variant of the product, see :mod:`sandbox.chaos.sabotage`.
    """
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    actors = cast(chance, broken)
    steps = _steps(chance, tuple(kinds) or tuple(STRIKES))
    last = {strategy: weights(chance, strategy, last=True) for strategy in STRATEGIES}
    tables = frozenset(filter(lambda _: chance.random() < TABLES, STRATEGIES))
    partners = frozenset() if seed % SECOND_LOGIN_EVERY else PARTNERS
    guards = {} if seed % GUARDED_EVERY else GUARDS
    return Story(replace(actors, tables=tables, partners=partners, guards=guards), steps, last)


def _steps(chance: random.Random, kinds: Sequence[str]) -> list[Step]:
    steps: list[Step] = [_publish(chance) for _ in range(SIGNALS)]
    steps.append(PayOut(chance.uniform(0, SECONDS), PAYS_OUT, chance.randint(2, 12) * 3000))
    for kind in chance.sample(kinds, min(FAULTS, len(kinds))):
        begin, seed = chance.uniform(0, SECONDS), chance.getrandbits(32)
        if STRIKES[kind].overnight:
            begin *= EARLY
        if STRIKES[kind].amid_orders:
            strategy = chance.choice(list(STRATEGIES))
            steps.append(Publish(begin, strategy, weights(chance, strategy), twice=False))
        steps.append(Begin(begin, kind, seed))
        if STRIKES[kind].end is not None:
            steps.append(End(begin + chance.uniform(*STRIKES[kind].lasts_s), kind, seed))
    return sorted(steps, key=lambda step: step.at_s)


def _publish(chance: random.Random) -> Publish:
    strategy = chance.choice(list(STRATEGIES))
    targets = weights(chance, strategy) if chance.random() < 0.7 else None
    return Publish(chance.uniform(0, SECONDS), strategy, targets, chance.random() < 0.5)
