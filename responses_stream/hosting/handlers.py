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
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from typing import Final, TypeAlias, TypeGuard

import anyio
import anyio.from_thread
import anyio.to_thread
import attrs

from responses_stream.builders.events import AsyncYield, SyncYield
from responses_stream.builders.text_response import TextResponse
from responses_stream.errors import InvalidType, ResponsesStreamError
from responses_stream.hosting.cancellation import CancellationSignal
from responses_stream.hosting.context import ResponseContext
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.request import CreateResponse

HandlerResult: TypeAlias = (
    AsyncIterable[AsyncYield] | Iterable[SyncYield] | Awaitable[AsyncIterable[AsyncYield] | Iterable[AsyncYield]]
)
"""What calling a handler gives: its events, or in time something that has them."""

HandlerFunction: TypeAlias = (
    Callable[[CreateResponse, ResponseContext], HandlerResult]
    | Callable[[CreateResponse, ResponseContext, CancellationSignal], HandlerResult]
)
"""An async or sync generator, a coroutine, or a function that returns a `TextResponse`, `Events` or an iterable."""

Say: TypeAlias = Callable[[Event | UnknownEvent], Coroutine[object, object, None]]
"""Takes one event of a handler; raises where it is refused, waits where the client is behind."""

_FORMS: Final = "(request, context) or (request, context, cancellation_signal)"
_SAID: Final = "events, a TextResponse, Events, or an iterable of events"


@attrs.frozen
class Handler:
    """A callable that was found to be a handler.

    Attributes:
        name: what the log calls it.
    """

    name: str
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
        return cls(name, function, len(parameters) == 3, is_async)

    async def deliver(
        self,
        request: CreateResponse,
        context: ResponseContext,
        signal: CancellationSignal,
        say: Say,
        threads: anyio.CapacityLimiter,
    ) -> None:
        """Run the handler to its end, and *say* each of its events.

        Raises:
            InvalidType: it returned or yielded something that is no event.
            Exception: whatever the handler or *say* raised.
        """
        arguments = (request, context, signal) if self._takes_signal else (request, context)
        call = functools.partial(self._function, *arguments)
        left = [call()] if self._is_async else await anyio.to_thread.run_sync(_in_thread, call, say, limiter=threads)
        for source in left:
            if inspect.isawaitable(source):
                source = await source
            if isinstance(source, AsyncIterable | Sequence):
                await _in_loop(source, say)
            else:
                await anyio.to_thread.run_sync(_hand_over, source, say, limiter=threads)


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


def _in_thread(call: Callable[[], object], say: Say) -> list[object]:
    """Call a sync handler and hand over what it says; what only the event loop can iterate is returned, in a list.

    In a list, because trio takes a thread that returns a coroutine for a mistake.
    """
    source = call()
    if _needs_loop(source):
        return [source]
    _hand_over(source, say)
    return []


def _hand_over(source: object, say: Say) -> None:
    """Say all of *source* from a worker thread. What is nested is taken apart on the way, as `flatten` does it."""
    if isinstance(source, Event | UnknownEvent):
        anyio.from_thread.check_cancelled()
        anyio.from_thread.run(say, source)
    elif _is_nested(source):
        parts = iter(source)
        try:
            for part in parts:
                _hand_over(part, say)
        finally:
            if isinstance(parts, Generator):
                parts.close()
    else:
        raise InvalidType("what the handler said", _SAID, source)


async def _in_loop(source: object, say: Say) -> None:
    """Say all of *source* from the event loop. Not by `flatten`: who stops here has to close every open generator."""
    if isinstance(source, Event | UnknownEvent):
        await say(source)
    elif isinstance(source, AsyncIterable):
        later = aiter(source)
        try:
            async for part in later:
                await _in_loop(part, say)
        finally:
            if isinstance(later, AsyncGenerator):
                await later.aclose()
    elif _is_nested(source):
        for part in source:
            await _in_loop(part, say)
    else:
        raise InvalidType("what the handler said", _SAID, source)


def _is_nested(source: object) -> TypeGuard[Iterable[object]]:
    return isinstance(source, Iterable) and not isinstance(source, str | bytes | Mapping)
