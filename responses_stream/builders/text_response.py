"""`TextResponse`: a whole response whose output is one text, from whatever the text comes from.

It says created, in_progress, one message with one part, and completed (H17.9).
"""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import aclosing
from typing import Any, Protocol, TypeAlias

from responses_stream.builders.events import release_async
from responses_stream.builders.response import ResponseDraft
from responses_stream.builders.stream import ResponseEventStream
from responses_stream.errors import InvalidType
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.request import CreateResponse
from responses_stream.protocol.response import ResponseUsage

Chunks: TypeAlias = str | Iterable[str] | AsyncIterable[str]
Text: TypeAlias = Chunks | Awaitable[Chunks] | Callable[[], "Chunks | Awaitable[Chunks]"]
"""A string, chunks, something to await, or a function without arguments that returns one of these."""


class HasResponseId(Protocol):
    """What a `TextResponse` needs to know of its context."""

    @property
    def response_id(self) -> str:
        """The id of the response."""
        ...


class TextResponse:
    """The events of a response whose output is one text. Iterated once, with ``for`` or with ``async for``.

    Args:
        context: whose `response_id` the response has.
        request: what was asked for; its settings are echoed.
        text: a string, an iterable or async iterable of chunks, an awaitable, or a function, async or not, that returns
            one of these. The function is called after `response.in_progress`, and what it awaits keeps nobody waiting.
        configure: is given the response before `response.created`, to assign to it.
        usage: the tokens that it cost, or a function without arguments that says so when the text has ended.

    Raises:
        InvalidType: *text* is none of these. While iterating, a failure of *text* comes out as it is, and iterating
            with ``for`` raises `InvalidType` where the text can only be had asynchronously.
    """

    __slots__ = ("_configure", "_stream", "_text", "_usage")

    def __init__(
        self,
        context: HasResponseId,
        request: CreateResponse | Mapping[str, Any] | None,
        *,
        text: Text,
        configure: Callable[[ResponseDraft], object] | None = None,
        usage: ResponseUsage | Mapping[str, Any] | Callable[[], ResponseUsage | Mapping[str, Any] | None] | None = None,
    ) -> None:
        _check(text)
        self._stream = ResponseEventStream(context.response_id, request)
        self._text, self._configure, self._usage = text, configure, usage

    @property
    def is_async(self) -> bool:
        """Whether it can only be iterated with ``async for``, as far as that shows before its text is asked for."""
        text = self._text
        return (
            inspect.iscoroutinefunction(text)
            or inspect.isasyncgenfunction(text)
            or inspect.isawaitable(text)
            or (isinstance(text, AsyncIterable) and not isinstance(text, Iterable))
        )

    @property
    def is_whole(self) -> bool:
        """Whether its text is there already."""
        return isinstance(self._text, str)

    def __iter__(self) -> Iterator[ResponseStreamEvent]:
        yield from self._begin()
        yield from self._stream.output_item_message(_sync_chunks(self._text))
        yield self._end()

    async def __aiter__(self) -> AsyncIterator[ResponseStreamEvent]:
        try:
            for event in self._begin():
                yield event
            async with aclosing(self._stream.output_item_message(_chunks(self._text))) as message:
                async for event in message:
                    yield event
            yield self._end()
        finally:
            if inspect.iscoroutine(self._text):
                self._text.close()  # where nobody has come as far as to await it

    def _begin(self) -> Iterator[ResponseStreamEvent]:
        if self._configure is not None:
            self._configure(self._stream.response)
        yield self._stream.emit_created()
        yield self._stream.emit_in_progress()

    def _end(self) -> ResponseStreamEvent:
        return self._stream.emit_completed(usage=self._usage() if callable(self._usage) else self._usage)


def _check(text: object) -> None:
    if isinstance(text, bytes | Mapping) or not (
        isinstance(text, str | Iterable | AsyncIterable) or inspect.isawaitable(text) or callable(text)
    ):
        raise InvalidType("text", "a string, chunks, something to await, or a function that returns one", text)


def _sync_chunks(text: object) -> str | Iterable[str]:
    """The chunks of a text that needs no waiting. The function is called at once, its chunks come when they come."""
    if callable(text):
        text = text()
        _check(text)
    if inspect.isawaitable(text) or not isinstance(text, Iterable):
        if inspect.iscoroutine(text):
            text.close()
        raise InvalidType("text", "something that needs no waiting, or async iteration of the TextResponse", text)
    return text


async def _chunks(text: object) -> AsyncGenerator[str, None]:
    """The chunks of any text."""
    if callable(text):
        text = text()
    if inspect.isawaitable(text):
        text = await text
    try:
        if isinstance(text, AsyncIterable):
            async for chunk in text:
                yield chunk
        elif isinstance(text, str):
            yield text
        elif isinstance(text, Iterable) and not isinstance(text, bytes | Mapping):
            for chunk in text:
                yield chunk
        else:
            raise InvalidType("text", "a string, or a sync or async iterable of strings", text)
    finally:
        await release_async(text)
