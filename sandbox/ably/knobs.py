"""The faults that a test or a demonstration can provoke in the protocol; those of the network are in `server`."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.ably.auth import Capability
from sandbox.ably.clock import Clock
from sandbox.ably.errors import AblyError
from sandbox.ably.event_log import EventLog
from sandbox.ably.faults import HttpFault, Surface
from sandbox.ably.hub import Published
from sandbox.ably.realtime import Realtime
from sandbox.ably.session import Services, Session
from sandbox.ably.store import Store
from sandbox.ably.wire import Action, Frame


class Knobs:
    """Faults on demand. A channel or connection of None means all of them, or whichever comes first.

    Attributes:
        log: what happened; tests wait on it instead of sleeping.
    """

    def __init__(self, services: Services, store: Store, realtime: Realtime, clock: Clock) -> None:
        self.log: EventLog = services.log
        self._services = services
        self._store = store
        self._realtime = realtime
        self._clock = clock

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The clients that are connected, oldest first."""
        return tuple(self._realtime.sessions)

    def publish_raw(self, channel: str, items: Sequence[Frame]) -> Published:
        """Publish wire messages unchecked, as one batch: bad encodings, oversized payloads, any timestamp."""
        return self._services.hub.publish(channel, items)

    def gap(self, channel: str | None = None, publishes: int = 1) -> None:
        """The next publishes reach history but no subscriber, and break the channel's continuity; 0 ends it."""
        self._fault("gap", channel=channel, publishes=publishes)
        self._services.faults.gaps.arm(channel, publishes)

    def refuse_resume(self, times: int = 1) -> None:
        """The next reconnects get a new connection, with error 80008. Their channels may still continue."""
        self._fault("refuse_resume", times=times)
        self._services.faults.refused_resumes.arm(None, times)

    def refuse_continuity(self, channel: str | None = None, times: int = 1) -> None:
        """The next attaches are answered without RESUMED and with error 90003."""
        self._fault("refuse_continuity", channel=channel, times=times)
        self._services.faults.refused_attaches.arm(channel, times)

    def replay_after_loss(self, *, enabled: bool = True) -> None:
        """From now on an attachment that cannot continue starts at the oldest message held instead of the newest."""
        self._fault("replay_after_loss", enabled=enabled)
        self._services.faults.replay_after_loss = enabled

    def swallow_attach(self, channel: str | None = None, times: int = 1) -> None:
        """The next ATTACH frames stay without an answer."""
        self._fault("swallow_attach", channel=channel, times=times)
        self._services.faults.swallowed_attaches.arm(channel, times)

    def http_status(
        self,
        status: int,
        times: int = 1,
        *,
        code: int | None = None,
        surface: Surface = "rest",
        path_contains: str = "",
    ) -> None:
        """The next requests are answered with this status; the error code is a hundred times it by default."""
        self._fault("http_status", status=status, times=times, surface=surface, path_contains=path_contains)
        self._services.faults.http.append(HttpFault(status, code or status * 100, times, surface, path_contains))

    def zombie(self, status: int | None = None, connection: str | None = None) -> None:
        """DISCONNECTED without an error, or with a 5xx one: the SDK closes its socket and goes on saying connected."""
        self._fault("zombie", status=status)
        error = {"error": AblyError(status * 100, status, "going away").as_dict()} if status else {}
        for session in self._chosen(connection):
            session.retire({"action": Action.DISCONNECTED, **error})

    def fatal(self, code: int = 80000, status: int = 400, connection: str | None = None) -> None:
        """A connection ERROR: the SDK goes to failed and stays there."""
        self._fault("fatal", code=code)
        for session in self._chosen(connection):
            session.finish({"action": Action.ERROR, "error": AblyError(code, status, "fatal").as_dict()})

    def discontinuity(self, channel: str, connection: str | None = None) -> None:
        """An ATTACHED without RESUMED while attached: the SDK emits "update"."""
        self._fault("discontinuity", channel=channel)
        self._store.break_series(channel)
        for session in self._chosen(connection):
            session.announce_discontinuity(channel)

    def duplicate(self, channel: str, message_id: str | None = None) -> None:
        """Deliver a batch again: the one with that message, or the channel's newest.

        Raises:
            AblyError: there is no such message.
        """
        self._fault("duplicate", channel=channel, id=message_id)
        newest, store = message_id is None, self._store
        batch = store.newest_batch(channel) if newest else store.batch_of(channel, str(message_id), since_ms=0)
        if batch is None:
            raise AblyError(40400, 404, f"no such message on {channel}: {message_id or 'it is empty'}")
        self._services.hub.fan_out(batch)

    def send_frame(self, frame: Frame, connection: str | None = None) -> None:
        """Send anything."""
        self._fault("send_frame", action=frame.get("action"))
        for session in self._chosen(connection):
            session.pump.send(frame)

    def expire_tokens(self) -> None:
        """Every token issued so far is spent; clients that hold one are sent DISCONNECTED 40142."""
        self._fault("expire_tokens")
        self._services.auth.expire_issued()
        for session in self.sessions:
            if session.identity.has_token:
                session.expire_token()

    def set_capability(self, capability: Capability) -> None:
        """What the key may do from now on, for example ``{"*": ["subscribe"]}`` for a key without history."""
        self._fault("set_capability", capability=dict(capability))
        self._services.auth.capability = capability

    def advance_clock(self, seconds: float) -> None:
        """Age messages, lost connections and remembered ids; tokens and the time call keep to the real time."""
        self._fault("advance_clock", seconds=seconds)
        self._clock.advance(seconds)

    def _chosen(self, connection: str | None) -> list[Session]:
        chosen = [each for each in self.sessions if connection in (None, each.connection.id)]
        if connection is not None and not chosen:
            raise AblyError(40400, 404, f"no such connection: {connection}")
        return chosen

    def _fault(self, name: str, **fields: object) -> None:
        self.log.record("fault", fault=name, **fields)
