"""What a client may send on a WebSocket, and how much of it (W2, W10, pains.md L7)."""

from __future__ import annotations

import json
from typing import Any

import anyio
import attrs
import pytest

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    TextResponse,
)
from responses_stream.hosting.websocket import MOST_WAITING

from .asking import ask
from .connecting import (
    check_error,
    connect,
    connected,
    echoing,
    id_of,
    text_of,
    types,
)
from .gates import OPTIONS, quiet, staged

pytestmark = pytest.mark.anyio


# W2 and W10: what is asked


@pytest.mark.parametrize("member", ["stream", "stream_options", "background"])
@pytest.mark.parametrize("value", [True, False, None, {}])
async def test_what_belongs_to_http_is_refused(member: str, value: object) -> None:
    """W2, C15."""
    async with connected(echoing()) as connection:
        message = {"type": "response.create", "model": "m", "input": "hi", member: value}
        await connection.send_raw(json.dumps(message))
        check_error(await connection.get(), 400, "unsupported_parameter", member)
        id_of(await connection.turn())


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("", "invalid_request_error", None),
        ("{", "invalid_request_error", None),
        ('{"a":\ud800}', "invalid_request_error", None),
        ("[]", "invalid_request", None),
        ("3", "invalid_request", None),
        ("null", "invalid_request", None),
        ("{}", "invalid_request", "type"),
        ('{"type":3}', "invalid_request", "type"),
        ('{"type":"session.update"}', "invalid_request", "type"),
        (b"{}", "invalid_request", None),
        (b'{"type":"response.create"}', "invalid_request", None),
        ("[" * 100_000, "invalid_request", None),
        ('{"a":' + "[" * 100_000, "invalid_request_error", None),
        ('{"type":"response.create","input":' + "[" * 100 + "]" * 100 + "}", "invalid_request", None),
    ],
)
async def test_what_is_no_message_is_told_and_the_connection_stays(
    message: str | bytes, code: str, param: str | None
) -> None:
    """W9, W10."""
    async with connected(echoing()) as connection:
        await connection.send_raw(message)
        check_error(await connection.get(), 400, code, param)
        id_of(await connection.turn())


async def test_what_is_not_here_yet_is_refused_with_its_name() -> None:
    """Steering, lanes and warming up belong to a server that has them; an error repeats its lane (R204)."""
    async with connected(echoing()) as connection:
        await connection.send_raw('{"type":"response.steer","previous_response_id":"resp_1","input":"x"}')
        check_error(await connection.get(), 400, "unsupported_parameter", "type")
        await connection.send(stream_id="lane")
        error = await connection.get()
        check_error(error, 400, "unsupported_parameter", "stream_id")
        assert error["stream_id"] == "lane"
    async with connected(echoing()) as connection:
        check_error(await connection.error(generate=False), 400, "unsupported_parameter", "generate")
        check_error(await connection.error(stream_id=3), 400, "unsupported_parameter", "stream_id")
        id_of(await connection.turn(stream_id=None, generate=True))


async def test_a_request_that_does_not_fit_is_told_as_over_http() -> None:
    """W9: with the same code, and every place that is wrong."""
    server, bad = echoing(), {"input": [{"type": "message", "role": 3}], "temperature": "hot"}
    over_http = await ask(server, {"model": "m", **bad})
    async with connected(server) as connection:
        error = await connection.error(**bad)
        assert error["status"] == over_http.status == 400
        told, told_over_http = error["error"], over_http.error
        del told["additionalInfo"], told_over_http["additionalInfo"]
        assert told == told_over_http
        assert len(error["error"]["details"]) > 1
        check_error(await connection.error(temperature=9), 400, "invalid_request", "temperature")
        check_error(await connection.error(background=True), 400, "unsupported_parameter", "background")
        del connection.said[-2]  # R205 is what was asked for here
        id_of(await connection.turn())


