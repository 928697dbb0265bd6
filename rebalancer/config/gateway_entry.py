"""``gateways:`` of the accounts file: logins at Interactive Brokers beside the one of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StrictStr, model_validator

from rebalancer.config.account_entry import GATEWAY, Entry
from rebalancer.config.broker_settings import PORTS_OF_MODES, is_of_other_mode
from rebalancer.config.yaml_file import Document, check
from rebalancer.domain.accounts import MAIN_GATEWAY, TradingMode
from rebalancer.domain.daily_window import DailyWindow
from rebalancer.domain.gateways import Gateway, is_gateway_name
from rebalancer.domain.loopback import LOOPBACK

KEY = "gateways"


class GatewayEntry(Entry):
    """One gateway, by its name."""

    port: Annotated[Decimal, Field(strict=True, ge=1, le=65_535, multiple_of=1)] = Field(
        description="Its API port; a well-known port of the other trading mode is refused."
    )
    trading_mode: TradingMode = Field(
        description="What its login is for, and the type of all its accounts; a live one is used only where "
        "TRADING_MODE is live too."
    )
    host: Annotated[StrictStr, Field(pattern=r"^\S+$")] = Field(
        default=LOOPBACK, json_schema_extra={"allowed": "a host name or address"}, description="Its host."
    )
    client_id_first: Annotated[Decimal, Field(strict=True, ge=1, le=1_000_000, multiple_of=1)] | None = Field(
        default=None,
        json_schema_extra={"allowed": "1 to 1000000"},
        description="In place of IB_CLIENT_ID_FIRST.",
    )
    client_id_count: Annotated[Decimal, Field(strict=True, ge=1, le=32, multiple_of=1)] | None = Field(
        default=None, json_schema_extra={"allowed": "1 to 32"}, description="In place of IB_CLIENT_ID_COUNT."
    )
    restart_window: StrictStr | None = Field(
        default=None,
        json_schema_extra={"allowed": "HH:MM-HH:MM"},
        description="In place of RESTART_WINDOW and GATEWAY_RESTART.",
    )
    restart_window_zone: StrictStr | None = Field(
        default=None, json_schema_extra={"allowed": "a time zone"}, description="In place of RESTART_WINDOW_ZONE."
    )
    log: Annotated[StrictStr, Field(min_length=1)] | None = Field(
        default=None,
        json_schema_extra={"allowed": "path, from the accounts file's folder on"},
        description="What GATEWAY_LOG is for the main one.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if is_of_other_mode(int(self.port), self.trading_mode):
            raise ValueError(
                f"has port {self.port}, a port of the other mode than {self.trading_mode}: {PORTS_OF_MODES}"
            )
        if self.restart_window_zone is not None and self.restart_window is None:
            raise ValueError("has a restart_window_zone without restart_window: write both, or neither")
        if self.restart_window is not None:
            DailyWindow.parse(self.restart_window, self.restart_window_zone or "UTC")
        return self

    def gateway(self, name: str, folder: Path) -> Gateway:
        """The entry as a value; paths are from ``folder`` on."""
        return Gateway(
            name=name,
            port=int(self.port),
            mode=self.trading_mode,
            host=self.host,
            client_id_first=None if self.client_id_first is None else int(self.client_id_first),
            client_id_count=None if self.client_id_count is None else int(self.client_id_count),
            restart_window=self.restart_window,
            restart_window_zone=self.restart_window_zone,
            log=None if self.log is None else folder / self.log,
        )


def read_gateways(document: Document, problems: list[str]) -> Mapping[str, Gateway]:
    """By name; what is wrong adds to ``problems``."""
    rows = document.content.get(KEY, {}) if isinstance(document.content, dict) else {}
    if not isinstance(rows, dict):
        problems.append(f"{document.place((KEY,))} has to map names of gateways to where they are")
        return {}
    found: dict[str, Gateway] = {}
    for name, row in rows.items():
        if (wrong := _wrong_name(name)) is not None:
            problems.append(f"{document.place((KEY, name))} {wrong}")
            continue
        entry = check(GatewayEntry, row, document, (KEY, name), problems)
        if entry is not None:
            found[name] = entry.gateway(name, document.path.parent)
    return found


def _wrong_name(name: str) -> str | None:
    if name == MAIN_GATEWAY:
        return "is the gateway of the settings (IB_HOST, IB_PORT, TRADING_MODE): call this one otherwise"
    return None if is_gateway_name(name) else f"is no name of a gateway: use {GATEWAY['allowed']}"
