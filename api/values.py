"""Types of values in requests and answers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

MAX_DATA = 16_384

Number = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
"""A decimal that JSON shows as a number."""


class WeightState(BaseModel):
    """One symbol against its target as fractions of investable equity; ``cash`` is what stays beyond the reserve."""

    model_config = ConfigDict(from_attributes=True)

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


JsonData = Annotated[dict[str, Any], AfterValidator(_storable)]
AccountFilter = Annotated[str | None, Query(pattern=r"^[A-Z]{1,3}[0-9]+$", max_length=20, examples=["DU1000001"])]
Limit = Annotated[int, Query(ge=1, le=1000)]
Before = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Id of the last row of the page before.")]
WaitSeconds = Annotated[
    float, Query(ge=0, le=300, allow_inf_nan=False, description="How long to wait for the result; 0 returns at once.")
]
