"""Settings that a replay can honour, as they are typed: those that the planner knows. Others decide whether, when and
how a plan is carried out, and no record says what would have come of that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from rebalancer.config.account_entry import AccountEntry, Amount, Reserve
from rebalancer.config.field_help import allowed_values
from rebalancer.config.settings import FIELDS
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.money import HUNDRED, ONE
from rebalancer.planning.changed_rules import RuleChanges


@dataclass(frozen=True, slots=True)
class Honoured:
    """A setting, or a key of an account, that the planner knows.

    Attributes:
        rule: its field in :class:`~rebalancer.planning.changed_rules.RuleChanges`.
        unit: what its value is divided by.
        kind: what validates it, where its field alone does not.
    """

    rule: str
    unit: Decimal = ONE
    kind: Any = None


HONOURED = {
    "DRIFT_BAND_PERCENT": Honoured("drift_band", HUNDRED),
    "RELATIVE_BAND_PERCENT": Honoured("relative_band", HUNDRED),
    "SHARE_THRESHOLD": Honoured("share_threshold"),
    "PRICE_MARGIN_PERCENT": Honoured("price_margin", HUNDRED),
    "FEE_PER_SHARE": Honoured("fee_per_share"),
    "FEE_MINIMUM": Honoured("fee_minimum"),
    "FEE_MAXIMUM_PERCENT": Honoured("fee_maximum_rate", HUNDRED),
    "cash_reserve_percent": Honoured("reserve_fraction", HUNDRED, Reserve),
    "cash_reserve_usd": Honoured("reserve_usd", kind=Amount),
}
"""By the name under which each is set; those in small letters stand in the accounts file."""
_BY_NAME = {name.upper(): name for name in HONOURED}


def read_changes(texts: Iterable[str]) -> RuleChanges:
    """What ``NAME=VALUE`` says, of each.

    Raises:
        ConfigurationError: every text that cannot be used: no such form, no such setting, one that a replay cannot
            honour, a value out of range, the same rule twice.
    """
    problems: list[str] = []
    rules: dict[str, Any] = {}
    for text in texts:
        try:
            rule, value = _read(text)
        except ValueError as refused:
            problems.append(str(refused))
            continue
        if rule in rules:
            problems.append(f"{text}: this is set twice: keep one")
        rules[rule] = value
    if {"reserve_fraction", "reserve_usd"} <= rules.keys():
        problems.append("cash_reserve_percent and cash_reserve_usd are both set: keep one")
    if problems:
        raise ConfigurationError(problems)
    return RuleChanges(**rules)


def _read(text: str) -> tuple[str, Decimal]:
    typed, found, value = (part.strip() for part in text.partition("="))
    if not found:
        raise ValueError(f"{text}: write NAME=VALUE, such as DRIFT_BAND_PERCENT=2")
    name = _BY_NAME.get(typed.upper())
    if name is None:
        known = typed.lower() in FIELDS or typed.lower() in AccountEntry.model_fields
        why = "is no part of a plan, so no record says what it would have changed" if known else "is no setting"
        raise ValueError(f"{typed} {why}: a replay honours {', '.join(HONOURED)}")
    rule, field = HONOURED[name], _field(name)
    adapter: TypeAdapter[Decimal] = TypeAdapter(rule.kind or _numbers(field))
    try:
        return rule.rule, adapter.validate_python(Decimal(value)) / rule.unit
    except (InvalidOperation, ValidationError):
        allowed = "0 to 100" if rule.kind is Reserve else allowed_values(field)
        raise ValueError(f"{name} = {value!r} is refused: use {allowed}") from None


def _field(name: str) -> FieldInfo:
    return FIELDS.get(name.lower()) or AccountEntry.model_fields[name]


def _numbers(field: FieldInfo) -> Any:
    """Its type with its bounds."""
    return Annotated[Decimal, *field.metadata]
