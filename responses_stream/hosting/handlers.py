"""Which callables are handlers, and how what they say gets to the run.

An async handler runs in the event loop. A sync one runs in one worker thread for its whole life and hands over event
by event; when the client has gone, it is told so at its next event, by `GeneratorExit` at its `yield`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from typing import Any, Final, TypeAlias, TypeGuard, TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
import attrs

from responses_stream.builders.events import AsyncYield, SyncYield
from responses_stream.builders.text_response import TextResponse
from responses_stream.errors import ResponsesStreamError
from responses_stream.hosting.cancellation import CancellationSignal
from responses_stream.hosting.context import ResponseContext, SyncResponseContext
from responses_stream.hosting.foreign import event_of
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.request import CreateResponse

HandlerResult: TypeAlias = (
    AsyncIterable[AsyncYield] | Iterable[SyncYield] | Awaitable[AsyncIterable[AsyncYield] | Iterable[AsyncYield]]
)
"""What calling a handler gives: its events, or in time something that has them."""

HandlerFunction: TypeAlias = (
    Callable[[CreateResponse, ResponseContext], HandlerResult]
    | Callable[[CreateResponse, ResponseContext, CancellationSignal], HandlerResult]
    | Callable[[CreateResponse, SyncResponseContext], HandlerResult]
    | Callable[[CreateResponse, SyncResponseContext, CancellationSignal], HandlerResult]
)
"""An async or sync generator, a coroutine, or a function that returns a `TextResponse`, `Events` or an iterable."""

Say: TypeAlias = Callable[[Event | UnknownEvent], Awaitable[object] | None]
"""Takes one event of a handler; raises where it is refused, and returns what has to be waited for before the next."""


class Stopped(BaseException):
    """Raised where a handler says something, when its run is over; no `except Exception` of a handler holds it up."""


_FORMS: Final = "(request, context) or (request, context, cancellation_signal)"
T = TypeVar("T")
R = TypeVar("R")


@attrs.frozen
class Handler:
    """A callable that was found to be a handler.

    Attributes:
        name: what the log calls it.
        cancelled_at_once: whether it is cancelled as soon as a client does not want it any more. A function that has no
            use for the grace of H4.11, because it does not look at its signal, says so by an attribute of that name.
    """

    name: str
    cancelled_at_once: bool
    _function: Callable[..., object]
    _takes_signal: bool
    _is_async: bool

    @classmethod
    def of(cls, function: object) -> Handler:
        """Return *function* as a handler.

        Raises:
            HandlerForm: it is not callable, or does not take ``(request, context)`` or ``(request, context,
                cancellation_signal)`` by position (H17.5).
        """
        if not callable(function) or isinstance(function, type):
            raise HandlerForm(repr(function))
        name = getattr(function, "__qualname__", type(function).__qualname__)
        parameters = inspect.signature(function).parameters.values()
        by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        if len(parameters) not in (2, 3) or any(parameter.kind not in by_position for parameter in parameters):
            raise HandlerForm(f"{name}{inspect.signature(function)}")
        is_async = any(
            inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in _code_of(function)
        )
        at_once = getattr(function, "cancelled_at_once", False) is True
        return cls(name, at_once, function, len(parameters) == 3, is_async)

    def is_of(self, function: object) -> bool:
        """Tell whether it is *function* that runs."""
        return self._function is function

    async def deliver(
        self,
        request: CreateResponse,
        context: ResponseContext,
        signal: CancellationSignal,
        say: Say,
        threads: anyio.CapacityLimiter,
    ) -> None:
        """Run the handler to its end, and *say* each of its events.

        A sync handler is left behind in its thread when the call is cancelled: it is stopped where it says something.

        Raises:
            InvalidType, InvalidValue, DecodeError: it returned or yielded something that is no event.
            Exception: whatever the handler or *say* raised.
        """
        said = _Said(context.response_id, say)
        seen = context if self._is_async else context.blocking()
        arguments = (request, seen, signal) if self._takes_signal else (request, seen)
        if self._is_async:
            source: object = self._function(*arguments)
        else:
            left = await _thread(threads, said.in_thread, functools.partial(self._function, *arguments))
            if not left:
                return
            [source] = left
        del arguments, seen  # for as long as the handler runs, it alone holds what it was given
        if inspect.isawaitable(source):
            source = await source
        if isinstance(source, AsyncIterable | Sequence) or not _is_nested(source):
            await said.in_loop(source)
        else:
            await _thread(threads, said.hand_over, source)


class HandlerForm(ResponsesStreamError, TypeError):
    """Something that was registered and is no handler (H17.5).

    Attributes:
        got: what it is, with its parameters.
    """

    def __init__(self, got: str) -> None:
        self.got = got
        super().__init__(f"a handler is a function that takes {_FORMS} by position, got {got}")


def _code_of(function: object) -> tuple[object, object]:
    """An object that can be called is as async as its `__call__`."""
    return function, getattr(function, "__call__", None)  # noqa: B004  # wanted for itself, not as a test


def _needs_loop(source: object) -> bool:
    """Tell whether only the event loop can iterate *source*."""
    if isinstance(source, TextResponse):
        return source.is_async
    return inspect.isawaitable(source) or (isinstance(source, AsyncIterable) and not isinstance(source, Iterable))


_EVENTS: Final[set[type[Event]]] = set()
"""The types of events that were said; there are as many as the protocol has."""


@attrs.frozen
class _Said:
    """What one handler says, taken apart into events. Not by `flatten`: who stops here closes every open generator."""

    response_id: str
    say: Say

    def in_thread(self, call: Callable[[], object]) -> list[object]:
        """Call a sync handler and hand over what it says; what only the event loop can iterate is returned, in a list.

        In a list, because trio takes a thread that returns a coroutine for a mistake.
        """
        source = call()
        if _needs_loop(source):
            return [source]
        self.hand_over(source)
        return []

    def hand_over(self, source: object) -> None:
        """Say all of *source* from a worker thread."""
        if _is_nested(source):
            parts = iter(source)
            try:
                for part in parts:
                    self.hand_over(part)
            finally:
                if isinstance(parts, Generator):
                    parts.close()
        else:
            event = self.event(source)
            anyio.from_thread.check_cancelled()
            anyio.from_thread.run(self.say_all, event)

    async def say_all(self, event: Event | UnknownEvent) -> None:
        """Say an event, and wait until the next one may come."""
        if (wait := self.say(event)) is not None:
            await wait

    async def in_loop(self, source: object) -> None:
        """Say all of *source* from the event loop."""
        if isinstance(source, TextResponse) and source.is_whole:
            for event in source:
                if (wait := self.say(event)) is not None:
                    await wait
        elif isinstance(source, AsyncIterable):
            later: AsyncIterator[Any] = aiter(source)
            try:
                async for part in later:
                    # Every token takes this way: no coroutine but where there is something to wait for, and once for
                    # each type `isinstance`, which is slow with the metaclass of msgspec.
                    if type(part) in _EVENTS or isinstance(part, Event):
                        _EVENTS.add(type(part))
                        if (wait := self.say(part)) is not None:
                            await wait
                    else:
                        await self.in_loop(part)
                    del part  # a handler that falls silent would hold its last event here
            finally:
                if isinstance(later, AsyncGenerator):
                    await later.aclose()
        elif _is_nested(source):
            for part in source:
                await self.in_loop(part)
        else:
            await self.say_all(self.event(source))

    def event(self, said: object) -> Event | UnknownEvent:
        """Return something that was said as an event; where that is plain, the id of the response may be left out."""
        if isinstance(said, Mapping):
            response = said.get("response")
            if isinstance(response, Mapping) and "id" not in response:  # H3.9
                said = {**said, "response": {"id": self.response_id, **response}}
        return event_of(said)


async def _thread(threads: anyio.CapacityLimiter, call: Callable[[T], R], argument: T) -> R:
    return await anyio.to_thread.run_sync(call, argument, limiter=threads, abandon_on_cancel=True)


def _is_nested(source: object) -> TypeGuard[Iterable[object]]:
    # Objects of pydantic are iterable, by their members.
    return isinstance(source, Iterable) and not (
        isinstance(source, str | bytes | Mapping | Event | UnknownEvent) or hasattr(source, "model_dump")
    )
