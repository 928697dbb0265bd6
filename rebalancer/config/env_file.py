"""Reading ``.env`` so strictly that a typing error cannot pass for a default, and secrets from files of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dotenv.parser import Binding, parse_stream

from rebalancer.config.field_help import nearest
from rebalancer.domain.errors import ConfigurationError

FILE = "_FILE"
"""``REDIS_PASSWORD_FILE`` names a file that holds what ``REDIS_PASSWORD`` would: the secrets of Docker and systemd."""

_EARLIER = "USER_NOTIFICATIONS_"


@dataclass(frozen=True, slots=True)
class EnvEntry:
    """The text that sets one field, where it stands (``.env:12`` or ``environment``) and under which name."""

    place: str
    text: str
    name: str = ""


def read_env_file(
    path: Path, fields: Mapping[str, str], foreign: Collection[str]
) -> tuple[dict[str, EnvEntry], list[str]]:
    """Read a file of ``KEY=value`` lines; values are literal, empty ones count as not set.

    Args:
        path: the file; it has to exist.
        fields: field by each of its names.
        foreign: names that are somebody else's and passed over.

    Returns:
        Entries by field, and one problem for each line that cannot be used.

    Raises:
        ConfigurationError: the file cannot be read at all.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigurationError([f"{path}: cannot be read: {unreadable}"]) from unreadable
    found: dict[str, EnvEntry] = {}
    problems = []
    for binding in bindings:
        field = fields.get(binding.key or "")
        place = f"{path}:{binding.original.line}"
        problem = None if binding.key in foreign else _problem(binding, found.get(field or ""), (*fields, *foreign))
        if problem is not None:
            problems.append(f"{place}: {problem}")
        elif field is not None and binding.value:
            found[field] = EnvEntry(place, binding.value, binding.key or "")
    return found, problems


def over(lower: Mapping[str, EnvEntry], upper: Mapping[str, EnvEntry]) -> dict[str, EnvEntry]:
    """Both, by field; the upper ones win, and a password inside an upper URL does over a lower one beside it."""
    settled = {f"{store}_password" for store in ("database", "redis") if has_password(upper.get(f"{store}_url"))}
    return {**{field: entry for field, entry in lower.items() if field not in settled}, **upper}


def has_password(url: EnvEntry | None) -> bool:
    """Whether there is a URL with a password in it."""
    try:
        return url is not None and urlsplit(url.text).password is not None
    except ValueError:
        return False


def read_secret(entry: EnvEntry) -> tuple[EnvEntry, str | None]:
    """Follow an entry to the file that it names; the text is what the file holds, without white space around it.

    Returns:
        The entry with the file's text, and the problem, if the file cannot be used.
    """
    path = Path(entry.text)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as unreadable:
        return entry, f"{entry.place}: {entry.name} names a file that cannot be read: {unreadable}"
    if not text:
        return entry, f"{entry.place}: {entry.name} names {path}, which is empty: write the secret into it"
    return EnvEntry(f"{path}, from {entry.place}", text, entry.name), None


def _problem(binding: Binding, earlier: EnvEntry | None, known: Collection[str]) -> str | None:
    """Why a line cannot be used; it never quotes the value, which may be a secret under a misspelt name."""
    if binding.error or (binding.key is not None and binding.value is None):
        return "is not of the form KEY=value"
    if binding.key is None:
        return None
    if binding.key.startswith(_EARLIER):
        return f"{binding.key} is of an earlier program: NOTIFY_URLS says where messages go"
    if binding.key not in known:
        return f"{binding.key} is unknown: {nearest(binding.key, known)}"
    if earlier is not None:
        return f"{binding.key} was set before at {earlier.place}: keep one"
    return None
