"""Settings of events: when they are tried again, how long they may take, how long they are kept."""

from __future__ import annotations

from pydantic import Field

from rebalancer.config.settings_section import Section
from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.domain.gateways import NAME


class EventSettings(Section):
    """Retries, leases and workers."""

    retry_delay_s: float = Field(default=60, ge=0.1, le=3600, description="Pause before a failed event is tried again.")
    slow_retry_delay_s: float = Field(
        default=3600, ge=0.1, le=86_400, description="The same after refusals that a person has to resolve."
    )
    attention_after: int = Field(
        default=3, ge=1, le=100, description="Refusals in a row before a person is told and the slower pace begins."
    )
    lease_s: float = Field(
        default=90, ge=1, le=600, description="A worker that is silent for longer loses its event to another one."
    )
    lock_ttl_s: float = Field(
        default=300,
        ge=1,
        le=3600,
        description="How long one queue message keeps a second one out.",
    )
    task_soft_time_limit_s: int = Field(
        default=1200, ge=10, le=7200, description="A run that takes longer is interrupted, reconciled and tried again."
    )
    retention_days: int = Field(
        default=365,
        ge=30,
        le=3650,
        description="How long ended events stay on record with all that belongs to them; an account's newest stays.",
    )
    worker_concurrency: int = Field(
        default=4, ge=1, le=32, description="Worker processes, each with its own broker connection: accounts at a time."
    )
    worker_gateway: str = Field(
        default=MAIN_GATEWAY,
        pattern=f"^{NAME}$",
        json_schema_extra={"allowed": "main, or a name under gateways of the accounts file"},
        description="Whose accounts the processes of a worker serve; only workers read it.",
    )
