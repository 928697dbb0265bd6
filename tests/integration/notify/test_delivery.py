"""From the outbox to a real server: at once, grouped, once, and in spite of everything."""

from __future__ import annotations

import logging
import socket
import time
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from rebalancer.domain.notices import NoticeKind, Severity
from rebalancer.ledger import outbox
from rebalancer.ledger.models import DeliveryRow
from rebalancer.ledger.session import Ledger
from rebalancer.logs.setup import configure_logging
from rebalancer.notifier import preferences
from rebalancer.notifier.post import Post
from rebalancer.notify import sending
from rebalancer.notify.destinations import Target
from rebalancer.notify.letters import Letter
from rebalancer.notify.routing import route
from rebalancer.services import Services
from tests.integration.notify.conftest import ServicesWith, Start
from tests.integration.notify.ntfy import TOPIC, NtfyServer, serving_ntfy
from tests.world import until

ALICE, NAMELESS, TERSE = "DU1000001", "DU1000002", "DU1000003"


def tell_info(ledger: Ledger, account: str = ALICE, error: str = "gateway away") -> None:
    with ledger.begin() as session:
        outbox.tell(session, NoticeKind.FAILING, account, command="rebalance", error=error, failures=1)


def tell_error(ledger: Ledger, account: str = ALICE) -> None:
    with ledger.begin() as session:
        outbox.tell(session, NoticeKind.ATTENTION, account, command="rebalance", error="refused", failures=3)


def all_ended(ledger: Ledger, count: int) -> bool:
    with ledger.begin() as session:
        return session.scalar(text("SELECT count(*) FROM deliveries WHERE ended_at IS NOT NULL")) == count


def hurry(ledger: Ledger) -> None:
    """The pause before the next try is over."""
    with ledger.begin() as session:
        session.execute(update(DeliveryRow).values(due_at=text("now()"), lease_until=None))


def route_all(services: Services) -> None:
    with services.ledger.begin() as session:
        outbox.route_new(session, lambda notice: route(notice, preferences.routes(services)))


def a_post(services: Services) -> Post:
    return Post(services, services.settings.notifications.notify_targets[0])


def test_information_is_gathered_and_an_error_takes_it_along(
    services: ServicesWith, start: Start, ledger: Ledger, ntfy: NtfyServer
) -> None:
    start(services(notify_window_s=3600))
    tell_info(ledger)
    tell_info(ledger)
    tell_error(ledger)
    until(lambda: bool(ntfy.messages))
    [message] = ntfy.messages
    assert message["title"] == "Alice: needs attention, and 2 more"
    assert [line.split("  ")[1][:16] for line in message["message"].splitlines()] == [
        "rebalance failed",
        "rebalance failed",
        "rebalance needs ",
    ]


def test_information_is_told_when_its_window_ends(
    services: ServicesWith, start: Start, ledger: Ledger, ntfy: NtfyServer
) -> None:
    start(services(notify_window_s=1))
    tell_info(ledger)
    tell_info(ledger)
    tell_info(ledger, NAMELESS)
    until(lambda: all_ended(ledger, 3))
    assert sorted(ntfy.titles) == ["Alice: failed, tried again, and 1 more", "…0002: failed, tried again"]


def test_an_account_may_ask_for_errors_only(
    services: ServicesWith, start: Start, ledger: Ledger, ntfy: NtfyServer
) -> None:
    start(services(notify_window_s=0))
    tell_info(ledger, TERSE)
    tell_error(ledger, TERSE)
    until(lambda: all_ended(ledger, 1))
    assert ntfy.titles == ["…0003: needs attention"]


