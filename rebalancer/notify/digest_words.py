"""What a digest says of an account, or of all; pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rebalancer.domain.notices import Notice
from rebalancer.notify.cost_words import costs_in_words, refused_styles
from rebalancer.notify.open_points import counted, open_points
from rebalancer.notify.style import Style, Wording


def digest(notice: Notice, style: Style) -> Wording:
    """A digest's part."""
    detail = notice.detail
    if notice.account_id is None:
        problems = [style.discretion.safe(one) for one in detail["problems"]]
        return Wording("", "; ".join(problems) if problems else "Ready: signals can be traded.")
    drift = "unknown" if detail["drift"] is None else f"{Decimal(detail['drift']):.1%}"
    facts = [f"drift {drift}", f"last run {style.moment(detail['last_run'])}"]
    if detail["next_run"]:
        facts.append(f"next run {style.moment(detail['next_run'])}")
    elif detail["next_state"]:
        facts.append(f"a run is {detail['next_state']}")
    facts.append(_today(detail, style))
    if refused := refused_styles(detail):
        facts.append(f"order styles {refused}")
    if detail.get("costs"):
        facts.append(costs_in_words(detail["costs"], amounts=style.discretion.amounts))
    if style.discretion.amounts and detail["equity"] is not None:
        facts.insert(0, f"equity {Decimal(detail['equity']):,.2f} USD")
    facts += open_points(detail)
    return Wording("", f"{style.discretion.name(notice.account_id)}: {', '.join(facts)}")


def _today(detail: Mapping[str, Any], style: Style) -> str:
    if not detail["orders"]:
        return "no orders today"
    text = f"{counted(detail['orders'], 'order')} today, {counted(detail['fills'], 'fill')}"
    if style.discretion.amounts:
        text += f", {Decimal(detail['traded']):,.2f} USD, commissions {Decimal(detail['commissions']):,.2f} USD"
    elif detail["equity"] and Decimal(detail["equity"]) > 0:
        equity = Decimal(detail["equity"])
        traded, paid = Decimal(detail["traded"]) / equity, Decimal(detail["commissions"]) / equity
        text += f", {traded:.1%} of equity, commissions {paid:.3%}"
    return text


def is_quiet(notice: Notice) -> bool:
    """Whether a digest's part says that nothing waits for a person."""
    detail = notice.detail
    if notice.account_id is None:
        return not detail["problems"]
    return not open_points(detail)
