"""What a transport costs on top of the program that it runs on, each against the barest app there (issue 5).

The server has a process of its own, and so the processor's time in it is that of the server alone. The two sides of a
ratio take turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

from tests.benchmarks.measuring import Promise
from tests.benchmarks.served import Served, ask, read_head, read_stream, read_whole, served

ROUNDS: Final = 5
SINGLY, BURSTS = 2_000, 20_000
STREAMS: Final = 5
CREATES: Final = 1_000
IDLE: Final = 300

Measure = Callable[[Served], float]


def cpu_of_streams(app: Served) -> float:
    """The seconds of the processor that a few streams of single tokens take."""
    began = app.cpu_seconds()
    with app.connect() as connection:
        for _ in range(STREAMS):
            connection.sendall(ask(f"singly {SINGLY}", stream=True, store=False))
            read_stream(connection)
    return app.cpu_seconds() - began


def seconds_of_bursts(app: Served) -> float:
    """The seconds until a stream of bursts was read."""
    began = time.perf_counter()
    with app.connect() as connection:
        for _ in range(2):
            connection.sendall(ask(f"bursts {BURSTS}", stream=True, store=False))
            read_stream(connection)
    return time.perf_counter() - began


def seconds_of_creates(app: Served) -> float:
    """The seconds that many creates take, eight at a time; not stored, as a bare route stores nothing."""
    began = time.perf_counter()
    with ExitStack() as stack:
        connections = [stack.enter_context(app.connect()) for _ in range(8)]
        for _ in range(CREATES // len(connections)):
            for connection in connections:
                connection.sendall(ask("hello", store=False))
            for connection in connections:
                read_whole(connection)
    return time.perf_counter() - began


def cpu_of(measure: Measure) -> Measure:
    """Measure the seconds of the processor that something takes the server, in place of those of the clock.

    Two servers that are nearly equal differ less than the clock of a shared machine does.
    """

    def measured(app: Served) -> float:
        began = app.cpu_seconds()
        measure(app)
        return app.cpu_seconds() - began

    return measured


def bytes_of_idle(app: Served) -> float:
    """The bytes that an open stream holds in which nothing happens."""
    with ExitStack() as stack:

        def opened() -> None:
            connection = stack.enter_context(app.connect())
            connection.sendall(ask("idle", stream=True, store=False))
            _, data = read_head(connection)
            while b"in_progress\n" not in data:
                data += connection.recv(65536)

        opened()
        before = app.traced_bytes()
        for _ in range(IDLE):
            opened()
        return (app.traced_bytes() - before) / IDLE


def ratio(measure: Measure, ours: Served, other: Served, rounds: int = ROUNDS) -> float:
    """Return what *ours* takes against *other*: the median of rounds in which they take turns."""
    measure(ours), measure(other)
    return statistics.median(measure(ours) / measure(other) for _ in range(rounds))


def promises() -> Iterator[Promise]:
    with served("uvicorn", "ours") as ours, served("uvicorn", "bare") as bare:
        seen = ratio(cpu_of_streams, ours, bare)
        yield Promise("CPU of a token that comes singly, ASGI on uvicorn, against a bare ASGI app", seen, 2.5)
        seen = ratio(seconds_of_bursts, ours, bare)
        yield Promise("time of an event in bursts of 200, ASGI on uvicorn, against a bare ASGI app", seen, 1 / 1.5)
        with served("uvicorn", "fastapi") as fastapi:
            seen = ratio(seconds_of_creates, ours, fastapi)
            what = "time of a JSON create, ASGI on uvicorn, against a bare FastAPI route with openai's models"
            yield Promise(what, seen, 1 / 0.6)
    # Last of that program: what traces memory is slow.
    with served("uvicorn", "ours") as ours, served("uvicorn", "bare") as bare:
        seen = (bytes_of_idle(ours) - bytes_of_idle(bare)) / 1024
        yield Promise("memory of an idle stream, ASGI on uvicorn, above that of a bare ASGI app", seen, 12.0, "KiB")
    with served("h11", "ours") as ours, served("uvicorn-h11", "ours") as other:
        seen = ratio(cpu_of_streams, ours, other)
        yield Promise("CPU of a token that comes singly, our h11 server, against uvicorn with h11", seen, 1.0)
        seen = ratio(cpu_of(seconds_of_bursts), ours, other)
        yield Promise("CPU of an event in bursts of 200, our h11 server, against uvicorn with h11", seen, 1.0)
        seen = ratio(cpu_of(seconds_of_creates), ours, other)
        yield Promise("CPU of a JSON create, our h11 server, against uvicorn with h11", seen, 1.0)
        seen = ratio(seconds_of_creates, ours, other)
        yield Promise("time of a JSON create, our h11 server, against uvicorn with h11", seen, None)
    with served("gunicorn", "wsgi") as ours, served("gunicorn", "bare_wsgi") as bare:
        seen = ratio(cpu_of_streams, ours, bare)
        yield Promise("CPU of a token that comes singly, WSGI on gunicorn, against a bare generator", seen, 3.0)
        seen = ratio(seconds_of_bursts, ours, bare)
        yield Promise("time of an event in bursts of 200, WSGI on gunicorn, against a bare generator", seen, 1.0)
        with served("gunicorn", "unpaced_wsgi") as unpaced:
            seen = ratio(cpu_of_streams, ours, unpaced)
            what = "CPU of a token that comes singly, WSGI on gunicorn, against a generator that never waits for one"
            yield Promise(what, seen, None)
