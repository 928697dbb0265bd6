"""What many trials have shown, as a document that the command writes anew: ``docs/reliability.md``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import ceil

from sandbox.chaos.results import Results

SHOWN = 3
QUANTILES = (50, 95, 99)
HEAD = """# Reliability

Written by `rebalancer sandbox chaos --report docs/reliability.md --runs N --seed S`, and not by hand: of all
trials of this state of the program, whichever commands have played them (`build/chaos.jsonl`). What a trial is: [the
sandbox](sandbox.md#chaos).
"""
JUDGED = """## What was judged

By the gateway's books and by what was published, with the ledger as the accused:

* every signal is on record once, and nothing that nobody published; each is served for each account, once, by one run
  at a time. Only what waits for the settlement of sales, in an account without margin that has such proceeds, may wait;
* holdings are the newest targets, within a share of each symbol and half a percent of equity, as far as settled cash
  allows; what is listed elsewhere under the ticker of a target is untouched;
* shares, prices and commissions on record are the broker's, order by order, and nothing was traded by an order that is
  not on record;
* the broker's statement of each account, counted from how it began, has nothing beyond the ledger that its own entries
  do not explain: no share, no cent of a dollar, no cent of a euro;
* no order without an earlier intent that is just that order; no order ref twice; nothing after its run had ended;
* never short, never borrowed, the reserve kept, no unsettled proceeds spent by an account without margin;
* one hand at a time on an account: orders of a run stand together at the broker;
* while a person has halted an account, at most the one order that was on its way;
* no more turnover than the way from target to target;
* cash that an owner wants by a day is there and kept; what lies idle has been invested, or has gone back into euros,
  and never forth and back in one run;
* nothing is left to do, and no key is in a log.
"""


def document(results: Results) -> str:
    """All of it in Markdown."""
    outcomes = list(results.trials.values())
    sound = sum(not outcome.findings for outcome in outcomes)
    recoveries: dict[str, list[float]] = defaultdict(list)
    for kind, seconds in (recovery for outcome in outcomes for recovery in outcome.recoveries):
        recoveries[kind].append(seconds)
    rows = [_row(kind, seconds) for kind, seconds in sorted(recoveries.items(), key=lambda one: one[0].lower())]
    strikes, orders = sum(map(len, recoveries.values())), sum(outcome.orders for outcome in outcomes)
    return f"""{HEAD}
**{sound} of {len(outcomes)} trials sound**, seeds {_ranges(results.trials)}: {strikes} strikes of
{len(recoveries)} kinds, {orders} orders. From the last signal, when all was healed, until nothing
was left to do: {", ".join(_figures([outcome.calm_s for outcome in outcomes]))} s (p50, p95, p99).
{_failed(results)}
{JUDGED}
{_broken(results)}## What went wrong, and how soon it was made good

Seconds from the end of the strike until everything that had been published by then was served for every account; 0
where it was served by then. In each trial several strikes overlap, and some last on: a figure is of all of them.

| what | times | p50 | p95 | p99 |
|---|---|---|---|---|
{chr(10).join(rows)}
"""


def _ranges(seeds: Iterable[int]) -> str:
    """``1 to 60, 71``."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and runs[-1][-1] == seed - 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _failed(results: Results) -> str:
    failed = sorted((seed, outcome.findings) for seed, outcome in results.trials.items() if outcome.findings)
    return "".join(f"\nSeed {seed}: {'; '.join(findings[:SHOWN])}\n" for seed, findings in failed)


def _broken(results: Results) -> str:
    if not results.variants:
        return ""
    caught = sum(one.seed is not None for one in results.variants.values())
    rows = "\n".join(
        f"| {name} | {'not caught' if one.seed is None else one.seed} | {one.finding.replace('|', '/')} |"
        for name, one in results.variants.items()
    )
    return f"""## What the judge sees

By `rebalancer sandbox chaos --broken all --runs N --report docs/reliability.md`: **{caught} of
{len(results.variants)}** ways to break the product on purpose were caught, each by the first seed that is named.

| what is broken | seed | first finding |
|---|---|---|
{rows}

"""


def _row(kind: str, seconds: Sequence[float]) -> str:
    return f"| {kind} | {len(seconds)} | {' | '.join(_figures(seconds))} |"


def _figures(seconds: Sequence[float]) -> list[str]:
    ranked = sorted(seconds)
    return [f"{ranked[max(0, ceil(len(ranked) * quantile / 100) - 1)]:.1f}" for quantile in QUANTILES]
