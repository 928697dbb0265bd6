"""Contract definitions of US stocks and ETFs, kept for the day."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, date, datetime

from ib_async import ContractDetails
from ib_async.wrapper import RequestError

from rebalancer.errors import GatewayUnavailable, Refused
from rebalancer.ibkr import mapping
from rebalancer.ibkr.session import Session
from rebalancer.orders import Instrument

_NOT_FOUND = 200


class InstrumentCache:
    """Definitions by symbol; trading hours in them change from day to day."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[date, Instrument]] = {}

    async def get(self, session: Session, symbols: Collection[str]) -> dict[str, Instrument]:
        """Definitions of all symbols, the unknown ones asked for at once.

        Raises:
            Refused: ``symbol_unknown``, naming every unknown or ambiguous symbol.
            GatewayUnavailable: definitions cannot be had now; "unknown" would be a lie (2157 makes IBKR say 200).
        """
        today = datetime.now(UTC).date()
        missing = [symbol for symbol in dict.fromkeys(symbols) if self._kept.get(symbol, (None,))[0] != today]
        if missing:
            found = await asyncio.gather(*(_ask(session, symbol) for symbol in missing), return_exceptions=True)
            self._keep(session, dict(zip(missing, found, strict=True)), today)
        return {symbol: self._kept[symbol][1] for symbol in symbols}

    def _keep(self, session: Session, found: dict[str, list[Instrument] | BaseException], today: date) -> None:
        problems: dict[str, str] = {}
        for symbol, answer in found.items():
            if isinstance(answer, BaseException):
                raise answer
            if len(answer) == 1:
                self._kept[symbol] = (today, answer[0])
            else:
                problems[symbol] = _problem(answer)
        if not problems:
            return
        if (lost := session.upstream.lost or session.upstream.definitions_lost) is not None:
            raise GatewayUnavailable(f"contract definitions are not available ({lost.code}): {lost.text}")
        listing = "; ".join(f"{symbol} {problem}" for symbol, problem in problems.items())
        raise Refused("symbol_unknown", f"IBKR has no single US stock or ETF for: {listing}", problems)


async def _ask(session: Session, symbol: str) -> list[Instrument]:
    try:
        details: list[ContractDetails] = await session.ib.reqContractDetailsAsync(mapping.stock(symbol))
    except RequestError as error:
        if error.code == _NOT_FOUND:
            return []
        raise GatewayUnavailable(f"no definition of {symbol}, code {error.code}: {error.message}") from error
    found = {row.contract.conId: mapping.instrument(row) for row in details if row.contract}
    return [instrument for instrument in found.values() if instrument.symbol == symbol]


def _problem(answer: list[Instrument]) -> str:
    if not answer:
        return "is unknown"
    return "is ambiguous: " + ", ".join(f"{one.contract_id} at {one.primary_exchange}" for one in answer)
