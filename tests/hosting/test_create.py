"""`POST /responses`: the stream, the JSON, and that they are one response."""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncIterator, Iterator

import anyio
import anyio.lowlevel
import pytest

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)
from responses_stream.accumulator import accumulate
from responses_stream.builders.events import AsyncEvents, Events
from responses_stream.hosting import creating
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.ids import is_response_id, partition_of
from responses_stream.protocol.response import ResponseUsage

from .asking import answer_of, ask, request_for

pytestmark = pytest.mark.anyio

USAGE = ResponseUsage(input_tokens=3, output_tokens=2, total_tokens=5)


async def words() -> AsyncIterator[str]:
    yield "Hel"
    await anyio.lowlevel.checkpoint()
    yield "lö"


async def tell(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent | AsyncEvents]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield stream.output_item_message(words())
    yield stream.emit_completed(usage=USAGE)


@pytest.fixture
def server() -> ResponsesServer:
    server = ResponsesServer()
    server.response_handler(tell)
    return server


TYPES = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


async def test_a_stream_has_every_event_numbered_from_0_and_ends_with_done(server: ResponsesServer) -> None:
    answer = await ask(server, {"input": "hi", "stream": True})
    assert answer.status == 200
    assert answer.types == TYPES
    assert [event["sequence_number"] for event in answer.events] == list(range(len(TYPES)))
    assert answer.data[-1] == "[DONE]"
    assert answer.body.endswith(b"\n\ndata: [DONE]\n\n")
    assert "Hellö" in answer.body.decode()


async def test_the_headers_of_a_stream_keep_proxies_from_holding_it_back(server: ResponsesServer) -> None:
    body = {"stream": True, "agent_session_id": "session"}
    answer = await ask(server, body, headers={"x-request-id": "mine"})
    assert answer.headers.pop("x-platform-server").startswith("responses-stream/")
    assert answer.headers == {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "content-encoding": "identity",
        "x-request-id": "mine",
        "x-agent-session-id": "session",
    }


async def test_the_end_marker_is_an_option() -> None:
    server = ResponsesServer(options=ResponsesServerOptions(sse_done_marker=False))
    server.response_handler(tell)
    answer = await ask(server, {"stream": True})
    assert answer.types == TYPES
    assert answer.data[-1] != "[DONE]"


async def test_without_stream_the_answer_is_the_final_response(server: ResponsesServer) -> None:
    answer = await ask(server, {"input": "hi", "model": " m ", "metadata": {"a": "b"}, "temperature": 0.5})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))
    response = answer.json
    assert response["status"] == "completed"
    assert response["model"] == "m"
    assert response["metadata"] == {"a": "b"}
    assert response["temperature"] == 0.5
    assert response["output"][0]["content"][0]["text"] == "Hellö"
    assert response["usage"]["total_tokens"] == 5
    assert "sequence_number" not in response


async def test_stream_fold_and_json_are_one_response(server: ResponsesServer) -> None:
    asked = {"input": "hi", "response_id": "resp_" + "a" * 50, "agent_session_id": "session", "store": False}
    streamed = await ask(server, {**asked, "stream": True})
    folded = to_builtins(accumulate(streamed.events))
    assert folded == streamed.events[-1]["response"]
    plain = (await ask(server, asked)).json
    for response in (folded, plain):
        del response["created_at"], response["completed_at"], response["output"][0]["id"]
    assert folded == plain


async def test_numbers_are_given_by_the_server() -> None:
    server = ResponsesServer()

    @server.response_handler
    async def two_builders(
        _request: CreateResponse, context: ResponseContext
    ) -> AsyncIterator[ResponseStreamEvent | Events]:
        yield context.stream().emit_created()
        stream = context.stream()
        stream.emit_created()
        for event in [stream.emit_in_progress(), *stream.output_item_message("x"), stream.emit_completed()]:
            yield type(event)(**{**_members(event), "sequence_number": 77})

    answer = await ask(server, {"stream": True})
    assert [event["sequence_number"] for event in answer.events] == list(range(len(answer.events)))
    assert answer.types[-1] == "response.completed"


def _members(event: ResponseStreamEvent) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


