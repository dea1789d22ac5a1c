"""The examples of docs/examples/routes, each served in a thread on a port of its own, and a model that tests direct."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from types import ModuleType
from typing import Any, Final, NoReturn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIApplication

import attrs
import pytest
import uvicorn
from aiohttp import web
from django.test.utils import override_settings
from django.urls import clear_url_caches

ROUTES: Final = Path(__file__).resolve().parents[2] / "docs" / "examples" / "routes"
PATIENCE: Final = 30

Serve = Callable[[Any, socket.socket], AbstractContextManager[None]]
"""Serves an application on a socket that listens; of what kind the application is, the example decides."""


@attrs.define(eq=False)
class Model:
    """What stands in for the model of an example: it says ``Hel``, waits for the test, and says ``lo``.

    Attributes:
        waits: set when it has said ``Hel``.
        closed: set when it was left, in whatever way.
        error: raised in place of the ``lo``.
        endless: whether it says ``lo`` until it is left.
    """

    waits: threading.Event = attrs.field(factory=threading.Event)
    closed: threading.Event = attrs.field(factory=threading.Event)
    error: Exception | None = None
    endless: bool = False
    _wake: Callable[[], object] = attrs.field(init=False)

    def go_on(self) -> None:
        """Let it say the rest."""
        assert self.waits.wait(PATIENCE)
        self._wake()

    def at_once(self) -> Iterator[str]:
        try:
            yield "Hel"
            told = threading.Event()
            self._wake = told.set
            self.waits.set()
            assert told.wait(PATIENCE)
            yield self._rest()
            while self.endless:
                yield "lo"
        finally:
            self.closed.set()

    async def later(self) -> AsyncIterator[str]:
        try:
            yield "Hel"
            told, loop = asyncio.Event(), asyncio.get_running_loop()
            self._wake = lambda: loop.call_soon_threadsafe(told.set)
            self.waits.set()
            await told.wait()
            yield self._rest()
            while self.endless:
                await asyncio.sleep(0)
                yield "lo"
        finally:
            self.closed.set()

    def _rest(self) -> str:
        if self.error is not None:
            raise self.error
        return "lo"


@attrs.frozen
class Route:
    """An example that is being served.

    Attributes:
        module: the example.
        url: where it answers, up to ``/v1``.
        is_async: whether it runs in an event loop.
    """

    module: ModuleType
    url: str
    is_async: bool

    def talks(self, model: Model) -> None:
        """Give the example another model."""
        self.module.__dict__["model"] = model.later if self.is_async else model.at_once


@contextmanager
def served(name: str) -> Iterator[Route]:
    """Serve the example *name*, in a thread of its own."""
    with ExitStack() as stack:
        module = stack.enter_context(_loaded(name))
        listening = socket.create_server(("127.0.0.1", 0))
        if "django" in name:
            stack.enter_context(override_settings(ROOT_URLCONF=name, ALLOWED_HOSTS=["*"]))
            clear_url_caches()
        app = module.application if "django" in name else module.app
        serve: Serve = _SERVERS.get(name, _uvicorn)
        port = listening.getsockname()[1]
        stack.enter_context(serve(app, listening))
        yield Route(module, f"http://127.0.0.1:{port}/v1", serve is not _wsgi)


@contextmanager
def _loaded(name: str) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location(name, ROUTES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, name, module)  # Django finds its routes by the name of their module
        spec.loader.exec_module(module)
        yield module


@contextmanager
def _running(serve: Callable[[], object], stop: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@contextmanager
def _uvicorn(app: Callable[..., object], listening: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    with _running(lambda: server.run([listening]), lambda: setattr(server, "should_exit", True)):
        yield


@contextmanager
def _wsgi(app: WSGIApplication, listening: socket.socket) -> Iterator[None]:
    server = _ThreadedServer(listening.getsockname()[:2], _QuietHandler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    server.server_name, server.server_port = listening.getsockname()[:2]
    server.setup_environ()
    server.set_app(app)
    with server, _running(lambda: server.serve_forever(0.02), server.shutdown):
        yield


class _ThreadedServer(ThreadingMixIn, WSGIServer):
    """A thread for each request."""

    def handle_error(self, *_: object) -> NoReturn:
        raise  # what is being handled


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _aiohttp(app: web.Application, listening: socket.socket) -> Iterator[None]:
    loop, stopped = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        await stopped.wait()
        await runner.cleanup()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    with _running(run, lambda: loop.call_soon_threadsafe(stopped.set)):
        yield


_SERVERS: Final[dict[str, Serve]] = {"flask_route": _wsgi, "django_sync_route": _wsgi, "aiohttp_route": _aiohttp}
