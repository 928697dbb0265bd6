"""What the base currency can be sold for, where the account's owner wants it converted for buys."""

from __future__ import annotations

from rebalancer.domain.accounts import Fx
from rebalancer.domain.portfolio import AccountSnapshot
from rebalancer.planning.conversion import Exchange, may_convert
from rebalancer.risk.conversions import check_rate
from rebalancer.usecases.context import RunContext
from rebalancer.usecases.quote_gate import judge


def read_exchange(context: RunContext, snapshot: AccountSnapshot) -> Exchange | None:
    """The pair and a fresh quote of it; ``None``, and nothing is asked, for an account that converts nothing or has
    nothing to convert.

    Raises:
        Refused: ``currency_pair_unknown``, ``exchange_rate_disagrees``, or the quote may not be used.
        QuoteUnavailable: there is none.
    """
    rules, base = context.account.rules, snapshot.base
    if rules.fx is not Fx.CONVERT or base is None:
        return None
    if not may_convert(base, rules.fx_reserve, back=rules.fx_back is Fx.CONVERT):
        return None
    pair = context.broker.currency_pair(base.currency)
    quotes = context.broker.quotes({pair.symbol: pair})
    judge(context, quotes)
    found = Exchange(base, pair, quotes[pair.symbol], rules.fx_reserve, context.policy.fx_collar)
    check_rate(base, found.pair, found.quote, context.safeguards.equity_tolerance)
    return found
