"""Bodies of answers that are not successes, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """What went wrong, in one sentence for a person."""

    detail: str = Field(examples=["Event 7d1c9b5e-0d3f-4d0e-9a55-0f6f5b3f2a11 not found in queue"])


class Refusal(BaseModel):
    """What cannot be done, in one sentence, or a list of the fields that were wrong."""

    detail: str | list[dict[str, Any]] = Field(examples=["unknown command 'buy'; known are rebalance, print-rebalance"])


Responses = dict[int | str, dict[str, Any]]

_AWAY: Responses = {503: {"model": Problem, "description": "The ledger cannot be reached; nothing was changed."}}
_MISCONFIGURED: Responses = {500: {"model": Problem, "description": "The server's configuration is wrong."}}
_REFUSED: Responses = {422: {"model": Refusal, "description": "The request cannot be understood or done."}}
_KEY: Responses = {
    401: {"model": Problem, "description": "The key is wrong."},
    403: {"model": Problem, "description": "A key is needed, or one that may do this."},
    413: {"model": Problem, "description": "The body is too large."},
    429: {"model": Problem, "description": "Too many requests; the header Retry-After says when to come back."},
}

PUBLIC: dict[str, Any] = {"security": [{}]}
"""For the document of operations that everybody may ask, and be told more with a key."""

READING: Responses = {**_AWAY, **_MISCONFIGURED, **_REFUSED, **_KEY}
CHANGING: Responses = READING
NOT_FOUND: Responses = {404: {"model": Problem, "description": "There is none of that id."}}
