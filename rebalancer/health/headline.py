"""Whether all is well, in one line: what is broken, what waits for a person. Page and command line say the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.strategy_holds import HoldState, StrategyHold
from rebalancer.health import readiness
from rebalancer.health.readiness import Check
from rebalancer.health.remarks import remarks
from rebalancer.ledger import halts, strategy_holds
from rebalancer.ledger.halts import Halt
from rebalancer.ledger.queries import event_search
from rebalancer.ledger.queries.event_search import QueueDetail
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState
from rebalancer.services import Services

Kind = Literal["good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Headline:
    """Red is what is broken, amber what waits for a person."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What the headline is made of.

    Attributes:
        remarks: what hinders no signal, and a person should know.
        halts: in force.
        held: strategies that are.
    """

    headline: Headline
    checks: tuple[Check, ...]
    remarks: tuple[Check, ...]
    halts: list[Halt]
    held: list[StrategyHold]
    queue: QueueDetail


def standing(services: Services, session: Session, plans: int) -> Standing:
    """Look at everything.

    Args:
        plans: how many wait for a decision.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    checks, told = readiness.check_within(services, session), remarks(services, session)
    in_force, queue = halts.in_force(session), event_search.queue_detail(session)
    retried = queue.by_state.get(EventState.RETRYING, 0)
    held = _held(services, session)
    line = headline(
        checks,
        told,
        halted=bool(in_force),
        strategies=sum(one.state is HoldState.ASKED for one in held),
        plans=plans,
        attention=queue.attention,
        retried=retried,
    )
    return Standing(line, checks, told, in_force, held, queue)


def _held(services: Services, session: Session) -> list[StrategyHold]:
    """Without a guard in the accounts file nothing is."""
    try:
        guards = services.accounts().guards
    except ConfigurationError:  # which the checks tell
        return []
    return strategy_holds.in_force(session) if guards else []


def headline(
    checks: Iterable[Check],
    warnings: Sequence[Check],
    *,
    halted: bool,
    strategies: int,
    plans: int,
    attention: int,
    retried: int,
) -> Headline:
    """The most urgent first.

    Args:
        warnings: what a person should know although signals are traded.
        strategies: how many wait for a decision.
        plans: the same of plans.
        attention: events that need a person.
        retried: events that are tried again by themselves.
    """
    broken = [check.name for check in checks if not check.ok]
    told = [
        f"Not ready: {', '.join(broken)}" if broken else "",
        "Halted" if halted else "",
        _some(strategies, "strategy waits for you", "strategies wait for you"),
        _some(plans, "plan waits for you", "plans wait for you"),
        _some(attention, "event needs attention", "events need attention"),
        _some(retried, "event is being retried", "events are being retried"),
        *(warning.name for warning in warnings),
    ]
    text = " \N{MIDDLE DOT} ".join(part for part in told if part)
    kind: Kind = "bad" if broken else "warn" if text else "good"
    return Headline(kind, text or "All is well")


def _some(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}" if number else ""
