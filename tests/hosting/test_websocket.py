"""WebSocket mode over the door of the engine: who gets a connection, and what is said on it (W1, W3, W4, W9)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import attrs
import pytest

from responses_stream import (
    CreateResponse,
    HttpRequest,
    ResponseContext,
    ResponsesServer,
    TextResponse,
)
from responses_stream.hosting.errors import HttpError
from responses_stream.hosting.http import CutShort, HttpReply
from responses_stream.hosting.identity import Identity
from responses_stream.hosting.websocket import Session
from responses_stream.hosting.websocket_memory import Memory
from responses_stream.protocol.events import ResponseStreamEvent

from .asking import ask, request_for
from .connecting import (
    check_error,
    connect,
    connected,
    echoing,
    handshake,
    id_of,
    refused,
    text_of,
    types,
)
from .gates import ID, OPTIONS, quiet, staged

pytestmark = pytest.mark.anyio


# W1: the handshake


@pytest.mark.parametrize("path", ["/responses", "/v1/responses", "/v1/responses/"])
async def test_the_path_of_create_speaks_websocket(path: str) -> None:
    """W1."""
    async with connected(echoing(), path) as connection:
        assert text_of(await connection.turn()) == "0: hi"


async def test_the_prefix_counts() -> None:
    """W1."""
    server = echoing(prefix="/api")
    async with connected(server, "/api/responses") as connection:
        id_of(await connection.turn())
    for path in ("/responses", "/v1/responses", "/api/responses/x", "/api/readiness", "/"):
        answer = await refused(server, handshake(path))
        assert (answer.status, answer.error["code"]) == (404, "not_found")


async def test_where_it_is_off_the_handshake_is_a_426(caplog: pytest.LogCaptureFixture) -> None:
    """pains.md B12: a client that probes for it falls back to HTTP."""
    server = echoing(websocket=False)
    answer = await refused(server, handshake())
    assert (answer.status, answer.error["code"]) == (426, "upgrade_required")
    assert answer.error["additionalInfo"]["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["x-platform-server"].startswith("responses-stream/")
    assert "finished GET /v1/responses: 426" in caplog.text
    assert (await ask(server, {"input": "hi"})).status == 200


@pytest.mark.parametrize("path", ["/responses", "/v1/responses", "/v1/responses/"])
@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", "h2c, websocket"])
async def test_a_transport_without_websockets_answers_426(path: str, upgrade: str) -> None:
    """B12: it hands the handshake to `handle`."""
    answer = await ask(echoing(), method="GET", path=path, headers={"upgrade": upgrade, "connection": "upgrade"})
    assert (answer.status, answer.error["code"]) == (426, "upgrade_required")


async def test_another_upgrade_and_another_path_are_no_handshake() -> None:
    server = echoing()
    assert (await ask(server, method="GET", headers={"upgrade": "h2c"})).status == 405
    assert (await ask(server, method="GET", path="/readiness", headers={"upgrade": "websocket"})).status == 200
    assert (await ask(server, {"input": "hi"}, headers={"upgrade": "websocket"})).status == 200


async def test_the_handshake_of_http_2_has_another_method() -> None:
    """RFC 8441: an extended CONNECT."""
    session = await echoing().open_websocket(HttpRequest("CONNECT", "/v1/responses"))
    assert isinstance(session, Session)
    await session.aclose()


async def test_a_transport_without_room_has_none_for_a_connection() -> None:
    """pains.md G3."""
    request = attrs.evolve(handshake(), may_wait=False)
    answer = await refused(echoing(), request)
    assert (answer.status, answer.error["code"]) == (503, "too_many_requests_waiting")


# L2: the same authorisation as over HTTP


@pytest.mark.parametrize("late", [False, True])
async def test_who_is_not_known_gets_no_connection(late: bool) -> None:
    """L2: the engine asks `identify` at the handshake, sync or async."""

    def identify(request: HttpRequest) -> Identity:
        if request.header("authorization") != "Bearer a":
            raise HttpError(401, "unauthorized", "Who are you?")
        return Identity("a")

    async def identify_late(request: HttpRequest) -> Identity:
        await anyio.lowlevel.checkpoint()
        return identify(request)

    server = ResponsesServer(identify=identify_late if late else identify)
    answer = await refused(server, handshake())
    assert (answer.status, answer.error["code"]) == (401, "unauthorized")
    async with connected(server, headers={"authorization": "Bearer a"}):
        assert len(server._host().sessions) == 1


async def test_each_turn_is_authorised_anew() -> None:
    """L2: a token that is no longer good makes no further response."""
    good = True

    def identify(_request: HttpRequest) -> Identity:
        if not good:
            raise HttpError(401, "unauthorized", "Not any more.")
        return Identity("a")

    server = ResponsesServer(identify=identify)
    server.response_handler(lambda request, context: TextResponse(context, request, text="Hello"))
    async with connected(server) as connection:
        id_of(await connection.turn())
        good = False
        check_error(await connection.error(), 401, "unauthorized", None)


async def test_what_fails_in_the_handshake_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    def identify(_request: HttpRequest) -> Identity:
        raise ZeroDivisionError

    answer = await refused(ResponsesServer(identify=identify), handshake())
    assert (answer.status, answer.error["code"]) == (500, "server_error")
    assert "the server failed at GET /v1/responses" in caplog.text


async def test_the_isolation_keys_of_the_handshake_are_those_of_each_turn() -> None:
    """L2, decision 24."""
    server = echoing()
    mine, other = {"x-agent-user-isolation-key": "a"}, {"x-agent-user-isolation-key": "b"}
    async with connected(server, headers=mine) as connection:
        first = id_of(await connection.turn())
        path = f"/v1/responses/{first}"
        assert (await ask(server, method="GET", path=path, headers=mine)).status == 200
        assert (await ask(server, method="GET", path=path, headers=other)).status == 404
    async with connected(server, headers=other) as connection:
        error = await connection.error(previous_response_id=first)
        check_error(error, 400, "previous_response_not_found", "previous_response_id")


async def test_a_turn_has_the_headers_of_the_handshake_but_for_those_of_one_request() -> None:
    """L5: an `Idempotency-Key` of the handshake would make all turns one."""
    server = ResponsesServer()
    seen: list[ResponseContext] = []

    @server.response_handler
    async def note(request: CreateResponse, context: ResponseContext) -> TextResponse:
        seen.append(context)
        return TextResponse(context, request, text="Hello")

    headers = {"idempotency-key": "k", "x-agent-response-id": ID, "x-request-id": "r", "x-client-a": "b"}
    async with connected(server, headers=headers) as connection:
        ids = [id_of(await connection.turn()) for _ in range(2)]
    assert len({ID, *ids}) == 3
    assert [context.client_headers for context in seen] == [{"x-client-a": "b"}] * 2
    assert json.loads(seen[0].raw_body) == {"model": "m", "input": "hi", "stream": True}


# W3 and W4: what is said


async def test_the_events_are_those_of_sse() -> None:
    """W3: one JSON text message an event, numbers from 0 in each turn, no framing and no marker of the end."""
    ids = iter(["resp_" + letter * 50 for letter in "abc"])
    server = ResponsesServer(clock=lambda: 1.0, make_response_id=lambda _hint: next(ids))

    @server.response_handler
    async def plain(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield stream.emit_completed()

    asked = {"input": "hi", "model": "m", "agent_session_id": "s"}
    over_http = json.loads(
        json.dumps((await ask(server, {**asked, "stream": True})).events).replace("resp_" + "a" * 50, ID)
    )
    async with connected(server) as connection:
        for letter in "bc":
            told = await connection.turn(**asked)
            assert json.loads(json.dumps(told).replace("resp_" + letter * 50, ID)) == over_http


@pytest.mark.parametrize("keep_alive", ["comment", "event"])
async def test_there_is_no_sign_of_life(keep_alive: Any) -> None:
    """W3: comments are of SSE, and a WebSocket has pings of its own."""
    options = attrs.evolve(OPTIONS, keep_alive=keep_alive, sse_keep_alive_interval_seconds=0.001)
    async with staged(options=options) as stage, connected(stage.server) as connection:
        gate = stage.steps.hold("in_progress")
        await connection.send()
        assert (await connection.get())["type"] == "response.created"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.get)
            # Another stream, which has them, shows that their time was over.
            reply = await stage.server.handle(request_for({"stream": True}))
            assert not isinstance(reply.body, bytes)
            while b"keep" not in await anext(aiter(reply.body)):
                pass
            await reply.body.aclose()
            gate.open()
        assert types(connection.said[-2:]) == ["response.created", "response.in_progress"]
        await connection.answer()


async def test_a_client_that_reads_slowly_holds_back_its_own_turn() -> None:
    """H13.7, L7: no more is made ahead than over SSE."""
    server, said = ResponsesServer(), 0

    @server.response_handler
    async def eager(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        nonlocal said
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        message = stream.add_output_item_message()
        yield message.emit_added()
        text = message.add_text_content()
        yield text.emit_added()
        for _ in range(1000):
            said += 1
            yield text.emit_delta("x" * 1000)
        yield text.emit_text_done()
        yield text.emit_done()
        yield message.emit_done()
        yield stream.emit_completed()

    async with connected(server) as connection:
        await connection.send(store=False)
        await connection.get()
        await quiet()
        assert said < 200
        assert connection.session._ready
        rest = await connection.answer()
        assert len(rest[-1]["response"]["output"][0]["content"][0]["text"]) == 1_000_000


async def test_turns_are_answered_one_after_the_other() -> None:
    """W4."""
    async with staged() as stage, connected(stage.server) as connection:
        gate = stage.steps.hold("completed")
        for _ in range(3):
            await connection.send(store=False)
        await connection.send_raw("{")
        assert types([await connection.get() for _ in range(2)]) == ["response.created", "response.in_progress"]
        assert stage.live == 1
        gate.open()
        told = await connection.answer()
        assert types(told) == ["response.completed"]
        for _ in range(2):
            id_of(await connection.answer())
        check_error(await connection.get(), 400, "invalid_request_error", None)
        assert len({context.response_id for context in stage.contexts}) == 3


# W9: what fails


async def failing(request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
    """Fails in the way that its input says."""
    stream = context.stream()
    if request.input == "before":
        raise ZeroDivisionError
    if request.input == "error before":
        yield {"type": "error", "message": "No."}
    yield stream.emit_created()
    if request.input == "after":
        raise ZeroDivisionError
    if request.input == "failed":
        yield stream.emit_failed()
        return
    yield stream.emit_completed()


@pytest.mark.parametrize(
    ("how", "told", "message"),
    [
        ("before", ["error"], "An internal server error occurred."),
        ("error before", ["error"], "No."),
        ("after", ["response.created", "error", "response.failed"], "An internal server error occurred."),
        ("failed", ["response.created", "response.failed"], None),
    ],
)
async def test_a_handler_that_fails(how: str, told: list[str], message: str | None) -> None:
    """W9, R207; decisions 5 and 12. The connection stays open."""
    server = ResponsesServer()
    server.response_handler(failing)
    async with connected(server) as connection:
        for store in (True, False):
            messages = await connection.turn(input=how, store=store)
            assert types(messages) == told
            errors = [one for one in messages if one["type"] == "error"]
            for error in errors:
                check_error(error, 500, "server_error", None)
                assert error["error"]["message"] == error["message"] == message
            assert id_of(await connection.turn(input="well", store=store))


async def test_an_error_in_the_words_of_a_handler_is_completed() -> None:
    """R207: code and message are there, whatever the handler has left out."""
    server = ResponsesServer()

    @server.response_handler
    async def odd(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream = context.stream()
        yield stream.emit_created()
        yield {"type": "error", "code": "model_overloaded", "message": "Later.", "param": None, "acme": 1}
        yield stream.emit_failed()

    async with connected(server) as connection:
        _, error, failed = await connection.turn()
        check_error(error, 500, "model_overloaded", None)
        assert (error["acme"], error["code"], failed["type"]) == (1, "model_overloaded", "response.failed")


async def test_a_status_that_a_handler_tells_stays() -> None:
    """W9: it may pass on what another server has said."""
    server = ResponsesServer()

    @server.response_handler
    async def relay(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream = context.stream()
        yield stream.emit_created()
        yield {"type": "error", "code": "rate_limited", "message": "Later.", "param": "model", "status": 429}
        yield stream.emit_failed()

    async with connected(server) as connection:
        check_error((await connection.turn())[1], 429, "rate_limited", "model")


async def test_a_server_that_has_no_room_says_so_and_goes_on() -> None:
    """Decision 27."""
    async with (
        staged(options=attrs.evolve(OPTIONS, max_concurrent_runs=1)) as stage,
        connected(stage.server) as first,
        connected(stage.server) as second,
    ):
        gate = stage.steps.hold("in_progress")
        await first.send()
        await first.get()
        check_error(await second.error(), 503, "too_many_runs", None)
        gate.open()
        await first.answer()
        await stage.idle()
        id_of(await second.turn())


async def test_an_engine_that_fails_closes_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    async def turn(_request: HttpRequest, _memory: Memory) -> HttpReply:
        raise ZeroDivisionError

    session = Session(handshake(), turn, Memory(10), max_bytes=100, on_close=lambda _: None)
    await session.receive('{"type":"response.create"}')
    assert [message async for message in session] == []
    assert session.close_code == 1011
    assert "a WebSocket at /v1/responses ends by an error" in caplog.text
    await session.aclose()


@attrs.define
class Pieces:
    """A body that gives one piece, and then raises."""

    pieces: list[bytes]
    error: Exception
    closed: int = 0

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        if not self.pieces:
            raise self.error
        return self.pieces.pop(0)

    async def aclose(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("error", [CutShort("told before"), ZeroDivisionError()])
async def test_a_stream_that_cannot_be_ended_closes_with_1011(error: Exception) -> None:
    """`CutShort`: the client can tell that this was not the end."""
    body = Pieces([b'event: a\ndata: {"type":"a"}\n\n'], error)

    async def turn(_request: HttpRequest, _memory: Memory) -> HttpReply:
        return HttpReply(200, (), body)

    closed: list[Session] = []
    session = Session(handshake(), turn, Memory(10), max_bytes=100, on_close=closed.append)
    await session.receive('{"type":"response.create"}')
    await session.receive('{"type":"response.create"}')
    assert [message async for message in session] == ['{"type":"a"}']
    assert (session.close_code, body.closed) == (1011, 1)
    await session.aclose()
    await session.aclose()
    assert closed == [session]


# One session, seen from its transport


async def test_a_session_that_was_never_iterated_can_be_closed() -> None:
    server = echoing()
    connection = await connect(server)
    await connection.send()
    await connection.session.aclose()
    assert [message async for message in connection.session] == []
    assert not server._host().sessions


async def test_a_server_without_a_lifespan_has_connections_too() -> None:
    """H15.15."""
    server = echoing()
    async with connected(server) as one, connected(server) as two:
        first = id_of(await one.turn(store=False))
        assert text_of(await two.turn()) == "0: hi"
        assert text_of(await one.turn(store=False, previous_response_id=first)) == "2: hi"


async def test_a_handshake_and_its_turns_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """H16.10: each turn is a request of its own."""
    caplog.set_level("INFO", "responses_stream")
    async with connected(echoing()) as connection:
        id_of(await connection.turn())
        await connection.send_raw("{")
        await connection.get()
    messages = [record.getMessage() for record in caplog.records]
    for line in (
        "started GET /v1/responses",
        "finished GET /v1/responses: 101 in",
        "started POST /v1/responses",
        "finished POST /v1/responses: 200 in",
        "a message at /v1/responses is refused: 400 invalid_request_error",
    ):
        assert any(message.startswith(line) for message in messages), line


async def test_a_sync_handler_is_stopped_like_any_other() -> None:
    """W11."""
    server = ResponsesServer()
    begun, ended = anyio.Event(), anyio.Event()

    @server.response_handler
    def slow(_request: CreateResponse, context: Any) -> Any:
        stream = context.stream()
        try:
            yield stream.emit_created()
            anyio.from_thread.run_sync(begun.set)
            anyio.from_thread.run(context.cancellation.wait)
            yield stream.emit_completed()
        finally:
            anyio.from_thread.run_sync(ended.set)

    connection = await connect(server)
    await connection.send()
    await connection.get()
    await begun.wait()
    await connection.session.aclose()
    await ended.wait()


async def test_two_connections_do_not_wait_for_each_other() -> None:
    """W4 is of one connection."""
    async with staged() as stage, connected(stage.server) as one, connected(stage.server) as two:
        gate = stage.steps.hold("completed")
        for connection in (one, two):
            await connection.send(store=False)
            await connection.get()
        assert stage.live == 2
        gate.open()
        for connection in (two, one):
            await connection.answer()
