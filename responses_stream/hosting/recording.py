"""One response on its way into the store: created, its events as they come, and its end, each at the right moment.

What a mode keeps decides (`Mode.keeps`): nothing; the snapshots of the beginning and the end; or every event, durable
before any reader sees it (design section 6).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import anyio
import attrs

from responses_stream.hosting.owner import Home
from responses_stream.hosting.store_telemetry import StoreTelemetry, tell
from responses_stream.protocol.codec import encode
from responses_stream.protocol.ids import id_of
from responses_stream.protocol.response import ResponseObject
from responses_stream.stores.base import Ending, Item, Key, NewResponse, ResponseStore

STORE_SECONDS: Final = 30.0
"""How long the store may take over one write; longer counts as a failure of it."""


@attrs.define(eq=False)
class Record:
    """Where a run writes.

    Attributes:
        store: the store.
        key: of the response.
        owner: the name by which this server owns what it writes.
        with_events: whether the store is handed the events.
        background, stream: what the request said.
        previous_response_id, conversation_id: what it continues.
        inputs: returns its own inputs as they are stored; asked for when the response is created.
        recovery: the request, where the response is to be made again if this server dies.
        telemetry: who is told how long the store takes; None where nobody is.
        created: whether the store has the response.
    """

    store: ResponseStore
    key: Key
    owner: str
    with_events: bool
    background: bool
    stream: bool
    previous_response_id: str | None
    conversation_id: str | None
    inputs: Callable[[], Awaitable[Sequence[Item]]]
    recovery: bytes | None = None
    telemetry: StoreTelemetry | None = None
    created: bool = attrs.field(init=False, default=False)

    async def create(self, response: ResponseObject, data: bytes, frames: Sequence[bytes]) -> None:
        """Keep the response, whose JSON is *data*, as it was created, with its inputs.

        Raises:
            AlreadyStored: there is one of that id.
            TimeoutError: the store has taken too long.
            Exception: whatever the store has trouble with.
        """
        new = NewResponse(
            key=self.key,
            owner=self.owner,
            response=data,
            status=str(response.status),
            background=self.background,
            stream=self.stream,
            previous_response_id=self.previous_response_id,
            conversation_id=self.conversation_id,
            input_items=await self.inputs(),
            recovery=self.recovery,
        )
        self.recovery = None  # nobody asks for it again
        await self.store.create(new, frames if self.with_events else ())
        self.created = True

    async def append(self, first: int, frames: Sequence[bytes], ending: Ending | None = None) -> None:
        """Keep further events, and with *ending* the end.

        Raises:
            NotStored, Fenced: the response is not ours any more.
            TimeoutError: the store has taken too long.
            Exception: whatever the store has trouble with.
        """
        if not self.with_events:
            frames = ()
        telemetry = self.telemetry
        if telemetry is None:
            await self.store.append(self.key, self.owner, first, frames, ending)
            return
        began = time.monotonic()
        error: str | None = None
        try:
            await self.store.append(self.key, self.owner, first, frames, ending)
        except anyio.get_cancelled_exc_class():
            error = "TimeoutError"  # nothing else cancels a write, see `in_time`
            raise
        except BaseException as trouble:
            error = type(trouble).__name__
            raise
        finally:
            tell(telemetry.appended, time.monotonic() - began, error)


@contextmanager
def in_time(home: Home) -> Iterator[None]:
    """Give a write of the store its time, whoever is being cancelled meanwhile.

    Raises:
        TimeoutError: it was over.
    """
    limit = anyio.CancelScope(shield=True)
    home.writes.add(limit.cancel, anyio.current_time() + STORE_SECONDS)
    try:
        with limit:
            yield
    finally:
        home.writes.remove(limit.cancel)
    if limit.cancelled_caught:
        raise TimeoutError


def ending_of(response: ResponseObject, data: bytes | None = None) -> Ending:
    """Return the end of a response as a store keeps it; *data* is its JSON, where that is there already."""
    items = [Item(item_id, encode(item)) for item in response.output if (item_id := id_of(item)) is not None]
    return Ending(encode(response) if data is None else data, str(response.status), items)
