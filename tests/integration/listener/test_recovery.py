"""Each way in which the connection can fail: nothing is lost, order is kept, and it does not take long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from listener.timing import Timing
from sandbox.ably.server import AblyServer
from tests.integration.listener.harness import CHANNEL, QUICK, REBALANCE, Here, Play, Told

# The SDK itself calls Logger.warn, deprecated since Python 3.3, when it is told DISCONNECTED without an error.
pytestmark = pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated:DeprecationWarning")

Fault = Callable[[AblyServer], object]


def drop_and_refuse_resume(server: AblyServer) -> None:
    server.refuse_resume()
    server.drop()


def drop_and_refuse_continuity(server: AblyServer) -> None:
    server.refuse_continuity(CHANNEL)
    server.drop()


def drop_and_replay_after_loss(server: AblyServer) -> None:
    server.replay_after_loss()
    drop_and_refuse_continuity(server)


def drop_and_swallow_attach(server: AblyServer) -> None:
    server.swallow_attach(CHANNEL)
    server.drop()


def drop_and_refuse_upgrades(server: AblyServer) -> None:
    server.http_status(503, times=2, surface="upgrade")
    server.drop()


def detach(server: AblyServer) -> None:
    server.send_frame({"action": 13, "channel": CHANNEL})


def refuse_channel(server: AblyServer) -> None:
    error = {"code": 40160, "statusCode": 401, "message": "refused for a while"}
    server.send_frame({"action": 9, "channel": CHANNEL, "error": error})


FAULTS: dict[str, Fault] = {
    "drop": lambda server: server.drop(),
    "drop, resume refused": drop_and_refuse_resume,
    "drop, continuity refused": drop_and_refuse_continuity,
    "drop, replay after loss": drop_and_replay_after_loss,
    "drop, attach swallowed": drop_and_swallow_attach,
    "drop, upgrades refused": drop_and_refuse_upgrades,
    "zombie": lambda server: server.zombie(),
    "zombie 503": lambda server: server.zombie(503),
    "fatal": lambda server: server.fatal(),
    "discontinuity": lambda server: server.discontinuity(CHANNEL),
    "detached": detach,
    "channel refused": refuse_channel,
    "short freeze": lambda server: server.freeze(0.2),
    "long freeze": lambda server: server.freeze(2),
    "restart": lambda server: server.go_down(0.5),
    "token expired": lambda server: server.expire_tokens(),
    "clock": lambda server: server.advance_clock(130),
}


@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_lost_and_order_is_kept(play: Play, name: str) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            ids = here.publish(REBALANCE)
            await here.recorded(*ids)
            outcome = FAULTS[name](here.server)
            if asyncio.iscoroutine(outcome):
                await outcome
            ids += here.publish(*[{"exec": "print-equity"}] * 3)
            await here.recorded(*ids)
            ids += here.publish(REBALANCE)
            await here.recorded(*ids)
            assert here.ids() == ids

    play(scenario)


def test_a_gap_that_is_announced_is_filled_in_order(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            ids = here.publish(REBALANCE)
            here.server.gap(CHANNEL, publishes=3)
            ids += here.publish(*[{"exec": "print-equity"}] * 3)
            here.server.discontinuity(CHANNEL)
            ids += here.publish(*[{"exec": "print-equity"}] * 3)
            await here.recorded(*ids)
            assert here.ids() == ids

    play(scenario)


def test_many_faults_in_a_row(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            ids: list[str] = []
            for _ in range(3):
                for fault in (drop_and_refuse_continuity, lambda server: server.zombie(), lambda server: server.drop()):
                    fault(here.server)
                    ids += here.publish(*[{"exec": "print-equity"}] * 5)
                    await asyncio.sleep(0.05)  # faults strike at any moment, not only when all is calm
            await here.recorded(*ids)
            assert here.ids() == ids

    play(scenario)


def test_history_that_may_not_be_read_leaves_live_and_rewound_messages(play: Play) -> None:
    async def scenario(here: Here) -> None:
        here.server.set_capability({"*": ["subscribe", "publish"]})
        async with here.listening(wait=False):
            await here.server.log.wait_for("attached")
            live = here.publish(REBALANCE)
            await here.recorded(*live)
            await here.until(lambda: "history may not be read" in (here.channel().trouble or ""))
        await asyncio.sleep(1)  # a rewind reaches back whole seconds
        missed = here.publish(REBALANCE)
        async with here.listening(wait=False):
            await here.recorded(*missed)
        assert here.ids() == live + missed

    play(scenario)


def test_a_wrong_key_is_told_and_does_not_hammer(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(here: Here) -> None:
        here.overrides["realtime_api_key"] = "sandbox.local:wrong-and-long-enough"
        async with here.listening(wait=False):
            await here.server.log.wait_for("connect_refused", 3)
            await here.until(lambda: here.channel().trouble)
            refused = here.server.log.count("connect_refused")
            await asyncio.sleep(1)
            assert here.server.log.count("connect_refused") - refused < 10

    play(scenario)
    assert "wrong-and-long-enough" not in capsys.readouterr().out


def test_being_deaf_is_on_record_and_in_the_log(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            await here.server.go_down()
            await here.until(lambda: "connection is" in (here.channel().trouble or ""))
            heard_until = here.channel().heard_until
            await asyncio.sleep(2 * QUICK.deaf_after)
            assert here.channel().heard_until == heard_until
            assert here.channel().attached_since is None or here.channel().trouble
            await here.server.come_up()
            await here.until(here.hears)
            await here.until(lambda: here.channel().heard_until > heard_until)

            await here.until(lambda: "hears_again" in heard(capsys))

    heard = Told()
    play(scenario)
    assert " deaf " in heard(capsys)


class Clock:
    """Seconds from a fault until the listener has recorded what was published right after it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def measure(self, here: Here, fault: Fault) -> None:
        fault(here.server)
        started = time.monotonic()
        await here.recorded(*here.publish(REBALANCE))
        self.seconds = time.monotonic() - started


@pytest.mark.parametrize(("name", "limit_s"), [("drop", 1.0), ("zombie", 5.0), ("fatal", 5.0)])
def test_recovery_with_the_timing_of_production(play: Play, name: str, limit_s: float) -> None:
    clock = Clock()

    async def scenario(here: Here) -> None:
        async with here.listening():
            await clock.measure(here, FAULTS[name])

    play(scenario, timing=Timing(health_every=0.1))
    print(f"recovery after {name}: {clock.seconds:.3f} s")
    assert clock.seconds < limit_s


def test_recovery_from_a_dead_connection_with_the_timing_of_production(play: Play) -> None:
    """The route is dead, but a new connection would work: what a freeze of one session is to a client."""
    clock = Clock()

    def silence(server: AblyServer) -> None:
        for session in server.sessions:
            session.pump.send = lambda _frame: None  # type: ignore[method-assign]

    async def scenario(here: Here) -> None:
        async with here.listening():
            await clock.measure(here, silence)

    play(scenario, timing=Timing(health_every=0.1))
    print(f"recovery after silence: {clock.seconds:.3f} s")
    assert clock.seconds < 15
