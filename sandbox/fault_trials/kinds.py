"""The kinds of faults, each as it strikes a running stage."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from sandbox.fault_trials.cast import STRATEGIES
from sandbox.fault_trials.stage import Stage

Strike = Callable[[Stage, "Publish"], None]
Publish = Callable[[str], None]
"""Publishes one more message on a channel."""


def _knobs(*turns: tuple[str, Mapping[str, object]]) -> Strike:
    def strike(stage: Stage, _publish: Publish) -> None:
        for knob, arguments in turns:
            stage.tell(knob, **arguments)

    return strike


def _gap(stage: Stage, publish: Publish) -> None:
    """Messages that nobody is sent; then the loss of continuity is announced, as Ably does."""
    channel = next(iter(STRATEGIES))
    stage.tell("gap", channel=channel, publishes=3)
    for _ in range(3):
        publish(channel)
    stage.tell("discontinuity", channel=channel)


DROP: tuple[str, Mapping[str, object]] = ("drop", {})

KINDS: Mapping[str, Strike] = {
    "connection dropped": _knobs(DROP),
    "dropped, resume refused": _knobs(("refuse_resume", {}), DROP),
    "dropped, continuity lost": _knobs(("refuse_continuity", {"times": len(STRATEGIES)}), DROP),
    "dropped, attach unanswered": _knobs(("swallow_attach", {}), DROP),
    "dropped, history fails": _knobs(("http_status", {"status": 500, "times": 4, "path_contains": "/messages"}), DROP),
    "dropped, upgrade refused": _knobs(("http_status", {"status": 503, "surface": "upgrade"}), DROP),
    "frozen": _knobs(("freeze", {"seconds": 3})),
    "server away": _knobs(("go_down", {"seconds": 1})),
    "gap": _gap,
    "zombie": _knobs(("zombie", {})),
    "zombie after 503": _knobs(("zombie", {"status": 503})),
    "fatal error": _knobs(("fatal", {})),
    "tokens expired": _knobs(("expire_tokens", {})),
    "message repeated": lambda stage, _: stage.repeat(next(iter(STRATEGIES))),
    "listener killed": lambda stage, _: stage.kill("listener"),
    "worker killed": lambda stage, _: stage.kill("worker"),
    "worker child killed": lambda stage, _: stage.kill_worker_child(),
    "Redis flushed": lambda stage, _: stage.flush_redis(),
    "Redis killed": lambda stage, _: stage.kill("redis"),
    "PostgreSQL killed": lambda stage, _: stage.kill("postgres"),
}


def sequence(count: int, chance: random.Random) -> list[str]:
    """So many kinds, each as often as the others, shuffled."""
    chosen: list[str] = []
    while len(chosen) < count:
        chosen += chance.sample(list(KINDS), k=len(KINDS))
    return chosen[:count]
