"""The accounts and replacement sets that a person maintains in YAML.

``accounts.yaml`` comes in two generations, both read: the list under ``accounts:`` and, older, a bare list in which an
account names its ``notification.channel``. Nothing doubtful is repaired: a wrong file is refused as a whole, with every
problem, before anything is traded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from rebalancer.config.account_checks import ReadableEntry, contradictions, reserve_problem, wrong_gateways
from rebalancer.config.account_entry import (
    ACCOUNT_ID,
    ADDRESS,
    DEFAULT_RESERVE,
    STRATEGY,
    SYMBOL,
    AccountEntry,
    AccountId,
    Entry,
    SmallReserve,
    Strategy,
    Symbol,
)
from rebalancer.config.field_help import nearest
from rebalancer.config.gateway_entry import KEY as GATEWAYS
from rebalancer.config.gateway_entry import read_gateways
from rebalancer.config.pins import KEY as PINS
from rebalancer.config.pins import read_pins
from rebalancer.config.source_entry import KEY as SOURCES
from rebalancer.config.source_entry import read_sources
from rebalancer.config.strategy_entry import KEY as STRATEGIES
from rebalancer.config.strategy_entry import read_strategies
from rebalancer.config.style_entry import KEY as STYLES
from rebalancer.config.style_entry import read_styles
from rebalancer.config.yaml_file import Document, KeyPath, check, open_yaml
from rebalancer.domain.accounts import MAIN_GATEWAY, Account, TradingMode
from rebalancer.domain.errors import ConfigurationError, UnknownAccount
from rebalancer.domain.gateways import Gateway
from rebalancer.domain.order_styles import StyleRules
from rebalancer.domain.portfolio import Replacement
from rebalancer.domain.sources import Source
from rebalancer.domain.strategy_holds import StrategyGuard
from rebalancer.domain.symbols import Pin
from rebalancer.domain.units import Percent

__all__ = ["Account", "AccountEntry", "Accounts", "load_accounts", "load_replacement_sets"]

_KEYS = ("accounts", PINS, SOURCES, GATEWAYS, STRATEGIES, STYLES)
ReplacementSets = Mapping[str, tuple[Replacement, ...]]


@dataclass(frozen=True, slots=True)
class Accounts:
    """All configured accounts, in the order of the file.

    Attributes:
        pins: by symbol, what the file says under ``instruments``.
        sources: by strategy, where its targets come from; from the allocations API where it is missing.
        gateways: by name, those beside the main one, which the settings describe.
        guards: by strategy, where it has one.
    """

    all: tuple[Account, ...]
    pins: Mapping[str, Pin] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    gateways: Mapping[str, Gateway] = field(default_factory=dict)
    guards: Mapping[str, StrategyGuard] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Account]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def get(self, account_id: str) -> Account:
        """One account, enabled or not.

        Raises:
            UnknownAccount: it is not in the file.
        """
        for account in self.all:
            if account.account_id == account_id:
                return account
        known = ", ".join(account.account_id for account in self.all)
        raise UnknownAccount(f"account {account_id} is not configured; known are {known}")

    def following(self, strategy: str, mode: TradingMode) -> tuple[Account, ...]:
        """Accounts that a signal of ``strategy`` reaches in ``mode``: active ones."""
        return tuple(account for account in self.active(mode) if strategy in account.follows)

    def active(self, mode: TradingMode) -> tuple[Account, ...]:
        """Accounts that are traded in ``mode``: enabled ones of the type that their gateway trades then."""
        return tuple(one for one in self.all if one.enabled and one.type is self.mode_of(one, mode))

    def mode_of(self, account: Account, mode: TradingMode) -> TradingMode:
        """What the account's gateway trades: of the main one the process' own mode, of another that of its login,
        but nothing live in a process of paper trading.
        """
        other = self.gateways.get(account.gateway)
        return mode if other is None or mode is TradingMode.PAPER else other.mode

    def gateways_of(self, mode: TradingMode) -> tuple[str, ...]:
        """Gateways of active accounts, the main one first; it alone where no account is active."""
        used = {account.gateway for account in self.active(mode)} or {MAIN_GATEWAY}
        return tuple(name for name in (MAIN_GATEWAY, *self.gateways) if name in used)

    def strategies(self, mode: TradingMode) -> tuple[str, ...]:
        """Strategies that active accounts follow, sorted."""
        return tuple(sorted({strategy for account in self.active(mode) for strategy in account.follows}))

    def channels(self, mode: TradingMode) -> tuple[str, ...]:
        """Those of them that a provider publishes: the channels to listen to."""
        return tuple(strategy for strategy in self.strategies(mode) if strategy not in self.sources)

    def tables(self, mode: TradingMode) -> tuple[Source, ...]:
        """Those whose targets are a table: the sources to look at."""
        return tuple(self.sources[strategy] for strategy in self.strategies(mode) if strategy in self.sources)


class NotificationEntry(Entry):
    """``notification`` of a first-generation account."""

    channel: Strategy = Field(
        json_schema_extra=STRATEGY, description="Strategy that the account follows, and name of its channel."
    )


class Rebalancing(Entry):
    """``rebalancing`` of a first-generation account, whose one key was renamed twice in its time."""

    equity_reserve_percentage: SmallReserve = Field(default=DEFAULT_RESERVE, description="As cash_reserve_percent.")
    cash_reserve_percentage: SmallReserve = Field(default=DEFAULT_RESERVE, description="The same under its later name.")
    cash_reserve_percent: SmallReserve = Field(default=DEFAULT_RESERVE, description="The same under its last name.")

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if len(self.model_fields_set) > 1:
            raise ValueError("sets the reserve twice: keep cash_reserve_percentage")
        return self

    @property
    def percent(self) -> Percent:
        """The reserve, whichever name set it."""
        name = next(iter(self.model_fields_set), "cash_reserve_percent")
        return Percent(getattr(self, name))


class FirstGenerationEntry(Entry):
    """One account of the bare list."""

    former_keys: ClassVar[Mapping[str, str]] = {
        "allocations": ADDRESS,
        **dict.fromkeys(
            ("type", "enabled", "strategy_name", "cash_reserve_percent", "replacement_set"),
            "it belongs to today's form: write the list under the key accounts",
        ),
    }

    account_id: AccountId = Field(json_schema_extra=ACCOUNT_ID, description="As in today's form.")
    notification: NotificationEntry = Field(
        json_schema_extra={"allowed": "a mapping with channel"}, description="Where the account's signals come from."
    )
    rebalancing: Rebalancing = Field(
        default_factory=Rebalancing, json_schema_extra={"allowed": "a mapping"}, description="How much stays cash."
    )

    def modern(self, mode: TradingMode) -> AccountEntry:
        """The same in today's form; the account is of the type that the process trades."""
        return AccountEntry(
            account_id=self.account_id,
            type=mode,
            strategy_name=self.notification.channel,
            cash_reserve_percent=self.rebalancing.percent,
        )


