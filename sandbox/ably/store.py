"""Messages, channel series and the last position, in SQLite, so that a restart forgets nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import msgpack

from sandbox.ably.serials import START, floor_position, random_text
from sandbox.ably.wire import Frame

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    position TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    channel TEXT NOT NULL,
    id TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    connection_id TEXT,
    timestamp_ms INTEGER NOT NULL,
    item BLOB NOT NULL,
    PRIMARY KEY (position, ordinal)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS message_by_channel ON message (channel, position, ordinal);
CREATE INDEX IF NOT EXISTS message_by_id ON message (channel, id);
CREATE TABLE IF NOT EXISTS channel (name TEXT PRIMARY KEY, series TEXT NOT NULL, forgotten TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS newest (only INTEGER PRIMARY KEY CHECK (only = 1), position TEXT NOT NULL);
"""
_COLUMNS = "position, ordinal, channel, id, batch_id, connection_id, timestamp_ms, item"


@dataclass(frozen=True, slots=True)
class Batch:
    """What one publish put on a channel.

    Attributes:
        items: complete wire messages, each with its id, timestamp and serial; bytes are bytes.
    """

    channel: str
    position: str
    id: str
    connection_id: str | None
    items: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class HistorySlice:
    """Which messages of a channel to read: times in milliseconds, inclusive; ``after`` is a cursor, exclusive."""

    channel: str
    start_ms: int
    end_ms: int | None
    forwards: bool
    limit: int
    after: tuple[str, int] | None = None


class Store:
    """Synchronous on purpose: whatever is published is on disk before anyone hears of it."""

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path or ":memory:")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def newest_position(self) -> str:
        """The position of the last publish on any channel, purged ones included."""
        found = self._db.execute("SELECT position FROM newest").fetchone()
        return str(found[0]) if found else START

    def append(self, batch: Batch) -> None:
        rows = [
            (batch.position, n, batch.channel, i["id"], batch.id, batch.connection_id, i["timestamp"], _pack(i))
            for n, i in enumerate(batch.items)
        ]
        with self._db:
            self._db.executemany(f"INSERT INTO message ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)  # noqa: S608 - constants
            self._db.execute(
                "INSERT INTO newest VALUES (1, ?) ON CONFLICT (only) DO UPDATE SET position = excluded.position",
                (batch.position,),
            )

    def batch_of(self, channel: str, message_id: str, since_ms: int) -> Batch | None:
        """The newest batch with that message, if it was published at or after ``since_ms``."""
        rows = self._select(
            "channel = ? AND position ="
            " (SELECT MAX(position) FROM message WHERE channel = ? AND id = ? AND position >= ?) ORDER BY ordinal",
            (channel, channel, message_id, floor_position(since_ms)),
        )
        return next(_batches(rows), None)

    def newest_batch(self, channel: str) -> Batch | None:
        rows = self._select(
            "channel = ? AND position = (SELECT MAX(position) FROM message WHERE channel = ?) ORDER BY ordinal",
            (channel, channel),
        )
        return next(_batches(rows), None)

    def after(self, channel: str, position: str) -> list[Batch]:
        """Everything published on a channel after a position, in order."""
        return list(
            _batches(self._select("channel = ? AND position > ? ORDER BY position, ordinal", (channel, position)))
        )

    def position_before(self, channel: str, position: str) -> str:
        """The newest earlier position on a channel, still held or purged; START if there is none."""
        found = self._db.execute(
            "SELECT MAX(position) FROM message WHERE channel = ? AND position < ?", (channel, position)
        ).fetchone()[0]
        return str(found) if found else self.forgotten(channel, 0)

    def newest(self, channel: str, limit: int, since_ms: int) -> list[Batch]:
        """At most ``limit`` messages from ``since_ms`` on, the newest ones, in order."""
        rows = self._select(
            "channel = ? AND timestamp_ms >= ? ORDER BY position DESC, ordinal DESC LIMIT ?", (channel, since_ms, limit)
        )
        return list(_batches(reversed(rows)))

    def history(self, wanted: HistorySlice) -> list[tuple[tuple[str, int], Frame]]:
        """Messages with their cursors, in the direction asked for."""
        order, beyond = ("ASC", ">") if wanted.forwards else ("DESC", "<")
        where, values = "channel = ? AND timestamp_ms >= ?", [wanted.channel, wanted.start_ms]
        if wanted.end_ms is not None:
            where, values = f"{where} AND timestamp_ms <= ?", [*values, wanted.end_ms]
        if wanted.after is not None:
            where, values = f"{where} AND (position, ordinal) {beyond} (?, ?)", [*values, *wanted.after]
        rows = self._select(f"{where} ORDER BY position {order}, ordinal {order} LIMIT ?", (*values, wanted.limit))
        return [((str(row[0]), int(row[1])), _unpack(row[7])) for row in rows]

    def series(self, channel: str) -> str:
        """The series within which the channel's positions are continuous now."""
        with self._db:
            self._db.execute("INSERT OR IGNORE INTO channel VALUES (?, ?, ?)", (channel, random_text(10), START))
        return str(self._db.execute("SELECT series FROM channel WHERE name = ?", (channel,)).fetchone()[0])

    def break_series(self, channel: str) -> None:
        """Whoever attached before this moment cannot continue after it."""
        self.series(channel)
        with self._db:
            self._db.execute("UPDATE channel SET series = ? WHERE name = ?", (random_text(10), channel))

    def forgotten(self, channel: str, before_ms: int) -> str:
        """The newest position on a channel that can no longer be replayed, START if everything can."""
        purged = self._db.execute("SELECT forgotten FROM channel WHERE name = ?", (channel,)).fetchone()
        expired = self._db.execute(
            "SELECT MAX(position) FROM message WHERE channel = ? AND position < ?", (channel, floor_position(before_ms))
        ).fetchone()[0]
        return max(str(purged[0]) if purged else START, str(expired or START))

    def purge(self, before_ms: int) -> None:
        """Delete what was published before; a channel remembers how far its loss reaches."""
        cutoff = floor_position(before_ms)
        oldest = self._db.execute("SELECT MIN(position) FROM message").fetchone()[0]
        if oldest is None or oldest >= cutoff:
            return
        with self._db:
            lost = self._db.execute(
                "SELECT channel, MAX(position) FROM message WHERE position < ? GROUP BY channel", (cutoff,)
            ).fetchall()
            self._db.executemany(
                "INSERT INTO channel VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET forgotten = excluded.forgotten",
                [(channel, random_text(10), position) for channel, position in lost],
            )
            self._db.execute("DELETE FROM message WHERE position < ?", (cutoff,))

    def _select(self, where: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._db.execute(f"SELECT {_COLUMNS} FROM message WHERE {where}", values).fetchall()  # noqa: S608 - constants


def _batches(rows: Iterable[tuple[Any, ...]]) -> Iterator[Batch]:
    for position, group in groupby(rows, key=lambda row: row[0]):
        members = list(group)
        _, _, channel, _, batch_id, connection_id, _, _ = members[0]
        yield Batch(channel, position, batch_id, connection_id, tuple(_unpack(row[7]) for row in members))


def _pack(item: Frame) -> bytes:
    packed: bytes = msgpack.packb(item, use_bin_type=True)
    return packed


def _unpack(blob: bytes) -> Frame:
    item: Frame = msgpack.unpackb(blob, strict_map_key=False)
    return item
