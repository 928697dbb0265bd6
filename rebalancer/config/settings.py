"""Everything that can be set from outside, read once per process by :func:`load_settings`.

A setting is one field of :class:`Settings`: its environment name is the field's name in capitals, and its description,
default and range are what ``docs/configuration.md`` and ``.env.example`` are checked against.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict

from rebalancer.config.api_settings import ApiSettings
from rebalancer.config.backup_settings import BackupSettings
from rebalancer.config.clear_text import ClearTextSettings
from rebalancer.config.env_file import FILE, EnvEntry, has_password, over, read_env_file, read_secret
from rebalancer.config.field_help import allowed_values, default_note, is_secret
from rebalancer.config.foreign_keys import FOREIGN_KEYS
from rebalancer.config.notification_settings import NotificationSettings
from rebalancer.config.order_settings import OrderSettings
from rebalancer.config.risk_settings import SafeguardSettings
from rebalancer.config.running_stack import STORES, Origin, RunningStack, decide, find, shown
from rebalancer.config.signal_settings import SignalSettings
from rebalancer.config.store_settings import StoreSettings
from rebalancer.config.types import Port, SmallLetters, secret_texts, with_password
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.errors import ConfigurationError

ENV_FILE = "ENV_FILE"
PAPER_PORTS = frozenset({4002, 4004, 7497})
LIVE_PORTS = frozenset({4001, 4003, 7496})


class Settings(
    ApiSettings,
    BackupSettings,
    ClearTextSettings,
    NotificationSettings,
    OrderSettings,
    SafeguardSettings,
    SignalSettings,
    StoreSettings,
):
    """Validated settings of one process. Percentages are as written; the properties give fractions."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
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

    def contradictions(self) -> Iterator[str]:
        """Of mode and port, of patience and close; see :class:`rebalancer.config.settings_section.Section`."""
        yield from super().contradictions()
        if self.market_close_cutoff_s < self.order_timeout_s:
            yield (
                f"MARKET_CLOSE_CUTOFF_S = {self.market_close_cutoff_s:g} is less than ORDER_TIMEOUT_S = "
                f"{self.order_timeout_s:g}: an order might work until the close; raise the first or lower the second"
            )
        foreign = LIVE_PORTS if self.trading_mode is TradingMode.PAPER else PAPER_PORTS
        if self.ib_port in foreign:
            yield (
                f"IB_PORT = {self.ib_port} is a port of the other mode than TRADING_MODE = {self.trading_mode}: "
                f"paper gateways listen on 4002 or 4004 (TWS 7497), live ones on 4001 or 4003 (TWS 7496)"
            )

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
    """Settings of this process, and for what they leave open those of the stack that is meant: see :func:`resolve`.

    Raises:
        ConfigurationError, NothingRuns: as :func:`resolve`.
    """
    return resolve()[0]


def resolve() -> tuple[Settings, Origin]:
    """Read the process environment and, below it, ``ENV_FILE`` or ``./.env``. Where these do not name ledger and queue,
    the running stack's do, and then all its settings count as they do for its own programs: first what it was started
    with, then this process' environment, then the ``.env`` of the stack. Which stack that is says
    :mod:`rebalancer.config.running_stack`.

    Raises:
        ConfigurationError: every unknown or repeated key of the file and every value out of range, in one go.
        NothingRuns: the stack that was chosen is not up.
    """
    given, problems = _given(None)
    urls = {name: url for name in STORES if (url := _store_url(name, given)) is not None}
    places = {name: given[name.lower()].place for name in urls if name.lower() in given}
    origin = decide(find(), urls, dict.fromkeys(urls, "password only") | places)
    if origin.stack is not None:
        given, problems = _given(origin.stack)
    return _validated(given, problems), origin


def read_settings(*, env_file: bool = True) -> Settings:
    """What this process itself was given, whatever runs: for who starts a stack.

    Raises:
        ConfigurationError: every problem, in one go.
    """
    return _validated(*_given(None, env_file=env_file))


def given_values(*, env_file: bool = True) -> dict[str, str]:
    """The text that sets each field, right or wrong, as far as it can be read; secrets included."""
    given, _ = _given(None, env_file=env_file)
    return {field: entry.text for field, entry in given.items()}


def env_path() -> Path:
    """The file below the environment, which need not exist."""
    return Path(os.environ.get(ENV_FILE) or ".env")


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


