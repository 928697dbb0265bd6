"""The settings that this process works with, and where each comes from; secrets are only said to be set."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from rebalancer.config.env_file import FILE, EnvEntry, read_env_file
from rebalancer.config.field_help import is_secret, written
from rebalancer.config.foreign_keys import FOREIGN_KEYS
from rebalancer.config.replayed_settings import HONOURED
from rebalancer.config.settings import FIELDS, Settings, env_path, environment_names, load_settings
from rebalancer.domain.errors import ConfigurationError, RebalancerError

HIDDEN = "set, hidden"
UNSET = "not set"
DEFAULT = "default"
AT_START = "given at the start"


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as a person reads it.

    Attributes:
        source: ``environment``, ``.env:12``, ``default``, or that whoever started the process gave it.
        usual: it has its default.
    """

    name: str
    value: str
    source: str
    usual: bool
    meaning: str


def in_force(settings: Settings) -> dict[str, tuple[Setting, ...]]:
    """Every setting, by group."""
    entries, secrets = _entries(), settings.secret_values()
    return {
        group: tuple(_setting(name, getattr(held, name), entries, secrets) for name in type(held).model_fields)
        for group, held in settings
    }


def replayable(settings: Settings) -> dict[str, str | None]:
    """Settings whose other values a replay can show, each with the value that a start now would give it, if that is
    another one.
    """
    here = settings.flat()
    try:
        today = load_settings().flat()
    except RebalancerError:
        today = here
    fields = {name: name.lower() for name in HONOURED if name.lower() in here}
    return {name: None if today[field] == here[field] else written(today[field]) for name, field in fields.items()}


def _setting(name: str, value: object, entries: Mapping[str, EnvEntry], secrets: frozenset[str]) -> Setting:
    field = FIELDS[name]
    usual = value == field.get_default(call_default_factory=True, validated_data={})
    return Setting(
        name=name.upper(),
        value=_shown(name, value, secrets),
        source=entries[name].place if name in entries else DEFAULT if usual else AT_START,
        usual=usual,
        meaning=field.description or "",
    )


def _shown(name: str, value: object, secrets: frozenset[str]) -> str:
    if value is None:
        return UNSET
    if is_secret(FIELDS[name]) or isinstance(value, SecretStr):
        return HIDDEN
    text = written(value)
    return HIDDEN if any(secret in text for secret in secrets if secret) else text


def _entries() -> dict[str, EnvEntry]:
    """Where the environment and the file below it set a field today; a file that cannot be read sets none."""
    fields = dict(_names())
    try:
        found = read_env_file(env_path(), fields, FOREIGN_KEYS)[0] if env_path().exists() else {}
    except ConfigurationError:
        found = {}
    given = {field: EnvEntry("environment", "", name) for name, field in fields.items() if os.environ.get(name)}
    return found | given


def _names() -> Iterator[tuple[str, str]]:
    for field in FIELDS:
        for name in environment_names(field):
            yield name, field
            yield f"{name}{FILE}", field
