"""Settings of the management API beyond its address."""

from __future__ import annotations

from pydantic import Field

from rebalancer.config.settings_section import Section

ORIGIN = "https?://[A-Za-z0-9.:-]+"
HOST = r"[A-Za-z0-9_.-]+"
NETWORK = r"[0-9a-fA-F.:]+(/[0-9]{1,3})?"


class ApiSettings(Section):
    """Who may come in, from where, and how often."""

    api_reads_private: bool = Field(
        default=True,
        description="Ask for a key or a session for whatever tells of accounts, the web page included. Without, every "
        "program and user of this machine reads it; callers from elsewhere need a key all the same.",
    )
    api_allowed_hosts: str | None = Field(
        default=None,
        pattern=rf"^{HOST}(, ?{HOST})*$",
        json_schema_extra={"allowed": "host names separated by commas"},
        description="Names under which the API is reached, beside localhost, loopback addresses, API_HOST and the "
        "address that a connection arrived at. Others are refused, so that no foreign page poses as ours.",
    )
    api_trusted_proxies: str | None = Field(
        default=None,
        pattern=rf"^{NETWORK}(, ?{NETWORK})*$",
        json_schema_extra={"allowed": "addresses or networks separated by commas"},
        description="Reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed; nobody else's are.",
    )
    api_cors_origins: str | None = Field(
        default=None,
        pattern=rf"^(\*|{ORIGIN}(, ?{ORIGIN})*)$",
        json_schema_extra={"allowed": "origins separated by commas, or *"},
        description="Web pages of other origins that browsers let use the API; with *, every page that its owner "
        "visits can read what is not private.",
    )
    api_session_hours: int = Field(
        default=12, ge=1, le=720, description="How long a browser that has signed in may stay, whatever it does."
    )
    api_writes_per_minute: int = Field(
        default=120, ge=1, le=100_000, description="More changes with one key or session are refused for a while."
    )
    api_wrong_keys_per_minute: int = Field(
        default=10,
        ge=1,
        le=100_000,
        description="After so many wrong keys from one address, its keys are refused for a while, right ones too.",
    )
