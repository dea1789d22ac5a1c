"""`render` and `render_stream`: what an agent said as a response, and what it says as the events of one.

They need no server. What goes in are the contents of `responses_stream.agents.contents`, plain strings, and output
items of the protocol; what comes out is a `ResponseObject`, or events for `encode_stream`. Each kind of content becomes
the item that the protocol has for it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator, Mapping
from typing import Any, Final, overload

import attrs

from responses_stream.accumulator import accumulate
from responses_stream.agents.contents import Result, Said, Update
from responses_stream.agents.releasing import release, release_async
from responses_stream.agents.writing import Writing, contents_of, id_of
from responses_stream.agents.writing_tools import ToolCalls
from responses_stream.builders import values
from responses_stream.builders.events import AsyncEvents, Events
from responses_stream.builders.stream import SERVER_ERROR, SERVER_ERROR_MESSAGE, ResponseEventStream
from responses_stream.errors import InvalidType, ResponsesStreamError
from responses_stream.guarding import guarded
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.request import CreateResponse
from responses_stream.protocol.response import ResponseObject

_log: Final = logging.getLogger("responses_stream")

__all__ = ["RunFailed", "ToolCalls", "render", "render_stream", "said_on"]


class RunFailed(ResponsesStreamError):
    """Raised by an agent to fail its response on purpose: the client is told *code* and *message*.

    Whatever else an agent raises is told as an internal error, and its text goes to the log only.

    Attributes:
        code: what went wrong, for programs, such as ``rate_limit_exceeded``.
        message: what went wrong, for people.

    Raises:
        InvalidType, InvalidValue: one of them is empty or no text.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = values.name("code", code), values.name("message", message)
        super().__init__(f"{code}: {message}")


def render(
    result: Result | str | Iterable[Said],
    *,
    response_id: str,
    request: CreateResponse | Mapping[str, Any] | None = None,
    model: str | None = None,
    tool_calls: ToolCalls = "hosted",
) -> ResponseObject:
    """Return what an agent has said as the response to *request* (H21.15-H21.17).

    Args:
        result: what it said: a string, a `Result`, or an iterable of what an agent may yield. An output item that comes
            again with the same `id` stands for the earlier one.
        response_id: the id of the response; `new_response_id` makes one.
        request: what was asked for, as a `CreateResponse` or a plain dict; its settings are echoed.
        model: what the response says it comes from; None takes that of the result, of its first update, of the
            request, or "agent" (H21.16).
        tool_calls: how the tools that the agent has run look: see `ToolCalls`.

    Raises:
        InvalidType, InvalidValue: an argument does not fit, or something in *result* is nothing that an agent may say.
        Exception: what iterating *result* raises.
    """
    said: Iterable[Said]
    if isinstance(result, Result):
        said, model = result.said, model or result.model
    else:
        said = _checked(result)
    all_said = list(said)
    if not model and all_said and isinstance(all_said[0], Update):
        model = all_said[0].model
    writing = Writing(ResponseEventStream(response_id, request), model, tool_calls)
    return accumulate(_written(writing, iter(_latest(all_said))))


@overload
def render_stream(
    updates: Iterable[Said],
    *,
    response_id: str,
    request: CreateResponse | Mapping[str, Any] | None = None,
    model: str | None = None,
    tool_calls: ToolCalls = "hosted",
) -> Events: ...
@overload
def render_stream(
    updates: AsyncIterable[Said],
    *,
    response_id: str,
    request: CreateResponse | Mapping[str, Any] | None = None,
    model: str | None = None,
    tool_calls: ToolCalls = "hosted",
) -> AsyncEvents: ...
def render_stream(
    updates: Iterable[Said] | AsyncIterable[Said],
    *,
    response_id: str,
    request: CreateResponse | Mapping[str, Any] | None = None,
    model: str | None = None,
    tool_calls: ToolCalls = "hosted",
) -> Events | AsyncEvents:
    """Return what an agent says as events, while it says it (H21.17-H21.20).

    Where *updates* raise, what is open ends as incomplete, so that the text so far stays in the output, and an `error`
    event and `response.failed` follow, without the reason, which the log ``responses_stream`` has; those of a
    `RunFailed` are told. Whoever stops reading closes the events, and thereby *updates* (H21.36).

    Args:
        updates: what the agent says, as an iterable or an async iterable. What can be iterated both ways is iterated
            with ``for``.
        response_id: the id of the response; `new_response_id` makes one.
        request: what was asked for, as a `CreateResponse` or a plain dict; its settings are echoed.
        model: what the response says it comes from. With it, `response.created` is there before the agent is asked for
            anything (A13); with None it waits for the first update, which may say its model (H21.16).
        tool_calls: how the tools that the agent has run look: see `ToolCalls`.

    Raises:
        InvalidType, InvalidValue: an argument does not fit.
    """
    writing = Writing(ResponseEventStream(response_id, request), model, tool_calls)
    if isinstance(updates, AsyncIterable) and not isinstance(updates, Iterable):
        later = aiter(updates)
        return _AsyncSpoken(guarded(_written_async(writing, later)), later)
    now = iter(_checked(updates))
    return _Spoken(guarded(_written(writing, now)), now)