@pytest.mark.parametrize(
    ("status", "error"), [(500, "the service answered 500"), (403, "has no right to this topic"), (0, "no connection")]
)
def test_what_is_not_taken_is_tried_again(
    services: ServicesWith, ledger: Ledger, ntfy: NtfyServer, status: int, error: str
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, never listening: connections are refused
        away = ntfy.url.replace(str(ntfy.port), str(unused.getsockname()[1]))
        here = services(notify_urls=f"phone={ntfy.url if status else away}")
        ntfy.status = status
        tell_error(ledger)
        route_all(here)
        assert a_post(here).send_next()
        assert not a_post(here).send_next(), "the second try has to wait"
    with ledger.begin() as session:
        [stuck] = outbox.stuck(session)
    assert error in stuck.last_error
    assert stuck.waiting == 1
    ntfy.status = 200
    hurry(ledger)
    assert a_post(services()).send_next()
    assert ntfy.titles == ["Alice: needs attention"]
    with ledger.begin() as session:
        assert outbox.stuck(session) == []
        [told] = outbox.recent(session, 10)[0].tellings
    assert (told.state, told.tries, told.last_error) == ("sent", 2, None)


def test_one_letter_that_the_service_refuses_keeps_back_none_of_the_account(
    services: ServicesWith, ledger: Ledger, ntfy: NtfyServer
) -> None:
    here = services(notify_urls=f"phone={ntfy.url}")
    ntfy.refuses = "poison"
    with ledger.begin() as session:
        outbox.tell(session, NoticeKind.ATTENTION, ALICE, command="rebalance", error="poison", failures=3)
    for number in range(12):
        tell_info(ledger, error=f"error {number}")
    route_all(here)
    for _ in range(outbox.TRIES_TOGETHER):
        hurry(ledger)
        assert a_post(here).send_next()
    assert ntfy.messages == []
    tell_error(ledger)
    route_all(here)
    while a_post(here).send_next():
        pass
    told = str(ntfy.messages)
    assert all(f"error {number}" in told for number in range(12))
    assert "refused" in told
    with ledger.begin() as session:
        [stuck] = outbox.stuck(session)
    assert (stuck.waiting, stuck.last_error) == (1, "the service answered 400")


def test_what_failed_goes_out_as_soon_as_the_service_works_again(
    services: ServicesWith, ledger: Ledger, ntfy: NtfyServer
) -> None:
    here = services(notify_urls=f"phone={ntfy.url}")
    ntfy.status = 500
    tell_error(ledger)
    for number in range(3):
        tell_info(ledger, error=f"error {number}")
    route_all(here)
    for _ in range(3 * outbox.TRIES_TOGETHER):
        hurry(ledger)
        a_post(here).send_next()
    ntfy.status = 200
    tell_error(ledger)
    route_all(here)
    while a_post(here).send_next():
        pass
    assert len(ntfy.messages) == 5
    assert all_ended(ledger, 5)


def test_a_server_that_hangs_holds_nobody_up(
    services: ServicesWith, start: Start, ledger: Ledger, ntfy: NtfyServer
) -> None:
    """No transaction is open meanwhile, and the other target gets its message."""
    ntfy.frozen = True
    with serving_ntfy() as other:
        start(services(notify_urls=f"phone={ntfy.url}?rto=1, mail={other.url}"))
        tell_error(ledger)
        until(lambda: ntfy.requests == 1 and len(other.messages) == 1)
    with ledger.begin() as session:
        session.execute(text("SET LOCAL lock_timeout = '100ms'"))
        session.execute(text("SELECT * FROM deliveries FOR UPDATE"))
    until(lambda: bool(_last_errors(ledger)))
    assert _last_errors(ledger) == ["no connection to the service, or no answer in time"]
    ntfy.frozen = False
    hurry(ledger)
    until(lambda: len(ntfy.messages) == 1)


def _last_errors(ledger: Ledger) -> list[str]:
    with ledger.begin() as session:
        return list(session.scalars(text("SELECT last_error FROM deliveries WHERE last_error IS NOT NULL")))


def test_two_senders_send_each_message_once(
    services: ServicesWith, start: Start, ledger: Ledger, ntfy: NtfyServer
) -> None:
    for _ in range(3):
        start(services(notify_window_s=0))
    for number in range(30):
        tell_info(ledger, error=f"code {number + 100}")
    until(lambda: all_ended(ledger, 30))
    lines = [line for message in ntfy.messages for line in message["message"].splitlines()]
    assert [line[-8:] for line in lines] == [f"code {number + 100}" for number in range(30)]


def test_a_sender_that_dies_leaves_its_message_to_the_next(
    services: ServicesWith, ledger: Ledger, ntfy: NtfyServer
) -> None:
    here = services()
    tell_error(ledger)
    route_all(here)
    with ledger.begin() as session:
        assert outbox.claim(session, "phone", timedelta(milliseconds=1))
    until(lambda: a_post(here).send_next())
    assert len(ntfy.messages) == 1


def test_what_nobody_takes_for_days_is_given_up_and_said(
    services: ServicesWith, ledger: Ledger, ntfy: NtfyServer
) -> None:
    ntfy.status = 500
    here = services()
    tell_error(ledger)
    route_all(here)
    with ledger.begin() as session:
        session.execute(text("UPDATE notices SET at = now() - interval '4 days'"))
    assert a_post(here).send_next()
    with ledger.begin() as session:
        [told] = outbox.recent(session, 10)[0].tellings
    assert (told.state, told.last_error) == ("given up", "the service answered 500")


def test_no_log_line_holds_a_part_of_a_url(
    services: ServicesWith,
    ledger: Ledger,
    ntfy: NtfyServer,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    here = services(log_level="DEBUG")
    configure_logging(here.settings.logs, here.settings.secret_values())
    caplog.set_level(logging.DEBUG, "apprise")
    for status in (500, 200):
        ntfy.status = status
        tell_error(ledger)
        route_all(here)
        hurry(ledger)
        assert a_post(here).send_next()
    said = capfd.readouterr().err
    assert "notification_not_sent" in said
    assert "notification_sent" in said
    assert TOPIC not in said


def test_news_that_cannot_be_worded_is_told_as_such(services: ServicesWith, ledger: Ledger, ntfy: NtfyServer) -> None:
    here = services(notify_window_s=0)
    with ledger.begin() as session:
        outbox.tell(session, NoticeKind.FAILING, ALICE, words="of an older version")
    route_all(here)
    assert a_post(here).send_next()
    assert ntfy.titles == ["Rebalancer: look at your accounts"]


def test_a_server_that_hangs_is_left_after_a_while(ntfy: NtfyServer) -> None:
    ntfy.frozen = True
    letter = Letter("title", "body", Severity.ERROR, good=False)
    began = time.monotonic()
    patient = Target("phone", f"{ntfy.url}?rto=100")
    assert sending.send(patient, letter, 0.3) == "no answer within 0.3 s"
    assert time.monotonic() - began < 30


def test_whoever_stops_does_not_wait_for_a_server_that_hangs(
    services: ServicesWith, start: Start, ledger: Ledger, ntfy: NtfyServer
) -> None:
    ntfy.frozen = True
    notifier = start(services(notify_urls=f"phone={ntfy.url}?rto=100"))
    tell_error(ledger)
    until(lambda: ntfy.requests == 1)
    began = time.monotonic()
    notifier.stop()
    assert time.monotonic() - began < 15


def test_a_ledger_that_was_away_is_asked_again(
    services: ServicesWith, start: Start, ledger: Ledger, ntfy: NtfyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    here = services()
    here.ledger.url = "postgresql+psycopg2://postgres@127.0.0.1:1/x"
    start(here)
    said: list[str] = []
    until(lambda: "notifications_wait" in (said.append(capsys.readouterr().out) or "".join(said)))
    here.ledger.url = ledger.url
    tell_error(ledger)
    until(lambda: len(ntfy.messages) == 1)
