"""``responses-stream tap`` as a process: it listens, it passes on, it tells, and it sums up when it is stopped."""

from __future__ import annotations

import functools
import http.client
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.from_thread
import openai
import pytest

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, TextResponse
from responses_stream.cli import main
from responses_stream.hosting.http import HttpReply, HttpRequest
from responses_stream.protocol.events import ResponseStreamEvent
from responses_transports.h11_server import serve_async

ADDRESS = re.compile(r"listening on (http://\S+)")
KEY = "sk-not-to-be-seen"


class Broken(ResponsesServer):
    """A server that leaves out `response.created`."""

    async def handle(self, request: HttpRequest) -> HttpReply:
        reply = await super().handle(request)
        if isinstance(reply.body, bytes):
            return reply
        try:
            sent = b"".join([piece async for piece in reply.body])
        finally:
            await reply.body.aclose()
        return HttpReply(reply.status, reply.headers, sent.partition(b"\n\n")[2])


@contextmanager
def serving(server: ResponsesServer) -> Iterator[str]:
    @server.response_handler
    async def handler(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text=f"You said: {request.input}")

    with anyio.from_thread.start_blocking_portal() as portal:
        task, port = portal.start_task(functools.partial(serve_async, server, port=0))
        yield f"http://127.0.0.1:{port}"
        task.cancel()


@contextmanager
def tapping(upstream: str, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "responses_stream", "tap", "--upstream", upstream, "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert process.stderr.readline() == f"passing everything on to {upstream}\n"
            said = ADDRESS.search(process.stderr.readline())
            assert said is not None, process.stderr.read()
            yield said[1], process
        finally:
            process.kill()


def ask(address: str) -> tuple[int, str]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0, timeout=30) as client:
        query = {"api_key": KEY}
        with client.responses.create(model="m", input="Hi", stream=True, extra_query=query) as events:
            return events.response.status_code, [event.type for event in events][-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_passes_on_tells_and_sums_up(tmp_path: Path, number: signal.Signals) -> None:
    with serving(ResponsesServer()) as upstream, tapping(upstream, "--out", str(tmp_path)) as (address, process):
        assert ask(address) == (200, "response.completed")
        process.send_signal(number)
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    exchange, summary = errors.splitlines()
    assert exchange.startswith(f"#1 POST {upstream}/v1/responses?api_key=[redacted] 200: ")
    assert summary == "1 exchange, 1 stream, 0 with errors"
    assert {file.name for file in (tmp_path / "00001").iterdir()} >= {"request.json", "body.sse", "report.json"}
    assert KEY.encode() not in errors.encode() + b"".join(file.read_bytes() for file in tmp_path.rglob("*.*"))


@pytest.mark.parametrize(("arguments", "status"), [((), 0), (("--fail-on-violation", "--profile", "strict"), 1)])
def test_violations_are_named_and_may_fail(arguments: tuple[str, ...], status: int) -> None:
    with serving(Broken()) as upstream, tapping(upstream, *arguments) as (address, process):
        assert ask(address) == (200, "response.completed")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == status
    assert "#1 R030 error at event 0, line 1, byte 0, $.type: " in errors
    assert "1 exchange, 1 stream, 1 with errors\n" in errors
    assert "  R030 error      1 x  " in errors


def test_a_second_signal_does_not_wait() -> None:
    server = ResponsesServer()
    with (
        serving(server) as upstream,
        tapping(upstream) as (address, process),
        openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0, timeout=30) as client,
    ):

        @server.response_handler
        async def endless(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
            yield context.stream().emit_created()
            await anyio.sleep_forever()

        idle = http.client.HTTPConnection(address.removeprefix("http://"))
        idle.request("GET", "/v1/models")
        assert idle.getresponse().read()
        with client.responses.create(model="m", input="Hi", stream=True) as events:
            assert next(iter(events)).type == "response.created"
            process.send_signal(signal.SIGINT)
            assert idle.sock.recv(1) == b""  # it has heard the first
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        idle.close()
    assert process.returncode == 0
    assert errors.splitlines()[-1] == "2 exchanges, 1 stream, 0 with errors"


def test_rules_can_be_left_out() -> None:
    with (
        serving(Broken()) as upstream,
        tapping(upstream, "--fail-on-violation", "--ignore", "R030") as (address, process),
    ):
        assert ask(address) == (200, "response.completed")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, "R030" in errors) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--upstream", "api.example.com"], 2, "--upstream: has to be like https://api.example.com"),
        (["--upstream", "http://localhost:8089"], 2, "is where the tap itself would listen"),
        (["--upstream", "http://localhost:1", "--ignore", "R030,R999"], 2, "R999"),
        (["--upstream", "http://localhost:1", "--out", __file__], 1, f"cannot write to {__file__}"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tap", *arguments]) == status
    assert message in capsys.readouterr().err


def test_an_address_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["tap", "--upstream", "https://api.example.com", "--port", str(port)]) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def test_without_httpx_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("responses_stream.tap.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "httpx", None)
    assert main(["tap", "--upstream", "https://api.example.com"]) == 2
    assert "pip install 'responses-stream[client]'" in capsys.readouterr().err
