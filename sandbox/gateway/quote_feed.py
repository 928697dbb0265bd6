"""One client's contract details and market data lines."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sandbox.gateway import messages, requests
from sandbox.gateway.behaviour import Behaviour
from sandbox.gateway.client import Client, Handlers
from sandbox.gateway.exchange import Exchange
from sandbox.gateway.hours import Hours
from sandbox.gateway.market import Listing

_UNKNOWN = "No security definition has been found for the request"
_LIVE, _FROZEN, _DELAYED = 1, 2, 3


@dataclass(slots=True)
class _Line:
    listing: Listing
    kind: int
    halted: bool | None = None
    close: Decimal | None = None


class QuoteFeed:
    """Answers for instruments and streams the quotes that the client has subscribed to."""

    def __init__(self, client: Client, behaviour: Behaviour) -> None:
        self._client = client
        self._behaviour = behaviour
        self._lines: dict[int, _Line] = {}
        self._wanted_kind = _LIVE

    def handlers(self) -> Handlers:
        """Requests served here."""
        return {
            requests.ContractDetails: self._contract_details,
            requests.MarketRule: self._market_rule,
            requests.SetMarketDataType: self._set_kind,
            requests.Quotes: self._subscribe,
            requests.CancelQuotes: self._cancel,
        }

    def end(self) -> None:
        """The client is gone, and its lines are free."""
        for request_id in self._lines:
            self._client.exchange.lines.discard((self._client.client_id, request_id))
        self._lines.clear()

    def push(self) -> None:
        """Send the newest bid and ask of every line."""
        for request_id, line in self._lines.items():
            self._show(request_id, line)

    def _contract_details(self, request: requests.ContractDetails) -> None:
        exchange = self._client.exchange
        found = exchange.market.search(request.contract)
        if not found:
            self._client.error(request.request_id, 200, _UNKNOWN)
            return
        rules = {steps: rule_id for rule_id, steps in exchange.market.rules().items()}
        for listing in found:
            details = _details(listing, exchange, rules[listing.spec.steps()])
            self._client.send(messages.contract_details(self._client.version, request.request_id, listing, details))
        self._client.send(messages.contract_details_end(request.request_id))

    def _market_rule(self, request: requests.MarketRule) -> None:
        steps = self._client.exchange.market.rules().get(request.rule_id)
        if steps is None:
            self._client.error(-1, 321, f"Error validating request: unknown market rule {request.rule_id}")
            return
        self._client.send(messages.market_rule(request.rule_id, steps))

    def _set_kind(self, request: requests.SetMarketDataType) -> None:
        self._wanted_kind = request.kind

    def _subscribe(self, request: requests.Quotes) -> None:
        limit = self._client.exchange.setup.gateway.max_market_data_lines
        listing = self._client.exchange.market.find(request.contract)
        if request.request_id in self._lines:
            self._client.error(request.request_id, 102, "Duplicate ticker ID")
        elif listing is None:
            self._client.error(request.request_id, 200, _UNKNOWN)
        elif len(self._client.exchange.lines) >= limit:
            self._client.error(request.request_id, 101, "Max number of tickers has been reached")
        else:
            self._start(request, listing)

    def _start(self, request: requests.Quotes, listing: Listing) -> None:
        request_id, answer = request.request_id, self._behaviour.line(listing.symbol)
        if answer.notice:
            self._client.error(request_id, answer.notice.code, answer.notice.text)
        if not answer.ticks:
            return
        line = _Line(listing, self._kind() if answer.kind == _LIVE else answer.kind)
        self._client.send(messages.market_data_type(request_id, line.kind))
        self._client.send(messages.tick_parameters(request_id, listing))
        self._show(request_id, line)
        if request.snapshot:
            self._client.send(messages.tick_snapshot_end(request_id))
        else:
            self._lines[request_id] = line
            self._client.exchange.lines.add((self._client.client_id, request_id))

    def _show(self, request_id: int, line: _Line) -> None:
        quote = self._behaviour.quote(self._client.exchange.market.quote(line.listing.symbol))
        if quote is None:
            return
        ticks = messages.quote_ticks if line.close == quote.close else messages.first_ticks
        line.close = quote.close
        if (halted := self._behaviour.halted(line.listing.symbol)) is not line.halted:
            line.halted = halted
            self._client.send(messages.tick_halted(request_id, halted=halted))
        for message in ticks(request_id, quote):
            self._client.send(messages.as_delayed(message) if line.kind == _DELAYED else message)

    def _kind(self) -> int:
        """Frozen quotes only when asked for and the market is closed; our subscription is always live."""
        exchange = self._client.exchange
        closed = not exchange.hours.is_open(exchange.clock())
        return _FROZEN if closed and self._wanted_kind in (2, 4) else _LIVE

    def _cancel(self, request: requests.CancelQuotes) -> None:
        if self._lines.pop(request.request_id, None) is None:
            self._client.error(request.request_id, 300, f"Can't find EId with tickerId:{request.request_id}")
        self._client.exchange.lines.discard((self._client.client_id, request.request_id))


def _details(listing: Listing, exchange: Exchange, rule_id: int) -> messages.Details:
    wish, now = listing.spec.hours, exchange.clock()
    if wish == "none":
        return messages.Details("", "", "", rule_id)
    hours = Hours(exchange.setup.market, wish)
    return messages.Details(hours.zone_name, hours.trading(now), hours.liquid(now), rule_id)
