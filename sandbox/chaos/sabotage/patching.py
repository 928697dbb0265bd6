"""How one part of the product is replaced when a program starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class Patch:
    """One part, and what stands in its place.

    Attributes:
        place: ``module:name`` or ``module:Class.name``, where those who use it look it up.
        change: from what stands there to what is to stand there.
    """

    place: str
    change: Callable[[Any], Any]

    def apply(self) -> None:
        """Put it in place.

        Raises:
            AttributeError, ModuleNotFoundError: the product has no such part any more.
        """
        module, _, path = self.place.partition(":")
        *holders, name = path.split(".")
        owner: Any = import_module(module)
        for holder in holders:
            owner = getattr(owner, holder)
        setattr(owner, name, self.change(getattr(owner, name)))


@dataclass(frozen=True, slots=True)
class Variant:
    """One way in which the product could be wrong.

    Attributes:
        kinds: of strikes that show it; none: any trial does.
    """

    patches: Sequence[Patch]
    kinds: Sequence[str] = ()


def instead(place: str, replacement: Any) -> Patch:
    """Something else, whatever stands there."""
    return Patch(place, lambda _: replacement)
