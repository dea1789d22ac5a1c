"""The WSGI application, called as a server calls it; what servers make of it is in test_wsgi_servers.py."""

from __future__ import annotations

import errno
import gc
import io
import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import anyio
import pytest

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, ResponsesServerOptions, TextResponse
from responses_stream.hosting.http import CutShort, HttpReply, HttpRequest
from responses_transports.wsgi import SPARE_THREADS, WSGIApp

from .wsgi_stage import PATIENCE, FakeEngine, Pieces, Reply, ask, in_thread, serving, wait

Answer = Callable[[HttpRequest], Awaitable[HttpReply]]

backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def text(body: bytes, status: int = 200) -> HttpReply:
    return HttpReply(status, (("content-type", "text/plain"), ("content-length", str(len(body)))), body)


async def whole(request: HttpRequest) -> bytes:
    if isinstance(request.body, bytes):
        return request.body
    return b"".join([piece async for piece in request.body])


async def echo(request: HttpRequest) -> HttpReply:
    return text(await whole(request))


def streamed(body: Pieces) -> Answer:
    async def answer(_request: HttpRequest) -> HttpReply:
        return HttpReply(200, (("content-type", "text/event-stream"),), body)

    return answer


@contextmanager
def streaming(body: Pieces, backend: str = "asyncio") -> Iterator[Reply]:
    with serving(FakeEngine(streamed(body)), backend=backend) as app:
        yield ask(app)


