"""`ASGIApp` between an engine that answers as it is told and a server that is played, message by message."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import attrs
import pytest

from responses_stream.hosting.http import CutShort, HttpReply, HttpRequest
from responses_transports.asgi import ASGIApp

from .answering import FakeEngine, echo, text, whole
from .asgi_calls import Gated, body, calling, post, streaming

pytestmark = pytest.mark.anyio


async def test_a_request_arrives_as_plain_data_and_its_reply_goes_out() -> None:
    engine = FakeEngine(echo)
    scope = post(
        "/a b", raw_path=b"/a%20b", query_string=b"c=d&c=%20", headers=[(b"x-two", b"1"), (b"x-two", b"caf\xe9")]
    )
    async with calling(ASGIApp(engine), scope) as call:
        await call.put(body(b"abc"))
        assert await call.start() == (200, {"content-type": "text/plain", "content-length": "3"})
        assert await call.take() == {"type": "http.response.body", "body": b"abc"}
        await call.nothing_more()
    [asked] = engine.asked
    assert (asked.method, asked.path, asked.query, asked.target) == ("POST", "/a b", "c=d&c=%20", "/a%20b?c=d&c=%20")
    assert asked.headers == (("x-two", "1"), ("x-two", "caf\xe9"))
    assert asked.may_wait


async def test_a_scope_without_what_is_optional() -> None:
    engine = FakeEngine(echo)
    async with calling(ASGIApp(engine), {"type": "http", "method": "GET", "path": "/p", "headers": []}) as call:
        await call.put({"type": "http.request"})
        assert (await call.start())[0] == 200
        await call.take()
    [asked] = engine.asked
    assert (asked.path, asked.query, asked.target, asked.body) == ("/p", "", "", b"")


@pytest.mark.parametrize(
    ("root", "path", "seen"),
    [
        ("", "/v1/responses", "/v1/responses"),
        ("/agent", "/agent/v1/responses", "/v1/responses"),  # Starlette, uvicorn
        ("/agent", "/v1/responses", "/v1/responses"),  # hypercorn, Django
        ("/agent/", "/agent/v1/responses", "/v1/responses"),
        ("/agent", "/agent", "/"),
        ("/agent", "/agents/v1", "/agents/v1"),
        ("/a b", "/a b/x", "/x"),
        ("/", "/x", "/x"),
    ],
)
async def test_the_path_is_that_below_the_mount(root: str, path: str, seen: str) -> None:
    engine = FakeEngine(echo)
    async with calling(ASGIApp(engine), post(path, root_path=root)) as call:
        await call.put(body())
        await call.start()
        await call.take()
    assert engine.asked[0].path == seen


async def test_a_body_is_read_as_it_comes_and_no_further_than_it_is_wanted() -> None:
    asked = anyio.Event()
    seen: list[bytes] = []

    async def first_two(request: HttpRequest) -> HttpReply:
        assert not isinstance(request.body, bytes)
        async for piece in request.body:
            seen.append(piece)
            asked.set()
            if len(seen) == 2:
                break
        return text(b"enough", 413)

    async with calling(ASGIApp(FakeEngine(first_two)), post()) as call:
        await call.put(body(b"one", more=True))
        await asked.wait()
        assert seen == [b"one"]
        await call.put(body(b"two", more=True), body(b"three", more=True))
        assert (await call.start())[0] == 413
        await call.take()
        await call.nothing_more()
        assert call.received == 2
    assert seen == [b"one", b"two"]


async def test_a_body_in_pieces_is_whole() -> None:
    async with calling(ASGIApp(FakeEngine(echo)), post()) as call:
        await call.put(body(b"a", more=True), body(b"b", more=True), body(b"c"))
        await call.start()
        assert (await call.take())["body"] == b"abc"


async def test_the_answer_to_head_has_no_body() -> None:
    async with calling(ASGIApp(FakeEngine(echo)), post(method="HEAD")) as call:
        await call.put(body(b"abc"))
        assert (await call.start())[1]["content-length"] == "3"
        assert await call.piece() is None
    stream = Gated()
    async with calling(streaming(stream), post(method="HEAD")) as call:
        await call.put(body())
        await call.start()
        assert await call.piece() is None
        await call.nothing_more()
    assert stream.closed.is_set()
    assert stream.made == 0


async def test_each_piece_is_sent_before_the_next_is_made() -> None:
    stream = Gated()
    stream.gate.set()
    async with calling(streaming(stream), post()) as call:
        await call.put(body())
        await call.start()
        for number in range(1, 4):
            assert await call.piece() == b"%d" % number
            await anyio.wait_all_tasks_blocked()
            assert stream.made == number + 1  # the one that waits to be taken
        stream.ends = StopAsyncIteration()
        assert await call.piece() == b"4"
        assert await call.piece() is None
        await call.nothing_more()
    assert stream.closed.is_set()


async def test_an_engine_that_fails_is_a_500_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: HttpRequest) -> HttpReply:
        await whole(request)
        raise RuntimeError("the secret")

    async with calling(ASGIApp(FakeEngine(fail)), post()) as call:
        await call.put(body(b"x"))
        status, headers = await call.start()
        answer = (await call.take())["body"]
    assert status == 500
    assert json.loads(answer)["error"]["additionalInfo"]["request_id"] == headers["x-request-id"]
    assert b"secret" not in answer
    assert "the secret" in caplog.text


async def test_a_body_that_fails_is_told_to_the_server() -> None:
    stream = Gated()
    async with calling(streaming(stream), post()) as call:
        await call.put(body())
        await call.start()
        stream.ends = RuntimeError("the secret")
        stream.gate.set()
        assert await call.failure() is stream.ends
    assert stream.closed.is_set()


async def test_a_body_that_is_cut_short_has_no_end_and_no_error() -> None:
    stream = Gated(ends=CutShort("what it was made of broke off"))
    async with calling(streaming(stream), post()) as call:
        await call.put(body())
        await call.start()
        stream.gate.set()
        await call.nothing_more()
    assert stream.closed.is_set()


async def test_no_other_kind_of_scope_is_served() -> None:
    async with calling(ASGIApp(FakeEngine(echo)), {"type": "carrier pigeon"}) as call:
        assert isinstance(await call.failure(), NotImplementedError)


# The lifespan.

STARTUP, SHUTDOWN = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}


async def test_the_lifespan_is_that_of_the_engine() -> None:
    engine = FakeEngine(echo)
    async with calling(ASGIApp(engine), {"type": "lifespan"}) as call:
        await call.put(STARTUP)
        assert await call.take() == {"type": "lifespan.startup.complete"}
        assert engine.is_open
        await call.put(SHUTDOWN)
        assert await call.take() == {"type": "lifespan.shutdown.complete"}
        await call.nothing_more()
    assert not engine.is_open


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_an_engine_that_cannot_be_opened_or_closed_is_told(phase: str) -> None:
    @attrs.define
    class Failing(FakeEngine):
        @asynccontextmanager
        async def lifespan(self) -> AsyncGenerator[None, None]:
            if phase == "startup":
                raise RuntimeError("no store")
            yield
            raise RuntimeError("no store")

    async with calling(ASGIApp(Failing(echo)), {"type": "lifespan"}) as call:
        await call.put(STARTUP)
        if phase == "shutdown":
            assert await call.take() == {"type": "lifespan.startup.complete"}
            await call.put(SHUTDOWN)
        told = await call.take()
        assert told["type"] == f"lifespan.{phase}.failed"
        assert "RuntimeError: no store" in told["message"]
        assert str(await call.failure()) == "no store"
