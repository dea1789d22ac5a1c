"""The recipes of docs/own-routes.md, as they stand there: served, read by the real client, and left by it."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator
from types import SimpleNamespace
from unittest.mock import patch

import httpx
import openai
import pytest
from fastapi.responses import StreamingResponse
from openai.types.responses import ResponseStreamEvent

from responses_stream import (
    CreateResponse,
    ResponseEventStream,
    SyncYield,
    TextResponse,
    encode_stream,
    validate_events,
)
from responses_stream.protocol import new_response_id
from responses_stream.sse import DONE, SSE_HEADERS

from .routes import PATIENCE, ROUTES, Model, Route, served

NAMES = sorted(path.stem for path in ROUTES.glob("*.py"))
PAGE = ROUTES.parents[1] / "own-routes.md"
ASKED = {"model": "m", "input": "Hi"}


@pytest.fixture(scope="module", params=NAMES)
def server(request: pytest.FixtureRequest) -> Iterator[Route]:
    with served(request.param) as found:
        yield found


@pytest.fixture
def route(server: Route) -> Iterator[Route]:
    """The server, with its own model again behind each test."""
    with patch.dict(server.module.__dict__):
        yield server


@pytest.fixture
def client(route: Route) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=route.url, api_key="-", max_retries=0, timeout=PATIENCE) as found:
        yield found


def test_it_answers_with_a_response(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="m", input="Hi", temperature=0.5)
    assert answer.output_text == "Hello from your route"
    assert (answer.status, answer.model, answer.temperature) == ("completed", "m", 0.5)


def test_it_answers_with_a_stream(client: openai.OpenAI) -> None:
    with client.responses.stream(model="m", input="Hi") as events:
        assert events.get_final_response().output_text == "Hello from your route"


def test_the_stream_is_one_as_our_server_sends_it(route: Route) -> None:
    answer = httpx.post(f"{route.url}/responses", json={**ASKED, "stream": True}, timeout=PATIENCE)
    assert answer.status_code == 200
    sent = [(name, value) for name, value in answer.headers.multi_items() if name in SSE_HEADERS]
    assert sorted(sent) == sorted(SSE_HEADERS.items())
    assert answer.content.endswith(DONE)
    report = validate_events(answer.content, profile="strict")
    assert report.ok, report


def test_an_event_is_there_before_the_next_is_made(route: Route, client: openai.OpenAI) -> None:
    model = Model()
    route.talks(model)
    with client.responses.create(model="m", input="Hi", stream=True) as events:
        assert _first_delta(events) == "Hel"
        assert not model.closed.is_set()
        model.go_on()
        rest = [event.type for event in events]
    assert (rest[0], rest[-1]) == ("response.output_text.delta", "response.completed")
    assert model.closed.is_set()


def test_a_model_that_fails_does_not_cut_the_stream(route: Route, client: openai.OpenAI) -> None:
    model = Model(error=RuntimeError("the secret"))
    route.talks(model)
    with client.responses.with_streaming_response.create(model="m", input="Hi", stream=True) as answer:
        pieces = iter(answer.iter_bytes())
        body = next(pieces)
        model.go_on()
        body += b"".join(pieces)
    assert validate_events(body, profile="strict").ok
    assert re.findall(rb"event: (.*)", body)[-2:] == [b"error", b"response.failed"]
    assert b"secret" not in body


def test_without_a_stream_it_is_a_failed_response(route: Route, client: openai.OpenAI) -> None:
    class Gone:
        def __call__(self) -> str:
            raise RuntimeError("the secret")

    route.module.__dict__["model"] = Gone()
    answer = client.responses.create(model="m", input="Hi")
    assert answer.status == "failed"
    assert answer.error is not None
    assert answer.error.code == "server_error"


def test_a_whole_text_response_is_an_answer_too(route: Route, client: openai.OpenAI) -> None:
    async def later() -> str:
        return "Hello"

    def answer(request: CreateResponse) -> TextResponse:
        text: str | Callable[[], Awaitable[str]] = later if route.is_async else "Hello"
        return TextResponse(SimpleNamespace(response_id=new_response_id()), request, text=text)

    route.module.__dict__["answer"] = answer
    assert client.responses.create(model="m", input="Hi").output_text == "Hello"
    with client.responses.stream(model="m", input="Hi") as events:
        assert events.get_final_response().output_text == "Hello"


def test_a_body_that_does_not_fit_is_refused(route: Route, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"\$\.temperature"):
        client.responses.create(model="m", input="Hi", temperature="warm")  # type: ignore[call-overload]  # the point
    answer = httpx.post(f"{route.url}/responses", content=b"{", timeout=PATIENCE)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"


def test_a_client_that_leaves_closes_the_model(route: Route, client: openai.OpenAI) -> None:
    model = Model(endless=True)
    route.talks(model)
    with client.responses.create(model="m", input="Hi", stream=True) as events:
        assert _first_delta(events) == "Hel"
    if not route.is_async:
        model.go_on()  # a server of threads learns it from what it cannot send any more
    assert model.closed.wait(PATIENCE)


@pytest.mark.parametrize("name", ["aiohttp_route", "django_async_route"])
def test_a_client_that_waits_for_json_and_leaves_is_noticed_by_some(name: str) -> None:
    model, body = Model(), json.dumps(ASKED).encode()
    with served(name) as route:
        route.talks(model)
        address = httpx.URL(route.url)
        assert address.port is not None
        with socket.create_connection((address.host, address.port), PATIENCE) as client:
            head = f"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body)
            assert model.waits.wait(PATIENCE)
        assert model.closed.wait(PATIENCE)


def _first_delta(events: Iterable[ResponseStreamEvent]) -> str:
    return next(event.delta for event in events if event.type == "response.output_text.delta")


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_the_example(name: str) -> None:
    assert f"```python\n{(ROUTES / f'{name}.py').read_text()}```\n" in PAGE.read_text()


def test_starlette_iterates_a_synchronous_source_in_threads() -> None:
    model = Model()

    def answer() -> Iterator[SyncYield]:
        stream = ResponseEventStream("resp_1")
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield stream.output_item_message(model.at_once())
        yield stream.emit_completed()

    with served("fastapi_route") as route:
        route.module.app.add_api_route("/sync", lambda: StreamingResponse(encode_stream(answer())))
        with httpx.stream("GET", route.url.replace("v1", "sync"), timeout=PATIENCE) as reply:
            lines = reply.iter_lines()
            assert any('"delta":"Hel"' in line for line in lines)
            # While it waits, in a thread, the server answers others.
            assert httpx.get(route.url, timeout=PATIENCE).status_code == 404
            model.go_on()
            assert [line for line in lines if line][-1] == "data: [DONE]"
