"""Settings of what the strategies say: their signals, and the targets behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from rebalancer.config.field_help import SECRET
from rebalancer.config.settings_section import Section
from rebalancer.config.types import HttpUrl, Secret, Secrets, SmallLetters


class SignalSettings(Section):
    """The realtime channels, their history, and the allocations API."""

    realtime_api_key: Secret | None = Field(
        default=None,
        validation_alias=AliasChoices("REALTIME_API_KEY", "REBALANCE_EVENT_SUBSCRIPTION_API_KEY"),
        json_schema_extra=SECRET,
        description="Ably key with which the listener subscribes to the strategies' channels.",
    )
    listener_expected: bool | None = Field(
        default=None,
        description="Whether signals are to be heard; unless set, REALTIME_API_KEY says so, which few processes get.",
    )
    realtime_endpoint: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?$",
        json_schema_extra={"allowed": "host or host:port"},
        description="Another server than Ably's own, for example the sandbox's.",
    )
    realtime_tls: bool = Field(
        default=True, description="Encrypt the connection to the realtime endpoint; off for the sandbox only."
    )
    allocations_api_key: Secret | None = Field(
        default=None,
        validation_alias=AliasChoices("ALLOCATIONS_API_KEY", "ZEHNLABS_FINTECH_API_KEY"),
        json_schema_extra=SECRET,
        description="Key that the allocations API expects in its x-api-key header.",
    )
    allocations_base_url: HttpUrl = Field(
        default="https://workers.fintech.zehnlabs.com/api/v1/strategies",
        json_schema_extra={"allowed": "http:// or https:// URL"},
        description="Targets are read from {this}/{strategy}/allocations.",
    )
    allocations_timeout_s: float = Field(
        default=30, ge=0.1, le=120, description="How long the allocations API, or a source's server, may be silent."
    )
    source_secrets: Secrets | None = Field(
        default=None,
        json_schema_extra={"secret": True, "allowed": "strategy=secret, each of 16 characters or more, by commas"},
        description="Secrets with which the tables of sources are signed that name a signature.",
    )
    history_window_s: float = Field(
        default=120,
        ge=60,
        le=31_536_000,
        description="How long Ably keeps the channels' messages: 120 by default, 86400 or more where it persists them. "
        "After a longer silence signals may have been missed.",
    )
    history_overlap_s: float = Field(
        default=120,
        ge=120,
        le=3600,
        description="How far history is read again before the moment until which it is complete.",
    )
    history_sweep_s: float = Field(
        default=60, ge=1, le=3600, description="How often history is read in any case, whatever the connection says."
    )
    catch_up_after_gap: Annotated[Literal["off", "dry-run", "rebalance"], SmallLetters] = Field(
        default="dry-run",
        description="What each account does when signals may have been missed and its strategy has rebalanced since.",
    )
    signal_max_age_s: float = Field(
        default=86_400,
        ge=60,
        le=2_592_000,
        description="A signal that arrives older than this becomes a dry run: a person decides whether to trade late.",
    )

    def contradictions(self) -> Iterator[str]:
        """Secrets that cannot be told apart; see :class:`Section`."""
        try:
            self.secret_of("")
        except ValueError as error:
            yield f"SOURCE_SECRETS: {error}"

    def secret_of(self, strategy: str) -> str | None:
        """With what a strategy's table is signed."""
        return self.source_secrets.by_name().get(strategy) if self.source_secrets else None

    @property
    def expects_listener(self) -> bool:
        """Whether it is a fault that nobody hears the strategies' channels."""
        return self.realtime_api_key is not None if self.listener_expected is None else self.listener_expected
