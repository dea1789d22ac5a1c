"""The file of a `SqliteStore`: its tables, its version, and how a connection to it is opened.

A response is a small row, because each append writes it again; its JSON, its events and its items stand in tables of
their own. Rows are never numbered twice, so a continuation whose parent is gone points at nothing, not at another.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Final

from responses_stream.stores.base import StoreError

VERSION: Final = 2

_TABLES: Final = (
    # cancelling: 0 is not asked for, 1 is asked for, 2 is told to the owner. parent is the row that this continues,
    # continuations is how many rows continue this one.
    """CREATE TABLE responses (
        row INTEGER PRIMARY KEY AUTOINCREMENT, partition TEXT NOT NULL, id TEXT NOT NULL, owner TEXT NOT NULL,
        status TEXT NOT NULL, background INTEGER NOT NULL, stream INTEGER NOT NULL, last_number INTEGER NOT NULL,
        cancelling INTEGER NOT NULL DEFAULT 0, ended_at REAL, deleted INTEGER NOT NULL DEFAULT 0,
        log_dropped INTEGER NOT NULL DEFAULT 0, parent INTEGER, continuations INTEGER NOT NULL DEFAULT 0,
        conversation TEXT, inputs INTEGER NOT NULL, outputs INTEGER NOT NULL DEFAULT 0)""",
    "CREATE UNIQUE INDEX response_keys ON responses (partition, id) WHERE deleted = 0",
    "CREATE INDEX live_responses ON responses (owner) WHERE ended_at IS NULL AND deleted = 0",
    "CREATE INDEX asked_to_cancel ON responses (owner) WHERE cancelling = 1 AND deleted = 0",
    "CREATE INDEX ended_responses ON responses (ended_at) WHERE ended_at IS NOT NULL AND deleted = 0",
    """CREATE INDEX ended_logs ON responses (ended_at)
        WHERE ended_at IS NOT NULL AND deleted = 0 AND log_dropped = 0""",
    """CREATE INDEX conversations ON responses (partition, conversation, row)
        WHERE conversation IS NOT NULL AND deleted = 0""",
    "CREATE TABLE snapshots (row INTEGER PRIMARY KEY, response BLOB NOT NULL)",
    """CREATE TABLE events (
        row INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL, frames BLOB NOT NULL,
        PRIMARY KEY (row, first)) WITHOUT ROWID""",
    """CREATE TABLE items (
        row INTEGER NOT NULL, position INTEGER NOT NULL, partition TEXT NOT NULL, id TEXT NOT NULL,
        data BLOB NOT NULL, PRIMARY KEY (row, position)) WITHOUT ROWID""",
    "CREATE INDEX item_ids ON items (partition, id)",
    """CREATE TABLE claims (
        partition TEXT NOT NULL, idempotency_key TEXT NOT NULL, response_id TEXT NOT NULL, digest BLOB NOT NULL,
        owner TEXT NOT NULL, PRIMARY KEY (partition, idempotency_key)) WITHOUT ROWID""",
    "CREATE INDEX claims_of_responses ON claims (partition, response_id)",
    "CREATE INDEX claims_of_owners ON claims (owner)",
    """CREATE TABLE owners (
        name TEXT PRIMARY KEY, expires REAL NOT NULL, machine TEXT NOT NULL, pid INTEGER NOT NULL,
        started TEXT NOT NULL) WITHOUT ROWID""",
)
_MIGRATIONS: Final = (
    _TABLES,
    ("CREATE TABLE recoveries (row INTEGER PRIMARY KEY, request BLOB, notes BLOB)",),
)
"""What makes each version of the one before, from nothing on."""


def connect(path: Path, busy_timeout: float, synchronous: str) -> sqlite3.Connection:
    """Open a connection, making the tables where the file is new.

    Raises:
        StoreError: the file cannot be opened, is no database, or was written by a newer version of this package.
    """
    try:
        connection = sqlite3.connect(
            path, timeout=busy_timeout, isolation_level=None, check_same_thread=False, cached_statements=256
        )
    except sqlite3.OperationalError as error:
        raise StoreError(f"{path} cannot be opened ({error}); is its folder there, and may this user write?") from error
    try:
        _switch_to_wal(connection, path, busy_timeout)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
        if _version(connection) != VERSION:
            _make_tables(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    [version] = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _switch_to_wal(connection: sqlite3.Connection, path: Path, busy_timeout: float) -> None:
    # The switch does not wait for a lock, whatever the timeout: two processes that open a new file at once meet here.
    give_up = time.monotonic() + busy_timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= give_up:
                raise
            time.sleep(0.01)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            raise StoreError(f"{path} is not a SQLite file; use another one") from error


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)
        if version > VERSION:
            raise StoreError(
                f"{path} has version {version}, this package knows up to {VERSION}; "
                "update responses-stream, or use another file"
            )
        if version < VERSION:
            for migration in _MIGRATIONS[version:]:
                for statement in migration:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
