"""What there is to watch, read from the ledger at the moment of asking: no process keeps counters of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rebalancer.domain.trading_sessions import day_start, trading_day
from rebalancer.health import readiness, sources
from rebalancer.ledger import heartbeats, outbox
from rebalancer.ledger.heartbeats import ComponentView
from rebalancer.ledger.queries import event_search, portfolio, signals, trading_today
from rebalancer.ledger.session import Session
from rebalancer.ledger.sources import SourceState
from rebalancer.ledger.states import ACTIVE
from rebalancer.services import Services

OF_FILLS = (
    ("fills_today", "Executions.", "fills"),
    ("traded_today_usd", "What they amount to.", "traded"),
    ("commissions_today_usd", "What the broker took for them.", "commission"),
    ("slippage_today_usd", "What they cost more (+) or less than planned.", "slippage"),
)


def exposition(services: Services) -> bytes:
    """The Prometheus text format.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_LedgerCollector(services))
    return generate_latest(registry)


class _LedgerCollector(Collector):
    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing in advance: asking what there is would read the ledger once more."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every family, in one transaction."""
        with self._services.ledger.begin() as session:
            yield from _queue(session)
            yield from self._processes(session)
            yield _channels(session)
            yield from self._sources(session)
            yield _notifications(session)
            yield from self._accounts(session)
            yield from _today(session, day_start(trading_day(datetime.now(UTC))))
        yield _ready(self._services)

    def _sources(self, session: Session) -> Iterator[GaugeMetricFamily]:
        """Of tables in place of the allocations API, where there are any."""
        read = _gauge("source_read_timestamp_seconds", "When a strategy's table was read last.", "strategy")
        good = _gauge("source_good", "1 if the table is followed as it is now.", "strategy")
        rows = sources.listing(self._services.accounts(), self._services.settings.broker.trading_mode, session)
        for row in rows:
            if row.followed:
                good.add_metric([row.strategy], row.state is SourceState.GOOD)
                read.add_metric([row.strategy], row.read_at.timestamp() if row.read_at else 0)
        yield from (read, good) if rows else ()

    def _processes(self, session: Session) -> Iterator[GaugeMetricFamily]:
        seen = heartbeats.known(session)
        age = min((one.age_s for one in seen if one.name == heartbeats.BEAT), default=float("inf"))
        yield _value("dispatcher_age_seconds", "Since the dispatcher's last tick.", age)
        workers = [one for one in seen if one.name == heartbeats.WORKER and one.age_s <= heartbeats.WORKER_SILENT_S]
        yield _value("workers", "Worker processes at work.", len(workers))
        connected = sum(one.detail.get("gateway") == "connected" for one in workers)
        yield _value("workers_connected", "Of these, connected to the gateway.", connected)
        accounts = self._services.accounts()
        if accounts.gateways:
            names = accounts.gateways_of(self._services.settings.broker.trading_mode)
            yield from _of_gateways(names, workers)

    def _accounts(self, session: Session) -> Iterator[GaugeMetricFamily]:
        equity = _gauge("account_net_liquidation_usd", "Equity at the newest snapshot.", "account")
        drift = _gauge("account_drift_ratio", "Share of equity that would have to change hands, then.", "account")
        rebalanced = _gauge("account_last_rebalance_timestamp_seconds", "End of the last successful one.", "account")
        ids = [account.account_id for account in self._services.accounts()]
        for account_id, newest in portfolio.portfolios(session, ids).items():
            equity.add_metric([account_id], float(newest.net_liquidation))
            if newest.drift is not None:
                drift.add_metric([account_id], float(newest.drift))
        for account_id, runs in portfolio.runs(session, ids).items():
            if runs.last_rebalance_at is not None:
                rebalanced.add_metric([account_id], runs.last_rebalance_at.timestamp())
        yield from (equity, drift, rebalanced)


def _queue(session: Session) -> Iterator[GaugeMetricFamily]:
    detail = event_search.queue_detail(session)
    events = _gauge("events", "Active events.", "state")
    for state in ACTIVE:
        events.add_metric([state], detail.by_state.get(state, 0))
    yield events
    yield _value("events_needing_attention", "Active events that a person must see to.", detail.attention)
    yield _value("events_overdue_seconds", "How long the longest waiting due event has waited.", detail.overdue_s)
    yield _value("events_stranded", "Running events whose lease has run out.", detail.stranded)
    waiting = trading_today.waiting(session)
    yield _rows("events_waiting", "Events that wait, and the rule that makes them.", ("state", "rule"), waiting)


def _today(session: Session, since: datetime) -> Iterator[GaugeMetricFamily]:
    """Sums of the trading day: the ledger forgets old events, so that sums of all days would go back."""
    orders = trading_today.orders(session, since)
    yield _rows("orders_today", "Orders sent, by what became of them.", ("account", "side", "status"), orders)
    fills = trading_today.fills(session, since)
    for name, text, attribute in OF_FILLS:
        rows = [(one.account_id, one.side, getattr(one, attribute)) for one in fills]
        yield _rows(name, text, ("account", "side"), rows)
    attempts, text = trading_today.attempts(session, since), "Attempts that ended; failed and lost ones are repeated."
    yield _rows("attempts_today", text, ("account", "outcome"), attempts)
    took = trading_today.rebalance_seconds(session, since).items()
    yield _rows("rebalance_seconds_today", "How long rebalances took that succeeded.", ("quantile",), took)


def _of_gateways(names: Sequence[str], workers: Sequence[ComponentView]) -> Iterator[GaugeMetricFamily]:
    """What there is to say where there are several."""
    at_work = Counter(one.gateway for one in workers)
    connected = Counter(one.gateway for one in workers if one.detail.get("gateway") == "connected")
    for name, text, counted in (
        ("gateway_workers", "Worker processes at work, by gateway.", at_work),
        ("gateway_workers_connected", "Of these, connected to it.", connected),
    ):
        yield _rows(name, text, ("gateway",), [(gateway, counted[gateway]) for gateway in names])


def _channels(session: Session) -> GaugeMetricFamily:
    heard = _gauge("channel_heard_timestamp_seconds", "Until when nothing can have been missed.", "channel")
    for channel in signals.channels(session):
        heard.add_metric([channel.channel], channel.heard_until.timestamp())
    return heard


def _notifications(session: Session) -> GaugeMetricFamily:
    stuck = _gauge("notifications_stuck", "Facts that a target did not take so far.", "target")
    for one in outbox.stuck(session):
        stuck.add_metric([one.target], one.waiting)
    return stuck


def _ready(services: Services) -> GaugeMetricFamily:
    ready = _gauge("check_ok", "1 if the condition of GET /readyz holds.", "check")
    for check in readiness.check(services):
        ready.add_metric([check.name], check.ok)
    return ready


def _gauge(name: str, text: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"rebalancer_{name}", text, labels=[label])


def _rows(name: str, text: str, labels: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> GaugeMetricFamily:
    """A family with a sample for each row: its labels, then its value."""
    family = GaugeMetricFamily(f"rebalancer_{name}", text, labels=labels)
    for *of, value in rows:
        family.add_metric([str(one) for one in of], float(value))  # type: ignore[arg-type]
    return family


def _value(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"rebalancer_{name}", text, value=value)