async def test_values_stand_as_the_client_wrote_them() -> None:
    """Numbers that no float holds, members that nobody knows, and escapes get through as over HTTP."""
    server = ResponsesServer()
    bodies: list[bytes] = []

    @server.response_handler
    async def note(request: CreateResponse, context: ResponseContext) -> TextResponse:
        bodies.append(context.raw_body)
        return TextResponse(context, request, text="Hello")

    inner = '{"number":123456789012345678901234567890, "float": 1e2}'
    async with connected(server) as connection:
        await connection.send_raw(f'{{"\\u0074ype":"response\\u002ecreate","input":"\\u00e9","acme":{inner}}}')
        id_of(await connection.answer())
    assert bodies[0] == f'{{"input":"\\u00e9","acme":{inner},"stream":true}}'.encode()


# W10: limits


@pytest.mark.parametrize("message", ["é" * 51, b"x" * 101, "x" * 101])
async def test_a_message_that_is_too_large_closes_with_1009(message: str | bytes) -> None:
    """W10; what counts are bytes."""
    async with connected(echoing(max_body_bytes=100)) as connection:
        await connection.send_raw("x" * 100)
        check_error(await connection.get(), 400, "invalid_request_error", None)
        await connection.send_raw(message)
        await connection.send()
        del connection.said[-1]
        assert await connection.rest() == []
        assert connection.session.close_code == 1009


async def test_a_message_that_is_too_large_ends_the_turn_in_flight() -> None:
    """W10, W11: nobody waits for what a silent handler may say."""
    async with staged(options=attrs.evolve(OPTIONS, max_body_bytes=100)) as stage:
        connection = await connect(stage.server)
        stage.steps.hold("in_progress")
        await connection.send()
        await connection.get()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.rest)
            await quiet()
            await connection.send_raw("x" * 101)
        assert connection.session.close_code == 1009
        await stage.idle()
        assert types(connection.said) == ["response.create", "response.created"]
        await connection.session.aclose()


async def test_a_message_that_is_too_large_ends_an_idle_connection() -> None:
    """W10: at once."""
    async with connected(echoing(max_body_bytes=100)) as connection, anyio.create_task_group() as tasks:
        tasks.start_soon(connection.rest)
        await quiet()
        await connection.send_raw("x" * 101)
    assert (connection.said, connection.session.close_code) == ([], 1009)


async def test_messages_that_wait_are_bounded_in_number() -> None:
    """pains.md L7: each gets its answer, and what is refused costs no memory."""
    async with staged() as stage:
        connection = await connect(stage.server)
        gate = stage.steps.hold("in_progress")
        await connection.send(store=False)
        await connection.get()
        for _ in range(MOST_WAITING):
            await connection.send_raw("{")
        for _ in range(10):
            for message in ("{", b"x", '{"type":"response.create"}'):
                await connection.send_raw(message)
        assert len(connection.session._waiting) == MOST_WAITING + 1
        gate.open()
        await connection.answer()
        for _ in range(MOST_WAITING):
            check_error(await connection.get(), 400, "invalid_request_error", None)
        for _ in range(30):
            check_error(await connection.get(), 429, "too_many_requests", None)
        id_of(await connection.turn(store=False))
        await connection.session.aclose()


async def test_messages_that_wait_are_bounded_in_bytes() -> None:
    """pains.md L7."""
    async with staged(options=attrs.evolve(OPTIONS, max_body_bytes=1000)) as stage, connected(stage.server) as client:
        gate = stage.steps.hold("in_progress")
        await client.send(store=False)
        await client.get()
        for _ in range(3):
            await client.send(store=False, input="x" * 400)
        gate.open()
        for _ in range(3):
            id_of([{**message, "sequence_number": at} for at, message in enumerate(await client.answer())])
        check_error(await client.get(), 429, "too_many_requests", None)
        id_of(await client.turn(store=False, input="x" * 900))


async def test_a_large_message_is_read_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """pains.md F3: it must not hold up the tokens of others."""
    threads: list[str] = []
    original = anyio.to_thread.run_sync

    async def run_sync(function: Any, *arguments: Any, **named: Any) -> Any:
        threads.append(getattr(function, "__name__", ""))
        return await original(function, *arguments, **named)

    monkeypatch.setattr(anyio.to_thread, "run_sync", run_sync)
    async with connected(echoing()) as connection:
        await connection.turn(input="x" * 1000)
        assert threads == []
        assert len(text_of(await connection.turn(input="x" * 600_000))) == 600_003
    assert threads == ["read_message", "parse_create"]
