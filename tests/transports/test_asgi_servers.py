"""The transport ``asgi``: what each program is told, and how each ends, as processes of their own."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import attrs
import granian.server
import httpx
import hypercorn.asyncio
import pytest
import trustme
import uvicorn

from responses_stream.hosting.http import Limits
from responses_stream.hosting.listening import Listen
from responses_stream.hosting.transports import CannotServe, OffersServers, find_transport
from responses_transports import asgi_servers
from responses_transports.asgi import ASGIApp
from responses_transports.asgi_servers import serve

from .answering import FakeEngine, echo
from .launching import wait_until_it_listens

ROOT: Final = Path(__file__).parents[2]
PROGRAMS: Final = ("uvicorn", "hypercorn", "granian")
HERE: Final = re.compile(r"(?:running|listening|Running|Listening) (?:on|at:?) (?:\w+://127\.0\.0\.1:(\d+)|unix:)")


# What is asked for, and what cannot be.


def test_it_is_the_transport_of_that_name() -> None:
    assert find_transport("asgi") is serve
    assert isinstance(serve, OffersServers)
    assert list(serve.servers) == list(PROGRAMS)


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(asgi_servers, "find_spec", lambda name: name in names or None)


def test_the_first_program_that_is_installed_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    installed(monkeypatch, "hypercorn", "granian")
    monkeypatch.setattr(asgi_servers, "_hypercorn", lambda *_: taken.append("hypercorn"))
    monkeypatch.setattr(asgi_servers, "_granian", lambda *_: taken.append("granian"))
    serve(FakeEngine(echo), Listen(port=0))
    serve(FakeEngine(echo), Listen(port=0, server="granian"))
    assert taken == ["hypercorn", "granian"]


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn", "granian", None])
def test_a_program_that_is_missing_is_asked_for_by_its_extra(
    server: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch)
    with pytest.raises(CannotServe, match=rf"pip install 'responses-stream\[{server or 'uvicorn'}\]'"):
        serve(FakeEngine(echo), Listen(server=server))


def test_a_program_that_is_not_known() -> None:
    with pytest.raises(CannotServe, match="'daphne' here; there is uvicorn, hypercorn, granian"):
        serve(FakeEngine(echo), Listen(server="daphne"))


def test_granian_takes_no_sockets() -> None:
    with socket.socket() as one, pytest.raises(CannotServe, match="granian cannot be given a socket"):
        serve(FakeEngine(echo), Listen(server="granian", sockets=[one]))
    with pytest.raises(CannotServe, match="granian cannot be given a socket"):
        serve(FakeEngine(echo), Listen(server="granian", fd=3))


def test_granian_needs_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.get_start_method", lambda: "spawn")
    with pytest.raises(CannotServe, match="granian --interface asgi module:app"):
        serve(FakeEngine(echo), Listen(server="granian"))


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_an_address_that_is_taken(server: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        serve(FakeEngine(echo), Listen(server=server, port=taken.getsockname()[1]))


class _Seen(Exception):
    """What a program was told is known; it need not serve."""


LIMITS: Final = Limits(header_seconds=7.5, idle_seconds=12.5, max_header_bytes=1234, max_message_bytes=4321)
ASKED: Final = Listen(port=0, max_connections=55, access_log=True, certfile="c.pem", keyfile="k.pem", workers=1)


def test_what_uvicorn_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    def config(app: object, **settings: object) -> None:
        told.update(settings, app=app)
        raise _Seen

    monkeypatch.setattr(uvicorn, "Config", config)
    with pytest.raises(_Seen):
        serve(FakeEngine(echo, limits=LIMITS), attrs.evolve(ASKED, server="uvicorn"))
    assert isinstance(told.pop("app"), ASGIApp)
    assert told == {
        "lifespan": "on",
        "log_config": None,
        "access_log": True,
        "ssl_certfile": "c.pem",
        "ssl_keyfile": "k.pem",
        "limit_concurrency": 55,
        "h11_max_incomplete_event_size": 1234,
        "timeout_keep_alive": 13,
        "timeout_graceful_shutdown": 5,
        "ws_max_size": 4321,
    }


@pytest.mark.parametrize("keyfile", ["k.pem", None])
def test_what_hypercorn_is_told(keyfile: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, hypercorn.Config]] = []

    async def note(app: object, config: hypercorn.Config, **_: object) -> None:
        seen.append((app, config))

    monkeypatch.setattr(hypercorn.asyncio, "serve", note)
    with socket.create_server(("127.0.0.1", 0)) as one:
        listen = attrs.evolve(ASKED, server="hypercorn", sockets=[one], keyfile=keyfile)
        number = one.fileno()
        serve(FakeEngine(echo, limits=LIMITS), listen)
        socket.socket(fileno=number).close()
    [(app, told)] = seen
    assert isinstance(app, ASGIApp)
    assert told.bind == [f"fd://{number}"]
    assert (told.certfile, told.keyfile) == ("c.pem", keyfile or "c.pem")
    assert (told.h11_max_incomplete_size, told.h2_max_header_list_size) == (1234, 1234)
    assert (told.keep_alive_timeout, told.graceful_timeout, told.websocket_max_message_size) == (12.5, 5, 4321)
    assert told.accesslog is not None


@pytest.mark.parametrize("keyfile", ["k.pem", None])
def test_what_granian_is_told(keyfile: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    def make(_name: str, **settings: object) -> None:
        told.update(settings)
        raise _Seen

    monkeypatch.setattr(granian.server, "Server", make)
    with pytest.raises(_Seen):
        serve(FakeEngine(echo, limits=LIMITS), attrs.evolve(ASKED, server="granian", workers=3, keyfile=keyfile))
    assert (told["address"], told["workers"], told["backpressure"], told["log_access"]) == ("127.0.0.1", 3, 55, True)
    assert told["port"] > 0
    assert told["http1_settings"].header_read_timeout == 7500
    assert (told["ssl_cert"], told["ssl_key"]) == (Path("c.pem"), Path(keyfile or "c.pem"))
    with pytest.raises(_Seen):
        serve(FakeEngine(echo), Listen(server="granian", unix_socket="/x/y"))
    assert told["uds"] == Path("/x/y")


# Processes.


@attrs.define
class Program:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    said: str

    def ask(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port)

    def end(self) -> int:
        """Wait until it has ended, and return its exit status."""
        out, _ = self.process.communicate()
        self.said += out
        return self.process.returncode


@contextmanager
def running(*command: str, pass_fds: Sequence[int] = ()) -> Iterator[Program]:
    """Run a server and wait until it takes connections."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        pass_fds=pass_fds,
        start_new_session=True,
    ) as process:
        program = Program(process, 0, "")
        try:
            assert process.stdout is not None
            _wait_until_it_is_there(program, process.stdout)
            yield program
        finally:
            with suppress(ProcessLookupError):  # its workers with it
                os.killpg(process.pid, signal.SIGKILL)


