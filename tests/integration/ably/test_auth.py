"""Keys and tokens, as the SDK presents them and as others may."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from ably import AblyException

from sandbox.ably.options import DEFAULT_KEY
from sandbox.ably.server import AblyServer
from tests.integration.ably.harness import FAST, Clients, became, both_formats, connection_of, publish, run

KEY_NAME, SECRET = DEFAULT_KEY.split(":")


@dataclass(frozen=True, slots=True)
class Signed:
    """A token request and the means to spoil it."""

    nonce: str = "0123456789abcdef"
    secret: str = SECRET
    age_ms: int = 0
    ttl: int | None = None

    def body(self) -> dict[str, Any]:
        timestamp = time.time_ns() // 1_000_000 - self.age_ms
        text = "\n".join([KEY_NAME, str(self.ttl or ""), "", "", str(timestamp), self.nonce, ""])
        mac = base64.b64encode(hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
        return {"keyName": KEY_NAME, "ttl": self.ttl, "timestamp": timestamp, "nonce": self.nonce, "mac": mac}


async def requested(server: AblyServer, signed: Signed, key_name: str = KEY_NAME) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url) as client:
        return await client.post(f"/keys/{key_name}/requestToken", json=signed.body())


@both_formats
def test_realtime_works_with_a_key_and_with_a_token(binary: bool) -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        for with_token in (False, True):
            await clients.listening("strategy", use_token_auth=with_token, use_binary_protocol=binary)
        assert [entry["token"] for entry in server.log.of("connected")] == [False, True]

    run(scenario)


@pytest.mark.parametrize("key", ["sandbox.local:wrong", "another.key:stand-in"])
def test_a_wrong_key_is_refused_in_both_halves(key: str) -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        with pytest.raises(AblyException) as refused:
            await clients.rest(key=key).channels.get("strategy").history()
        assert (refused.value.status_code, refused.value.code) == (401, 40101)
        connection = clients.realtime(key=key, use_token_auth=False).connection
        change = await became(connection, "failed")
        assert change is not None
        assert change.reason.code == 40101

    run(scenario)


@pytest.mark.parametrize(
    ("signed", "key_name", "code"),
    [
        (Signed(secret="wrong"), KEY_NAME, 40101),
        (Signed(), "another.key", 40101),
        (Signed(age_ms=121_000), KEY_NAME, 40104),
        (Signed(age_ms=-121_000), KEY_NAME, 40104),
        (Signed(nonce="short"), KEY_NAME, 40000),
    ],
)
def test_token_requests_that_are_not_in_order_are_refused(signed: Signed, key_name: str, code: int) -> None:
    async def scenario(server: AblyServer, _: Clients) -> None:
        response = await requested(server, signed, key_name)
        assert response.json()["error"]["code"] == code
        assert response.headers["X-Ably-Errorcode"] == str(code)

    run(scenario)


def test_a_token_request_works_once() -> None:
    async def scenario(server: AblyServer, _: Clients) -> None:
        details = (await requested(server, Signed(ttl=60_000))).json()
        assert details["expires"] - details["issued"] == 60_000
        assert (await requested(server, Signed())).json()["error"]["code"] == 40105

    run(scenario)


def test_credentials_are_accepted_in_every_place() -> None:
    async def scenario(server: AblyServer, _: Clients) -> None:
        token = (await requested(server, Signed())).json()["token"]
        encoded_key, encoded_token = (base64.b64encode(text.encode()).decode() for text in (DEFAULT_KEY, token))
        headers = [f"Basic {encoded_key}", f"Bearer {encoded_token}", f"Bearer {token}"]
        async with httpx.AsyncClient(base_url=server.url) as client:
            answers = [await client.get("/channels/s/messages", headers={"Authorization": each}) for each in headers]
            answers += [await client.get("/channels/s/messages", params={"key": DEFAULT_KEY})]
            answers += [await client.get("/channels/s/messages", params={"access_token": token})]
            assert [answer.status_code for answer in answers] == [200] * 5
            for header in ("Basic !", f"Bearer {token}x", "Digest x", ""):
                refused = await client.get("/channels/s/messages", headers={"Authorization": header})
                assert (refused.status_code, refused.json()["error"]["code"]) == (401, 40101)

    run(scenario)


def test_an_expired_token_is_renewed_and_nothing_is_lost() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        token = connection_of(ear).connection_manager.ably.auth.token_details.token
        server.expire_tokens()
        missed = await publish(server, "strategy", "missed")
        await ear.heard(1)
        assert ear.ids == missed
        assert (await ear.attached(2)).resumed
        assert connection_of(ear).connection_manager.ably.auth.token_details.token != token

    run(scenario)


def test_a_token_ends_by_itself() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", default_token_params={"ttl": 100})
        assert (await ear.attached(2)).resumed
        assert server.log.count("token_expired") >= 1

    run(scenario)


def test_rest_renews_an_expired_token() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        channel = clients.rest().channels.get("strategy")
        await channel.publish("name", "before")
        server.expire_tokens()
        await channel.publish("name", "after")
        assert [message.data for message in (await channel.history()).items] == ["after", "before"]

    run(scenario)


def test_a_token_outlives_a_restart_of_the_server() -> None:
    tokens: list[str] = []

    async def before(server: AblyServer, _: Clients) -> None:
        tokens.append((await requested(server, Signed())).json()["token"])

    async def after(_: AblyServer, clients: Clients) -> None:
        assert (await clients.rest(key=None, token=tokens[0]).channels.get("strategy").history()).items == []

    run(before)
    run(after)


def test_a_token_grants_no_more_than_was_asked_for() -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        rest = clients.rest(default_token_params={"capability": {"mine:*": ["subscribe"]}})
        ear = await clients.listening("mine:strategy", default_token_params={"capability": {"mine:*": ["subscribe"]}})
        for channel in (ear.channel, rest.channels.get("mine:strategy")):
            with pytest.raises(AblyException) as refused:
                await channel.publish("name", "data")
            assert refused.value.code == 40160

    run(scenario)


def test_a_realtime_client_can_renew_its_token_while_connected() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        await ear.channel.ably.auth.authorize()
        assert server.log.count("auth") == 1
        await publish(server, "strategy", "a")
        await ear.heard(1)
        assert server.log.count("connected") == 1

    run(scenario)


def test_another_key_can_be_configured() -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        await clients.listening("strategy")

    run(scenario, replace(FAST, key="app.id:top-secret"))
