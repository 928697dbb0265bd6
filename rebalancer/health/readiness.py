"""Can a signal be traded now? Every reason why not, from what the processes put on record."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import redis

from rebalancer.config.store_settings import StoreSettings
from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.domain.gateway_login import LoginStep
from rebalancer.ledger import automatic_halts, gateways, heartbeats, installations
from rebalancer.ledger.heartbeats import BEAT, BEAT_SILENT_S, WORKER, WORKER_SILENT_S, ComponentView
from rebalancer.ledger.holds import stranded
from rebalancer.ledger.queries import signals
from rebalancer.ledger.queries.signals import ChannelView
from rebalancer.ledger.session import Session
from rebalancer.queueing.redis_client import redis_client
from rebalancer.services import Services

DEAF_AFTER = timedelta(seconds=60)
"""The listener proves every 10 s that it hears."""
CLOCK_SKEW_S = 5.0
_LOGIN = {
    LoginStep.ASKED: "its login waits for the second factor: approve it in IBKR Mobile",
    LoginStep.MISSED: "nobody gave the second factor for its login: approve it when it asks again, or start it anew",
    LoginStep.REFUSED: "IBKR refuses its login: look at its screen",
}
_ENDS = "IBKR takes no login of this gateway's build from {} on: raise it before, see docs/deployment.md"


@dataclass(frozen=True, slots=True)
class Check:
    """One condition; ``detail`` says what is seen, and what to do if it does not hold.

    Attributes:
        warning: it holds, and a person should know all the same.
    """

    name: str
    ok: bool
    detail: str
    warning: bool = False


def check(services: Services) -> tuple[Check, ...]:
    """All conditions, in the order in which a person would repair them."""
    try:
        with services.ledger.begin() as session:
            return check_within(services, session)
    except RecordUnavailable as error:
        first_line = str(error).splitlines()[0]
        away = Check("database", False, f"PostgreSQL cannot be used, see DATABASE_URL: {first_line}")
        return (away, _redis_check(services))


def check_within(services: Services, session: Session) -> tuple[Check, ...]:
    """The same for who reads the ledger anyway.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    seen = heartbeats.known(session)
    return (
        Check("database", True, "answers"),
        _clock(heartbeats.now(session)),
        _dispatcher(seen),
        *(check for gateway in _gateways(services) for check in _workers(session, seen, gateway)),
        hearing(services, session),
        alone(session),
        founded(session),
        _redis_check(services),
    )


def _clock(there: datetime) -> Check:
    skew_s = abs((datetime.now(UTC) - there).total_seconds())
    remedy = "" if skew_s < CLOCK_SKEW_S else "; synchronise both, for example with chrony"
    return Check("clock", skew_s < CLOCK_SKEW_S, f"differs from PostgreSQL's by {skew_s:.1f} s{remedy}")


def _dispatcher(seen: Sequence[ComponentView]) -> Check:
    newest = next((one for one in seen if one.name == BEAT), None)
    if newest is None or newest.age_s > BEAT_SILENT_S:
        return Check("dispatcher", False, f"{_last_seen(newest)}; start `celery -A tasks beat`")
    if idle := heartbeats.idle_parts(newest.detail):
        return Check("dispatcher", False, "; ".join(idle))
    return Check("dispatcher", True, f"last tick {newest.age_s:.0f} s ago")


@dataclass(frozen=True, slots=True)
class _Gateway:
    """One whose accounts are traded.

    Attributes:
        of: what its checks are called by, where there are several.
    """

    name: str
    of: str


def _gateways(services: Services) -> Iterator[_Gateway]:
    """Those that have to work, in the order in which they are told."""
    accounts = services.accounts()
    for name in accounts.gateways_of(services.settings.broker.trading_mode):
        yield _Gateway(name, f" of {name}" if accounts.gateways else "")


