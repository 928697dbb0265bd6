"""Settings of what listens: the management API with its page, and Flower."""

from __future__ import annotations

from pydantic import Field

from rebalancer.config.field_help import SECRET
from rebalancer.config.settings_section import Section
from rebalancer.config.types import Port, Secret
from rebalancer.domain.loopback import LOOPBACK

ORIGIN = "https?://[A-Za-z0-9.:-]+"
HOST = r"[A-Za-z0-9_.-]+"
NETWORK = r"[0-9a-fA-F.:]+(/[0-9]{1,3})?"


class ApiSettings(Section):
    """Where they listen; who may come in, from where, and how often."""

    management_api_key: Secret | None = Field(
        default=None,
        json_schema_extra=SECRET,
        description="Bearer key of the API that may do everything, of 16 characters or more; several, separated by "
        "commas, while one is exchanged for another. `rebalancer keys` makes others that may do less.",
    )
    api_host: str = Field(
        default=LOOPBACK,
        min_length=1,
        description="Address that the API and the web page listen on.",
    )
    api_port: Port = Field(default=8000, description="Their port.")
    flower_port: Port = Field(default=5555, description="Port of Flower.")
    flower_control: bool = Field(
        default=False,
        description="Let Flower do more than show: send and revoke tasks, stop and reconfigure workers.",
    )
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
