"""Normal lifecycles: what a handler may say, and that it arrives as it was said (H3.28 to H3.38)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from responses_stream import CreateResponse, ResponseContext, ResponseEventStream, ResponsesServer
from responses_stream.protocol.base import UnknownEvent
from responses_stream.protocol.events import ResponseStreamEvent

from .asking import ask
from .playing import MODES, STORED, STREAMS, Played, check_whole, play
from .test_faults import handler_of

pytestmark = pytest.mark.anyio


async def played_whole(events: Any, mode: str, kind: str = "async") -> Played:
    played = await play(handler_of(events, kind), mode)
    check_whole(played)
    return played


def is_queued(stream: ResponseEventStream) -> Iterator[ResponseStreamEvent]:
    yield stream.emit_created(status="queued")
    yield stream.emit_queued()
    yield stream.emit_in_progress()
    yield stream.emit_completed()


@pytest.mark.parametrize("mode", MODES)
async def test_a_response_may_be_queued_first(mode: str) -> None:
    """H3.31, H3.36."""
    played = await played_whole(is_queued, mode)
    if mode in STREAMS:
        assert [event["response"]["status"] for event in played.created.events] == [
            "queued",
            "queued",
            "in_progress",
            "completed",
        ]
        assert played.created.types[1] == "response.queued"
    if mode == "B":
        assert played.created.json["status"] == "queued"
    assert played.response["status"] == "completed"


def fails(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield stream.output_item_message("half an answer")
    yield stream.emit_failed(
        "rate_limit_exceeded", "Slow down.", usage={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    )


def is_incomplete(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield stream.output_item_message("half an answer")
    yield stream.emit_incomplete("max_output_tokens")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_failure_of_the_handlers_own_is_kept_word_for_word(kind: str, mode: str) -> None:
    """H3.32, H3.37, H3.38; with no `error` in front of it (decision 29), and the status of S is 200 (H3.39)."""
    played = await played_whole(fails, mode, kind)
    response = played.response
    assert (response["status"], response["incomplete_details"]) == ("failed", None)
    assert response["error"] == {"code": "rate_limit_exceeded", "message": "Slow down."}
    assert response["output"][0]["content"][0]["text"] == "half an answer"
    assert response["usage"]["total_tokens"] == 3
    if mode in STREAMS:
        assert "error" not in played.created.types


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_the_reason_of_an_incomplete_response_is_kept(kind: str, mode: str) -> None:
    """H3.32, H3.37."""
    response = (await played_whole(is_incomplete, mode, kind)).response
    assert (response["status"], response["error"]) == ("incomplete", None)
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][0]["content"][0]["text"] == "half an answer"


def goes_straight_to_its_end(stream: ResponseEventStream) -> Iterator[ResponseStreamEvent]:
    yield stream.emit_created()
    yield stream.emit_completed()


@pytest.mark.parametrize("mode", MODES)
async def test_in_progress_may_be_skipped(mode: str) -> None:
    """H3.35."""
    assert (await played_whole(goes_straight_to_its_end, mode)).response["status"] == "completed"


def is_in_progress_twice(stream: ResponseEventStream) -> Iterator[ResponseStreamEvent]:
    yield stream.emit_created()
    event = stream.emit_in_progress()
    yield event
    yield event
    yield stream.emit_completed()


@pytest.mark.parametrize("mode", ["SS", "BS"])
async def test_in_progress_comes_once(mode: str) -> None:
    """R035 and decision 33, against H3.33; what is refused takes no number (decision 3)."""
    played = await played_whole(is_in_progress_twice, mode)
    assert played.created.types == ["response.created", "response.in_progress", "error", "response.failed"]


def says_unknown_things(_: ResponseEventStream) -> Iterator[Any]:
    yield {"type": "response.created", "sequence_number": 70, "response": {"status": "in_progress", "output": []}}
    yield UnknownEvent(type="acme:thinking", extra={"depth": [1, {"x": None}]})
    yield {"type": "acme:more", "sequence_number": 3, "text": "ö"}
    yield {"type": "response.acme.later"}
    yield {"type": "response.completed", "response": {"id": "", "status": "completed", "output": []}}


@pytest.mark.parametrize("mode", ["SS", "BS", "ES", "B"])
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_unknown_events_are_passed_through_and_numbered(kind: str, mode: str) -> None:
    """H3.34, H3.29, decision 7."""

    def said(stream: ResponseEventStream) -> Iterator[Any]:
        *before, last = says_unknown_things(stream)
        yield from before
        yield {**last, "response": {**last["response"], "id": stream.response_id}}

    played = await played_whole(said, mode, kind)
    if mode == "B":
        return
    _, first, second, third, _ = played.created.events
    assert first == {"type": "acme:thinking", "sequence_number": 1, "depth": [1, {"x": None}]}
    assert second == {"type": "acme:more", "sequence_number": 2, "text": "ö"}
    assert third == {"type": "response.acme.later", "sequence_number": 3}


@pytest.mark.parametrize("mode", STORED)
async def test_what_was_said_is_a_copy(mode: str) -> None:
    """H3.30, H5.21: what a handler changes later changes no event before, on the wire or on replay."""
    metadata, item = (
        {"a": "1"},
        {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": []},
    )
    content: list[dict[str, Any]] = []

    def changes(stream: ResponseEventStream) -> Iterator[Any]:
        response: dict[str, Any] = {"id": stream.response_id, "output": [], "metadata": metadata}
        yield {"type": "response.created", "response": {**response, "status": "in_progress"}}
        yield {"type": "response.in_progress", "response": {**response, "status": "in_progress"}}
        metadata["a"] = "2"
        yield {"type": "response.output_item.added", "output_index": 0, "item": {**item, "status": "in_progress"}}
        content.append({"type": "output_text", "text": "later", "annotations": []})
        yield {"type": "response.output_item.done", "output_index": 0, "item": {**item, "content": content}}
        response["output"] = [{**item, "content": content}]
        yield {"type": "response.completed", "response": {**response, "status": "completed"}}
        content[0]["text"] = "after the end"
        metadata["a"] = "3"

    played = await play(handler_of(changes, "async"), mode)
    response = played.response
    assert response["metadata"] == {"a": "2"}
    assert response["output"][0]["content"][0]["text"] == "later"
    assert played.got.json == response
    if mode in STREAMS:
        created, _, added, *_ = played.created.events
        assert created["response"]["metadata"] == {"a": "1"}
        assert added["item"]["content"] == []
    if mode == "BS":
        assert played.replayed.body == played.created.body
    if mode == "B":
        assert played.created.json["metadata"] == {"a": "1"}


async def test_the_draft_may_be_changed_until_it_is_created() -> None:
    """H17.8, H3.30."""
    server = ResponsesServer()

    @server.response_handler
    async def configures(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        stream = context.stream()
        stream.response.temperature = 0.25
        yield stream.emit_created()
        yield stream.emit_completed()

    answer = await ask(server, {"stream": True, "temperature": 1})
    assert {event["response"]["temperature"] for event in answer.events} == {0.25}


def leaves_its_output_out(stream: ResponseEventStream) -> Iterator[Any]:
    yield {"type": "response.created", "response": {"status": "in_progress", "output": []}}
    yield {"type": "response.in_progress", "response": {"id": stream.response_id, "output": []}}
    item = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": {**item, "status": "in_progress"}}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": {"id": stream.response_id, "status": "completed", "output": []}}


@pytest.mark.parametrize("mode", MODES)
async def test_an_end_without_its_output_has_what_was_done(mode: str) -> None:
    """Clients take the terminal event for all there is (pains A6)."""
    played = await played_whole(leaves_its_output_out, mode)
    assert [item["id"] for item in played.response["output"]] == ["m"]
