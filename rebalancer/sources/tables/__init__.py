"""From the bytes of a table, however it was written, to targets; pure.

Nothing is guessed where two readings are possible, and nothing is left out that may be a target: whatever is doubtful
is refused, with the place.
"""

from __future__ import annotations

from rebalancer.domain.portfolio import Targets
from rebalancer.domain.sources import Form, TableForm
from rebalancer.domain.units import NO_RATIO
from rebalancer.planning import check_weights
from rebalancer.sources.tables.columns import choose
from rebalancer.sources.tables.dates import date_of
from rebalancer.sources.tables.lines import lines_of
from rebalancer.sources.tables.sheets import sheet_of
from rebalancer.sources.tables.weights import weights_of

__all__ = ["read_table"]


def read_table(strategy: str, body: bytes, table: TableForm, told: Form | None = None) -> Targets:
    """Targets in the order of their symbols, weights of 0 left out: any arrangement of a table gives the same.

    Args:
        told: how the table is written, as its name or its server says; the table's own settings come first.

    Raises:
        Refused: ``allocations_malformed``, with the reason and its place; for the numbers see
            :func:`rebalancer.planning.check_weights`. How much they have to fill is the account's own rule.
    """
    sheet = sheet_of(body, table, table.form or told)
    columns = choose(sheet.header, table)
    lines = lines_of(sheet, columns)
    weights = weights_of(lines, columns, table)
    check_weights(weights, NO_RATIO)
    held = sorted((entry for entry in weights if entry.weight), key=lambda entry: entry.symbol)
    check_weights(held, NO_RATIO)
    return Targets(strategy, tuple(held), date_of(sheet, columns, table))
