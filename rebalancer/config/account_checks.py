"""What no entry of the accounts file shows alone: ids and names that are there twice, sets and targets that nobody has
defined, ids that belie their type.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, TypeAdapter, ValidationError

from rebalancer.config.account_entry import RESERVE_TWICE, AccountEntry, NotifyEntry
from rebalancer.config.field_help import nearest
from rebalancer.config.gateway_entry import KEY as GATEWAYS
from rebalancer.config.yaml_file import Document, KeyPath
from rebalancer.domain.accounts import MAIN_GATEWAY, TradingMode
from rebalancer.domain.gateways import Gateway


@dataclass(frozen=True, slots=True)
class ReadableEntry:
    """What can be read of an account whatever else is wrong with it; ``None`` where that is wrong or missing."""

    account_id: str | None
    type: TradingMode | None
    replacement_set: str | None
    name: str | None
    to: tuple[str, ...]
    gateway: str

    @classmethod
    def of(cls, row: object) -> Self:
        """From a row of the file, each value by itself."""
        own = row if isinstance(row, dict) else {}
        return cls(
            _usable(AccountEntry, "account_id", own),
            _usable(AccountEntry, "type", own),
            _usable(AccountEntry, "replacement_set", own),
            _usable(AccountEntry, "name", own),
            _usable(NotifyEntry, "to", own.get("notify")) or (),
            _usable(AccountEntry, "gateway", own) or MAIN_GATEWAY,
        )


def contradictions(
    document: Document,
    accounts: Mapping[KeyPath, ReadableEntry],
    replacement_sets: Collection[str],
    targets: Collection[str] | None,
) -> list[str]:
    """One problem for each.

    Args:
        targets: names that accounts may have notifications sent to; ``None`` for any.
    """
    return [
        *_twice(document, {path: one.account_id for path, one in accounts.items()}, "account_id", "keep one", "{}"),
        *(problem for path, one in accounts.items() for problem in _alone(document, path, one, replacement_sets)),
        *(problem for path, one in accounts.items() for problem in _targets(document, path, one, targets)),
        *_twice(document, {path: one.name for path, one in accounts.items()}, "name", "tell them apart", "{!r}"),
    ]


def wrong_gateways(
    document: Document, accounts: Mapping[KeyPath, ReadableEntry], gateways: Mapping[str, Gateway]
) -> Iterator[str]:
    """Accounts of a gateway that is not there, or whose login is of the other type; two gateways in one place."""
    written = document.content.get(GATEWAYS) if isinstance(document.content, dict) else None
    known = (MAIN_GATEWAY, *(written if isinstance(written, dict) else ()))
    for path, one in accounts.items():
        if one.gateway not in known:
            here = document.place((*path, "gateway"))
            yield f"{here} = {one.gateway!r} is unknown: {nearest(one.gateway, known)}"
        elif one.gateway in gateways and one.type not in (None, gateways[one.gateway].mode):
            here, mode = document.place((*path, "type")), gateways[one.gateway].mode
            yield f"{here} = {one.type}, but the login of its gateway {one.gateway} is {mode}: correct one of them"
    first: dict[str, str] = {}
    for name, gateway in gateways.items():
        if gateway.address in first:
            here, other = document.place((GATEWAYS, name)), first[gateway.address]
            yield f"{here} is at {gateway.address}, where {other} is: each login has a gateway of its own"
        first.setdefault(gateway.address, name)


def reserve_problem(document: Document, path: KeyPath, row: object, told: Collection[str]) -> list[str]:
    """That the reserve is set twice, unless it was told: the entry says so only where nothing else is wrong with it."""
    own = row if isinstance(row, dict) else {}
    problem = f"{document.place(path)} {RESERVE_TWICE}"
    twice = own.get("cash_reserve_usd") is not None and "cash_reserve_percent" in own
    return [problem] if twice and problem not in told else []


def _twice(
    document: Document, values: Mapping[KeyPath, str | None], key: str, remedy: str, shown: str
) -> Iterator[str]:
    first: dict[str, str] = {}
    for key_path, value in values.items():
        if value is None:
            continue
        here = document.place((*key_path, key))
        if value in first:
            yield f"{here} = {shown.format(value)} is there twice, first at {first[value]}: {remedy}"
        first.setdefault(value, here)


def _alone(document: Document, path: KeyPath, one: ReadableEntry, replacement_sets: Collection[str]) -> Iterator[str]:
    if one.account_id is not None and one.type is not None:
        world = TradingMode.of(one.account_id)
        if world is not one.type:
            here = document.place((*path, "account_id"))
            yield f"{here} = {one.account_id} is a {world} account, but its type (or TRADING_MODE) is {one.type}"
    if one.replacement_set is not None and one.replacement_set not in replacement_sets:
        remedy = nearest(one.replacement_set, replacement_sets) if replacement_sets else "no replacement set is defined"
        yield f"{document.place((*path, 'replacement_set'))} = {one.replacement_set!r} is unknown: {remedy}"


def _targets(document: Document, path: KeyPath, one: ReadableEntry, targets: Collection[str] | None) -> Iterator[str]:
    for unknown in sorted({*one.to} - {*(one.to if targets is None else targets)}):
        there = document.place((*path, "notify", "to"))
        remedy = nearest(unknown, targets) if targets else "NOTIFY_URLS has no target"
        yield f"{there} names {unknown!r}, which is unknown: {remedy}"


def _usable(model: type[BaseModel], name: str, row: object) -> Any:
    """One value of a mapping as the model would have it; ``None`` if it is missing or would be refused."""
    if not isinstance(row, dict) or name not in row:
        return None
    field = model.model_fields[name]
    form: Any = Annotated[field.annotation, field]  # a type made at run time
    try:
        return TypeAdapter(form).validate_python(row[name])
    except ValidationError:
        return None
