"""The allocations API: where strategies publish their targets.

``GET {base_url}/{strategy}/allocations`` with the header ``x-api-key`` answers
``{"status": "success", "data": {"allocations": [{"symbol": "EDC", "allocation": 0.2141}], "as_of": "2025-06-24"}}``;
``ticker`` may stand for ``symbol``. Further keys are the provider's to add and are ignored, unlike in files of ours.
Nothing is repaired: an answer that cannot be meant justifies no order.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Protocol, Self
from urllib.parse import quote

import httpx

from rebalancer import http_get
from rebalancer.domain.accounts import is_strategy_name
from rebalancer.domain.errors import AllocationsUnavailable, KeyRefused, Refused
from rebalancer.domain.portfolio import Targets, TargetWeight
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.symbols import FOREIGN, canonical
from rebalancer.domain.units import Ratio
from rebalancer.planning import check_weights

MINIMUM_SUM = Ratio(Decimal(0))
"""How much of an account they have to fill is the account's own rule: see :mod:`rebalancer.risk.input_checks`."""
EXCERPT = 200
KEY_REFUSED: frozenset[int] = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})


class ProviderSettings(Protocol):
    """What the settings say of the provider; see :class:`rebalancer.config.signal_settings.SignalSettings`."""

    @property
    def allocations_base_url(self) -> str: ...

    @property
    def allocations_timeout_s(self) -> float: ...

    def require(self, name: str) -> str: ...


@dataclass(frozen=True, slots=True)
class AllocationsClient:
    """Implements :class:`rebalancer.domain.ports.TargetSource` over HTTP; safe to share between threads.

    Attributes:
        base_url: what stands before ``/{strategy}/allocations``.
        timeout_s: longest silence; a whole answer may take twice as long.
    """

    base_url: str
    api_key: str = field(repr=False)
    timeout_s: float

    @classmethod
    def of(cls, settings: ProviderSettings) -> Self:
        """As the settings have it.

        Raises:
            ConfigurationError: its key is not set.
        """
        return cls(
            settings.allocations_base_url, settings.require("allocations_api_key"), settings.allocations_timeout_s
        )

    def fetch(self, strategy: str) -> Targets:
        """Newest targets of a strategy.

        Raises:
            AllocationsUnavailable: no usable answer; worth a retry.
            Refused: an answer that justifies no order, ``allocations_*``.
        """
        status, body = self._get(f"{self.base_url.rstrip('/')}/{quote(strategy, safe='')}/allocations")
        self._refuse(status, body)
        return read_targets(strategy, self._payload(body))

    def strategies(self) -> tuple[str, ...]:
        """Names of the strategies, where the provider lists them at ``base_url``.

        Raises:
            AllocationsUnavailable: it does not, or not usably.
        """
        status, body = self._get(self.base_url)
        # 403 may be a provider that lists nothing to anybody; whether the key is right, the first fetch tells.
        self._refuse(status, body, refused=frozenset({httpx.codes.UNAUTHORIZED}))
        data = self._payload(body).get("data")
        rows = data.get("strategies") if isinstance(data, dict) else data
        found = [row.get("name") if isinstance(row, dict) else row for row in rows] if isinstance(rows, list) else []
        names = [name for name in found if isinstance(name, str) and is_strategy_name(name) and name.isprintable()]
        if not names or len(names) < len(found):
            raise self._unavailable("the answer does not list strategies")
        return tuple(sorted(names))

    def _get(self, url: str) -> tuple[int, bytes]:
        """Status and body; redirects are not followed, since they would carry the key elsewhere."""
        try:
            answer = http_get.get(url, {"x-api-key": self.api_key}, self.timeout_s)
        except http_get.Unanswered as why:
            raise self._unavailable(str(why)) from None
        return answer.status, answer.body

    def _payload(self, body: bytes) -> dict[str, Any]:
        try:
            payload = json.loads(
                body, parse_float=Decimal, parse_int=Decimal, parse_constant=Decimal, object_pairs_hook=_unique
            )
        except (ValueError, ArithmeticError, RecursionError):
            raise self._unavailable(f"the answer is not JSON: {self._excerpt(body)}") from None
        if not isinstance(payload, dict):
            raise self._unavailable(f"the answer is not an object: {self._excerpt(body)}")
        if payload.get("status") != "success":
            raise self._unavailable(f"status is not 'success': {self._excerpt(body)}")
        return payload

    def _refuse(self, status: int, body: bytes, refused: frozenset[int] = KEY_REFUSED) -> None:
        """Raise unless the answer is one."""
        unavailable = self._unavailable(f"HTTP {status}{_hint(status)}: {self._excerpt(body)}")
        if status in refused:
            raise KeyRefused(str(unavailable))
        if status != httpx.codes.OK:
            raise unavailable

    def _unavailable(self, reason: str) -> AllocationsUnavailable:
        return AllocationsUnavailable(f"allocations API at {self.base_url}: {reason}")

    def _excerpt(self, body: bytes) -> str:
        """The answer's beginning, without the key even where a server echoes it."""
        text = " ".join(body.decode("utf-8", errors="replace").split())
        return _short(text.replace(self.api_key, "***") if self.api_key else text)


