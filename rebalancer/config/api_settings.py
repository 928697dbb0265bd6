"""Settings of what listens: the management API with its page, and Flower."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from rebalancer.config.field_help import SECRET
from rebalancer.config.settings_section import Section
from rebalancer.config.types import Port, Secret
from rebalancer.domain.loopback import LOOPBACK

ORIGIN = "https?://[A-Za-z0-9.:-]+"
HOST = r"[A-Za-z0-9_.-]+"
NAME = "[A-Za-z][A-Za-z0-9._-]{0,39}"
"""Of a key, as the record of changes calls it."""
NETWORK = r"[0-9a-fA-F.:]+(/[0-9]{1,3})?"


class ApiSettings(Section):
    """Where they listen; who may come in, from where, and how often."""

    management_api_key: Secret | None = Field(
        default=None,
        json_schema_extra=SECRET,
        description="Bearer key of the API that may do everything, of 16 characters or more; several, separated by "
        "commas, while one is exchanged for another. `rebalancer keys` makes others that may do less.",
    )
    management_key_names: str | None = Field(
        default=None,
        pattern=rf"^{NAME}(, ?{NAME})*$",
        json_schema_extra={"allowed": "names separated by commas"},
        description="Who has each key of MANAGEMENT_API_KEY, in their order: the page, the record of changes and "
        "messages say so instead of the key's fingerprint.",
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

    @property
    def management_keys(self) -> tuple[str, ...]:
        """The keys that may do everything, in the order in which they were written."""
        return () if self.management_api_key is None else _parts(self.management_api_key.get_secret_value())

    @property
    def key_names(self) -> tuple[str, ...]:
        """Whose the first of them are."""
        return _parts(self.management_key_names or "")

    def contradictions(self) -> Iterator[str]:
        names = self.key_names
        keys = len(self.management_keys)
        if 0 < keys < len(names):
            yield f"MANAGEMENT_KEY_NAMES has {len(names)} names, and MANAGEMENT_API_KEY {keys} keys"
        if len(set(names)) < len(names):
            yield "MANAGEMENT_KEY_NAMES has a name twice: the record of changes could not tell the keys apart"


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
