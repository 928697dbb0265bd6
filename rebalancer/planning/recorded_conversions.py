"""What decides on conversions, and what they are, as it goes on record and comes back from it: decimals as text."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rebalancer.domain.orders import Instrument, PriceStep
from rebalancer.domain.portfolio import BaseCurrency, ProposedOrder
from rebalancer.domain.units import Ratio, Usd
from rebalancer.planning.conversion import Exchange
from rebalancer.planning.conversion_terms import BackTerms, ConversionTerms
from rebalancer.planning.recorded import PLANNER, order_record, recorded_quotes

TERMS = "conversion"
"""Where the planner's inputs on record have what :func:`terms_record` gives."""


def terms_record(terms: ConversionTerms) -> dict[str, Any]:
    """All but the pair's quote, which is among the run's."""
    exchange, back = terms.exchange, terms.back
    record: dict[str, Any] = {
        "base": exchange.base.record(),
        "pair": _pair(exchange.instrument),
        "kept": str(exchange.kept),
        "collar": str(exchange.collar),
        "dollars": str(terms.dollars),
    }
    return record if back is None else record | {"back": _back(back)}


def recorded_terms(inputs: Mapping[str, Any]) -> ConversionTerms | None:
    """From a run's record; ``None`` where nothing could be converted, or its record is older than their keeping."""
    record = inputs.get(PLANNER, {}).get(TERMS)
    if record is None:
        return None
    base, pair = record["base"], record["pair"]
    exchange = Exchange(
        base=BaseCurrency(base["currency"], Decimal(base["rate"]), Decimal(base["cash"])),
        instrument=_read_pair(pair),
        quote=recorded_quotes(inputs)[pair["symbol"]],
        kept=Decimal(record["kept"]),
        collar=Ratio(Decimal(record["collar"])),
    )
    back = record.get("back")
    return ConversionTerms(exchange, Usd(Decimal(record["dollars"])), None if back is None else _read_back(back))


def conversion_record(
    exchange: Exchange, conversion: ProposedOrder | None, back: ProposedOrder | None
) -> dict[str, Any]:
    """Of a plan: what of the base currency counts, and the order for it. What is converted back is beside it, where
    something is.
    """
    record = {
        "currency": exchange.base.currency,
        "per_dollar": str(exchange.per_dollar),
        "kept": str(exchange.kept),
        "order": conversion and _exchanged(exchange, conversion),
    }
    return record if back is None else record | {"back": _exchanged(exchange, back)}


def _exchanged(exchange: Exchange, order: ProposedOrder) -> dict[str, Any]:
    return {**order_record(order), "usd": str(exchange.dollars(order))}


def _pair(pair: Instrument) -> dict[str, Any]:
    """As far as plans read it."""
    steps = [[str(one.edge), str(one.step)] for one in pair.price_steps]
    return {"symbol": pair.symbol, "lot": pair.lot, "min_tick": str(pair.min_tick), "price_steps": steps}


def _read_pair(record: Mapping[str, Any]) -> Instrument:
    return Instrument(
        symbol=record["symbol"],
        contract_id=0,
        primary_exchange="",
        min_tick=Decimal(record["min_tick"]),
        time_zone="",
        liquid_hours="",
        trading_hours="",
        price_steps=tuple(PriceStep(Decimal(edge), Decimal(step)) for edge, step in record["price_steps"]),
        lot=record["lot"],
        security_type="CASH",
    )


def _back(back: BackTerms) -> dict[str, Any]:
    return {
        "dollars": str(back.dollars),
        "proceeds_pay": back.proceeds_pay,
        "waits": list(back.waits),
        "waits_untraded": list(back.waits_untraded),
    }


def _read_back(record: Mapping[str, Any]) -> BackTerms:
    dollars, waits, untraded = Usd(Decimal(record["dollars"])), record["waits"], record["waits_untraded"]
    return BackTerms(dollars, record["proceeds_pay"], tuple(waits), tuple(untraded))
