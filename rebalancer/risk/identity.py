"""Which contract a symbol stands for: a ticker names several, a contract id with a US primary exchange one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rebalancer.domain.orders import Definitions, Instrument
from rebalancer.domain.symbols import Pin, is_american, is_cash, is_national, listed_at


@dataclass(frozen=True, slots=True)
class KnownContracts:
    """What the broker has said.

    Attributes:
        listings: by symbol, every stock in USD of that ticker, wherever it is listed.
        by_id: holdings and pinned contracts that are not among the listings; one without a definition is missing.
    """

    listings: Mapping[str, Sequence[Instrument]]
    by_id: Mapping[int, Instrument]

    def of(self, contract_id: int) -> Instrument | None:
        """Definition of a contract, by whatever symbol it goes."""
        listed = (one for several in self.listings.values() for one in several if one.contract_id == contract_id)
        return next(listed, None) or self.by_id.get(contract_id)


@dataclass(slots=True)
class _Draft:
    instruments: dict[str, Instrument] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    foreign: dict[int, str] = field(default_factory=dict)
    stale: dict[str, str] = field(default_factory=dict)


def identify(
    symbols: Collection[str], held: Mapping[int, str], known: KnownContracts, pins: Mapping[str, Pin]
) -> Definitions:
    """Choose the contract of each symbol, and say why where there is none.

    Args:
        held: the account's stocks in USD, contract id -> symbol.
        pins: by symbol, what the owner has decided.
    """
    draft, ours = _Draft(), dict[int, str]()
    for contract_id, symbol in held.items():
        one = known.of(contract_id)
        if one is not None and not is_american(one.primary_exchange):
            draft.foreign[contract_id] = f"contract {contract_id} is listed at {_exchange(one)}, not in the US"
        else:
            ours[contract_id] = symbol
    for symbol in sorted({*symbols, *ours.values()}):
        _choose(symbol, [key for key, name in ours.items() if name == symbol], known, pins.get(symbol), draft)
    for contract_id, symbol in ours.items():
        one = known.of(contract_id)
        if one is not None and one.symbol != symbol:
            _renamed(symbol, one, draft)
    return Definitions(draft.instruments, draft.unknown, draft.foreign, draft.stale)


def _choose(symbol: str, held: Sequence[int], known: KnownContracts, pin: Pin | None, draft: _Draft) -> None:
    if pin is None and is_cash(symbol):
        draft.unknown[symbol] = "means cash; a stock of that name has to be pinned under instruments: in accounts.yaml"
        return
    found = _listings(symbol, held, known)
    chosen = _pinned(symbol, pin, found, known) if pin else _only(found, held)
    if isinstance(chosen, str):
        draft.unknown[symbol] = chosen
    elif others := [contract_id for contract_id in held if contract_id != chosen.contract_id]:
        was = " and ".join(_named(contract_id, known.of(contract_id)) for contract_id in others)
        now = _named(chosen.contract_id, chosen)
        draft.stale[symbol] = f"is held as contract {was}, while {symbol} is contract {now}"
    else:
        draft.instruments[symbol] = chosen


def _listings(symbol: str, held: Sequence[int], known: KnownContracts) -> list[Instrument]:
    """Every contract of the symbol, held ones included, each once."""
    asked = [one for contract_id in held if (one := known.by_id.get(contract_id)) and one.symbol == symbol]
    return list({one.contract_id: one for one in (*known.listings.get(symbol, ()), *asked)}.values())


def _only(found: Iterable[Instrument], held: Sequence[int]) -> Instrument | str:
    """The held US listing, or the only one; else why there is none. Exchanges go before over the counter, where old
    lines of a stock end up.
    """
    every = list(found)
    american = [one for one in every if is_american(one.primary_exchange)]
    choice = [one for one in american if is_national(one.primary_exchange)] or american
    mine = [one for one in choice if one.contract_id in held]
    for several in (mine, choice):
        if len(several) == 1:
            return several[0]
    if choice:
        return f"is ambiguous: {_listed(choice)}"
    return f"is not listed in the US: {_listed(every)}" if every else "is unknown"


def _pinned(symbol: str, pin: Pin, found: Sequence[Instrument], known: KnownContracts) -> Instrument | str:
    if pin.contract_id is not None:
        one = known.of(pin.contract_id)
        if one is None:
            return f"is pinned to contract {pin.contract_id}, which is no stock in USD"
        if one.symbol != symbol:
            return f"is pinned to contract {pin.contract_id}, which is {one.symbol}"
        if not is_american(one.primary_exchange):
            return f"is pinned to contract {pin.contract_id}, which is listed at {_exchange(one)}, not in the US"
        return one
    there = [one for one in found if listed_at(one.primary_exchange) == listed_at(pin.exchange or "")]
    if len(there) == 1:
        return there[0]
    return f"is pinned to {pin.exchange}, but there are: {_listed(found) or 'none'}"


def _renamed(symbol: str, now: Instrument, draft: _Draft) -> None:
    """A holding that goes by another symbol than its position row: neither may be traded until both agree."""
    for name in (symbol, now.symbol):
        draft.instruments.pop(name, None)
        draft.unknown.pop(name, None)
        draft.stale[name] = f"contract {now.contract_id} is held as {symbol}, but is {now.symbol}"


def _named(contract_id: int, one: Instrument | None) -> str:
    return f"{contract_id} at {_exchange(one)}" if one else f"{contract_id}, which has no definition"


def _listed(several: Iterable[Instrument]) -> str:
    return ", ".join(_named(one.contract_id, one) for one in several)


def _exchange(one: Instrument) -> str:
    return one.primary_exchange or "no exchange"