def _given(stack: RunningStack | None, *, env_file: bool = True) -> tuple[dict[str, EnvEntry], list[str]]:
    """What sets each field, and the lines that cannot be used.

    Args:
        stack: whose settings come first, if any.
    """
    directory, file = Path(), os.environ.get(ENV_FILE)
    theirs: dict[str, EnvEntry] = {}
    if stack is not None:
        directory, file = stack.directory, stack.environment.get(ENV_FILE)
        theirs, _ = _environment_entries(stack.environment, f"environment of {shown(stack.folder)}")
    path = env_path() if stack is None else directory / (file or ".env")
    entries: Mapping[str, EnvEntry] = {}
    problems: list[str] = []
    if env_file and (path.exists() or file is not None):
        entries, problems = read_env_file(path, _fields_by_name(), FOREIGN_KEYS)
    ours, repeated = _environment_entries(os.environ, "environment")
    found = over(over(dict(entries), ours), theirs)
    problems += [
        f"{store}_URL has a password in it and {store}_PASSWORD is set too: keep one"
        for store in ("DATABASE", "REDIS")
        if f"{store.lower()}_password" in found and has_password(found.get(f"{store.lower()}_url"))
    ]
    if stack is not None and stack.directory != Path.cwd():
        found = _rooted(found, directory)
    followed, unreadable = _followed(found)
    return followed, [*problems, *repeated, *unreadable]


def _rooted(entries: Mapping[str, EnvEntry], directory: Path) -> dict[str, EnvEntry]:
    """The same with paths that are right from here."""
    usual = {name: str(Settings.model_fields[name].default) for name in ("accounts_file", "replacement_sets_file")}
    found = {name: EnvEntry("default", text, name.upper()) for name, text in usual.items()} | dict(entries)
    return {
        field: replace(entry, text=str(directory / entry.text)) if entry.name.endswith(FILE) else entry
        for field, entry in found.items()
    }


def _store_url(name: str, given: Mapping[str, EnvEntry]) -> str | None:
    """The URL of a store with its password, where something sets one of both."""
    url, password = given.get(name.lower()), given.get(name.lower().replace("url", "password"))
    if url is None and password is None:
        return None
    text = url.text if url else str(Settings.model_fields[name.lower()].default)
    return str(with_password(text, password.text)) if password else text


def _validated(given: Mapping[str, EnvEntry], problems: list[str]) -> Settings:
    """Settings, or every problem: contradictions that wrong values hide are looked for with defaults in their place."""
    values: dict[str, object] = {field: entry.text for field, entry in given.items()}
    settings, errors = _tried(values)
    wrong = {_field(error): error for error in errors if error["loc"]}
    if wrong:
        _, errors = _tried(values | {field: Settings.model_fields[field].default for field in wrong})
    names = [name for field in wrong for name in environment_names(field)]
    contradictions = [line for error in errors for line in str(error.get("ctx", {}).get("error", "")).splitlines()]
    found = [
        *(_refusal(field, given[field]) for field in wrong),
        *(line for line in contradictions if not any(re.search(rf"\b{name}\b", line) for name in names)),
    ]
    if settings is None or problems:
        raise ConfigurationError([*problems, *found])
    return settings


def _tried(values: Mapping[str, object]) -> tuple[Settings | None, list[ErrorDetails]]:
    """Settings, or what is wrong with them."""
    try:
        return Settings.model_validate(values), []
    except ValidationError as refused:
        return None, refused.errors(include_url=False)


def _environment_entries(environment: Mapping[str, str], place: str) -> tuple[dict[str, EnvEntry], list[str]]:
    """Fields that an environment sets, and its contradictions; of two names of one field, today's wins."""
    present = {name.upper(): text for name, text in environment.items() if text}
    found: dict[str, EnvEntry] = {}
    problems = []
    for name, field in _fields_by_name().items():
        if name not in present:
            continue
        if name.endswith(FILE) and field in found and _may_be_a_file(field):
            problems.append(f"{place}: {found[field].name} and {name} are both set: keep one")
        found.setdefault(field, EnvEntry(place, present[name], name))
    return found, problems


def _followed(given: Mapping[str, EnvEntry]) -> tuple[dict[str, EnvEntry], list[str]]:
    """The entries with secrets in place of the files that hold them, and one problem for each unusable file."""
    found, problems = dict(given), []
    for field, entry in given.items():
        if entry.name.endswith(FILE) and _may_be_a_file(field):
            found[field], problem = read_secret(entry)
            if problem is not None:
                problems.append(problem)
                del found[field]
    return found, problems


def _refusal(name: str, entry: EnvEntry) -> str:
    """One line for one refused value: where it stands, what it is, what may stand there."""
    field = Settings.model_fields[name]
    value = "(not shown)" if is_secret(field) else repr(entry.text)
    remedy = f"use {allowed_values(field)} ({default_note(field)})"
    return f"{entry.place}: {environment_names(name)[0]} = {value} is refused: {remedy}"


def _field(error: ErrorDetails) -> str:
    """The field of a refused value, of which pydantic may say an alias."""
    named = str(error["loc"][0])
    return _fields_by_name().get(named.upper(), named)
