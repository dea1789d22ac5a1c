"""WSGI's own over real servers: clients that leave, threads that are taken, and programs that are told to stop.

What all transports have in common is in test_conformance.py, test_every_transport.py and test_faults.py.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import attrs
import pytest
import trustme

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, ResponsesServerOptions
from responses_stream.builders.events import AsyncYield
from responses_stream.hosting.listening import Listen
from responses_stream.hosting.transports import CannotServe
from responses_stream.sse import DONE
from responses_transports.wsgi_servers import serve

from .answering import FakeEngine, echo
from .launching import SERVERS, THREADS

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0

programs = pytest.mark.parametrize("program", ["gunicorn", "waitress", "cheroot"])


@attrs.define(eq=False)
class House:
    """A server with clients whose runs wait for something.

    Attributes:
        left: released for each run that ended before it had said all.
        go: lets the runs in the background end.
    """

    server: ResponsesServer
    host: str = ""
    port: int = 0
    left: threading.Semaphore = attrs.field(factory=lambda: threading.Semaphore(0))
    ended: threading.Semaphore = attrs.field(factory=lambda: threading.Semaphore(0))
    go: threading.Event = attrs.field(factory=threading.Event)

    async def handler(self, _request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
        stream = context.stream()
        whole = False
        try:
            yield stream.emit_created()
            if await context.get_input_text() == "wait":
                await anyio.sleep_forever()
            await anyio.to_thread.run_sync(self.go.wait)
            whole = True
            yield stream.emit_completed()
        finally:
            (self.ended if whole else self.left).release()

    def ask(self, method: str, path: str, body: object = None) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        connection.request(method, path, json.dumps(body) if body else None)
        return connection

    def begin(self, asked: str, *, background: bool = False) -> http.client.HTTPConnection:
        """Ask for a stream, and read its first event; again, while all threads are taken."""
        while True:
            connection = self.ask("POST", "/v1/responses", {"input": asked, "stream": True, "background": background})
            # Not with its own reader, which keeps the socket open.
            data = b""
            while b"\n\n" not in data.partition(b"\r\n\r\n")[2] and (more := connection.sock.recv(65536)):
                data += more
                if b" 503 " in data[:16]:
                    break
            if b" 200 " in data[:16]:
                return connection
            assert b" 503 " in data[:16], data
            connection.close()


@pytest.fixture(scope="module", params=["waitress", "cheroot", "wsgiref"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    options = ResponsesServerOptions(default_model="m", sse_keep_alive_interval_seconds=0.02)
    house = House(ResponsesServer(options=options))
    house.server.response_handler(house.handler)
    with SERVERS[request.param](house.server) as (house.host, house.port):
        yield house


def test_a_client_that_leaves_a_silent_stream_is_noticed_when_something_is_sent(house: House) -> None:
    house.begin("wait").close()
    assert house.left.acquire(timeout=PATIENCE)


def test_many_early_closes_leave_no_run_and_no_thread(house: House) -> None:
    house.begin("wait").close()
    assert house.left.acquire(timeout=PATIENCE)
    threads = threading.active_count()
    for _ in range(8):
        for connection in [house.begin("wait") for _ in range(25)]:
            connection.close()
        for _ in range(25):
            assert house.left.acquire(timeout=PATIENCE)
    # The last ones are put away in their own time, which a further request takes part of.
    while len(house.server._host().runs) or threading.active_count() > threads + 1:
        with contextlib.closing(house.ask("GET", "/readiness")) as connection:
            assert connection.getresponse().read()


def test_a_run_in_the_background_does_not_notice_and_holds_no_thread(house: House) -> None:
    # More of them than there are threads: each is free again when its client is noticed to have gone.
    house.go.clear()
    try:
        for _ in range(THREADS + 1):
            house.begin("go", background=True).close()
            assert not house.left.acquire(blocking=False)
    finally:
        house.go.set()
    for _ in range(THREADS + 1):
        assert house.ended.acquire(timeout=PATIENCE)


def test_websockets_are_for_other_servers(house: House) -> None:
    connection = http.client.HTTPConnection(house.host, house.port, timeout=PATIENCE)
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "x" * 24}
    connection.request("GET", "/v1/responses", headers=headers)
    reply = connection.getresponse()
    assert (reply.status, json.loads(reply.read())["error"]["code"]) == (426, "upgrade_required")
    connection.close()


def test_chunks_that_are_none_are_refused_and_nothing_is_read_behind_them(house: House) -> None:
    with socket.create_connection((house.host, house.port), timeout=PATIENCE) as connection:
        head = b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + b"ZZ\r\nGET /readiness HTTP/1.1\r\nHost: x\r\n\r\n")
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while more := connection.recv(65536):
                said += more
    assert re.findall(rb"HTTP/1.[01] (\d+) ", said) in ([b"400"], [b"411"])


def test_a_drain_is_given_the_time_that_it_needs() -> None:
    server = ResponsesServer(options=ResponsesServerOptions(shutdown_grace_period_seconds=100))
    assert server.limits.grace_seconds > 100


@attrs.define
class Process:
    """A program that serves.

    Attributes:
        port: where it listens; 0 for a Unix socket.
    """

    popen: subprocess.Popen[str]
    port: int
    family: socket.AddressFamily = socket.AF_INET
    path: str = ""

    def connect(self) -> socket.socket:
        connection = socket.socket(self.family)
        connection.settimeout(PATIENCE)
        try:
            connection.connect(self.path or ("127.0.0.1", self.port))
        except OSError:
            connection.close()
            raise
        return connection

    def connect_patiently(self) -> socket.socket:
        """Connect to a program that does not tell when it listens."""
        while self.popen.poll() is None:
            with contextlib.suppress(ConnectionRefusedError):
                return self.connect()
            time.sleep(0.02)
        raise AssertionError("it has ended")

    def stop(self) -> int:
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(PATIENCE)


def post(connection: socket.socket, asked: str) -> None:
    body = json.dumps({"input": asked, "stream": True}).encode()
    connection.sendall(b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def read_until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        more = connection.recv(65536)
        assert more, data
        data += more
    return data


@contextmanager
def program_running(
    program: str, store: Path, options: dict[str, object] | None = None, **run: object
) -> Iterator[Process]:
    arguments = [f"sqlite:///{store}/store.sqlite3", {"server": program, "port": 0, **run}, options or {}]
    command = [sys.executable, "-W", "error", "-m", "tests.transports.wsgi_program", json.dumps(arguments)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as popen:
        try:
            assert popen.stderr is not None
            listening = next(line for line in popen.stderr if line.startswith("listening on"))
            found = re.search(r":(\d+)$", listening.strip())
            threading.Thread(target=popen.stderr.read).start()  # or the pipe fills, and the program waits
            yield Process(popen, int(found[1]) if found else 0)
        finally:
            popen.kill()


@programs
def test_told_to_stop_a_program_ends_its_streams_and_then_itself(program: str, tmp_path: Path) -> None:
    workers = 2 if program == "gunicorn" else 1
    with program_running(program, tmp_path, workers=workers) as process:
        with process.connect() as connection, process.connect() as idle:
            post(idle, "hello")
            read_until(idle, b"\r\n0\r\n\r\n")
            post(connection, "wait")
            began = read_until(connection, b"response.in_progress")
            process.popen.send_signal(signal.SIGTERM)
            said = began + read_until(connection, b"\r\n0\r\n\r\n")
        assert b"I was told." in said
        assert b"event: response.completed" in said
        assert DONE in said
        assert process.popen.wait(PATIENCE) == 0
        assert process.popen.stdout is not None
        assert process.popen.stdout.read() == "returned\n"
    # What was said is kept: the store was opened behind the fork, and closed in order.
    response_id = re.search(rb'"id":"(resp_\w+)"', said)
    assert response_id is not None
    anyio.run(_check_stored, tmp_path / "store.sqlite3", response_id[1].decode())


async def _check_stored(path: Path, response_id: str) -> None:
    from responses_stream import HttpRequest

    server = ResponsesServer(options=ResponsesServerOptions(store=f"sqlite:///{path}"))
    async with server.lifespan():
        reply = await server.handle(HttpRequest("GET", f"/v1/responses/{response_id}"))
        assert isinstance(reply.body, bytes)
        assert json.loads(reply.body)["status"] == "completed"


_RECIPES = {
    "gunicorn": """
