"""What becomes of a run's styles: which have been tried, which the broker has refused, and in which turn orders go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby

import structlog

from rebalancer.domain.order_styles import OrderStyle, refuses_style
from rebalancer.domain.orders import StatusUpdate
from rebalancer.domain.portfolio import ProposedOrder, Quote
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.planning.buying_power import PricedOrder, Terms
from rebalancer.planning.style_choice import Situation, StyleChooser, Tried
from rebalancer.usecases.context import RunContext
from rebalancer.usecases.decision import Decision, need_proceeds

log = structlog.get_logger()

_REMARK = 399
"""Says something of an order; where it does not refuse the order as well, its style was taken."""


@dataclass(slots=True)
class StyleProgress:
    """What a run has tried so far, by symbol; see :class:`~rebalancer.planning.style_choice.Situation`."""

    tried: dict[str, Tried] = field(default_factory=dict)
    refused: dict[str, tuple[OrderStyle, str]] = field(default_factory=dict)

    def sent(self, tickets: Iterable[PricedOrder]) -> None:
        """These orders are on their way; what is left of them walks. One for the close has no next time in its run."""
        for ticket in tickets:
            if ticket.styling is None or ticket.styling.style.plain or ticket.styling.style.on_close:
                continue
            symbol, style = ticket.order.symbol, ticket.styling.style
            known = self.tried.get(symbol, Tried(style))
            self.tried[symbol] = replace(known, walked=known.walked + (style is OrderStyle.WALK))

    def refuses(self, ticket: PricedOrder, remark: StatusUpdate | None) -> bool:
        """Whether the broker has ended an order for its style: its symbol has none from then on in this run."""
        if ticket.styling is None or ticket.styling.style.plain or remark is None or remark.code is None:
            return False
        if (remark.code == _REMARK and not remark.refused) or not refuses_style(remark.code, remark.text or ""):
            return False
        symbol, style = ticket.order.symbol, ticket.styling.style
        self.refused[symbol] = style, f"{remark.code}: {remark.text}"
        log.warning("style_refused", symbol=symbol, style=style, code=remark.code, text=remark.text)
        return True


def with_styles(context: RunContext, decision: Decision, progress: StyleProgress) -> Decision:
    """The same, and how its orders are worked."""
    policy, hours = context.policy, context.safeguards.hours
    situation = Situation(
        now=context.clock(),
        closing=hours.cutoff,
        extended=policy.outside_regular_hours,
        raises_cash=context.rules.kind is RebalanceMode.RAISE_CASH,
        need_proceeds=need_proceeds(context, decision),
        tried=dict(progress.tried),
        refused=dict(progress.refused),
    )
    order_type, instruments = policy.terms.order_type, decision.view.instruments
    chooser = StyleChooser(context.styles.rules, context.styles.terms, order_type, instruments, situation)
    return replace(decision, styles=chooser)


def styled(
    terms: Terms,
    chooser: StyleChooser | None,
    orders: Sequence[ProposedOrder],
    quotes: Mapping[str, Quote],
    now: datetime,
) -> Terms:
    """Terms with the styles of these orders."""
    if chooser is None:
        return terms
    found = ((order.symbol, chooser.styling(order, quotes[order.symbol], now)) for order in orders)
    return replace(terms, styles={symbol: styling for symbol, styling in found if styling is not None})


def in_turn(orders: Sequence[ProposedOrder], terms: Terms) -> list[tuple[tuple[ProposedOrder, ...], float | None]]:
    """Orders that are sent together, with the seconds that they may work: first those that work as long as any."""

    def patience_s(order: ProposedOrder) -> float:
        styling = terms.styles.get(order.symbol)
        return styling.patience_s or 0 if styling else 0

    together = groupby(sorted(orders, key=patience_s), key=patience_s)
    return [(tuple(group), seconds or None) for seconds, group in together]
