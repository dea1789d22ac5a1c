"""Many events as one value: `Events` is iterated with `for` and with `async for`, `AsyncEvents` with the latter only.

The events are made while they are iterated, once: their numbers are those of the moment. A handler may yield such a
value in place of a single event; `flatten` takes it apart.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import aclosing
from typing import TypeAlias, TypeGuard, cast, overload

from responses_stream.builders import values
from responses_stream.errors import InvalidType
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.events import ResponseStreamEvent


class Events:
    """Events that are made while they are iterated, once, either way."""

    __slots__ = ("_source",)

    def __init__(self, source: Iterable[ResponseStreamEvent]) -> None:
        self._source = iter(source)

    def __iter__(self) -> Iterator[ResponseStreamEvent]:
        return self._source

    def __aiter__(self) -> AsyncIterator[ResponseStreamEvent]:
        return _InTurn(self._source)

    def close(self) -> None:
        """Make no more events; what the source has open is released."""
        _release(self._source)


class _InTurn(AsyncIterator[ResponseStreamEvent]):
    """A synchronous source, asynchronously. No generator: one that is left early would have to be closed."""

    __slots__ = ("_source",)

    def __init__(self, source: Iterator[ResponseStreamEvent]) -> None:
        self._source = source

    async def __anext__(self) -> ResponseStreamEvent:
        try:
            return next(self._source)
        except StopIteration:
            raise StopAsyncIteration from None


class AsyncEvents:
    """Events that are made while they are iterated, once, with ``async for``: their source is asynchronous."""

    __slots__ = ("_source",)

    def __init__(self, source: AsyncIterable[ResponseStreamEvent]) -> None:
        self._source = aiter(source)

    def __aiter__(self) -> AsyncIterator[ResponseStreamEvent]:
        return self._source

    async def aclose(self) -> None:
        """Make no more events; what the source has open is released."""
        await release_async(self._source)


def _release(source: object) -> None:
    """Close a source that is left: a reader that leaves early has to reach the model's own stream."""
    if isinstance(source, Generator | Events):
        source.close()


async def release_async(source: object) -> None:
    """Close a source of either kind, as `_release` does."""
    if isinstance(source, AsyncGenerator | AsyncEvents):
        await source.aclose()
    else:
        _release(source)


TextSource: TypeAlias = str | Iterable[str] | AsyncIterable[str]
"""Text, or the chunks of it."""

SyncYield: TypeAlias = "ResponseStreamEvent | Events | Iterable[SyncYield]"
"""What a synchronous handler may yield."""

AsyncYield: TypeAlias = "ResponseStreamEvent | Events | AsyncEvents | AsyncIterable[AsyncYield] | Iterable[AsyncYield]"
"""What an asynchronous handler may yield."""


@overload
def flatten(source: Iterable[SyncYield]) -> Events: ...
@overload
def flatten(source: AsyncIterable[AsyncYield]) -> AsyncEvents: ...
def flatten(source: Iterable[SyncYield] | AsyncIterable[AsyncYield]) -> Events | AsyncEvents:
    """Take apart what a handler yields: single events come through, whole `Events` event by event, at any depth.

    Raises:
        InvalidType: while iterating, when something else was yielded, or an asynchronous source in a synchronous one.
    """
    if isinstance(source, Iterable) and not isinstance(source, str | bytes):
        return _Flat(source)
    if isinstance(source, AsyncIterable):
        return AsyncEvents(_flat_async(source))
    raise InvalidType("source", "an iterable of events", source)


class _Flat(Events):
    """A source taken apart: asynchronously where it can be iterated so, for what is nested in it may need that."""

    __slots__ = ("_nested",)

    def __init__(self, source: Iterable[object]) -> None:
        super().__init__(_flat(source))
        self._nested = source

    def __aiter__(self) -> AsyncIterator[ResponseStreamEvent]:
        return _events_of(self._nested)

    def close(self) -> None:
        super().close()
        _release(self._nested)


def _flat(source: Iterable[object]) -> Iterator[ResponseStreamEvent]:
    try:
        for yielded in source:
            if isinstance(yielded, Event | UnknownEvent):
                yield cast("ResponseStreamEvent", yielded)
            elif _is_nested(yielded):
                yield from _flat(yielded)
            elif isinstance(yielded, AsyncIterable):
                raise InvalidType("yielded", "events with a synchronous source in a synchronous handler", yielded)
            else:
                raise InvalidType("yielded", "an event or Events", yielded)
    finally:
        _release(source)


