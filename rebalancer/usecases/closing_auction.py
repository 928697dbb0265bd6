"""Orders of a plan that wait for the closing auction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rebalancer.domain.portfolio import ProposedOrder
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.trading_sessions import in_new_york
from rebalancer.risk import Blocked
from rebalancer.usecases.decision import Decision


def for_the_close(decision: Decision, order: ProposedOrder) -> bool:
    """Whether an order of the plan is one."""
    choice = decision.style(order)
    return choice is not None and choice.style.on_close


def before_the_close(decision: Decision, orders: Sequence[ProposedOrder], now: datetime) -> Blocked | None:
    """What those of the orders wait for that are for the close; ``None`` once the first of them may be sent."""
    chooser, chosen = decision.styles, {order.symbol: decision.style(order) for order in orders}
    styles = {symbol: choice.style for symbol, choice in chosen.items() if choice is not None and choice.style.on_close}
    if chooser is None or not styles:
        return None
    opens = min(chooser.sent_from(style, symbol) for symbol, style in styles.items())
    if opens <= now:
        return None
    names = ", ".join(sorted(styles))
    reason = f"{names} wait for the closing auction, orders go out from {in_new_york(opens):%H:%M} New York"
    return Blocked(Rule.ON_CLOSE, reason, opens)