def read_targets(strategy: str, payload: dict[str, Any]) -> Targets:
    """Targets from the answer's JSON, whose numbers are ``Decimal``.

    Raises:
        Refused: ``allocations_malformed`` for its form; for its numbers see :func:`rebalancer.planning.check_weights`.
    """
    data = payload.get("data")
    if not isinstance(data, dict):
        raise _malformed("data is not an object")
    name = data.get("name")
    if name is not None and (not isinstance(name, str) or name.casefold() != strategy.casefold()):
        raise _malformed(f"asked for {strategy}, the answer is for {_short(str(name))}")
    rows = data.get("allocations")
    if not isinstance(rows, list):
        raise _malformed("data.allocations is not a list")
    weights = tuple(_weight(index, row) for index, row in enumerate(rows))
    check_weights(weights, MINIMUM_SUM)
    return Targets(strategy, weights, _day(data, "as_of"), _day(data, "last_rebalance_on"))


def _weight(index: int, row: object) -> TargetWeight:
    place = f"data.allocations[{index}]"
    if not isinstance(row, dict):
        raise _malformed(f"{place} is not an object")
    texts = (row.get(key) for key in ("ticker", "symbol"))
    given = {text.strip(" ") for text in texts if isinstance(text, str)}
    if strange := sorted(text for text in given if text and not FOREIGN.fullmatch(text)):
        raise _malformed(f"{place} has {_short(ascii(strange[0]))}, which is no symbol")
    names = {canonical(text.upper()) for text in given}
    if len(names) != 1 or "" in names:
        raise _malformed(f"{place} needs one symbol, has {_short(' and '.join(sorted(names))) or 'none'}")
    weight = row.get("allocation")
    if not isinstance(weight, Decimal):
        raise _malformed(f"{place}.allocation is {_short(repr(weight))}, not a number")
    return TargetWeight(names.pop(), Ratio(weight))


def _day(data: dict[str, Any], key: str) -> date | None:
    """A date, also when a time follows it; ``None`` when the provider sent none."""
    text = data.get(key)
    if text is None:
        return None
    try:
        return date.fromisoformat(text[:10] if isinstance(text, str) else "")
    except ValueError:
        raise _malformed(f"data.{key} is {_short(repr(text))}, not a date") from None


def _malformed(reason: str) -> Refused:
    return Refused(Rule.ALLOCATIONS_MALFORMED, reason)


def _hint(status: int) -> str:
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return " (is ALLOCATIONS_API_KEY right?)"
    return " (is the strategy's name right?)" if status == httpx.codes.NOT_FOUND else ""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _malformed(f"a key is there twice among {_short(', '.join(key for key, _ in pairs))}")
    return members


def _short(text: str) -> str:
    """For people: no longer than they read, and nothing in it that moves a terminal's cursor or turns text around."""
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:EXCERPT])
    return shown if len(text) <= EXCERPT else f"{shown}..."
