"""What a `SqliteStore` writes: each function is one operation on a connection that is in a transaction.

Each looks before it writes, so that one which is refused has changed nothing and the others of its transaction stand.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from responses_stream.stores.base import (
    FIRST_LEASE,
    AlreadyStored,
    Claim,
    Ending,
    Fenced,
    InFlight,
    Item,
    Key,
    NewResponse,
    Notices,
    NotStored,
)
from responses_stream.stores.joining import chunks
from responses_stream.stores.processes import Process, is_dead

_SWEPT_AT_ONCE: Final = 50
"""How many responses are dropped in one transaction, so that nobody waits long for the next."""


@attrs.frozen
class Who:
    """Who writes, and when: the owner, its process, and the time by the clock of the store."""

    owner: str
    process: Process
    now: float


def create(connection: sqlite3.Connection, new: NewResponse, frames: Sequence[bytes], who: Who) -> None:
    key = new.key
    if _find(connection, key) is not None:
        raise AlreadyStored(key)
    _register(connection, who)
    parent = None
    if new.previous_response_id is not None:
        parent = _find(connection, Key(key.partition, new.previous_response_id))
    if parent is not None:
        connection.execute("UPDATE responses SET continuations = continuations + 1 WHERE row = ?", (parent,))
    row = connection.execute(
        "INSERT INTO responses (partition, id, owner, status, background, stream, last_number, parent, conversation,"
        " inputs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key.partition,
            key.response_id,
            new.owner,
            new.status,
            new.background,
            new.stream,
            len(frames) - 1,
            parent,
            new.conversation_id,
            len(new.input_items),
        ),
    ).lastrowid
    assert row is not None
    connection.execute("INSERT INTO snapshots VALUES (?, ?)", (row, new.response))
    if new.recovery is not None:
        connection.execute("INSERT INTO recoveries VALUES (?, ?, NULL)", (row, new.recovery))
    _insert_events(connection, row, 0, frames)
    _insert_items(connection, row, 0, key.partition, new.input_items)


def append(
    connection: sqlite3.Connection,
    key: Key,
    owner: str,
    first: int,
    frames: Sequence[bytes],
    ending: Ending | None,
    now: float,
) -> None:
    found = connection.execute(
        "SELECT row, owner, ended_at, last_number, inputs FROM responses"
        " WHERE partition = ? AND id = ? AND deleted = 0",
        (key.partition, key.response_id),
    ).fetchone()
    if found is None:
        raise NotStored(key)
    row, stored_owner, ended_at, last_number, inputs = found
    if ended_at is not None:
        raise Fenced(key, "it has ended")
    if stored_owner != owner:
        raise Fenced(key, f"it belongs to {stored_owner!r}, not to {owner!r}")
    if frames and first != last_number + 1:
        raise Fenced(key, f"its next event has the number {last_number + 1}, not {first}")
    _insert_events(connection, row, first, frames)
    last_number += len(frames)
    if ending is None:
        connection.execute("UPDATE responses SET last_number = ? WHERE row = ?", (last_number, row))
        return
    connection.execute(
        "UPDATE responses SET last_number = ?, status = ?, ended_at = ?, cancelling = 0, outputs = ? WHERE row = ?",
        (last_number, ending.status, now, len(ending.output_items), row),
    )
    connection.execute("UPDATE snapshots SET response = ? WHERE row = ?", (ending.response, row))
    connection.execute("DELETE FROM recoveries WHERE row = ?", (row,))
    _insert_items(connection, row, inputs, key.partition, ending.output_items)


def note(connection: sqlite3.Connection, key: Key, owner: str, notes: bytes) -> None:
    found = connection.execute(
        "SELECT row, owner, ended_at FROM responses WHERE partition = ? AND id = ? AND deleted = 0",
        (key.partition, key.response_id),
    ).fetchone()
    if found is None:
        raise NotStored(key)
    row, stored_owner, ended_at = found
    if ended_at is not None:
        raise Fenced(key, "it has ended")
    if stored_owner != owner:
        raise Fenced(key, f"it belongs to {stored_owner!r}, not to {owner!r}")
    connection.execute(
        "INSERT INTO recoveries VALUES (?, NULL, ?) ON CONFLICT (row) DO UPDATE SET notes = excluded.notes",
        (row, notes),
    )


def cancel(connection: sqlite3.Connection, key: Key) -> str | None:
    """Ask for the end of a response; return its owner, if it has to be told."""
    found = connection.execute(
        "SELECT row, owner, ended_at, cancelling FROM responses WHERE partition = ? AND id = ? AND deleted = 0",
        (key.partition, key.response_id),
    ).fetchone()
    if found is None:
        raise NotStored(key)
    row, owner, ended_at, cancelling = found
    if ended_at is not None or cancelling:
        return None
    connection.execute("UPDATE responses SET cancelling = 1 WHERE row = ?", (row,))
    return str(owner)


def delete(connection: sqlite3.Connection, key: Key) -> None:
    found = connection.execute(
        "SELECT row, ended_at, cancelling FROM responses WHERE partition = ? AND id = ? AND deleted = 0",
        (key.partition, key.response_id),
    ).fetchone()
    if found is None:
        raise NotStored(key)
    row, ended_at, cancelling = found
    if ended_at is None and not cancelling:
        raise InFlight(key)
    connection.execute("UPDATE responses SET deleted = 1 WHERE row = ?", (row,))
    _drop(connection, row, key)
    _drop_unused(connection, row)


def claim(
    connection: sqlite3.Connection, partition: str, idempotency_key: str, digest: bytes, response_id: str, who: Who
) -> Claim:
    held = connection.execute(
        "SELECT response_id, digest, owner FROM claims WHERE partition = ? AND idempotency_key = ?",
        (partition, idempotency_key),
    ).fetchone()
    if held is not None:
        held_id, held_digest, holder = held
        created = _find(connection, Key(partition, held_id)) is not None
        if created or _is_alive(connection, holder, who.now):
            return Claim(held_id, held_digest, mine=False)
    _register(connection, who)
    connection.execute(
        "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?)",
        (partition, idempotency_key, response_id, digest, who.owner),
    )
    return Claim(response_id, digest, mine=True)


def unclaim(connection: sqlite3.Connection, partition: str, idempotency_key: str, response_id: str, owner: str) -> None:
    connection.execute(
        "DELETE FROM claims WHERE partition = ? AND idempotency_key = ? AND response_id = ? AND owner = ?",
        (partition, idempotency_key, response_id, owner),
    )


def attend(connection: sqlite3.Connection, lease: float | None, grace: float, who: Who) -> Notices:
    """Renew the lease of an owner, if one is given, and take what it has to look after."""
    if lease is not None:
        connection.execute(
            "INSERT OR REPLACE INTO owners VALUES (?, ?, ?, ?, ?)",
            (who.owner, who.now + lease, who.process.machine, who.process.pid, who.process.started),
        )
    elif not _is_alive(connection, who.owner, who.now):
        return Notices()  # who has no lease any more must not take what nobody would take from him
    cancelled = _keys(
        connection.execute(
            "SELECT partition, id FROM responses WHERE owner = ? AND cancelling = 1 AND deleted = 0 ORDER BY row",
            (who.owner,),
        )
    )
    if cancelled:
        connection.execute(
            "UPDATE responses SET cancelling = 2 WHERE owner = ? AND cancelling = 1 AND deleted = 0", (who.owner,)
        )
    orphans: list[Key] = []
    for gone in [*gone_owners(connection, grace, who)]:
        orphans += _keys(
            connection.execute(
                "SELECT partition, id FROM responses WHERE owner = ? AND ended_at IS NULL AND deleted = 0 ORDER BY row",
                (gone,),
            )
        )
        connection.execute(
            "UPDATE responses SET owner = ?, cancelling = 2 * (cancelling > 0)"
            " WHERE owner = ? AND ended_at IS NULL AND deleted = 0",
            (who.owner, gone),
        )
        connection.execute(
            "DELETE FROM claims WHERE owner = ? AND NOT EXISTS (SELECT 1 FROM responses"
            " WHERE partition = claims.partition AND id = claims.response_id AND deleted = 0)",
            (gone,),
        )
        connection.execute("DELETE FROM owners WHERE name = ?", (gone,))
    return Notices(cancelled, orphans)


def has_notices(connection: sqlite3.Connection, grace: float, who: Who) -> bool:
    """Tell whether `attend` would find anything, without writing."""
    [asked] = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM responses WHERE owner = ? AND cancelling = 1 AND deleted = 0)", (who.owner,)
    ).fetchone()
    return bool(asked) or next(gone_owners(connection, grace, who), None) is not None


def gone_owners(connection: sqlite3.Connection, grace: float, who: Who) -> Iterator[str]:
    """Yield the other owners whose lease has been over for as long, or whose process is dead."""
    others = connection.execute("SELECT name, expires, machine, pid, started FROM owners WHERE name != ?", (who.owner,))
    for name, expires, machine, pid, started in others.fetchall():
        if expires <= who.now - grace or is_dead(Process(machine, pid, started)):
            yield name


def release(connection: sqlite3.Connection, owner: str) -> None:
    connection.execute("UPDATE owners SET expires = 0 WHERE name = ?", (owner,))


def sweep(connection: sqlite3.Connection, events_before: float, responses_before: float) -> bool:
    """Drop some of what ended before these times; return whether there may be more."""
    logs = connection.execute(
        "SELECT row FROM responses WHERE ended_at <= ? AND deleted = 0 AND log_dropped = 0 ORDER BY ended_at LIMIT ?",
        (events_before, _SWEPT_AT_ONCE),
    ).fetchall()
    for log in logs:
        connection.execute("DELETE FROM events WHERE row = ?", log)
        connection.execute("UPDATE responses SET log_dropped = 1 WHERE row = ?", log)
    responses = connection.execute(
        "SELECT row, partition, id FROM responses WHERE ended_at <= ? AND deleted = 0 ORDER BY ended_at LIMIT ?",
        (responses_before, _SWEPT_AT_ONCE),
    ).fetchall()
    for row, partition, response_id in responses:
        # The histories of its continuations end behind it: they point at a row that is no more.
        connection.execute("UPDATE responses SET deleted = 1, continuations = 0 WHERE row = ?", (row,))
        _drop(connection, row, Key(partition, response_id))
        _drop_unused(connection, row)
    return max(len(logs), len(responses)) == _SWEPT_AT_ONCE


def _find(connection: sqlite3.Connection, key: Key) -> int | None:
    found = connection.execute(
        "SELECT row FROM responses WHERE partition = ? AND id = ? AND deleted = 0", (key.partition, key.response_id)
    ).fetchone()
    return None if found is None else int(found[0])


def _keys(rows: sqlite3.Cursor) -> list[Key]:
    return [Key(partition, response_id) for partition, response_id in rows.fetchall()]


def _register(connection: sqlite3.Connection, who: Who) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO owners VALUES (?, ?, ?, ?, ?)",
        (who.owner, who.now + FIRST_LEASE, who.process.machine, who.process.pid, who.process.started),
    )


def _is_alive(connection: sqlite3.Connection, owner: str, now: float) -> bool:
    found = connection.execute("SELECT expires, machine, pid, started FROM owners WHERE name = ?", (owner,)).fetchone()
    return found is not None and found[0] > now and not is_dead(Process(*found[1:]))


def _insert_events(connection: sqlite3.Connection, row: int, first: int, frames: Sequence[bytes]) -> None:
    for chunk in chunks(frames):
        connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (row, first, len(chunk), b"".join(chunk)))
        first += len(chunk)


def _insert_items(
    connection: sqlite3.Connection, row: int, position: int, partition: str, items: Sequence[Item]
) -> None:
    connection.executemany(
        "INSERT INTO items VALUES (?, ?, ?, ?, ?)",
        [(row, at, partition, item.id, item.data) for at, item in enumerate(items, position)],
    )


def _drop(connection: sqlite3.Connection, row: int, key: Key) -> None:
    """Remove all of a response but its items and its place in the chains."""
    connection.execute("DELETE FROM events WHERE row = ?", (row,))
    connection.execute("DELETE FROM snapshots WHERE row = ?", (row,))
    connection.execute("DELETE FROM recoveries WHERE row = ?", (row,))
    connection.execute("DELETE FROM claims WHERE partition = ? AND response_id = ?", (key.partition, key.response_id))


def _drop_unused(connection: sqlite3.Connection, row: int | None) -> None:
    """Remove a deleted response that nothing continues, with its items, and so on up its chain (H11.12)."""
    while row is not None:
        found = connection.execute(
            "SELECT parent FROM responses WHERE row = ? AND deleted = 1 AND continuations = 0", (row,)
        ).fetchone()
        if found is None:
            return
        connection.execute("DELETE FROM items WHERE row = ?", (row,))
        connection.execute("DELETE FROM responses WHERE row = ?", (row,))
        [row] = found
        connection.execute("UPDATE responses SET continuations = continuations - 1 WHERE row = ?", (row,))
