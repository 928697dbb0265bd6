"""What happens in one trial, and when: all of it from a seed, so that it can be told again and cut shorter."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox.chaos.cast import STRATEGIES, weights
from sandbox.chaos.strikes import STRIKES

SECONDS = 8.0
SIGNALS = 6
FAULTS = 6
LASTS_S = (0.5, 4.0)


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


Step = Publish | Begin | End


def story(chance: random.Random, kinds: Sequence[str] = tuple(STRIKES)) -> list[Step]:
    """Steps in the order of their times."""
    steps: list[Step] = [_publish(chance) for _ in range(SIGNALS)]
    for kind in chance.sample(kinds, min(FAULTS, len(kinds))):
        begin, seed = chance.uniform(0, SECONDS), chance.getrandbits(32)
        steps.append(Begin(begin, kind, seed))
        if STRIKES[kind].end is not None:
            steps.append(End(begin + chance.uniform(*LASTS_S), kind, seed))
    return sorted(steps, key=lambda step: step.at_s)


def _publish(chance: random.Random) -> Publish:
    strategy = chance.choice(list(STRATEGIES))
    targets = weights(chance) if chance.random() < 0.7 else None
    return Publish(chance.uniform(0, SECONDS), strategy, targets, chance.random() < 0.5)
