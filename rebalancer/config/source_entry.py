"""``sources:`` of the accounts file: strategies whose targets are a table of the owner's or somebody else's choice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StrictBool, StrictStr, model_validator
from pydantic.config import JsonDict

from rebalancer.config.account_entry import STRATEGY, Entry, Strategy
from rebalancer.config.clear_text import is_here
from rebalancer.config.yaml_file import Document, check
from rebalancer.domain.commands import Command
from rebalancer.domain.sources import ChangeLimits, Form, Source, SourceKind, TableForm, Unit
from rebalancer.domain.units import Percent, ratio

KEY = "sources"
HEADER = re.compile(r"[A-Za-z0-9-]+")
COLUMN: JsonDict = {"allowed": "a column's name, as its header has it"}
Column = Annotated[StrictStr, Field(min_length=1, max_length=200)]


class ColumnsEntry(Entry):
    """``columns`` of a source."""

    symbol: Column | None = Field(
        default=None, json_schema_extra=COLUMN, description="Where the ticker symbols are, if that cannot be told."
    )
    weight: Column | None = Field(
        default=None, json_schema_extra=COLUMN, description="Where the weights are, if that cannot be told."
    )
    as_of: Column | None = Field(
        default=None,
        json_schema_extra=COLUMN,
        description="Where the table's date is, which has to be the same in each row.",
    )


class SourceEntry(Entry):
    """One source, by the name of its strategy."""

    file: Annotated[StrictStr, Field(min_length=1)] | None = Field(
        default=None,
        json_schema_extra={"allowed": "path, from the accounts file's folder on"},
        description="Table on this machine; a change is seen within seconds.",
    )
    url: Annotated[StrictStr, Field(pattern=r"^https?://[^\s/?#]+\S*$")] | None = Field(
        default=None,
        json_schema_extra={"allowed": "https:// URL"},
        description="Table on a server, in place of file; http:// on this machine only.",
    )
    format: Form | None = Field(
        default=None, description="How it is written, if neither its name nor its content says so."
    )
    columns: ColumnsEntry = Field(
        default_factory=ColumnsEntry,
        json_schema_extra={"allowed": "a mapping with symbol, weight and as_of"},
        description="Names of the table's columns.",
    )
    weights: Unit | None = Field(
        default=None, description="What its weights are, if neither header nor cells nor their sum say so."
    )
    decimal_mark: Literal[".", ","] | None = Field(
        default=None, description="How its numbers are written, if they do not say so."
    )
    day_first: StrictBool | None = Field(
        default=None, description="Whether 1/2/2026 is a day in February; dates that may be either are refused."
    )
    every_minutes: Annotated[Decimal, Field(strict=True, ge=Decimal("0.01"), le=1440)] = Field(
        default=Decimal(5), description="How often it is read; a file besides whenever it changes."
    )
    signature: Annotated[StrictStr, Field(min_length=1)] | None = Field(
        default=None,
        json_schema_extra={"allowed": "of a url a header's name, of a file a path"},
        description="Where its HMAC-SHA256 is, in hexadecimal digits; SOURCE_SECRETS has the secret.",
    )
    on_change: Literal["rebalance", "print-rebalance"] = Field(
        default="rebalance", description="What the accounts that follow do when it changes."
    )
    min_symbols_percent: Percent = Field(
        default=Percent(Decimal(50)),
        strict=True,
        ge=0,
        le=100,
        description="A table with fewer of the symbols that were accepted last waits for its owner.",
    )
    max_turnover_percent: Percent = Field(
        default=Percent(Decimal(100)),
        strict=True,
        ge=0,
        le=200,
        description="A table whose weights differ by more in sum waits for its owner; a complete switch is 200.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("needs either file or url")
        if self.url is not None:
            _check_url(self.url)
            if self.signature is not None and not HEADER.fullmatch(self.signature):
                raise ValueError(f"has the signature {self.signature!r}: use the name of a header")
        return self

    def source(self, strategy: str, folder: Path) -> Source:
        """The entry as a value; paths are from ``folder`` on."""
        signature = self.signature
        if self.file is not None and signature is not None:
            signature = str(folder / signature)
        return Source(
            strategy=strategy,
            kind=SourceKind.FILE if self.url is None else SourceKind.URL,
            place=str(folder / self.file) if self.file is not None else str(self.url),
            table=TableForm(
                form=self.format,
                symbol=self.columns.symbol,
                weight=self.columns.weight,
                as_of=self.columns.as_of,
                unit=self.weights,
                decimal_mark=self.decimal_mark,
                day_first=self.day_first,
            ),
            every_s=float(self.every_minutes * 60),
            signature=signature,
            on_change=Command(self.on_change),
            limits=ChangeLimits(ratio(self.min_symbols_percent), ratio(self.max_turnover_percent)),
        )


class _Name(Entry):
    strategy: Strategy = Field(json_schema_extra=STRATEGY)


def read_sources(document: Document, problems: list[str]) -> Mapping[str, Source]:
    """By strategy; what is wrong adds to ``problems``."""
    rows = document.content.get(KEY, {}) if isinstance(document.content, dict) else {}
    if not isinstance(rows, dict):
        problems.append(f"{document.place((KEY,))} has to map strategies to where their targets come from")
        return {}
    found: dict[str, Source] = {}
    for strategy, row in rows.items():
        if check(_Name, {"strategy": strategy}, document, (KEY, strategy), problems) is None:
            continue
        entry = check(SourceEntry, row, document, (KEY, strategy), problems)
        if entry is not None:
            found[strategy] = entry.source(strategy, document.path.parent)
    return found


def _check_url(url: str) -> None:
    """Refuse what cannot be asked, or not in secret."""
    parts = urlsplit(url)  # raises ValueError itself where the host or the port is none
    if not parts.hostname or parts.port == 0:
        raise ValueError("has a url without a host or with an impossible port")
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a url with a name or password in it: the table has to be readable without")
    if parts.scheme == "http" and not is_here(parts.hostname):
        raise ValueError("has a url that is read in clear text, in which anybody could change it: use https://")