async def test_the_reply_waits_for_the_first_event_and_each_event_is_there_at_once() -> None:
    server = ResponsesServer()
    steps = [anyio.Event() for _ in range(3)]

    @server.response_handler
    async def stepwise(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        stream = context.stream()
        await steps[0].wait()
        yield stream.emit_created()
        await steps[1].wait()
        yield stream.emit_in_progress()
        await steps[2].wait()
        yield stream.emit_completed()

    replied = anyio.Event()
    pieces: list[bytes] = []
    async with anyio.create_task_group() as tasks:

        async def follow() -> None:
            reply = await server.handle(request_for({"stream": True}))
            replied.set()
            assert not isinstance(reply.body, bytes)
            async for piece in reply.body:
                pieces.append(piece)
                if len(pieces) < 3:
                    steps[len(pieces)].set()

        tasks.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        assert not replied.is_set()
        steps[0].set()
        await replied.wait()
    assert [piece.split(b"\n")[0] for piece in pieces] == [
        b"event: response.created",
        b"event: response.in_progress",
        b"event: response.completed",
    ]
    assert pieces[-1].endswith(b"data: [DONE]\n\n")


async def test_the_reply_waits_no_longer_than_one_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creating, "HEADERS_WAIT", 0.0)
    server = ResponsesServer(options=ResponsesServerOptions(keep_alive="off"))
    release = anyio.Event()

    @server.response_handler
    async def slow(_request: CreateResponse, context: ResponseContext) -> TextResponse:
        await release.wait()
        return TextResponse(context, _request, text="late")

    reply = await server.handle(request_for({"stream": True}))
    assert reply.status == 200
    release.set()
    assert (await answer_of(reply)).types[-1] == "response.completed"


