"""What can go wrong, each as it strikes a running stage and as it ends. What strikes the signals' way is in
:mod:`sandbox.fault_trials.kinds`.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rebalancer.domain.commands import Command
from sandbox.chaos import overnight, people
from sandbox.chaos.cast import STRATEGIES
from sandbox.fault_trials import kinds
from sandbox.fault_trials.kinds import KINDS
from sandbox.fault_trials.stage import Stage

Act = Callable[[Stage, random.Random], None]


@dataclass(frozen=True, slots=True)
class Strike:
    """One kind.

    Attributes:
        begin / end: ``end`` follows some seconds later, and again when everything is healed.
        changes_accounts: what an account should hold may be another meanwhile.
        amid_orders: it comes right after a signal with new targets, and waits for the order that it disturbs.
        holds_back: an order may reach the broker's books long after it was sent.
        lasts_s: how long, at least and at most.
        overnight: it comes early and waits for its moment; where that does not come, it is tried again when all is
            healed.
        ends_requests: what was asked for an account may end without having been done.
    """

    begin: Act
    end: Act | None = None
    changes_accounts: bool = False
    amid_orders: bool = False
    holds_back: bool = False
    lasts_s: tuple[float, float] = (0.5, 4.0)
    overnight: bool = False
    ends_requests: bool = False


LONGER_THAN_A_LEASE_S = (4.5, 6.0)
"""Than one of the trial's, and the time after which beat takes its event back."""


CLOCK_STEPS_S = (-20, -4, -2, 2, 4)
"""Beyond five seconds from the gateway's time a run is held, and looks again after a minute."""


def _gateway(path: str, body: object) -> Act:
    def tell(stage: Stage, _chance: random.Random) -> None:
        if not stage.is_stopped("gateway"):
            stage.ask_gateway("POST", path, body)

    return tell


def _faults(*, holds_back: bool = False, **faults: Any) -> Strike:
    return Strike(_gateway("/faults", faults), _gateway("/faults", {}), holds_back=holds_back)


def _notices(*codes: int) -> Act:
    def tell(stage: Stage, chance: random.Random) -> None:
        for code in codes:
            _gateway("/notices", {"code": code, "text": "told by the trial"})(stage, chance)

    return tell


def _killed(program: str) -> Strike:
    return Strike(lambda stage, _: stage.kill(program))


def _stopped(program: str, *, holds_back: bool = False) -> Strike:
    return Strike(_signal(program, signal.SIGSTOP), _signal(program, signal.SIGCONT), holds_back=holds_back)


def _signal(program: str, number: signal.Signals) -> Act:
    return lambda stage, _: stage.signal(program, number)


def _amid_orders(act: Act, end: Act | None = None, lasts_s: tuple[float, float] = (0.5, 4.0)) -> Strike:
    def begin(stage: Stage, chance: random.Random) -> None:
        people.account_of_next_order(stage)
        act(stage, chance)

    return Strike(begin, end, amid_orders=True, lasts_s=lasts_s)


def _both_workers(number: signal.Signals) -> Act:
    def tell(stage: Stage, _chance: random.Random) -> None:
        for worker in ("worker", "worker-1"):
            stage.signal(worker, number)

    return tell


def _gap(stage: Stage, chance: random.Random) -> None:
    """Messages that nobody is sent; that continuity is lost is told when it is over."""
    stage.tell("gap", channel=_strategy(chance), publishes=3)


def _gap_told(stage: Stage, chance: random.Random) -> None:
    channel = _strategy(chance)
    stage.tell("gap", channel=channel, publishes=0)
    stage.tell("discontinuity", channel=channel)


def _strategy(chance: random.Random) -> str:
    return chance.choice(list(STRATEGIES))


def _provider(status: int, body: str) -> Strike:
    def mend(stage: Stage, _chance: random.Random) -> None:
        for strategy in STRATEGIES:
            stage.mend_targets(strategy)

    return Strike(lambda stage, chance: stage.break_targets(chance.choice(list(STRATEGIES)), status, body), mend)


def _edit(**changes: Any) -> Strike:
    def edit(stage: Stage, chance: random.Random) -> None:
        entries = [dict(entry) for entry in stage.cast.accounts]
        chance.choice(entries).update(changes)
        stage.write_accounts(entries)

    return Strike(edit, lambda stage, _: stage.write_accounts(stage.cast.accounts), changes_accounts=True)


def _unreadable(stage: Stage, _chance: random.Random) -> None:
    stage.accounts_file.write_text("accounts: [")


def _signals_way(strike: kinds.Strike) -> Strike:
    return Strike(lambda stage, _: strike(stage, _unheard))


def _unheard(_channel: str) -> None:
    """These kinds publish nothing."""


