"""Runs that may happen twice, at once, or where they must not."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rebalancer.domain.claims import Claim
from rebalancer.domain.run_record import RunRecord
from rebalancer.ledger import halts
from rebalancer.ledger.halts import Halt
from rebalancer.ledger.models import Event
from rebalancer.ledger.session import Session
from rebalancer.usecases.context import RunContext
from sandbox.chaos.sabotage.patching import Patch, Variant, instead

AGAIN = "messages sent again"


def _nobody_busy() -> object:
    return Event.attempt < 0


def _whatever_its_state(take: Any) -> Any:
    """A claim asks for the event's id alone: not whether it waits, is due, and its account is free."""
    taken = take.execution_options()
    taken._where_criteria = take._where_criteria[:1]
    return taken


def _without_index(claim: Callable[..., Any]) -> Callable[..., Any]:
    """One hand on each account is a matter of each process."""

    def claimed(session: Session, *others: Any) -> Any:
        session.connection().exec_driver_sql("DROP INDEX IF EXISTS uq_events_one_hand")
        return claim(session, *others)

    return claimed


def _nothing(*_others: object) -> None:
    """What was asked about is taken for granted."""


def _whatever_is_halted(context: RunContext) -> None:
    context.run.checkpoint()
    context.broker.require_turn()


def _halts_alone(session: Session, claim: Claim) -> tuple[bool, list[Halt]]:
    """Nobody asks whose event it is."""
    return True, halts.in_force(session, claim.account_id)


@dataclass
class _Late:
    """Intents that go on record with the first report."""

    intend: Callable[..., None]
    heard: Callable[..., None]

    def __post_init__(self) -> None:
        self._waiting: dict[int, Any] = {}

    def intended(self, run: RunRecord, orders: Any) -> None:
        self._waiting[id(run)] = orders

    def recorded(self, run: RunRecord, reports: Any) -> None:
        orders = self._waiting.pop(id(run), None)
        if orders is not None:
            self.intend(run, orders)
        self.heard(run, reports)


def _intents_late() -> list[Patch]:
    late = _Late(_nothing, _nothing)

    def keep(name: str, replacement: Callable[..., None]) -> Callable[[Any], Any]:
        def change(original: Callable[..., None]) -> Callable[..., None]:
            def method(run: RunRecord, argument: Any) -> None:
                replacement(run, argument)

            setattr(late, name, original)
            return method

        return change

    return [
        Patch("rebalancer.ledger.run:Run.intend", keep("intend", late.intended)),
        Patch("rebalancer.ledger.run:Run.heard", keep("heard", late.recorded)),
    ]


def _telling_the_key(begin: Callable[..., None]) -> Callable[..., None]:
    """Past the log, which would not show it."""

    def begun(**fields: Any) -> None:
        begin(**fields)
        os.write(2, f"key {os.environ['ALLOCATIONS_API_KEY']}\n".encode())

    return begun


VARIANTS = {
    "claim removed": Variant([Patch("rebalancer.ledger.ownership:_TAKE", _whatever_its_state)], (AGAIN,)),
    "a lock of each process only": Variant(
        [
            Patch("rebalancer.ledger.ownership:_claim", _without_index),
            instead("rebalancer.ledger.dispatch_claims:account_busy", _nobody_busy),
            instead("rebalancer.ibkr.turn:Turn.require", _nothing),
        ],
        ("orders cancelled by hand",),
    ),
    "lease renewed without a fence": Variant(
        [
            instead("rebalancer.ledger.lease:Lease.require", _nothing),
            instead("rebalancer.ledger.ownership:require_owned", _nothing),
            instead("rebalancer.ledger.ownership:require_wanted", _nothing),
            instead("rebalancer.ledger.halts:clearance", _halts_alone),
            instead("rebalancer.ibkr.turn:Turn.require", _nothing),
        ],
        ("workers stopped amid orders",),
    ),
    "intent after the send": Variant(_intents_late()),
    "halt not asked before each order": Variant(
        [instead("rebalancer.usecases.context:RunContext.checkpoint", _whatever_is_halted)], ("halted amid orders",)
    ),
    "a key in the log": Variant([Patch("tasks.base:begin_run", _telling_the_key)]),
}
