"""Other people's packages without what they bring along for terminals; import this before anything else.

structlog, httpx and Celery's commands load rich and pygments where these are installed, for coloured tracebacks and for
command lines of their own. A process that serves has neither: it would only be larger, by 6 MB, and slower to start, by
a tenth of a second. What is loaded after this may still use rich.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager


@contextmanager
def without(*names: str) -> Iterator[None]:
    """What is imported in this block finds none of these packages, unless they are loaded already."""
    absent = {name for name in names if name not in sys.modules}  # not by sets: a fork would copy all names for that
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # Python's own sign for: cannot be imported
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def without_terminal() -> AbstractContextManager[None]:
    """The same for what colours text."""
    return without("rich", "pygments")


with without_terminal():
    import structlog  # noqa: F401
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # its command line; it is used to being without
