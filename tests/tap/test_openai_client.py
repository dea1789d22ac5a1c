"""The real `openai` client through the tap, in front of a server of ours: it notices nothing, and all of it is seen."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.from_thread
import openai
import pytest

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, TextResponse
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.tap.captures import Captures
from responses_stream.tap.judging import Reading
from responses_stream.tap.proxy import Tap
from responses_stream.tap.upstream import Upstream
from responses_stream.tap.watching import Watch
from responses_stream.validation import EventValidator, Source, Violation
from responses_transports.h11_server import serve_async

KEY = "sk-not-to-be-seen"


@pytest.fixture
def server() -> ResponsesServer:
    server = ResponsesServer()

    @server.response_handler
    async def handler(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text=f"You said: {request.input}")

    return server


@contextmanager
def client_through_tap(server: ResponsesServer, backend: str, watch: Watch) -> Iterator[openai.OpenAI]:
    with anyio.from_thread.start_blocking_portal(backend) as portal:
        serving, port = portal.start_task(functools.partial(serve_async, server, port=0))
        tap = Tap(Upstream.at(f"http://127.0.0.1:{port}/v1"), watch)
        tapping, port = portal.start_task(functools.partial(serve_async, tap, port=0))
        with openai.OpenAI(base_url=f"http://127.0.0.1:{port}", api_key=KEY, max_retries=0, timeout=30) as client:
            yield client
        tapping.cancel()
        serving.cancel()


def test_every_way_of_asking(server: ResponsesServer, anyio_backend: str, tmp_path: Path) -> None:
    lines: list[str] = []
    watch = Watch(Reading("strict"), captures=Captures(tmp_path), tell=lines.append)
    with client_through_tap(server, anyio_backend, watch) as client:
        with client.responses.create(model="m", input="raw", stream=True) as events:
            types = [event.type for event in events]
        assert (types[0], types[-1]) == ("response.created", "response.completed")
        with client.responses.stream(model="m", input="helper") as helper:
            assert helper.get_final_response().output_text == "You said: helper"
        assert client.responses.create(model="m", input="JSON").output_text == "You said: JSON"
        assert client.models.list().data == []
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model="m", input="x", background=True, store=False)
        assert refused.value.code == "unsupported_parameter"
        with pytest.raises(openai.NotFoundError):
            client.embeddings.create(model="m", input="x")
    assert (watch.tally.exchanges, watch.tally.streams, watch.tally.faulty, watch.tally.unjudged) == (6, 2, 0, 0)
    assert not watch.tally.violations
    assert [line.split()[0] for line in sorted(lines)] == ["#1", "#2", "#3", "#4", "#5", "#6"]
    assert [line for line in sorted(lines) if f": {len(types)} events, valid" in line] == sorted(lines)[:2]
    asked = json.loads((tmp_path / "00001" / "request.json").read_bytes())
    assert asked == {"model": "m", "input": "raw", "stream": True}
    assert json.loads((tmp_path / "00003" / "body.json").read_bytes())["status"] == "completed"
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*.*"))
    assert KEY.encode() not in written
    assert KEY not in "".join(lines)


def test_a_client_that_leaves_reaches_the_handler(anyio_backend: str) -> None:
    server = ResponsesServer()
    stopped = threading.Event()

    @server.response_handler
    async def endless(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        try:
            yield context.stream().emit_created()
            await anyio.sleep_forever()
        finally:
            stopped.set()

    watch = Watch(tell=lambda _: None)
    with client_through_tap(server, anyio_backend, watch) as client:
        with client.responses.create(model="m", input="x", stream=True) as events:
            assert next(iter(events)).type == "response.created"
            assert not stopped.is_set()
        assert stopped.wait(30)
        # The tap and the server live on.
        assert client.models.list().data == []
    assert watch.tally.faulty == 0


def test_a_chunk_is_with_the_client_before_it_is_judged(
    server: ResponsesServer, anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, in_time = threading.Event(), list[bool]()
    judge = EventValidator.feed

    def judge_late(validator: EventValidator, source: Source) -> list[Violation]:
        in_time.append(arrived.wait(10))
        return judge(validator, source)

    monkeypatch.setattr(EventValidator, "feed", judge_late)
    with (
        client_through_tap(server, anyio_backend, Watch(tell=lambda _: None)) as client,
        client.responses.create(model="m", input="x", stream=True) as events,
    ):
        first = next(iter(events))
        arrived.set()
        assert [first.type, *(event.type for event in events)][-1] == "response.completed"
    assert in_time
    assert all(in_time)