def _wait_until_it_is_there(program: Program, out: IO[str]) -> None:
    for line in out:
        program.said += line
        if found := HERE.search(line):
            program.port = int(found[1] or 0)
            address = ("127.0.0.1", program.port) if program.port else line.partition("unix:")[2].strip()
            wait_until_it_listens(address)
            return
    raise AssertionError(program.said)


def ours(server: str, **settings: object) -> list[str]:
    asked = {"server": server, "port": 0} | settings
    settled = [f"{name}={value}" for name, value in asked.items()]
    return [sys.executable, "-m", "tests.transports.asgi_program", *settled]


def begin(asking: http.client.HTTPConnection) -> http.client.HTTPResponse:
    """Ask for a stream, and wait until it has begun."""
    headers = {"content-type": "application/json"}
    asking.request("POST", "/v1/responses", json.dumps({"model": "m", "input": "x", "stream": True}), headers)
    reply = asking.getresponse()
    assert reply.status == 200
    assert reply.readline() == b"event: response.created\n"
    return reply


def ends_with_a_terminal(reply: http.client.HTTPResponse) -> None:
    rest = reply.read().decode()
    assert "event: response.failed\n" in rest
    assert "server_shutting_down" in rest
    assert rest.endswith("data: [DONE]\n\n")


def drains(program: Program, number: signal.Signals, streams: int = 5) -> int:
    """Tell a program to stop with some streams open, see them end, and return its exit status."""
    with ExitStack() as stack:
        replies = [begin(stack.enter_context(closing(program.ask()))) for _ in range(streams)]
        program.process.send_signal(number)
        for reply in replies:
            ends_with_a_terminal(reply)
        return program.end()


@pytest.mark.parametrize("server", PROGRAMS)
def test_a_signal_drains_the_engine_and_ends_the_program(server: str) -> None:
    with running(*ours(server)) as program:
        assert drains(program, signal.SIGTERM) == 0
    assert "program: ended in order" in program.said
    assert "Traceback" not in program.said


@pytest.mark.slow
@pytest.mark.parametrize("server", PROGRAMS)
def test_an_interrupt_drains_it_as_well(server: str) -> None:
    with running(*ours(server)) as program:
        assert drains(program, signal.SIGINT) == 0
    assert "program: ended in order" in program.said
    assert "Traceback" not in program.said


