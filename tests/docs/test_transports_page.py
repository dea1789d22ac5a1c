"""The applications of docs/transports.md, as they stand there: each is asked for a response, and for what is beside."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import anyio
import django.conf  # not `settings` itself, which pytest would ask for what it has before it is configured
import httpx
import pytest
from django.test.utils import override_settings

from responses_stream import (
    CreateResponse,
    MemoryStore,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
    validate_events,
)
from responses_transports.wsgi import WSGIApp

PAGE: Final = (Path(__file__).resolve().parents[2] / "docs" / "transports.md").read_text()
BLOCKS: Final = dict(re.findall(r"##+ ([^\n]+)\n(?:(?!\n##).)*?```python\n(.*?)```", PAGE, re.S))
OVER_ASGI: Final = {"ASGI": "", "FastAPI and Starlette": "/ai", "Litestar": "/ai", "Django": "/ai", "Quart": "/ai"}
OVER_WSGI: Final = {"Flask": "/ai", "Django, and any other": "/ai"}
ASKED: Final = {"model": "echo", "input": "Hi"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ResponsesServer]:
    """The server that the page imports from a module of its reader."""
    server = ResponsesServer(store=MemoryStore(), options=ResponsesServerOptions(default_model="echo"))

    @server.response_handler
    async def echo(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text=f"You said: {await context.get_input_text()}")

    theirs = ModuleType("my_server")
    theirs.__dict__["server"] = server
    theirs.__dict__["urlpatterns"] = []
    monkeypatch.setitem(sys.modules, "my_server", theirs)
    if not django.conf.settings.configured:
        django.conf.settings.configure(ROOT_URLCONF="my_server", ALLOWED_HOSTS=["*"], SECRET_KEY="of an example")
    with override_settings(ROOT_URLCONF="my_server", ALLOWED_HOSTS=["*"]):
        yield server


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module for a block; frameworks look for the one that they are used in."""
    module = ModuleType("module")
    monkeypatch.setitem(sys.modules, "module", module)
    return module


def application_in(module: ModuleType, title: str) -> Any:
    """Return what the block below the heading *title* calls its application."""
    exec(BLOCKS[title], module.__dict__)
    return module.__dict__.get("app") or module.__dict__["application"]


def check(asked: Callable[[str], Any]) -> None:
    assert "You said: Hi" in asked("json").text
    stream = asked("stream")
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.text.endswith("data: [DONE]\n\n")
    assert asked("beside").status_code == 404


@pytest.mark.parametrize("title", OVER_ASGI)
def test_an_asgi_application_has_the_server_in_it(title: str, module: ModuleType, server: ResponsesServer) -> None:
    application, place = application_in(module, title), OVER_ASGI[title]

    async def ask() -> dict[str, httpx.Response]:
        transport = httpx.ASGITransport(application)
        base = f"http://test{place}"
        async with httpx.AsyncClient(transport=transport, base_url=base) as client, server.lifespan():
            return {
                "json": await client.post("/v1/responses", json=ASKED),
                "stream": await client.post("/v1/responses", json={**ASKED, "stream": True}),
                "beside": await client.get("http://test/beside"),
            }

    check(anyio.run(ask).__getitem__)


@pytest.mark.parametrize("title", OVER_WSGI)
@pytest.mark.usefixtures("server")
def test_a_wsgi_application_has_the_server_in_it(title: str, module: ModuleType) -> None:
    application, place = application_in(module, title), OVER_WSGI[title]
    ours: WSGIApp = module.__dict__.get("responses") or application.wsgi_app.mounts[place]
    with (
        contextlib.closing(ours),
        httpx.Client(transport=httpx.WSGITransport(application), base_url=f"http://test{place}") as client,
    ):
        answers = {
            "json": client.post("/v1/responses", json=ASKED),
            "stream": client.post("/v1/responses", json={**ASKED, "stream": True}),
            "beside": client.get("http://test/beside"),
        }
    check(answers.__getitem__)


SLOW_SERVER: Final = """
import time
from responses_stream import MemoryStore, ResponsesServer, ResponsesServerOptions, TextResponse
from responses_transports.wsgi import WSGIApp

server = ResponsesServer(store=MemoryStore(), options=ResponsesServerOptions(shutdown_grace_period_seconds=0.1))
app = WSGIApp(server, threads=40)

@server.response_handler
def slow(request, context, signal):
    def text():
        yield "Hel"
        while not signal.is_set():
            time.sleep(0.01)
        time.sleep(1)
    return TextResponse(context, request, text=text)
"""


@pytest.mark.slow
def test_gunicorn_with_the_settings_of_the_page_ends_its_streams(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(BLOCKS["gunicorn"])
    (tmp_path / "module.py").write_text(SLOW_SERVER)
    command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "module:app"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = next(found for line in process.stderr if (found := re.search(r"Listening at: (http://\S+)", line)))
        asked = {**ASKED, "stream": True}
        with httpx.stream("POST", f"{said[1]}/v1/responses", json=asked, timeout=30) as answer:
            body = b""
            for piece in answer.iter_bytes():
                if b'"Hel"' in piece:
                    process.send_signal(signal.SIGTERM)
                body += piece
        process.stderr.read()
        assert process.wait(30) == 0
    assert validate_events(body, profile="strict").ok
    assert b"server_shutting_down" in body


def test_every_block_of_the_page_is_tried() -> None:
    assert set(BLOCKS) == {*OVER_ASGI, *OVER_WSGI, "gunicorn"}
