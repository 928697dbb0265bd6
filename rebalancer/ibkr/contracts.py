"""Contract definitions of stocks and ETFs in USD, kept for the exchange's day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Generic, TypeVar

import ib_async
import structlog
from ib_async.wrapper import RequestError

from rebalancer.domain.errors import GatewayUnavailable, Refused
from rebalancer.domain.orders import Definitions, Instrument, PriceStep
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.symbols import Pin, is_american
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.ibkr import asking, mapping
from rebalancer.ibkr.codes import NOT_DEFINED
from rebalancer.ibkr.session import GatewaySession
from rebalancer.risk.identity import KnownContracts, identify

K = TypeVar("K")
V = TypeVar("V")
PriceSteps = tuple[PriceStep, ...]
log = structlog.get_logger()

NO_ANSWER = frozenset({NOT_DEFINED, 321})
"""321 refuses the form of a question, for example of a symbol with odd characters: asking again would not help."""
_RULE_PATIENCE_S = 2.0


class Daily(Generic[K, V]):
    """Values of one day of the exchange."""

    def __init__(self) -> None:
        self._kept: dict[K, tuple[date, V]] = {}

    def of(self, keys: Iterable[K], day: date) -> dict[K, V]:
        """Those that are known."""
        return {key: self._kept[key][1] for key in keys if key in self._kept and self._kept[key][0] == day}

    def put(self, found: Mapping[K, V], day: date) -> None:
        """Keep them for the rest of the day."""
        self._kept.update((key, (day, value)) for key, value in found.items())

    def drop(self, matches: Callable[[V], bool]) -> None:
        """Forget what matches."""
        self._kept = {key: kept for key, kept in self._kept.items() if not matches(kept[1])}


class InstrumentCache:
    """What the broker has said of contracts today: trading hours change from day to day, and so may contract ids.

    Args:
        clock: aware UTC now.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._listings: Daily[str, tuple[Instrument, ...]] = Daily()
        self._rules: Daily[int, PriceSteps] = Daily()

    async def define(
        self, session: GatewaySession, symbols: Collection[str], held: Mapping[int, str], pins: Mapping[str, Pin]
    ) -> Definitions:
        """Which contract each symbol stands for, the unknown ones asked for at once.

        Args:
            held: contract id -> symbol.
            pins: what the owner has decided.

        Raises:
            GatewayUnavailable: definitions cannot be had now; "unknown" would be a lie (2157 makes IBKR say 200).
        """
        day = trading_day(self._clock())
        wanted = dict.fromkeys((*symbols, *held.values()))
        ids = {pin.contract_id: symbol for symbol, pin in pins.items() if symbol in wanted and pin.contract_id}
        listings = await self._ask_symbols(session, wanted, day)
        by_id = await self._ask_ids(session, {**ids, **held}, listings, day)
        found = identify(symbols, held, KnownContracts(listings, by_id), pins)
        doubtful = found.unknown or found.stale
        if doubtful and (lost := session.upstream.lost or session.upstream.definitions_lost) is not None:
            raise GatewayUnavailable(f"contract definitions are not available ({lost.code}): {lost.text}")
        return found

    async def get(
        self, session: GatewaySession, symbols: Collection[str], pins: Mapping[str, Pin]
    ) -> dict[str, Instrument]:
        """Definitions of all symbols, for whoever holds none of them.

        Raises:
            Refused: ``symbol_unknown``, naming every unknown or ambiguous symbol.
            GatewayUnavailable: as :meth:`define`.
        """
        found = await self.define(session, symbols, {}, pins)
        if found.unknown:
            listing = "; ".join(f"{symbol} {problem}" for symbol, problem in found.unknown.items())
            reason = f"IBKR has no single US stock or ETF for: {listing}"
            raise Refused(Rule.SYMBOL_UNKNOWN, reason, dict(found.unknown))
        return {symbol: found.instruments[symbol] for symbol in symbols}

    def drop(self, contract_id: int) -> None:
        """The broker does not know the contract any more: ask anew the next time."""
        self._listings.drop(lambda several: any(one.contract_id == contract_id for one in several))

    async def _ask_symbols(
        self, session: GatewaySession, symbols: Iterable[str], day: date
    ) -> dict[str, tuple[Instrument, ...]]:
        """Every listing of each symbol; those without any are asked for again the next time."""
        known = self._listings.of(symbols, day)
        missing = [symbol for symbol in symbols if symbol not in known]
        answers = await self._ask(session, [mapping.stock(symbol) for symbol in missing], day)
        found = {
            symbol: mine
            for symbol, answer in zip(missing, answers, strict=True)
            if (mine := tuple(one for one in answer if one.symbol == symbol))
        }
        self._listings.put(found, day)
        return known | found

    async def _ask_ids(
        self,
        session: GatewaySession,
        wanted: Mapping[int, str],
        listings: Mapping[str, tuple[Instrument, ...]],
        day: date,
    ) -> dict[int, Instrument]:
        """Definitions of contracts that the search by their symbol has not brought.

        What is found becomes a listing of its symbol: whoever does not hold it has to see that there are two.
        """
        listed = {one.contract_id for several in listings.values() for one in several}
        missing = [contract_id for contract_id in wanted if contract_id not in listed]
        answers = await self._ask(session, [ib_async.Contract(conId=contract_id) for contract_id in missing], day)
        found = {one.contract_id: one for answer in answers for one in answer if one.contract_id in missing}
        for one in found.values():
            known = self._listings.of([one.symbol], day).get(one.symbol)
            if known is not None:
                self._listings.put({one.symbol: (*known, one)}, day)
        return found

    async def _ask(
        self, session: GatewaySession, contracts: Iterable[ib_async.Contract], day: date
    ) -> list[list[Instrument]]:
        """What each contract stands for; those that have no definition stand for none.

        Raises:
            GatewayUnavailable: the gateway refused a question for another reason.
        """
        answers = await asyncio.gather(*(_details(session, one) for one in contracts))
        american = [row for answer in answers for row in answer if is_american(row[0].primary_exchange)]
        rules = await self._ask_rules(session, {rule_id for _, rule_id in american if rule_id is not None}, day)
        return [
            [replace(one, price_steps=rules.get(rule_id or 0, ())) for one, rule_id in answer] for answer in answers
        ]

    async def _ask_rules(self, session: GatewaySession, rule_ids: Iterable[int], day: date) -> dict[int, PriceSteps]:
        """Market rules; one that stays unanswered counts as none for the day."""
        known = self._rules.of(rule_ids, day)
        missing = [rule_id for rule_id in rule_ids if rule_id not in known]
        patience_s = min(_RULE_PATIENCE_S, session.options.request_timeout_s / 2)
        answers = await asyncio.gather(*(asking.market_rule(session, rule_id, patience_s) for rule_id in missing))
        found = dict(zip(missing, answers, strict=True))
        for rule_id, steps in found.items():
            if not steps:
                log.warning("market_rule_unanswered", rule_id=rule_id)
        self._rules.put(found, day)
        return known | found


async def _details(session: GatewaySession, contract: ib_async.Contract) -> list[tuple[Instrument, int | None]]:
    """Usable definitions with the numbers of their market rules, each contract once."""
    try:
        details: list[ib_async.ContractDetails] = await session.ib.reqContractDetailsAsync(contract)
    except RequestError as error:
        if error.code in NO_ANSWER:
            return []
        what = contract.symbol or f"contract {contract.conId}"
        raise GatewayUnavailable(f"no definition of {what}, code {error.code}: {error.message}") from error
    found: dict[int, tuple[Instrument, int | None]] = {}
    for row in details:
        try:
            one = mapping.instrument(row)
        except ValueError as unusable:
            log.warning("contract_definition_unusable", reason=str(unusable))
        else:
            found[one.contract_id] = (one, mapping.market_rule_id(row))
    return list(found.values())
