"""`guarded` and `encode_stream`: whatever a source does, what comes out is whole, valid, and closed when it is left."""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from types import SimpleNamespace
from typing import Final

import pytest

from responses_stream import (
    AsyncYield,
    Events,
    ResponseEventStream,
    SyncYield,
    TextResponse,
    accumulate,
    encode_stream,
    guarded,
    validate_events,
)
from responses_stream.errors import InvalidType
from responses_stream.protocol.base import UnknownEvent
from responses_stream.protocol.events import ResponseErrorEvent, ResponseFailedEvent, ResponseStreamEvent
from responses_stream.sse import DONE, encode_event

Source = Callable[[], Iterator[SyncYield]]

WHOLE: Final = [
    *("created", "in_progress", "output_item.added", "content_part.added", "output_text.delta"),
    *("output_text.done", "content_part.done", "output_item.done"),
]
MESSAGE_DONE: Final = [*WHOLE, "error", "failed"]
FIXED: Final = ("server_error", "An internal server error occurred.")


def begun() -> tuple[ResponseEventStream, list[SyncYield]]:
    numbers = itertools.count()
    stream = ResponseEventStream(
        "resp_1", {"model": "m"}, clock=lambda: 1767225600, make_item_id=lambda kind, _: f"{kind}_{next(numbers)}"
    )
    return stream, [stream.emit_created(), stream.emit_in_progress()]


def good() -> Iterator[SyncYield]:
    stream, first = begun()
    yield first
    yield stream.output_item_message("Hello")
    yield stream.emit_completed()


def raises_at_once() -> Iterator[SyncYield]:
    yield refuse()


def refuse() -> SyncYield:
    raise RuntimeError("the secret")


def raises_behind_an_item() -> Iterator[SyncYield]:
    stream, first = begun()
    yield first
    yield stream.output_item_message("Hello")
    raise RuntimeError("the secret")


def raises_inside_an_item() -> Iterator[SyncYield]:
    stream, first = begun()
    yield first
    yield stream.output_item_message("Hello")
    message = stream.add_output_item_message()
    yield message.emit_added()
    raise RuntimeError("the secret")


def breaks_the_order() -> Iterator[SyncYield]:
    stream, first = begun()
    yield first
    yield stream.output_item_message("Hello")
    yield first
    pytest.fail("a source that broke the order is not asked for more")


def asks_for_what_is_out_of_order() -> Iterator[SyncYield]:
    stream, first = begun()
    yield first
    yield stream.output_item_message("Hello")
    yield stream.emit_created()


def ends_without_an_end() -> Iterator[SyncYield]:
    stream, first = begun()
    yield first
    yield stream.output_item_message("Hello")


def says_nothing() -> Iterator[SyncYield]:
    yield from ()


def yields_what_is_no_event() -> Iterator[SyncYield]:
    stream, first = begun()
    yield first
    yield stream.output_item_message("Hello")
    yield "Hello"  # to mypy a string is an iterable of iterables of them


def tells_its_reason() -> Iterator[SyncYield]:
    stream, first = begun()
    yield first
    yield stream.output_item_message("Hello")
    yield stream.emit_error("model_gone", "The model has gone.")
    raise RuntimeError("the secret")


def tells_only_a_reason() -> Iterator[SyncYield]:
    yield ResponseEventStream("resp_1").emit_error("model_gone", "The model has gone.")


def begins_with_an_event_of_its_own() -> Iterator[SyncYield]:
    yield UnknownEvent(type="acme:hello", sequence_number=0)


def goes_on_behind_the_end() -> Iterator[SyncYield]:
    yield from good()
    yield from good()
    raise RuntimeError("the secret")


FAILURES: Final[list[tuple[Source, list[str], tuple[str, str] | None]]] = [
    (good, [*WHOLE, "completed"], None),
    (raises_at_once, ["error"], FIXED),
    (raises_behind_an_item, MESSAGE_DONE, FIXED),
    (raises_inside_an_item, [*WHOLE, "output_item.added", "error", "failed"], FIXED),
    (breaks_the_order, MESSAGE_DONE, FIXED),
    (asks_for_what_is_out_of_order, MESSAGE_DONE, FIXED),
    (ends_without_an_end, MESSAGE_DONE, FIXED),
    (says_nothing, ["error"], FIXED),
    (yields_what_is_no_event, MESSAGE_DONE, FIXED),
    (tells_its_reason, MESSAGE_DONE, ("model_gone", "The model has gone.")),
    (tells_only_a_reason, ["error"], ("model_gone", "The model has gone.")),
    (begins_with_an_event_of_its_own, ["error"], FIXED),
    (goes_on_behind_the_end, [*WHOLE, "completed"], None),
]


def names(events: list[ResponseStreamEvent]) -> list[str]:
    return [event.type.removeprefix("response.") for event in events]


async def later(source: Source) -> AsyncIterator[AsyncYield]:
    for said in source():
        yield said


@pytest.mark.parametrize(("source", "expected", "told"), FAILURES, ids=[one[0].__name__ for one in FAILURES])
def test_every_source_comes_to_one_end(source: Source, expected: list[str], told: tuple[str, str] | None) -> None:
    events = list(guarded(source()))
    assert names(events) == expected
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert validate_events(events, profile="strict").ok
    errors = [event for event in events if isinstance(event, ResponseErrorEvent)]
    assert [(error.code, error.message) for error in errors] == ([told] if told else [])
    if expected[-1] == "failed":
        assert isinstance(events[-1], ResponseFailedEvent)
        response = events[-1].response
        assert response.error
        assert (response.error.code, response.error.message) == told
        assert response.output_text == "Hello"  # what was done stays, what was open is left out
        assert len(response.output) == 1
        assert accumulate(guarded(source())) == response


