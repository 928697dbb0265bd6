"""Types of values in requests and answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

MAX_DATA = 16_384
DEEPEST = 40
"""Levels of what is on record that are shown; bodies and payloads of today have fewer."""

Number = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
"""A decimal that JSON shows as a number."""


class Record(BaseModel):
    """What the API shows of a value of the program, field by field: what is not declared here is not public, whatever
    that value comes to hold. ``tests/unit/test_api_records.py`` compares the two.
    """

    model_config = ConfigDict(from_attributes=True)


class WeightState(Record):
    """One symbol against its target as fractions of investable equity; ``cash`` is what stays beyond the reserve."""

    symbol: str = Field(examples=["SPY"])
    current: Number
    target: Number
    drift: Number = Field(description="current - target")


def _storable(data: dict[str, Any]) -> dict[str, Any]:
    """Refuse what PostgreSQL cannot keep as JSON, and what is no remark but a file."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=False)
    text.encode()  # ValueError for half a surrogate pair
    if "\\u0000" in text:
        raise ValueError("NUL cannot be stored")
    if len(text) > MAX_DATA:
        raise ValueError(f"longer than {MAX_DATA} characters")
    return data


def _shallow(value: Any, depth: int = 0) -> Any:
    """JSON of the ledger as it can be shown: what an older version kept may be nested deeper than can be written."""
    if not isinstance(value, Mapping | list):
        return value
    if depth >= DEEPEST:
        return "(nested deeper than is shown)"
    if isinstance(value, list):
        return [_shallow(one, depth + 1) for one in value]
    return {key: _shallow(one, depth + 1) for key, one in value.items()}


Kept = Annotated[Any, BeforeValidator(_shallow)]
KeptObject = Annotated[dict[str, Any], BeforeValidator(_shallow)]
JsonData = Annotated[dict[str, Any], AfterValidator(_storable)]
AccountFilter = Annotated[str | None, Query(pattern=r"^[A-Z]{1,3}[0-9]+$", max_length=20, examples=["DU1000001"])]
Limit = Annotated[int, Query(ge=1, le=1000)]
Before = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Id of the last row of the page before.")]
WaitSeconds = Annotated[
    float, Query(ge=0, le=300, allow_inf_nan=False, description="How long to wait for the result; 0 returns at once.")
]


class BaseState(BaseModel):
    """The currency that an account is kept in, where it is not USD, at the broker's own rate."""

    currency: str = Field(examples=["EUR"])
    rate: Number = Field(description="Units of it for one USD.")
    cash: Number = Field(description="Cash in it, in it.")
    net_liquidation: Number = Field(description="The account's equity in it.")
