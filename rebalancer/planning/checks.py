"""Refuse what justifies no order, naming the rule and the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal, localcontext

from rebalancer.domain.errors import QuoteUnavailable, Refused
from rebalancer.domain.money import EXACT, ONE, ZERO
from rebalancer.domain.portfolio import AccountSnapshot, Quote, TargetWeight
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import Ratio, Shares, Usd
from rebalancer.planning.rules import PlanningRules

MAXIMUM_WEIGHT_SUM = Decimal("1.01")


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Compute independently of the caller's decimal context.

    Raises:
        Refused: ``numbers_out_of_range``, a number is too large or too small to compute with.
    """
    try:
        with localcontext(EXACT):
            yield
    except ArithmeticError as error:
        raise Refused(Rule.NUMBERS_OUT_OF_RANGE, f"a number is beyond computing: {type(error).__name__}") from error


def check_weights(weights: Sequence[TargetWeight], minimum_sum: Ratio) -> None:
    """Check target weights, fractions 0-1, before anything is derived from them.

    Raises:
        Refused: ``allocations_empty``, ``allocations_duplicate``, ``allocations_range``, ``allocations_sum``.
    """
    if not weights:
        raise Refused(Rule.ALLOCATIONS_EMPTY, "there are no target weights: nothing would be held")
    _check_unique(weights)
    with exact_arithmetic():
        _check_range(weights)
        _check_sum(weights, minimum_sum)


def check_rules(rules: PlanningRules) -> None:
    """Refuse rules that would defeat the plan: ``reserve_range``, ``planning_rules``."""
    if not rules.reserve_fraction.is_finite() or not ZERO <= rules.reserve_fraction <= ONE:
        raise Refused(
            Rule.RESERVE_RANGE,
            f"the cash reserve is {rules.reserve_fraction} of equity, allowed is 0 to 1",
            {"reserve_fraction": str(rules.reserve_fraction)},
        )
    amounts = {
        "share_threshold": rules.share_threshold,
        "drift_band": rules.drift_band,
        "relative_band": rules.relative_band,
        "reserve_amount": rules.reserve_amount,
        "parked": rules.parked,
        "price_margin": rules.price_margin,
        "minimum_weight_sum": rules.minimum_weight_sum,
        "fees.per_share": rules.fees.per_share,
        "fees.minimum": rules.fees.minimum,
        "fees.maximum_rate": rules.fees.maximum_rate,
    }
    wrong = {name: str(value) for name, value in amounts.items() if not value.is_finite() or value < 0}
    if wrong:
        raise Refused(Rule.PLANNING_RULES, f"negative or not a number: {_listing(wrong)}", wrong)


def check_reserve(equity: Usd, rules: PlanningRules) -> None:
    """Refuse a fixed reserve that leaves nothing to hold: ``reserve_exceeds_equity``."""
    if rules.reserve_amount and rules.reserve(equity) >= equity:
        reason = f"cash of {rules.reserve(equity)} USD is to be kept or raised, equity is {equity} USD"
        numbers = {"reserve": str(rules.reserve(equity)), "equity": str(equity)}
        raise Refused(Rule.RESERVE_EXCEEDS_EQUITY, reason, numbers)


def check_account(snapshot: AccountSnapshot) -> None:
    """Refuse an account whose equity or cash is unknown: ``equity_not_positive``, ``cash_missing``."""
    equity = snapshot.net_liquidation
    if not equity.is_finite() or equity <= 0:
        raise Refused(Rule.EQUITY_NOT_POSITIVE, f"equity is {equity} USD", {"equity": str(equity)})
    if not snapshot.cash.is_finite():
        raise Refused(Rule.CASH_MISSING, f"cash is {snapshot.cash} USD", {"cash": str(snapshot.cash)})


def holdings(snapshot: AccountSnapshot) -> dict[str, Shares]:
    """Shares of US stocks by symbol, signed; closed positions are left out.

    Raises:
        Refused: ``position_invalid``, ``positions_ambiguous``: a symbol stands for two contracts.
    """
    held: dict[str, Shares] = {}
    for position in snapshot.positions:
        if not position.tradable:
            continue
        if not position.quantity.is_finite():
            numbers = {position.symbol: str(position.quantity)}
            raise Refused(Rule.POSITION_INVALID, f"{position.symbol} has a quantity of {position.quantity}", numbers)
        if position.quantity == 0:
            continue
        if position.symbol in held:
            raise Refused(Rule.POSITIONS_AMBIGUOUS, f"{position.symbol} is held twice under the same symbol")
        held[position.symbol] = position.quantity
    return held


def check_quotes(symbols: Iterable[str], quotes: Mapping[str, Quote]) -> None:
    """Require a two-sided quote of each symbol.

    Raises:
        QuoteUnavailable: naming every symbol without one and what it has instead.
    """
    problems = [problem for symbol in sorted(symbols) if (problem := _quote_problem(symbol, quotes.get(symbol)))]
    if problems:
        raise QuoteUnavailable("no usable quote: " + ", ".join(problems))


def _check_unique(weights: Sequence[TargetWeight]) -> None:
    counts = Counter(entry.symbol for entry in weights)
    repeated = {symbol: str(count) for symbol, count in sorted(counts.items()) if count > 1}
    if repeated:
        raise Refused(Rule.ALLOCATIONS_DUPLICATE, f"more than one target weight: {_listing(repeated)}", repeated)


def _check_range(weights: Sequence[TargetWeight]) -> None:
    wrong = {
        entry.symbol: str(entry.weight)
        for entry in weights
        if not entry.weight.is_finite() or not ZERO <= entry.weight <= ONE
    }
    if wrong:
        reason = f"target weights outside 0 to 1: {_listing(wrong)}{_percent_hint(weights)}"
        raise Refused(Rule.ALLOCATIONS_RANGE, reason, wrong)


def _check_sum(weights: Sequence[TargetWeight], minimum: Ratio) -> None:
    total = sum((entry.weight for entry in weights), ZERO)
    if minimum <= total <= MAXIMUM_WEIGHT_SUM:
        return
    reason = f"the target weights sum to {total:.4f}, allowed is {minimum} to {MAXIMUM_WEIGHT_SUM}"
    numbers = {"sum": str(total), "minimum": str(minimum), "maximum": str(MAXIMUM_WEIGHT_SUM)}
    raise Refused(Rule.ALLOCATIONS_SUM, reason + _percent_hint(weights), numbers)


def _percent_hint(weights: Sequence[TargetWeight]) -> str:
    if not all(entry.weight.is_finite() and entry.weight >= 0 for entry in weights):
        return ""
    like_percent = 50 <= sum((entry.weight for entry in weights), ZERO) <= 150
    return "; they look like percent, fractions are expected" if like_percent else ""


def _quote_problem(symbol: str, quote: Quote | None) -> str | None:
    if quote is None:
        return f"{symbol} (none)"
    usable = quote.bid.is_finite() and quote.ask.is_finite() and 0 < quote.bid <= quote.ask
    return None if usable else f"{symbol} (bid {quote.bid}, ask {quote.ask})"


def _listing(numbers: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in numbers.items())
