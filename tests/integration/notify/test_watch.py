"""Silence is noticed: readiness, the daily digest, the heartbeat."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text, update

from rebalancer.domain.notices import Notice, NoticeKind
from rebalancer.domain.periods import Period
from rebalancer.ledger import heartbeats, outbox
from rebalancer.ledger.models import Order
from rebalancer.ledger.queries.letters import account_letter
from rebalancer.ledger.session import Ledger
from rebalancer.notifier.digest import DailyDigest
from rebalancer.notifier.watch import TradingWatch
from tests.integration.ledger.test_costs import traded
from tests.integration.notify.conftest import ServicesWith, Start
from tests.integration.notify.ntfy import PING, NtfyServer
from tests.ledger_rows import add_failing, add_traded, add_waiting
from tests.world import until

EVENING = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)
"""17:30 in New York."""


def all_well(ledger: Ledger) -> None:
    with ledger.begin() as session:
        heartbeats.started(session, "beat", "b", {})
        heartbeats.started(session, "worker", "w", {"gateway": "connected", "trouble": None})


def gateway_away(ledger: Ledger) -> None:
    with ledger.begin() as session:
        heartbeats.seen(session, "worker", "w", {"gateway": "away", "trouble": None})


def notices(ledger: Ledger) -> list[Notice]:
    with ledger.begin() as session:
        return [one.notice for one in outbox.recent(session, 100)][::-1]


def kinds(ledger: Ledger) -> list[NoticeKind]:
    return [notice.kind for notice in notices(ledger)]


def test_trouble_and_its_end_are_told_once_each_by_however_many_watches(services: ServicesWith, ledger: Ledger) -> None:
    all_well(ledger)
    one, other = (TradingWatch(services(notify_trouble_after_s=0)) for _ in range(2))
    one.look()
    assert kinds(ledger) == []
    gateway_away(ledger)
    for watch in (one, other, one):
        watch.look()
    assert kinds(ledger) == [NoticeKind.TROUBLE]
    assert notices(ledger)[0].detail["problems"] == ["gateway: 0 of 1 worker processes are connected"]
    all_well(ledger)
    restarted = TradingWatch(services(notify_trouble_after_s=0))
    for watch in (restarted, one, other):
        watch.look()
    assert kinds(ledger) == [NoticeKind.TROUBLE, NoticeKind.WELL]


def test_a_short_trouble_is_not_told(services: ServicesWith, ledger: Ledger) -> None:
    watch = TradingWatch(services(notify_trouble_after_s=3600))
    watch.look()
    all_well(ledger)
    watch.look()
    assert kinds(ledger) == []


def test_a_wrong_accounts_file_is_trouble(services: ServicesWith, ledger: Ledger) -> None:
    here = services(notify_trouble_after_s=0, realtime_api_key="key.id:secret-of-the-key")
    here.settings.files.accounts_file.write_text("accounts: 5\n")
    TradingWatch(here).look()
    assert "needs the key accounts" in notices(ledger)[0].detail["problems"][0]


def test_a_ledger_that_is_away_is_told_directly_once_and_its_return_too(
    services: ServicesWith, ledger: Ledger, ntfy: NtfyServer
) -> None:
    all_well(ledger)
    here = services(notify_trouble_after_s=0)
    watch = TradingWatch(here)
    watch.look()
    here.ledger.url = "postgresql+psycopg2://postgres@127.0.0.1:1/x"
    watch.look()
    watch.look()
    assert ntfy.titles == ["Rebalancer: cannot trade now"]
    assert "database" in ntfy.messages[0]["message"]
    here.ledger.url = ledger.url
    watch.look()
    watch.look()
    assert kinds(ledger) == [NoticeKind.WELL]


def test_the_heart_beats_only_while_all_is_well(services: ServicesWith, ledger: Ledger, ntfy: NtfyServer) -> None:
    watch = TradingWatch(services(heartbeat_url=ntfy.ping_url, heartbeat_minutes=0.01))
    watch.look()
    assert ntfy.pings == 0
    all_well(ledger)
    watch.look()
    watch.look()
    assert ntfy.pings == 1, "not more often than asked for"
    until(lambda: watch.look() or ntfy.pings == 2)
    gateway_away(ledger)
    until_now = ntfy.pings
    watch.look()
    assert ntfy.pings == until_now


def test_a_heartbeat_that_is_not_heard_is_logged_without_its_url(
    services: ServicesWith, ledger: Ledger, ntfy: NtfyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    all_well(ledger)
    ntfy.status = 404
    TradingWatch(services(heartbeat_url=ntfy.ping_url)).look()
    TradingWatch(services(heartbeat_url=f"http://127.0.0.1:1/{PING}")).look()
    said = capsys.readouterr().out
    assert "status=404" in said
    assert "ConnectError" in said
    assert PING not in said


def test_the_digest_is_written_once_a_day_whoever_restarts(services: ServicesWith, ledger: Ledger) -> None:
    here = services(notify_digest_at="17:00")
    for _ in range(2):
        DailyDigest(here).write([], EVENING)
    assert [(one.kind, one.account_id) for one in notices(ledger)] == [
        (NoticeKind.DIGEST, account) for account in (None, "DU1000001", "DU1000002", "DU1000003")
    ]
    DailyDigest(here).write([], EVENING.replace(day=3, hour=10))
    assert len(notices(ledger)) == 4
    DailyDigest(here).write([], EVENING.replace(day=3))
    assert len(notices(ledger)) == 8


@pytest.mark.parametrize("amounts", [False, True])
def test_a_digest_is_one_message_about_all_accounts(
    services: ServicesWith, start: Start, ledger: Ledger, ntfy: NtfyServer, amounts: bool
) -> None:
    with ledger.begin() as session:
        add_traded(session, at=EVENING.replace(hour=17))
        session.execute(
            text("UPDATE events SET needs_attention = true WHERE id = :id"), {"id": add_failing(session, "DU1000002")}
        )
        add_waiting(session, "DU1000003")
    here = services(notify_digest_at="17:00", notify_amounts=amounts)
    DailyDigest(here).write([], EVENING)
    start(services(notify_amounts=amounts))
    until(lambda: bool(ntfy.messages))
    [message] = ntfy.messages
    assert message["title"] == "Daily digest: something waits for you"
    ready, alice, failing, waiting = message["message"].splitlines()
    assert ready == "Ready: signals can be traded."
    if amounts:
        assert alice == (
            "Alice: equity 100,000.00 USD, drift 20.0%, last run Mar 2 12:30 EST, "
            "1 order today, 2 fills, 19,401.94 USD, commissions 1.00 USD"
        )
    else:
        assert alice == (
            "Alice: drift 20.0%, last run Mar 2 12:30 EST, 1 order today, 2 fills, 19.4% of equity, commissions 0.001%"
        )
    assert "NEEDS YOU: 1 failing event" in failing
    assert "WAITS FOR YOU: 1 plan" in waiting
    assert "DU10000" not in message["message"]


@pytest.mark.parametrize("quality", [False, True])
def test_what_the_day_cost_is_in_the_digest_of_who_wants_it(
    services: ServicesWith, ledger: Ledger, quality: bool
) -> None:
    with ledger.begin() as session:
        traded(session, at=EVENING.replace(hour=17))
        traded(session, at=EVENING.replace(day=1))
    DailyDigest(services(notify_digest_at="17:00", execution_quality=quality)).write([], EVENING)
    _, ann, ben, _ = (one.detail for one in notices(ledger))
    assert ("costs" in ann, "costs" in ben) == (quality, False)
    if quality:
        assert (ann["costs"]["orders"], Decimal(ann["costs"]["cost"])) == (2, Decimal("11.40"))


def test_a_style_that_the_broker_refuses_is_in_the_digest_and_the_letter(
    services: ServicesWith, ledger: Ledger
) -> None:
    """Its orders went all the same, by ORDER_TYPE: nobody would look there."""
    with ledger.begin() as session:
        traded(session, at=EVENING.replace(hour=17))
        refused = {"style": "market", "style_instead_of": "midprice"}
        why = {"MSFT": "the broker refuses midprice: 387: Unsupported order type", "SPY": "midprice by account, but no"}
        for symbol, words in why.items():
            session.execute(update(Order).where(Order.symbol == symbol).values(**refused, style_why=words))
    DailyDigest(services(notify_digest_at="17:00")).write([], EVENING)
    _, ann, ben, _ = (one.detail for one in notices(ledger))
    assert (ann["styles_refused"], "styles_refused" in ben) == (["midprice"], False)
    with ledger.begin() as session:
        letter = account_letter(session, "DU1000001", Period.named(f"{EVENING:%Y-%m}"))
    assert letter is not None
    assert letter["styles_refused"] == ["midprice"]


def test_a_quiet_day_is_told_too(services: ServicesWith, start: Start, ntfy: NtfyServer) -> None:
    DailyDigest(services(notify_digest_at="17:00")).write([], EVENING)
    start(services(notify_severity="error"))  # which writes none of its own, whatever the time of day
    until(lambda: bool(ntfy.messages))
    assert ntfy.titles == ["Daily digest: all quiet"]
