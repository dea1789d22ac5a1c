"""Clients that leave, dawdle and talk nonsense, and processes that are told to stop, over real sockets on every server.

Whatever happens: nothing hangs, nothing is left, nobody is answered 500, and a stream that is under way ends with a
terminal event.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import attrs
import pytest

from responses_stream import validate_events
from responses_transports.conformance_client import Address, Client
from responses_transports.conformance_stage import Stage, open_stage

from .exemplary import make_server
from .junk import junk
from .launching import BY_THREADS, IMPATIENT, SERVERS, THREADS, in_a_process

KEEP_ALIVE: Final = 0.05
"""After so many seconds of silence, a server whose threads cannot see a client leave writes to it."""

FAST: Final = {"h11-asyncio"}
"""Servers that stand for the others where all take too long; each has fault tests of its own beside."""

EACH: Final = [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in SERVERS]

_SHORT: Final = 0.02
_MANY_POLLS: Final = 500
_REPORT: Final = re.compile(r"\{.*\}")
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})")


_FAULTY: Final = {
    # hypercorn 0.18 comes to its end on trio when a handshake breaks off, with all its connections.
    "hypercorn-trio": re.compile(rb"upgrade", re.IGNORECASE),
    # cheroot 11.1 answers 500 where a folded line follows the request line.
    "cheroot": re.compile(rb"\n[ \t]"),
}
"""What no request may hold, so that the faults of others are not found here."""


@attrs.frozen
class Left:
    """What a server's process holds."""

    runs: int
    threads: int
    tasks: int
    files: int
    process: int


def post(client: Client, text: str, *, connection: str = "keep-alive", **members: object) -> None:
    """Ask for a response."""
    body = json.dumps({"input": text, "store": False} | members).encode()
    client.ask("POST", "/v1/responses", [("content-type", "application/json"), ("connection", connection)], body)


def report(address: Address) -> Left:
    """Ask a server what it holds, as often as it says that it is too busy to tell (pains.md G3)."""
    for _ in range(_MANY_POLLS):
        client = Client(address)
        post(client, "report", connection="close")
        answer = client.answer("POST")
        client.leave()
        if answer.status != 503:
            break
    assert answer.status == 200, answer
    [text] = [part["text"] for item in json.loads(answer.body)["output"] for part in item.get("content", ())]
    return Left(**json.loads(text))


def wait_until_nothing_is_left(address: Address, before: Left) -> None:
    """Ask until the server holds no more than *before*. Each answer takes its time; nothing else is waited for."""
    left = before
    for _ in range(_MANY_POLLS):
        left = report(address)
        if left.runs == 0 and left.files <= before.files and left.tasks <= before.tasks:
            break
    assert left.runs == 0, "runs are left"
    assert left.files <= before.files, "files are left"
    assert left.tasks <= before.tasks, "tasks are left"
    # A pool grows up to its size, whoever comes.
    assert left.threads <= max(before.threads, THREADS + 10), "threads are left"


@contextmanager
def serving(name: str) -> Iterator[Address]:
    with IMPATIENT[name](make_server(keep_alive=KEEP_ALIVE if name in BY_THREADS else None)) as address:
        yield address


def _nothing(_: Client) -> None:
    pass


def _half_a_head(client: Client) -> None:
    client.send(b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Le")


def _half_a_body(client: Client) -> None:
    client.send(b'POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"input": "Hi"')


def _no_answer_yet(client: Client) -> None:
    post(client, "wait")


def _one_byte(client: Client) -> None:
    post(client, "wait", stream=True)
    client.head("POST")


def _half_a_stream(client: Client) -> None:
    post(client, "wait", stream=True)
    client.head("POST")
    read = b""
    while read.count(b"event: response.output_item.done") < 2:
        read += client.piece() or b""


STAGES: Final[dict[str, Callable[[Client], None]]] = {
    "connected": _nothing,
    "half a head": _half_a_head,
    "half a body": _half_a_body,
    "no answer yet": _no_answer_yet,
    "the first byte": _one_byte,
    "half a stream": _half_a_stream,
}


def leave_at_every_stage(name: str, address: Address) -> None:
    for stage, go in STAGES.items():
        if name in BY_THREADS and stage == "no answer yet":
            continue  # an answer that is not streamed is made to its end
        for at_once in (False, True):
            client = Client(address)
            go(client)
            client.leave(at_once=at_once)


@pytest.mark.parametrize("name", EACH)
def test_a_client_may_leave_at_any_stage(name: str) -> None:
    """pains.md C2 to C4, G1, G2."""
    with serving(name) as address:
        # Threads and files that are made once, and kept, are no leak: what the second round leaves is.
        leave_at_every_stage(name, address)
        before = attrs.evolve(report(address), runs=0)
        for _ in range(2):
            leave_at_every_stage(name, address)
        wait_until_nothing_is_left(address, before)


@pytest.mark.parametrize("name", EACH)
def test_who_sends_no_more_is_gone_where_that_can_be_seen(name: str) -> None:
    """A closed half of a connection looks like a client that has left; only servers that never look still answer."""
    with open_stage(SERVERS[name]) as stage:
        for streamed in (False, True):
            client = stage.connect()
            client.ask("POST", body=b"x")
            call = stage.call()
            assert call.read_all() == b"x"
            client.send_no_more()
            if name not in BY_THREADS:
                call.wait_for("cancelled")
                continue
            if streamed:
                call.stream()
                call.piece(b"one")
                call.end()
                assert client.answer("POST").body == b"one"
            else:
                call.reply(b"one")
                assert client.answer("POST").body == b"one"


@pytest.mark.parametrize("name", EACH)
def test_clients_that_never_finish_their_heads_hold_up_nobody(name: str) -> None:
    with serving(name) as address:
        before = report(address)
        # A server with threads may give one to each connection (cheroot), so there are fewer than it has.
        slow = [Client(address) for _ in range(30)]
        for client in slow:
            client.send(b"GET /readiness HTTP/1.1\r\nHost")
        for letter in (b":", b" "):
            for client in slow:
                with contextlib.suppress(ConnectionError):  # it may have lost its patience
                    client.send(letter)
            asking = Client(address)
            asking.ask("GET", "/readiness")
            assert asking.answer().status == 200
            asking.leave()
        for client in slow:
            client.leave()
        wait_until_nothing_is_left(address, before)


def _answer_to_junk(address: Address, request: bytes, ours: bool) -> bytes:
    """Send a request and no more, and return what comes back.

    Our own server closes the connection then. Others may wait for more until their time is over, and are left.
    """
    client = Client(address)
    try:
        client.send(request)
        if ours:
            client.send_no_more()
            return client.until_closed()
        return client.until_silent(_SHORT)
    except ConnectionError:
        return b""  # it has hung up on us
    finally:
        client.leave()


def _is_told_no(name: str, requests: Iterator[bytes]) -> None:
    with serving(name) as address:
        before = report(address)
        for request in requests:
            if name in _FAULTY and _FAULTY[name].search(request):
                continue
            answer = _answer_to_junk(address, request, name.startswith("h11"))
            statuses = {int(status) for status in _STATUS.findall(answer)}
            assert not statuses & {500, 502, 503}, f"{request!r} is answered {answer!r}"
        wait_until_nothing_is_left(address, before)


@pytest.mark.parametrize("name", EACH)
def test_junk_is_no_failure_of_the_server(name: str) -> None:
    _is_told_no(name, junk(17, 50))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SERVERS)
