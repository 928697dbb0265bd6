"""Before currencies are converted: is the rate credible, and may the program do so much of it alone?"""

from __future__ import annotations

from rebalancer.domain.currencies import CurrencyPair, per_dollar
from rebalancer.domain.errors import Refused
from rebalancer.domain.money import ONE, cents
from rebalancer.domain.portfolio import BaseCurrency, Quote
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import Ratio, Usd, percent_text


def check_rate(base: BaseCurrency, pair: CurrencyPair, quote: Quote, tolerance: Ratio) -> None:
    """Refuse where the broker's own rate and the market's are apart: one of both is old or wrong. IBKR tells its rate
    without a time.

    Args:
        tolerance: fraction of the market's.

    Raises:
        Refused: ``exchange_rate_disagrees``.
    """
    market = per_dollar(pair, quote.mid)
    if market <= 0 or abs(base.rate / market - ONE) > tolerance:
        told = f"the broker counts {base.rate:.6f} {base.currency} for a dollar, {pair} is quoted at {market:.6f}"
        reason = f"{told}, more than {percent_text(tolerance)} apart"
        raise Refused(
            Rule.EXCHANGE_RATE_DISAGREES, reason, {"rate": str(base.rate), "bid": str(quote.bid), "ask": str(quote.ask)}
        )


def too_much(dollars: Usd, converted_today: Usd, limit: Usd) -> tuple[str, ...]:
    """Why a conversion needs a person, USD."""
    day = Usd(dollars + converted_today)
    return (f"the day's conversions are {cents(day)} USD, more than {limit:f}",) if day > limit else ()
