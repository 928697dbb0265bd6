"""Everything that can be set from outside, read once per process by :func:`load_settings`.

A setting is one field of one group of :class:`Settings`: its environment name is the field's name in capitals, and its
description, default and range are what ``docs/configuration.md`` and ``.env.example`` are checked against.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, cast

from pydantic import AliasChoices, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from rebalancer.config.api_settings import ApiSettings
from rebalancer.config.backup_settings import BackupSettings
from rebalancer.config.broker_settings import BrokerSettings
from rebalancer.config.clear_text import ClearTextSettings
from rebalancer.config.env_file import FILE, EnvEntry, has_password, over, read_env_file, read_secret
from rebalancer.config.event_settings import EventSettings
from rebalancer.config.field_help import allowed_values, default_note, is_secret
from rebalancer.config.file_settings import FileSettings
from rebalancer.config.foreign_keys import FOREIGN_KEYS
from rebalancer.config.log_settings import LogSettings
from rebalancer.config.notification_settings import NotificationSettings
from rebalancer.config.order_settings import OrderSettings
from rebalancer.config.report_settings import ReportSettings
from rebalancer.config.risk_settings import RiskSettings
from rebalancer.config.running_stack import STORES, Origin, RunningStack, decide, find, shown
from rebalancer.config.settings_section import Section
from rebalancer.config.signal_settings import SignalSettings
from rebalancer.config.statement_settings import StatementSettings
from rebalancer.config.store_settings import StoreSettings
from rebalancer.config.style_settings import StyleSettings
from rebalancer.config.types import with_password
from rebalancer.domain.errors import ConfigurationError

ENV_FILE = "ENV_FILE"


class Settings(BaseSettings):
    """Validated settings of one process, by group. Percentages are as written; the properties give fractions."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    stores: StoreSettings
    files: FileSettings
    logs: LogSettings
    signals: SignalSettings
    risk: RiskSettings
    orders: OrderSettings
    styles: StyleSettings
    notifications: NotificationSettings
    clear_text: ClearTextSettings
    backup: BackupSettings
    api: ApiSettings
    broker: BrokerSettings
    events: EventSettings
    statements: StatementSettings
    reports: ReportSettings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what it is given: environment and files are read here. Pydantic would
        read the environment again, and the whole, which each process does all the time, would take eight times as long.
        """
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @classmethod
    def from_flat(cls, values: Mapping[str, object] = MappingProxyType({})) -> Self:
        """Settings by the names of their fields, whatever the group of each; what is left out has its default.

        Raises:
            pydantic.ValidationError: an unknown name, a value out of range, or contradictions of all groups.
        """
        groups: dict[str, dict[str, object]] = {group: {} for group in cls.model_fields}
        unknown = {name: value for name, value in values.items() if name not in FIELDS}
        for name in values.keys() - unknown.keys():
            groups[_GROUPS[name]][name] = values[name]
        return cls.model_validate(groups | unknown)

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Self:
        """Settings as a process with this environment has them; what is none of ours in it is left out.

        Raises:
            pydantic.ValidationError: as :meth:`from_flat`.
        """
        names = {name.lower(): text for name, text in environment.items()}
        return cls.from_flat({name: text for name, text in names.items() if name in FIELDS})

    def flat(self) -> dict[str, Any]:
        """Every value by the name of its field."""
        return {name: getattr(getattr(self, group), name) for name, group in _GROUPS.items()}

    def changed(self, **values: object) -> Self:
        """The same with other values of some fields, checked as all are.

        Raises:
            pydantic.ValidationError: as :meth:`from_flat`.
        """
        return self.from_flat(self.flat() | values)

    @model_validator(mode="after")
    def _without_contradictions(self) -> Self:
        if found := list(self.contradictions()):
            raise ValueError("\n".join(found))
        return self

    def contradictions(self) -> Iterator[str]:
        """Of every group, and between groups."""
        for _, group in self:
            yield from group.contradictions()
        yield from self.clear_text.refusals(self.signals, self.stores, self.notifications, self.statements)
        yield from self.styles.refusals(self.orders, self.events)
        if self.risk.market_close_cutoff_s < self.orders.order_timeout_s:
            yield (
                f"MARKET_CLOSE_CUTOFF_S = {self.risk.market_close_cutoff_s:g} is less than ORDER_TIMEOUT_S = "
                f"{self.orders.order_timeout_s:g}: an order might work until the close; raise the first or lower the "
                "second"
            )

    def secret_values(self) -> frozenset[str]:
        """Every text that must not be logged; see :meth:`rebalancer.config.settings_section.Section.secret_values`."""
        return frozenset(text for _, group in self for text in group.secret_values())


def _fields() -> Iterator[tuple[str, str, FieldInfo]]:
    """Group, name and field of every setting."""
    for group, held in Settings.model_fields.items():
        section = cast("type[Section]", held.annotation)
        yield from ((group, name, field) for name, field in section.model_fields.items())


_GROUPS: Mapping[str, str] = {name: group for group, name, _ in _fields()}
FIELDS: Mapping[str, FieldInfo] = {name: field for _, name, field in _fields()}
"""Every setting by its name, which is unique."""


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
    alias = FIELDS[name].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (name.upper(),)


def setting_names() -> frozenset[str]:
    """Every name that may stand in the environment or in ``.env``, those of secret files included."""
    return frozenset(_fields_by_name())


@lru_cache(maxsize=1)
def _fields_by_name() -> Mapping[str, str]:
    """Field by every name that sets it; that of a secret may also name a file that holds it."""
    known = {name: field for field in FIELDS for name in environment_names(field)}
    files = {f"{name}{FILE}": field for name, field in known.items() if _may_be_a_file(field)}
    return known | files


def _may_be_a_file(field: str) -> bool:
    return is_secret(FIELDS[field])


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
    usual = {name: str(FIELDS[name].default) for name in ("accounts_file", "replacement_sets_file")}
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
    text = url.text if url else str(FIELDS[name.lower()].default)
    return str(with_password(text, password.text)) if password else text


def _validated(given: Mapping[str, EnvEntry], problems: list[str]) -> Settings:
    """Settings, or every problem; as long as nothing has changed the very same object, since processes look often."""
    return _validated_once(tuple(given.items()), tuple(problems))


@lru_cache(maxsize=2)
def _validated_once(entries: tuple[tuple[str, EnvEntry], ...], problems: tuple[str, ...]) -> Settings:
    """Contradictions that wrong values hide are looked for with defaults in their place."""
    given = dict(entries)
    values: dict[str, object] = {field: entry.text for field, entry in given.items()}
    settings, errors = _tried(values)
    wrong = {_field(error): error for error in errors if error["loc"]}
    if wrong:
        _, errors = _tried(values | {field: FIELDS[field].default for field in wrong})
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
        return Settings.from_flat(values), []
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
    field = FIELDS[name]
    value = "(not shown)" if is_secret(field) else repr(entry.text)
    remedy = f"use {allowed_values(field)} ({default_note(field)})"
    return f"{entry.place}: {environment_names(name)[0]} = {value} is refused: {remedy}"


def _field(error: ErrorDetails) -> str:
    """The field of a refused value, of which pydantic may say an alias."""
    named = str(error["loc"][-1])
    return _fields_by_name().get(named.upper(), named)
