"""The threads that notify, inside beat's process: nothing that they wait for makes a tick wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from rebalancer.domain.errors import RecordUnavailable
from rebalancer.domain.gateways import of_gateway
from rebalancer.ledger import outbox
from rebalancer.notifier import logins, preferences
from rebalancer.notifier.logins import LoginStage
from rebalancer.notifier.post import Post
from rebalancer.notifier.watch import TradingWatch
from rebalancer.notify.destinations import Target
from rebalancer.notify.routing import route
from rebalancer.services import Services

log = structlog.get_logger()

GOODBYE_S = 2.0
NOBODY_ELSE = timedelta(minutes=10)
"""A process without targets leaves new facts to one that has some, if there is one."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds between two looks: into the outbox, where nobody calls, and at everything else."""

    outbox_s: float = 5.0
    watch_s: float = 5.0


class Notifier:
    """Routes, sends and watches until it is stopped; two of them share the work."""

    def __init__(self, services: Services, timing: Timing | None = None) -> None:
        self._services = services
        self._timing = timing or Timing()
        self._ended = threading.Event()
        self._wakes: list[threading.Event] = []
        self._at_outbox: list[threading.Event] = []
        self._threads: list[threading.Thread] = []
        self._logins = [watch for watch in logins.watches(services) if watch.has_work]
        self._leaves_to_others = timedelta() if services.settings.notifications.notify_targets else NOBODY_ELSE
        self.anything = outbox.anything(self._leaves_to_others)
        """The question whether there is something in the outbox: then this is to be called."""

    def start(self) -> None:
        """Begin, in threads of its own: one per target, so that none waits for another's server."""
        outbox_s = self._timing.outbox_s
        self._at_outbox.append(self._begin("notify-route", self._route_new, outbox_s))
        for target in self._services.settings.notifications.notify_targets:
            self._at_outbox.append(self._begin(f"notify-{target.name}", self._sender(target), outbox_s))
        for one in self._logins:
            name = "-".join(("notify-logins", *of_gateway(one.gateway).values()))
            self._begin(name, one.look, self._timing.watch_s)
        watch = TradingWatch(self._services)
        if watch.has_work:
            self._begin("notify-watch", watch.look, self._timing.watch_s)

    @property
    def logins(self) -> dict[str, LoginStage]:
        """How far the login of each gateway is, as its log says."""
        return {watch.gateway: watch.login for watch in self._logins if watch.login is not None}

    def call(self) -> None:
        """Look into the outbox now."""
        for wake in self._at_outbox:
            wake.set()

    def stop(self) -> None:
        """End; what is being sent at this moment is left to its lease."""
        self._ended.set()
        for wake in self._wakes:
            wake.set()
        for thread in self._threads:
            thread.join(GOODBYE_S)

    def _begin(self, name: str, look: Callable[[], None], every_s: float) -> threading.Event:
        """What wakes the thread before its time."""
        wake = threading.Event()
        self._wakes.append(wake)
        thread = threading.Thread(target=self._repeat, args=(name, look, every_s, wake), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return wake

    def _repeat(self, name: str, look: Callable[[], None], every_s: float, wake: threading.Event) -> None:
        while True:
            wake.clear()
            if self._ended.is_set():
                return
            try:
                look()
            except RecordUnavailable as error:
                log.warning("notifications_wait", thread=name, error=str(error).splitlines()[0])
            except Exception:  # the edge of a thread: told, and tried again
                log.exception("notifications_broken", thread=name)
            wake.wait(every_s)

    def _route_new(self) -> None:
        """Decide on what is new; what waits for targets that were taken out of the settings is given up in time."""
        if not self._services.ledger.finds(self.anything):
            return
        age = self._leaves_to_others
        routes = preferences.routes(self._services)
        patience = timedelta(days=self._services.settings.notifications.notify_keep_days)
        with self._services.ledger.begin() as session:
            new = outbox.route_new(session, lambda notice: route(notice, routes), age)
            dropped = outbox.drop_unknown(session, routes.targets, patience)
        if dropped:
            log.warning("notifications_dropped", count=dropped, because="their targets are no longer configured")
        if new:
            log.debug("notices_routed", count=new)

    def _sender(self, target: Target) -> Callable[[], None]:
        post = Post(self._services, target)

        def send_all() -> None:
            while not self._ended.is_set() and post.send_next():
                pass

        return send_all
