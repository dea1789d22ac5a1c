"""The tap between real sockets: what goes in comes out, at once, and nobody notices who looks on."""

from __future__ import annotations

import gc
import json

import anyio
import pytest

from responses_stream.hosting.http import HttpRequest
from responses_stream.tap.proxy import Tap
from responses_stream.tap.upstream import Upstream
from responses_stream.tap.watching import Watch

from ..transports.wire import connected
from .upstreams import EVENT_STREAM, Asked, chunk, chunked, frames, posted, tapped, tapping, upstream

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def test_a_request_arrives_as_it_was_sent() -> None:
    seen: list[Asked] = []
    bodies: list[bytes] = []

    async def note(asked: Asked) -> None:
        seen.append(asked)
        bodies.append(await asked.body())
        await asked.say(OK)

    async with tapped(note, path="/base") as (wire, _):
        await wire.send(
            b"PATCH /v1/a%2Fb/../c//d?x=%20&&y=^&api_key=secret-value HTTP/1.1\r\nHost: tap\r\n"
            b"X-Twice: 1\r\nx-twice: 2\r\nX-Latin: caf\xe9\r\nAuthorization: Bearer the-secret\r\nCookie: a=b\r\n"
            b"Content-Length: 3\r\n"
            b"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: x\r\n"
            b"Upgrade: h2c\r\nExpect: 100-continue\r\n\r\n"
        )
        assert (await wire.more()).startswith(b"HTTP/1.1 100 ")
        await wire.send(b"abc")
        assert (await wire.answer("PATCH")).body == b"ok"
    [asked] = seen
    assert asked.line == (b"PATCH", b"/base/v1/a%2Fb/../c//d?x=%20&&y=^&api_key=secret-value")
    host = b"127.0.0.1:%d" % asked.port
    assert asked.headers == [
        (b"host", host),
        (b"x-twice", b"1"),
        (b"x-twice", b"2"),
        (b"x-latin", b"caf\xe9"),
        (b"authorization", b"Bearer the-secret"),
        (b"cookie", b"a=b"),
        (b"content-length", b"3"),
    ]
    assert bodies == [b"abc"]


async def test_an_answer_arrives_as_it_was_sent() -> None:
    headers = [b"x-many-%d: %d" % (number, number) for number in range(100)]
    own = [b"Set-Cookie: a=b; Path=/", b"Set-Cookie: c=d", b"Date: Thu, 01 Jan 1970 00:00:00 GMT", b"X-Latin: caf\xe9"]
    hop = [b"Connection: close, X-Hop", b"X-Hop: 1", b"Keep-Alive: timeout=5", b"Proxy-Authenticate: Basic"]

    async def answer(asked: Asked) -> None:
        await asked.body()
        head = [b"HTTP/1.1 418 Odd", *headers, *own, *hop, b"Content-Length: 5", b"", b""]
        await asked.say(b"\r\n".join(head), b"\0\xff12\n")

    async with tapped(answer) as (wire, _):
        await wire.send(b"GET / HTTP/1.1\r\nHost: tap\r\n\r\n")
        head, _, body = (await wire.more()).partition(b"\r\n\r\n")
        while len(body) < 5:
            body += await wire.more()
    status, *lines = head.split(b"\r\n")
    assert status.startswith(b"HTTP/1.1 418 ")
    kept = [line.partition(b":") for line in [*headers, *own, b"Content-Length: 5"]]
    assert lines == [name.lower() + colon + value for name, colon, value in kept]
    assert body == b"\0\xff12\n"


async def test_each_chunk_goes_out_before_the_next_is_there() -> None:
    whole = b"".join(frames("H\u00e9", "llo \U0001f30d"))
    pieces = [whole[start : start + 37] for start in range(0, len(whole), 37)]
    arrived = [anyio.Event() for _ in pieces]

    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(EVENT_STREAM)
        for piece, seen in zip(pieces, arrived, strict=True):
            await asked.say(chunk(piece))
            await seen.wait()
        await asked.say(chunked([]))

    async with tapped(answer) as (wire, tap):
        await wire.send(posted())
        reader = await wire.begin("POST")
        for piece, seen in zip(pieces, arrived, strict=True):
            assert await reader.piece() == piece
            seen.set()
        assert await reader.piece() is None
        assert (await tap.ended()).endswith("/v1/responses 200: 10 events, valid")
    assert (tap.watch.tally.streams, tap.watch.tally.faulty) == (1, 0)


