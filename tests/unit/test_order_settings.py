"""Settings of orders that only make sense together."""

from __future__ import annotations

from datetime import time
from decimal import Decimal

import pytest
from pydantic import ValidationError

from rebalancer.config.settings import Settings
from rebalancer.domain.portfolio import SettledCash


def test_extended_hours_are_refused_with_market_orders() -> None:
    with pytest.raises(ValidationError, match="needs ORDER_TYPE = LMT"):
        Settings.from_flat({"extended_hours_enabled": True})
    assert Settings.from_flat({"extended_hours_enabled": True, "order_type": "lmt"}).orders.extended_hours_enabled


def test_the_restart_window_is_off_until_it_is_given() -> None:
    assert Settings.from_flat().orders.daily_restart_window is None
    window = Settings.from_flat({"restart_window": "23:40-00:20"}).orders.daily_restart_window
    assert window is not None
    assert (window.start, window.end, window.zone.key) == (time(23, 40), time(0, 20), "America/New_York")


@pytest.mark.parametrize(
    "wrong",
    [
        {"restart_window": "11:45 PM"},
        {"restart_window": "10:00-10:00"},
        {"restart_window": "10:00-11:00", "restart_window_zone": "Nowhere"},
    ],
)
def test_a_restart_window_that_is_none_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Settings.from_flat(wrong)


def test_the_restart_window_is_made_of_the_minutes_around_the_gateways_restart() -> None:
    settings = Settings.from_flat({"gateway_restart": "11:45 PM Europe/Paris"})
    assert str(settings.orders.daily_restart_window) == "23:40-23:55 Europe/Paris"


def test_a_restart_window_that_misses_the_gateways_restart_is_refused() -> None:
    window = {"restart_window": "23:40-23:55"}
    with pytest.raises(ValidationError, match="RESTART_WINDOW = 23:40-23:55 America/New_York does not hold"):
        Settings.from_flat({**window, "gateway_restart": "11:45 PM Europe/Paris"})
    fitting = Settings.from_flat({**window, "gateway_restart": "11:45 PM America/New_York"})
    assert str(fitting.orders.daily_restart_window) == "23:40-23:55 America/New_York"


def test_a_restart_that_is_no_time_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"GATEWAY_RESTART .*'23:45 UTC' is no time like"):
        Settings.from_flat({"gateway_restart": "23:45 UTC", "restart_window": "23:40-23:55"})


def test_the_defaults_are_ibkrs_own_rules() -> None:
    assert Settings.from_flat().orders.settled_cash_only is SettledCash.IRA
    assert Settings.from_flat().orders.cash_account_cushion == Decimal("0.05")
