"""What a `PostgresStore` reads: each function is one look at the database, in one snapshot of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs
from psycopg import AsyncConnection, AsyncCursor

from responses_stream.stores.base import EventPage, Item, ItemPage, Key, Notices, NotStored, Recovery, StoredResponse
from responses_stream.stores.joining import frames_of
from responses_stream.stores.paging import page_of
from responses_stream.stores.postgres_texts import from_text, to_text

_PAGE_BYTES: Final = 256 * 1024
_PAGE_ROWS: Final = 2_000


@attrs.frozen
class Reads:
    """The reads of one schema.

    Attributes:
        schema: its name, as SQL has it.
    """

    schema: str

    async def get(self, connection: AsyncConnection, key: Key) -> StoredResponse:
        found = await self._one(
            connection,
            "SELECT response, status, owner, background, stream, ended_at IS NOT NULL, cancelling > 0, last_number"
            " FROM $s.responses JOIN $s.snapshots USING (row) WHERE partition = %s AND id = %s AND NOT deleted",
            (to_text(key.partition), to_text(key.response_id)),
        )
        if found is None:
            raise NotStored(key)
        response, status, owner, background, stream, ended, cancelling, last_number = found
        return StoredResponse(
            response=response,
            status=from_text(status),
            owner=from_text(owner),
            background=background,
            stream=stream,
            ended=ended,
            cancelling=cancelling,
            last_number=last_number,
        )

    async def owned(self, connection: AsyncConnection, owner: str) -> Notices:
        """Return all that is live of an owner, who does not know what he was told last."""
        rows = await self._all(
            connection,
            "SELECT partition, id, cancelling > 0 FROM $s.responses"
            " WHERE owner = %s AND ended_at IS NULL AND NOT deleted ORDER BY row",
            (to_text(owner),),
        )
        live = [(Key(from_text(part), from_text(name)), asked) for part, name, asked in rows]
        return Notices([key for key, asked in live if asked], [key for key, _ in live])

    async def recovery(self, connection: AsyncConnection, key: Key) -> Recovery:
        found = await self._one(
            connection,
            "SELECT request, notes FROM $s.responses LEFT JOIN $s.recoveries USING (row)"
            " WHERE partition = %s AND id = %s AND NOT deleted",
            (to_text(key.partition), to_text(key.response_id)),
        )
        if found is None:
            raise NotStored(key)
        return Recovery(*found)

    async def events(self, connection: AsyncConnection, key: Key, after: int) -> EventPage:
        first = max(after, -1) + 1
        rows = await self._all(
            connection,
            "SELECT last_number, ended_at IS NOT NULL, log_dropped, page.first, page.count, page.frames"
            " FROM $s.responses AS one LEFT JOIN LATERAL ("
            "  SELECT first, count, frames FROM ("
            "   SELECT first, count, frames, sum(octet_length(frames)) OVER (ORDER BY first)"
            "    - octet_length(frames) AS before FROM ("
            "    SELECT first, count, frames FROM $s.events WHERE row = one.row AND first >= ("
            "     SELECT max(first) FROM $s.events WHERE row = one.row AND first <= %s)"
            "    ORDER BY first LIMIT %s) AS rows) AS sums WHERE before < %s"
            " ) AS page ON NOT one.log_dropped AND one.last_number >= %s"
            " WHERE partition = %s AND id = %s AND NOT deleted ORDER BY page.first",
            (first, _PAGE_ROWS, _PAGE_BYTES, first, to_text(key.partition), to_text(key.response_id)),
        )
        if not rows:
            raise NotStored(key)
        last_number, ended, log_dropped, *_ = rows[0]
        frames: list[bytes] = []
        for *_, start, count, joined in rows:
            if start is not None:
                frames += frames_of(count, joined)[max(0, first - start) :]
        kept = last_number >= 0 and not log_dropped
        return EventPage(first, frames, ended and (not kept or first + len(frames) > last_number), kept)

    async def is_news(self, connection: AsyncConnection, key: Key, after: int) -> bool:
        """Tell whether `ResponseStore.changed` has to return."""
        found = await self._one(
            connection,
            "SELECT last_number > %s OR ended_at IS NOT NULL FROM $s.responses"
            " WHERE partition = %s AND id = %s AND NOT deleted",
            (after, to_text(key.partition), to_text(key.response_id)),
        )
        return found is None or bool(found[0])

    async def input_items(
        self,
        connection: AsyncConnection,
        key: Key,
        limit: int,
        descending: bool,
        after: str | None,
        before: str | None,
    ) -> ItemPage:
        chain = await self._all(
            connection,
            "WITH RECURSIVE chain (row, parent, size, depth) AS ("
            " SELECT row, parent, inputs, 0 FROM $s.responses WHERE partition = %s AND id = %s AND NOT deleted"
            " UNION ALL SELECT one.row, one.parent, one.inputs + one.outputs, depth + 1"
            " FROM chain JOIN $s.responses AS one ON one.row = chain.parent)"
            " SELECT row, size FROM chain ORDER BY depth DESC",
            (to_text(key.partition), to_text(key.response_id)),
        )
        if not chain:
            raise NotStored(key)
        sizes: dict[int, int] = dict(chain)
        begins: dict[int, int] = {}  # the place of the first item of each response in the list, oldest first
        total = 0
        for row, size in chain:
            begins[row] = total
            total += size

        async def places(item_id: str | None) -> list[int]:
            if item_id is None:
                return []
            found = await self._all(
                connection,
                "SELECT row, position FROM $s.items WHERE partition = %s AND id = %s",
                (to_text(key.partition), to_text(item_id)),
            )
            oldest_first = [begins[row] + position for row, position in found if position < sizes.get(row, 0)]
            return [total - 1 - place for place in oldest_first] if descending else oldest_first

        page = page_of(total, limit, await places(after), await places(before))
        start, stop = (total - page.stop, total - page.start) if descending else (page.start, page.stop)
        wanted = [
            (row, max(0, start - begins[row]), min(size, stop - begins[row]))
            for row, size in chain
            if begins[row] < stop and begins[row] + size > start
        ]
        rows = await self._all(
            connection,
            "SELECT id, data FROM unnest(%s::bigint[], %s::int[], %s::int[]) WITH ORDINALITY"
            " AS wanted (at, low, high, turn) JOIN $s.items ON row = at AND position >= low AND position < high"
            " ORDER BY turn, position",
            ([row for row, *_ in wanted], [low for _, low, _ in wanted], [high for *_, high in wanted]),
        )
        items = [Item(from_text(name), data) for name, data in rows]
        return ItemPage(items[::-1] if descending else items, page.has_more)

    async def history(
        self,
        connection: AsyncConnection,
        partition: str,
        previous_response_id: str | None,
        conversation_id: str | None,
        limit: int,
    ) -> Sequence[Item]:
        row = None
        if previous_response_id is not None:
            found = await self._one(
                connection,
                "SELECT row FROM $s.responses WHERE partition = %s AND id = %s AND NOT deleted",
                (to_text(partition), to_text(previous_response_id)),
            )
            if found is None:
                raise NotStored(Key(partition, previous_response_id))
            [row] = found
        if limit <= 0:
            return []
        conversation = None if conversation_id is None else to_text(conversation_id)
        rows = await self._all(
            connection,
            "SELECT name, said FROM $s.newest_items(%s, %s, %s, %s)",
            (to_text(partition), row, conversation, limit),
        )
        return [Item(from_text(name), data) for name, data in reversed(rows)]

    async def items(self, connection: AsyncConnection, partition: str, ids: Sequence[str]) -> Sequence[Item | None]:
        rows = await self._all(
            connection,
            "SELECT DISTINCT ON (id) id, data FROM $s.items WHERE partition = %s AND id = ANY (%s)"
            " ORDER BY id, row, position",
            (to_text(partition), [to_text(item_id) for item_id in dict.fromkeys(ids)]),
        )
        found = {from_text(name): data for name, data in rows}
        return [Item(item_id, found[item_id]) if item_id in found else None for item_id in ids]

    async def owners(self, connection: AsyncConnection, machine: str) -> Sequence[tuple[str, int, str]]:
        """Return the owners of this machine: name, process id, and when that was started."""
        rows = await self._all(connection, "SELECT name, pid, started FROM $s.owners WHERE machine = %s", (machine,))
        return [(from_text(name), pid, started) for name, pid, started in rows]

    async def _one(self, connection: AsyncConnection, query: str, values: Sequence[object]) -> tuple[Any, ...] | None:
        return await (await self._execute(connection, query, values)).fetchone()

    async def _all(self, connection: AsyncConnection, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        return await (await self._execute(connection, query, values)).fetchall()

    async def _execute(self, connection: AsyncConnection, query: str, values: Sequence[object]) -> AsyncCursor:
        # As text, bytes would travel with twice their size.
        return await connection.execute(query.replace("$s", self.schema).encode(), values, binary=True)
