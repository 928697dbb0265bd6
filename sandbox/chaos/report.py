"""What many trials have shown, as a document that the command writes anew: ``docs/reliability.md``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

from sandbox.chaos.trial import Outcome

QUANTILES = (50, 95, 99)
HEAD = """# Reliability

Written by `rebalancer sandbox chaos --report docs/reliability.md --runs N --seed S`, and not by hand. What a trial is:
[the sandbox](sandbox.md#chaos).
"""
JUDGED = """## What was judged

By the gateway's books and by what was published, with the ledger as the accused:

* every signal is on record once, and nothing that nobody published; each is served for each account, once, by one run
  at a time. Only what waits for the settlement of sales, in an account without margin that has such proceeds, may wait;
* holdings are the newest targets, within a share of each symbol and half a percent of equity, as far as settled cash
  allows; what is listed elsewhere under the ticker of a target is untouched;
* shares, prices and commissions on record are the broker's, order by order, and nothing was traded by an order that is
  not on record;
* no order without an earlier intent that is just that order; no order ref twice; nothing after its run had ended;
* never short, never borrowed, the reserve kept, no unsettled proceeds spent by an account without margin;
* one hand at a time on an account: orders of a run stand together at the broker;
* while a person has halted an account, at most the one order that was on its way;
* no more turnover than the way from target to target;
* nothing is left to do, and no key is in a log.
"""


@dataclass(slots=True)
class Tally:
    """Trials from a seed on.

    Attributes:
        recoveries: seconds by kind of strike, see :class:`Outcome`.
    """

    first_seed: int
    trials: int = 0
    sound: int = 0
    orders: int = 0
    calm_s: list[float] = field(default_factory=list)
    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, outcome: Outcome) -> None:
        """One more."""
        self.trials += 1
        self.sound += not outcome.findings
        self.orders += outcome.orders
        self.calm_s.append(outcome.calm_s)
        for kind, seconds in outcome.recoveries:
            self.recoveries[kind].append(seconds)


def document(tally: Tally) -> str:
    """All of it in Markdown."""
    last = tally.first_seed + tally.trials - 1
    strikes = sum(map(len, tally.recoveries.values()))
    rows = [_row(kind, seconds) for kind, seconds in sorted(tally.recoveries.items(), key=lambda one: one[0].lower())]
    return f"""{HEAD}
**{tally.sound} of {tally.trials} trials sound**, seeds {tally.first_seed} to {last}: {strikes} strikes of
{len(tally.recoveries)} kinds, {tally.orders} orders. From the last signal, when all was healed, until nothing
was left to do: {_quantiles(tally.calm_s)} s (p50, p95, p99).

{JUDGED}
## What went wrong, and how soon it was made good

Seconds from the end of the strike until everything that had been published by then was served for every account; 0
where it was served by then. In each trial several strikes overlap, and some last on: a figure is of all of them.

| what | times | p50 | p95 | p99 |
|---|---|---|---|---|
{chr(10).join(rows)}
"""


def _row(kind: str, seconds: Sequence[float]) -> str:
    return f"| {kind} | {len(seconds)} | {' | '.join(_figures(seconds))} |"


def _quantiles(seconds: Sequence[float]) -> str:
    return ", ".join(_figures(seconds))


def _figures(seconds: Sequence[float]) -> list[str]:
    ranked = sorted(seconds)
    return [f"{ranked[max(0, ceil(len(ranked) * quantile / 100) - 1)]:.1f}" for quantile in QUANTILES]