def _workers(session: Session, seen: Sequence[ComponentView], gateway: _Gateway) -> tuple[Check, Check]:
    worker, login = f"worker{gateway.of}", f"gateway{gateway.of}"
    of_it = [one for one in seen if one.name == WORKER and one.gateway == gateway.name]
    alive = [one for one in of_it if one.age_s <= WORKER_SILENT_S]
    ends_on = gateways.end_of_life(session, gateway.name)
    if not alive:
        newest = next(iter(of_it), None)
        setting = (
            "" if gateway.name == MAIN_GATEWAY else f" with WORKER_GATEWAY={gateway.name}, or `rebalancer up` anew"
        )
        absent = Check(worker, False, f"{_last_seen(newest)}; start `celery -A tasks worker`{setting}")
        return absent, Check(login, False, _login(seen, gateway.name) or "unknown without a worker")
    connected = [one for one in alive if one.detail.get("gateway") == "connected"]
    trouble = next((one.detail.get("trouble") for one in alive if one.detail.get("trouble")), None)
    text = f"{len(connected)} of {len(alive)} worker processes are connected"
    reason = trouble if connected else _login(seen, gateway.name) or trouble
    told = f"{text}: {reason}" if reason else text
    told = f"{told}; {_ENDS.format(ends_on)}" if ends_on else told
    good = bool(connected) and not trouble
    return Check(worker, True, f"{len(alive)} processes are at work"), Check(login, good, told)


def _login(seen: Sequence[ComponentView], gateway: str) -> str | None:
    """What the gateway's login waits for; nothing where no log is followed."""
    said: Mapping[str, Any] = next(
        (one.detail[heartbeats.LOGINS] for one in seen if heartbeats.LOGINS in one.detail), {}
    )
    login = said.get(gateway)
    if login is None or login["step"] not in _LOGIN:
        return None
    return f"{_LOGIN[login['step']]} (since {datetime.fromisoformat(login['since']):%Y-%m-%d %H:%M:%S} UTC)"


def hearing(services: Services, session: Session) -> Check:
    """Whether the listener hears every channel that an account follows."""
    settings = services.settings
    wanted = services.accounts().channels(settings.broker.trading_mode)
    if not settings.signals.expects_listener:
        return Check("signals", True, "nobody listens: REALTIME_API_KEY is not set")
    known = {channel.channel: channel for channel in signals.channels(session)}
    now = heartbeats.now(session)
    problems = [problem for name in wanted if (problem := _deafness(name, known.get(name), now))]
    return Check("signals", not problems, "; ".join(problems) or f"{len(wanted)} channels are heard")


def alone(session: Session) -> Check:
    """Whether no account is held because another installation trades it."""
    seen = (automatic_halts.others_at_work(*one) for one in installations.unaccepted(session).items())
    problems = "; ".join(dict.fromkeys((*seen, *installations.held(session))))
    return Check("installation", not problems, problems or "no other one was seen")


def founded(session: Session) -> Check:
    """Whether everything that waits has something to wait for; what has not, beat frees within seconds."""
    waiting = [f"{one.command} of {one.account_id} ({one.event_id})" for one in stranded(session)]
    remedy = "nothing holds them, and beat has not freed them: see its log"
    detail = f"{', '.join(waiting)}: {remedy}" if waiting else "everything that waits has a reason to"
    return Check("waiting", not waiting, detail)


def _deafness(name: str, channel: ChannelView | None, now: datetime) -> str | None:
    if channel is None:
        return f"{name} was never listened to; start the listener"
    if channel.heard_until < now - DEAF_AFTER:
        why = channel.trouble or "the listener is silent"
        return f"{name} was last heard {channel.heard_until:%Y-%m-%d %H:%M:%S} UTC: {why}"
    return None


def _redis_check(services: Services) -> Check:
    client = _redis(services.settings.stores, os.getpid())
    try:
        try:
            client.ping()
        except redis.ConnectionError:  # perhaps only the connection kept from an earlier check has died
            client.ping()
    except redis.RedisError as error:
        return Check("redis", False, f"Redis cannot be used, see REDIS_URL: {error}")
    return Check("redis", True, "answers")


@lru_cache(maxsize=4)
def _redis(settings: StoreSettings, pid: int) -> redis.Redis:
    """One client per process, since a connection takes longer than all the questions."""
    del pid
    return redis_client(settings)


def _last_seen(newest: ComponentView | None) -> str:
    return "was never seen" if newest is None else f"was last seen {newest.age_s:.0f} s ago"