STRIKES: Mapping[str, Strike] = {
    **{
        f"Ably: {name}": _signals_way(strike)
        for name, strike in KINDS.items()
        if not name.endswith(("killed", "flushed")) and name != "gap"
    },
    "listener killed": _killed("listener"),
    "worker killed": _killed("worker"),
    "second worker killed": _killed("worker-1"),
    "worker child killed": Strike(lambda stage, chance: stage.kill_worker_child(chance.choice(("worker", "worker-1")))),
    "beat killed": _killed("beat"),
    "Redis killed": _killed("redis"),
    "PostgreSQL killed": _killed("postgres"),
    "gateway killed": _killed("gateway"),
    "worker stopped": _stopped("worker"),
    "second worker stopped": _stopped("worker-1"),
    "listener stopped": _stopped("listener"),
    "Redis stopped": _stopped("redis"),
    "PostgreSQL stopped": _stopped("postgres"),
    "gateway stopped": _stopped("gateway", holds_back=True),
    "Redis flushed": Strike(lambda stage, _: stage.flush_redis()),
    "PostgreSQL connections cut": Strike(lambda stage, _: stage.cut_database_connections()),
    "gateway restarted": Strike(_gateway("/restart", {"refuse_s": 1})),
    "gateway restarted, order numbers forgotten": Strike(_gateway("/restart", {"refuse_s": 1, "forgotten_ids": 5})),
    "gateway reset": Strike(_gateway("/disconnect", {})),
    "1100, 1101": Strike(_notices(1100), _notices(1101)),
    "1100, 1102": Strike(_notices(1100), _notices(1102)),
    "gateway silent": _faults(connections="silence", muted=True, holds_back=True),
    "order reset before": _faults(order_reset={"when": "before"}),
    "order reset after": _faults(order_reset={"when": "after"}),
    "statuses dropped": _faults(dropped_messages=[3]),
    "executions dropped": _faults(dropped_messages=[11]),
    "commissions dropped": _faults(dropped_messages=[59]),
    "reports doubled": _faults(duplicated_messages=[3, 5, 11, 59]),
    "executions late": _faults(delayed_ms={"11": 700}),
    "statuses late": _faults(delayed_ms={"3": 700}),
    "executions corrected": _faults(corrected_executions=True),
    "books late": _faults(lags_ms={"positions": 7000, "values": 7000, "funds": 7000}),
    "positions late": _faults(lags_ms={"positions": 7000}),
    "executions not listed": _faults(executions="empty"),
    "executions withheld": _faults(dropped_messages=[11], executions="empty"),
    "half of the executions listed": _faults(executions="partial"),
    "orders swallowed": _faults(swallowed_orders={"*": {"times": 1, "click_ms": 1500}}, holds_back=True),
    "cancels ignored": _faults(ignored_cancels=["*"], fills={"*": {"mode": "partial", "fraction": "0.5"}}),
    "orders half filled": _faults(fills={"*": {"mode": "partial", "fraction": "0.5"}}),
    "orders never filled": _faults(fills={"*": {"mode": "never"}}),
    "orders rejected": _faults(rejections={"*": {"code": 201, "text": "Order rejected", "times": 2}}),
    "orders inactive for a while": _faults(inactive={"*": {"for_ms": 400}}),
    "no quotes": _faults(quotes={"*": "none"}),
    "quotes of -1": _faults(quotes={"*": "minus_one"}),
    "account not ready": _faults(account_not_ready=True),
    "a position hidden": _faults(hidden_positions=["SPY", "QQQ", "KO"]),
    "cash hidden": _faults(hidden_values=["CashBalance", "TotalCashBalance"]),
    "frames split": _faults(split_frames=7),
    "provider fails": _provider(500, "oops"),
    "provider talks nonsense": _provider(200, '{"data": {"allocations": "none"}}'),
    "weights of 200 %": _provider(
        200, '{"data": {"allocations": [{"symbol": "SPY", "allocation": 1}, {"symbol": "QQQ", "allocation": 1}]}}'
    ),
    "an account disabled": replace(_edit(enabled=False), ends_requests=True),
    "a reserve changed": _edit(cash_reserve_percent=5),
    "trading halted": _faults(halted=["*"]),
    "quotes crossed": _faults(quotes={"*": "crossed"}),
    "cancels refused": _faults(
        cancel_refusals={"*": {"code": 161}}, fills={"*": {"mode": "partial", "fraction": "0.5"}}
    ),
    "client ids taken": _faults(taken_client_ids=list(range(100, 140))),
    "requests unanswered": _faults(ignored_requests=[61, 7]),
    "Ably: gap": Strike(_gap, _gap_told),
    "workers stopped amid orders": _amid_orders(
        _both_workers(signal.SIGSTOP), _both_workers(signal.SIGCONT), LONGER_THAN_A_LEASE_S
    ),
    "worker child killed amid orders": _amid_orders(
        lambda stage, chance: stage.kill_worker_child(chance.choice(("worker", "worker-1")))
    ),
    "gateway reset amid orders": _amid_orders(_gateway("/disconnect", {})),
    "gateway killed amid orders": _amid_orders(lambda stage, _: stage.kill("gateway")),
    "PostgreSQL killed amid orders": _amid_orders(lambda stage, _: stage.kill("postgres")),
    "halted amid orders": Strike(people.halt_amid_orders, people.resume_all, amid_orders=True, lasts_s=(1.5, 4.0)),
    "orders cancelled by hand": Strike(people.cancel_amid_orders, amid_orders=True),
    "a split": Strike(overnight.split, overnight=True),
    "clocks put forward or back": Strike(
        lambda stage, chance: stage.set_clock(chance.choice(CLOCK_STEPS_S)), lambda stage, _: stage.set_clock(0)
    ),
    "rebalance asked by hand": Strike(people.ask(Command.REBALANCE)),
    "an order by hand": Strike(people.enter_order),
    "an event removed": Strike(people.remove_one, ends_requests=True),
    "plans rejected": Strike(people.reject_all, people.reject_all, ends_requests=True),
    "messages sent again": Strike(people.send_messages_again, people.send_messages_again),
    "accounts file unreadable": Strike(_unreadable, lambda stage, _: stage.write_accounts(stage.cast.accounts)),
}
