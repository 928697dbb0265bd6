"""A browser that was sent to an address is told what went wrong as a page; programs get JSON."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from api import guard
from api.app import create_app
from rebalancer.config.settings import Settings
from tests.contract.conftest import BEARER
from tests.contract.test_guard import assert_hardened
from tests.serving import serving

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
NOBODY = UUID(int=7)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/no/such/place", 404, "There is nothing here"),
        (f"/events/{NOBODY}", 404, f"Event {NOBODY} not found"),
        ("/account/DU9999999", 404, "DU9999999"),
        ("/events/none", 422, "event_id: "),
        ("/history?state=lost&since=today", 422, "state: "),
        ("/queue/events?type=lost", 400, "active, retry, delayed"),
        ("/rebalance/DU1000001", 405, "does not take such requests"),
    ],
)
def test_a_browser_gets_a_page_and_a_program_json(client: httpx.Client, path: str, status: int, said: str) -> None:
    shown = client.get(path, headers=BEARER | BROWSER)
    assert (shown.status_code, shown.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert said in shown.text
    assert 'class="remedy"' in shown.text
    assert "Accept" in shown.headers["vary"]
    told = client.get(path, headers=BEARER)
    assert (told.status_code, list(told.json())) == (status, ["detail"])


def test_what_changes_something_is_never_answered_with_a_page(client: httpx.Client) -> None:
    answer = client.post("/no/such/place", headers=BEARER | BROWSER)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")


def test_what_was_asked_is_shown_and_never_run(client: httpx.Client) -> None:
    shown = client.get("/<script>alert(1)</script>", headers=BEARER | BROWSER).text
    assert "<script>" not in shown
    assert "/&lt;script&gt;" in shown


def test_it_says_that_a_key_is_needed_or_wrong(app_settings: Settings) -> None:
    with serving(create_app(app_settings.changed(api_reads_private=True))) as stranger:
        assert "Not authenticated" in stranger.get("/accounts", headers=BROWSER).text
        wrong = stranger.get("/accounts", headers=BROWSER | {"Authorization": "Bearer wrong"})
    assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, "Bearer")
    assert "This key is wrong" in wrong.text


def test_a_page_without_a_ledger_says_so(app_settings: Settings) -> None:
    away = app_settings.changed(database_url="postgresql://nobody@127.0.0.1:1/none")
    with serving(create_app(away)) as client:
        shown = client.get("/", headers=BEARER | BROWSER)
    assert shown.status_code == 503
    assert "Nothing was changed" in shown.text


REFUSED: dict[str, tuple[int, str, dict[str, Any]]] = {
    "a name that is not ours": (400, "see API_ALLOWED_HOSTS", {"headers": {"Host": "rebind.example"}}),
    "half a name": (400, "see API_ALLOWED_HOSTS", {"headers": {"Host": "[::1"}}),
    "a body": (413, "The body is larger than", {"content": b"x" * (guard.LARGEST_BODY + 1)}),
    "a long address": (414, "The address is longer than", {"params": {"x": "x" * guard.LONGEST_PATH}}),
    "many cookies": (431, "Delete the cookies", {"headers": {"Cookie": "a=" + "x" * guard.LARGEST_HEADERS}}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_before_anything_else_is_a_page_for_browsers_too(stranger: httpx.Client, what: str) -> None:
    status, said, asked = REFUSED[what]
    headers = asked.get("headers", {})
    asked = {name: value for name, value in asked.items() if name != "headers"}
    shown = stranger.request("GET", "/history", headers=headers | BROWSER, **asked)
    assert (shown.status_code, shown.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert said in shown.text
    assert shown.headers["connection"] == "close"
    assert_hardened(shown)
    for method, accept in (("GET", {}), ("POST", BROWSER)):
        told = stranger.request(method, "/history", headers=headers | accept, **asked)
        assert (told.status_code, list(told.json()), told.headers["connection"]) == (status, ["detail"], "close")


def test_a_server_that_has_too_much_to_do_does_not_blame_the_ledger(
    stranger: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MANY", 0)
    shown = stranger.get("/", headers=BROWSER)
    assert (shown.status_code, "Too many requests at a time" in shown.text) == (503, True)
    assert "ledger" not in shown.text
    assert stranger.get("/livez").json() == {"detail": "Too many requests at a time"}
