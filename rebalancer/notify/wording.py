"""A fact in words for a person; pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rebalancer.domain.notices import Notice, NoticeKind
from rebalancer.domain.periods import Period
from rebalancer.notify import digest_words, letter_sections
from rebalancer.notify.login_words import OF_LOGINS
from rebalancer.notify.open_points import counted
from rebalancer.notify.style import Style, Teller, Wording

Detail = Mapping[str, Any]

_VERBS = {"SELL": "sold", "BUY": "bought"}


def describe(notice: Notice, style: Style) -> Wording:
    """The fact in words."""
    return _WORDINGS[notice.kind](notice, style)


def _attention(notice: Notice, style: Style) -> Wording:
    detail = notice.detail
    if "crashes" in detail:
        why = f"its worker was lost {detail['crashes']} times in a row"
    else:
        why = f"it has failed {detail['failures']} times in a row: {style.discretion.safe(detail['error'])}"
    return Wording("needs attention", f"{detail['command']} needs you, {why}. It is still tried again, more slowly.")


def _recovered(notice: Notice, style: Style) -> Wording:
    return Wording("recovered", f"{notice.detail['command']} has succeeded after all{_outcome(notice.detail, style)}.")


def _failing(notice: Notice, style: Style) -> Wording:
    error = style.discretion.safe(notice.detail["error"])
    return Wording("failed, tried again", f"{notice.detail['command']} failed and is tried again: {error}")


def _rebalanced(notice: Notice, style: Style) -> Wording:
    tries = notice.detail["failures"]
    after = f" after {tries} failed {'try' if tries == 1 else 'tries'}" if tries else ""
    return Wording("rebalanced", f"Rebalanced{after}{_outcome(notice.detail, style)}.")


def _outcome(detail: Detail, style: Style) -> str:
    """What was traded, where the command can trade."""
    trades = detail.get("trades")
    if trades is None:
        return ""
    sides = ((verb, [trade for trade in trades if trade["side"] == side]) for side, verb in _VERBS.items())
    told = [f"{verb} {', '.join(_trade(trade, style) for trade in some)}" for verb, some in sides if some]
    stale = "".join(f". Note: {style.discretion.safe(one)}" for one in detail.get("frozen", ()))
    return f": {'; '.join(told) or 'nothing to trade'}{stale}"


def _trade(trade: Detail, style: Style) -> str:
    share = "" if trade["share"] is None else f"{Decimal(trade['share']):.1%}"
    if not style.discretion.amounts:
        return f"{trade['symbol']} {share}".rstrip()
    amount = f"{Decimal(trade['quantity']):f} {trade['symbol']} for {Decimal(trade['value']):,.2f} USD"
    return f"{amount} ({share})" if share else amount


def _held(notice: Notice, style: Style) -> Wording:
    return Wording("waits", f"{notice.detail['command']} waits: {style.discretion.safe(notice.detail['reason'])}")


def _left_alone(notice: Notice, style: Style) -> Wording:
    which = "; ".join(style.discretion.safe(one) for one in notice.detail["holdings"])
    return Wording("holdings left alone", f"They could not be traded, everything else was: {which}")


def _corporate_action(notice: Notice, style: Style) -> Wording:
    which = "; ".join(style.discretion.safe(one) for one in notice.detail["changes"])
    return Wording("holdings changed", f"Nobody here has traded them, and they have changed: {which}")


def _approval(notice: Notice, style: Style) -> Wording:
    detail = notice.detail
    size = "" if detail["turnover"] is None else f" over {Decimal(detail['turnover']):.1%} of equity"
    orders = f"{counted(detail['orders'], 'order')}{size}"
    reasons = "; ".join(style.discretion.safe(reason) for reason in detail["reasons"])
    if detail["silent_at"]:
        end = f"goes ahead at {style.moment(detail['silent_at'])} unless you reject it"
    else:
        end = f"waits for you until {style.moment(detail['expires_at'])}, then it is made anew"
    link = style.link(notice)
    where = f"Look and decide, once: {link} ." if link else _where(notice)
    return Wording("approval needed", f"A plan with {orders} {end}. {where} Why you are asked: {reasons}")


def _where(notice: Notice) -> str:
    told = (f"`rebalancer {word} {notice.event_id}`" for word in ("approve", "reject"))
    return f"Say so on the page, or with {' or '.join(told)}."


def _strategy_held(notice: Notice, style: Style) -> Wording:
    detail = notice.detail
    reasons = "; ".join(style.discretion.safe(reason) for reason in detail["reasons"])
    why = f"its canary {style.discretion.name(detail['canary'])}: {reasons}" if detail["canary"] else reasons
    return Wording(
        f"{detail['strategy']} is held",
        f"The accounts that follow {detail['strategy']} wait for you. Say so on the page, or with `rebalancer release "
        f"{detail['hold']}` or `rebalancer withdraw {detail['hold']}`. Why: {why}",
    )


def _removed(notice: Notice, style: Style) -> Wording:
    return Wording("removed", f"{notice.detail['command']} was ended: {style.discretion.safe(notice.detail['reason'])}")


def _halted(notice: Notice, style: Style) -> Wording:
    by, reason = (style.discretion.safe(notice.detail[key]) for key in ("by", "reason"))
    return Wording("trading halted", f"No order is sent any more, by {by}: {reason}. `rebalancer resume` lifts it.")


def _resumed(notice: Notice, style: Style) -> Wording:
    return Wording("trading resumed", f"The halt was lifted by {style.discretion.safe(notice.detail['by'])}.")


def _unacknowledged(notice: Notice, style: Style) -> Wording:
    reason = style.discretion.safe(notice.detail["reason"])
    return Wording("LOOK AT THE GATEWAY", f"An order is not acknowledged, and trading is halted. {reason}.")


def _acknowledged(_notice: Notice, _style: Style) -> Wording:
    return Wording("order accounted for", "The order that was not acknowledged is accounted for; trading goes on.")


def _loss(notice: Notice, style: Style) -> Wording:
    reason = style.discretion.safe(notice.detail["reason"])
    return Wording(
        "BROKER WARNS OF A LOSS",
        f"No order is sent any more until you have looked: {reason}. `rebalancer resume` lifts it.",
    )


def _other_installation(notice: Notice, style: Style) -> Wording:
    reason = style.discretion.safe(notice.detail["reason"])
    return Wording("ANOTHER INSTALLATION TRADES HERE", f"No order is sent any more: {reason}.")


def _quarantined(notice: Notice, style: Style) -> Wording:
    remark = style.discretion.safe(notice.detail["remark"])
    return Wording("signal not understood", f"A message on {notice.detail['channel']} was not followed: {remark}")


def _dry_run(notice: Notice, style: Style) -> Wording:
    detail = notice.detail
    remark = style.discretion.safe(detail["remark"])
    return Wording("signal not taken literally", f"On {detail['channel']}: {remark}. It became {detail['command']}.")


def _missed(notice: Notice, style: Style) -> Wording:
    detail = notice.detail
    span = f"{style.moment(detail['since'])} and {style.moment(detail['until'])}"
    return Wording(
        "signals may be missing", f"Signals of {detail['channel']} may have been missed between {span}; see /signals."
    )


def _source_refused(notice: Notice, style: Style) -> Wording:
    detail = notice.detail
    reason = style.discretion.safe(detail["reason"])
    remedy = ""
    if detail["acceptable"]:
        remedy = f" If it is meant: `rebalancer sources accept {detail['strategy']}`."
    return Wording(
        "targets not followed",
        f"The table of {detail['strategy']} ({detail['place']}) is not followed as it is now: {reason}.{remedy}",
    )


def _source_unread(notice: Notice, style: Style) -> Wording:
    detail = notice.detail
    reason = style.discretion.safe(detail["reason"])
    return Wording(
        "targets cannot be read", f"The table of {detail['strategy']} cannot be read: {reason}. It is tried again."
    )


def _source_well(notice: Notice, _style: Style) -> Wording:
    return Wording("targets followed again", f"The table of {notice.detail['strategy']} is read and followed again.")


def _statement_differs(notice: Notice, style: Style) -> Wording:
    detail = notice.detail
    reason = style.discretion.safe(detail["reason"])
    halted = " Nothing new is sent until you have looked and resumed." if detail["halted"] else ""
    return Wording(
        "STATEMENT AND LEDGER DIFFER",
        f"The broker's statement of {detail['day']} has what nothing explains: {reason}.{halted} "
        "`rebalancer statements` has all of it.",
    )


def _statement_unread(notice: Notice, style: Style) -> Wording:
    reason = style.discretion.safe(notice.detail["reason"])
    return Wording("no statement", f"The broker gives no statement of query {notice.detail['query']}: {reason}.")


def _statement_well(notice: Notice, _style: Style) -> Wording:
    return Wording("statements again", f"Statements of query {notice.detail['query']} are read again.")


def _trouble(notice: Notice, style: Style) -> Wording:
    wrong = "; ".join(style.discretion.safe(one) for one in notice.detail["problems"])
    return Wording("cannot trade now", f"A signal could not be traded now: {wrong}. `rebalancer doctor` says more.")


def _well(_notice: Notice, _style: Style) -> Wording:
    return Wording("ready again", "Signals can be traded again.")


_FLOWS = {"deposit": "has come in", "withdrawal": "has gone out", "dividend": "has come in as dividends"}


def _cash_flow(notice: Notice, style: Style) -> Wording:
    detail = notice.detail
    share = "" if detail["share"] is None else f"{Decimal(detail['share']):.1%} of equity"
    amount = f"{Decimal(detail['amount']):,.2f} USD ({share})" if style.discretion.amounts else f"Cash of {share}"
    return Wording(detail["flow"], f"{amount} {_FLOWS[detail['flow']]} since the account was last looked at.")


def _letter(notice: Notice, style: Style) -> Wording:
    told = ", ".join(f"{name} {text}" for name, text in letter_sections.facts(notice.detail, style.discretion))
    period = Period.named(notice.detail["period"])
    return Wording(f"letter of {period}", f"{style.discretion.name(notice.account_id)}: {told}")


_WORDINGS: Mapping[NoticeKind, Teller] = {
    **OF_LOGINS,
    NoticeKind.ATTENTION: _attention,
    NoticeKind.RECOVERED: _recovered,
    NoticeKind.FAILING: _failing,
    NoticeKind.REBALANCED: _rebalanced,
    NoticeKind.HELD: _held,
    NoticeKind.LEFT_ALONE: _left_alone,
    NoticeKind.CORPORATE_ACTION: _corporate_action,
    NoticeKind.APPROVAL: _approval,
    NoticeKind.STRATEGY_HELD: _strategy_held,
    NoticeKind.REMOVED: _removed,
    NoticeKind.HALTED: _halted,
    NoticeKind.RESUMED: _resumed,
    NoticeKind.UNACKNOWLEDGED: _unacknowledged,
    NoticeKind.ACKNOWLEDGED: _acknowledged,
    NoticeKind.LOSS: _loss,
    NoticeKind.OTHER_INSTALLATION: _other_installation,
    NoticeKind.QUARANTINED: _quarantined,
    NoticeKind.DRY_RUN: _dry_run,
    NoticeKind.MISSED: _missed,
    NoticeKind.SOURCE_REFUSED: _source_refused,
    NoticeKind.SOURCE_UNREAD: _source_unread,
    NoticeKind.SOURCE_WELL: _source_well,
    NoticeKind.STATEMENT_DIFFERS: _statement_differs,
    NoticeKind.STATEMENT_UNREAD: _statement_unread,
    NoticeKind.STATEMENT_WELL: _statement_well,
    NoticeKind.TROUBLE: _trouble,
    NoticeKind.WELL: _well,
    NoticeKind.CASH_FLOW: _cash_flow,
    NoticeKind.DIGEST: digest_words.digest,
    NoticeKind.LETTER: _letter,
}
