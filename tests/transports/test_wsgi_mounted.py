"""The WSGI application under a path of somebody else's, and under one that reads PEP 3333 strictly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from wsgiref.types import StartResponse, WSGIApplication
from wsgiref.validate import validator

import flask
import pytest
from django import conf
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.test.utils import override_settings
from django.urls import path
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from responses_stream.hosting.http import HttpReply, HttpRequest
from responses_transports.wsgi import WSGIApp

from .wsgi_stage import FakeEngine, Pieces, ask, serving

urlpatterns = [path("own", lambda _request: HttpResponse(b"its own"))]


@contextmanager
def under_flask(app: WSGIApp) -> Iterator[WSGIApplication]:
    outer = flask.Flask("outer")
    outer.add_url_rule("/own", view_func=lambda: "its own")
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/ai": app})  # type: ignore[method-assign]  # Flask's own way
    yield outer


@contextmanager
def under_django(app: WSGIApp) -> Iterator[WSGIApplication]:
    if not conf.settings.configured:
        conf.settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="of a test")
    with override_settings(ROOT_URLCONF=__name__):
        yield dispatching(get_wsgi_application(), app)


@contextmanager
def under_a_dispatcher(app: WSGIApp) -> Iterator[WSGIApplication]:
    def own(_environ: dict[str, object], start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"its own"]

    yield dispatching(own, app)


def dispatching(own: WSGIApplication, app: WSGIApp) -> WSGIApplication:
    """What a project without a framework writes itself."""

    def application(environ: dict[str, object], start_response: StartResponse) -> Iterable[bytes]:
        asked = str(environ["PATH_INFO"])
        if not asked.startswith("/ai/"):
            return own(environ, start_response)
        moved = {"SCRIPT_NAME": f"{environ['SCRIPT_NAME']}/ai", "PATH_INFO": asked.removeprefix("/ai")}
        return app({**environ, **moved}, start_response)

    return application


@pytest.fixture(params=[under_flask, under_django, under_a_dispatcher])
def mounting(request: pytest.FixtureRequest) -> Callable[[WSGIApp], AbstractContextManager[WSGIApplication]]:
    mount: Callable[[WSGIApp], AbstractContextManager[WSGIApplication]] = request.param
    return mount


def test_it_streams_under_its_path_and_the_rest_is_theirs(
    mounting: Callable[[WSGIApp], AbstractContextManager[WSGIApplication]],
) -> None:
    body = Pieces()

    async def answer(_request: HttpRequest) -> HttpReply:
        return HttpReply(200, (("content-type", "text/event-stream"),), body)

    engine = FakeEngine(answer)
    with serving(engine) as app, mounting(app) as outer:
        assert ask(outer, "/own").rest() == b"its own"
        reply = ask(outer, "/ai/v1/caf\xc3\xa9", QUERY_STRING="a=b", RAW_URI="/ai/v1/caf%C3%A9?a=b")
        for piece in (b"one", b"two"):
            body.say(piece)
            assert reply.take() == piece
        reply.close()
        assert body.closed.wait(20)
    [asked] = engine.asked
    assert (asked.path, asked.query, asked.target) == ("/v1/caf\xe9", "a=b", "/v1/caf%C3%A9?a=b")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_strict_reader_of_the_rules_has_nothing_against_it(method: str) -> None:
    async def answer(request: HttpRequest) -> HttpReply:
        if request.path == "/stream":
            return HttpReply(200, (("content-type", "text/event-stream"),), Pieces(b"one", b"two", None))
        length = 0
        if not isinstance(request.body, bytes):
            length = sum([len(piece) async for piece in request.body])
        size = b"%d" % length
        return HttpReply(200, (("content-type", "text/plain"), ("content-length", str(len(size)))), size)

    with serving(FakeEngine(answer)) as app:
        reply = ask(validator(app), "/", b"x" * 100_000, method)
        assert reply.rest() == b"100000"
        reply.close()
        streamed = ask(validator(app), "/stream", method=method)
        assert streamed.rest() == (b"" if method == "HEAD" else b"onetwo")
        streamed.close()
