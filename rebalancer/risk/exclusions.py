"""Holdings that are neither traded nor counted: the owner's own, what cannot be traded now, and what is no US stock."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from rebalancer.domain.errors import GatewayUnavailable, Refused
from rebalancer.domain.money import ONE, ZERO, cents
from rebalancer.domain.portfolio import AccountSnapshot, Position, Quote, TargetWeight
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import NO_USD, Ratio, Usd
from rebalancer.planning.checks import check_quotes, exact_arithmetic
from rebalancer.risk.kept_shares import NOTHING_KEPT, Kept, rest_of

NOTHING_LEFT: Mapping[str, str] = {}
_NOTED_FROM = Decimal("0.01")
"""Of equity: what cash in other currencies makes less is worth a note, rounding is not."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two answers of the broker that should agree, USD.

    Attributes:
        what: the figure in words.
    """

    what: str
    told: Usd
    known: Usd


@dataclass(frozen=True, slots=True)
class Remainder:
    """The account as the plan sees it.

    Attributes:
        snapshot: equity and cash to invest, and the positions that the plan may trade.
        cover: USD that would buy back the shorts that were set apart; no part of the snapshot's cash.
        gaps: the broker's figures and what is known to make them up, USD, where nothing of unknown value could.
        unquoted: stocks in USD that were set apart and so have no quote.
        beside_unquoted: the broker's figure that they are part of, and what else is known to make it up; ``None`` where
            an option or another currency's stock may be part of it.
        kept: shares by symbol that were taken out of positions that are traded.
        notes: what was set apart, for a person.
    """

    snapshot: AccountSnapshot
    weights: tuple[TargetWeight, ...]
    cover: Usd = NO_USD
    gaps: tuple[Disagreement, ...] = ()
    unquoted: tuple[Position, ...] = ()
    beside_unquoted: Disagreement | None = None
    kept: Kept = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def set_apart(
    snapshot: AccountSnapshot,
    weights: Sequence[TargetWeight],
    quotes: Mapping[str, Quote],
    hold: Collection[str],
    left_alone: Mapping[str, str] = NOTHING_LEFT,
    *,
    kept: Kept = NOTHING_KEPT,
) -> Remainder:
    """Take out of positions, equity and targets what is on ``hold`` or ``left_alone``; the weight of such a target
    stays cash. Of it no quote is needed: equity to invest is the USD cash and the stocks that may be traded, or the
    broker's equity where that is less. What would buy back a short position that was set apart is no cash to invest.

    Args:
        quotes: of every holding that is not set apart; of shorts that are, where there is one.
        left_alone: why, by symbol.
        kept: shares that are set apart of what is traded otherwise.

    Raises:
        QuoteUnavailable: the value of a holding is unknown.
        Refused: ``numbers_out_of_range``.
    """
    apart = dict.fromkeys(hold, "on hold, neither counted nor traded")
    apart |= {symbol: f"left alone, neither counted nor traded: {why}" for symbol, why in left_alone.items()}
    shares = {symbol: count for symbol, count in kept.items() if symbol not in apart}
    check_quotes(shares, quotes)
    told = {one.symbol: one.quantity for one in snapshot.positions if one.tradable}
    snapshot = rest_of(snapshot, shares, quotes)
    stocks = [entry for entry in snapshot.positions if entry.tradable and entry.quantity]
    whole = [entry for entry in stocks if entry.symbol in apart]
    others = [entry for entry in snapshot.positions if not entry.tradable and entry.quantity]
    traded = [entry for entry in stocks if entry.symbol not in apart]
    check_quotes({entry.symbol for entry in traded}, quotes)
    with exact_arithmetic():
        value = Usd(sum((entry.quantity * quotes[entry.symbol].mid for entry in traded), ZERO))
        known = Usd(snapshot.cash + (snapshot.other_cash or ZERO) + snapshot.accrued + value)
        gap = snapshot.net_liquidation - known
        cover = _cover(whole, quotes, gap)
        cash = Usd(snapshot.cash - cover)
        equity = min(snapshot.net_liquidation, Usd(cash + value))
        elsewhere = [entry for entry in others if (entry.security_type, entry.currency) == ("STK", "USD")]
        unquoted = (*whole, *elsewhere)
        of_stocks, of_equity = _figures(snapshot, value, known)
        more = len(others) > len(elsewhere)
        everything = not whole and not others and not shares
        about_equity = _about_equity(snapshot.net_liquidation, equity, everything=everything)
    remaining = replace(
        snapshot,
        net_liquidation=equity,
        cash=cash,
        positions=tuple(entry for entry in snapshot.positions if not any(entry is one for one in whole)),
    )
    named = [entry for entry in weights if entry.symbol in apart and entry.weight]
    return Remainder(
        snapshot=remaining,
        weights=tuple(entry for entry in weights if entry.symbol not in apart),
        cover=cover,
        gaps=tuple(_gaps(of_equity, of_stocks, unquoted, others=more)),
        unquoted=unquoted,
        beside_unquoted=of_stocks or (None if more else of_equity),
        kept=shares,
        notes=(
            *(f"{entry.symbol}: {entry.quantity} shares are {apart[entry.symbol]}" for entry in whole),
            *(
                f"{symbol}: {count} of {told.get(symbol, ZERO)} shares are kept apart, neither counted nor traded"
                for symbol, count in sorted(shares.items())
            ),
            *about_equity,
            *(
                f"{entry.symbol}: its target weight of {entry.weight} stays cash, the symbol is set apart"
                for entry in named
            ),
        ),
    )


def check_agreement(left: Remainder, net_liquidation: Usd, tolerance: Ratio) -> None:
    """Refuse an account whose equity its cash and holdings do not make up: a list that is short, values that are stale,
    a split that is booked by half.

    Args:
        net_liquidation: the broker's, USD.
        tolerance: fraction of it; prices move between two answers.

    Raises:
        Refused: ``equity_disagrees``.
    """
    for gap in left.gaps:
        _agree(gap, net_liquidation, tolerance)


def check_marks(left: Remainder, marks: Mapping[int, Usd], net_liquidation: Usd, tolerance: Ratio) -> None:
    """Refuse an account whose equity is not made up with what was set apart either, at the broker's own value of that:
    a position that the list hides must not pass for what another is worth.

    Args:
        marks: of each holding in USD, by contract id.
        net_liquidation: the broker's, USD.
        tolerance: fraction of it.

    Raises:
        GatewayUnavailable: the broker lists a stock and does not say what it is worth.
        Refused: ``equity_disagrees``.
    """
    unmarked = ", ".join(sorted(one.symbol for one in left.unquoted if one.contract_id not in marks))
    if unmarked:
        raise GatewayUnavailable(f"the broker lists {unmarked} and does not say what that is worth")
    if left.beside_unquoted is not None:
        worth = sum((marks[one.contract_id] for one in left.unquoted), left.beside_unquoted.known)
        _agree(replace(left.beside_unquoted, known=Usd(worth)), net_liquidation, tolerance)


def _agree(figure: Disagreement, net_liquidation: Usd, tolerance: Ratio) -> None:
    if abs(figure.told - figure.known) > tolerance * net_liquidation + ONE:
        told, known = cents(figure.told), cents(figure.known)
        reason = f"the broker's {figure.what} is {told} USD, its own cash and positions make up {known} USD"
        raise Refused(Rule.EQUITY_DISAGREES, reason, {"told": str(told), "known": str(known)})


def _figures(snapshot: AccountSnapshot, stocks: Usd, known: Usd) -> tuple[Disagreement | None, Disagreement]:
    """What the broker says of the stocks in USD, if it does, and of the equity, beside what is known."""
    told = snapshot.stock_value
    of_stocks = None if told is None else Disagreement("value of the stocks", told, stocks)
    return of_stocks, Disagreement("net liquidation value", snapshot.net_liquidation, known)


def _gaps(
    equity: Disagreement, stocks: Disagreement | None, unquoted: Sequence[Position], *, others: bool
) -> Iterator[Disagreement]:
    """Options and futures can be worth either sign, a stock that was set apart the sign of its quantity."""
    if not others and not _explain(unquoted, equity):
        yield equity
    if stocks is not None and not _explain(unquoted, stocks):
        yield stocks


def _explain(unpriced: Iterable[Position], gap: Disagreement) -> bool:
    return any((entry.quantity > 0) is (gap.told > gap.known) for entry in unpriced)


def _cover(kept: Iterable[Position], quotes: Mapping[str, Quote], gap: Decimal) -> Usd:
    """USD that buy back the shorts among ``kept``. Without a quote: what they brought, or what the equity lacks."""
    shorts = [entry for entry in kept if entry.quantity < 0]
    if not shorts:
        return NO_USD
    quoted = Usd(sum((-entry.quantity * quotes[entry.symbol].ask for entry in shorts if entry.symbol in quotes), ZERO))
    unquoted = [entry for entry in shorts if entry.symbol not in quotes]
    if not unquoted:
        return quoted
    brought = sum((-entry.quantity * entry.average_cost for entry in unquoted), ZERO)
    return Usd(quoted + max(brought, -gap - quoted))


def _about_equity(before: Usd, after: Usd, *, everything: bool) -> tuple[str, ...]:
    """A note where the plan's equity is not the broker's."""
    if everything and before - after <= _NOTED_FROM * before:
        return ()
    return (f"the equity of this plan is USD cash and US stocks that may be traded only, {cents(after)} USD",)
