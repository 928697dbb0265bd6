"""`rebalancer keys` and `rebalancer open`: keys and links, made and revoked where the ledger is."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.app import create_app
from rebalancer.config.settings import Settings
from tests.contract.test_cli import Run, Type, run, typed  # noqa: F401 - fixtures
from tests.serving import serving


def test_a_key_is_made_once_listed_and_revoked(run: Run, typed: Type, stranger: httpx.Client) -> None:  # noqa: F811
    code, made = run("keys", "add", "grafana", "--scope", "read")
    assert (code, made["scopes"]) == (0, ["read"])
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert stranger.get("/metrics", headers=headers).status_code == 200
    assert stranger.post("/halts", json={}, headers=headers).status_code == 403
    assert run("keys", "list")[1]["credentials"][0]["name"] == "grafana"
    assert made["key"] not in typed("keys", "list").stdout
    again = typed("keys", "add", "grafana", "--scope", "read")
    assert (again.exit_code, "revoke it first" in str(again.exception)) == (1, True)
    assert run("keys", "revoke", "grafana")[1]["ended"] == 1
    assert stranger.get("/metrics", headers=headers).status_code == 401
    assert "No key was made" in typed("keys", "list").stdout
    assert run("keys", "add", "grafana", "--scope", "read")[0] == 0, "its name is free again"


def test_what_is_made_and_revoked_is_on_record(run: Run, typed: Type) -> None:  # noqa: F811
    run("keys", "add", "cron", "--scope", "trade")
    run("open", "--scope", "read")
    run("keys", "revoke", "cron")
    rows = run("audit")[1]
    assert [(row["action"], row["subject"]) for row in rows] == [
        ("revoke", "key cron"),
        ("make link", "page"),
        ("make key", "cron"),
    ]
    assert rows[2]["detail"] == {"scopes": ["trade"]}
    assert all(row["actor"].endswith("on the command line") for row in rows)


@pytest.mark.parametrize("name", ["", "7", "-x", "a b", "a/b", "x" * 41, "a\x1b[2J", "\u202ea"])
def test_a_strange_name_is_refused(typed: Type, name: str) -> None:  # noqa: F811
    assert typed("keys", "add", "--scope", "read", "--", name).exit_code != 0


def test_a_key_has_a_scope(typed: Type) -> None:  # noqa: F811
    assert typed("keys", "add", "x").exit_code == 2
    assert typed("keys", "add", "x", "--scope", "everything").exit_code == 2
    assert typed("keys", "revoke", "nobody").exit_code == 1


def test_open_prints_a_link_that_opens_once(run: Run, app_settings: Settings) -> None:  # noqa: F811
    with serving(create_app(app_settings)) as client:
        code, shown = run("open", "--url", str(client.base_url))
        assert (code, shown["seconds"]) == (0, 600)
        address, _, token = shown["link"].partition("#")
        assert address == f"{client.base_url}/enter"
        assert client.post("/session", json={"link": token}).status_code == 200
        assert client.post("/session", json={"link": token}).status_code == 401
    assert run("open")[1]["link"].startswith("http://127.0.0.1:8000/enter#")


def test_open_gives_the_scopes_that_were_asked_for(run: Run, stranger: httpx.Client) -> None:  # noqa: F811
    def scopes(*arguments: str) -> Any:
        token = run("open", *arguments)[1]["link"].partition("#")[2]
        return stranger.post("/session", json={"link": token}).json()["scopes"]

    assert scopes("--scope", "approve") == ["approve", "read"]
    assert scopes() == ["approve", "operate", "read", "trade"]
