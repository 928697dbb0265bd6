"""Pairs of currencies with the dollar, as IBKR defines them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from ib_async import ContractDetails
from ib_async.wrapper import RequestError

from rebalancer.domain.currencies import USD
from rebalancer.domain.errors import GatewayUnavailable, Refused
from rebalancer.domain.orders import Instrument
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.ibkr import mapping
from rebalancer.ibkr.contracts import NO_ANSWER, Daily
from rebalancer.ibkr.session import GatewaySession


class PairCache:
    """What the broker has said of pairs today, by the currency that is not the dollar.

    Args:
        clock: aware UTC now.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._pairs: Daily[str, Instrument] = Daily()

    async def get(self, session: GatewaySession, currency: str) -> Instrument:
        """The pair of a currency and the dollar, in the one direction that there is.

        Raises:
            Refused: ``currency_pair_unknown``.
            GatewayUnavailable: definitions cannot be had now.
        """
        day = trading_day(self._clock())
        known = self._pairs.of([currency], day).get(currency)
        if known is not None:
            return known
        directions = (f"{currency}.{USD}", f"{USD}.{currency}")
        answers = await asyncio.gather(*(_details(session, symbol) for symbol in directions))
        found = [mapping.currency_pair(row) for answer in answers for row in answer]
        if len(found) != 1:
            if (lost := session.upstream.lost or session.upstream.definitions_lost) is not None:
                raise GatewayUnavailable(f"contract definitions are not available ({lost.code}): {lost.text}")
            reason = f"IBKR has {len(found) or 'no'} pairs of {currency} and {USD} at {mapping.CURRENCY_EXCHANGE}"
            raise Refused(Rule.CURRENCY_PAIR_UNKNOWN, reason, {"currency": currency})
        self._pairs.put({currency: found[0]}, day)
        return found[0]


async def _details(session: GatewaySession, symbol: str) -> list[ContractDetails]:
    try:
        found: list[ContractDetails] = await session.ib.reqContractDetailsAsync(
            mapping.contract(symbol, 0, mapping.EXCHANGED)
        )
    except RequestError as error:
        if error.code in NO_ANSWER:
            return []
        raise GatewayUnavailable(f"no definition of {symbol}, code {error.code}: {error.message}") from error
    return found
