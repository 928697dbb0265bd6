"""Loading much at once. This loads nothing itself: a command line begins with it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Of what is loaded in this block nothing is garbage: looking for some again and again would take a fifth of a
    worker's start, a tenth of a command's. The collector leaves all of it alone afterwards, too.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
