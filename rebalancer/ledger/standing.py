"""Whether a pooled connection to PostgreSQL still stands: its socket tells; after a longer rest it is asked."""

from __future__ import annotations

import select
import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

TRUSTED_S = 10.0
"""That long after its last use a connection stands if its socket says nothing: PostgreSQL tells the end of each, and
the kernel of its machine does. One that was idle for longer is asked, since a machine or a network goes in silence.
"""
_USED_AT = "used_at"


def look_before_use(engine: Engine) -> None:
    """Have connections of the pool looked at before they are used again, and opened anew where they have ended."""

    def look(driver: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        used_at = record.info.get(_USED_AT)
        if used_at is None or (time.monotonic() - used_at < TRUSTED_S and _stands(driver)):
            return
        try:
            engine.dialect.do_ping(driver)
        except engine.dialect.loaded_dbapi.Error as ended:
            raise InvalidatePoolError from ended

    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", look)


def _note_use(_driver: Any, record: ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = time.monotonic()


def _stands(driver: Any) -> bool:
    """Whether its socket has nothing to say: an end would be heard there."""
    if driver.closed:
        return False
    socket = select.poll()
    socket.register(driver.fileno(), select.POLLIN)
    return not socket.poll(0)
