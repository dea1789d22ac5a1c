"""`ASGIApp` below a path of other people's applications, none of which passes its lifespan on (H15.15)."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio.from_thread
import attrs
import httpx
import hypercorn
import hypercorn.trio
import pytest
import uvicorn

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, TextResponse
from responses_stream.protocol.events import ResponseStreamEvent
from responses_transports.asgi import ASGIApp

AT = "/agent"

ASGI = Callable[[Any, Any, Any], Awaitable[None]]


@attrs.define
class Silent:
    """A handler that says little, and notes when it is cancelled."""

    cancelled: threading.Event = attrs.field(factory=threading.Event)

    async def __call__(self, request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        if request.model == "silent":
            stream = context.stream()
            try:
                yield stream.emit_created()
                await anyio.sleep_forever()
            finally:
                self.cancelled.set()
        async for event in TextResponse(context, request, text="Hello"):
            yield event


def in_starlette(ours: ASGIApp) -> ASGI:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    return Starlette(routes=[Mount("/outer", routes=[Mount(AT, app=ours)]), Mount(AT, app=ours)])


def in_fastapi(ours: ASGIApp) -> ASGI:
    from fastapi import FastAPI

    app = FastAPI()
    app.mount(AT, ours)
    return app


def behind_middleware(ours: ASGIApp) -> ASGI:
    """Starlette's own kind of middleware moves each message through tasks and streams of its own."""
    from fastapi import FastAPI, Request, Response

    app = FastAPI()
    app.mount(AT, ours)

    @app.middleware("http")
    async def pass_on(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers["x-passed"] = "on"
        return response

    return app


def beside_django(ours: ASGIApp) -> ASGI:
    from django.conf import settings
    from django.core.asgi import get_asgi_application

    if not settings.configured:
        settings.configure(SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
    django = get_asgi_application()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope.get("path", "").startswith(f"{AT}/"):
            await ours(scope | {"root_path": AT}, receive, send)
        else:
            await django(scope, receive, send)  # type: ignore[arg-type]  # its types name each kind of scope

    return app


urlpatterns: list[object] = []
"""What Django serves besides."""


def in_litestar(ours: ASGIApp) -> ASGI:
    from litestar import Litestar, asgi

    @asgi(AT, is_mount=True, copy_scope=True)
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await ours(scope, receive, send)

    return Litestar([mounted], logging_config=None)


def beside_quart(ours: ASGIApp) -> ASGI:
    from hypercorn.middleware import DispatcherMiddleware
    from quart import Quart

    return DispatcherMiddleware({AT: ours, "": Quart(__name__)})  # type: ignore[dict-item]  # its types name each event


APPS = [in_starlette, in_fastapi, behind_middleware, beside_django, in_litestar, beside_quart]


@contextmanager
def on_uvicorn(app: ASGI) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="wsproto"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield "http://{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def on_hypercorn_and_trio(app: ASGI) -> Iterator[str]:
    with anyio.from_thread.start_blocking_portal("trio") as portal, socket.create_server(("127.0.0.1", 0)) as listener:
        place = "http://{}:{}".format(*listener.getsockname())
        config = hypercorn.Config()
        config.bind, config.errorlog = [f"fd://{listener.detach()}"], None
        stop = portal.call(anyio.Event)
        serving = portal.start_task_soon(_serve_on_trio, app, config, stop.wait)
        try:
            yield place
        finally:
            portal.call(stop.set)
            serving.result()


async def _serve_on_trio(app: Any, config: hypercorn.Config, stop: Callable[[], Awaitable[None]]) -> None:
    await hypercorn.trio.serve(app, config, shutdown_trigger=stop, mode="asgi")


SERVED = [
    *[pytest.param(on_uvicorn, app, id=app.__name__) for app in APPS],
    pytest.param(on_hypercorn_and_trio, in_starlette, id="in_starlette_on_trio"),
]


@pytest.mark.parametrize(("served", "mounting"), SERVED)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*:UserWarning")  # those of the frameworks
def test_mounted_without_a_lifespan(
    served: Callable[[ASGI], Any], mounting: Callable[[ASGIApp], ASGI], caplog: pytest.LogCaptureFixture
) -> None:
    handler = Silent()
    server = ResponsesServer()
    server.response_handler(handler.__call__)
    with served(mounting(ASGIApp(server))) as place, httpx.Client(base_url=place + AT, trust_env=False) as client:
        made = client.post("/v1/responses", json={"model": "m", "input": "x"})
        assert made.json()["output"][0]["content"][0]["text"] == "Hello"
        kept = client.get(f"/v1/responses/{made.json()['id']}")
        assert kept.content == made.content

        streamed = client.post("/responses", json={"model": "m", "input": "x", "stream": True})
        assert streamed.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert streamed.text.endswith("data: [DONE]\n\n")
        assert "event: response.completed\n" in streamed.text

        unknown = client.get("/v1/nothing%20here")
        assert unknown.status_code == 404
        assert unknown.json()["error"]["additionalInfo"]["request_id"] == unknown.headers["x-request-id"]
        assert client.head("/v1/models").headers["content-length"] == str(len(client.get("/v1/models").content))

        with client.stream("POST", "/responses", json={"model": "silent", "input": "x", "stream": True}) as silent:
            texts = silent.iter_text()  # to let go of it is to leave
            assert next(texts).startswith("event: response.created\n")
            assert not handler.cancelled.is_set()
        # The client has gone, and nothing was sent that could have told it.
        assert handler.cancelled.wait(20)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_below_two_mounts() -> None:
    server = ResponsesServer()
    with on_uvicorn(in_starlette(ASGIApp(server))) as place:
        assert httpx.get(f"{place}/outer{AT}/v1/models", trust_env=False).json()["object"] == "list"


@pytest.mark.parametrize("root", ["/root", "/v1"])
def test_behind_a_proxy_that_takes_the_root_path_away(root: str) -> None:
    """uvicorn puts `--root-path` back in front of the path."""
    server = ResponsesServer()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(ASGIApp(server), log_config=None, root_path=root)
        uvicorn_server = uvicorn.Server(config)
        thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            place = "http://{}:{}".format(*listener.getsockname())
            assert httpx.get(f"{place}/v1/models", trust_env=False).json()["object"] == "list"
        finally:
            uvicorn_server.should_exit = True
            thread.join()
