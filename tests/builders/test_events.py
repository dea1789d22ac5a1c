"""`Events`, `AsyncEvents` and `flatten`: many events as one value, iterated both ways, and closed when left."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any

import anyio.lowlevel
import pytest

from responses_stream import AsyncEvents, Events, InvalidType, OutOfOrder, ResponseEventStream, flatten
from responses_stream.protocol.base import UnknownEvent
from responses_stream.protocol.events import ResponseStreamEvent

from .samples import names, running

MESSAGE = [
    *("output_item.added", "content_part.added", "output_text.delta", "output_text.delta", "output_text.done"),
    *("content_part.done", "output_item.done"),
]


class Source:
    """Chunks of text, sync and async, that tell when they are closed; somebody else holds them too."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.held: list[object] = []

    def now(self) -> Iterator[str]:
        chunks = self._now()
        self.held.append(chunks)
        return chunks

    def later(self) -> AsyncIterator[str]:
        chunks = self._later()
        self.held.append(chunks)
        return chunks

    def _now(self) -> Iterator[str]:
        try:
            yield "Hel"
            yield "lo"
        finally:
            self.closed.append("now")

    async def _later(self) -> AsyncIterator[str]:
        try:
            yield "Hel"
            await anyio.lowlevel.checkpoint()
            yield "lo"
        finally:
            await anyio.lowlevel.checkpoint()
            self.closed.append("later")


async def listed(events: Events | AsyncEvents) -> list[ResponseStreamEvent]:
    return [event async for event in events]


def test_events_are_iterated_with_for() -> None:
    assert names(running().output_item_message(Source().now())) == MESSAGE


@pytest.mark.anyio
async def test_events_are_iterated_with_async_for_too() -> None:
    assert names(await listed(running().output_item_message(Source().now()))) == MESSAGE
    assert names(await listed(running().output_item_message(["Hel", "lo"]))) == MESSAGE


@pytest.mark.anyio
async def test_an_async_source_makes_events_that_are_async_only() -> None:
    events = running().output_item_message(Source().later())
    assert isinstance(events, AsyncEvents)
    assert not hasattr(events, "__iter__")
    assert names(await listed(events)) == MESSAGE


@pytest.mark.anyio
@pytest.mark.parametrize(
    "kind",
    [
        "message",
        "refusal",
        "reasoning",
        "raw",
        "function_call",
        "custom_tool_call",
        "code_interpreter_call",
        "mcp_call",
    ],
)
async def test_every_convenience_with_text_takes_it_from_anywhere(kind: str) -> None:
    def say(text: Any) -> Any:
        stream = running()
        return {
            "message": lambda: stream.output_item_message(text),
            "refusal": lambda: stream.output_item_refusal(text),
            "reasoning": lambda: stream.output_item_reasoning(text),
            "raw": lambda: stream.output_item_reasoning(text=text),
            "function_call": lambda: stream.output_item_function_call("f", "call_1", text),
            "custom_tool_call": lambda: stream.output_item_custom_tool_call("f", "call_1", text),
            "code_interpreter_call": lambda: stream.output_item_code_interpreter_call(text),
            "mcp_call": lambda: stream.output_item_mcp_call("docs", "f", text),
        }[kind]()

    whole = list(say(["Hel", "lo"]))
    assert list(say(Source().now())) == whole
    assert list(say(("Hel", "lo"))) == whole
    assert await listed(say(Source().later())) == whole
    assert list(say("Hello"))[-1].item == whole[-1].item
    for wrong in (3, None if kind != "raw" else 3, b"Hello", {"a": "b"}):
        with pytest.raises(InvalidType, match="expected a string, or a sync or async iterable of strings"):
            say(wrong)


def test_nothing_is_said_before_it_is_iterated() -> None:
    stream = running()
    events = stream.output_item_message("Hello")
    first = stream.add_output_item_message().emit_added()
    assert (first.sequence_number, next(iter(events)).sequence_number) == (2, 3)