async def test_a_burst_is_one_piece_behind_the_first() -> None:
    """The run pauses once when it has begun, so that clients see that at once (H2.8)."""
    server = ResponsesServer()

    @server.response_handler
    async def burst(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text=["a", "b", "c"])

    reply = await server.handle(request_for({"stream": True, "store": False}))
    assert not isinstance(reply.body, bytes)
    pieces = [piece async for piece in reply.body]
    assert len(pieces) <= 2
    assert b"".join(pieces).count(b"event: ") == 11


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_slow_client_holds_back_its_run(kind: str) -> None:
    server = ResponsesServer()
    told = 0

    def pour(context: ResponseContext) -> Iterator[ResponseStreamEvent]:
        nonlocal told
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        for event in stream.output_item_message("x" * 1000 for _ in itertools.count()):
            told += 1
            yield event

    if kind == "sync":

        @server.response_handler
        def in_thread(_request: CreateResponse, context: ResponseContext) -> Iterator[ResponseStreamEvent]:
            yield from pour(context)
    else:

        @server.response_handler
        async def in_loop(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
            for event in pour(context):
                yield event

    reply = await server.handle(request_for({"stream": True}))
    assert not isinstance(reply.body, bytes)
    size = 0
    while size < 500_000:
        # Each piece is what the run was allowed to be ahead, and not more than two events beyond it.
        piece = await anext(aiter(reply.body))
        size += len(piece)
        assert len(piece) < 64 * 1024 + 3000
    assert told < (size + 64 * 1024) / 1000 + 10
    await reply.body.aclose()


async def test_runs_are_apart(server: ResponsesServer) -> None:
    answers = []

    async def one(text: str) -> None:
        answers.append(await ask(server, {"input": text, "stream": True}))

    async with anyio.create_task_group() as tasks:
        for text in "abcdef":
            tasks.start_soon(one, text)
    assert all(answer.types == TYPES for answer in answers)
    assert len({answer.events[0]["response"]["id"] for answer in answers}) == 6


async def test_what_comes_after_the_end_is_dropped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    server = ResponsesServer()
    finished = anyio.Event()

    @server.response_handler
    async def too_much(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_completed()
        yield context.stream().emit_created()
        yield context.stream().emit_created()
        finished.set()

    answer = await ask(server, {"stream": True})
    assert answer.types == ["response.created", "response.completed"]
    await finished.wait()
    await anyio.wait_all_tasks_blocked()
    assert "said 2 events after the end" in caplog.text


async def test_a_handler_may_go_on_after_the_end() -> None:
    server = ResponsesServer()
    release, finished = anyio.Event(), anyio.Event()

    @server.response_handler
    async def tidy(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_completed()
        await release.wait()
        finished.set()

    for body in ({"stream": True}, {}):
        assert (await ask(server, body)).status == 200
        assert not finished.is_set()
        release.set()
        await finished.wait()
        release, finished = anyio.Event(), anyio.Event()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_handler_that_says_nothing_has_completed(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    server = ResponsesServer()

    @server.response_handler
    async def nothing(_request: CreateResponse, _context: ResponseContext) -> list[ResponseStreamEvent]:
        return []

    answer = await ask(server, {"stream": stream, "model": "m"})
    if stream:
        assert answer.types == ["response.created", "response.in_progress", "response.completed"]
        response = answer.events[-1]["response"]
    else:
        response = answer.json
    assert (response["status"], response["output"], response["model"]) == ("completed", [], "m")
    [record] = [record for record in caplog.records if record.getMessage().startswith("handler ")]
    assert (record.name, record.levelno) == ("responses_stream", logging.WARNING)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("end", ["failed", "incomplete"])
async def test_what_the_handler_says_of_its_end_is_kept(stream: bool, end: str) -> None:
    server = ResponsesServer()

    @server.response_handler
    async def ends(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        events = context.stream()
        yield events.emit_created()
        if end == "failed":
            yield events.emit_failed("rate_limit_exceeded", "Slow down.")
        else:
            yield events.emit_incomplete("content_filter")

    answer = await ask(server, {"stream": stream})
    assert answer.status == 200
    if stream:
        assert answer.types == ["response.created", f"response.{end}"]
    response = answer.events[-1]["response"] if stream else answer.json
    assert response["status"] == end
    if end == "failed":
        assert response["error"] == {"code": "rate_limit_exceeded", "message": "Slow down."}
    else:
        assert response["incomplete_details"] == {"reason": "content_filter"}


async def test_an_id_is_made_with_the_prefix_and_in_the_partition_of_the_conversation() -> None:
    server = ResponsesServer(options=ResponsesServerOptions(id_prefix="acme"))
    server.response_handler(tell)
    conversation = "conv_" + "0123456789abcdef00" + "x" * 32
    for named in (conversation, {"id": conversation}):
        made = (await ask(server, {"conversation": named})).json
        assert made["id"].startswith("acme_")
        assert is_response_id(made["id"], "acme")
        assert partition_of(made["id"]) == "0123456789abcdef00"
        assert made["conversation"] == {"id": conversation}


async def test_a_client_may_choose_the_id_and_the_header_wins(server: ResponsesServer) -> None:
    body_id, header_id = "caresp_" + "b" * 50, "resp_" + "h" * 50
    assert (await ask(server, {"response_id": body_id, "store": False})).json["id"] == body_id
    headers = {"x-agent-response-id": f" {header_id} "}
    answer = await ask(server, {"response_id": body_id, "store": False}, headers=headers)
    assert answer.json["id"] == header_id
    answer = await ask(server, {"response_id": body_id, "store": False}, headers={"x-agent-response-id": " "})
    assert answer.json["id"] == body_id


async def test_the_handler_knows_how_it_was_asked() -> None:
    server = ResponsesServer()
    seen: list[ResponseContext] = []

    @server.response_handler
    async def look(request: CreateResponse, context: ResponseContext) -> TextResponse:
        seen.append(context)
        assert context.request is request
        return TextResponse(context, request, text="ok")

    await ask(
        server,
        {"stream": True, "store": False, "conversation": "conv_1", "acme_field": [1]},
        query="a=1&a=2&b=",
        headers={"x-client-name": "me", "authorization": "secret"},
    )
    await ask(server, {"store": None})
    first, second = seen
    assert (first.mode_flags.stream, first.mode_flags.store, first.mode_flags.background) == (True, False, False)
    assert (second.mode_flags.stream, second.mode_flags.store, second.mode_flags.background) == (False, True, False)
    assert first.client_headers == {"x-client-name": "me"}
    assert first.query_parameters == {"a": "2", "b": ""}
    assert (first.conversation_id, second.conversation_id) == ("conv_1", None)
    assert first.request.extra == {"acme_field": [1]}
    assert first.created_at > 1_700_000_000


async def test_the_last_registered_handler_counts(server: ResponsesServer) -> None:
    @server.response_handler
    async def other(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text="other")

    assert (await ask(server, {})).json["output"][0]["content"][0]["text"] == "other"
