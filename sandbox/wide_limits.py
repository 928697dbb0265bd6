"""Limits so wide that nothing asks a person: what is timed or repeated trades more than anybody's limits foresee."""

from __future__ import annotations

WIDE_LIMITS = {
    "MAX_DAY_USD_ALL_ACCOUNTS": "1000000000000",
    "MAX_DAY_ORDERS_ALL_ACCOUNTS": "100000",
    "MAX_DAY_ORDERS": "10000",
    "MAX_DAY_TURNOVER_PERCENT": "10000",
}
"""Settings."""
