"""What is too much: told with a code that says which limit, at the price of nobody else (decision 27, H20.28)."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import anyio
import attrs
import pytest

from responses_stream import (
    CreateResponse,
    HttpRequest,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
)
from responses_stream.builders.events import AsyncYield

from .asking import answer_of, ask, request_for
from .staging import Stage, begin, check_error, check_not_found, check_stream, id_of

pytestmark = pytest.mark.anyio

ID = id_of("a")
MODES: dict[str, dict[str, Any]] = {
    "S": {},
    "SS": {"stream": True},
    "B": {"background": True},
    "BS": {"background": True, "stream": True},
    "E": {"store": False},
    "ES": {"store": False, "stream": True},
}
SOME = ["S", "BS", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("SS", "B", "E", "ES"))]


def options(**some: Any) -> ResponsesServerOptions:
    return ResponsesServerOptions(**some)


# Requests


async def test_a_body_has_a_size() -> None:
    """413, for the last byte too many and not for the one before."""
    stage = Stage(options=options(max_body_bytes=1000))
    body = json.dumps({"input": "x" * 970}).encode().ljust(1000)
    assert (await ask(stage.server, body)).status == 200
    for path in ("/v1/responses", "/responses", "/responses/compact"):
        answer = await ask(stage.server, body + b" ", path=path)
        message = "The request body is larger than 1000 bytes."
        check_error(answer, 413, "request_too_large", message, None)
    assert len(stage.contexts) == 1


async def test_of_a_body_that_is_too_large_no_more_is_read() -> None:
    """Nor anything at all where its length was announced."""
    stage = Stage(options=options(max_body_bytes=1000))
    read: list[int] = []

    async def pieces() -> AsyncGenerator[bytes, None]:
        for number in range(100):
            read.append(number)
            yield b" " * 100

    for headers in ((), (("content-length", "1001"),)):
        async with aclosing(pieces()) as body:
            endless = HttpRequest("POST", "/v1/responses", "", headers, body)
            assert (await answer_of(await stage.server.handle(endless))).status == 413
        assert len(read) == 11


@pytest.mark.parametrize("kind", ["list", "dict"])
async def test_a_body_has_a_depth(kind: str) -> None:
    """400: the body itself is the first level."""
    stage = Stage(options=options(max_json_depth=10))

    def nested(depth: int) -> dict[str, Any]:
        value: Any = "x"
        for _ in range(depth - 1):
            value = [value] if kind == "list" else {"a": value}
        return {"acme": value}

    assert (await ask(stage.server, nested(10))).status == 200
    answer = await ask(stage.server, nested(11))
    check_error(answer, 400, "invalid_request", "request body is nested deeper than 10 levels", None)


async def test_no_depth_breaks_the_server() -> None:
    """Whatever reads the body, an absurd one is an error of the client."""
    stage = Stage()
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        body = b'{"input":"hi","acme":' + opening * 100_000 + b"1" + closing * 100_000 + b"}"
        answer = await ask(stage.server, body)
        assert answer.status == 400
        assert answer.error["type"] == "invalid_request_error"


async def test_an_input_has_a_number_of_items() -> None:
    """400, with the parameter; a string is one item."""
    stage = Stage(options=options(max_input_items=3))
    items = [{"role": "user", "content": "x"}] * 4
    assert (await stage.post(input=items[:3])).status == 200
    assert (await stage.post(input="x" * 100)).status == 200
    answer = await stage.post(input=items)
    check_error(answer, 400, "invalid_request", "input must have at most 3 items, got 4", "input")


# Runs


@pytest.mark.parametrize("mode", SOME)
async def test_so_many_responses_are_made_at_once(mode: str) -> None:
    """503 with `Retry-After`, before the handler runs; as soon as one has ended, there is room again."""
    stage = Stage("created wait completed", options(max_concurrent_runs=2))
    async with anyio.create_task_group() as tasks:
        asked = [begin(tasks, lambda: stage.post(**MODES[mode])) for _ in range(2)]
        await anyio.wait_all_tasks_blocked()
        refused = await stage.post({"idempotency-key": "k"}, response_id=ID, **MODES[mode])
        message = "The server is making as many responses as it can. Retry later."
        check_error(refused, 503, "too_many_runs", message, None)
        assert refused.headers["retry-after"] == "1"
        assert len(stage.contexts) == 2
        check_not_found(await stage.get(ID), ID)
        stage.gates["wait"].open()
        for one in asked:
            assert (await one.wait()).status == 200
    await anyio.wait_all_tasks_blocked()
    assert (await stage.post({"idempotency-key": "k"}, response_id=ID, **MODES[mode])).status == 200


async def test_reading_needs_no_room() -> None:
    """Decision 27 counts what is made."""
    stage = Stage("created in_progress wait completed", options(max_concurrent_runs=1))
    async with anyio.create_task_group() as tasks:
        live = await stage.stream(tasks, response_id=ID, background=True)
        followers = [begin(tasks, lambda: stage.replay(ID)) for _ in range(5)]
        await anyio.wait_all_tasks_blocked()
        assert (await stage.get(ID)).status == 200
        assert (await stage.input_items(ID)).status == 200
        stage.gates["wait"].open()
        told = await live.wait()
        for one in followers:
            assert (await one.wait()).body == told.body


async def talkative(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    """Says whole messages, and never stops."""
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    while True:
        yield stream.output_item_message("x" * 10_000)


def check_failed(response: Any, code: str, message: str) -> None:
    assert response["status"] == "failed"
    assert response["error"] == {"code": code, "message": message}


@pytest.mark.parametrize("mode", SOME)
async def test_a_response_has_a_size(mode: str) -> None:
    """It fails with its code, keeps what was done (decision 10), and is the same in every mode and in the store."""
    most = 400_000
    stage = Stage(options=options(max_log_bytes=most))
    stage.server.response_handler(talkative)
    answer = await stage.post(response_id=ID, **MODES[mode])
    assert answer.status == 200
    await anyio.wait_all_tasks_blocked()
    if MODES[mode].get("stream"):
        check_stream(answer)
        assert answer.types[-2:] == ["error", "response.failed"]
        response = answer.events[-1]["response"]
        said = answer.body.split(b"event: error\n")[0]
        assert most < len(said) < most + 100_000
    else:
        response = answer.json if mode != "B" else (await stage.get(ID)).json
    check_failed(response, "response_too_large", "The response is larger than this server allows.")
    assert response["output"]
    assert {item["status"] for item in response["output"]} == {"completed"}
    if MODES[mode].get("store", True):
        assert (await stage.get(ID)).json == response
    if mode == "BS":
        assert (await stage.replay(ID)).body == answer.body


async def test_one_that_is_too_large_disturbs_no_other() -> None:
    """Decision 27."""
    stage = Stage("created in_progress wait message completed", options(max_log_bytes=100_000))
    async with anyio.create_task_group() as tasks:
        live = await stage.stream(tasks)
        await stage.gates["wait"].arrived.wait()
        stage.server.response_handler(talkative)
        check_failed((await stage.post()).json, "response_too_large", "The response is larger than this server allows.")
        stage.gates["wait"].open()
        check_stream(await live.wait())


@pytest.mark.parametrize("mode", SOME)
async def test_a_handler_has_a_time(mode: str) -> None:
    """H20.28: its `finally` runs, and the response fails with its code."""
    stage = Stage("created in_progress message wait completed", options(run_timeout_seconds=0.02))
    answer = await stage.post(response_id=ID, **MODES[mode])
    assert answer.status == 200
    await stage.stopped.wait()
    await anyio.wait_all_tasks_blocked()
    if MODES[mode].get("stream"):
        check_stream(answer)
        response = answer.events[-1]["response"]
    else:
        response = answer.json if mode != "B" else (await stage.get(ID)).json
    check_failed(response, "run_timeout", "The response took longer than this server allows.")
    assert len(response["output"]) == 1
    if MODES[mode].get("store", True):
        assert (await stage.get(ID)).json == response


@pytest.mark.parametrize("mode", MODES)
async def test_a_handler_that_never_begins_runs_out_of_time(mode: str) -> None:
    """Decision 12: where nothing was created, the answer is that of the mode."""
    stage = Stage("wait created completed", options(run_timeout_seconds=0.02))
    answer = await stage.post(response_id=ID, **MODES[mode])
    if mode in ("S", "E"):
        assert answer.status == 503
        assert answer.headers["x-platform-error-source"] == "platform"
    elif mode == "B":
        check_failed(answer.json, "run_timeout", "The response took longer than this server allows.")
    else:
        assert answer.types == ["error"]
        assert answer.events[0]["code"] == "run_timeout"
    assert (await stage.get(ID)).status == (200 if mode == "B" else 404)


# What is kept


async def test_so_many_responses_are_kept() -> None:
    """Decision 27: those that ended first go first, with everything that was theirs; what is live stays (pains E1)."""
    server = ResponsesServer(options=options(max_stored_responses=3))
    stage = Stage()
    stage.server = server
    server.response_handler(stage.handler)
    stage.scenes = "created wait completed"
    await stage.post(response_id=ID, background=True)
    await stage.gates["wait"].arrived.wait()
    stage.scenes = "created in_progress message completed"
    ids = [id_of(letter) for letter in "bcdef"]
    for response_id in ids:
        await stage.post(response_id=response_id, background=True, stream=True)
    assert [(await stage.get(one)).status for one in ids] == [404, 404, 404, 200, 200]
    check_not_found(await stage.replay(ids[0]), ids[0])
    check_not_found(await stage.input_items(ids[0]), ids[0])
    assert (await stage.post(previous_response_id=ids[0])).status == 404
    assert (await stage.get(ID)).json["status"] == "in_progress"
    stage.gates["wait"].open()
    await anyio.wait_all_tasks_blocked()
    assert (await stage.get(ID)).json["status"] == "completed"
    assert (await stage.post(response_id=ids[0])).status == 200, "its id is free again"


# Room to wait


def without_room(body: object = None, **asked: Any) -> HttpRequest:
    return attrs.evolve(request_for(body, **asked), may_wait=False)


@pytest.mark.parametrize("mode", MODES)
async def test_what_would_be_waited_for_is_refused_where_there_is_no_room_to_wait(mode: str) -> None:
    """pains.md G3: a transport with few threads left says so; 503 with `Retry-After`, before the handler runs."""
    stage = Stage("created completed")
    answer = await answer_of(await stage.server.handle(without_room({"response_id": ID, **MODES[mode]})))
    if mode == "B":
        assert (answer.status, answer.json["id"]) == (200, ID)
        return
    message = "The server is answering as many requests as it can. Retry later."
    check_error(answer, 503, "too_many_requests_waiting", message, None)
    assert answer.headers["retry-after"] == "1"
    assert stage.contexts == []
    check_not_found(await stage.get(ID), ID)


async def test_what_is_answered_at_once_is_answered_where_there_is_no_room_to_wait() -> None:
    """GET, cancel, and the replay of what has ended; not one that has yet to end, nor a compaction."""
    stage = Stage("created in_progress wait completed", options(cancel_grace_seconds=0.01))
    stage.server.compaction_handler(lambda _request, _context: [])
    path = f"/v1/responses/{ID}"

    async def asked(method: str, path: str, query: str = "", body: object = None) -> int:
        request = without_room(body, method=method, path=path, query=query)
        return (await answer_of(await stage.server.handle(request))).status

    async with anyio.create_task_group() as tasks:
        await stage.stream(tasks, response_id=ID, background=True)
        assert await asked("GET", path) == 200
        assert await asked("GET", path, "stream=true") == 503
        assert await asked("POST", "/v1/responses/compact", body={"model": "m"}) == 503
        assert await asked("POST", f"{path}/cancel") == 200
    assert await asked("GET", path, "stream=true") == 200
    assert await asked("GET", "/readiness") == 200
