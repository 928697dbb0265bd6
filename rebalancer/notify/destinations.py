"""Where messages go: Apprise URLs with names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

_URL = r"[A-Za-z][A-Za-z0-9+.-]*://"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
_BETWEEN = re.compile(rf"(?:\s+|\s*,\s*)(?=(?:{_NAME}=)?{_URL})")
_TARGET = re.compile(rf"(?:(?P<name>{_NAME})=)?(?P<url>(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://\S+)")


@dataclass(frozen=True, slots=True)
class Target:
    """One place that messages are sent to; only its name is ever shown."""

    name: str
    url: str = field(repr=False)


def parse_targets(text: str, understands: Callable[[str], bool]) -> tuple[Target, ...]:
    """Read ``phone=ntfys://topic mail=mailto://…``; a URL without a name is called by its scheme.

    Args:
        understands: whether Apprise can do something with a URL.

    Raises:
        ValueError: which one is wrong, and the remedy; never with any part of a URL.
    """
    found = [_target(number, part, understands) for number, part in enumerate(_BETWEEN.split(text.strip()), start=1)]
    repeated = sorted(name for name, count in Counter(target.name for target in found).items() if count > 1)
    if repeated:
        raise ValueError(f"several targets are called {repeated[0]}: give each a name of its own, as in name=URL")
    return tuple(found)


def _target(number: int, text: str, understands: Callable[[str], bool]) -> Target:
    read = _TARGET.fullmatch(text)
    if read is None:
        raise ValueError(f"target {number} is not of the form name=URL, or its URL has a space in it: write %20")
    name = read["name"] or read["scheme"].lower()
    if not understands(read["url"]):
        raise ValueError(
            f"target {number} ({name}) is no URL that Apprise understands: see the form for your service in its "
            f"documentation, https://github.com/caronc/apprise/wiki"
        )
    return Target(name, read["url"])
