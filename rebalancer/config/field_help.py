"""How a refused value of a configuration file or variable is told to a person: what may stand there instead."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, SecretStr
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

SECRET: JsonDict = {"secret": True, "allowed": "printable ASCII without spaces"}
MANY = 12


def is_secret(field: FieldInfo) -> bool:
    """True when the field's value must never be shown, whole or in part."""
    return SecretStr in _members(field) or bool(_extra(field).get("secret"))


def allowed_values(field: FieldInfo) -> str:
    """What may be written for a field, in words: ``0.1 to 60``, ``paper or live``."""
    if "allowed" in _extra(field):
        return str(_extra(field)["allowed"])
    for member in _members(field):
        if isinstance(member, type) and issubclass(member, Enum):
            return " or ".join(str(item.value) for item in member)
        if typing.get_origin(member) is typing.Literal:
            return " or ".join(str(item) for item in typing.get_args(member))
        if member is bool:
            return "true or false"
        if member in (int, float, Decimal):
            return _range(field)
    return "text"


def default_note(field: FieldInfo) -> str:
    """``default 30`` as it would be written in a file, ``optional`` without one, or ``required``."""
    if field.is_required():
        return "required"
    return "optional" if field.default is None or field.default_factory else f"default {written(field.default)}"


def written(value: object) -> str:
    """A value as a person writes it in YAML or ``.env``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def nearest(name: str, known: Iterable[str]) -> str:
    """Remedy for an unknown name: the likeliest known one, else all of them if they are few."""
    choices = sorted(known)
    by_folded = {choice.casefold(): choice for choice in choices}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    if near:
        return f"did you mean {by_folded[near[0]]}?"
    return f"known are {', '.join(choices)}" if len(choices) <= MANY else "docs/configuration.md has the known ones"


def mapping_of(field: FieldInfo) -> type[BaseModel]:
    """What a field holds that is a mapping with keys of its own."""
    return next(one for one in _members(field) if isinstance(one, type) and issubclass(one, BaseModel))


def _members(field: FieldInfo) -> tuple[object, ...]:
    """The alternatives of a field's annotation, bare; one for anything but a union."""
    union = typing.get_origin(field.annotation) in (typing.Union, types.UnionType)
    members = typing.get_args(field.annotation) if union else (field.annotation,)
    bare = (typing.get_args(item)[0] if typing.get_origin(item) is typing.Annotated else item for item in members)
    return tuple(item.__supertype__ if isinstance(item, typing.NewType) else item for item in bare)


def _extra(field: FieldInfo) -> Mapping[str, object]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def _range(field: FieldInfo) -> str:
    lowest = next((item.ge for item in field.metadata if isinstance(item, Ge)), None)
    above = next((item.gt for item in field.metadata if isinstance(item, Gt)), None)
    highest = next((item.le for item in field.metadata if isinstance(item, Le)), None)
    start = f"more than {above}, at most" if above is not None else f"{lowest} to"
    return f"{start} {highest}"