@overload
def said_on(
    stream: ResponseEventStream, updates: Iterable[Said], *, model: str | None = None, tool_calls: ToolCalls = "hosted"
) -> Events: ...
@overload
def said_on(
    stream: ResponseEventStream,
    updates: AsyncIterable[Said],
    *,
    model: str | None = None,
    tool_calls: ToolCalls = "hosted",
) -> AsyncEvents: ...
def said_on(
    stream: ResponseEventStream,
    updates: Iterable[Said] | AsyncIterable[Said],
    *,
    model: str | None = None,
    tool_calls: ToolCalls = "hosted",
) -> Events | AsyncEvents:
    """Return the whole response that an agent speaks, from `response.created` to its end, as events of *stream*.

    It is `render_stream` for handlers, whose exceptions are for whoever runs them: where *updates* raise, the response
    fails, and behind its end the exception comes out. A `RunFailed` is told, and does not come out.

    Raises:
        InvalidType, InvalidValue: an argument does not fit.
    """
    writing = Writing(stream, model, tool_calls)
    if isinstance(updates, AsyncIterable) and not isinstance(updates, Iterable):
        later = aiter(updates)
        return _AsyncSpoken(_written_async(writing, later), later)
    now = iter(_checked(updates))
    return _Spoken(_written(writing, now), now)


class _Spoken(Events):
    """The events of a response that is spoken. Closing them closes the agent, also before anybody has asked it."""

    __slots__ = ("_updates",)

    def __init__(self, events: Iterable[ResponseStreamEvent], updates: Iterator[Said]) -> None:
        super().__init__(events)
        self._updates = updates

    def close(self) -> None:
        super().close()
        release(self._updates)


class _AsyncSpoken(AsyncEvents):
    """The same of an agent that is waited for."""

    __slots__ = ("_updates",)

    def __init__(self, events: AsyncIterable[ResponseStreamEvent], updates: AsyncIterator[Said]) -> None:
        super().__init__(events)
        self._updates = updates

    async def aclose(self) -> None:
        await super().aclose()
        await release_async(self._updates)


def _written(writing: Writing, updates: Iterator[Said]) -> Generator[ResponseStreamEvent, None, None]:
    try:
        try:
            if not writing.waits_for_model:
                yield from writing.begin()
            for said in updates:
                if (delta := writing.delta(said)) is not None:
                    yield delta
                else:
                    yield from writing.take(said)
            yield from writing.end()
        except Exception as error:
            failure = _meant(error)
            yield from writing.fail(*_told(writing, failure))
            if failure is None:
                raise
    finally:
        release(updates)


async def _written_async(writing: Writing, updates: AsyncIterator[Said]) -> AsyncGenerator[ResponseStreamEvent, None]:
    try:
        try:
            if not writing.waits_for_model:
                for event in writing.begin():
                    yield event
            async for said in updates:
                if (delta := writing.delta(said)) is not None:
                    yield delta
                    continue
                for event in writing.take(said):
                    yield event
            for event in writing.end():
                yield event
        except Exception as error:
            failure = _meant(error)
            for event in writing.fail(*_told(writing, failure)):
                yield event
            if failure is None:
                raise
    finally:
        await release_async(updates)


def _meant(error: Exception) -> RunFailed | None:
    """Return the failure that the agent wants to be told; one that comes out of a task group is alone in a group."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, RunFailed) else None


def _told(writing: Writing, failure: RunFailed | None) -> tuple[str, str]:
    """Return what the client is told of a failure: what the agent wants it to, or nothing of it (L6)."""
    if failure is None:
        return SERVER_ERROR, SERVER_ERROR_MESSAGE
    _log.warning("the run of %s failed: %s", writing.response_id, failure)
    return failure.code, failure.message


def _checked(updates: Iterable[Said]) -> Iterable[Said]:
    if isinstance(updates, str):
        return [updates]
    if isinstance(updates, bytes | Mapping) or not isinstance(updates, Iterable):
        raise InvalidType("updates", "an iterable or async iterable of what an agent says", updates)
    return updates


def _latest(said: Iterable[Said]) -> list[Said]:
    """Return *said* with each output item where it came first, in the latest form that it has there (H21.17)."""
    pieces = [(each, list(contents_of(each))) for each in said]
    latest = {item_id: piece for _, contents in pieces for piece in contents if (item_id := id_of(piece)) is not None}
    told: list[Said] = []
    for each, contents in pieces:
        kept: list[Any] = []
        for piece in contents:
            item_id = id_of(piece)
            if item_id is None:
                kept.append(piece)
            elif item_id in latest:
                kept.append(latest.pop(item_id))
        told += [attrs.evolve(each, contents=kept)] if isinstance(each, Update) else kept
    return told
