"""The bare server, driven over real sockets with an engine that only answers."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator

import anyio
import attrs
import pytest

from responses_stream.hosting.http import CutShort, HttpReply, HttpRequest, Limits
from responses_transports import h11_connection
from responses_transports.h11_server import serve_async

from .answering import FakeEngine, echo, posted, serving, talking, text, whole
from .wire import Wire, connected

pytestmark = pytest.mark.anyio


async def test_a_request_arrives_as_plain_data_and_its_reply_goes_out() -> None:
    async with talking(echo) as (wire, engine):
        await wire.send(
            b"POST /a%20b?c=d&c=%20 HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\nX-TWO: 2\r\nContent-Length: 3\r\n\r\nabc"
        )
        answer = await wire.answer("POST")
    assert (answer.status, answer.body) == (200, b"abc")
    assert answer.headers["content-type"] == "text/plain"
    assert "date" in answer.headers
    [asked] = engine.asked
    assert (asked.method, asked.path, asked.query) == ("POST", "/a b", "c=d&c=%20")
    assert [value for name, value in asked.headers if name == "x-two"] == ["1", "2"]
    assert asked.header("x-two") == "1"
    assert asked.header("x-three") is None
    assert asked.target == "/a%20b?c=d&c=%20"


async def test_a_reply_that_was_made_elsewhere_keeps_its_date_and_its_letters() -> None:
    made = HttpReply(200, (("date", "then"), ("x-latin", "caf\xe9"), ("content-length", "0")), b"")
    async with talking(lambda _: _ready(made)) as (wire, _):
        await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await wire.more()).split(b"\r\n")[1:4] == [b"date: then", b"x-latin: caf\xe9", b"content-length: 0"]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"http://host:80/p?q", "/p", "q"),
        (b"http://host", "/", ""),
        (b"//p?q", "//p", "q"),
        (b"*", "*", ""),
        (b"/?", "/", ""),
    ],
)
async def test_every_form_of_target_is_understood(target: bytes, path: str, query: str) -> None:
    async with talking(echo) as (wire, engine):
        await wire.send(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        await wire.answer("OPTIONS")
    assert (engine.asked[0].path, engine.asked[0].query) == (path, query)


async def test_a_connection_is_kept_for_the_next_request() -> None:
    async with talking(echo) as (wire, engine):
        for body in (b"one", b"two"):
            await wire.send(posted(body))
            assert (await wire.answer("POST")).body == body
    assert len(engine.asked) == 2


async def test_requests_sent_ahead_are_answered_in_their_order() -> None:
    async with talking(echo) as (wire, _):
        await wire.send(posted(b"one") + posted(b"two") + posted(b"three"))
        assert [(await wire.answer("POST")).body for _ in range(3)] == [b"one", b"two", b"three"]


async def test_far_too_much_sent_ahead_waits_in_the_socket() -> None:
    released = anyio.Event()

    async def slow(request: HttpRequest) -> HttpReply:
        body = await whole(request)
        if body == b"first":
            await released.wait()
        return text(b"%d" % len(body))

    async with talking(slow) as (wire, _), anyio.create_task_group() as tasks:
        tasks.start_soon(wire.send, posted(b"first") + posted(b"x" * 10_000_000))
        released.set()
        assert (await wire.answer("POST")).body == b"5"
        assert (await wire.answer("POST")).body == b"10000000"


async def test_a_client_may_ask_to_close() -> None:
    async with talking(echo) as (wire, _):
        await wire.send(posted(b"one", b"Connection: close"))
        assert (await wire.answer("POST")).body == b"one"
        assert await wire.is_closed()


async def test_a_chunked_request_body_arrives_in_pieces() -> None:
    pieces: list[bytes] = []

    async def collect(request: HttpRequest) -> HttpReply:
        assert not isinstance(request.body, bytes)
        async for piece in request.body:
            pieces.append(piece)
            first.set()
        return text(b"ok")

    async with talking(collect) as (wire, _):
        first = anyio.Event()
        await wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        await first.wait()
        await wire.send(b"3\r\ncde\r\n0\r\n\r\n")
        assert (await wire.answer("POST")).body == b"ok"
    assert pieces == [b"ab", b"cde"]


async def test_a_body_in_very_many_pieces_arrives_whole_and_others_have_their_turn() -> None:
    engine = FakeEngine(echo)
    async with serving(engine) as port, connected(port) as many, connected(port) as one:
        await many.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 5000)
        await one.send(posted(b"quick"))
        assert (await one.answer("POST")).body == b"quick"
        await many.send(b"0\r\n\r\n")
        assert (await many.answer("POST")).body == b"a" * 5000


async def test_a_client_that_waits_for_100_continue_is_told() -> None:
    async with talking(echo) as (wire, _):
        await wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert (await wire.more()).startswith(b"HTTP/1.1 100 ")
        await wire.send(b"ab")
        assert (await wire.answer("POST")).body == b"ab"


@attrs.define
class Ticks:
    """A body that goes on until it is closed, one piece at a time."""

    pieces: int
    padding: int = 0
    closed: anyio.Event = attrs.field(factory=anyio.Event)
    waiting: anyio.Event = attrs.field(factory=anyio.Event)
    given: int = 0

    def __aiter__(self) -> Ticks:
        return self

    async def __anext__(self) -> bytes:
        if self.given == self.pieces:
            self.waiting.set()
            await anyio.sleep_forever()
        self.given += 1
        return b"tick %d\n" % self.given + b" " * self.padding

    async def aclose(self) -> None:
        self.closed.set()


async def three_pieces() -> AsyncGenerator[bytes, None]:
    for piece in (b"a", b"", b"b", b"c"):
        yield piece


async def stream_three(_: HttpRequest) -> HttpReply:
    return HttpReply(200, (("content-type", "text/event-stream"),), three_pieces())


async def test_a_reply_is_streamed_in_chunks_and_the_connection_is_kept() -> None:
    async with talking(stream_three) as (wire, _):
        for _ in range(2):
            await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            reader = await wire.begin()
            assert reader.headers["transfer-encoding"] == "chunked"
            assert [await reader.piece() for _ in range(4)] == [b"a", b"b", b"c", None]


async def test_an_old_client_gets_a_stream_that_ends_with_the_connection() -> None:
    async with talking(stream_three) as (wire, _):
        await wire.send(b"GET / HTTP/1.0\r\n\r\n")
        answer = await wire.answer()
        assert "transfer-encoding" not in answer.headers
        assert answer.body == b"abc"


async def test_each_piece_goes_out_when_it_is_there() -> None:
    ticks = Ticks(2)

    async def tick(_: HttpRequest) -> HttpReply:
        return HttpReply(200, (), ticks)

    async with talking(tick, Limits(write_stall_seconds=0.1)) as (wire, _):
        await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        reader = await wire.begin()
        assert [await reader.piece(), await reader.piece()] == [b"tick 1\n", b"tick 2\n"]


async def test_a_client_that_leaves_closes_the_body_that_waits() -> None:
    ticks = Ticks(1)

    async def tick(_: HttpRequest) -> HttpReply:
        return HttpReply(200, (), ticks)

    async with serving(FakeEngine(tick)) as port:
        async with connected(port) as wire:
            await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await (await wire.begin()).piece()
            await ticks.waiting.wait()
        await ticks.closed.wait()


async def test_a_client_that_leaves_closes_the_body_that_is_being_sent() -> None:
    ticks = Ticks(-1)

    async def tick(_: HttpRequest) -> HttpReply:
        return HttpReply(200, (), ticks)

    async with serving(FakeEngine(tick)) as port:
        async with connected(port) as wire:
            await wire.send(posted(b""))
            await wire.begin("POST")
        await ticks.closed.wait()


async def test_a_client_that_leaves_before_the_reply_cancels_the_call() -> None:
    started, cancelled = anyio.Event(), anyio.Event()

    async def wait(request: HttpRequest) -> HttpReply:
        await whole(request)
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        raise AssertionError

    async with serving(FakeEngine(wait)) as port:
        async with connected(port) as wire:
            await wire.send(posted(b"x"))
            await started.wait()
        await cancelled.wait()


async def test_a_client_that_leaves_in_its_body_ends_the_call() -> None:
    ended = anyio.Event()

    async def read(request: HttpRequest) -> HttpReply:
        try:
            return text(await whole(request))
        finally:
            ended.set()

    async with serving(FakeEngine(read)) as port:
        async with connected(port) as wire:
            await wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        await ended.wait()


async def test_head_has_the_headers_of_get_and_no_body() -> None:
    async with talking(echo) as (wire, engine):
        engine.answer = lambda _: _ready(text(b"twelve bytes"))
        await wire.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await wire.answer("HEAD")
        assert (answer.headers["content-length"], answer.body) == ("12", b"")
        engine.answer = lambda _: _ready(attrs.evolve(text(b"twelve bytes"), body=b""))
        await wire.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await wire.answer("HEAD")
        assert (answer.headers["content-length"], answer.body) == ("12", b"")


async def test_head_closes_a_stream_unread() -> None:
    ticks = Ticks(-1)

    async def tick(_: HttpRequest) -> HttpReply:
        return HttpReply(200, (), ticks)

    async with talking(tick) as (wire, _):
        await wire.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await wire.answer("HEAD")).body == b""
        await ticks.closed.wait()
    assert ticks.given == 0


async def _ready(reply: HttpReply) -> HttpReply:
    return reply


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000, 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
async def test_what_is_not_http_is_told_so_in_the_envelope(sent: bytes, status: int) -> None:
    async with talking(echo) as (wire, _):
        await wire.send(sent)
        answer = await wire.answer()
        assert answer.status == status
        error = json.loads(answer.body)["error"]
        assert (error["code"], error["type"], error["param"]) == ("bad_request", "invalid_request_error", None)
        assert answer.headers["x-request-id"] == error["additionalInfo"]["request_id"]
        assert answer.headers["connection"] == "close"
        assert await wire.is_closed()


async def test_an_engine_that_fails_is_a_500_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: HttpRequest) -> HttpReply:
        await whole(request)
        raise RuntimeError("the secret")

    async with talking(fail) as (wire, engine):
        await wire.send(posted(b"x"))
        answer = await wire.answer("POST")
        assert answer.status == 500
        assert b"secret" not in answer.body
        engine.answer = echo
        await wire.send(posted(b"again"))
        assert (await wire.answer("POST")).body == b"again"
    assert "the secret" in caplog.text


async def test_a_body_that_fails_cuts_the_connection_and_not_the_server(caplog: pytest.LogCaptureFixture) -> None:
    async def break_off() -> AsyncGenerator[bytes, None]:
        yield b"some"
        raise RuntimeError("the secret")

    async def half(_: HttpRequest) -> HttpReply:
        return HttpReply(200, (), break_off())

    engine = FakeEngine(half)
    async with serving(engine) as port:
        async with connected(port) as wire:
            await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await (await wire.begin()).piece() == b"some"
            assert await wire.is_closed()
        engine.answer = echo
        async with connected(port) as wire:
            await wire.send(posted(b"fine"))
            assert (await wire.answer("POST")).body == b"fine"
    assert "the secret" in caplog.text


async def test_a_body_that_is_cut_short_cuts_the_connection_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    async def cut() -> AsyncGenerator[bytes, None]:
        yield b"some"
        raise CutShort("what it was made of broke off")

    async def half(_: HttpRequest) -> HttpReply:
        return HttpReply(200, (), cut())

    async with talking(half) as (wire, _):
        await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        reader = await wire.begin()
        assert await reader.piece() == b"some"
        assert await wire.is_closed()
    assert not caplog.records


async def test_a_body_that_nobody_wants_is_read_past() -> None:
    async def refuse(request: HttpRequest) -> HttpReply:
        return text(b"no", 413) if request.method == "POST" else text(b"yes")

    async with talking(refuse) as (wire, _):
        await wire.send(posted(b"x" * 200_000) + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await wire.answer("POST")).status == 413
        assert (await wire.answer()).body == b"yes"


async def test_a_body_that_nobody_wants_and_that_never_ends_is_not() -> None:
    async def refuse(_: HttpRequest) -> HttpReply:
        return text(b"no", 413)

    async def pour(wire: Wire) -> None:
        try:
            while True:
                await wire.send(b"x" * 65536)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            poured.set()

    poured = anyio.Event()
    async with talking(refuse) as (wire, _), anyio.create_task_group() as tasks:
        await wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        tasks.start_soon(pour, wire)
        assert (await wire.answer("POST")).status == 413
        await poured.wait()


async def test_an_idle_connection_is_closed() -> None:
    async with talking(echo, Limits(idle_seconds=0.0)) as (wire, _):
        assert await wire.is_closed()


async def test_a_request_that_does_not_come_to_its_end_is_a_408() -> None:
    async with talking(echo, Limits(header_seconds=0.0)) as (wire, _):
        await wire.send(b"GET / HTTP/1.1\r\n")
        assert (await wire.answer()).status == 408
        assert await wire.is_closed()


async def test_a_body_that_stops_coming_is_a_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h11_connection, "_DISCARD_SECONDS", 0.0)

    async def read(request: HttpRequest) -> HttpReply:
        return text(await whole(request))

    async with talking(read, Limits(idle_seconds=0.2)) as (wire, _):
        await wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        answer = await wire.answer("POST")
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (408, "request_timeout")
        assert await wire.is_closed()


async def test_a_large_reply_arrives_whole() -> None:
    body = bytes(range(256)) * 20_000

    async def large(_: HttpRequest) -> HttpReply:
        return text(body)

    async with talking(large) as (wire, _):
        await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await wire.answer()).body == body


async def test_a_client_that_takes_nothing_is_left() -> None:
    ticks = Ticks(-1, padding=1_000_000)

    async def tick(_: HttpRequest) -> HttpReply:
        return HttpReply(200, (), ticks)

    async with talking(tick, Limits(write_stall_seconds=0.1)) as (wire, _):
        await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await ticks.closed.wait()


async def test_a_stop_closes_idle_connections_and_lets_requests_end() -> None:
    stop, started, release = anyio.Event(), anyio.Event(), anyio.Event()

    async def slow(_: HttpRequest) -> HttpReply:
        started.set()
        await release.wait()
        return text(b"done")

    engine = FakeEngine(slow)
    async with anyio.create_task_group() as tasks:
        port = await tasks.start(functools.partial(serve_async, engine, port=0, stop=stop.wait))
        async with connected(port) as idle, connected(port) as busy:
            await busy.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await started.wait()
            stop.set()
            assert await idle.is_closed()
            with pytest.raises(OSError, match=r"."):
                await anyio.connect_tcp("127.0.0.1", port)
            release.set()
            assert (await busy.answer()).body == b"done"
            assert await busy.is_closed()
    assert not engine.is_open


async def test_a_stop_waits_no_longer_than_its_grace() -> None:
    stop, started, cancelled = anyio.Event(), anyio.Event(), anyio.Event()

    async def endless(_: HttpRequest) -> HttpReply:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        raise AssertionError

    async with anyio.create_task_group() as tasks:
        serve = functools.partial(serve_async, FakeEngine(endless), port=0, stop=stop.wait, grace=0.0)
        async with connected(await tasks.start(serve)) as wire:
            await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await started.wait()
            stop.set()
            assert await wire.is_closed()
    assert cancelled.is_set()


_PROGRAM = """
import logging, sys
from responses_stream import ResponsesServer
from responses_stream.hosting.listening import Listen
from responses_transports.h11_server import serve
logging.basicConfig(level="INFO", format="%(message)s")
serve(ResponsesServer(), Listen(port=0))
print("ended")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_in_order(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "listening on http://127.0.0.1:" in process.stderr.readline()
        process.send_signal(number)
        out, errors = process.communicate()
    assert (process.returncode, out, errors) == (0, "ended\n", "")
