"""Where a strategy's targets come from, when not from the allocations API: a table that its owner or somebody else
keeps. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal, localcontext
from enum import StrEnum
from hashlib import sha256
from urllib.parse import urlsplit

from rebalancer.domain.commands import Command
from rebalancer.domain.money import EXACT
from rebalancer.domain.portfolio import TargetWeight
from rebalancer.domain.units import Ratio

SETTLED_S = 1.0
"""A file that was written to more recently is perhaps still being written."""


class SourceKind(StrEnum):
    """How a table is read."""

    FILE = "file"
    URL = "url"


class Form(StrEnum):
    """How a table is written."""

    CSV = "csv"
    JSON = "json"
    YAML = "yaml"


class Unit(StrEnum):
    """What a table's weights are."""

    PERCENT = "percent"
    FRACTION = "fraction"


@dataclass(frozen=True, slots=True)
class TableForm:
    """How a table is to be read; ``None`` where the table itself has to tell.

    Attributes:
        symbol / weight / as_of: names of columns.
        decimal_mark: ``.`` or ``,``.
        day_first: whether 1/2/2026 is a day in February.
    """

    form: Form | None = None
    symbol: str | None = None
    weight: str | None = None
    as_of: str | None = None
    unit: Unit | None = None
    decimal_mark: str | None = None
    day_first: bool | None = None


@dataclass(frozen=True, slots=True)
class ChangeLimits:
    """Beyond these a change waits for its owner.

    Attributes:
        least_symbols: fraction of the symbols accepted last.
        most_turnover: sum of all weights' changes; 2 is a complete switch.
    """

    least_symbols: Ratio = Ratio(Decimal("0.5"))
    most_turnover: Ratio = Ratio(Decimal(1))


@dataclass(frozen=True, slots=True)
class Source:
    """One strategy's table.

    Attributes:
        place: path of the file, or URL.
        signature: of a URL the header, of a file the other file that has the signature; ``None`` asks for none.
        on_change: what the accounts do when it changes.
    """

    strategy: str
    kind: SourceKind
    place: str
    table: TableForm = field(default_factory=TableForm)
    every_s: float = 300
    signature: str | None = None
    on_change: Command = Command.REBALANCE
    limits: ChangeLimits = field(default_factory=ChangeLimits)

    @property
    def shown(self) -> str:
        """The place as everybody may see it: the path of a published table is all that it takes to read it."""
        return self.place if self.kind is SourceKind.FILE else (urlsplit(self.place).hostname or "a URL")

    @property
    def definition(self) -> str:
        """Changes with whatever decides how the table is read."""
        read_by = [self.kind, self.place, self.signature, asdict(self.table)]
        return sha256(json.dumps(read_by, sort_keys=True).encode()).hexdigest()


def digest(weights: Sequence[TargetWeight]) -> str:
    """The same for the same targets, however they were arranged and written."""
    listed = sorted((entry.symbol, plain(entry.weight)) for entry in weights if entry.weight)
    return sha256(json.dumps(listed).encode()).hexdigest()


def plain(weight: Decimal) -> str:
    """A weight in digits, without zeros at its end."""
    with localcontext(EXACT):
        return f"{weight.normalize():f}"


def by_symbol(weights: Sequence[TargetWeight]) -> Mapping[str, str]:
    """Weights as the record keeps them."""
    return {entry.symbol: plain(entry.weight) for entry in weights}