@pytest.mark.parametrize("framing", ["chunked", "length"])
async def test_each_piece_of_a_request_goes_on_before_the_next_is_there(framing: str) -> None:
    first = anyio.Event()
    seen: list[Asked] = []

    async def answer(asked: Asked) -> None:
        seen.append(asked)
        assert await asked.piece() == b"ab"
        first.set()
        assert await asked.body() == b"cde"
        await asked.say(OK)

    async with tapped(answer) as (wire, _):
        head = b"Transfer-Encoding: chunked" if framing == "chunked" else b"Content-Length: 5"
        wrap = chunk if framing == "chunked" else bytes
        await wire.send(b"PUT / HTTP/1.1\r\nHost: tap\r\n" + head + b"\r\n\r\n" + wrap(b"ab"))
        await first.wait()
        await wire.send(wrap(b"cde") + (chunked([]) if framing == "chunked" else b""))
        assert (await wire.answer("PUT")).body == b"ok"
    assert seen[0].headers[1:] == [tuple(head.lower().split(b": "))]


async def test_an_answer_that_breaks_off_breaks_off_here_too() -> None:
    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(EVENT_STREAM, chunk(b"".join(frames()[:4])), b"ff\r\nevent: resp")

    async with tapped(answer) as (wire, tap):
        await wire.send(posted())
        reader = await wire.begin("POST")
        got = b""
        while b"event: resp" not in got.split(b"\n\n")[-1]:
            got += await reader.piece() or b""
        assert got == b"".join(frames()[:4]) + b"event: resp"
        assert await wire.is_closed()
        line = await tap.ended()
        assert "the upstream failed: RemoteProtocolError: peer closed connection" in line
        assert await tap.told.line("R029 error")


async def test_a_client_that_leaves_ends_the_call_to_the_upstream() -> None:
    left = anyio.Event()

    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(EVENT_STREAM, chunk(frames()[0]))
        if await asked.is_left():
            left.set()

    async with upstream(answer) as port, tapping(f"http://127.0.0.1:{port}") as tap:
        async with connected(tap.port) as wire:
            await wire.send(posted())
            assert await (await wire.begin("POST")).piece() == frames()[0]
        await left.wait()
        assert (await tap.ended()).endswith("200: 1 event, valid; the client left before its end")
    assert tap.watch.tally.faulty == 0


async def test_a_client_that_leaves_before_the_answer_ends_the_call_too() -> None:
    asked_for, left = anyio.Event(), anyio.Event()

    async def answer(asked: Asked) -> None:
        await asked.body()
        asked_for.set()
        if await asked.is_left():
            left.set()

    async with upstream(answer) as port, tapping(f"http://127.0.0.1:{port}") as tap:
        async with connected(tap.port) as wire:
            await wire.send(posted())
            await asked_for.wait()
        await left.wait()
        assert (await tap.ended()).endswith("(no answer): 0 bytes; the client left before its end")


async def test_a_client_that_takes_nothing_more_is_noticed_while_chunks_flow() -> None:
    left = anyio.Event()

    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(EVENT_STREAM)
        try:
            while True:
                await asked.say(chunk(b": " + b"x" * 60_000 + b"\n\n"))
        except anyio.BrokenResourceError:
            left.set()

    async with upstream(answer) as port, tapping(f"http://127.0.0.1:{port}") as tap:
        async with connected(tap.port) as wire:
            await wire.send(posted())
            await (await wire.begin("POST")).piece()
        await left.wait()
        assert "the client left" in await tap.ended()


async def test_an_answer_that_is_closed_between_two_chunks_leaves_nothing_open() -> None:
    left = anyio.Event()

    async def answer(asked: Asked) -> None:
        await asked.say(EVENT_STREAM, chunk(frames()[0]))
        if await asked.is_left():
            left.set()

    async with upstream(answer) as port:
        tap = Tap(Upstream.at(f"http://127.0.0.1:{port}"), Watch(tell=lambda _: None))
        async with tap.lifespan():
            reply = await tap.handle(HttpRequest("GET", "/"))
            assert not isinstance(reply.body, bytes)
            assert await anext(aiter(reply.body)) == frames()[0]
            await reply.body.aclose()
            await left.wait()
            del reply
            gc.collect()  # what the iterators of httpx left open would be an error here


