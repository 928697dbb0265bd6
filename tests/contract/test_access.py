"""Who may read and who may change, how often, and what is kept of it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.keys import fingerprint
from api.limits import RateLimit
from rebalancer.errors import ConfigurationError
from rebalancer.settings import Settings
from tests.contract.conftest import BEARER, KEY
from tests.serving import serving

READS = (
    "/queue/status",
    "/queue/events",
    "/accounts",
    "/signals",
    "/channels",
    "/notifications",
    "/health/detailed",
    "/metrics",
    "/stream",
)


def changed(settings: Settings, **values: Any) -> Settings:
    return settings.model_copy(update=values)


def test_old_and_new_key_work_while_they_are_exchanged(app_settings: Settings) -> None:
    both = changed(app_settings, management_api_key=SecretStr("the-old-key, the-new-key"))
    with serving(create_app(both)) as client:
        for key, status in (("the-old-key", 202), ("the-new-key", 202), ("the-old-key, the-new-key", 401)):
            headers = {"Authorization": f"Bearer {key}"}
            assert client.post("/rebalance/DU1000001?wait_s=0", headers=headers).status_code == status


@pytest.mark.parametrize("key", ["", " , ", "short", "change-me-change-me-change-me", "aaaaaaaaaaaaaaaaaaaaaaaa"])
def test_beyond_this_machine_a_guessable_key_is_refused(app_settings: Settings, key: str) -> None:
    exposed = changed(app_settings, api_host="0.0.0.0", management_api_key=SecretStr(key))
    with pytest.raises(ConfigurationError, match="openssl rand"):
        create_app(exposed)


def test_beyond_this_machine_a_random_key_is_enough(app_settings: Settings) -> None:
    key = SecretStr("Ym1vYXQ2eTQ4c2hlZjA3,9f86d081884c7d659a2feaa0c55ad015")
    create_app(changed(app_settings, api_host="0.0.0.0", management_api_key=key))


def test_reads_are_private_where_the_owner_wants_that(app_settings: Settings) -> None:
    with serving(create_app(changed(app_settings, api_reads_private=True))) as client:
        for path in READS:
            assert client.get(path).status_code == 403, path
            assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401, path
        assert client.get("/accounts", headers=BEARER).status_code == 200
        assert client.get("/health").status_code == 200
        assert client.get("/livez").status_code == 200


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [
        (None, None),
        ("https://a.example, https://b.example", "https://b.example"),
        ("https://a.example", None),
        ("*", "*"),
    ],
)
def test_pages_of_other_origins_need_permission(
    app_settings: Settings, origins: str | None, allowed: str | None
) -> None:
    with serving(create_app(changed(app_settings, api_cors_origins=origins))) as client:
        answer = client.get("/queue/status", headers={"Origin": "https://b.example"})
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed


def test_too_many_changes_have_to_wait(app_settings: Settings) -> None:
    with serving(create_app(changed(app_settings, api_writes_per_minute=2))) as client:
        answers = [client.delete("/queue/events", headers=BEARER) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 30
        assert client.get("/queue/events").status_code == 200


def test_too_many_wrong_keys_have_to_wait(app_settings: Settings) -> None:
    with serving(create_app(changed(app_settings, api_writes_per_minute=2))) as client:
        wrong = {"Authorization": "Bearer wrong"}
        assert [client.get("/audit", headers=wrong).status_code for _ in range(3)] == [401, 401, 429]


def test_a_bucket_fills_up_again_with_time() -> None:
    now = 0.0
    limit = RateLimit(60, clock=lambda: now)
    assert [limit.take("a") for _ in range(61)] == [0.0] * 60 + [1.0]
    assert limit.take("b") == 0
    now = 1.0
    assert (limit.take("a"), limit.take("a")) == (0.0, 1.0)


def test_who_did_what_is_on_record_without_the_key(client: httpx.Client) -> None:
    assert client.get("/audit").status_code == 403
    event_id = client.post("/rebalance/DU1000001?wait_s=0", headers=BEARER).json()["event_id"]
    client.delete(f"/queue/events/{event_id}", headers=BEARER)
    answer = client.get("/audit", headers=BEARER)
    assert [(row["action"], row["subject"]) for row in answer.json()] == [
        ("remove", event_id),
        ("rebalance", "DU1000001"),
    ]
    assert {row["actor"] for row in answer.json()} == {fingerprint(KEY)}
    assert KEY not in answer.text
