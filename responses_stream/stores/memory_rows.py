"""What a `MemoryStore` is made of: responses, owners, and claims on idempotency keys."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator

import anyio
import attrs

from responses_stream.stores.base import Item, Key, Recovery, StoredResponse


@attrs.define(eq=False)
class Bell:
    """Wakes all who wait for it. Nothing of a waiter is left once it has gone, so the next event loop can wait too."""

    _waiting: dict[anyio.Event, None] = attrs.field(factory=dict)

    def ring(self) -> None:
        for event in self._waiting:
            event.set()
        self._waiting.clear()

    async def wait(self, seconds: float) -> None:
        event = anyio.Event()
        self._waiting[event] = None
        try:
            with anyio.move_on_after(seconds):
                await event.wait()
        finally:
            self._waiting.pop(event, None)


@attrs.define(eq=False)
class Row:
    """A response, or what is left of one that was deleted and is still continued by others."""

    key: Key
    owner: Owner
    response: bytes
    status: str
    background: bool
    stream: bool
    inputs: tuple[Item, ...]
    frames: list[bytes]
    size: int
    last_number: int
    parent: Row | None
    conversation: OrderedDict[Row, None] | None
    conversation_id: str | None
    outputs: tuple[Item, ...] = ()
    ended: bool = False
    ended_at: float = math.inf
    cancelling: bool = False
    deleted: bool = False
    continuations: int = 0
    change: Bell | None = None
    recovery: Recovery = attrs.field(factory=Recovery)

    def wake(self) -> None:
        if self.change is not None:
            self.change.ring()

    def stored(self) -> StoredResponse:
        return StoredResponse(
            response=self.response,
            status=self.status,
            owner=self.owner.name,
            background=self.background,
            stream=self.stream,
            ended=self.ended,
            cancelling=self.cancelling and not self.ended,
            last_number=self.last_number,
        )


@attrs.define(eq=False)
class Owner:
    """Somebody who runs responses, what it has live, and the idempotency keys that it has claimed."""

    name: str
    expires: float
    live: dict[Key, Row] = attrs.field(factory=dict)
    untold: list[Key] = attrs.field(factory=list)
    claims: dict[tuple[str, str], None] = attrs.field(factory=dict)
    notice: Bell = attrs.field(factory=Bell)


@attrs.frozen
class Held:
    response_id: str
    digest: bytes
    owner: Owner


def newest_first_of(row: Row | None) -> Iterator[Item]:
    while row is not None:
        yield from reversed(row.outputs)
        yield from reversed(row.inputs)
        row = row.parent