async def test_a_proxy_of_the_environment_is_asked_for_what_is_far(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[tuple[bytes, bytes]] = []

    async def answer(asked: Asked) -> None:
        lines.append(asked.line)
        await asked.say(OK)

    async with upstream(answer) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "")
        async with tapping("http://upstream.test/v1") as tap, connected(tap.port) as wire:
            await wire.send(b"GET /a%2Fb/../c? HTTP/1.1\r\nHost: tap\r\n\r\n")
            assert (await wire.answer()).body == b"ok"
    assert lines == [(b"GET", b"http://upstream.test/v1/a%2Fb/../c?")]


async def test_an_upstream_that_is_not_there_is_a_502() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as taken:
        port = taken.extra(anyio.abc.SocketAttribute.local_port)
    async with tapping(f"http://127.0.0.1:{port}/v1") as tap, connected(tap.port) as wire:
        await wire.send(posted())
        answer = await wire.answer("POST")
        error = json.loads(answer.body)["error"]
        assert (answer.status, error["code"], error["type"]) == (502, "upstream_unreachable", "server_error")
        assert error["message"].startswith(f"The upstream http://127.0.0.1:{port}/v1 cannot be reached")
        assert answer.headers["x-platform-error-source"] == "upstream"
        assert "(no answer): 0 bytes; the upstream failed: ConnectError" in await tap.ended()


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200", b"nonsense\r\n\r\n", b"HTTP/1.1 101 Switch\r\nupgrade: x\r\n\r\n"]
)
async def test_an_upstream_that_does_not_answer_is_a_502(said: bytes) -> None:
    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(said)

    async with tapped(answer) as (wire, tap):
        await wire.send(posted())
        got = await wire.answer("POST")
        assert (got.status, json.loads(got.body)["error"]["code"]) == (502, "upstream_failed")
        assert "(no answer): 0 bytes; the upstream failed: " in await tap.ended()


@pytest.mark.parametrize(
    ("method", "target", "said", "status", "body"),
    [
        ("GET", b"/", b"HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n", 302, b""),
        ("HEAD", b"/", b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n", 200, b""),
        ("OPTIONS", b"*", b"HTTP/1.1 204 No Content\r\nallow: GET\r\n\r\n", 204, b""),
        ("GET", b"/", b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n", 304, b""),
        ("QUERY", b"/", b"HTTP/1.0 200 OK\r\n\r\nto the end", 200, b"to the end"),
        ("GET", b"/", b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok"),
    ],
)
async def test_any_method_and_any_answer_passes(
    method: str, target: bytes, said: bytes, status: int, body: bytes
) -> None:
    lines: list[tuple[bytes, bytes]] = []

    async def answer(asked: Asked) -> None:
        lines.append(asked.line)
        await asked.say(said)

    async with tapped(answer) as (wire, _):
        await wire.send(method.encode() + b" " + target + b" HTTP/1.1\r\nHost: tap\r\n\r\n")
        got = await wire.answer(method)
    assert (got.status, got.body) == (status, body)
    assert lines == [(method.encode(), target)]
    if method == "HEAD":
        assert got.headers["content-length"] == "12"


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n", 426, "upgrade_required"),
        (b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", 501, "not_implemented"),
    ],
)
async def test_what_cannot_be_passed_on_is_refused(asked: bytes, status: int, code: str) -> None:
    async with tapping("http://127.0.0.1:9") as tap, connected(tap.port) as wire:
        await wire.send(asked)
        answer = await wire.answer(asked.split()[0].decode())
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (status, code)
    assert tap.watch.tally.exchanges == 0


async def test_cookies_stay_with_their_client() -> None:
    seen: list[Asked] = []

    async def answer(asked: Asked) -> None:
        seen.append(asked)
        await asked.say(b"HTTP/1.1 200 OK\r\nset-cookie: session=mine; Path=/\r\ncontent-length: 0\r\n\r\n")

    async with tapped(answer) as (wire, _):
        for _ in range(2):
            await wire.send(b"GET / HTTP/1.1\r\nHost: tap\r\n\r\n")
            assert (await wire.answer()).headers["set-cookie"] == "session=mine; Path=/"
    assert [name for name, _ in seen[1].headers] == [b"host"]
