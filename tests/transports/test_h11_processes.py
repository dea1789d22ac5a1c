"""The bare server as a process, and as several: signals, workers that die, and what they leave behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import attrs
import pytest

PROGRAM = """
import logging, os, sys, time
import anyio
from responses_stream import ResponsesServer, ResponsesServerOptions, SqliteStore, TextResponse
from responses_stream.hosting.listening import Listen
from responses_transports import h11_workers
from responses_transports.h11_server import serve

logging.basicConfig(level="INFO", format="%(message)s")
logging.getLogger().handlers[0].addFilter(lambda record: record.module.startswith("h11_") or record.levelno > 30)
options = ResponsesServerOptions(shutdown_grace_period_seconds=0.3)
server = ResponsesServer(store=SqliteStore(os.environ["STORE"]), options=options)

@server.response_handler
async def handler(request, context):
    if request.input == "wait":
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        await anyio.sleep_forever()
    if request.input == "hang":
        time.sleep(60)
    async for event in TextResponse(context, request, text=str(os.getpid())):
        yield event

"""


@attrs.frozen
class Served:
    """A server in a process of its own, that logs to us."""

    process: subprocess.Popen[str]
    log: IO[str]
    first: str

    @property
    def port(self) -> int:
        found = re.search(r"listening on http://127\.0\.0\.1:([0-9]+)", self.first)
        assert found is not None, self.first
        return int(found[1])

    def tell(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for its end; return the status, and what else it logged."""
        rest = self.log.read()
        return self.process.wait(), rest


@contextmanager
def served(tmp_path: Path, listen: str, before: str = "") -> Iterator[Served]:
    with subprocess.Popen(
        [sys.executable, "-c", f"{PROGRAM}{before}\nserve(server, {listen})"],
        env=os.environ | {"STORE": str(tmp_path / "store.sqlite")},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stderr is not None
            yield Served(process, process.stderr, process.stderr.readline())
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def ask(port: int, method: str, path: str, **body: object) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, json.dumps({"model": "m"} | body) if body else None)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        assert isinstance(found, dict)
        return answer.status, found


def create(port: int) -> tuple[int, str]:
    """Let one be created; return the process that did it, and its id."""
    status, made = ask(port, "POST", "/responses", input="who?")
    assert status == 200, made
    text = re.search(r'"text": "([0-9]+)"', json.dumps(made))
    assert text is not None, made
    return int(text[1]), str(made["id"])


@contextmanager
def stream(port: int, what: str) -> Iterator[http.client.HTTPResponse]:
    """Begin a stream and read its first event."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request("POST", "/responses", json.dumps({"model": "m", "input": what, "stream": True}))
        answer = connection.getresponse()
        assert answer.readline() == b"event: response.created\n"
        yield answer


@pytest.mark.parametrize("workers", [1, 2])
def test_streams_in_flight_are_brought_to_their_end(tmp_path: Path, workers: int) -> None:
    with served(tmp_path, f"Listen(port=0, workers={workers})") as server, stream(server.port, "wait") as answer:
        server.tell(signal.SIGTERM)
        rest = answer.read()
        assert b"event: response.failed\n" in rest
        assert b"server_shutting_down" in rest
        assert rest.endswith(b"data: [DONE]\n\n")
        assert server.end() == (0, "")


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_second_signal_ends_it_at_once(tmp_path: Path, number: signal.Signals, workers: int) -> None:
    grace = "server.configure(ResponsesServerOptions(shutdown_grace_period_seconds=1000))"
    with served(tmp_path, f"Listen(port=0, workers={workers})", grace) as server, stream(server.port, "wait") as answer:
        server.tell(number)
        with contextlib.suppress(ConnectionError):
            while True:  # until it has heard of the first
                socket.create_connection(("127.0.0.1", server.port)).close()
        server.tell(number)
        status, _ = server.end()
        assert status == -number
        with contextlib.suppress(OSError, http.client.HTTPException):
            assert b"response.failed" not in answer.read()


def test_workers_share_address_and_store_and_one_that_dies_is_replaced(tmp_path: Path) -> None:
    with served(tmp_path, "Listen(port=0, workers=2)") as server:
        assert server.first.endswith(f":{server.port}, 2 workers\n")
        made = dict(create(server.port) for _ in range(1))
        while len(made) < 2:
            made |= [create(server.port)]
        dead, survivor = made
        os.kill(dead, signal.SIGKILL)
        while (worker := create(server.port)[0]) in (dead, survivor):
            pass
        for one in made.values():
            status, found = ask(server.port, "GET", f"/responses/{one}")
            assert (status, found["id"]) == (200, one)
        server.tell(signal.SIGTERM)
        status, log = server.end()
        assert status == 0
        assert log == f"worker {dead} has ended by itself, with status -9\n"
        for pid in (survivor, worker):
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


@pytest.mark.slow
def test_a_terminal_tells_all_of_them_and_all_end_in_order(tmp_path: Path) -> None:
    with served(tmp_path, "Listen(port=0, workers=2)") as server, stream(server.port, "wait") as answer:
        os.killpg(server.process.pid, signal.SIGINT)
        assert b"event: response.failed\n" in answer.read()
        assert server.end() == (0, "")


@pytest.mark.slow
def test_workers_that_die_as_soon_as_they_begin_are_given_up(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    store.write_text("no database" * 1000)
    with served(tmp_path, "Listen(port=0, workers=2)", "h11_workers._FIRST_DELAY = 0.01") as server:
        status, log = server.end()
        assert status == 1
        assert "CannotServe: the workers end as soon as they are begun" in log
        assert log.count("has ended by itself, with status 1") >= 5


@pytest.mark.slow
def test_a_worker_that_does_not_end_in_order_is_told(tmp_path: Path) -> None:
    with served(tmp_path, "Listen(port=0, workers=2)") as server, stream(server.port, "wait"):
        one = create(server.port)[0]
        os.kill(one, signal.SIGSTOP)
        server.tell(signal.SIGTERM)
        os.kill(one, signal.SIGKILL)
        status, log = server.end()
        assert status == 1
        assert f"worker {one} did not end in order: its status is -9" in log


@pytest.mark.slow
def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with served(tmp_path, "Listen(port=0, workers=2)") as server, stream(server.port, "wait") as answer:
        server.tell(signal.SIGKILL)
        assert b"event: response.failed\n" in answer.read()
        assert server.end() == (-9, "")  # the log ends when the last of them does


@pytest.mark.slow
def test_workers_share_a_unix_socket_and_remove_it_together(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with served(tmp_path, f"Listen(unix_socket={str(path)!r}, workers=3)") as server:
        assert server.first == f"listening on unix:{path}, 3 workers\n"
        for _ in range(20):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(b"GET /readiness HTTP/1.0\r\n\r\n")
                assert client.makefile("rb").read().startswith(b"HTTP/1.1 200 ")
        server.tell(signal.SIGTERM)
        assert server.end() == (0, "")
    assert not path.exists()