def test_events_are_made_once() -> None:
    events = running().output_item_message(["Hel", "lo"])
    assert names(events) == MESSAGE
    assert names(events) == []


@pytest.mark.anyio
async def test_what_is_left_can_be_iterated_either_way() -> None:
    events = running().output_item_message(["Hel", "lo"])
    iterator = iter(events)
    some = [next(iterator), next(iterator)]
    async for event in events:
        some.append(event)
        break
    assert names([*some, *events]) == MESSAGE


def test_chunks_are_checked_when_they_come() -> None:
    bad: Any = ["Hel", 3]
    told: list[ResponseStreamEvent] = []
    with pytest.raises(InvalidType, match="delta: expected a string, got int"):
        told.extend(iter(running().output_item_message(bad)))
    stream = running()
    events = iter(stream.output_item_message(bad))
    assert names([next(events), next(events), next(events)]) == MESSAGE[:3]
    with pytest.raises(InvalidType):
        next(events)
    assert stream.emit_failed().sequence_number == 5  # what was refused took no number


def test_a_failure_of_the_source_comes_out_as_it_is() -> None:
    def broken() -> Iterator[str]:
        yield "Hel"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(running().output_item_message(broken()))


def test_a_convenience_out_of_order_says_so_when_it_is_iterated() -> None:
    stream = ResponseEventStream("resp_1")
    events = stream.output_item_message("Hello")
    with pytest.raises(OutOfOrder, match="R060"):
        next(iter(events))


# Leaving early.


def test_closing_events_reaches_the_source() -> None:
    source = Source()
    events = running().output_item_message(source.now())
    for event in events:
        if event.type.endswith("delta"):
            break
    assert source.closed == []
    events.close()
    assert source.closed == ["now"]
    assert list(events) == []


@pytest.mark.anyio
async def test_closing_async_events_reaches_the_source() -> None:
    source = Source()
    events = running().output_item_message(source.later())
    async with aclosing(events):
        async for event in events:
            if event.type.endswith("delta"):
                break
        assert source.closed == []
    assert source.closed == ["later"]
    assert await listed(events) == []


@pytest.mark.anyio
async def test_a_source_that_somebody_began_is_closed_even_before_its_first_delta() -> None:
    source = Source()
    chunks = source.later()
    assert await anext(chunks) == "Hel"
    events = running().output_item_message(chunks)
    assert (await anext(aiter(events))).type == "response.output_item.added"
    await events.aclose()
    assert source.closed == ["later"]
    now = source.now()
    assert next(now) == "Hel"
    again = running().output_item_message(now)
    assert next(iter(again)).type == "response.output_item.added"
    again.close()
    assert source.closed == ["later", "now"]


def test_a_source_is_closed_when_its_consumer_breaks() -> None:
    source, stream = Source(), running()
    events = iter(stream.output_item_message(source.now()))
    assert names([next(events), next(events), next(events)]) == MESSAGE[:3]
    stream.emit_failed()
    with pytest.raises(OutOfOrder):
        next(events)
    assert source.closed == ["now"]


# Flattening.


def _handler(stream: ResponseEventStream, source: Source) -> Iterator[Any]:
    try:
        yield stream.emit_created()
        yield [stream.emit_in_progress(), [stream.output_item_message(source.now())]]
        yield flatten([stream.output_item_refusal(["N", "o"])])
        yield stream.emit_completed()
    finally:
        source.closed.append("handler")


async def _async_handler(stream: ResponseEventStream, source: Source) -> AsyncIterator[Any]:
    try:
        yield stream.emit_created()
        yield [stream.emit_in_progress(), [stream.output_item_message(source.now())]]
        yield stream.output_item_message(source.later())
        yield flatten(_more(stream, source))
        yield stream.emit_completed()
    finally:
        source.closed.append("handler")


async def _more(stream: ResponseEventStream, source: Source) -> AsyncIterator[Any]:
    yield stream.output_item_refusal(source.later())


