"""What a `SqliteStore` reads: each function is one look at a connection that is in a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from responses_stream.stores.base import EventPage, Item, ItemPage, Key, NotStored, Recovery, StoredResponse
from responses_stream.stores.joining import frames_of
from responses_stream.stores.paging import newest_of_each, page_of

_PAGE_BYTES: Final = 256 * 1024

# SQLite works a recursion out row by row: whoever stops reading stops the walk, so a long chain costs no more than a
# short one.
_CHAIN: Final = """
    WITH RECURSIVE chain (row, parent, size) AS (
        SELECT row, parent, inputs + outputs FROM responses WHERE row = ?
        UNION ALL
        SELECT responses.row, responses.parent, responses.inputs + responses.outputs
        FROM chain JOIN responses ON responses.row = chain.parent)
    SELECT row, size FROM chain"""


def get(connection: sqlite3.Connection, key: Key) -> StoredResponse:
    found = connection.execute(
        "SELECT response, status, owner, background, stream, ended_at, cancelling, last_number"
        " FROM responses JOIN snapshots USING (row) WHERE partition = ? AND id = ? AND deleted = 0",
        (key.partition, key.response_id),
    ).fetchone()
    if found is None:
        raise NotStored(key)
    response, status, owner, background, stream, ended_at, cancelling, last_number = found
    return StoredResponse(
        response=response,
        status=status,
        owner=owner,
        background=bool(background),
        stream=bool(stream),
        ended=ended_at is not None,
        cancelling=bool(cancelling),
        last_number=last_number,
    )


def recovery(connection: sqlite3.Connection, key: Key) -> Recovery:
    row = _row(connection, key)
    found = connection.execute("SELECT request, notes FROM recoveries WHERE row = ?", (row,)).fetchone()
    return Recovery() if found is None else Recovery(*found)


def events(connection: sqlite3.Connection, key: Key, after: int) -> EventPage:
    found = connection.execute(
        "SELECT row, ended_at, last_number, log_dropped FROM responses WHERE partition = ? AND id = ? AND deleted = 0",
        (key.partition, key.response_id),
    ).fetchone()
    if found is None:
        raise NotStored(key)
    row, ended_at, last_number, log_dropped = found
    first = max(after, -1) + 1
    kept = last_number >= 0 and not log_dropped
    frames: list[bytes] = []
    if kept and first <= last_number:
        stored = connection.execute(
            "SELECT first, count, frames FROM events WHERE row = ? AND first >="
            " (SELECT max(first) FROM events WHERE row = ? AND first <= ?) ORDER BY first",
            (row, row, first),
        )
        size = 0
        for start, count, joined in stored:
            frames += frames_of(count, joined)[max(0, first - start) :]
            size += len(joined)
            if size >= _PAGE_BYTES:
                break
    ended = ended_at is not None and (not kept or first + len(frames) > last_number)
    return EventPage(first, frames, ended, kept)


def is_news(connection: sqlite3.Connection, key: Key, after: int) -> bool:
    """Tell whether `ResponseStore.changed` has to return."""
    found = connection.execute(
        "SELECT last_number > ? OR ended_at IS NOT NULL FROM responses WHERE partition = ? AND id = ? AND deleted = 0",
        (after, key.partition, key.response_id),
    ).fetchone()
    return found is None or bool(found[0])


def input_items(
    connection: sqlite3.Connection, key: Key, limit: int, descending: bool, after: str | None, before: str | None
) -> ItemPage:
    row = _row(connection, key)
    [inputs] = connection.execute("SELECT inputs FROM responses WHERE row = ?", (row,)).fetchone()
    newest_first = [(at, inputs if at == row else size) for at, size in connection.execute(_CHAIN, (row,))]
    sizes = dict(newest_first)
    begins: dict[int, int] = {}  # the place of the first item of each response in the list, oldest first
    total = 0
    for at, size in reversed(newest_first):
        begins[at] = total
        total += size

    def places(item_id: str | None) -> list[int]:
        if item_id is None:
            return []
        found = connection.execute(
            "SELECT row, position FROM items WHERE partition = ? AND id = ?", (key.partition, item_id)
        )
        oldest_first = [begins[at] + position for at, position in found if position < sizes.get(at, 0)]
        return [total - 1 - place for place in oldest_first] if descending else oldest_first

    page = page_of(total, limit, places(after), places(before))
    start, stop = (total - page.stop, total - page.start) if descending else (page.start, page.stop)
    items: list[Item] = []
    for at, size in reversed(newest_first):
        begin = begins[at]
        if begin < stop and begin + size > start:
            found = connection.execute(
                "SELECT id, data FROM items WHERE row = ? AND position >= ? AND position < ? ORDER BY position",
                (at, start - begin, min(size, stop - begin)),
            )
            items += [Item(item_id, data) for item_id, data in found]
    return ItemPage(items[::-1] if descending else items, page.has_more)


def history(
    connection: sqlite3.Connection,
    partition: str,
    previous_response_id: str | None,
    conversation_id: str | None,
    limit: int,
) -> Sequence[Item]:
    previous = None
    if previous_response_id is not None:
        previous = _row(connection, Key(partition, previous_response_id))

    def newest_first() -> Iterator[Item]:
        if conversation_id is not None:
            members = connection.execute(
                "SELECT row FROM responses WHERE partition = ? AND conversation = ? AND deleted = 0 ORDER BY row DESC",
                (partition, conversation_id),
            )
            for [row] in members:
                yield from _items_of(connection, row)
        if previous is not None:
            for row, _ in connection.execute(_CHAIN, (previous,)):
                yield from _items_of(connection, row)

    return newest_of_each(newest_first(), limit)


def items(connection: sqlite3.Connection, partition: str, ids: Sequence[str]) -> Sequence[Item | None]:
    found: dict[str, Item] = {}
    for item_id in dict.fromkeys(ids):
        stored = connection.execute(
            "SELECT data FROM items WHERE partition = ? AND id = ? ORDER BY row, position LIMIT 1", (partition, item_id)
        ).fetchone()
        if stored is not None:
            found[item_id] = Item(item_id, stored[0])
    return [found.get(item_id) for item_id in ids]


def _row(connection: sqlite3.Connection, key: Key) -> int:
    found = connection.execute(
        "SELECT row FROM responses WHERE partition = ? AND id = ? AND deleted = 0", (key.partition, key.response_id)
    ).fetchone()
    if found is None:
        raise NotStored(key)
    return int(found[0])


def _items_of(connection: sqlite3.Connection, row: int) -> Iterator[Item]:
    for item_id, data in connection.execute("SELECT id, data FROM items WHERE row = ? ORDER BY position DESC", (row,)):
        yield Item(item_id, data)