class Wire(io.RawIOBase):
    """A body that comes in pieces, and counts what was read of it."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = list(pieces)
        self.reads = 0

    def read(self, size: int = -1) -> bytes:
        self.reads += 1
        if not self.pieces:
            return b""
        first = self.pieces.pop(0)
        if isinstance(first, Exception):
            raise first
        if len(first) > size:
            self.pieces.insert(0, first[size:])
        return first[:size]


@backends
def test_a_request_arrives_as_plain_data_and_its_reply_goes_out(backend: str) -> None:
    engine = FakeEngine(echo)
    with serving(engine, backend=backend) as app:
        reply = ask(
            app,
            "/caf\xc3\xa9 x",
            b"abc",
            "POST",
            QUERY_STRING="c=d&c=%20",
            SCRIPT_NAME="/mount",
            RAW_URI="/mount/caf%C3%A9%20x?c=d&c=%20",
            HTTP_X_TWO="1,2",
            CONTENT_TYPE="text/plain",
        )
        assert (reply.status, reply.rest()) == ("200 OK", b"abc")
    [asked] = engine.asked
    assert (asked.method, asked.path, asked.query, asked.body) == ("POST", "/caf\xe9 x", "c=d&c=%20", b"abc")
    assert asked.target == "/caf%C3%A9%20x?c=d&c=%20"
    assert (asked.header("x-two"), asked.header("content-type"), asked.header("content-length")) == (
        "1,2",
        "text/plain",
        "3",
    )
    assert asked.may_wait


def test_what_a_server_leaves_empty_is_not_there() -> None:
    engine = FakeEngine(echo)
    with serving(engine) as app:
        ask(app, "", CONTENT_TYPE="", CONTENT_LENGTH="")
    [asked] = engine.asked
    assert (asked.path, asked.target, asked.header("content-type"), asked.header("content-length")) == (
        "/",
        "",
        None,
        None,
    )


def test_headers_of_the_connection_stay_here() -> None:
    headers = (("connection", "close"), ("x-it", "caf\xe9"), ("upgrade", "websocket"), ("content-length", "0"))

    async def answer(_request: HttpRequest) -> HttpReply:
        return HttpReply(299, headers, b"")

    with serving(FakeEngine(answer)) as app:
        reply = ask(app, method="HEAD")
    assert (reply.status, reply.headers) == ("299 Unknown", [("x-it", "caf\xe9"), ("content-length", "0")])


@backends
def test_no_more_of_a_body_is_read_than_the_engine_wants(backend: str) -> None:
    wire = Wire(*[b"x" * 60_000] * 4)

    async def first(request: HttpRequest) -> HttpReply:
        assert not isinstance(request.body, bytes)
        async for piece in request.body:
            return text(piece)
        raise AssertionError

    with serving(FakeEngine(first), backend=backend) as app:
        assert len(ask(app, body=wire, CONTENT_LENGTH="240000").rest()) == 60_000
    assert wire.reads == 1


def test_a_body_that_nobody_asks_for_is_not_read() -> None:
    wire = Wire(b"x" * 100_000)

    async def refuse(_request: HttpRequest) -> HttpReply:
        return text(b"", 413)

    with serving(FakeEngine(refuse)) as app:
        assert ask(app, body=wire, CONTENT_LENGTH="100000").code == 413
    assert wire.reads == 0


@pytest.mark.parametrize("length", [3, 200_000])
def test_a_body_comes_in_as_many_pieces_as_the_client_likes(length: int) -> None:
    body = b"x" * length
    wire = Wire(body[:1], body[1:2], body[2:])
    with serving(FakeEngine(echo)) as app:
        assert ask(app, body=wire, CONTENT_LENGTH=str(length)).rest() == body


def test_a_body_of_chunks_is_read_to_its_end() -> None:
    wire = Wire(b"ab", b"cde")
    with serving(FakeEngine(echo)) as app:
        assert ask(app, body=wire, environ={"wsgi.input_terminated": True}).rest() == b"abcde"


def posted(body: io.RawIOBase, environ: dict[str, object]) -> Reply:
    """Post to a real server, which makes errors of HTTP into replies."""
    app = WSGIApp(ResponsesServer())
    try:
        return ask(app, body=body, method="POST", environ=environ)
    finally:
        app.close()


@pytest.mark.parametrize(
    ("wire", "environ", "status", "code"),
    [
        pytest.param(Wire(b"{"), {"CONTENT_LENGTH": "5"}, 400, "bad_request", id="less than announced"),
        pytest.param(Wire(b"{"), {"CONTENT_LENGTH": "99999"}, 400, "bad_request", id="much less than announced"),
        pytest.param(Wire(), {"CONTENT_LENGTH": "+5"}, 400, "bad_request", id="no length"),
        pytest.param(
            Wire(b"{", ValueError("bad chunk")), {"wsgi.input_terminated": True}, 400, "bad_request", id="bad chunk"
        ),
        pytest.param(Wire(), {"HTTP_TRANSFER_ENCODING": "chunked"}, 411, "length_required", id="nobody reads chunks"),
    ],
)
def test_a_broken_body_is_refused_and_its_connection_cut(
    wire: Wire, environ: dict[str, object], status: int, code: str
) -> None:
    reply = posted(wire, environ)
    assert (reply.code, json.loads(reply.take())["error"]["code"]) == (status, code)
    with pytest.raises(ConnectionResetError):  # what follows on the connection is no request
        reply.take()


@pytest.mark.parametrize("length", ["10", "99999"])
def test_a_client_that_leaves_while_it_sends_is_the_business_of_the_server(length: str) -> None:
    gone = ConnectionResetError(errno.ECONNRESET, "gone")
    with pytest.raises(ConnectionResetError) as raised:
        posted(Wire(b"{", gone), {"CONTENT_LENGTH": length})
    assert raised.value is gone


@backends
def test_each_piece_goes_out_before_the_next_is_there(backend: str) -> None:
    body = Pieces()
    with streaming(body, backend) as reply:
        for piece in (b"one", b"two", b"three"):
            body.say(piece)
            assert reply.take() == piece
        body.say(None)
        assert reply.rest() == b""
        assert body.closed.is_set()
        reply.close()


def test_a_server_may_send_the_headers_before_there_is_a_piece() -> None:
    body = Pieces()
    with streaming(body) as reply:
        wait(body._waiting)
        assert next(iter(reply.body)) == b""
        body.say(None)
        assert list(reply.body) == []
        assert list(reply.body) == []


def test_all_that_is_ready_is_one_piece() -> None:
    body = Pieces(b"a", b"b", b"c")
    with streaming(body) as reply:
        wait(body._waiting)
        assert reply.take() == b"abc"
        body.say(b"d", None)
        wait(body.closed)
        assert reply.rest() == b"d"


@backends
def test_a_client_that_takes_nothing_holds_back_what_is_made(backend: str) -> None:
    body = Pieces(*[b"x" * 16_384] * 100, None)

    async def answer(request: HttpRequest) -> HttpReply:
        return text(b"") if request.path == "/turn" else await streamed(body)(request)

    with serving(FakeEngine(answer), backend=backend) as app:
        reply = ask(app)
        first = reply.take()
        ask(app, "/turn")  # the loop has done all that it could
        assert body.asked < 20
        assert len(first) + len(reply.rest()) == 1_638_400
        assert body.asked == 101


@backends
def test_an_early_close_tells_the_engine_and_does_not_wait(backend: str) -> None:
    body = Pieces(b"one")
    body.closing.clear()  # so long nobody can finish closing the body
    with streaming(body, backend) as reply:
        assert reply.take() == b"one"
        reply.close()
        reply.close()
        wait(body.closed)
        body.closing.set()


def test_a_close_after_the_end_says_nothing_more() -> None:
    body = Pieces(b"one", None)
    engine = FakeEngine(streamed(body))
    with serving(engine) as app:
        reply = ask(app)
        assert reply.rest() == b"one"
        reply.close()
        assert app.wait_idle(0)


def test_a_body_that_nobody_closes_is_closed_when_it_is_forgotten() -> None:
    body = Pieces(b"one")
    with serving(FakeEngine(streamed(body))) as app:
        reply = ask(app)
        del reply
        gc.collect()
        wait(body.closed)
        assert app.wait_idle(0)


def test_a_server_that_takes_no_reply_leaks_no_body() -> None:
    body = Pieces(b"one")

    def start_response(*_: object) -> Callable[[bytes], object]:
        raise ZeroDivisionError

    with serving(FakeEngine(streamed(body))) as app:
        with pytest.raises(ZeroDivisionError):
            app({"wsgi.input": io.BytesIO()}, start_response)
        wait(body.closed)
        assert app.wait_idle(0)


@pytest.mark.parametrize("error", [CutShort("cut"), ZeroDivisionError()], ids=["told", "failed"])
def test_a_body_that_breaks_off_cuts_the_connection(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    body = Pieces(b"one", error)
    with streaming(body) as reply:
        assert reply.take() == b"one"
        with pytest.raises(ConnectionResetError) as raised:
            reply.take()
        assert raised.value.errno == errno.ECONNRESET
        assert reply.rest() == b""
        assert body.closed.is_set()
    assert bool(caplog.records) is isinstance(error, ZeroDivisionError)  # who cuts short has told why


@backends
def test_an_engine_that_fails_answers_500(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_request: HttpRequest) -> HttpReply:
        raise ZeroDivisionError

    with serving(FakeEngine(fail), backend=backend) as app:
        reply = ask(app)
        assert (reply.code, json.loads(reply.rest())["error"]["code"]) == (500, "server_error")
    assert "the engine failed at GET /v1/responses" in caplog.text


def test_a_thread_that_is_ended_by_its_server_leaves_nothing() -> None:
    body = Pieces()
    cancelled = threading.Event()

    async def wait_long(request: HttpRequest) -> HttpReply:
        try:
            await whole(request)
        finally:
            cancelled.set()
        raise AssertionError

    class Ends(io.RawIOBase):
        def read(self, _size: int = -1) -> bytes:
            raise SystemExit

    with serving(FakeEngine(wait_long)) as app:
        with pytest.raises(SystemExit):
            ask(app, body=Ends(), CONTENT_LENGTH="100000")
        wait(cancelled)
        assert app.wait_idle(0)
    assert body.asked == 0


@backends
def test_many_first_requests_start_one_loop(backend: str) -> None:
    engine = FakeEngine(echo)
    together = threading.Barrier(8)

    def first(app: WSGIApp) -> bytes:
        together.wait()
        return ask(app, body=b"x").rest()

    with serving(engine, backend=backend) as app, ThreadPoolExecutor(8) as threads:
        assert list(threads.map(first, [app] * 8)) == [b"x"] * 8
        assert engine.started == 1
    assert engine.ended == 1


def test_an_engine_that_cannot_start_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    engine = FakeEngine(echo, broken=OSError("no disk"))
    with serving(engine) as app:
        reply = ask(app)
        assert (reply.code, json.loads(reply.rest())["error"]["code"]) == (500, "server_error")
        assert "no disk" in caplog.text
        engine.broken = None
        assert ask(app).code == 200


def test_a_closed_app_begins_anew() -> None:
    engine = FakeEngine(echo)
    with serving(engine) as app:
        app.close()  # there is nothing yet
        for turn in (1, 2):
            assert ask(app).code == 200
            threads = threading.active_count()
            app.close()
            assert threading.active_count() == threads - 1
            assert (engine.started, engine.ended) == (turn, turn)


def test_a_loop_that_dies_lets_its_requests_go_and_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    async def die(request: HttpRequest) -> HttpReply:
        if request.path == "/die":
            raise KeyboardInterrupt
        await anyio.sleep_forever() if request.path == "/wait" else None
        return text(b"")

    engine = FakeEngine(die)
    codes: list[int] = []
    with serving(engine) as app:
        ask(app)
        with in_thread(lambda: codes.append(ask(app, "/wait").code)):
            while len(engine.asked) < 2:
                ask(app)
            assert ask(app, "/die").code == 500
        assert codes == [500]
        while ask(app).code != 200:  # it may be dying still
            pass
    assert engine.started == 2
    assert "the event loop of the engine has failed" in caplog.text


def test_when_few_threads_are_left_requests_may_not_wait() -> None:
    body = Pieces(b"one")
    engine = FakeEngine(streamed(body))
    with serving(engine, threads=SPARE_THREADS + 2) as app:
        replies = [ask(app) for _ in range(3)]
        assert [asked.may_wait for asked in engine.asked] == [True, True, False]
        for reply in replies:
            reply.close()
        ask(app).close()
        assert engine.asked[-1].may_wait


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_server_with_next_to_no_threads_answers_one_run(threads: int) -> None:
    engine = FakeEngine(streamed(Pieces(b"one")))
    with serving(engine, threads=threads) as app:
        for reply in [ask(app), ask(app)]:
            reply.close()
    assert [asked.may_wait for asked in engine.asked] == [True, False]


def test_over_the_limit_a_create_is_refused_and_a_get_is_answered() -> None:
    server = ResponsesServer(options=ResponsesServerOptions(default_model="m"))

    @server.response_handler
    async def handler(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text="Hello")

    app = WSGIApp(server, threads=1)
    asked = threading.Event()

    class Held(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            asked.set()
            wait(done)
            return b""

    done = threading.Event()
    codes: list[int] = []
    try:
        with in_thread(lambda: codes.append(ask(app, body=Held(), method="POST", CONTENT_LENGTH="5").code)):
            wait(asked)
            refused = ask(app, body=b'{"input": "x", "stream": true}', method="POST")
            assert (refused.code, dict(refused.headers)["retry-after"]) == (503, "1")
            assert ask(app, "/readiness").code == 200
            background = ask(app, body=b'{"input": "x", "background": true}', method="POST")
            assert (background.code, json.loads(background.rest())["status"]) == (200, "in_progress")
            done.set()
    finally:
        app.close()
    assert codes == [400]


@backends
def test_a_drain_is_told_at_once_and_ends_when_the_engine_has_drained(backend: str) -> None:
    engine = FakeEngine(echo)
    with serving(engine, backend=backend) as app:
        ask(app)
        app.drain().result(PATIENCE)
        assert engine.drained.is_set()
        assert app.drain().done()
        assert ask(app).code == 200  # what is refused then is the engine's business


def test_a_drain_before_the_first_request_is_not_forgotten() -> None:
    engine = FakeEngine(echo)
    with serving(engine) as app:
        assert app.drain().done()
        assert not engine.started
        ask(app)
        wait(engine.drained)


@pytest.fixture
def usr1() -> Iterator[signal.Signals]:
    before = signal.getsignal(signal.SIGUSR1)
    yield signal.SIGUSR1
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_drains_and_then_does_what_it_did(usr1: signal.Signals) -> None:
    engine = FakeEngine(echo)
    heard: list[int] = []
    signal.signal(usr1, lambda number, _: heard.append(number))
    with serving(engine) as app:
        ask(app)
        app.drain_on_signals(usr1)
        signal.raise_signal(usr1)
        wait(engine.drained)
    assert heard == [usr1]


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_signal_that_nobody_handles_ends_the_program_in_order(usr1: signal.Signals, handler: signal.Handlers) -> None:
    signal.signal(usr1, handler)
    app = WSGIApp(FakeEngine(echo))
    app.drain_on_signals(usr1)
    if handler is signal.SIG_IGN:
        signal.raise_signal(usr1)
    else:
        with pytest.raises(SystemExit):
            signal.raise_signal(usr1)


_FORK = """
import os, sys, threading
from responses_stream import ResponsesServer, ResponsesServerOptions, TextResponse
from responses_transports.wsgi import WSGIApp
from tests.transports.wsgi_stage import ask

server = ResponsesServer(options=ResponsesServerOptions(store="sqlite://" + sys.argv[1]))

@server.response_handler
def handler(request, context):
    return TextResponse(context, request, text=f"{os.getpid()}")

app = WSGIApp(server)

def says() -> None:
    reply = ask(app, body=b'{"model": "m", "input": "hi", "stream": true}', method="POST").rest()
    print(str(os.getpid()).encode() in reply and b"response.completed" in reply, flush=True)

says()
child = os.fork()
says()
if child:
    print(os.waitpid(child, 0)[1], flush=True)
"""


def test_a_fork_has_a_loop_of_its_own_and_the_end_of_a_process_ends_it(tmp_path: object) -> None:
    # Nobody closes the app: the threads of the handlers would keep the process.
    done = subprocess.run(
        # From 3.12 on, Python warns of forks beside threads, which is what this is about.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _FORK, f"/{tmp_path}/store.sqlite3"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, sorted(done.stdout.split()), done.stderr) == (0, ["0", "True", "True", "True"], "")


def test_nothing_is_logged_of_a_request_that_went_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "responses_stream")
    with streaming(Pieces(b"one", None)) as reply:
        assert reply.rest() == b"one"
    assert not caplog.records
