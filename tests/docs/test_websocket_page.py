"""The clients of docs/websocket.md, as they stand there, against a server of ours."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import anyio.from_thread
import pytest

from responses_stream import (
    CreateResponse,
    MemoryStore,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)
from responses_transports.h11_server import serve_async

DOCS = Path(__file__).resolve().parents[2] / "docs"
WITH_OPENAI, RAW = re.findall(r"```python\n(.*?)```", (DOCS / "websocket.md").read_text(), re.S)


@pytest.fixture
def address() -> Iterator[str]:
    server = ResponsesServer(store=MemoryStore(), options=ResponsesServerOptions(default_model="echo"))

    @server.response_handler
    async def echo(request: CreateResponse, context: ResponseContext) -> TextResponse:
        before = len(await context.get_history())
        return TextResponse(context, request, text=f"{before} items before, and: {await context.get_input_text()}")

    with anyio.from_thread.start_blocking_portal() as portal:
        stop = portal.call(anyio.Event)
        serving, port = portal.start_task(functools.partial(serve_async, server, port=0, stop=stop.wait))
        yield f"127.0.0.1:{port}"
        portal.call(stop.set)
        serving.result()


def said_by(program: str, address: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert "127.0.0.1:8088" in program
    exec(program.replace("127.0.0.1:8088", address), {})
    return capsys.readouterr().out


def test_the_client_of_openai_continues_what_nobody_stores(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said_by(WITH_OPENAI, address, capsys) == "2 items before, and: Who am I?"


def test_a_raw_client_reads_the_events_of_a_stream(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said_by(RAW, address, capsys).splitlines()
    assert lines[0] == "0 response.created"
    assert lines[-1] == "8 response.completed"
