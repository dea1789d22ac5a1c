"""How far a response has come: folded by the run event by event, or read from the frames of a log."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from responses_stream import ResponseEventStream
from responses_stream.hosting.progress import Progress, progress_of
from responses_stream.protocol.base import UnknownEvent
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.items import ResponseOutputMessage
from responses_stream.sse import encode_event


def told(end: str = "") -> Iterator[ResponseStreamEvent]:
    stream = ResponseEventStream("resp_1", {"model": "m"})
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield from stream.output_item_message("one")
    second, third = stream.add_output_item_message(), stream.add_output_item_message()
    yield second.emit_added()
    yield third.emit_added()
    text = third.add_text_content()
    yield text.emit_added()
    yield text.emit_delta("thr")
    yield text.emit_delta("ee")
    yield text.emit_text_done()
    yield text.emit_done()
    yield third.emit_done()
    if end == "failed":
        yield stream.emit_failed()


def texts(progress: Progress) -> list[str]:
    response = progress.response()
    assert response is not None
    return [
        "".join(getattr(part, "text", "") for part in item.content)
        for item in response.output
        if isinstance(item, ResponseOutputMessage)
    ]


def test_nothing_was_said() -> None:
    progress = Progress()
    assert (progress.said, progress.response(), progress.added, progress.done()) == (None, None, 0, [])
    assert progress_of([]).response() is None


def test_an_item_is_there_when_it_was_added_and_whole_when_it_is_done() -> None:
    """H2.22: deltas change nothing."""
    progress, seen = Progress(), []
    for event in told():
        progress.feed(event)
        if (response := progress.response()) is not None:
            seen.append((str(event.type).removeprefix("response."), texts(progress)))
            assert response.status == "in_progress"
    assert list(dict.fromkeys((kind, tuple(now)) for kind, now in seen)) == [
        ("created", ()),
        ("in_progress", ()),
        ("output_item.added", ("",)),
        ("content_part.added", ("",)),
        ("output_text.delta", ("",)),
        ("output_text.done", ("",)),
        ("content_part.done", ("",)),
        ("output_item.done", ("one",)),
        ("output_item.added", ("one", "")),
        ("output_item.added", ("one", "", "")),
        ("content_part.added", ("one", "", "")),
        ("output_text.delta", ("one", "", "")),
        ("output_text.done", ("one", "", "")),
        ("content_part.done", ("one", "", "")),
        ("output_item.done", ("one", "", "three")),
    ]
    assert progress.added == 3


def test_what_is_done_and_by_when() -> None:
    """Decision 10: items that were open are left out; those that were done later than asked are as well."""
    progress, numbers = Progress(), []
    for number, event in enumerate(told()):
        progress.feed(event)
        if event.type == "response.output_item.done":
            numbers.append(number)
    first, last = numbers
    assert [len(progress.done(before)) for before in (first, first + 1, last, last + 1, None)] == [0, 1, 1, 2, 2]


def test_the_end_is_what_the_last_event_said() -> None:
    progress = Progress()
    events = list(told("failed"))
    for event in events:
        progress.feed(event)
    response = progress.response()
    assert response is not None
    assert response.status == "failed"
    assert response is progress.said


def test_an_end_that_the_server_made_counts() -> None:
    progress = Progress()
    for event in told():
        progress.feed(event)
    stream = ResponseEventStream("resp_1")
    end = stream.emit_created().response
    progress.end(end)
    assert progress.response() is end


def test_a_stream_that_goes_on_from_stored_items_tells_them() -> None:
    """H17.20."""
    stream = ResponseEventStream("resp_1")
    created = stream.emit_created()
    stream.emit_in_progress()
    item = [*stream.output_item_message("stored")][-1].item
    progress = Progress()
    for event in _with_output(created, item):
        progress.feed(event)
    assert texts(progress) == ["stored"]
    assert len(progress.done()) == 1


def _with_output(created: ResponseStreamEvent, item: object) -> Iterator[ResponseStreamEvent]:
    response = msgspec.structs.replace(created.response, output=[item])  # type: ignore[union-attr]  # a lifecycle event
    yield msgspec.structs.replace(created, response=response)


@pytest.mark.parametrize("count", [0, 1, 2, 9, 10, 13, 99])
def test_the_frames_of_a_log_tell_the_same(count: int) -> None:
    """What a process finds that only has the log is what the run knew."""
    events = list(told("failed"))[:count]
    progress = Progress()
    for event in events:
        progress.feed(event)
    frames = [encode_event(event) for event in events]
    frames.insert(1, encode_event(UnknownEvent(type="acme:response.created", extra={"response": 3})))
    read = progress_of(frames)
    assert msgspec.to_builtins(read.response()) == msgspec.to_builtins(progress.response())
    assert msgspec.to_builtins(read.done()) == msgspec.to_builtins(progress.done())
