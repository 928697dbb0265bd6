"""Settings of the gateway: which world is traded, and how it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from rebalancer.config.settings_section import Section
from rebalancer.config.types import Port, SmallLetters
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.gateways import NAME, Gateway
from rebalancer.domain.loopback import LOOPBACK

PAPER_PORTS = frozenset({4002, 4004, 7497})
LIVE_PORTS = frozenset({4001, 4003, 7496})
PORTS_OF_MODES = "paper gateways listen on 4002 or 4004 (TWS 7497), live ones on 4001 or 4003 (TWS 7496)"
_ADDRESS = rf"{NAME}=[^\s,=:]+:[0-9]{{1,5}}"


def is_of_other_mode(port: int, mode: TradingMode) -> bool:
    """Whether it is a well-known port of the other trading mode."""
    return port in (LIVE_PORTS if mode is TradingMode.PAPER else PAPER_PORTS)


class BrokerSettings(Section):
    """Trading mode, connection and quotes."""

    trading_mode: Annotated[TradingMode, SmallLetters] = Field(
        default=TradingMode.PAPER,
        description="Only accounts of this type are traded, so a paper set-up can never reach a live account.",
    )
    ib_host: str = Field(default=LOOPBACK, min_length=1, description="Host of the IB Gateway or TWS.")
    ib_port: Port = Field(
        default=4002,
        description="Its API port; a well-known port of the other trading mode is refused.",
    )
    gateway_addresses: str | None = Field(
        default=None,
        pattern=rf"^(none|{_ADDRESS}(,{_ADDRESS})*)$",
        json_schema_extra={"allowed": "NAME=HOST:PORT, by commas, or none"},
        description="Where the gateways of the accounts file are, in place of what it says of them; then one that is "
        "left out is refused, and none refuses all. A sandbox sets it, so that no real gateway is reached.",
    )
    ib_connect_timeout_s: float = Field(
        default=10, ge=0.1, le=60, description="How long one attempt to connect may take, synchronisation included."
    )
    ib_request_timeout_s: float = Field(
        default=10,
        ge=0.1,
        le=60,
        description="How long the gateway may be silent before it counts as gone.",
    )
    ib_market_data_type: int = Field(
        default=1,
        ge=1,
        le=4,
        description="Kind of quotes asked for: 1 live, 2 frozen, 3 delayed, 4 delayed-frozen; live trading needs 1.",
    )
    ib_client_id_first: int = Field(
        default=100,
        ge=1,
        le=1_000_000,
        description="First API client id; 0 is left out because it takes over manual orders.",
    )
    ib_client_id_count: int = Field(
        default=32, ge=1, le=32, description="Client ids to share among all workers; a gateway accepts 32 connections."
    )
    quote_timeout_s: float = Field(
        default=10, ge=0.1, le=60, description="How long to wait for usable quotes before giving up without an order."
    )
    quote_max_age_s: float = Field(
        default=30, ge=1, le=300, description="An older quote is stale and nothing is sized from it."
    )

    def contradictions(self) -> Iterator[str]:
        """Of mode and port; see :class:`Section`."""
        if is_of_other_mode(self.ib_port, self.trading_mode):
            yield (
                f"IB_PORT = {self.ib_port} is a port of the other mode than TRADING_MODE = {self.trading_mode}: "
                f"{PORTS_OF_MODES}"
            )

    @property
    def gateway_address(self) -> str:
        """Host and port, by which the ledger knows it."""
        return f"{self.ib_host}:{self.ib_port}"

    def place_of(self, gateway: Gateway) -> tuple[str, int] | None:
        """Host and port of another gateway; ``None`` where ``gateway_addresses`` leaves it out."""
        if self.gateway_addresses is None:
            return gateway.host, gateway.port
        given = dict(one.split("=") for one in self.gateway_addresses.split(",") if "=" in one)
        host, _, port = given.get(gateway.name, "").partition(":")
        return (host, int(port)) if host else None
