"""What a Flex stand-in is told to be like."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from sandbox.gateway.fill_rules import Exact, Part

Lots = Literal["none", "oldest", "newest"]


class Seeds(Part):
    """Differences to the books, put into statements on purpose.

    Attributes:
        hidden_trades: execution ids of trades that are left out; what is held at the end counts them.
        taken_back: execution ids of trades that IBKR cancels, with the day whose statement has that first.
        booked_anew: those of them that it books again on that day, as a later revision.
        cash / other_cash / shares: USD, other currencies by their names, and shares by symbol, that the end has beyond
            everything that happened.
        price / commission: per share or unit of currency, and per trade, beyond what was told; each in its currency.
    """

    hidden_trades: frozenset[str] = frozenset()
    taken_back: dict[str, date] = Field(default_factory=dict)
    booked_anew: frozenset[str] = frozenset()
    cash: Exact = Decimal(0)
    other_cash: dict[str, Exact] = Field(default_factory=dict)
    shares: dict[str, Exact] = Field(default_factory=dict)
    price: Exact = Decimal(0)
    commission: Exact = Decimal(0)


class Knobs(Part):
    """Everything that can be set, and changed while it runs.

    Attributes:
        expired: the token was the right one and is no longer.
        queries: numbers that are known.
        not_ready: so often a statement is not made yet when it is asked for (1019).
        refuse: code with which everything is answered; words as in IBKR's table.
        per_minute: questions of one token in a minute; one a second at most. ``None``: as many as one likes.
        through: the last day of statements: IBKR's are of days that are over.
        days: how many days they have, as the query's period.
        leave_out: sections, and columns as ``Trades.orderReference``, that the query has not. Of paper accounts IBKR is
            known to leave ``Trades.orderReference`` empty: ``omit_order_refs``.
        lots: which purchases sales are taken from; ``none``: the query has no closed lots.
        garbled: answers with something else than XML.
    """

    expired: bool = False
    queries: frozenset[str] = frozenset({"1"})
    not_ready: Annotated[int, Field(ge=0)] = 0
    refuse: int | None = None
    per_minute: Annotated[int, Field(gt=0)] | None = 10
    through: Literal["yesterday", "today"] = "yesterday"
    days: Annotated[int, Field(ge=1, le=365)] = 30
    leave_out: frozenset[str] = frozenset()
    omit_order_refs: bool = False
    lots: Lots = "oldest"
    garbled: bool = False
    seeds: Seeds = Seeds()
