"""The two files of a new set-up, ``.env`` and ``accounts.yaml``: both are written, or neither."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path

import yaml
from dotenv import dotenv_values
from pydantic import ValidationError

from rebalancer.config.accounts_file import load_accounts, load_replacement_sets, read_replacement_sets
from rebalancer.config.gateway_entry import KEY as GATEWAYS
from rebalancer.config.settings import FIELDS, Settings
from rebalancer.config.yaml_file import open_yaml
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.errors import ConfigurationError, RequestRefused

KEYS = ("ALLOCATIONS_API_KEY", "REALTIME_API_KEY")
"""Those that a person brings along."""
PRIVATE = 0o600
PUBLIC = 0o644
NEW_ENV = "# Written by `rebalancer init`; .env.example has every setting with its default.\n"
INTERRUPTIONS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


@dataclass(frozen=True, slots=True)
class Follower:
    """An account and the strategy that it is to follow."""

    account_id: str
    strategy: str
    cash_reserve_percent: Decimal


@dataclass(frozen=True, slots=True)
class Places:
    """Where the files are, or are to be.

    Attributes:
        keys: folder with a file for each key, as containers get them; ``None``: they stand in ``env``.
    """

    env: Path
    accounts: Path
    replacement_sets: Path
    keys: Path | None = None

    def key_file(self, name: str) -> Path | None:
        """The file of a key, where it has one."""
        return self.keys and self.keys / name.lower().replace("_", "-")

    def present(self) -> dict[str, str]:
        """What is set already."""
        files = {name: file for name in KEYS if (file := self.key_file(name)) is not None and file.exists()}
        texts = {name: file.read_text(encoding="utf-8").strip() for name, file in files.items()}
        return values_in(self.env) | {name: text for name, text in texts.items() if text}


def values_in(path: Path) -> dict[str, str]:
    """What an environment file sets; nothing where there is none."""
    return {key: value for key, value in dotenv_values(path, interpolate=False).items() if value}


def known_in(path: Path) -> dict[str, str]:
    """The settings among them."""
    return {key: text for key, text in values_in(path).items() if key.lower() in FIELDS}


def check_places(places: Places) -> None:
    """Find out before anything is asked what would fail at the end.

    Raises:
        ConfigurationError: the replacement sets cannot be used, or nothing can be written.
    """
    problems = read_replacement_sets(places.replacement_sets)[1]
    for path in (places.env, places.accounts):
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not os.access(folder, os.W_OK | os.X_OK):
            problems.append(f"{path}: cannot be written: {folder} does not let you")
    for name in KEYS:
        file = places.key_file(name)
        if file is not None and not os.access(file, os.W_OK):
            problems.append(f"{file}: cannot be written")
    problems += _several_logins(places.accounts)
    if problems:
        raise ConfigurationError(problems)


def _several_logins(accounts: Path) -> Iterator[str]:
    """A file that would lose its gateways, and their accounts."""
    try:
        document, _ = open_yaml(accounts)
    except ConfigurationError:  # there is none, or none that anybody can use
        return
    if isinstance(document.content, dict) and GATEWAYS in document.content:
        yield (
            f"{document.place((GATEWAYS,))} names gateways, and `rebalancer init` writes the accounts of one login: "
            "change this file by hand, or have another one written with --accounts-file and take its accounts over"
        )


def check_values(values: Mapping[str, str]) -> None:
    """Refuse values with which no process would start.

    Raises:
        RequestRefused: naming every one, without showing secrets.
    """
    try:
        Settings.from_flat({name.lower(): text for name, text in values.items()})
    except ValidationError as refused:
        problems = [f"{'.'.join(map(str, one['loc'][-1:])).upper()} {one['msg']}".strip() for one in refused.errors()]
        raise RequestRefused("; ".join(problems)) from None


def env_text(path: Path, values: Mapping[str, str]) -> str:
    """The text of an environment file with some values set; everything else in it stays as it is.

    Raises:
        RequestRefused: a value would be read as another one, such as a key that begins with a quote.
    """
    lines = (path.read_text(encoding="utf-8") if path.exists() else NEW_ENV).splitlines()
    for key, value in values.items():
        line = f"{key}={value}"
        set_at = [number for number, text in enumerate(lines) if re.match(rf"\s*(export\s+)?{key}\s*=", text)]
        if set_at:
            lines[set_at[0]] = line
        else:
            lines.append(line)
    if unlike := unwritable(values):
        raise RequestRefused(f"{', '.join(unlike)} cannot be written to {path} unchanged: set it in the environment")
    return "\n".join(lines) + "\n"


def unwritable(values: Mapping[str, str]) -> list[str]:
    """Names of the values that would be read as others, such as one that begins with a quote."""
    text = "".join(f"{key}={value}\n" for key, value in values.items())
    read_back = dotenv_values(stream=StringIO(text), interpolate=False)
    return [key for key, value in values.items() if read_back.get(key) != value]


def beside_accounts(path: Path) -> str:
    """Whatever else an accounts file says, such as where targets come from, word for word; nothing where there is no
    file, or none that can be read.
    """
    if not path.exists():
        return ""
    text = path.read_text(encoding="utf-8")
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        return ""
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        return ""
    starts = [(key.value, key.start_mark.index) for key, _ in root.value]
    ends = [*(start for _, start in starts[1:]), root.end_mark.index]
    parts = [text[start:end].rstrip() for (name, start), end in zip(starts, ends, strict=True) if name != "accounts"]
    return "\n\n".join(parts)


def accounts_text(
    mode: TradingMode, followers: Sequence[Follower], others: Sequence[str] = (), beside: str = ""
) -> str:
    """The text of an accounts file.

    Args:
        others: accounts of the login that are not to be traded.
        beside: other sections of the file.
    """
    lines = ["# Written by `rebalancer init`; every key is described in docs/configuration.md."]
    lines += [f"# Of the same login, not traded: {', '.join(others)}."] if others else []
    lines.append("accounts:")
    for one in followers:
        lines += [
            f"  - account_id: {one.account_id}",
            f"    type: {mode}",
            f"    strategy_name: {one.strategy}",
            f"    cash_reserve_percent: {one.cash_reserve_percent}",
            "",
        ]
    sections = ["\n".join(lines).rstrip(), *([beside] if beside else [])]
    return "\n\n".join(sections) + "\n"


def write_both(places: Places, env: str, accounts: str, mode: TradingMode) -> Path | None:
    """Put both files in place at once; an interruption before that leaves everything as it was.

    Returns:
        Copy of the accounts file that was there before, if there was one.

    Raises:
        ConfigurationError: the accounts file would be refused at the next start; nothing was written.
    """
    with ExitStack() as unfinished:
        mode_of_env = PRIVATE if places.keys is None else PUBLIC  # which then holds no key, and belongs to others
        staged_env = unfinished.enter_context(_staged(places.env, env, mode_of_env))
        staged_accounts = unfinished.enter_context(_staged(places.accounts, accounts, PUBLIC))
        load_accounts(staged_accounts, load_replacement_sets(places.replacement_sets), mode)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
        try:
            kept = _keep(places.accounts)
            staged_env.replace(places.env)
            staged_accounts.replace(places.accounts)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return kept


def write_keys(places: Places, values: Mapping[str, str]) -> None:
    """Write keys into their files, in place, since each may be mounted by itself; nothing where they have none."""
    for name in KEYS:
        file = places.key_file(name)
        if file is not None and name in values:
            file.write_text(f"{values[name]}\n", encoding="utf-8")


@contextmanager
def _staged(path: Path, text: str, mode: int) -> Iterator[Path]:
    """A file beside its place, gone afterwards unless it was moved there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def _keep(path: Path) -> Path | None:
    if not path.exists():
        return None
    kept = path.with_name(f"{path.name}.{datetime.now(UTC):%Y%m%d-%H%M%S}")
    path.replace(kept)
    return kept
