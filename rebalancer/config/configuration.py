"""The whole configuration of this process, refused with every problem of every file at once."""

from __future__ import annotations

from pathlib import Path

from rebalancer.config.accounts_file import read_accounts, read_replacement_sets
from rebalancer.config.broker_settings import BrokerSettings
from rebalancer.config.logins import misplaced
from rebalancer.config.running_stack import Origin
from rebalancer.config.settings import FIELDS, Settings, given_values, read_settings, resolve
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.errors import ConfigurationError


def refuse_wrong_configuration(*, env_file: bool = True) -> None:
    """What a stack would be started with.

    Args:
        env_file: read ``.env``, which a simulation does not.

    Raises:
        ConfigurationError: every problem of the settings, the accounts and the replacement sets.
    """
    try:
        settings = read_settings(env_file=env_file)
    except ConfigurationError as wrong:
        raise ConfigurationError([*wrong.problems, *_files_of(given_values(env_file=env_file))]) from wrong
    targets = [target.name for target in settings.notifications.notify_targets]
    files = (settings.files.accounts_file, settings.files.replacement_sets_file)
    broker = settings.broker if env_file else None  # a simulation has its gateways elsewhere
    unknown = settings.risk.unknown_set(read_replacement_sets(settings.files.replacement_sets_file)[0])
    if problems := [*_problems(*files, settings.broker.trading_mode, targets, broker), *unknown]:
        raise ConfigurationError(problems)


def resolve_all() -> tuple[Settings, Origin]:
    """As :func:`rebalancer.config.settings.resolve`; where they are wrong, the files' problems are told with theirs.

    Raises:
        ConfigurationError, NothingRuns: as there.
    """
    try:
        return resolve()
    except ConfigurationError as wrong:
        raise ConfigurationError([*wrong.problems, *problems_beside_settings()]) from wrong


def problems_beside_settings() -> list[str]:
    """What is wrong with the files, as far as that can be told when the settings are wrong as well."""
    return _files_of(given_values())


def _files_of(values: dict[str, str]) -> list[str]:
    """The same as far as wrong settings allow: a mode that cannot be read, and targets, are not asked for."""
    accounts = Path(values.get("accounts_file") or FIELDS["accounts_file"].default)
    sets = Path(values.get("replacement_sets_file") or FIELDS["replacement_sets_file"].default)
    mode = values.get("trading_mode", str(TradingMode.PAPER)).lower()
    return _problems(accounts, sets, TradingMode(mode) if mode in frozenset(TradingMode) else None, None)


def _problems(
    accounts: Path,
    sets: Path,
    mode: TradingMode | None,
    targets: list[str] | None,
    broker: BrokerSettings | None = None,
) -> list[str]:
    known, problems = read_replacement_sets(sets)
    found, wrong = read_accounts(accounts, known, mode, targets)
    return [*problems, *wrong, *(misplaced(broker, found.gateways) if broker else ())]
