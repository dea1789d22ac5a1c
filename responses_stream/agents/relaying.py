"""`relay`: the answer of another Responses server, said again as ours, while it comes.

Alone it passes on the whole stream, under the id of our response and new ids for its items. With a stream of ours it
puts the upstream's items into that, beside items of our own. `relay_response` does the latter with a response that came
in one piece. Numbers are always our own (A9); what else an upstream gets wrong is for `repair` to mend, and without it
for whoever checks the order to refuse.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, overload

import anyio

from responses_stream import lifecycle
from responses_stream.agents.relaying_ids import Adoption
from responses_stream.agents.relaying_items import ItemRelay, told_end
from responses_stream.agents.relaying_upstream import (
    Account,
    Reader,
    Upstream,
    UpstreamFailed,
    broken_by,
)
from responses_stream.agents.relaying_whole import WholeRelay
from responses_stream.agents.releasing import held, held_async, release, release_async
from responses_stream.builders import values
from responses_stream.builders.events import AsyncEvents, Events
from responses_stream.builders.stream import ResponseEventStream
from responses_stream.errors import InvalidType, InvalidValue, ResponsesStreamError
from responses_stream.protocol.codec import decode_as
from responses_stream.protocol.dumping import Dumps, dumped
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.ids import id_of, new_response_id
from responses_stream.protocol.response import ResponseObject, ResponseUsage
from responses_stream.sse import Chunk

if TYPE_CHECKING:
    from responses_stream.agents.repairing import AsyncRepaired, Repaired
    from responses_stream.agents.repairing_report import RepairReport

__all__ = ["AsyncRelayed", "ItemIds", "Relayed", "Upstream", "UpstreamFailed", "relay", "relay_response"]

ItemIds: TypeAlias = Literal["own", "pinned"]
"""Whether the items of an upstream get ids of ours, where it need not know them again, or keep theirs."""

_Relay: TypeAlias = WholeRelay | ItemRelay

# How long an upstream has after its `error` event to say how it ends; many say nothing, and keep the connection open.
_LAST_WORDS_SECONDS: Final = 5.0

_ENDED: Final = frozenset({"completed", "incomplete", "failed", "cancelled"})

_SOURCES: Final = (
    "an iterable of events, dicts, objects of the openai package or SSE bytes, such as client.responses.create("
    "stream=True) of the openai package or response.aiter_bytes() of httpx"
)


class _Accounted:
    """What relayed events tell of their upstream; as much as was read of it so far."""

    __slots__ = ()

    _account: Account
    _repaired: Repaired | AsyncRepaired | None

    @property
    def upstream(self) -> ResponseObject | None:
        """The upstream's response under the upstream's ids, as the last event has it that carried one."""
        return self._account.response

    @property
    def status(self) -> str | None:
        """How the upstream stands; None before it has told, ``failed`` also after its `error` event."""
        return self._account.status

    @property
    def usage(self) -> ResponseUsage | None:
        """The tokens that the upstream has counted, in the form that `emit_completed` takes (R057, B1)."""
        return self._account.usage

    @property
    def report(self) -> RepairReport | None:
        """What was repaired so far; None without ``repair``."""
        return None if self._repaired is None else self._repaired.report


class Relayed(_Accounted, Events):
    """The relayed events of a synchronous upstream; made while they are iterated, once, either way."""

    __slots__ = ("_account", "_repaired", "_upstream")

    def __init__(
        self,
        events: Iterable[ResponseStreamEvent],
        account: Account,
        upstream: object = None,
        repaired: Repaired | None = None,
    ) -> None:
        super().__init__(events)
        self._account, self._upstream, self._repaired = account, upstream, repaired

    def close(self) -> None:
        """Make no more events, and let go of the upstream, also where nothing was read of it."""
        super().close()
        release(self._upstream)


class AsyncRelayed(_Accounted, AsyncEvents):
    """The relayed events of an asynchronous upstream; made while they are iterated, once, with ``async for``."""

    __slots__ = ("_account", "_repaired", "_upstream")

    def __init__(
        self,
        events: AsyncIterable[ResponseStreamEvent],
        account: Account,
        upstream: object,
        repaired: AsyncRepaired | None = None,
    ) -> None:
        super().__init__(events)
        self._account, self._upstream, self._repaired = account, upstream, repaired

    async def aclose(self) -> None:
        """Make no more events, and let go of the upstream, also where nothing was read of it."""
        await super().aclose()
        await release_async(self._upstream)


@overload
def relay(
    upstream: Chunk | Iterable[Upstream],
    *,
    response_id: str | None = None,
    stream: ResponseEventStream | None = None,
    ids: ItemIds = "own",
    repair: bool = False,
) -> Relayed: ...
@overload
def relay(
    upstream: AsyncIterable[Upstream],
    *,
    response_id: str | None = None,
    stream: ResponseEventStream | None = None,
    ids: ItemIds = "own",
    repair: bool = False,
) -> AsyncRelayed: ...
def relay(
    upstream: Chunk | Iterable[Upstream] | AsyncIterable[Upstream],
    *,
    response_id: str | None = None,
    stream: ResponseEventStream | None = None,
    ids: ItemIds = "own",
    repair: bool = False,
) -> Relayed | AsyncRelayed:
    """Say the stream of another Responses server again as ours, event by event.

    Without *stream* all of it comes through, the response with its settings, instructions and tools too. With *stream*
    only the items do (H19.10): into a stream that has said nothing yet the relay says created, in_progress and the end
    as well, with our echo of our request; in one that the handler has created, the handler ends it.

    The upstream is read while the events are taken, up to its terminal event, and let go when it is over, when its
    reader leaves, and when something is raised.

    Args:
        upstream: what another server sends, synchronous or not: events in any form, or bytes of SSE in any cuts.
        response_id: the id of our response; None makes a new one, or keeps the upstream's where *ids* are pinned.
        stream: the stream that the items go into.
        ids: ``own`` gives items new ids, the same wherever they are named, but for those that the upstream has to get
            back from the client: of reasoning, compaction and requests for approval, and each `call_id`. Of these only
            one that another upstream has used in *stream* is changed. ``pinned`` keeps all.
        repair: let `repaired` go over the upstream first; `report` tells what it did. Where it adds the end that the
            upstream owes, that comes instead of `UpstreamFailed`, unless the handler leads.

    Raises:
        InvalidType: *upstream* is not iterable.
        InvalidValue: an argument does not fit, or *response_id* is not that of *stream* (R042).
        UpstreamFailed: while iterating, when the upstream raises, or stops without a terminal event (R029), or when it
            fails and the handler has created the response. What was open stays open; `emit_failed` ends it. An
            asynchronous upstream has stopped when five seconds after an `error` event nothing has come.
        OutOfOrder: while iterating, when *stream* cannot take an item, or the upstream breaks the order inside it.
        DecodeError: while iterating, when something in the upstream is no event.
    """
    _check_arguments(response_id, stream, ids)
    account = Account()
    pinned = ids == "pinned"
    state: _Relay
    if stream is not None:
        state = ItemRelay(account, stream, pinned)
    else:
        state = WholeRelay(account, response_id or (None if pinned else new_response_id()), pinned)
    if isinstance(upstream, bytes | bytearray | memoryview | str):
        upstream = (upstream,)
    if isinstance(upstream, Mapping | Dumps):
        raise InvalidType("upstream", f"{_SOURCES}; relay_response() takes a response that came in one piece", upstream)
    if isinstance(upstream, Iterable):
        pieces = held(upstream)
        mended = _repaired(_watched(pieces, account)) if repair else None
        if mended is not None:
            account.report = mended.report
        return Relayed(_told(state, pieces if mended is None else mended), account, upstream, mended)
    if isinstance(upstream, AsyncIterable):
        coming = held_async(upstream)
        healed = _repaired_async(_watched_async(coming, account)) if repair else None
        if healed is not None:
            account.report = healed.report
        return AsyncRelayed(_told_async(state, coming if healed is None else healed), account, upstream, healed)
    raise InvalidType("upstream", _SOURCES, upstream)


def relay_response(
    response: ResponseObject | Mapping[str, Any] | Dumps, stream: ResponseEventStream, *, ids: ItemIds = "own"
) -> Relayed:
    """Say the items of a response that another server has given in one piece, each by all of its events (H19.11).

    As for `relay`, a stream that has said nothing yet is created and ended too, and in one that the handler has created
    the handler ends it. Of a response that failed, items that are not done are left out (decision 10).

    Args:
        response: as `client.responses.create` of the `openai` package returns it, as a dict, or typed.
        stream: the stream that the items go into.
        ids: as for `relay`.

    Raises:
        InvalidType: *response* is nothing that can be a response.
        DecodeError: it does not fit.
        InvalidValue: it has not ended, or *ids* is another; while iterating, when an item cannot be said.
        UpstreamFailed: while iterating, behind the items, when it has failed and the handler has created our response.
        OutOfOrder: while iterating, when *stream* cannot take an item.
    """
    _check_arguments(None, stream, ids)
    if isinstance(response, ResponseObject):
        taken = response
    else:
        plain = dumped(response) if isinstance(response, Dumps) else response
        if not isinstance(plain, Mapping):
            raise InvalidType("response", "a response, a dict, or a Response of the openai package", response)
        taken = decode_as(dict(plain), ResponseObject)
    status = taken.status or "completed"
    if status not in _ENDED:
        raise InvalidValue("response.status", f"is {status!r}; only a response that has ended can be relayed so")
    account = Account.of(taken, status)
    return Relayed(_told_whole(account, taken, stream, ids == "pinned"), account)


def _check_arguments(response_id: str | None, stream: ResponseEventStream | None, ids: ItemIds) -> None:
    values.choice("ids", ids, "own", "pinned")
    if response_id is not None:
        values.name("response_id", response_id)
    if stream is not None and not isinstance(stream, ResponseEventStream):
        raise InvalidType("stream", "a ResponseEventStream", stream)
    if stream is not None and response_id not in (None, stream.response_id):
        raise InvalidValue(
            "response_id", f"is {response_id!r}, but the stream is that of {stream.response_id!r} (R042)"
        )


def _repaired(upstream: Iterable[Upstream]) -> Repaired:
    from responses_stream.agents.repairing import repaired

    return repaired(upstream)


def _repaired_async(upstream: AsyncIterable[Upstream]) -> AsyncRepaired:
    from responses_stream.agents.repairing import repaired

    return repaired(upstream)


def _watched(upstream: Iterable[Upstream], account: Account) -> Generator[Upstream, None, None]:
    """Yield what *upstream* does, and keep what it raises, which a repair does not raise again."""
    try:
        yield from upstream
    except Exception as error:
        account.raised = error
        raise
    finally:
        release(upstream)


async def _watched_async(upstream: AsyncIterable[Upstream], account: Account) -> AsyncGenerator[Upstream, None]:
    try:
        async for piece in upstream:
            yield piece
    except Exception as error:
        account.raised = error
        raise
    finally:
        await release_async(upstream)


def _told(state: _Relay, pieces: Iterable[Upstream]) -> Generator[ResponseStreamEvent, None, None]:
    reader, account = Reader(), state.account
    try:
        state.begin()
        iterator = iter(pieces)
        while True:
            try:
                piece = next(iterator)
            except StopIteration:
                break
            except ResponsesStreamError:
                raise
            except Exception as error:
                raise broken_by(error) from error
            for event in reader.events(piece):
                said = state.take(event)
                if said is not None:
                    yield said
                if account.ended:
                    return
            if reader.done:
                break
        account.unread, account.head = reader.unread, reader.head
        state.finish()
    finally:
        release(pieces)


async def _told_async(state: _Relay, pieces: AsyncIterable[Upstream]) -> AsyncGenerator[ResponseStreamEvent, None]:
    reader, account = Reader(), state.account
    try:
        state.begin()
        iterator = aiter(pieces)
        while True:
            try:
                piece = await (anext(iterator) if account.error is None else _last_words(iterator, account))
            except StopAsyncIteration:
                break
            except ResponsesStreamError:
                raise
            except Exception as error:
                raise broken_by(error) from error
            for event in reader.events(piece):
                said = state.take(event)
                if said is not None:
                    yield said
                if account.ended:
                    return
            if reader.done:
                break
        account.unread, account.head = reader.unread, reader.head
        state.finish()
    finally:
        await release_async(pieces)


async def _last_words(upstream: AsyncIterator[Upstream], account: Account) -> Upstream:
    """Return the next piece behind an `error` event.

    Raises:
        UpstreamFailed: it does not come.
    """
    with anyio.move_on_after(_LAST_WORDS_SECONDS):
        return await anext(upstream)
    raise account.failure()


def _told_whole(
    account: Account, response: ResponseObject, stream: ResponseEventStream, pinned: bool
) -> Generator[ResponseStreamEvent, None, None]:
    leads = stream._core.state == lifecycle.BEFORE
    failed = account.status in ("failed", "cancelled")
    if leads:
        yield stream.emit_created()
        yield stream.emit_in_progress()
    ids = Adoption(stream._core, pinned)
    for item in response.output:
        if failed and getattr(item, "status", None) == "in_progress":
            continue
        theirs, item_type = id_of(item), item.type if isinstance(item.type, str) else ""
        item_id = ids.asked(item) or stream._core.new_item_id(item_type)
        if theirs is not None:
            ids.items[theirs] = item_id
        ids.call_id(item)
        yield from stream.output_item(ids.adopted(item, item_id))
    if leads:
        yield told_end(stream, account)
    elif failed:
        raise account.failure()
