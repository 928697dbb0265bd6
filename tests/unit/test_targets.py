"""Reading the allocations API's answers: what is taken, what is refused and under which rule."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer import allocations
from rebalancer.allocations import AllocationsClient
from rebalancer.domain.errors import AllocationsUnavailable, Refused
from rebalancer.domain.portfolio import TargetWeight

KEY = "k3y-of-the-provider"
Respond = Callable[[httpx.Request], httpx.Response]


class Api:
    """The provider, in place of the network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[httpx.Request] = []
        self.respond: Respond = lambda _: httpx.Response(200)
        real = httpx.Client

        def client(**options: Any) -> httpx.Client:
            return real(transport=httpx.MockTransport(self._handle), **options)

        monkeypatch.setattr(httpx, "Client", client)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.respond(request)

    def answers(self, body: str | bytes, status: int = 200) -> None:
        self.respond = lambda _: httpx.Response(status, content=body)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    return Api(monkeypatch)


def _client() -> AllocationsClient:
    return AllocationsClient("https://provider.example/v1/strategies", KEY, 5)


def _answer(rows: str = '[{"symbol": "SPY", "allocation": 1}]', more: str = "") -> str:
    return f'{{"status": "success", "data": {{"allocations": {rows}{more}}}}}'


def _rows(**weights: str) -> str:
    return "[" + ", ".join(f'{{"symbol": "{symbol}", "allocation": {text}}}' for symbol, text in weights.items()) + "]"


def _refusal(api: Api, body: str) -> Refused:
    api.answers(body)
    with pytest.raises(Refused) as refused:
        _client().fetch("s")
    return refused.value


def _unavailable() -> str:
    with pytest.raises(AllocationsUnavailable) as unavailable:
        _client().fetch("s")
    assert KEY not in str(unavailable.value)
    return str(unavailable.value)


def test_the_documented_answer_is_read(api: Api) -> None:
    api.answers(
        _answer(
            '[{"symbol": "EDC", "allocation": 0.2141}, {"ticker": "qld ", "allocation": 0.7859}]',
            ', "name": "s", "strategy_long_name": "S", "last_rebalance_on": "2025-06-23", "as_of": "2025-06-24"',
        )
    )
    read = _client().fetch("s")
    assert read.strategy == "s"
    assert read.weights == (TargetWeight("EDC", Decimal("0.2141")), TargetWeight("QLD", Decimal("0.7859")))
    assert (read.as_of, read.last_rebalance_on) == (date(2025, 6, 24), date(2025, 6, 23))


def test_the_request_names_the_strategy_and_carries_the_key(api: Api) -> None:
    api.answers(_answer())
    _client().fetch("a/../b ?x")
    (request,) = api.requests
    assert request.url.raw_path == b"/v1/strategies/a%2F..%2Fb%20%3Fx/allocations"
    assert request.headers["x-api-key"] == KEY


def test_what_the_provider_leaves_out_or_adds_does_not_matter(api: Api) -> None:
    api.answers(_answer('[{"ticker": "SPY", "symbol": "SPY", "allocation": 1, "sector": "x"}]', ', "new": [1]'))
    read = _client().fetch("s")
    assert read.weights == (TargetWeight("SPY", Decimal(1)),)
    assert read.as_of is None


@pytest.mark.parametrize("written", ["BRK.B", "BRK/B", "BRK-B", "BRK B", " brk.b "])
def test_a_class_of_shares_is_written_as_at_the_broker(api: Api, written: str) -> None:
    api.answers(_answer(f'[{{"symbol": "{written}", "ticker": "BRK B", "allocation": 1}}]'))
    assert _client().fetch("s").weights == (TargetWeight("BRK B", Decimal(1)),)


