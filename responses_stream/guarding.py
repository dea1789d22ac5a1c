"""`guarded` and `encode_stream`: events that always come to an end, for people who send them over a route of their own.

What a source yields is taken apart, numbered and checked, as the server does it. A source that raises, breaks the order
or stops half-way does not cut the stream: an `error` event and `response.failed` follow what it has said (decision 5).
Whoever reads no more closes what he was given, and thereby the source. There are no keep-alives here: they need a
clock, and are the server's.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Iterator
from typing import Final, TypeVar, overload

import attrs
import msgspec

from responses_stream import lifecycle
from responses_stream.builders.events import AsyncEvents, AsyncYield, Events, SyncYield, flatten
from responses_stream.builders.stream import SERVER_ERROR, SERVER_ERROR_MESSAGE
from responses_stream.errors import InvalidType, OutOfOrder
from responses_stream.order import OrderGuard
from responses_stream.protocol.events import (
    LifecycleEvent,
    ResponseErrorEvent,
    ResponseFailedEvent,
    ResponseOutputItemDoneEvent,
    ResponseStreamEvent,
)
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.response import ErrorPayload, ResponseError, ResponseObject
from responses_stream.sse import DONE, encode_event

__all__ = ["encode_stream", "error_event", "failed_event", "guarded"]

_log: Final = logging.getLogger("responses_stream")

T = TypeVar("T")


@overload
def guarded(source: Iterable[SyncYield]) -> Events: ...
@overload
def guarded(source: AsyncIterable[AsyncYield]) -> AsyncEvents: ...
def guarded(source: Iterable[SyncYield] | AsyncIterable[AsyncYield]) -> Events | AsyncEvents:
    """Return what *source* yields as single events, numbered from 0, that end with exactly one terminal event.

    Where *source* fails, an `error` event and `response.failed` end them: with the items that were done, and without
    the reason, which the log ``responses_stream`` has. Where nothing was created, a lone `error` does (H3.10). An event
    that the order does not allow is such a failure; one behind the terminal event is dropped and logged (decision 8).

    Args:
        source: as for `flatten`. What can be iterated both ways, like a `TextResponse`, is iterated with ``for``;
            ``aiter(source)`` has it the other way.

    Raises:
        InvalidType: *source* is not iterable.
    """
    if isinstance(source, Iterable) and not isinstance(source, str | bytes):
        return Events(_kept(source, _as_it_is))
    if isinstance(source, AsyncIterable):
        return AsyncEvents(_kept_async(source, _as_it_is))
    raise InvalidType("source", "an iterable of events", source)


@overload
def encode_stream(source: Iterable[SyncYield], *, done: bool = True) -> Generator[bytes, None, None]: ...
@overload
def encode_stream(source: AsyncIterable[AsyncYield], *, done: bool = True) -> AsyncGenerator[bytes, None]: ...
def encode_stream(
    source: Iterable[SyncYield] | AsyncIterable[AsyncYield], *, done: bool = True
) -> Generator[bytes, None, None] | AsyncGenerator[bytes, None]:
    """Return the body of an event stream: a frame for each event of ``guarded(source)``, and ``[DONE]``.

    An event that cannot be written is a failure of *source* as well. `SSE_HEADERS` go with it. It is a generator, of
    the kind of *source*: what serves it closes it when the client has gone, and the ``finally`` blocks of *source* run.

    Args:
        source: as for `guarded`.
        done: whether ``[DONE]`` ends the body (decision 2).

    Raises:
        InvalidType: *source* is not iterable.
    """
    if isinstance(source, Iterable) and not isinstance(source, str | bytes):
        return _kept(source, encode_event, *[DONE] * done)
    if isinstance(source, AsyncIterable):
        return _kept_async(source, encode_event, *[DONE] * done)
    raise InvalidType("source", "an iterable of events", source)


def error_event(number: int, code: str, message: str, param: str | None = None) -> ResponseErrorEvent:
    """Return the event that tells an error, in both of its shapes (decision 5)."""
    payload = ErrorPayload(message=message, type=code, code=code, param=param)
    return ResponseErrorEvent(sequence_number=number, code=code, message=message, param=param, error=payload)


def failed_event(
    said: ResponseObject, number: int, code: str, message: str, output: list[OutputItem]
) -> ResponseFailedEvent:
    """Return the event that ends a response which was told last as *said*; *output* is what stays (decision 10)."""
    response = msgspec.structs.replace(
        said,
        status="failed",
        error=ResponseError(code=code, message=message),
        output=output,
        incomplete_details=None,
        completed_at=None,
    )
    return ResponseFailedEvent(sequence_number=number, response=response)


@attrs.define(eq=False)
class _Guard:
    """What a source has said so far, as far as its end depends on it."""

    _number: int = 0
    _order: OrderGuard = attrs.field(factory=OrderGuard)
    _said: ResponseObject | None = None
    _told: ResponseErrorEvent | None = None
    _done: dict[int, OutputItem] = attrs.field(factory=dict)
    _dropped: int = 0
    _blamed: bool = False

    @property
    def finished(self) -> bool:
        return self._order.finished

    def commit(self, event: ResponseStreamEvent, write: Callable[[ResponseStreamEvent], T]) -> T | None:
        """Take the next event, and return it as it is written; None where the response has ended before it.

        Raises:
            OutOfOrder: it may not come now.
            InvalidValue, TypeError: it cannot be written.
        """
        if self.finished:
            self._dropped += 1
            return None
        if event.sequence_number != self._number:
            event = msgspec.structs.replace(event, sequence_number=self._number)
        # Written before it is checked: the guard must not step on by what then cannot be sent.
        written = write(event)
        if self._number == 0 and not isinstance(event, LifecycleEvent | ResponseErrorEvent):
            raise OutOfOrder(str(event.type), lifecycle.BEFORE, (lifecycle.CREATED, lifecycle.ERROR), "R030")
        self._order.check(event)
        self._number += 1
        if isinstance(event, LifecycleEvent):
            self._said = event.response
        elif isinstance(event, ResponseOutputItemDoneEvent):
            self._done[event.output_index] = event.item
        elif isinstance(event, ResponseErrorEvent):
            self._told = event
        return written

    def blame(self, error: Exception) -> None:
        """Tell the operator what the source raised."""
        self._blamed = True
        more = {"event": error.called, "rule": error.reason} if isinstance(error, OutOfOrder) else None
        what = "broke the order of events" if isinstance(error, OutOfOrder) else "raised"
        _log.error("the source of %s %s", self._name, what, exc_info=error, extra=more)

    def owed(self) -> Iterator[ResponseStreamEvent]:
        """Return the events that the source has left out, once it says nothing more."""
        if self._dropped:
            _log.warning(
                "the source of %s said %d events after its end; they were dropped (R036, R038)",
                self._name,
                self._dropped,
                extra={"rule": "R036, R038"},
            )
        if self.finished:
            return
        if not self._blamed:
            _log.error("the source of %s ended without a terminal event", self._name)
        code, message = SERVER_ERROR, SERVER_ERROR_MESSAGE
        if self._told is not None:  # it has told its reason, and did not go on to say that the response failed
            code, message = self._told.code or code, self._told.message or message
        else:
            yield error_event(self._number, code, message)
            self._number += 1
        if self._said is not None:
            output = [self._done[index] for index in sorted(self._done)]
            yield failed_event(self._said, self._number, code, message, output)

    @property
    def _name(self) -> str:
        return self._said.id if self._said is not None else "a response that was not created"


def _as_it_is(event: ResponseStreamEvent) -> ResponseStreamEvent:
    return event


def _kept(source: Iterable[SyncYield], write: Callable[[ResponseStreamEvent], T], *last: T) -> Generator[T, None, None]:
    guard, events = _Guard(), flatten(source)
    try:
        try:
            for event in events:
                if (written := guard.commit(event, write)) is not None:
                    yield written
        except Exception as error:
            guard.blame(error)
        yield from map(write, guard.owed())
        yield from last
    finally:
        events.close()


async def _kept_async(
    source: AsyncIterable[AsyncYield], write: Callable[[ResponseStreamEvent], T], *last: T
) -> AsyncGenerator[T, None]:
    guard, events = _Guard(), flatten(source)
    try:
        try:
            async for event in events:
                if (written := guard.commit(event, write)) is not None:
                    yield written
        except Exception as error:
            guard.blame(error)
        for owed in guard.owed():
            yield write(owed)
        for written in last:
            yield written
    finally:
        await events.aclose()
