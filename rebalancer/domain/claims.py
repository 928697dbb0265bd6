"""The right to run an event."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from rebalancer.domain.commands import Command
from rebalancer.domain.rebalance_kinds import RebalanceKind
from rebalancer.domain.units import NO_USD, Usd


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run an event, as long as its lease is renewed.

    Attributes:
        failures / refusals: failures of any kind, and of a kind that a person has to resolve, in a row before this run.
        needs_attention: a person has been told already.
        removed: an operator ended the event; all that is left to do is to account for its orders.
        kind: what kind of rebalance this run is.
        observed_generation: number of the newest request that it knows; up to there it serves those of its kind.
        kept_cash: USD that were raised for the account's owner and are not to be invested.
    """

    event_id: UUID
    attempt: int
    account_id: str
    command: Command
    strategy: str
    kind: RebalanceKind
    observed_generation: int
    times_queued: int
    failures: int
    refusals: int
    needs_attention: bool
    removed: bool
    worker: str
    kept_cash: Usd = NO_USD