@pytest.mark.parametrize(
    "written",
    [
        "SPY\\n",
        "\\tSPY",
        "SPY\\u202e",
        "<b>SPY</b>",
        "\\u001b[31mSPY",
        "\\uff33\\uff30\\uff39",
        "\\u017fpy",
        "\\u0131bm",
        "S" * 33,
        "SPY;",
        "-SPY",
    ],
)
def test_what_has_other_characters_is_no_symbol(api: Api, written: str) -> None:
    refused = _refusal(api, _answer(f'[{{"symbol": "{written}", "allocation": 1}}]'))
    assert refused.rule == "allocations_malformed"
    assert "which is no symbol" in str(refused)
    assert str(refused).isascii()


@pytest.mark.parametrize("written", ["CASH", "$CASH", "CASH_USD", "USD", "BF.B", "3M"])
def test_the_names_of_cash_are_for_the_rules_to_judge(api: Api, written: str) -> None:
    api.answers(_answer(f'[{{"symbol": "{written}", "allocation": 1}}]'))
    assert len(_client().fetch("s").weights) == 1


def test_no_text_of_the_provider_moves_a_terminals_cursor(api: Api) -> None:
    api.answers("\x1b[2J\u202eall is well", 503)
    assert _unavailable().isprintable()
    assert str(_refusal(api, _answer(more=', "name": "\\u001b[2Jx"'))).isprintable()


@pytest.mark.parametrize("name", ["a\\u202eb", "\\u001b[2J", "a b", "-a", "", "x" * 201])
def test_a_strange_name_of_a_strategy_is_not_listed(api: Api, name: str) -> None:
    api.answers(f'{{"status": "success", "data": ["good", "{name}"]}}')
    with pytest.raises(AllocationsUnavailable, match="does not list strategies"):
        _client().strategies()


def test_two_spellings_of_one_symbol_are_a_duplicate(api: Api) -> None:
    api.answers(_answer('[{"symbol": "BRK.B", "allocation": 0.5}, {"symbol": "BRK-B", "allocation": 0.5}]'))
    with pytest.raises(Refused, match="BRK B 2") as refused:
        _client().fetch("s")
    assert refused.value.rule == "allocations_duplicate"


def test_a_date_may_carry_a_time(api: Api) -> None:
    api.answers(_answer(more=', "as_of": "2025-06-24T20:00:00Z"'))
    assert _client().fetch("s").as_of == date(2025, 6, 24)


@given(parts=st.lists(st.integers(1, 10_000), min_size=1, max_size=12))
def test_weights_are_read_digit_by_digit(parts: list[int]) -> None:
    total = sum(parts)
    weights = [(Decimal(part) / total).quantize(Decimal("1e-12")) for part in parts]
    rows = ", ".join(f'{{"symbol": "S{n}", "allocation": {weight}}}' for n, weight in enumerate(weights))
    payload = json.loads(_answer(f"[{rows}]"), parse_float=Decimal, parse_int=Decimal)
    assert [entry.weight for entry in allocations.read_targets("s", payload).weights] == weights


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("allocations_empty", "[]"),
        ("allocations_duplicate", _rows(SPY="0.5", spy="0.5")),
        ("allocations_range", _rows(SPY="-0.1", QQQ="1")),
        ("allocations_range", _rows(SPY="NaN", QQQ="1")),
        ("allocations_range", _rows(SPY="Infinity")),
        ("allocations_range", _rows(SPY="1e999")),
        ("allocations_range", _rows(SPY="1.2", QQQ="0")),
        ("allocations_range", _rows(SPY="50", QQQ="50")),
        ("allocations_sum", _rows(SPY="0.51", QQQ="0.5001")),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused_by_rule(api: Api, rule: str, rows: str) -> None:
    assert _refusal(api, _answer(rows)).rule == rule


def test_percentages_are_recognised_in_the_reason(api: Api) -> None:
    refused = _refusal(api, _answer(_rows(SPY="99.5", QQQ="0.5")))
    assert "percent" in refused.reason
    assert refused.numbers == {"SPY": "99.5"}