class ReplacementRule(Entry):
    """One line of a replacement set."""

    source: Symbol = Field(json_schema_extra=SYMBOL, description="Symbol that a strategy names.")
    target: Symbol = Field(json_schema_extra=SYMBOL, description="Symbol to hold in its place.")
    scale: Annotated[Decimal, Field(strict=True, gt=0, le=10)] = Field(
        description="How much of the target replaces one of the source, for example 1.5 for a leveraged source."
    )


def load_accounts(
    path: Path,
    replacement_sets: ReplacementSets,
    trading_mode: TradingMode = TradingMode.PAPER,
    targets: Collection[str] | None = None,
) -> Accounts:
    """Read the accounts file.

    Args:
        path: file of either generation.
        replacement_sets: the sets that accounts may name.
        trading_mode: type of the accounts in a first-generation file, which does not say it.
        targets: names that accounts may have notifications sent to; ``None`` for any.

    Raises:
        ConfigurationError: the file cannot be trusted; has every problem.
    """
    accounts, problems = read_accounts(path, replacement_sets, trading_mode, targets)
    if problems:
        raise ConfigurationError(problems)
    return accounts


def read_accounts(
    path: Path,
    replacement_sets: Collection[str],
    trading_mode: TradingMode | None,
    targets: Collection[str] | None,
) -> tuple[Accounts, list[str]]:
    """The accounts that can be used, and every problem; as :func:`load_accounts`, which refuses them together."""
    try:
        document, problems = open_yaml(path)
    except ConfigurationError as unreadable:
        return Accounts(()), unreadable.problems
    entries, known = _entries(document, trading_mode, problems)
    gateways = read_gateways(document, problems)
    problems += contradictions(document, known, replacement_sets, targets)
    problems += wrong_gateways(document, known, gateways)
    pins = read_pins(document, problems)
    sources = read_sources(document, problems)
    found = tuple(_pinned(entry.account(), pins) for entry in entries)
    guards = read_strategies(document, {name for account in found for name in account.follows}, problems)
    if not entries and not problems:
        problems = [f"{path}: lists no account"]
    styles = read_styles(document, problems)
    accounts = tuple(_styled(_guarded(account, guards), styles) for account in found)
    return Accounts(accounts, pins, sources, gateways, guards), problems


def load_replacement_sets(path: Path) -> ReplacementSets:
    """Read the replacement sets, in the order of the file; none where there is no file.

    Raises:
        ConfigurationError: the file cannot be trusted; has every problem.
    """
    sets, problems = read_replacement_sets(path)
    if problems:
        raise ConfigurationError(problems)
    return sets