REFUSAL = [
    *("output_item.added", "content_part.added", "refusal.delta", "refusal.delta", "refusal.done"),
    *("content_part.done", "output_item.done"),
]


def test_flatten_takes_apart_what_a_handler_yields() -> None:
    source = Source()
    events = flatten(_handler(ResponseEventStream("resp_1"), source))
    assert isinstance(events, Events)
    told = list(events)
    assert names(told) == ["created", "in_progress", *MESSAGE, *REFUSAL, "completed"]
    assert [event.sequence_number for event in told] == list(range(len(told)))
    assert source.closed == ["now", "handler"]


@pytest.mark.anyio
async def test_a_sync_handler_can_be_flattened_asynchronously() -> None:
    events = flatten(_handler(ResponseEventStream("resp_1"), Source()))
    assert names(await listed(events)) == ["created", "in_progress", *MESSAGE, *REFUSAL, "completed"]


@pytest.mark.anyio
async def test_then_it_may_yield_async_events_as_well() -> None:
    def handler() -> Iterator[Any]:
        yield running().output_item_message(Source().later())

    assert names(await listed(flatten(handler()))) == MESSAGE
    with pytest.raises(InvalidType, match="expected events with a synchronous source in a synchronous handler"):
        list(flatten(handler()))


@pytest.mark.anyio
async def test_flatten_takes_apart_what_an_async_handler_yields() -> None:
    source = Source()
    events = flatten(_async_handler(ResponseEventStream("resp_1"), source))
    assert isinstance(events, AsyncEvents)
    told = await listed(events)
    assert names(told) == ["created", "in_progress", *MESSAGE, *MESSAGE, *REFUSAL, "completed"]
    assert source.closed == ["now", "later", "later", "handler"]


def test_events_of_unknown_types_come_through() -> None:
    unknown = UnknownEvent(type="acme:trace")
    assert list(flatten([unknown])) == [unknown]


@pytest.mark.parametrize("wrong", [3, None, "response.created", b"x", {"type": "response.created"}])
def test_what_is_no_event_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidType, match="yielded: expected an event or Events"):
        list(flatten([wrong]))


@pytest.mark.anyio
@pytest.mark.parametrize("wrong", [3, None, "response.created", {"type": "response.created"}])
async def test_what_is_no_event_is_refused_asynchronously(wrong: Any) -> None:
    async def handler() -> AsyncIterator[Any]:
        yield wrong

    with pytest.raises(InvalidType, match="yielded: expected an event or Events"):
        await listed(flatten(handler()))


@pytest.mark.parametrize("wrong", [3, None, "abc"])
def test_only_iterables_can_be_flattened(wrong: Any) -> None:
    with pytest.raises(InvalidType, match="source: expected an iterable of events"):
        flatten(wrong)


@pytest.mark.parametrize(("taken", "closed"), [(1, []), (4, []), (5, ["now"]), (12, ["now"])])
def test_leaving_a_flattened_handler_reaches_all_of_it(taken: int, closed: list[str]) -> None:
    source = Source()
    events = flatten(_handler(ResponseEventStream("resp_1"), source))
    with closing(events):
        iterator = iter(events)
        assert len([next(iterator) for _ in range(taken)]) == taken
    assert source.closed == [*closed, "handler"]


@pytest.mark.anyio
@pytest.mark.parametrize(("taken", "closed"), [(1, []), (5, ["now"]), (12, ["now", "later"]), (19, ["now", "later"])])
async def test_leaving_a_flattened_async_handler_reaches_all_of_it(taken: int, closed: list[str]) -> None:
    source = Source()
    events = flatten(_async_handler(ResponseEventStream("resp_1"), source))
    async with aclosing(events):
        async for _ in events:
            taken -= 1
            if taken == 0:
                break
    assert source.closed[-1] == "handler"
    assert source.closed[: len(closed)] == closed
    assert source.closed.count("handler") == 1
