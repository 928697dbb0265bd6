"""Links in messages that decide on one plan: what they open, for how long, and what they never open."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text, update

from api.app import create_app
from rebalancer.config.settings import Settings
from rebalancer.domain.notices import Notice, NoticeKind
from rebalancer.ledger import audit_log, credentials
from rebalancer.ledger.models import ApprovalRow, Event
from rebalancer.ledger.session import Ledger
from rebalancer.notifier import preferences
from rebalancer.notify.wording import describe
from rebalancer.operations import decision_links
from rebalancer.services import Services
from tests.ledger_rows import PLAN, add_waiting
from tests.serving import serving

PAGE = "https://desk.example.org"


@pytest.fixture
def linked(app_settings: Settings) -> Settings:
    return app_settings.changed(notify_approval_links=PAGE)


@pytest.fixture
def phone(linked: Settings) -> Iterator[httpx.Client]:
    """A browser that knows nothing but what a message says."""
    with serving(create_app(linked)) as client:
        yield client


def waiting(ledger: Ledger, account_id: str = "DU1000001") -> tuple[UUID, int]:
    """An event that is held, and the id of its plan."""
    with ledger.begin() as session:
        event_id = add_waiting(session, account_id)
        session.flush()
        plan = update(ApprovalRow).where(ApprovalRow.event_id == event_id).values(plan=PLAN)
        return event_id, session.scalars(plan.returning(ApprovalRow.id)).one()


def link(ledger: Ledger, approval_id: int, lasts: timedelta = timedelta(hours=1)) -> str:
    with ledger.begin() as session:
        return credentials.make_decision_link(session, approval_id, "phone", datetime.now(UTC) + lasts)


def state_of(ledger: Ledger, event_id: UUID) -> tuple[str, str, str | None]:
    """Of the event and of its plan, and who decided."""
    with ledger.begin() as session:
        asked = session.scalars(select(ApprovalRow).where(ApprovalRow.event_id == event_id)).one()
        return session.get_one(Event, event_id).state, asked.state, asked.decided_by


def decide(phone: httpx.Client, token: str, decision: str = "approve") -> httpx.Response:
    return phone.post("/decisions", json={"link": token, "decision": decision})


def test_a_link_shows_its_plan_without_the_accounts_id(phone: httpx.Client, ledger: Ledger) -> None:
    _, approval_id = waiting(ledger)
    token = link(ledger, approval_id)
    for _ in range(2):  # looking uses nothing up: previews of messages look too
        shown: dict[str, Any] = phone.post("/decisions/look", json={"link": token}).json()
        assert (shown["account"], shown["waits"], shown["live"]) == ("…0001", True, False)
    (order,) = shown["orders"]
    assert (order["side"], order["symbol"], order["shares"]) == ("BUY", "SPY", 194)
    assert (order["price"], order["amount"]) == (100.0, 19400.0)
    assert (order["before"], order["after"]) == (0.40404, 0.6)
    assert (shown["bought"], shown["sold"], shown["fees"]) == (19400.0, 0.0, 1.0)
    assert "DU1000001" not in str(shown)


@pytest.mark.parametrize(
    ("decision", "states"), [("approve", ("queued", "approved")), ("reject", ("removed", "rejected"))]
)
def test_it_decides_once_and_that_is_on_record(
    phone: httpx.Client, ledger: Ledger, decision: str, states: tuple[str, str]
) -> None:
    event_id, approval_id = waiting(ledger)
    token = link(ledger, approval_id)
    assert decide(phone, token, decision).is_success
    assert state_of(ledger, event_id) == (*states, "link sent to phone")
    for other in ("approve", "reject"):
        assert decide(phone, token, other).status_code == 401
    assert phone.post("/decisions/look", json={"link": token}).status_code == 401
    with ledger.begin() as session:
        (entry,) = audit_log.recent(session, 10)
    assert (entry.actor, entry.action, entry.subject) == ("link sent to phone", decision, str(event_id))
    assert (entry.address, entry.detail) == ("127.0.0.1", {"approval": approval_id})


def test_of_two_who_use_it_at_once_one_decides(phone: httpx.Client, ledger: Ledger) -> None:
    event_id, approval_id = waiting(ledger)
    token = link(ledger, approval_id)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda decision: decide(phone, token, decision), ["approve", "reject"] * 2))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
    assert state_of(ledger, event_id)[1] in ("approved", "rejected")


def test_it_decides_on_its_own_plan_alone(phone: httpx.Client, ledger: Ledger) -> None:
    """The plan that was told of was replaced: nobody has seen the one that waits now."""
    event_id, approval_id = waiting(ledger)
    token = link(ledger, approval_id)
    with ledger.begin() as session:
        session.execute(update(ApprovalRow).values(state="replaced"))
        session.add(
            ApprovalRow(
                event_id=event_id,
                account_id="DU1000001",
                attempt=1,
                state="pending",
                plan=PLAN,
                reasons=[],
                orders={},
                expires_at=datetime.now(UTC) + timedelta(hours=1),
            )
        )
    assert phone.post("/decisions/look", json={"link": token}).json()["waits"] is False
    refused = decide(phone, token)
    assert (refused.status_code, "waits no more" in refused.text) == (422, True)
    with ledger.begin() as session:
        assert session.get_one(Event, event_id).state == "held"
        assert sorted(session.scalars(select(ApprovalRow.state))) == ["pending", "replaced"]


@pytest.mark.parametrize("token", ["", "rbd_" + "x" * 43, "x" * 200])
def test_what_is_no_link_opens_nothing(phone: httpx.Client, token: str) -> None:
    assert decide(phone, token).status_code in (401, 422)


def test_an_expired_link_opens_nothing(phone: httpx.Client, ledger: Ledger) -> None:
    event_id, approval_id = waiting(ledger)
    assert decide(phone, link(ledger, approval_id, timedelta(seconds=-1))).status_code == 401
    assert state_of(ledger, event_id)[0] == "held"


def test_it_opens_neither_a_session_nor_anything_else(phone: httpx.Client, ledger: Ledger) -> None:
    _, approval_id = waiting(ledger)
    token = link(ledger, approval_id)
    assert phone.post("/session", json={"link": token}).status_code == 401
    assert phone.post("/session", json={"key": token}).status_code == 401
    assert phone.get("/accounts", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    with ledger.begin() as session:
        signs_in = credentials.make_link(session, (), "owner", timedelta(minutes=5))
    assert decide(phone, signs_in).status_code == 401


def test_guessing_is_limited(linked: Settings) -> None:
    with serving(create_app(linked.changed(api_wrong_keys_per_minute=3))) as phone:
        codes = [decide(phone, f"rbd_{number}").status_code for number in range(5)]
    assert codes == [401, 401, 401, 429, 429]


def test_they_are_off_by_default(stranger: httpx.Client, app_settings: Settings, ledger: Ledger) -> None:
    event_id, approval_id = waiting(ledger)
    assert decide(stranger, link(ledger, approval_id)).status_code == 404
    assert state_of(ledger, event_id)[0] == "held"
    until = datetime.now(UTC) + timedelta(hours=1)
    assert decision_links.make(Services.of(app_settings), approval_id, "phone", until) is None


@pytest.mark.parametrize("address", ["http://desk.example.org", "desk.example.org", "https://desk.example.org/?x=1"])
def test_no_link_leaves_in_clear_text(app_settings: Settings, address: str) -> None:
    with pytest.raises(ValueError, match="notify_approval_links"):
        app_settings.changed(notify_approval_links=address)


def test_a_message_has_one_link_which_lasts_no_longer_than_the_question(linked: Settings, ledger: Ledger) -> None:
    event_id, approval_id = waiting(ledger)
    until = datetime.now(UTC) + timedelta(hours=2)
    detail = {"approval": approval_id, "reasons": ["large"], "orders": 1, "turnover": "0.2", "silent_at": None}
    notice = Notice(
        id=1,
        kind=NoticeKind.APPROVAL,
        account_id="DU1000001",
        event_id=event_id,
        at=datetime.now(UTC),
        detail=detail | {"expires_at": until.isoformat()},
    )
    style = preferences.style(Services.of(linked), "phone")
    told = describe(notice, style).text
    assert told == describe(notice, style).text  # a letter asks for the headline and for the text
    token = told.partition(f"{PAGE}/decide#")[2].split()[0]
    with ledger.begin() as session:
        known = credentials.decision_link(session, token)
        assert known is not None
        assert (known.approval_id, known.target) == (approval_id, "phone")
        ends = session.execute(text("SELECT expires_at FROM credentials")).scalars().all()
    assert [round((end - until).total_seconds()) for end in ends] == [0]
    assert "rebalancer approve" in describe(notice, preferences.style(Services.of(linked))).text