def _pinned(account: Account, pins: Mapping[str, Pin]) -> Account:
    return replace(account, rules=replace(account.rules, pinned=frozenset(pins))) if pins else account


def _guarded(account: Account, guards: Mapping[str, StrategyGuard]) -> Account:
    own = {name: guards[name] for name in account.follows if name in guards}
    return replace(account, guards=own) if own else account


def _styled(account: Account, styles: StyleRules) -> Account:
    """Styles of symbols and sizes beside the account's own."""
    own = replace(styles, account=account.rules.styles.account)
    return replace(account, rules=replace(account.rules, styles=own)) if styles.any else account


def read_replacement_sets(path: Path) -> tuple[ReplacementSets, list[str]]:
    """The sets, as far as they can be used, and every problem."""
    if not path.exists():
        return {}, []
    try:
        document, problems = open_yaml(path)
    except ConfigurationError as unreadable:
        return {}, unreadable.problems
    if not isinstance(document.content, dict) or not document.content:
        return {}, [*problems, f"{path}: has to map the name of each set to its list of rules"]
    sets: dict[str, tuple[Replacement, ...]] = {}
    for name, rows in document.content.items():
        rules = _rules(document, name, rows, problems)
        problems += _rule_problems(document, rules)
        sets[name] = tuple(Replacement(rule.source, rule.target, rule.scale) for rule in rules.values())
    return sets, problems


def _entries(
    document: Document, mode: TradingMode | None, problems: list[str]
) -> tuple[list[AccountEntry], dict[KeyPath, ReadableEntry]]:
    """Entries of either generation that can be used, and what is known of all; adds what is wrong with the others."""
    found: list[AccountEntry] = []
    known: dict[KeyPath, ReadableEntry] = {}
    for key_path, row in _account_rows(document, problems):
        if len(key_path) == 1:
            old = check(FirstGenerationEntry, row, document, key_path, problems)
            entry = old.modern(mode or TradingMode.PAPER) if old else None
            known[key_path] = replace(ReadableEntry.of(row), type=mode)
        else:
            entry = check(AccountEntry, row, document, key_path, problems)
            known[key_path] = ReadableEntry.of(row)
            problems += reserve_problem(document, key_path, row, problems)
        if entry:
            found.append(entry)
    return found, known


def _account_rows(document: Document, problems: list[str]) -> list[tuple[KeyPath, object]]:
    """Rows by key path: ``(0,)`` in the first generation, ``("accounts", 0)`` in the second."""
    content = document.content
    if isinstance(content, list):
        return [((index,), row) for index, row in enumerate(content)]
    if not isinstance(content, dict):
        problems.append(f"{document.path}: has to be a list of accounts under the key accounts")
        return []
    problems += [f"{document.place((key,))} {_unknown_key(key)}" for key in content if key not in _KEYS]
    rows = content.get("accounts")
    if not isinstance(rows, list):
        problems.append(f"{document.path}: needs the key accounts with a list of accounts")
        return []
    return [(("accounts", index), row) for index, row in enumerate(rows)]


def _unknown_key(key: str) -> str:
    if key == "replacement_sets":
        return "is of an earlier program: move its sets to the replacement-sets file, without this key"
    return f"is unknown: {nearest(key, _KEYS)}"


def _rules(document: Document, name: str, rows: object, problems: list[str]) -> dict[KeyPath, ReplacementRule]:
    if not isinstance(rows, list) or not rows:
        problems.append(f"{document.place((name,))} has to be a list of rules with source, target and scale")
        return {}
    checked = {
        (name, index): check(ReplacementRule, row, document, (name, index), problems) for index, row in enumerate(rows)
    }
    return {key_path: rule for key_path, rule in checked.items() if rule}


def _rule_problems(document: Document, rules: Mapping[KeyPath, ReplacementRule]) -> list[str]:
    """Rules that contradict each other: rules apply once, so a replaced symbol must not come back as a target."""
    problems = []
    sources: dict[str, str] = {}
    for key_path, rule in rules.items():
        here = document.place((*key_path, "source"))
        if rule.source in sources:
            problems.append(f"{here} = {rule.source} is replaced twice, first at {sources[rule.source]}: keep one")
        sources.setdefault(rule.source, here)
    for key_path, rule in rules.items():
        if rule.target == rule.source:
            problems.append(f"{document.place(key_path)} replaces {rule.source} by itself: remove it")
        elif rule.target in sources:
            there = document.place((*key_path, "target"))
            problems.append(f"{there} = {rule.target} is itself replaced at {sources[rule.target]}: name its target")
    return problems