@pytest.mark.parametrize("rows", [_rows(SPY="0.5", QQQ="0.49"), _rows(SPY="0.51", QQQ="0.5"), _rows(A="1", B="0")])
def test_sums_at_the_edge_are_taken(api: Api, rows: str) -> None:
    api.answers(_answer(rows))
    assert _client().fetch("s").weights


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"status": "success"}', "data is not an object"),
        ('{"status": "success", "data": {}}', "data.allocations is not a list"),
        (_answer("null"), "data.allocations is not a list"),
        (_answer("[1]"), "data.allocations[0] is not an object"),
        (_answer('[{"allocation": 1}]'), "data.allocations[0] needs one symbol, has none"),
        (_answer('[{"symbol": " ", "allocation": 1}]'), "data.allocations[0] needs one symbol, has none"),
        (_answer('[{"symbol": 7, "allocation": 1}]'), "data.allocations[0] needs one symbol, has none"),
        (_answer('[{"symbol": "A", "ticker": "B", "allocation": 1}]'), "needs one symbol, has A and B"),
        (_answer('[{"symbol": "A"}]'), "data.allocations[0].allocation is None, not a number"),
        (_answer('[{"symbol": "A", "allocation": "1"}]'), "data.allocations[0].allocation is '1', not a number"),
        (_answer('[{"symbol": "A", "allocation": true}]'), "data.allocations[0].allocation is True, not a number"),
        (_answer('[{"symbol": "A", "allocation": 0.5, "allocation": 1}]'), "a key is there twice among symbol, "),
        (_answer(more=', "as_of": "yesterday"'), "data.as_of is 'yesterday', not a date"),
        (_answer(more=', "as_of": 20250624'), "data.as_of is Decimal('20250624'), not a date"),
        (_answer(more=', "as_of": {}'), "data.as_of is {}, not a date"),
        (_answer(more=', "name": "other"'), "asked for s, the answer is for other"),
    ],
)
def test_an_answer_of_another_form_is_malformed(api: Api, body: str, reason: str) -> None:
    refused = _refusal(api, body)
    assert refused.rule == "allocations_malformed"
    assert reason in refused.reason


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, "no", "HTTP 401 (is ALLOCATIONS_API_KEY right?): no"),
        (404, '{"status":"error"}', "HTTP 404 (is the strategy's name right?)"),
        (500, "<html>\n oops", "HTTP 500: <html> oops"),
        (302, "", "HTTP 302"),
        (200, "", "the answer is not JSON"),
        (200, b"\xff\xfe\x00", "the answer is not JSON"),
        (200, "[" * 100_000, "the answer is not JSON"),
        (200, _answer(_rows(SPY="1e99999999999999999999")), "the answer is not JSON"),
        (200, "[]", "the answer is not an object"),
        (200, '{"status": "error", "message": "closed"}', "status is not 'success'"),
        (200, f'{{"status": "error", "message": "bad key {KEY}"}}', "bad key ***"),
        (403, f"{'x' * 195}{KEY}", "HTTP 403"),
        (200, " " * 1_000_001, "longer than 1000000 bytes"),
    ],
)
def test_no_usable_answer_is_worth_a_retry(api: Api, status: int, body: str | bytes, reason: str) -> None:
    api.answers(body, status)
    told = _unavailable()
    assert told.startswith("allocations API at https://provider.example/v1/strategies: ")
    assert reason in told
    assert KEY[:5] not in told


def test_redirects_do_not_carry_the_key_elsewhere(api: Api) -> None:
    api.respond = lambda _: httpx.Response(302, headers={"location": "https://elsewhere.example/"})
    _unavailable()
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx.ReadTimeout("slow"), "no answer within 5 s (ReadTimeout)"),
        (httpx.ConnectError("refused"), "ConnectError: refused"),
        (httpx.RemoteProtocolError("gone"), "RemoteProtocolError: gone"),
    ],
)
def test_transport_errors_are_worth_a_retry(api: Api, error: httpx.HTTPError, reason: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    api.respond = fail
    assert reason in _unavailable()


def test_an_impossible_url_is_told() -> None:
    with pytest.raises(AllocationsUnavailable, match="InvalidURL"):
        AllocationsClient("http://h:port", KEY, 1).fetch("s")


def test_the_client_does_not_show_its_key() -> None:
    assert KEY not in repr(_client())
