"""Settings of the management API beyond its address."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class ApiSettings(BaseSettings):
    """Who may read, and how often may be written."""

    api_reads_private: bool = Field(
        default=False, description="Ask for the management key for reading too, the web page included."
    )
    api_writes_per_minute: int = Field(
        default=120,
        ge=1,
        le=100_000,
        description="More changes with one key are refused for a while; so are more wrong keys from one address.",
    )
