"""Settings of orders: how they are sent, how they are followed, what they may spend."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from rebalancer.config.settings_section import Section
from rebalancer.config.types import Capitals, SmallLetters
from rebalancer.domain.daily_window import DailyMoment, DailyWindow
from rebalancer.domain.money import HUNDRED
from rebalancer.domain.portfolio import FeeSchedule, OrderType, SettledCash, TimeInForce
from rebalancer.domain.units import Percent, Ratio, Shares, Usd, ratio


class OrderSettings(Section):
    """Order policy and patience. Percentages are as written; the properties give fractions."""

    order_type: Annotated[Literal[OrderType.MARKET, OrderType.LIMIT], Capitals] = Field(
        default=OrderType.MARKET, description="MKT fills surely; LMT never worse than the quote plus the limit collar."
    )
    time_in_force: Annotated[TimeInForce, Capitals] = Field(
        default=TimeInForce.DAY, description="Always sent, because a preset of TWS would otherwise decide."
    )
    extended_hours_enabled: bool = Field(
        default=False, description="Trade before and after regular hours too, where spreads are wide."
    )
    share_threshold: Shares = Field(
        default=Shares(Decimal("0.5")),
        ge=0,
        le=100,
        description="A difference of at most this many shares is left alone.",
    )
    drift_band_percent: Percent = Field(
        default=Percent(Decimal(0)),
        ge=0,
        le=50,
        description="A symbol that is off by fewer percentage points is left alone.",
    )
    price_margin_percent: Percent = Field(
        default=Percent(Decimal(0)),
        ge=0,
        le=10,
        description="Kept back when buys are sized, beyond the cash reserve, for prices that rise until they fill.",
    )
    limit_collar_bps: Decimal = Field(
        default=Decimal(50),
        ge=0,
        le=1000,
        description="How much worse than its quote a limit order may fill, in hundredths of a percent.",
    )
    fx_collar_bps: Decimal = Field(
        default=Decimal(5),
        ge=0,
        le=1000,
        description="How much worse than its quote a conversion of currencies may fill, in hundredths of a percent; it "
        "is always a limit order.",
    )
    fee_per_share: Decimal = Field(
        default=Decimal("0.005"),
        ge=0,
        le=1,
        description="Commission estimate in USD per share, deducted first.",
    )
    fee_minimum: Usd = Field(default=Usd(Decimal("1.00")), ge=0, le=100, description="Least commission per order, USD.")
    fee_maximum_percent: Percent = Field(
        default=Percent(Decimal(1)),
        ge=0,
        le=10,
        description="Most commission per order, percent of its value.",
    )
    settled_cash_only: Annotated[SettledCash, SmallLetters] = Field(
        default=SettledCash.IRA,
        description="Accounts without margin that must not buy with unsettled proceeds: IRAs, all cash accounts, none.",
    )
    cash_account_cushion_percent: Percent = Field(
        default=Percent(Decimal(5)),
        ge=0,
        le=50,
        description="Cash that IBKR demands beyond a market order's cost in accounts without margin; what lacks it is "
        "bought with a limit.",
    )
    order_timeout_s: float = Field(
        default=300, ge=0.1, le=600, description="How long orders may work before they are cancelled and looked into."
    )
    order_ack_timeout_s: float = Field(
        default=10,
        ge=0.1,
        le=120,
        description="How long the gateway may say nothing of an order while it answers questions; then the account is "
        "held, since a window may wait on the gateway's screen.",
    )
    account_turns: bool = Field(
        default=True,
        description="Trade an account only under the API client id that stands for it (1000000000 and its number), "
        "which a gateway gives to one client at a time; off only for a gateway that refuses such ids.",
    )
    order_rounds: int = Field(
        default=3, ge=1, le=10, description="How often one run plans what did not fill, before it is retried later."
    )
    target_tolerance_percent: Percent = Field(
        default=Percent(Decimal(1)),
        ge=0,
        le=50,
        description="A run that ends further from its plan, in percent of equity, is no success: it goes on, or waits.",
    )
    cancel_timeout_s: float = Field(
        default=60,
        ge=0.1,
        le=600,
        description="How long open orders may take to vanish before the run fails.",
    )
    broker_grace_s: float = Field(
        default=5,
        ge=0,
        le=60,
        description="How long an order that nobody knows may take to be listed, before it counts as never sent.",
    )
    reconnect_timeout_s: float = Field(
        default=120,
        ge=0,
        le=600,
        description="How long a run whose orders are under way waits for a lost gateway, before it is retried later.",
    )
    books_timeout_s: float = Field(
        default=20,
        ge=0,
        le=300,
        description="How long the broker's positions and cash may lag behind fills; nothing is planned meanwhile.",
    )
    restart_window: str | None = Field(
        default=None,
        pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$",
        json_schema_extra={"allowed": "HH:MM-HH:MM"},
        description="Daily span around the gateway's restart without new orders; a rebalance is held until its end.",
    )
    restart_window_zone: str = Field(
        default="America/New_York", min_length=1, description="Time zone of the restart window."
    )
    gateway_restart: str | None = Field(
        default=None,
        json_schema_extra={"allowed": "HH:MM AM or PM and time zone"},
        description="When the gateway restarts itself each day, for example 11:45 PM America/New_York: the restart "
        "window has to hold it, and is made of the minutes around it if none is given.",
    )

    def contradictions(self) -> Iterator[str]:
        """Of hours and order types; see :class:`Section`."""
        if self.extended_hours_enabled and self.order_type is not OrderType.LIMIT:
            yield "EXTENDED_HOURS_ENABLED = true needs ORDER_TYPE = LMT: IBKR ignores it for market orders (code 2109)"
        yield from self._restart_contradictions()

    def _restart_contradictions(self) -> Iterator[str]:
        try:
            restart = self.daily_restart
        except ValueError as error:
            yield f"GATEWAY_RESTART (with Docker AUTO_RESTART_TIME and TZ in .env): {error}"
            return
        try:
            window = self.daily_restart_window
        except ValueError as error:
            yield f"RESTART_WINDOW or RESTART_WINDOW_ZONE: {error}"
            return
        if restart and window and not restart.lies_in(window):
            yield (
                f"RESTART_WINDOW = {window} does not hold GATEWAY_RESTART = {self.gateway_restart} (with Docker "
                "AUTO_RESTART_TIME and TZ in .env): leave the window out, and it is the minutes around the restart"
            )

    @property
    def daily_restart(self) -> DailyMoment | None:
        """``gateway_restart``, read."""
        return None if self.gateway_restart is None else DailyMoment.parse(self.gateway_restart)

    @property
    def daily_restart_window(self) -> DailyWindow | None:
        """``restart_window`` in its zone, or the minutes around the gateway's restart."""
        if self.restart_window is not None:
            return DailyWindow.parse(self.restart_window, self.restart_window_zone)
        return None if self.daily_restart is None else self.daily_restart.window()

    @property
    def cash_account_cushion(self) -> Ratio:
        """``cash_account_cushion_percent`` as a fraction."""
        return ratio(self.cash_account_cushion_percent)

    @property
    def target_tolerance(self) -> Ratio:
        """``target_tolerance_percent`` as a fraction."""
        return ratio(self.target_tolerance_percent)

    @property
    def fee_schedule(self) -> FeeSchedule:
        """Commission estimate that planning deducts."""
        return FeeSchedule(self.fee_per_share, self.fee_minimum, ratio(self.fee_maximum_percent))

    @property
    def drift_band(self) -> Ratio:
        """``drift_band_percent`` as a fraction."""
        return ratio(self.drift_band_percent)

    @property
    def limit_collar(self) -> Ratio:
        """``limit_collar_bps`` as a fraction."""
        return ratio(Percent(self.limit_collar_bps / HUNDRED))

    @property
    def fx_collar(self) -> Ratio:
        """``fx_collar_bps`` as a fraction."""
        return ratio(Percent(self.fx_collar_bps / HUNDRED))

    @property
    def price_margin(self) -> Ratio:
        """``price_margin_percent`` as a fraction."""
        return ratio(self.price_margin_percent)
