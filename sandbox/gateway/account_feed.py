"""One client's subscriptions to positions and account values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from sandbox.gateway import messages, requests
from sandbox.gateway.account_values import LEDGER_PREFIX, AccountValue, ledger, summary, update_values
from sandbox.gateway.client import Client, Handlers
from sandbox.gateway.exchange_accounts import Holding
from sandbox.gateway.exchange_events import AccountChanged
from sandbox.gateway.wire import Message

_NOTHING = Holding(Decimal(0), Decimal(0))


@dataclass(slots=True)
class _Values:
    """The values of one account that a subscription has sent, so that only changes follow."""

    account: str
    compute: Callable[[str], Iterable[AccountValue]]
    write: Callable[[str, AccountValue], Message]
    sent: dict[tuple[str, str], str] = field(default_factory=dict)

    def news(self) -> list[Message]:
        """Messages for what differs from what was sent."""
        changed = [
            value for value in self.compute(self.account) if self.sent.get((value.key, value.currency)) != value.value
        ]
        self.sent.update({(value.key, value.currency): value.value for value in changed})
        return [self.write(self.account, value) for value in changed]


class AccountFeed:
    """Answers for accounts and pushes what changes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._positions = False
        self._positions_multi: dict[int, str] = {}
        self._updates: _Values | None = None
        self._multi: dict[int, _Values] = {}
        self._summaries: dict[int, list[_Values]] = {}

    def handlers(self) -> Handlers:
        """Requests served here."""
        return {
            requests.ManagedAccounts: lambda _request: self._send(messages.managed_accounts(self._accounts())),
            requests.Positions: self._start_positions,
            requests.CancelPositions: self._stop_positions,
            requests.PositionsMulti: self._start_positions_multi,
            requests.CancelPositionsMulti: lambda request: self._positions_multi.pop(request.request_id, None),
            requests.AccountUpdates: self._account_updates,
            requests.AccountUpdatesMulti: self._start_multi,
            requests.CancelAccountUpdatesMulti: lambda request: self._multi.pop(request.request_id, None),
            requests.AccountSummary: self._start_summary,
            requests.CancelAccountSummary: lambda request: self._summaries.pop(request.request_id, None),
        }

    def changed(self, event: AccountChanged) -> None:
        """Push what a fill or a payment changed, at once."""
        if event.symbol is not None:
            self._position_changed(event.account, event.symbol)
        if self._updates and self._updates.account == event.account:
            self._send_updates(self._updates, [event.symbol] if event.symbol else [])
        for values in self._multi.values():
            if values.account == event.account:
                self._send_all(values.news())

    def _position_changed(self, account: str, symbol: str) -> None:
        if self._positions:
            self._send(self._position(account, symbol))
        for request_id, other in self._positions_multi.items():
            if other == account:
                self._send(self._position_multi(request_id, account, symbol))

    def refresh(self) -> None:
        """Push what time and quotes changed; IBKR does so every three minutes."""
        if self._updates:
            self._send_updates(self._updates, self._held(self._updates.account))
        for values in self._multi.values():
            self._send_all(values.news())
        for request_id, subscribed in self._summaries.items():
            news = [message for values in subscribed for message in values.news()]
            if news:
                self._send_all([*news, messages.end_of(64, request_id)])

    def _start_positions(self, _request: requests.Positions) -> None:
        self._positions = True
        for account in self._accounts():
            self._send_all(self._position(account, symbol) for symbol in self._held(account))
        self._send(messages.position_end())

    def _stop_positions(self, _request: requests.CancelPositions) -> None:
        self._positions = False

    def _start_positions_multi(self, request: requests.PositionsMulti) -> None:
        account = self._checked(request.request_id, request.account)
        if account:
            held = [] if request.model_code else self._held(account)  # nobody here has a model
            if not request.model_code:
                self._positions_multi[request.request_id] = account
            self._send_all(self._position_multi(request.request_id, account, symbol) for symbol in held)
            self._send(messages.end_of(72, request.request_id))

    def _account_updates(self, request: requests.AccountUpdates) -> None:
        account = self._checked(-1, request.account)
        if not request.subscribe:
            self._updates = None
        elif account:
            if self._updates and self._updates.account != account:
                self._client.error(-1, 2100, "API client has been unsubscribed from account data.")
            self._updates = _Values(account, self._all_values, messages.account_value)
            self._send_updates(self._updates, self._held(account))
            self._send(messages.account_download_end(account))

    def _send_updates(self, values: _Values, symbols: Iterable[str]) -> None:
        exchange = self._client.exchange
        valuation = exchange.views.of(values.account).books
        self._send_all(values.news())
        shown = [symbol for symbol in symbols if symbol in valuation.state.holdings]
        self._send_all(messages.portfolio_value(exchange.market.listing(symbol), valuation) for symbol in shown)
        self._send(messages.account_time(exchange.clock()))

    def _start_multi(self, request: requests.AccountUpdatesMulti) -> None:
        account = self._checked(request.request_id, request.account)
        if account is None:
            return
        request_id = request.request_id
        values = _Values(
            account,
            self._ledger_and_equity if request.ledger_only else self._all_values,
            lambda account, value: messages.account_update_multi(request_id, account, value),
        )
        self._multi[request_id] = values
        self._send_all(values.news())
        self._send(messages.end_of(74, request_id))

    def _start_summary(self, request: requests.AccountSummary) -> None:
        limit = self._client.exchange.setup.gateway.max_account_summaries
        request_id, tags = request.request_id, request.tags
        if request_id in self._summaries:
            self._client.error(request_id, 322, "Error processing request: duplicate ticker id")
        elif len(self._summaries) >= limit:
            text = f"Error processing request: Maximum number of account summary requests ({limit}) exceeded"
            self._client.error(request_id, 322, text)
        elif request.group != "All":
            self._client.error(request_id, 321, f"Error validating request: unknown group {request.group}")
        else:
            self._summaries[request_id] = [self._summary(request_id, account, tags) for account in self._accounts()]
            self._send_all(message for values in self._summaries[request_id] for message in values.news())
            self._send(messages.end_of(64, request_id))

    def _summary(self, request_id: int, account: str, tags: tuple[str, ...]) -> _Values:
        return _Values(
            account,
            lambda account: summary(self._client.exchange.views.of(account), tags),
            lambda account, value: messages.account_summary(request_id, account, value),
        )

    def _all_values(self, account: str) -> Iterable[AccountValue]:
        return update_values(self._client.exchange.views.of(account), self._prefix)

    def _ledger_and_equity(self, account: str) -> Iterable[AccountValue]:
        view = self._client.exchange.views.of(account)
        return (*ledger(view, self._prefix), *summary(view, ["NetLiquidation"]))

    @property
    def _prefix(self) -> str:
        return LEDGER_PREFIX if self._client.exchange.setup.gateway.ledger_prefix else ""

    def _checked(self, request_id: int, account: str) -> str | None:
        """The account, the only one when none is named; ``None`` after an error reply."""
        accounts = self._accounts()
        if account in accounts:
            return account
        if not account and len(accounts) == 1:
            return accounts[0]
        self._client.error(request_id, 321, f"Error validating request: Invalid account code {account!r}")
        return None

    def _position(self, account: str, symbol: str) -> Message:
        holding = self._holding(account, symbol)
        listing = self._client.exchange.market.listing(symbol)
        return messages.position(account, listing, holding.quantity, holding.average_cost)

    def _position_multi(self, request_id: int, account: str, symbol: str) -> Message:
        holding = self._holding(account, symbol)
        listing = self._client.exchange.market.listing(symbol)
        return messages.position_multi(request_id, account, listing, holding.quantity, holding.average_cost)

    def _holding(self, account: str, symbol: str) -> Holding:
        return self._client.exchange.views.holdings(account).get(symbol, _NOTHING)

    def _held(self, account: str) -> list[str]:
        holdings = self._client.exchange.views.holdings(account)
        return [symbol for symbol, holding in holdings.items() if holding.quantity]

    def _accounts(self) -> list[str]:
        return list(self._client.exchange.book.accounts)

    def _send(self, message: Message) -> None:
        self._client.send(message)

    def _send_all(self, several: Iterable[Message]) -> None:
        for message in several:
            self._client.send(message)
