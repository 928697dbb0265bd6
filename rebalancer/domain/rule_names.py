"""The rules by name: what holds a run back, and what refuses it. A name is data and never changes once it is on record;
the sentence beside it is for people.
"""

from __future__ import annotations

from enum import StrEnum


class Rule(StrEnum):
    """Why an account is not traded now; docs/trading-rules.md says what each asks for."""

    # A run waits: for a person, for a time, for its account's turn.
    HALT = "halt"
    APPROVAL = "approval"
    MARKET_HOURS = "market_hours"
    PACE = "pace"
    SETTLEMENT = "settlement"
    CLOCK_APART = "clock_apart"
    OTHER_INSTALLATION = "other_installation"
    GATEWAY_RESTART = "gateway_restart"
    ORDERS_UNACCOUNTED = "orders_unaccounted"
    BUSY = "busy"
    CANARY = "canary"
    BREAKER = "breaker"
    ON_CLOSE = "on_close"

    # A plan needs a person.
    FIRST_TIME = "first_time"
    LIMITS = "limits"

    # Something is left out of a plan.
    LEFT_ALONE = "left_alone"
    ORDER_SIZE = "order_size"
    WASH_SALE = "wash_sale"

    # The input justifies no order.
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_NOT_MANAGED = "account_not_managed"
    ACCOUNT_TYPE = "account_type"
    ALLOCATIONS_BACKDATED = "allocations_backdated"
    ALLOCATIONS_CASH_SYMBOL = "allocations_cash_symbol"
    ALLOCATIONS_CHANGED = "allocations_changed"
    ALLOCATIONS_DUPLICATE = "allocations_duplicate"
    ALLOCATIONS_EMPTY = "allocations_empty"
    ALLOCATIONS_FUTURE = "allocations_future"
    ALLOCATIONS_JUMPED = "allocations_jumped"
    ALLOCATIONS_MALFORMED = "allocations_malformed"
    ALLOCATIONS_OLD = "allocations_old"
    ALLOCATIONS_RANGE = "allocations_range"
    ALLOCATIONS_SHRUNK = "allocations_shrunk"
    ALLOCATIONS_SIGNATURE = "allocations_signature"
    ALLOCATIONS_SUM = "allocations_sum"
    CASH_MISSING = "cash_missing"
    COSTS_EXCEED_EQUITY = "costs_exceed_equity"
    CURRENCY_PAIR_UNKNOWN = "currency_pair_unknown"
    EQUITY_CURRENCY = "equity_currency"
    EQUITY_DISAGREES = "equity_disagrees"
    EQUITY_MISSING = "equity_missing"
    EQUITY_NOT_POSITIVE = "equity_not_positive"
    EXCHANGE_RATE = "exchange_rate"
    EXCHANGE_RATE_DISAGREES = "exchange_rate_disagrees"
    GATEWAY_WORLD = "gateway_world"
    KEPT_SHARES_MISSING = "kept_shares_missing"
    MARKET_HOURS_UNKNOWN = "market_hours_unknown"
    NUMBERS_OUT_OF_RANGE = "numbers_out_of_range"
    PLANNING_RULES = "planning_rules"
    POSITION_INVALID = "position_invalid"
    POSITIONS_AMBIGUOUS = "positions_ambiguous"
    POSITIONS_MISSING = "positions_missing"
    QUOTES_DELAYED = "quotes_delayed"
    QUOTES_FAR_FROM_CLOSE = "quotes_far_from_close"
    QUOTES_STALE = "quotes_stale"
    REPLACEMENT_SCALE = "replacement_scale"
    RESERVE_EXCEEDS_EQUITY = "reserve_exceeds_equity"
    RESERVE_RANGE = "reserve_range"
    RESERVE_SYMBOL_TARGETED = "reserve_symbol_targeted"
    SETTLED_CASH_MISSING = "settled_cash_missing"
    SPLIT_SUSPECTED = "split_suspected"
    SYMBOL_UNKNOWN = "symbol_unknown"
    WHAT_IF_MARGIN = "what_if_margin"
    WHAT_IF_REFUSED = "what_if_refused"
