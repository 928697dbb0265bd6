"""Who may read and who may change, how often, and what is kept of it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.keys import fingerprint
from api.limits import RateLimit
from rebalancer.config.settings import Settings
from rebalancer.domain.errors import ConfigurationError
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER, KEY
from tests.ledger_rows import add_event, add_failing
from tests.serving import serving

OLD, NEW = "0f6f5b3f2a11-the-old-one", "7d1c9b5e0d3f-the-new-one"
SOME = "7d1c9b5e-0d3f-4d0e-9a55-0f6f5b3f2a11"
PUBLIC = ("/", "/health", "/livez", "/readyz", "/queue/status", "/queue/events", "/docs", "/openapi.json")
READS = (
    "/queue/events?state=succeeded",
    "/queue/events?account_id=DU1000001",
    f"/queue/events/{SOME}",
    "/accounts",
    "/accounts/DU1000001/positions",
    "/accounts/DU1000001/value",
    "/accounts/DU1000001/returns",
    "/halts",
    "/approvals",
    "/schedules",
    "/signals",
    "/channels",
    "/gaps",
    "/notifications",
    "/audit",
    "/health/detailed",
    "/metrics",
    "/stream",
    "/history",
    "/account/DU1000001",
    "/account/DU1000001/returns",
    "/desk/replay",
    "/replay",
    "/statements",
    "/household/gains",
    "/household/wash-sales",
    "/money/gains",
    "/csv/gains",
    f"/events/{SOME}",
)
WRONG = {"Authorization": "Bearer wrong"}


def test_old_and_new_key_work_while_they_are_exchanged(app_settings: Settings) -> None:
    both = app_settings.changed(management_api_key=SecretStr(f"{OLD},{NEW}"))
    with serving(create_app(both)) as client:
        for key, status in ((OLD, 202), (NEW, 202), (f"{OLD},{NEW}", 401)):
            headers = {"Authorization": f"Bearer {key}"}
            assert client.post("/rebalance/DU1000001?wait_s=0", headers=headers).status_code == status


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize(
    "key",
    [
        "a",
        "short",
        "change-me-change-me-change-me",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "1234567890123456",
        "8264910375518264",
        "abcdefghijklmnopqrst",
        "9876543210zyxwvutsrq",
        "qwertyuiopasdfghjkl1",
        f"{NEW},a",
    ],
)
def test_a_guessable_key_is_refused_wherever_the_api_listens(app_settings: Settings, key: str, host: str) -> None:
    with pytest.raises(ConfigurationError, match="openssl rand"):
        create_app(app_settings.changed(api_host=host, management_api_key=SecretStr(key)))


def test_a_random_key_is_enough_everywhere(app_settings: Settings) -> None:
    key = SecretStr("Ym1vYXQ2eTQ4c2hlZjA3,9f86d081884c7d659a2feaa0c55ad015")
    create_app(app_settings.changed(api_host="0.0.0.0", management_api_key=key))


def test_whatever_tells_of_accounts_is_private_by_itself(stranger: httpx.Client) -> None:
    for path in READS:
        assert stranger.get(path).status_code == 403, path
        assert stranger.get(path, headers=WRONG).status_code == 401, path
    assert stranger.get("/accounts", headers=BEARER).status_code == 200


def test_the_contracts_reads_are_public_without_amounts_and_reasons(stranger: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        add_failing(session, error="order of 12,345.67 USD is above the limit of U7654321")
        add_event(session, "DU1000002", command="print-equity", data={"exec": "print-equity", "amount": 98765})
    for path in PUBLIC:
        assert stranger.get(path).is_success or path == "/readyz", path
    failing, queued = sorted(stranger.get("/queue/events").json(), key=lambda event: str(event["account_id"]))
    contract = {"event_id", "account_id", "exec_command", "times_queued", "created_at", "data"}
    assert failing.keys() == queued.keys() == contract | {"type", "retry_after", "execution_time"}
    assert queued["data"] == {"exec": "print-equity"}
    told = "".join(stranger.get(path).text for path in PUBLIC if path not in ("/openapi.json", "/docs"))
    assert [found for found in ("12,345.67", "U7654321", "98765", "etf-blend") if found in told] == []
    assert {check["detail"] for check in stranger.get("/readyz").json()["checks"]} == {None}
    whole = stranger.get("/queue/events", headers=BEARER).json()
    assert any("12,345.67" in str(event["last_error"]) for event in whole)


def test_reads_are_open_to_this_machine_where_the_owner_wants_that(client: httpx.Client) -> None:
    for path in ("/accounts", "/halts", "/queue/events?state=succeeded", "/metrics", "/history"):
        assert client.get(path).status_code == 200, path
    assert client.get("/audit").status_code == 403


@pytest.mark.parametrize(("arrived_at", "status"), [("127.0.0.1", 200), ("[::1]", 200), ("192.0.2.7", 403)])
def test_reading_is_open_by_where_a_connection_arrives_and_by_no_setting(
    app_settings: Settings, arrived_at: str, status: int
) -> None:
    opened = app_settings.changed(api_reads_private=False, api_host="127.0.0.1")
    transport = httpx.ASGITransport(create_app(opened))

    async def ask() -> int:
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{arrived_at}:8000") as client:
            return (await client.get("/accounts")).status_code

    assert asyncio.run(ask()) == status


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
    with serving(create_app(app_settings.changed(api_cors_origins=origins))) as client:
        answer = client.get("/queue/status", headers={"Origin": "https://b.example"})
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_too_many_changes_have_to_wait(app_settings: Settings) -> None:
    with serving(create_app(app_settings.changed(api_writes_per_minute=2))) as client:
        answers = [client.delete("/queue/events", headers=BEARER) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 30
        assert client.get("/queue/events").status_code == 200


def test_after_too_many_wrong_keys_right_ones_wait_too(app_settings: Settings) -> None:
    with serving(create_app(app_settings.changed(api_wrong_keys_per_minute=2))) as client:
        assert [client.get("/audit", headers=WRONG).status_code for _ in range(3)] == [401, 401, 429]
        refused = client.get("/audit", headers=BEARER)
        assert (refused.status_code, int(refused.headers["Retry-After"]) <= 30) == (429, True)
        assert client.post("/session", json={"key": KEY}).status_code == 429


def test_a_forged_address_neither_guesses_nor_stands_on_record(app_settings: Settings) -> None:
    """uvicorn's own command line believes this header; `python -m api` does not, and the app knows the difference."""
    with serving(create_app(app_settings.changed(api_wrong_keys_per_minute=5))) as client:

        def guess(number: int) -> int:
            forged = WRONG | {"X-Forwarded-For": f"203.0.113.{number}, 198.51.100.{number}:7"}
            return client.get("/audit", headers=forged).status_code

        assert [guess(number) for number in range(8)] == [401] * 5 + [429] * 3
    with serving(create_app(app_settings)) as client:
        client.delete("/queue/events", headers=BEARER | {"X-Forwarded-For": "203.0.113.66"})
        (row,) = client.get("/audit", headers=BEARER).json()
        assert row["address"] == "203.0.113.66 (by its own word)"


def test_a_guess_does_not_keep_a_signed_in_owner_out(app_settings: Settings) -> None:
    with serving(create_app(app_settings.changed(api_wrong_keys_per_minute=1))) as client:
        signed = client.post("/session", json={"key": KEY}).json()
        for _ in range(3):
            client.get("/audit", headers=WRONG)
        assert client.get("/accounts").status_code == 200
        assert client.delete("/queue/events", headers={"X-Session-Proof": signed["proof"]}).status_code == 200


def test_a_bucket_fills_up_again_with_time() -> None:
    now = 0.0
    limit = RateLimit(60, clock=lambda: now)
    assert [limit.take("a") for _ in range(61)] == [0.0] * 60 + [1.0]
    assert limit.take("b") == 0
    now = 1.0
    assert (limit.wait("a"), limit.take("a"), limit.take("a"), limit.wait("a")) == (0.0, 0.0, 1.0, 1.0)


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