@pytest.mark.anyio
@pytest.mark.parametrize("source", [one[0] for one in FAILURES], ids=[one[0].__name__ for one in FAILURES])
async def test_it_does_the_same_every_way(source: Source) -> None:
    events = list(guarded(source()))
    assert [event async for event in guarded(later(source))] == events
    body = b"".join(map(encode_event, events)) + DONE
    assert b"".join(encode_stream(source())) == body
    assert b"".join([frame async for frame in encode_stream(later(source))]) == body
    assert validate_events(body, profile="strict").ok
    assert b"secret" not in body


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (raises_at_once, "the source of a response that was not created raised"),
        (raises_behind_an_item, "the source of resp_1 raised"),
        (breaks_the_order, "the source of resp_1 broke the order of events"),
        (ends_without_an_end, "the source of resp_1 ended without a terminal event"),
        (goes_on_behind_the_end, "the source of resp_1 said 9 events after its end; they were dropped (R036, R038)"),
    ],
)
def test_the_log_has_what_the_client_does_not_learn(
    source: Source, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "responses_stream"):
        list(guarded(source()))
    assert words in [record.getMessage() for record in caplog.records]
    assert all(record.name == "responses_stream" for record in caplog.records)


def test_the_log_names_the_rule(caplog: pytest.LogCaptureFixture) -> None:
    list(guarded(breaks_the_order()))
    [record] = caplog.records
    assert record.__dict__["event"] == "response.created"
    assert record.exc_info is not None


def test_a_good_source_says_nothing_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    list(guarded(good()))
    assert caplog.records == []


def test_an_event_that_cannot_be_written_is_a_failure_of_its_source() -> None:
    def source() -> Iterator[SyncYield]:
        _, first = begun()
        yield first
        yield UnknownEvent(type="acme:trace", sequence_number=2, extra={"what": object()})

    body = b"".join(encode_stream(source()))
    assert body.endswith(DONE)
    report = validate_events(body, profile="strict")
    assert report.ok, report
    assert accumulate(body).status == "failed"


def test_events_of_several_streams_are_numbered_as_one() -> None:
    numbers = [event.sequence_number for event in guarded([*begun()[1], ResponseEventStream("resp_1").emit_error()])]
    assert numbers == [0, 1, 2, 3]


def test_done_can_be_left_out() -> None:
    assert b"".join(encode_stream(good(), done=False)).count(DONE) == 0


def test_a_text_response_is_a_source() -> None:
    answer = TextResponse(SimpleNamespace(response_id="resp_1"), None, text="Hello")
    assert accumulate(b"".join(encode_stream(answer))).output_text == "Hello"


@pytest.mark.anyio
async def test_a_text_response_that_waits_is_one_by_aiter() -> None:
    async def text() -> str:
        return "Hello"

    answer = TextResponse(SimpleNamespace(response_id="resp_1"), None, text=text)
    response = await accumulate(guarded(aiter(answer)))
    assert response.output_text == "Hello"


class Model:
    """Says three words, and notes how it is left."""

    def __init__(self) -> None:
        self.closed = False

    def now(self) -> Iterator[str]:
        try:
            yield from "abc"
        finally:
            self.closed = True

    async def later(self) -> AsyncIterator[str]:
        try:
            for word in "abc":
                yield word
        finally:
            self.closed = True


def talking(model: Model) -> Iterator[SyncYield]:
    stream, first = begun()
    yield first
    yield stream.output_item_message(model.now())
    yield stream.emit_completed()


async def talking_later(model: Model) -> AsyncIterator[AsyncYield]:
    stream, first = begun()
    for event in first:
        yield event
    yield stream.output_item_message(model.later())
    yield stream.emit_completed()


def test_who_leaves_closes_the_model() -> None:
    model = Model()
    with closing(encode_stream(talking(model))) as frames:
        while b"delta" not in next(frames):
            assert not model.closed
    assert model.closed
    model = Model()
    events = guarded(talking(model))
    for event in events:
        if event.type == "response.output_text.delta":
            break
    events.close()
    assert model.closed


@pytest.mark.anyio
async def test_who_leaves_closes_the_model_that_is_awaited() -> None:
    model = Model()
    async with aclosing(encode_stream(talking_later(model))) as frames:
        while b"delta" not in await anext(frames):
            assert not model.closed
    assert model.closed
    model = Model()
    async with aclosing(guarded(talking_later(model))) as events:
        async for event in events:
            if event.type == "response.output_text.delta":
                break
    assert model.closed


def test_a_source_that_broke_the_order_is_closed_when_the_client_has_read_why() -> None:
    closed: list[str] = []

    def source() -> Iterator[SyncYield]:
        try:
            _, first = begun()
            yield first
            yield first
        finally:
            closed.append("yes")

    frames = encode_stream(source())
    while next(frames) != DONE:
        assert not closed
    assert next(frames, None) is None
    assert closed


@pytest.mark.parametrize("wrong", [3, "text", b"bytes", None])
def test_what_is_no_source_is_refused_at_once(wrong: object) -> None:
    with pytest.raises(InvalidType):
        guarded(wrong)  # type: ignore[call-overload]  # which is the point
    with pytest.raises(InvalidType):
        encode_stream(wrong)  # type: ignore[call-overload]  # which is the point


def test_nothing_is_made_before_it_is_asked_for() -> None:
    stream = ResponseEventStream("resp_1")
    events = guarded(Events(iter([stream.emit_created()])))
    first = next(iter(events))
    assert first.type == "response.created"
    assert stream.emit_in_progress().sequence_number == 1
