"""Tokens and queries belong together, one for each login, and no token is ever seen."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from rebalancer.config.settings import Settings
from rebalancer.config.statement_settings import FlexQuery


def test_without_a_token_there_is_no_query() -> None:
    assert Settings.from_flat().statements.flex_queries == ()


def test_each_login_has_its_own() -> None:
    settings = Settings.from_flat({"flex_token": "11112222,33334444", "flex_query_id": "1, 2"})
    assert settings.statements.flex_queries == (FlexQuery("1", "11112222"), FlexQuery("2", "33334444"))
    assert {"11112222", "33334444", "11112222,33334444"} <= settings.secret_values()
    assert "11112222" not in repr(settings.statements)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"flex_token": "11112222"}, "one for each login: 1 and 0 are set"),
        ({"flex_query_id": "1"}, "one for each login: 0 and 1 are set"),
        ({"flex_token": "11112222,33334444", "flex_query_id": "1"}, "one for each login: 2 and 1 are set"),
        ({"flex_token": "11112222,33334444", "flex_query_id": "1,1"}, "FLEX_QUERY_ID names a query twice"),
        ({"flex_base_url": "http://example.org/Flex"}, "would travel in clear text to example.org: use https://"),
        ({"flex_base_url": "http://a.org", "allow_clear_statements": "b.org"}, "clear text to a.org: use https://"),
        ({"flex_query_id": "mine"}, "flex_query_id"),
        ({"statement_at": "7"}, "statement_at"),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Settings.from_flat(values)


def test_this_machine_may_be_asked_in_clear_text() -> None:
    assert Settings.from_flat({"flex_base_url": "http://127.0.0.1:8070/Flex/"}).statements.flex_base_url.endswith(
        "Flex"
    )
