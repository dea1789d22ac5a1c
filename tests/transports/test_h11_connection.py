"""The bare server's own part of a reply: headers, the access log, and how a connection ends."""

from __future__ import annotations

import functools
import logging
import re
import time
from collections.abc import AsyncGenerator
from email.utils import parsedate_to_datetime

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from responses_stream.hosting.http import CutShort, HttpReply, HttpRequest, Limits
from responses_stream.hosting.listening import Listen
from responses_transports import h11_connection
from responses_transports.h11_server import serve_async

from .answering import FakeEngine, echo, posted, serving, talking, text, whole
from .wire import Wire, connected

pytestmark = pytest.mark.anyio

GET = b"GET /path?secret=1 HTTP/1.1\r\nHost: x\r\n\r\n"


async def yes(_: HttpRequest) -> HttpReply:
    return text(b"yes")


async def stream(*pieces: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


async def rest_of(wire: Wire) -> bytes:
    said = b""
    while data := await wire.more():
        said += data
    return said


async def test_every_reply_has_the_time_and_who_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with talking(yes) as (wire, _):
        await wire.send(GET)
        answer = await wire.answer()
        assert abs(parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()) < 60
        assert answer.headers["server"] == "responses-stream"
        monkeypatch.setattr(time, "time", lambda: 784111777.9)
        await wire.send(GET + b"nonsense\r\n\r\n")
        for _ in range(2):
            assert (await wire.answer()).headers["date"] == "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize("name", ["date", "server"])
async def test_a_reply_that_was_made_elsewhere_keeps_what_it_has(name: str) -> None:
    async def made(_: HttpRequest) -> HttpReply:
        return HttpReply(200, ((name, "other"), ("content-length", "0")), b"")

    async with talking(made) as (wire, _):
        await wire.send(GET)
        head = await wire.more()
    assert head.count(b"\r\n%b: " % name.encode()) == 1
    assert (b"\r\nserver: responses-stream" in head, b"\r\ndate: other" in head) == (False, name == "date")


# HTTP/1.0


@pytest.mark.parametrize("connection", [b"", b"Connection: keep-alive\r\n"])
async def test_an_old_client_has_one_request_a_connection(connection: bytes) -> None:
    async with talking(echo) as (wire, _):
        await wire.send(b"POST / HTTP/1.0\r\n" + connection + b"Content-Length: 2\r\n\r\nab")
        answer = await wire.answer("POST")
        assert (answer.headers["connection"], answer.body) == ("close", b"ab")
        assert await wire.is_closed()


async def test_an_old_client_can_tell_a_stream_that_was_cut_short() -> None:
    async def cut() -> AsyncGenerator[bytes, None]:
        yield b"some"
        raise CutShort("it broke off")

    async def half(_: HttpRequest) -> HttpReply:
        return HttpReply(200, (), cut())

    async with talking(half) as (wire, _):
        await wire.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(anyio.BrokenResourceError):
            await rest_of(wire)


# Bodies that are asked for


async def test_a_body_that_is_not_wanted_is_not_asked_for() -> None:
    async def refuse(_: HttpRequest) -> HttpReply:
        return text(b"no", 413)

    async with talking(refuse) as (wire, _):
        await wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        answer = await wire.answer("POST")
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert await wire.is_closed()


async def test_an_old_client_and_one_that_sends_anyway_are_not_told_to_go_on() -> None:
    async with talking(echo) as (wire, _):
        await wire.send(posted(b"ab", b"Expect: 100-continue"))
        assert (await wire.answer("POST")).body == b"ab"
        await wire.send(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab")
        assert (await wire.answer("POST")).body == b"ab"


# Stopping


async def test_what_is_answered_while_the_server_stops_says_that_the_connection_closes() -> None:
    stop, started, release = anyio.Event(), anyio.Event(), anyio.Event()

    async def slow(_: HttpRequest) -> HttpReply:
        started.set()
        await release.wait()
        return HttpReply(200, (), stream(b"a", b"b"))

    engine = FakeEngine(slow)
    async with anyio.create_task_group() as tasks:
        port = await tasks.start(functools.partial(serve_async, engine, port=0, stop=stop.wait))
        async with connected(port) as wire:
            await wire.send(GET * 2)
            await started.wait()
            stop.set()
            while not engine.drained:
                await anyio.lowlevel.checkpoint()
            release.set()
            answer = await wire.answer()
            assert (answer.headers["connection"], answer.body) == ("close", b"ab")
            assert await wire.is_closed()
    assert len(engine.asked) == 1


# The access log


async def test_the_access_log_has_a_line_for_each_request(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(h11_connection, "_DISCARD_SECONDS", 0.0)
    left = anyio.Event()

    async def answer(request: HttpRequest) -> HttpReply:
        if request.path == "/wait":
            try:
                await anyio.sleep_forever()
            finally:
                left.set()
        if request.path == "/stream":
            return HttpReply(200, (), stream(b"abc", b"de"))
        return text(await whole(request), 201)

    engine = FakeEngine(answer, limits=Limits(idle_seconds=0.5))
    with caplog.at_level(logging.INFO, "responses_stream.access"):
        async with serving(engine, Listen(port=0, access_log=True)) as port:
            async with connected(port) as wire:
                name = "{}:{}".format(*wire.stream.extra(anyio.abc.SocketAttribute.local_address))
                head = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
                slow = b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
                await wire.send(GET + posted(b"body") + GET.replace(b"path", b"stream") + head + slow)
                for method in ("GET", "POST", "GET", "HEAD"):
                    await wire.answer(method)
                assert (await wire.answer("POST")).status == 408
            async with connected(port) as wire:
                await wire.send(b"nonsense\r\n\r\n")
                await wire.answer()
            async with connected(port) as wire:
                await wire.send(GET.replace(b"path", b"wait"))
            await left.wait()
    lines = [record.getMessage() for record in caplog.records if record.name == "responses_stream.access"]
    assert [re.sub(r"[0-9.]+ms$", "ms", line) for line in lines[:4]] == [
        f'{name} "GET /path HTTP/1.1" 201 0 ms',
        f'{name} "POST /x HTTP/1.1" 201 4 ms',
        f'{name} "GET /stream HTTP/1.1" 200 5 ms',
        f'{name} "HEAD / HTTP/1.1" 201 0 ms',
    ]
    assert re.fullmatch(rf'{name} "POST /slow HTTP/1.1" 408 [0-9]+ [0-9.]+ms', lines[4])
    assert re.fullmatch(r'127.0.0.1:[0-9]+ "" 400 [0-9]+ 0.0ms', lines[5])
    assert re.fullmatch(r'127.0.0.1:[0-9]+ "GET /wait HTTP/1.1" 0 0 [0-9.]+ms', lines[6])
    assert len(lines) == 7


async def test_without_it_there_is_none(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with talking(yes) as (wire, _):
            await wire.send(GET)
            await wire.answer()
    assert "/path" not in caplog.text