import signal
bind, worker_class, threads, preload_app = "127.0.0.1:{port}", "gthread", 8, True
def post_worker_init(worker):
    worker.wsgi.drain_on_signals(signal.SIGTERM)
def worker_exit(server, worker):
    worker.wsgi.close()
""",
    "waitress": """
import signal, waitress.server
server = waitress.server.create_server(app, host="127.0.0.1", port={port}, threads=8)
app.drain_on_signals(signal.SIGTERM)
try:
    server.run()
finally:
    app.close()
""",
    "cheroot": """
import signal, cheroot.wsgi
server = cheroot.wsgi.Server(("127.0.0.1", {port}), app, numthreads=8)
app.drain_on_signals(signal.SIGTERM)
try:
    server.start()
except (KeyboardInterrupt, SystemExit):
    app.drain().result()
finally:
    server.stop()
    app.close()
""",
}
"""What docs/transports.md tells people who start the programs themselves."""

_APP = """
from responses_stream import ResponsesServer
from responses_transports.wsgi import WSGIApp
from tests.transports.wsgi_program import handler
server = ResponsesServer()
server.response_handler(handler)
app = WSGIApp(server, threads=8)
"""


@pytest.mark.parametrize(
    "program", ["gunicorn", *(pytest.param(p, marks=pytest.mark.slow) for p in _RECIPES if p != "gunicorn")]
)
def test_the_recipes_end_streams_too(program: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    recipe = _RECIPES[program].format(port=port)
    if program == "gunicorn":
        (tmp_path / "mine.py").write_text(_APP)
        (tmp_path / "gunicorn.conf.py").write_text(recipe)
        command = [
            "-m",
            "gunicorn",
            "-c",
            f"{tmp_path}/gunicorn.conf.py",
            "--pythonpath",
            f"{tmp_path},{ROOT}",
            "mine:app",
        ]
    else:
        command = ["-c", _APP + recipe]
    with subprocess.Popen([sys.executable, *command], cwd=ROOT, stderr=subprocess.PIPE, text=True) as popen:
        try:
            process = Process(popen, port)
            with process.connect_patiently() as connection:
                post(connection, "wait")
                began = read_until(connection, b"response.in_progress")
                popen.send_signal(signal.SIGTERM)
                said = began + read_until(connection, b"\r\n0\r\n\r\n")
            assert b"I was told." in said
            assert popen.wait(PATIENCE) == 0
            assert popen.stderr is not None
            assert "Traceback" not in popen.stderr.read()
        finally:
            popen.kill()


@programs
def test_a_second_signal_does_not_wait(program: str, tmp_path: Path) -> None:
    options: dict[str, object] = {"shutdown_grace_period_seconds": 1000.0}
    with program_running(program, tmp_path, options) as process, process.connect() as connection:
        post(connection, "stay")
        read_until(connection, b"response.in_progress")
        process.popen.send_signal(signal.SIGINT)
        read_until(connection, b"I was told.")
        process.popen.send_signal(signal.SIGTERM)
        status = process.popen.wait(PATIENCE)
        assert status == (0 if program == "gunicorn" else -signal.SIGTERM)


@pytest.mark.slow
@programs
def test_a_unix_socket(program: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    options: dict[str, object] = {"unix_socket": str(path)}
    with program_running(program, tmp_path, options) as process:
        process.family, process.path = socket.AF_UNIX, str(path)
        with process.connect() as connection:
            post(connection, "hello")
            assert DONE in read_until(connection, b"\r\n0\r\n\r\n")
        assert process.stop() == 0
    assert not path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("program", ["gunicorn", "cheroot"])
def test_tls(program: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    options: dict[str, object] = {"certfile": str(certificate), "keyfile": str(key)}
    with program_running(program, tmp_path, options) as process:
        with context.wrap_socket(process.connect(), server_hostname="127.0.0.1") as connection:
            assert connection.version() in ("TLSv1.2", "TLSv1.3")
            post(connection, "hello")
            assert DONE in read_until(connection, b"\r\n0\r\n\r\n")
        assert process.stop() == 0


def test_the_preferred_program_is_the_first_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(name: str) -> object:
        return None if name == "gunicorn" else importlib.util.find_spec(name)

    monkeypatch.setattr("responses_transports.wsgi_servers.find_spec", found)
    with pytest.raises(CannotServe, match="waitress speaks no TLS"):
        serve(FakeEngine(echo), Listen(certfile="x"))
    with pytest.raises(CannotServe, match=r"pip install 'responses-stream\[gunicorn\]'"):
        serve(FakeEngine(echo), Listen(server="gunicorn"))


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        (Listen(server="uvicorn"), "no WSGI server is called 'uvicorn' here; there is gunicorn, waitress, cheroot"),
        (Listen(server="waitress", workers=2), "waitress has one process only"),
        (Listen(server="cheroot", workers=2), "cheroot has one process only"),
    ],
)
def test_what_a_program_cannot_do_is_told(listen: Listen, why: str) -> None:
    with pytest.raises(CannotServe, match=re.escape(why)):
        serve(FakeEngine(echo), listen)


def test_cheroot_listens_on_one_socket() -> None:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    with pytest.raises(CannotServe, match="cheroot listens on one socket only"):
        serve(FakeEngine(echo), Listen(server="cheroot", sockets=sockets))
    assert [one.fileno() for one in sockets] == [-1, -1]