@pytest.mark.slow
@pytest.mark.parametrize("server", PROGRAMS)
def test_workers(server: str) -> None:
    with running(*ours(server, workers=2)) as program:
        assert drains(program, signal.SIGTERM) == 0
    assert "program: ended in order" in program.said
    assert "Traceback" not in program.said


@pytest.mark.slow
@pytest.mark.parametrize("server", PROGRAMS)
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_waits_for_nobody(server: str, second: signal.Signals) -> None:
    with running(*ours(server, grace=600)) as program, closing(program.ask()) as asking:
        begin(asking)
        program.process.send_signal(signal.SIGTERM)
        while takes_more(program):
            pass
        program.process.send_signal(second)
        assert program.end() == (0 if server == "granian" else -second)


def takes_more(program: Program) -> bool:
    """Tell whether new responses are begun still; who is not answered waits in a socket that nobody accepts from."""
    with closing(http.client.HTTPConnection("127.0.0.1", program.port, timeout=5)) as asking:
        try:
            asking.request("POST", "/v1/responses", b"{}", {"content-length": "2"})
            return asking.getresponse().status != 503
        except OSError:
            return False


@pytest.mark.slow
@pytest.mark.parametrize("server", PROGRAMS)
def test_a_client_that_takes_nothing_is_not_waited_for(server: str) -> None:
    with running(*ours(server)) as program, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        client.connect(("127.0.0.1", program.port))
        body = b'{"model": "endless", "input": "x", "stream": true}'
        head = b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        client.sendall(head + body)
        assert client.recv(12) == b"HTTP/1.1 200"
        program.process.send_signal(signal.SIGTERM)
        assert program.end() == 0
    assert "program: ended in order" in program.said


@pytest.mark.slow
@pytest.mark.parametrize("server", PROGRAMS)
def test_a_unix_socket(server: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with running(*ours(server, unix_socket=path)) as program:
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport, base_url="http://x") as client:
            assert client.get("/readiness").json() == {"status": "healthy"}
        program.process.send_signal(signal.SIGTERM)
        assert program.end() == 0
    assert not path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_an_inherited_socket(server: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        with running(*ours(server, fd=number), pass_fds=[number]) as program:
            listener.close()
            assert drains(program, signal.SIGTERM) == 0


@pytest.mark.slow
@pytest.mark.parametrize("server", PROGRAMS)
@pytest.mark.parametrize("in_one_file", [False, True])
def test_tls(server: str, in_one_file: bool, tmp_path: Path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("localhost")
    certfile, keyfile = tmp_path / "cert.pem", tmp_path / "key.pem"
    for blob in made.cert_chain_pems:
        blob.write_to_path(certfile, append=True)
    made.private_key_pem.write_to_path(certfile if in_one_file else keyfile, append=True)
    files = {"certfile": certfile} if in_one_file else {"certfile": certfile, "keyfile": keyfile}
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    with running(*ours(server, **files)) as program:
        with closing(http.client.HTTPSConnection("localhost", program.port, context=trusted)) as asking:
            reply = begin(asking)
            program.process.send_signal(signal.SIGTERM)
            ends_with_a_terminal(reply)
        assert program.end() == 0


@pytest.mark.slow
@pytest.mark.parametrize("server", PROGRAMS)
def test_a_store_that_cannot_be_opened_ends_the_program(server: str, tmp_path: Path) -> None:
    command = ours(server, store=f"sqlite:///{tmp_path}/missing/x.sqlite3")
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode != 0
    assert "unable to open database file" in run.stdout + run.stderr


COMMANDS: Final = {
    "uvicorn": (["uvicorn", "--port", "0", "--timeout-graceful-shutdown", "30"], -signal.SIGTERM),
    "hypercorn": (["hypercorn", "--workers", "0", "--bind", "127.0.0.1:0", "--graceful-timeout", "30"], 0),
    "granian": (["granian", "--interface", "asgi"], 0),
}
"""How each is run by its own command, and the status that it has after a SIGTERM, whatever it serves."""


@pytest.mark.slow
@pytest.mark.parametrize("server", PROGRAMS)
def test_the_commands_of_the_programs_drain_it_too(server: str) -> None:
    """pains.md H5: they wait for the streams, and would only then say so to the application."""
    command, status = COMMANDS[server]
    with ExitStack() as kept:
        if server == "granian":  # each of its workers binds the address anew
            command = [*command, "--port", str(kept.enter_context(asgi_servers._free_port("127.0.0.1")))]
        asked = [sys.executable, "-m", *command, "tests.transports.asgi_program:app"]
        program = kept.enter_context(running(*asked))
        assert drains(program, signal.SIGTERM) == status
    assert "Traceback" not in program.said