def test_much_junk_is_no_failure_of_the_server(name: str) -> None:
    _is_told_no(name, junk(4, 10_000 if name.startswith("h11") else 600))


def read_stream(client: Client) -> list[dict[str, Any]]:
    """Read a stream to its end, and return its events."""
    body = client.rest()
    assert body.endswith(b"data: [DONE]\n\n")
    report = validate_events(body)
    assert report.ok, report
    return [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: {")]


PROGRAMS: Final = (
    ("h11", ""),
    ("asgi", "uvicorn"),
    ("asgi", "hypercorn"),
    ("asgi", "granian"),
    ("wsgi", "gunicorn"),
    ("wsgi", "waitress"),
    ("wsgi", "cheroot"),
)


def _stop_under_load(transport: str, server: str, number: signal.Signals, count: int) -> None:
    with in_a_process(make_server(grace=5.0), transport, server) as process:
        with ExitStack() as leaving:
            clients = [Client(process.address) for _ in range(count)]
            for client in clients:
                leaving.callback(client.leave)
                post(client, "wait", stream=True)
            for client in clients:
                assert client.head("POST").status == 200
            background = Client(process.address)
            leaving.callback(background.leave)
            post(background, "wait", background=True, store=True)
            assert background.answer("POST").status == 200
            idle = Client(process.address)
            leaving.callback(idle.leave)
            process.program.send_signal(number)
            for client in clients:
                last = read_stream(client)[-1]
                assert last["type"] == "response.failed"
                assert last["response"]["error"]["code"] == "server_shutting_down"
        assert process.program.wait(20) == 0, process.said()
        assert "Traceback" not in process.said()


def test_streams_end_when_the_process_is_told_to_stop() -> None:
    """Decision 28."""
    _stop_under_load("h11", "", signal.SIGTERM, 8)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("transport", "server"), PROGRAMS)
def test_streams_end_when_any_server_is_told_to_stop(transport: str, server: str, number: signal.Signals) -> None:
    _stop_under_load(transport, server, number, 24)


def _play_at_once(stage: Stage, count: int, rounds: int) -> None:
    clients = [stage.connect() for _ in range(count)]
    calls = []
    for client in clients:
        client.ask("POST", body=b"{}")
        call = stage.call()
        call.stream()
        calls.append(call)
    chance = random.Random(3)
    for number in range(rounds):
        order = list(range(count))
        chance.shuffle(order)
        for at in order:
            calls[at].piece(b"%d " % number)
            if not number:
                assert clients[at].head("POST").status == 200
            # Nobody else has to do anything for it to arrive.
            assert clients[at].exactly(len(b"%d " % number)) == b"%d " % number
    for client, call in zip(clients, calls, strict=True):
        call.end()
        assert client.piece() is None
        call.wait_for("closed")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gunicorn"])
def test_streams_on_threads_of_their_own_arrive_event_by_event(name: str) -> None:
    with open_stage(SERVERS[name]) as stage:
        _play_at_once(stage, 32, 4)


@pytest.mark.parametrize("name", [param for param in EACH if param.values[0] in BY_THREADS])
def test_many_early_closes_leave_no_thread_and_no_run(name: str) -> None:
    """pains.md G2; WSGI servers call `close` of the body that they cannot write any more."""
    with serving(name) as address:
        for round_ in range(2):
            for _ in range(10):
                with ExitStack() as leaving:
                    for _ in range(10):
                        client = Client(address)
                        leaving.callback(client.leave, at_once=True)
                        _one_byte(client)
            if not round_:
                before = attrs.evolve(report(address), runs=0)
        wait_until_nothing_is_left(address, before)
