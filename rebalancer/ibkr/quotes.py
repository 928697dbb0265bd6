"""Standing quote subscriptions, shared by every account that the process serves."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice

from rebalancer.domain.errors import QuoteUnavailable
from rebalancer.domain.orders import Instrument
from rebalancer.domain.portfolio import MarketDataType, Quote
from rebalancer.ibkr import mapping
from rebalancer.ibkr.codes import NOT_DEFINED, classify
from rebalancer.ibkr.messages import ErrorMessage, Message
from rebalancer.ibkr.options import BrokerOptions
from rebalancer.ibkr.quote_line import QuoteLine
from rebalancer.ibkr.session import GatewaySession

_TOO_MANY = 101


class QuoteBoard:
    """The subscriptions of one session, least recently used first.

    A line that is too old is replaced by a new request, which IBKR answers with the present prices at once. Cancels of
    replaced and surplus lines wait for :meth:`trim`, after the orders: sent earlier they would take the orders' place
    in the second. When nobody has asked for a while all lines end: prices that nobody reads cost processor time all
    day, and other programs of the login may need the lines.

    Args:
        on_undefined: hears of contract ids that the broker does not know (any more).
    """

    def __init__(self, session: GatewaySession, options: BrokerOptions, on_undefined: Callable[[int], None]) -> None:
        self.session = session
        self._options = options
        self._on_undefined = on_undefined
        self._lines: OrderedDict[str, QuoteLine] = OrderedDict()
        self._by_request: dict[int, QuoteLine] = {}
        self._retired: list[int] = []
        self._ending: asyncio.TimerHandle | None = None
        session.ib.listening.hear(self._on_message, ErrorMessage)
        if options.requested_data_type is not MarketDataType.LIVE:
            session.ib.protocol.reqMarketDataType(mapping.DATA_TYPE_NUMBERS[options.requested_data_type])

    async def quotes(self, instruments: Mapping[str, Instrument], spare: Collection[str] = ()) -> dict[str, Quote]:
        """A usable quote of every symbol, as soon as the last of them has one. Where there are fewer lines than symbols
        those that stand are read first: whoever began with another would end them for it.

        Args:
            spare: symbols that are left out if they have none.

        Raises:
            QuoteUnavailable: naming every other symbol without one and what it had instead.
        """
        found: dict[str, Quote] = {}
        missing: dict[str, str] = {}
        symbols = iter(sorted(instruments, key=lambda symbol: not self._fresh(instruments[symbol])))
        while batch := tuple(islice(symbols, self._options.quote_lines_kept)):
            lines = self._lines_for({symbol: instruments[symbol] for symbol in batch})
            await self._wait(lines)
            for line in lines:
                quote = line.quote()
                if quote is None and line.symbol in spare:
                    continue
                if quote is None:
                    missing[line.symbol] = line.description()
                else:
                    found[line.symbol] = quote
        self._end_later()
        if missing:
            listing = "; ".join(f"{symbol}: {what}" for symbol, what in sorted(missing.items()))
            raise QuoteUnavailable(f"no usable two-sided quote for {listing}")
        return found

    def mistrust(self, symbols: Collection[str]) -> None:
        """Their lines end: a tick of them may have been lost, and a last close is told once."""
        for symbol in self._idle():
            if symbol in symbols:
                self._retire(symbol)

    def trim(self) -> None:
        """Cancel replaced and surplus subscriptions; nothing urgent may follow."""
        if self.session.alive:
            surplus = max(0, len(self._lines) - self._options.quote_lines_kept)
            for symbol in self._idle()[:surplus]:
                self._retire(symbol)
            self._cancel_retired()

    def _end_later(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        self._ending = asyncio.get_running_loop().call_later(self._options.quotes_kept_s, self._give_back)

    def _give_back(self) -> None:
        """All that nobody is waiting for."""
        if self.session.alive:
            for symbol in self._idle():
                self._retire(symbol)
            self._cancel_retired()

    def _lines_for(self, instruments: Mapping[str, Instrument]) -> list[QuoteLine]:
        stale = [symbol for symbol, instrument in instruments.items() if not self._fresh(instrument)]
        for symbol in stale:
            self._retire(symbol)
        self._make_room(len(stale), keep=instruments)
        for symbol in stale:
            self._open(instruments[symbol])
        for symbol in instruments:
            self._lines.move_to_end(symbol)
        return [self._lines[symbol] for symbol in instruments]

    def _fresh(self, instrument: Instrument) -> bool:
        line = self._lines.get(instrument.symbol)
        if line is None or line.contract_id != instrument.contract_id:
            return False
        if line.hopeless or line.epoch != self.session.upstream.quotes_epoch:
            return False
        asked_for_now = bool(line.on_change)
        return asked_for_now or (line.quote() is not None and line.age_s() <= self._options.quote_max_age_s)

    def _open(self, instrument: Instrument) -> None:
        ib = self.session.ib
        request_id = ib.client.getReqId()
        epoch = self.session.upstream.quotes_epoch
        line = QuoteLine(
            instrument.symbol, request_id, epoch, self._options.accepted_data_types, instrument.contract_id
        )
        self._lines[instrument.symbol] = self._by_request[request_id] = line
        ib.listening.tick_sinks[request_id] = line
        contract = mapping.contract(instrument.symbol, instrument.contract_id, instrument.security_type)
        ib.protocol.reqMktData(request_id, contract, "", False, False, [])

    def _retire(self, symbol: str) -> None:
        line = self._lines.pop(symbol, None)
        if line is None:
            return
        self._forget(line.request_id)
        if line.failure is None:
            self._retired.append(line.request_id)

    def _forget(self, request_id: int) -> None:
        del self._by_request[request_id]
        del self.session.ib.listening.tick_sinks[request_id]

    def _make_room(self, wanted: int, keep: Iterable[str]) -> None:
        """Only at the limit must cancels come first."""
        if len(self._lines) + len(self._retired) + wanted <= self._options.quote_lines:
            return
        self._cancel_retired()
        kept = frozenset(keep)
        surplus = len(self._lines) + wanted - self._options.quote_lines
        for symbol in [symbol for symbol in self._idle() if symbol not in kept][: max(0, surplus)]:
            self._retire(symbol)
        self._cancel_retired()

    def _idle(self) -> list[str]:
        """Symbols that no call is waiting for, least recently used first."""
        return [symbol for symbol, line in self._lines.items() if not line.on_change]

    def _cancel_retired(self) -> None:
        for request_id in self._retired:
            self.session.ib.protocol.cancelMktData(request_id)
        self._retired.clear()

    async def _wait(self, lines: list[QuoteLine]) -> None:
        pending = {line for line in lines if line.quote() is None and not line.hopeless}
        if not pending:
            return
        decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_change(line: QuoteLine) -> None:
            # A book that is crossed for a moment makes its symbol pending again.
            if line.hopeless or line.quote() is not None:
                pending.discard(line)
            else:
                pending.add(line)
            if not pending and not decided.done():
                decided.set_result(None)

        for line in lines:
            line.on_change.add(on_change)
        try:
            await asyncio.wait((decided,), timeout=self._options.quote_timeout_s)
        finally:
            for line in lines:
                line.on_change.discard(on_change)

    def _on_message(self, message: Message) -> None:
        if isinstance(message, ErrorMessage) and (line := self._by_request.get(message.request_id)):
            line.error(message, harmless=classify(message.code).harmless)
            if message.code == NOT_DEFINED:
                self._on_undefined(line.contract_id)
            if message.code == _TOO_MANY:
                self._give_back()  # other processes of the login need their share
