"""Settings of the management API beyond its address."""

from __future__ import annotations

from pydantic import Field

from rebalancer.settings_section import Section

ORIGIN = "https?://[A-Za-z0-9.:-]+"


class ApiSettings(Section):
    """Who may read, and how often may be written."""

    api_reads_private: bool = Field(
        default=False, description="Ask for the management key for reading too, the web page included."
    )
    api_cors_origins: str | None = Field(
        default=None,
        pattern=rf"^(\*|{ORIGIN}(, ?{ORIGIN})*)$",
        json_schema_extra={"allowed": "origins separated by commas, or *"},
        description="Web pages of other origins that browsers let use the API; with *, every page that its owner "
        "visits can read what is not private.",
    )
    api_writes_per_minute: int = Field(
        default=120,
        ge=1,
        le=100_000,
        description="More changes with one key are refused for a while; so are more wrong keys from one address.",
    )
