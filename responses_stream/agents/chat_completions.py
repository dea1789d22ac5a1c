"""`from_chat_completions`: the stream of a model that speaks Chat Completions, as the events of a response.

The chunks may be objects of the `openai` package, dicts, or the text of an event stream. Text, refusals, reasoning,
tool calls, citations, log probabilities and usage come through, whichever of the common servers sent them.
`chat_contents` has the same as contents, for a handler that says more than the model does.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, Protocol, TypeAlias, overload

from responses_stream.agents.chat_completions_reading import ChatReading, failure
from responses_stream.agents.chat_completions_sources import ChunkReading
from responses_stream.agents.contents import Said
from responses_stream.agents.releasing import release, release_async
from responses_stream.agents.rendering import render_stream
from responses_stream.builders.events import AsyncEvents, Events
from responses_stream.errors import InvalidType
from responses_stream.protocol.request import CreateResponse

__all__ = ["ChatChunk", "chat_contents", "from_chat_completions"]


class HasChoices(Protocol):
    """An object such as `openai.types.chat.ChatCompletionChunk`."""

    @property
    def choices(self) -> Sequence[object]: ...


ChatChunk: TypeAlias = HasChoices | Mapping[str, Any] | bytes | str
"""A chunk of a Chat Completions stream: an object, a dict, or a piece of the text that holds it."""


@overload
def from_chat_completions(
    chunks: ChatChunk | Iterable[ChatChunk],
    *,
    response_id: str,
    request: CreateResponse | Mapping[str, Any] | None = None,
    model: str | None = None,
) -> Events: ...
@overload
def from_chat_completions(
    chunks: AsyncIterable[ChatChunk],
    *,
    response_id: str,
    request: CreateResponse | Mapping[str, Any] | None = None,
    model: str | None = None,
) -> AsyncEvents: ...
def from_chat_completions(
    chunks: ChatChunk | Iterable[ChatChunk] | AsyncIterable[ChatChunk],
    *,
    response_id: str,
    request: CreateResponse | Mapping[str, Any] | None = None,
    model: str | None = None,
) -> Events | AsyncEvents:
    """Return the events of the response that a Chat Completions stream makes.

    A tool call becomes a `function_call`, which the client answers. A stream that stops for its length or for a filter
    ends as `response.incomplete`. Where it fails or is cut off, what was said stays, and an `error` event and
    `response.failed` follow, without any text of the upstream; the log ``responses_stream`` has that. Whoever stops
    reading closes the events, and thereby the upstream.

    Args:
        chunks: what the upstream sends: chunks, sync or async, the text of its body in pieces or in lines, or one whole
            completion.
        response_id: the id of the response; `new_response_id` makes one.
        request: what was asked for, as a `CreateResponse` or a plain dict; its settings are echoed.
        model: what the response says it comes from; None takes what the first chunk says.

    Raises:
        InvalidType, InvalidValue: an argument does not fit.
    """
    contents = chat_contents(chunks)
    if isinstance(contents, Iterator):
        return render_stream(contents, response_id=response_id, request=request, model=model)
    return render_stream(contents, response_id=response_id, request=request, model=model)


@overload
def chat_contents(chunks: ChatChunk | Iterable[ChatChunk]) -> Iterator[Said]: ...
@overload
def chat_contents(chunks: AsyncIterable[ChatChunk]) -> AsyncIterator[Said]: ...
def chat_contents(
    chunks: ChatChunk | Iterable[ChatChunk] | AsyncIterable[ChatChunk],
) -> Iterator[Said] | AsyncIterator[Said]:
    """Return what a Chat Completions stream says, as contents that an agent may yield.

    The iterator has `close`, an asynchronous one `aclose`: they close the upstream. Tokens are told once, at the end.

    Args:
        chunks: as for `from_chat_completions`.

    Raises:
        InvalidType: *chunks* is nothing of the kind; or one of them is none, while iterating.
        InvalidValue: while iterating, where they are events of a Responses stream; `relay` passes those on.
        DecodeError: while iterating, where a frame holds no JSON.
        RunFailed: while iterating, where the upstream fails or is cut off. It has no text of the upstream.
    """
    if isinstance(chunks, Mapping | bytes | bytearray | memoryview | str) or hasattr(chunks, "choices"):
        return _Contents([chunks])
    if isinstance(chunks, AsyncIterable):
        return _AsyncContents(chunks)
    if isinstance(chunks, Iterable):
        return _Contents(chunks)
    raise InvalidType("chunks", "a chunk, or an iterable or async iterable of them", chunks)


class _Contents(Iterator[Said]):
    """The contents of a stream. No generator: closing one that was not begun would not reach the upstream."""

    __slots__ = ("_chunks", "_said")

    def __init__(self, chunks: Iterable[Any]) -> None:
        self._chunks = chunks
        self._said = _read(chunks)

    def __next__(self) -> Said:
        return next(self._said)

    def close(self) -> None:
        """Read no more, and close the upstream."""
        self._said.close()
        release(self._chunks)


class _AsyncContents(AsyncIterator[Said]):
    """The contents of a stream that is waited for."""

    __slots__ = ("_chunks", "_said")

    def __init__(self, chunks: AsyncIterable[Any]) -> None:
        self._chunks = chunks
        self._said = _read_async(chunks)

    async def __anext__(self) -> Said:
        return await anext(self._said)

    async def aclose(self) -> None:
        """Read no more, and close the upstream."""
        await self._said.aclose()
        await release_async(self._chunks)


def _read(chunks: Iterable[Any]) -> Generator[Said, None, None]:
    pieces, reading, source = ChunkReading(), ChatReading(), iter(chunks)
    try:
        for piece in source:
            for chunk, event in pieces.take(piece):
                yield from reading.take(chunk, event)
            if pieces.done:
                break
        for chunk, event in pieces.end():
            yield from reading.take(chunk, event)
        yield from reading.end(pieces.done)
    except Exception as error:
        yield from reading.break_off()
        if _is_of_client(error):
            raise failure(error) from error
        raise
    finally:
        release(source)
        release(chunks)


async def _read_async(chunks: AsyncIterable[Any]) -> AsyncGenerator[Said, None]:
    pieces, reading, source = ChunkReading(), ChatReading(), aiter(chunks)
    try:
        async for piece in source:
            for chunk, event in pieces.take(piece):
                for said in reading.take(chunk, event):
                    yield said
            if pieces.done:
                break
        for chunk, event in pieces.end():
            for said in reading.take(chunk, event):
                yield said
        for said in reading.end(pieces.done):
            yield said
    except Exception as error:
        for said in reading.break_off():
            yield said
        if _is_of_client(error):
            raise failure(error) from error
        raise
    finally:
        # The streams of client packages are iterated by a generator of theirs, which does not close them.
        await release_async(source)
        await release_async(chunks)


def _is_of_client(error: Exception) -> bool:
    """Tell whether an exception is an error that the upstream told, as the `openai` package raises it."""
    return hasattr(error, "body") and hasattr(error, "code")
