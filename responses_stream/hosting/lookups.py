"""What a request refers to, looked up once: its own input, the items it names by id, and what came before.

A lookup that failed is not kept, and each caller gets a list of its own (H11.20 to H11.22).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final, TypeAlias

import anyio
import anyio.to_thread
import attrs
import msgspec

from responses_stream.protocol.codec import decode_union, from_json
from responses_stream.protocol.conversions import StoredItem, get_input_expanded, to_stored_data
from responses_stream.protocol.items import InputItem, ItemReference
from responses_stream.protocol.request import CreateResponse
from responses_stream.stores.base import Item, ResponseStore

ContextItem: TypeAlias = InputItem | StoredItem
"""What a handler reads: items as they came in, and items that were stored before."""

_MANY: Final = 200
"""From how many items on they are made in a thread: it would hold up the tokens of everybody else (pains.md F3)."""


@attrs.define(eq=False)
class Lookups:
    """The items of one request.

    Attributes:
        store: where older items are.
        partition: whose they are.
        response_id: of the response that the request asks for; the ids of its inputs are made from it.
        request: what was asked for.
        before: the newest items before this turn, oldest first, as the store has them.
    """

    store: ResponseStore
    partition: str
    response_id: str
    request: CreateResponse
    before: Sequence[Item] = ()
    _resolved: list[ContextItem] | None = attrs.field(init=False, default=None)
    _stored: list[Item] | None = attrs.field(init=False, default=None)
    _one: anyio.Lock | None = attrs.field(init=False, default=None)

    async def input_items(self, *, resolve_references: bool = True) -> list[ContextItem]:
        """Return the items of the input; what cannot be resolved is left out (H11.14 to H11.16).

        Raises:
            Exception: whatever the store has trouble with.
        """
        items = get_input_expanded(self.request)
        if not resolve_references or not any(isinstance(item, ItemReference) for item in items):
            return list(items)
        if self._one is None:
            self._one = anyio.Lock()
        async with self._one:
            if self._resolved is None:
                self._resolved = await self._resolve(items)
        return list(self._resolved)

    def history(self) -> list[StoredItem]:
        """Return the items before this turn, oldest first (decision 25)."""
        return [read_item(item) for item in self.before]

    async def stored_inputs(self) -> Sequence[Item]:
        """Return the items of the input as the store keeps them: with ids of this response (H7.7).

        Raises:
            Exception: whatever the store has trouble with.
        """
        if self._stored is None:
            items = await self.input_items()
            many = len(items) >= _MANY
            make = functools.partial(_as_stored, items, self.response_id)
            self._stored = await anyio.to_thread.run_sync(make) if many else make()
        return self._stored

    async def _resolve(self, items: Sequence[InputItem]) -> list[ContextItem]:
        wanted = [item.id for item in items if isinstance(item, ItemReference)]
        found = dict(zip(wanted, await self.store.items(self.partition, wanted), strict=True))
        resolved: list[ContextItem] = []
        for item in items:
            if not isinstance(item, ItemReference):
                resolved.append(item)
            elif (kept := found[item.id]) is not None:
                resolved.append(read_item(kept))
        return resolved


def _as_stored(items: Sequence[ContextItem], response_id: str) -> list[Item]:
    # Written as plain data: nobody reads them as items before they come out of the store.
    kept = (to_stored_data(item, response_id) for item in items)
    return [Item(data["id"], msgspec.json.encode(data)) for data in kept if data is not None]


def read_item(item: Item) -> StoredItem:
    """Return an item as the store gave it."""
    read: StoredItem = decode_union(from_json(item.data), StoredItem, "stored item")
    return read
