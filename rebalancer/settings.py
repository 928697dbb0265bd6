"""Everything that can be set from outside, read once per process by :func:`load_settings`.

A setting is one field of :class:`Settings`: its environment name is the field's name in capitals, and its description,
default and range are what ``docs/configuration.md`` and ``.env.example`` are checked against.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict

from rebalancer.api_settings import ApiSettings
from rebalancer.env_file import FILE, Entry, read_env_file, read_secret
from rebalancer.errors import ConfigurationError
from rebalancer.notification_settings import NotificationSettings
from rebalancer.order_settings import OrderSettings
from rebalancer.problems import SECRET, allowed_values, default_note, is_secret
from rebalancer.safeguard_settings import SafeguardSettings
from rebalancer.setting_types import (
    Capitals,
    DatabaseUrl,
    HttpUrl,
    Port,
    RedisUrl,
    Secret,
    SmallLetters,
    secret_texts,
    with_password,
)

PAPER_PORTS = frozenset({4002, 4004, 7497})
LIVE_PORTS = frozenset({4001, 4003, 7496})

# Read by the gateway's container and by Compose, never by us: recognised, so that all can share one .env.
FOREIGN_KEYS = {
    "IB_USERNAME": "User name of the login at Interactive Brokers.",
    "IB_PASSWORD": "Its password; our Compose file has it from secrets/ib-password instead.",
    "VNC_PASSWORD": "Password of the gateway's screen; likewise from secrets/vnc-password.",
    "AUTO_RESTART_TIME": "When the gateway restarts itself each day, for example 11:45 PM.",
    "TWOFA_DEVICE": "Second factor that the gateway asks for.",
    "TWOFA_TIMEOUT_ACTION": "What the gateway does when nobody confirms: restart or exit.",
    "RELOGIN_AFTER_TWOFA_TIMEOUT": "Whether it then asks again.",
    "JAVA_HEAP_SIZE": "Memory of the gateway in MB.",
    "TZ": "Time zone of the containers' own logs; the rebalancer itself works in UTC.",
    "COMPOSE_PROFILES": "What Docker Compose starts: paper, live or sandbox; paper or live sets TRADING_MODE too.",
    "COMPOSE_PROJECT_NAME": "Name under which Docker Compose keeps the containers.",
    "PYTHON_IMAGE": "Base of our image, if not the one that the Dockerfile names.",
    "POSTGRES_IMAGE": "Image of PostgreSQL, if not the one that the Compose file names.",
    "REDIS_IMAGE": "The same of Redis.",
    "IB_GATEWAY_IMAGE": "The same of the IB Gateway.",
}


class TradingMode(StrEnum):
    """Which of the two worlds at Interactive Brokers a process works in."""

    PAPER = "paper"
    LIVE = "live"


class Settings(ApiSettings, NotificationSettings, OrderSettings, SafeguardSettings):
    """Validated settings of one process. Percentages are as written; the properties give fractions."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
        validate_default=True,
        validate_by_name=True,
        str_strip_whitespace=True,
        hide_input_in_errors=True,
    )

    # Mode and broker
    trading_mode: Annotated[TradingMode, SmallLetters] = Field(
        default=TradingMode.PAPER,
        description="Only accounts of this type are traded, so a paper set-up can never reach a live account.",
    )
    ib_host: str = Field(default="127.0.0.1", min_length=1, description="Host of the IB Gateway or TWS.")
    ib_port: Port = Field(
        default=4002,
        description="Its API port; a well-known port of the other trading mode is refused.",
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

    # Signals and targets
    realtime_api_key: Secret | None = Field(
        default=None,
        validation_alias=AliasChoices("REALTIME_API_KEY", "REBALANCE_EVENT_SUBSCRIPTION_API_KEY"),
        json_schema_extra=SECRET,
        description="Ably key with which the listener subscribes to the strategies' channels.",
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
        default=30, ge=0.1, le=120, description="How long the allocations API may be silent."
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

    # Events
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

    # Stores, files and servers
    database_url: DatabaseUrl = Field(
        default="postgresql+psycopg2://postgres@localhost/rebalancer",
        repr=False,
        json_schema_extra={"secret": True, "allowed": "postgresql+psycopg2:// URL"},
        description="PostgreSQL database with the ledger, the only truth about events and orders.",
    )
    database_password: Secret | None = Field(
        default=None, json_schema_extra=SECRET, description="Password for DATABASE_URL, where that has none."
    )
    redis_url: RedisUrl = Field(
        default="redis://localhost:6379/0",
        repr=False,
        json_schema_extra={"secret": True, "allowed": "redis:// URL, or rediss:// with readable certificates"},
        description="Redis with the queue and the locks; it may be lost at any time without harm.",
    )
    redis_password: Secret | None = Field(
        default=None, json_schema_extra=SECRET, description="Password for REDIS_URL, where that has none."
    )
    accounts_file: Path = Field(
        default=Path("accounts.yaml"),
        json_schema_extra={"allowed": "path"},
        description="File with the accounts.",
    )
    replacement_sets_file: Path = Field(
        default=Path("replacement-sets.yaml"),
        json_schema_extra={"allowed": "path"},
        description="File with the replacement sets that accounts name.",
    )
    management_api_key: Secret | None = Field(
        default=None,
        json_schema_extra=SECRET,
        description="Bearer key for everything in the API that changes something, which is refused without one; "
        "several, separated by commas, while one is exchanged for another.",
    )
    api_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address that the API and the web page listen on.",
    )
    api_port: Port = Field(default=8000, description="Their port.")
    flower_port: Port = Field(default=5555, description="Port of Flower.")
    flower_control: bool = Field(
        default=False,
        description="Let Flower do more than show: send and revoke tasks, stop and reconfigure workers.",
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Capitals] = Field(
        default="INFO", description="Least severity that is logged."
    )
    log_format: Annotated[Literal["json", "console"], SmallLetters] = Field(
        default="json", description="One JSON object per line, or text for a person."
    )

    @model_validator(mode="before")
    @classmethod
    def _passwords_join_urls(cls, given: dict[str, Any]) -> dict[str, Any]:
        joined = dict(given)
        for store in ("database", "redis"):
            if password := given.get(f"{store}_password"):
                url = given.get(f"{store}_url") or cls.model_fields[f"{store}_url"].default
                joined[f"{store}_url"] = with_password(f"{store.upper()}_URL", url, password)
        return joined

    @model_validator(mode="after")
    def _orders_end_before_the_close(self) -> Self:
        if self.market_close_cutoff_s < self.order_timeout_s:
            raise ValueError(
                f"MARKET_CLOSE_CUTOFF_S = {self.market_close_cutoff_s:g} is less than ORDER_TIMEOUT_S = "
                f"{self.order_timeout_s:g}: an order might work until the close; raise the first or lower the second"
            )
        return self

    @model_validator(mode="after")
    def _port_suits_mode(self) -> Self:
        foreign = LIVE_PORTS if self.trading_mode is TradingMode.PAPER else PAPER_PORTS
        if self.ib_port in foreign:
            raise ValueError(
                f"IB_PORT = {self.ib_port} is a port of the other mode than TRADING_MODE = {self.trading_mode}: "
                f"paper gateways listen on 4002 or 4004 (TWS 7497), live ones on 4001 or 4003 (TWS 7496)"
            )
        return self

    @property
    def gateway_address(self) -> str:
        """Host and port, by which the ledger knows it."""
        return f"{self.ib_host}:{self.ib_port}"

    def require(self, name: str) -> str:
        """The value of a secret that the caller cannot do without.

        Raises:
            ConfigurationError: it is not set; the message says which variable to set.
        """
        secret: SecretStr | None = getattr(self, name)
        if secret is None:
            purpose = type(self).model_fields[name].description
            raise ConfigurationError([f"{name.upper()} is not set: add it to .env or the environment ({purpose})"])
        return secret.get_secret_value()

    def secret_values(self) -> frozenset[str]:
        """Every text that must not be logged: the keys, and the passwords inside URLs as written and as decoded."""
        values = (getattr(self, name) for name, field in type(self).model_fields.items() if is_secret(field))
        found = {text for value in values if value is not None for text in secret_texts(value)}
        return frozenset(found)


def load_settings() -> Settings:
    """Read the process environment and, below it, the file ``ENV_FILE`` or ``./.env``.

    Values in the file are literal: nothing is expanded. An empty value counts as not set.

    Raises:
        ConfigurationError: every unknown or repeated key of the file and every value out of range, in one go.
    """
    path = env_path()
    entries: Mapping[str, Entry] = {}
    problems: list[str] = []
    if path.exists() or "ENV_FILE" in os.environ:
        entries, problems = read_env_file(path, _fields_by_name(), FOREIGN_KEYS)
    found, repeated = _environment_entries()
    given, unreadable = _followed({**entries, **found})
    problems += [*repeated, *unreadable]
    try:
        settings = Settings.model_validate({field: entry.text for field, entry in given.items()})
    except ValidationError as refused:
        problems += [_problem(error, given) for error in refused.errors(include_url=False)]
    if problems:
        raise ConfigurationError(problems)
    return settings


def env_path() -> Path:
    """The file below the environment, which need not exist."""
    return Path(os.environ.get("ENV_FILE") or ".env")


def environment_names(name: str) -> tuple[str, ...]:
    """Names under which a field is read, today's first."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (name.upper(),)


def setting_names() -> frozenset[str]:
    """Every name that may stand in the environment or in ``.env``, those of secret files included."""
    return frozenset(_fields_by_name())


def _fields_by_name() -> dict[str, str]:
    """Field by every name that sets it; that of a secret may also name a file that holds it."""
    known = {name: field for field in Settings.model_fields for name in environment_names(field)}
    files = {f"{name}{FILE}": field for name, field in known.items() if _may_be_a_file(field)}
    return known | files


def _may_be_a_file(field: str) -> bool:
    return is_secret(Settings.model_fields[field])


def _environment_entries() -> tuple[dict[str, Entry], list[str]]:
    """Fields that the process environment sets, and its contradictions; of two names of one field, today's wins."""
    present = {name.upper(): text for name, text in os.environ.items() if text}
    found: dict[str, Entry] = {}
    problems = []
    for name, field in _fields_by_name().items():
        if name not in present:
            continue
        if name.endswith(FILE) and field in found and _may_be_a_file(field):
            problems.append(f"environment: {found[field].name} and {name} are both set: keep one")
        found.setdefault(field, Entry("environment", present[name], name))
    return found, problems


def _followed(given: Mapping[str, Entry]) -> tuple[dict[str, Entry], list[str]]:
    """The entries with secrets in place of the files that hold them, and one problem for each unusable file."""
    found, problems = dict(given), []
    for field, entry in given.items():
        if entry.name.endswith(FILE) and _may_be_a_file(field):
            found[field], problem = read_secret(entry)
            if problem is not None:
                problems.append(problem)
                del found[field]
    return found, problems


def _problem(error: ErrorDetails, given: Mapping[str, Entry]) -> str:
    """One line for one refused value: where it stands, what it is, what may stand there."""
    if not error["loc"]:
        return str(error["ctx"]["error"])
    name = _fields_by_name().get(str(error["loc"][0]).upper(), str(error["loc"][0]))
    field, entry = Settings.model_fields[name], given[name]
    value = "(not shown)" if is_secret(field) else repr(entry.text)
    remedy = f"use {allowed_values(field)} ({default_note(field)})"
    return f"{entry.place}: {environment_names(name)[0]} = {value} is refused: {remedy}"