async def _flat_async(source: AsyncIterable[object]) -> AsyncGenerator[ResponseStreamEvent, None]:
    try:
        async for yielded in source:
            async with aclosing(_events_of(yielded)) as events:
                async for event in events:
                    yield event
    finally:
        await release_async(source)


async def _events_of(yielded: object) -> AsyncGenerator[ResponseStreamEvent, None]:
    if isinstance(yielded, Event | UnknownEvent):
        yield cast("ResponseStreamEvent", yielded)
    elif isinstance(yielded, AsyncIterable):
        async with aclosing(_flat_async(yielded)) as inner:
            async for event in inner:
                yield event
    elif _is_nested(yielded):
        try:
            for part in yielded:
                async with aclosing(_events_of(part)) as events:
                    async for event in events:
                        yield event
        finally:
            _release(yielded)
    else:
        raise InvalidType("yielded", "an event or Events", yielded)


def _is_nested(yielded: object) -> TypeGuard[Iterable[object]]:
    return isinstance(yielded, Iterable) and not isinstance(yielded, str | bytes | Mapping)


def source_of(argument: str, source: TextSource) -> TextSource:
    """Return a source of text; a plain string is checked at once, chunks are when they come.

    Raises:
        InvalidType: it is no source of text.
        InvalidValue: it is a string that cannot be sent.
    """
    if isinstance(source, str):
        return values.text(argument, source)
    if isinstance(source, bytes | Mapping) or not isinstance(source, Iterable | AsyncIterable):
        raise InvalidType(argument, "a string, or a sync or async iterable of strings", source)
    return source


@overload
def streamed(
    source: str | Iterable[str],
    before: Callable[[], Iterable[ResponseStreamEvent]],
    delta: Callable[[str], ResponseStreamEvent],
    after: Callable[[], Iterable[ResponseStreamEvent]],
) -> Events: ...
@overload
def streamed(
    source: AsyncIterable[str],
    before: Callable[[], Iterable[ResponseStreamEvent]],
    delta: Callable[[str], ResponseStreamEvent],
    after: Callable[[], Iterable[ResponseStreamEvent]],
) -> AsyncEvents: ...
@overload
def streamed(
    source: TextSource,
    before: Callable[[], Iterable[ResponseStreamEvent]],
    delta: Callable[[str], ResponseStreamEvent],
    after: Callable[[], Iterable[ResponseStreamEvent]],
) -> Events | AsyncEvents: ...
def streamed(
    source: TextSource,
    before: Callable[[], Iterable[ResponseStreamEvent]],
    delta: Callable[[str], ResponseStreamEvent],
    after: Callable[[], Iterable[ResponseStreamEvent]],
) -> Events | AsyncEvents:
    """Return the events of something whose text comes from *source*, a delta for each chunk that is not empty (R107).

    Raises:
        InvalidType: *source* is neither text nor an iterable of it.
    """
    if isinstance(source, str):
        return Events(_streamed([source], before, delta, after))
    if isinstance(source, Iterable):
        return Events(_streamed(source, before, delta, after))
    if isinstance(source, AsyncIterable):
        return AsyncEvents(_streamed_async(source, before, delta, after))
    raise InvalidType("source", "a string, or a sync or async iterable of strings", source)


def _streamed(
    source: Iterable[str],
    before: Callable[[], Iterable[ResponseStreamEvent]],
    delta: Callable[[str], ResponseStreamEvent],
    after: Callable[[], Iterable[ResponseStreamEvent]],
) -> Iterator[ResponseStreamEvent]:
    try:
        yield from before()
        for chunk in source:
            if chunk != "":
                yield delta(chunk)
        yield from after()
    finally:
        _release(source)


async def _streamed_async(
    source: AsyncIterable[str],
    before: Callable[[], Iterable[ResponseStreamEvent]],
    delta: Callable[[str], ResponseStreamEvent],
    after: Callable[[], Iterable[ResponseStreamEvent]],
) -> AsyncGenerator[ResponseStreamEvent, None]:
    try:
        for event in before():
            yield event
        async for chunk in source:
            if chunk != "":
                yield delta(chunk)
        for event in after():
            yield event
    finally:
        await release_async(source)
