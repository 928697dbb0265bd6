"""Return and gap in words, the same wherever they are shown."""

from __future__ import annotations

from collections.abc import Iterator

from rebalancer.returns.gap import Returns
from rebalancer.returns.worlds import Part

MEANINGS = {
    Part.REPLACEMENTS: "other symbols than the strategy names",
    Part.DELAY: "from when new targets were first seen to the run that traded them",
    Part.REBALANCES: "runs without new targets, which brought a drift back",
    Part.HOLDS: "what is kept apart, and targets that may not be traded",
    Part.RESERVE: "cash that is kept, or its fund",
    Part.FLOWS: "cash that came and waited for the next run",
    Part.ROUNDING: "whole shares, bands, and what did not fill",
    Part.SPREAD: "fills against the middle of the quotes that were decided with",
    Part.COMMISSION: "commission",
    Part.OTHER: "dividends, interest, fees, trades by hand: what no record explains",
}
NOTHING = "nothing to measure: it takes a rebalance on record and a later look, which a dry run is as well"


def remarks(found: Returns) -> Iterator[str]:
    """What is not on record, and what follows from it."""
    yield from found.untold
    if found.strategy is None:
        yield "so what the strategy earned cannot be told; a later first day may have all prices"
    elif found.replaced:
        yield "so the strategy is taken after replacements, and what these make is not told"
