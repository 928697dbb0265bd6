"""The gate on inputs: what justifies no order, whatever the plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.errors import Refused
from rebalancer.domain.portfolio import MarketDataType, Quote, Targets, TargetWeight
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.symbols import is_cash
from rebalancer.domain.units import NO_RATIO, Ratio, percent_text
from rebalancer.planning import check_weights
from rebalancer.planning.checks import exact_arithmetic

FULL_SUM = Ratio(Decimal("0.99"))
CASH_SHARE_SUM = Ratio(Decimal("0.01"))
"""With a cash share allowed: targets that name next to nothing are still a mistake, not a wish for cash."""


def check_targets(targets: Targets, today: date, max_age: timedelta, *, allow_cash_share: bool) -> None:
    """Refuse targets that are too old, dated in the future, or sum to less than the account allows.

    Targets without a date cannot be too old: the provider does not promise one.

    Raises:
        Refused: ``allocations_old``, ``allocations_future``, ``allocations_sum`` and its kin.
    """
    check_weights(targets.weights, CASH_SHARE_SUM if allow_cash_share else FULL_SUM)
    if targets.as_of is None:
        return
    age = today - targets.as_of
    numbers = {"as_of": targets.as_of.isoformat(), "today": today.isoformat(), "max_age_days": str(max_age.days)}
    if age > max_age:
        reason = f"the targets are of {targets.as_of}, {age.days} days ago; allowed are {max_age.days}"
        raise Refused(Rule.ALLOCATIONS_OLD, reason, numbers)
    if age < timedelta(days=-1):
        raise Refused(Rule.ALLOCATIONS_FUTURE, f"the targets are of {targets.as_of}, today is {today}", numbers)


def without_cash(
    weights: Sequence[TargetWeight], *, allow_cash_share: bool, stocks: Collection[str]
) -> tuple[TargetWeight, ...]:
    """Targets without names such as CASH or USD, by which a strategy means the part that is not invested.

    Args:
        weights: after replacements, by which such a name may stand for a stock.
        stocks: symbols that are stocks all the same, or never traded.

    Raises:
        Refused: ``allocations_cash_symbol``: the account has to be fully invested; ``allocations_empty``,
            ``allocations_sum``: nothing else is to be held.
    """
    cash = {entry.symbol: str(entry.weight) for entry in weights if _means_cash(entry, stocks) and entry.weight}
    rest = tuple(entry for entry in weights if not _means_cash(entry, stocks))
    if cash and not allow_cash_share:
        reason = "cash among the targets, and the account has no allow_cash_share (pin a stock of that name)"
        _refuse(Rule.ALLOCATIONS_CASH_SYMBOL, reason, cash)
    if cash:
        check_weights(rest, CASH_SHARE_SUM)
    return rest


def _means_cash(entry: TargetWeight, stocks: Collection[str]) -> bool:
    return entry.symbol not in stocks and is_cash(entry.symbol)


def check_account(account_id: str, mode: TradingMode, *, enabled: bool) -> None:
    """Refuse an account of the other world, or one switched off.

    Raises:
        Refused: ``account_type``, ``account_disabled``.
    """
    kind = TradingMode.of(account_id)
    if kind != mode:
        reason = f"{account_id} is a {kind} account, TRADING_MODE is {mode}"
        raise Refused(Rule.ACCOUNT_TYPE, reason, {"account_id": account_id, "trading_mode": mode})
    if not enabled:
        raise Refused(Rule.ACCOUNT_DISABLED, f"{account_id} is switched off in the accounts file")


def check_quotes(
    quotes: Mapping[str, Quote],
    now: datetime,
    max_age: timedelta,
    max_from_close: Ratio,
    *,
    allow_delayed: bool,
) -> None:
    """Refuse quotes that orders must not be sized from.

    Args:
        max_from_close: fraction of the last close; a symbol whose close is unknown cannot be compared.

    Raises:
        Refused: ``quotes_stale``, ``quotes_delayed``, ``quotes_far_from_close``, each naming every such symbol.
            One-sided and crossed quotes are the planner's to refuse.
    """
    ordered = [quotes[symbol] for symbol in sorted(quotes)]
    limit = f"{max_age.total_seconds():g} s"
    _refuse(Rule.QUOTES_STALE, f"older than {limit}", {q.symbol: _age(q, now) for q in ordered if now - q.at > max_age})
    live = (MarketDataType.LIVE, MarketDataType.FROZEN)
    delayed = {quote.symbol: str(quote.data_type) for quote in ordered if quote.data_type not in live}
    if not allow_delayed:
        _refuse(Rule.QUOTES_DELAYED, "not live", delayed)
    with exact_arithmetic():
        far = {quote.symbol: _distance(quote) for quote in ordered if from_close(quote) >= max_from_close}
    _refuse(Rule.QUOTES_FAR_FROM_CLOSE, f"{percent_text(max_from_close)} or more from the last close", far)


def from_close(quote: Quote) -> Ratio:
    """Distance of the mid price from the last close, as a fraction of it; 0 where that is unknown."""
    close = quote.close
    if close is None or not all(price.is_finite() and price > 0 for price in (quote.bid, quote.ask, close)):
        return NO_RATIO
    return Ratio(abs(quote.mid / close - 1))


def check_unchanged(before: tuple[TargetWeight, ...], now: tuple[TargetWeight, ...]) -> None:
    """Refuse to go on with targets that the strategy has replaced meanwhile.

    Raises:
        Refused: ``allocations_changed``; the next try reads the new ones.
    """
    was, are = ({entry.symbol: entry.weight for entry in weights} for weights in (before, now))
    changed = {
        symbol: f"{was.get(symbol, 0)} -> {are.get(symbol, 0)}"
        for symbol in sorted(was.keys() | are.keys())
        if was.get(symbol) != are.get(symbol)
    }
    _refuse(Rule.ALLOCATIONS_CHANGED, "changed while the run was under way", changed)


def _age(quote: Quote, now: datetime) -> str:
    return f"{(now - quote.at).total_seconds():.0f} s"


def _distance(quote: Quote) -> str:
    return f"{quote.mid} against {quote.close}"


def _refuse(rule: Rule, reason: str, numbers: Mapping[str, str]) -> None:
    if numbers:
        listing = ", ".join(f"{symbol} {value}" for symbol, value in numbers.items())
        raise Refused(rule, f"{reason}: {listing}", dict(numbers))
