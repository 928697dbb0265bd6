"""What a person can do about a note of a plan, or about what an event waits by."""

from __future__ import annotations

from rebalancer.domain.rule_names import Rule

NOTES = (
    ("is within the band of", "on purpose: DRIFT_BAND_PERCENT and RELATIVE_BAND_PERCENT say how much is left alone"),
    ("is within the threshold of", "on purpose: SHARE_THRESHOLD says how many shares are left alone"),
    ("orders are for whole shares", "sell the fraction by hand in TWS if it disturbs you"),
    ("orders are for multiples of", "the contract trades in lots; buy or sell the odd shares by hand"),
    ("short position of", "close it by hand: short positions are never traded here"),
    ("no such order in a", "a full rebalance trades it"),
    ("not sold: the cash", "nothing has to be done"),
    ("cash does not allow", "deposit cash, or wait: what sells bring is spent in the next run"),
    ("is not a US stock", "nothing has to be done: it is left to you"),
    ("keep the reserve of", "on purpose: reserve_symbol in accounts.yaml says so"),
    ("shares are kept apart", "on purpose: hold in accounts.yaml says so"),
    ("is below the reserve of", "the plan's sells fill it up; deposit cash if there are none"),
    ("the rest stays cash", "nothing has to be done if the strategy means it"),
    ("are scaled down to 100 %", "tell the strategy's provider if it is not meant"),
)
RULES: dict[str, str] = {
    Rule.APPROVAL: "Approve or reject the plan.",
    Rule.FIRST_TIME: "Approve the plan if it is meant so; ASK_FIRST_TIMES says what is asked for.",
    Rule.LIMITS: "Approve or reject the plan; the limits are settings.",
    Rule.HALT: "Resume the account when the reason for the halt is gone.",
    Rule.MARKET_HOURS: "Nothing has to be done: it runs after the market opens.",
    Rule.PACE: "Wait, or change pdt_protection_enabled or cooldown_days.",
    Rule.SETTLEMENT: "Nothing has to be done: it goes on when the proceeds have settled.",
    Rule.ON_CLOSE: "Nothing has to be done: it goes on shortly before the closing auction.",
    Rule.GATEWAY_RESTART: "Nothing has to be done: it goes on after the gateway's restart.",
    Rule.CANARY: "Wait for the canary, or release or withdraw its strategy on the first page.",
    Rule.BREAKER: "Look at the refusal, then release or withdraw the strategy on the first page.",
    Rule.BUSY: "Nothing has to be done: it follows the account's running event.",
    Rule.ORDERS_UNACCOUNTED: "Look at the gateway's screen: confirm or close the window, then resume the account.",
    Rule.OTHER_INSTALLATION: "Let one installation trade the account: docs/trading-rules.md.",
}


def for_note(note: str) -> str | None:
    """What can be done about a drift that remains, or a remark on the plan; ``None`` where nothing is known."""
    return next((remedy for words, remedy in NOTES if words in note), None)


def for_rule(rule: str | None) -> str:
    """What can be done about what an event waits by, or was refused by; empty when it is neither."""
    if rule is None:
        return ""
    return RULES.get(rule, f"See {rule} in docs/troubleshooting.md.")
