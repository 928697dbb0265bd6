"""Keys with scopes, one-time links, and sessions of browsers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import text

from api.app import create_app
from api.keys import fingerprint
from rebalancer.config.settings import Settings
from rebalancer.domain.scopes import EVERYTHING, Scope
from rebalancer.ledger import credentials
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER, KEY
from tests.ledger_rows import add_waiting
from tests.serving import serving

REBALANCE = {"account_id": "DU1000001", "exec_command": "rebalance"}
EVENT = "7d1c9b5e-0d3f-4d0e-9a55-0f6f5b3f2a11"
NEEDED = [
    ("POST", "/rebalance/DU1000001?wait_s=0", None, Scope.TRADE),
    ("POST", "/queue/events", REBALANCE, Scope.TRADE),
    ("POST", "/queue/events", REBALANCE | {"exec_command": "cancel-orders"}, Scope.TRADE),
    ("DELETE", "/halts/all", None, Scope.TRADE),
    ("POST", f"/queue/events/{EVENT}/retry", None, Scope.TRADE),
    ("POST", "/schedules", {"account_id": "DU1000001"}, Scope.TRADE),
    ("POST", f"/approvals/{EVENT}/approve", None, Scope.APPROVE),
    ("POST", f"/approvals/{EVENT}/reject", None, Scope.APPROVE),
    ("POST", "/strategy-holds/1/release", None, Scope.APPROVE),
    ("POST", "/strategy-holds/1/withdraw", None, Scope.APPROVE),
    ("POST", "/cash-plans", {"account_id": "DU1000001", "amount": 1, "by": "2199-12-30"}, Scope.TRADE),
    ("DELETE", "/cash-plans/1", None, Scope.TRADE),
    ("POST", "/sources/mine/accept", None, Scope.TRADE),
    ("POST", "/rebalance/DU1000001/dry-run?wait_s=0", None, Scope.OPERATE),
    ("POST", "/queue/events", REBALANCE | {"exec_command": "print-equity"}, Scope.OPERATE),
    ("POST", "/schedules", {"account_id": "DU1000001", "command": "print-rebalance"}, Scope.OPERATE),
    ("POST", "/halts", {}, Scope.OPERATE),
    ("DELETE", "/schedules/1", None, Scope.OPERATE),
    ("PUT", "/schedules/1", {"account_id": "DU1000001", "command": "print-rebalance"}, Scope.OPERATE),
    ("DELETE", f"/queue/events/{EVENT}", None, Scope.OPERATE),
    ("DELETE", "/queue/events", None, Scope.OPERATE),
    ("GET", "/accounts/DU1000001/value?fresh=true&wait_s=0", None, Scope.OPERATE),
    ("GET", "/accounts", None, Scope.READ),
    ("GET", "/audit", None, Scope.READ),
    ("GET", "/metrics", None, Scope.READ),
]


def key_of(ledger: Ledger, *scopes: Scope, name: str = "robot") -> dict[str, str]:
    with ledger.begin() as session:
        token = credentials.make_key(session, name, scopes, "tests")
    return {"Authorization": f"Bearer {token}"}


def link(ledger: Ledger, scopes: Iterable[Scope] = EVERYTHING, lifetime: timedelta = timedelta(minutes=10)) -> str:
    with ledger.begin() as session:
        return credentials.make_link(session, scopes, "owner on the command line", lifetime)


@pytest.mark.parametrize("scope", Scope)
def test_a_key_does_what_its_scopes_say_and_nothing_else(stranger: httpx.Client, ledger: Ledger, scope: Scope) -> None:
    headers = key_of(ledger, scope)
    for method, path, body, needed in NEEDED:
        answer = stranger.request(method, path, json=body, headers=headers)
        allowed = needed in (scope, Scope.READ)
        assert (answer.status_code == 403) is not allowed, f"{method} {path}: {answer.text}"


def test_every_writing_operation_is_held_to_a_scope(app_settings: Settings) -> None:
    written = {
        (method.upper(), path)
        for path, operations in create_app(app_settings).openapi()["paths"].items()
        for method in operations
        if method != "get"
    }
    ids = {
        "DU1000001": "{account_id}",
        EVENT: "{event_id}",
        "/halts/all": "/halts/{scope}",
        "/sources/mine": "/sources/{strategy}",
        "-holds/1": "-holds/{hold_id}",
        "-plans/1": "-plans/{plan_id}",
        "s/1": "s/{schedule_id}",
    }
    tried = set()
    for method, path, _, _ in NEEDED:
        bare = path.partition("?")[0]
        for written_id, name in ids.items():
            bare = bare.replace(written_id, name)
        tried.add((method, bare))
    of_a_link = {("POST", "/decisions"), ("POST", "/decisions/look")}  # which opens one plan: test_decision_links
    assert written - tried == {("POST", "/session"), ("DELETE", "/session"), *of_a_link}


def test_changes_name_the_key_and_a_revoked_key_opens_nothing(stranger: httpx.Client, ledger: Ledger) -> None:
    headers = key_of(ledger, Scope.OPERATE, name="cron")
    assert stranger.post("/halts", json={}, headers=headers).status_code == 200
    assert stranger.get("/audit", headers=headers).json()[0]["actor"] == "cron"
    assert stranger.get("/halts", headers=headers).json()[0]["by"] == "cron"
    with ledger.begin() as session:
        (found,) = credentials.in_force(session)
        credentials.end(session, found.id, "tests")
    assert stranger.get("/halts", headers=headers).status_code == 401


def test_only_hashes_are_kept(stranger: httpx.Client, ledger: Ledger) -> None:
    secrets = [key_of(ledger, Scope.READ)["Authorization"].removeprefix("Bearer "), link(ledger)]
    signed = stranger.post("/session", json={"key": KEY})
    secrets += [signed.json()["proof"], *stranger.cookies.values(), KEY]
    with ledger.begin() as session:
        kept = str(session.execute(text("SELECT * FROM credentials")).all())
        kept += str(session.execute(text("SELECT * FROM audit")).all())
    assert [secret for secret in secrets if secret in kept] == []


def test_a_link_signs_one_browser_in_once(app_settings: Settings, ledger: Ledger) -> None:
    shown = {"link": link(ledger)}
    with serving(create_app(app_settings)) as first, httpx.Client(base_url=first.base_url, trust_env=False) as second:
        assert first.get("/enter").status_code == 200
        assert first.post("/session", json=shown).json()["actor"] == "owner on the command line"
        assert second.post("/session", json=shown).status_code == 401
        assert second.get("/accounts").status_code == 403
        assert first.get("/accounts").status_code == 200


def test_a_link_waits_ten_minutes_and_no_longer(stranger: httpx.Client, ledger: Ledger) -> None:
    late = link(ledger, lifetime=timedelta(seconds=-1))
    assert stranger.post("/session", json={"link": late}).status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(stranger: httpx.Client) -> None:
    cookie = stranger.post("/session", json={"key": KEY}).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))


def test_a_session_changes_nothing_without_the_pages_proof(stranger: httpx.Client) -> None:
    proof = stranger.post("/session", json={"key": KEY}).json()["proof"]
    for headers in ({}, {"X-Session-Proof": "wrong"}, {"X-Session-Proof": ""}):
        assert stranger.post("/queue/events", json=REBALANCE, headers=headers).status_code == 403
    assert stranger.get("/queue/events").json() == []
    sent = stranger.post("/queue/events", json=REBALANCE, headers={"X-Session-Proof": proof})
    assert sent.status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_no_other_page_signs_a_browser_in(stranger: httpx.Client, site: str) -> None:
    assert stranger.post("/session", json={"key": KEY}, headers={"Sec-Fetch-Site": site}).status_code == 403
    plain = stranger.post("/session", content=f'{{"key": "{KEY}"}}', headers={"Content-Type": "text/plain"})
    assert plain.status_code == 422, "what a foreign page may send without asking"


def test_a_session_has_its_links_scopes(stranger: httpx.Client, ledger: Ledger) -> None:
    proof = stranger.post("/session", json={"link": link(ledger, [Scope.READ])}).json()["proof"]
    assert stranger.get("/accounts").status_code == 200
    assert stranger.post("/queue/events", json=REBALANCE, headers={"X-Session-Proof": proof}).status_code == 403


def test_a_session_ends_with_its_key(stranger: httpx.Client, ledger: Ledger) -> None:
    key = key_of(ledger, Scope.READ)["Authorization"].removeprefix("Bearer ")
    assert stranger.post("/session", json={"key": key}).status_code == 200
    assert stranger.get("/accounts").status_code == 200
    with ledger.begin() as session:
        made = next(one for one in credentials.in_force(session) if one.kind is credentials.CredentialKind.KEY)
        assert credentials.end(session, made.id, "tests") == 2
    assert stranger.get("/accounts").status_code == 403


def test_a_session_ends_with_the_key_of_the_settings_that_opened_it(app_settings: Settings) -> None:
    with serving(create_app(app_settings)) as client:
        client.post("/session", json={"key": KEY})
        token = next(iter(client.cookies.values()))
    exchanged = app_settings.changed(management_api_key=SecretStr("0f6f5b3f2a11-the-next-one"))
    with serving(create_app(exchanged)) as client:
        client.cookies.set(f"rebalancer-{client.base_url.port}", token)
        assert client.get("/accounts").status_code == 403
    with serving(create_app(app_settings)) as client:
        client.cookies.set(f"rebalancer-{client.base_url.port}", token)
        assert client.get("/accounts").status_code == 200


def test_a_session_lasts_as_long_as_the_setting_says(stranger: httpx.Client, ledger: Ledger) -> None:
    stranger.post("/session", json={"key": KEY})
    with ledger.begin() as session:
        left = session.scalar(text("SELECT extract(epoch FROM expires_at - now()) FROM credentials"))
        assert left == pytest.approx(12 * 3600, abs=60)
        session.execute(text("UPDATE credentials SET expires_at = now()"))
    assert stranger.get("/accounts").status_code == 403


def test_whoever_signs_out_is_out(stranger: httpx.Client) -> None:
    stranger.post("/session", json={"key": KEY})
    ((name, token),) = stranger.cookies.items()
    assert stranger.delete("/session").json() == {"message": "Signed out"}
    assert dict(stranger.cookies) == {}
    stranger.cookies.set(name, token)
    assert stranger.get("/accounts").status_code == 403
    rows = stranger.get("/audit", headers=BEARER).json()
    assert [row["action"] for row in rows] == ["sign out", "sign in"]


def test_the_page_acts_under_its_owners_name(stranger: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        event_id = add_waiting(session)
    proof = stranger.post("/session", json={"link": link(ledger)}).json()["proof"]
    approved = stranger.post(f"/approvals/{event_id}/approve", headers={"X-Session-Proof": proof})
    assert approved.status_code == 200
    assert stranger.get("/audit").json()[0]["actor"] == "owner on the command line"


def test_whoever_holds_a_key_is_called_by_name(app_settings: Settings, ledger: Ledger) -> None:
    """On record, on the page, in messages and to the API alike; a key without a name by its fingerprint."""
    other = "another-key-for-the-tests-of-this"
    named = app_settings.changed(management_api_key=SecretStr(f"{KEY},{other}"), management_key_names="ada")
    with serving(create_app(named)) as client:
        client.post("/halts", json={"account_id": "DU1000001"}, headers=BEARER)
        client.post("/halts", json={"account_id": "DU1000002"}, headers={"Authorization": f"Bearer {other}"})
        proof = {"X-Session-Proof": client.post("/session", json={"key": KEY}).json()["proof"]}
        client.post("/halts", json={"account_id": "DU1000003"}, headers=proof)
        linked = client.post("/session", json={"link": link(ledger)}).json()["proof"]
        client.post("/halts", json={"account_id": "DU1000004"}, headers={"X-Session-Proof": linked})
        mark = fingerprint(other)
        by = [halt["by"] for halt in client.get("/halts").json()]
        assert by == ["ada", f"API key {mark}", "ada, on the page", "owner, on the page"]
        told = [one["text"] for one in client.get("/notifications").json()][::-1]
        assert all(f"by {who}" in text for who, text in zip(by, told, strict=True)), told
        actors = [row["actor"] for row in client.get("/audit").json() if row["action"] == "halt"][::-1]
        assert actors == ["ada", mark, "ada", "owner on the command line"]
        html = {"Accept": "text/html"}
        assert "Signed in: owner<" in client.get("/", headers=html).text
        assert f'<td class="text">API key {mark}</td>' in client.get("/desk/audit", headers=html).text


@pytest.mark.parametrize(("names", "why"), [("ada,ben", "has 2 names"), ("ada,ada", "a name twice")])
def test_names_that_fit_no_keys_are_refused(app_settings: Settings, names: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        app_settings.changed(management_key_names=names)


@pytest.mark.parametrize("shown", [{}, {"key": "a", "link": "b"}, {"key": ""}, {"key": "x" * 201}, {"other": 1}])
def test_one_thing_opens(stranger: httpx.Client, shown: dict[str, str]) -> None:
    assert stranger.post("/session", json=shown).status_code == 422


def test_a_key_of_another_kind_does_not_open(stranger: httpx.Client, ledger: Ledger) -> None:
    token = link(ledger)
    assert stranger.get("/accounts", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    key = key_of(ledger, Scope.READ)["Authorization"].removeprefix("Bearer ")
    assert stranger.post("/session", json={"link": key}).status_code == 401
    stranger.cookies.set(f"rebalancer-{stranger.base_url.port}", key)
    assert stranger.get("/accounts").status_code == 403
