"""Spans and metrics of requests and runs (H9.12, H16.1 to H16.7, pains.md C10, I1, I2)."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest
from opentelemetry import baggage, trace
from opentelemetry.trace import SpanKind, StatusCode

from responses_stream import (
    CreateResponse,
    HttpRequest,
    MemoryStore,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    SyncResponseContext,
    TextResponse,
)
from responses_stream.hosting.telemetry import NoTelemetry, RequestEnd, RequestTelemetry, RunBegin, RunTelemetry
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.stores.base import Key, NotStored

from .asking import answer_of, ask, request_for
from .telling import Told, id_of, parent_of, told_of

pytestmark = pytest.mark.anyio

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
MODES = [{"stream": stream, "store": store} for stream in (True, False) for store in (True, False)]
BACKGROUND = [{"background": True, "stream": stream} for stream in (True, False)]


def server_of(told: Told, **more: Any) -> ResponsesServer:
    return ResponsesServer(telemetry=told.telemetry, **more)


def says(server: ResponsesServer, told: Told, *, kind: str = "async") -> None:
    """Let the server answer with "Hi", which is made lazily, inside a span of the handler's own."""

    async def later() -> AsyncIterator[str]:
        with told.tracer.start_as_current_span("lazy"):
            await anyio.lowlevel.checkpoint()
        yield "Hi"

    def at_once() -> Iterator[str]:
        with told.tracer.start_as_current_span("lazy"):
            pass
        yield "Hi"

    if kind == "async":

        @server.response_handler
        async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
            with told.tracer.start_as_current_span("eager"):
                await anyio.lowlevel.checkpoint()
            return TextResponse(context, request, text=later())

    else:

        @server.response_handler
        def answer_in_thread(request: CreateResponse, context: SyncResponseContext) -> TextResponse:
            with told.tracer.start_as_current_span("eager"):
                pass
            return TextResponse(context, request, text=at_once())


@pytest.mark.parametrize("mode", [*MODES, *BACKGROUND], ids=str)
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_what_a_handler_traces_is_below_its_run_in_the_trace_of_the_caller(
    mode: dict[str, bool], kind: str
) -> None:
    """H16.5, I1, I2: in every mode, for async and sync handlers, and for what is made lazily."""
    told = Told()
    server = server_of(told)
    says(server, told, kind=kind)
    async with server.lifespan():
        answer = await ask(server, {**mode, "model": "m"}, headers={"traceparent": TRACEPARENT})
        assert answer.status == 200
    run, request = told.run, told.request
    for name in ("eager", "lazy"):
        [span] = told.named(name)
        assert parent_of(span) == id_of(run)
    assert parent_of(run) == id_of(request)
    assert parent_of(request) == int(CALLER, 16)
    assert {span.context.trace_id for span in told.spans.get_finished_spans() if span.context} == {int(TRACE, 16)}
    assert (request.kind, run.kind) == (SpanKind.SERVER, SpanKind.INTERNAL)
    # I2: a run that outlives its request is tied to it.
    assert [link.context.span_id for link in run.links] == ([id_of(request)] if mode.get("background") else [])


async def test_the_spans_say_what_was_asked_and_what_came_of_it() -> None:
    """H16.2, H16.3."""
    told = Told()
    server = server_of(told)

    @server.response_handler
    async def answer(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        for event in stream.output_item_message("Hello"):
            yield event
        yield stream.emit_completed(usage={"input_tokens": 3, "output_tokens": 2, "total_tokens": 5})

    body = {
        "model": "gpt-x",
        "stream": True,
        "conversation": "conv_1",
        "agent_reference": {"type": "agent_reference", "name": "tutor", "version": "3"},
    }
    async with server.lifespan():
        answered = await ask(server, body, headers={"x-request-id": "r" * 300})
    assert answered.types[-1] == "response.completed"
    response_id = answered.events[0]["response"]["id"]
    both = {
        "gen_ai.provider.name": "responses_stream",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.response.id": response_id,
        "gen_ai.conversation.id": "conv_1",
        "gen_ai.agent.name": "tutor",
        "gen_ai.agent.version": "3",
        "gen_ai.agent.id": "tutor:3",
        "responses.response_id": response_id,
        "responses.conversation_id": "conv_1",
        "responses.request_id": answered.headers["x-request-id"],
        "responses.streaming": True,
        "responses.background": False,
        "responses.store": True,
        "responses.outcome": "completed",
        "request.id": "r" * 256,
    }
    assert told_of(told.request) == both | {
        "http.request.method": "POST",
        "url.path": "/v1/responses",
        "http.response.status_code": 200,
    }
    assert told.run.name == "invoke_agent tutor"
    assert told_of(told.run) == both | {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.response.model": "gpt-x",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
        "responses.status": "completed",
        "responses.ended_by": "handler",
        "responses.last_event": "response.completed",
        "responses.terminal_event": "response.completed",
        "responses.events": len(answered.events),
        "responses.bytes": len(answered.body) - len(b"data: [DONE]\n\n"),
    }


async def test_what_was_not_said_is_no_attribute() -> None:
    """H16.3: without the headers and the members there are no attributes of them."""
    told = Told()
    server = server_of(told)
    says(server, told)
    async with server.lifespan():
        await ask(server, {"input": "hi"})
    names = set(told_of(told.request)) | set(told_of(told.run))
    assert not names & {"request.id", "gen_ai.request.model", "gen_ai.conversation.id", "gen_ai.agent.name"}
    assert told_of(told.run)["responses.conversation_id"] == ""


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"stream": 3}', b'{"background": true, "store": false}'])
async def test_a_request_that_is_refused_has_its_span_and_no_run(body: bytes) -> None:
    """H16.1: exactly one end per start, on validation errors too."""
    told = Told()
    server = server_of(told)
    answer = await ask(server, body)
    assert answer.status == 400
    [span] = told.spans.get_finished_spans()
    facts = told_of(span)
    assert facts["responses.outcome"] == "refused"
    assert facts["error.type"] == answer.error["code"]
    assert span.status.status_code is StatusCode.UNSET  # a client's mistake is no error of a server's span
    [(labels, count)] = told.points("gen_ai.server.request.duration")
    assert (labels["responses.outcome"], labels["error.type"], count) == ("refused", answer.error["code"], 1)


async def test_a_body_that_is_too_large_or_breaks_off_ends_the_span() -> None:
    """H16.1."""
    told = Told()
    server = server_of(told, options=ResponsesServerOptions(max_body_bytes=10))
    assert (await ask(server, {"input": "much too long"})).status == 413
    assert told_of(told.request)["responses.outcome"] == "refused"
    told.spans.clear()

    async def half() -> AsyncIterator[bytes]:
        yield b"{"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await server.handle(HttpRequest("POST", "/v1/responses", body=half()))
    assert told_of(told.request)["responses.outcome"] == "client_gone"


@pytest.mark.parametrize("path", ["/readiness", "/v1/responses/resp_0", "/nowhere"])
async def test_other_endpoints_have_no_span(path: str) -> None:
    told = Told()
    await ask(server_of(told), method="GET", path=path)
    assert told.spans.get_finished_spans() == ()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_handler_that_raises_has_failed(stream: bool) -> None:
    """I2: what came last, what it ended with, and who ended it."""
    told = Told()
    server = server_of(told)

    @server.response_handler
    async def fails(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        said = context.stream()
        yield said.emit_created()
        yield said.emit_in_progress()
        raise KeyError("secret")

    async with server.lifespan():
        await ask(server, {"stream": stream})
    facts = told_of(told.run)
    assert facts["responses.outcome"] == facts["responses.status"] == "failed"
    assert facts["error.type"] == "KeyError"
    assert facts["responses.last_event"] == "response.in_progress"
    assert facts["responses.terminal_event"] == "response.failed"
    assert facts["responses.ended_by"] == "handler"
    assert told.run.status.status_code is StatusCode.ERROR
    assert "secret" not in repr([told_of(span) for span in told.spans.get_finished_spans()])
    [(labels, _)] = told.points("gen_ai.server.request.duration")
    assert (labels["responses.outcome"], labels["error.type"]) == ("failed", "KeyError")


async def test_an_event_that_is_refused_names_its_rule() -> None:
    told = Told()
    server = server_of(told)

    @server.response_handler
    async def wrong(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        said = context.stream()
        said.emit_created()
        yield said.emit_in_progress()

    async with server.lifespan():
        answer = await ask(server, {})
    assert answer.status == 500
    facts = told_of(told.run)
    assert (facts["error.type"], facts["responses.rule"]) == ("OutOfOrder", "R030")
    assert "responses.terminal_event" not in facts
    assert told_of(told.request)["responses.outcome"] == "failed"
    assert told.request.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize("status", ["incomplete", "failed"])
async def test_what_the_handler_says_of_its_end_is_the_outcome(status: str) -> None:
    told = Told()
    server = server_of(told)

    @server.response_handler
    async def ends(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        said = context.stream()
        yield said.emit_created()
        yield said.emit_in_progress()
        yield said.emit_failed(code="mine", message="m") if status == "failed" else said.emit_incomplete()

    async with server.lifespan():
        await ask(server, {"stream": True})
    facts = told_of(told.run)
    assert facts["responses.outcome"] == status
    assert facts.get("error.type") == ("mine" if status == "failed" else None)


def waits(server: ResponsesServer) -> anyio.Event:
    """Let the handler begin, and then wait for ever; return what is set when it waits."""
    waiting = anyio.Event()

    @server.response_handler
    async def answer(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        yield context.stream().emit_created()
        waiting.set()
        await anyio.sleep_forever()

    return waiting


async def test_a_client_that_leaves_is_no_failure() -> None:
    """C10: `client_gone` is an outcome of its own, on the spans and the metrics, and no error."""
    told = Told()
    server = server_of(told)
    waiting = waits(server)
    async with server.lifespan():
        reply = await server.handle(request_for({"stream": True}))
        assert not isinstance(reply.body, bytes)
        await waiting.wait()
        assert [point for _, point in told.points("responses.runs.active")] == [1]
        await reply.body.aclose()
        await anyio.wait_all_tasks_blocked()
        assert [point for _, point in told.points("responses.runs.active")] == [0]
    facts = told_of(told.run)
    assert (facts["responses.outcome"], facts["responses.ended_by"]) == ("client_gone", "client")
    assert facts["responses.last_event"] == "response.created"
    assert "error.type" not in facts
    assert told.run.status.status_code is StatusCode.UNSET
    assert told_of(told.request)["responses.outcome"] == "client_gone"
    [(labels, _)] = told.points("gen_ai.server.request.duration")
    assert labels["responses.outcome"] == "client_gone"


@pytest.mark.parametrize("deltas", [1, 2, 100])
async def test_the_last_event_is_told_however_many_there_were_like_it(deltas: int) -> None:
    """I2: where a stream stood when its client left."""
    told, waiting = Told(), anyio.Event()
    server = server_of(told)

    @server.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        async def text() -> AsyncIterator[str]:
            for _ in range(deltas):
                yield "x"
            waiting.set()
            await anyio.sleep_forever()

        return TextResponse(context, request, text=text())

    async with server.lifespan():
        reply = await server.handle(request_for({"stream": True}))
        assert not isinstance(reply.body, bytes)
        await waiting.wait()
        await reply.body.aclose()
        await anyio.wait_all_tasks_blocked()
    assert told_of(told.run)["responses.last_event"] == "response.output_text.delta"
    assert [count for _, count in told.points("gen_ai.server.time_to_first_token")] == [1]


class Counting(NoTelemetry):
    """Counts how often it is told something."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def trace_id(self) -> str:
        self.told.append("trace_id")
        return ""

    def request_begins(self, request: HttpRequest) -> RequestTelemetry:  # noqa: ARG002
        self.told.append("request_begins")
        return self

    def run_begins(self, begin: RunBegin) -> RunTelemetry:  # noqa: ARG002
        self.told.append("run_begins")
        return self

    def enter(self) -> None:
        self.told.append("enter")

    def ends(self, end: object) -> None:
        self.told.append(type(end).__name__)


@pytest.mark.parametrize("deltas", [0, 100])
async def test_no_event_is_told_of(deltas: int) -> None:
    """Telemetry hears of begins and ends, each once, and of nothing in between."""
    telemetry = Counting()
    server = ResponsesServer(telemetry=telemetry)

    @server.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text=iter("x" * deltas))

    async with server.lifespan():
        await ask(server, {"stream": True})
    assert telemetry.told == ["trace_id", "request_begins", "run_begins", "enter", "RunEnd", "RequestEnd"]


async def test_a_call_that_is_cancelled_has_an_end() -> None:
    """H16.1: the client of a JSON request leaves before there is an answer."""
    told = Told()
    server = server_of(told)
    waiting = waits(server)
    async with server.lifespan(), anyio.create_task_group() as tasks:
        tasks.start_soon(server.handle, request_for({}))
        await waiting.wait()
        tasks.cancel_scope.cancel()
    assert told_of(told.request)["responses.outcome"] == "client_gone"
    assert told_of(told.run)["responses.outcome"] == "client_gone"
    assert "http.response.status_code" not in told_of(told.request)


async def test_a_cancelled_response_is_cancelled() -> None:
    told = Told()
    server = server_of(told, options=ResponsesServerOptions(cancel_grace_seconds=0.001))
    waits(server)
    async with server.lifespan():
        created = (await ask(server, {"background": True})).json
        assert (await ask(server, path=f"/v1/responses/{created['id']}/cancel")).json["status"] == "cancelled"
    facts = told_of(told.run)
    assert (facts["responses.outcome"], facts["responses.ended_by"]) == ("cancelled", "client")
    assert facts["responses.terminal_event"] == "response.failed"  # decision 6


async def test_the_end_of_the_server_ends_a_run_as_failed() -> None:
    told = Told()
    server = server_of(told, options=ResponsesServerOptions(shutdown_grace_period_seconds=0.001))
    waits(server)
    async with server.lifespan():
        await ask(server, {"background": True})
    facts = told_of(told.run)
    assert (facts["responses.outcome"], facts["responses.ended_by"]) == ("failed", "server")
    assert facts["error.type"] == "server_shutting_down"


class NoEnds(MemoryStore):
    """A store that takes nothing but the begin of a response."""

    trouble: Exception = OSError("the disk is full")

    async def append(self, *_arguments: Any, **_more: Any) -> None:
        raise self.trouble


async def test_a_store_that_fails_is_what_failed() -> None:
    told = Told()
    server = server_of(told, store=NoEnds())
    says(server, told)
    async with server.lifespan():
        assert (await ask(server, {"stream": True})).types[-1] == "response.failed"
    facts = told_of(told.run)
    assert (facts["responses.outcome"], facts["error.type"]) == ("failed", "storage_error")
    assert facts["responses.last_event"] == "response.completed"
    assert facts["responses.terminal_event"] == "response.failed"


async def test_a_response_that_was_deleted_under_its_run_is_lost_and_nobody_has_failed() -> None:
    told, store = Told(), NoEnds()
    store.trouble = NotStored(Key("", "resp_1"))
    server = server_of(told, store=store)
    says(server, told)
    async with server.lifespan():
        assert (await ask(server, {})).status == 404
    facts = told_of(told.run)
    assert facts["responses.outcome"] == "lost"
    assert not {"error.type", "responses.terminal_event"} & set(facts)
    assert told.run.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_no_span_is_current_for_whoever_sends_the_answer(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """I1: not between two pieces, not after the last, and nothing fails to be detached."""
    told = Told()
    server = server_of(told)
    says(server, told, kind=kind)
    current: list[bool] = []

    def look() -> None:
        current.append(trace.get_current_span().get_span_context().is_valid)
        current.append(bool(baggage.get_all()))

    async with server.lifespan():
        reply = await server.handle(request_for({"stream": True}, headers={"traceparent": TRACEPARENT}))
        look()
        assert not isinstance(reply.body, bytes)
        async for _ in reply.body:
            look()
        await reply.body.aclose()
        look()
    assert len(current) >= 6
    assert not any(current)
    assert "detach" not in caplog.text
    assert [record for record in caplog.records if record.name.startswith("opentelemetry")] == []


async def test_a_body_that_another_task_closes_detaches_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """I1: the usual way to "Failed to detach context"."""
    told = Told()
    server = server_of(told)
    waiting = waits(server)
    async with server.lifespan():
        reply = await server.handle(request_for({"stream": True}))
        assert not isinstance(reply.body, bytes)
        await anext(aiter(reply.body))
        await waiting.wait()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_close, reply.body.aclose)
    assert told_of(told.run)["responses.outcome"] == "client_gone"
    assert caplog.records == []


async def _close(close: Callable[[], Any]) -> None:
    await close()


async def test_a_span_that_a_framework_has_begun_is_the_parent() -> None:
    """H9.12: its trace is the request's id; there is one SERVER span in a process, and it is not ours then."""
    told = Told()
    server = server_of(told)
    says(server, told)
    async with server.lifespan():
        with told.tracer.start_as_current_span("the framework", kind=SpanKind.SERVER) as outer:
            headers = {"traceparent": TRACEPARENT, "x-request-id": "mine"}
            answer = await ask(server, {}, headers=headers)
            assert trace.get_current_span() is outer
    assert parent_of(told.request) == outer.get_span_context().span_id
    assert told.request.kind is SpanKind.INTERNAL
    assert answer.headers["x-request-id"] == trace.format_trace_id(outer.get_span_context().trace_id)


async def test_what_looks_after_the_store_is_not_part_of_the_first_request() -> None:
    """A task that outlives all requests must not keep the span of the one that came first."""
    told = Told()
    seen: list[bool] = []

    class Watched(MemoryStore):
        async def attend(self, owner: str, lease: float, seconds: float, *, grace: float = 0.0) -> Any:
            seen.append(trace.get_current_span().get_span_context().is_valid)
            return await super().attend(owner, lease, seconds, grace=grace)

    server = server_of(told, store=Watched())
    says(server, told)
    with told.tracer.start_as_current_span("the framework"):
        async with server.lifespan():
            await anyio.wait_all_tasks_blocked()
    assert seen == [True, False]  # the first is awaited by the one who came first; the others are nobody's


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_baggage_goes_on_and_tells_of_the_response(kind: str) -> None:
    """H16.6, H16.7: what came in is kept, and what the handler calls can be told what it is called for."""
    told = Told()
    server = server_of(told)
    seen: dict[str, object] = {}

    def look(request: CreateResponse, context: Any) -> TextResponse:
        seen.update(baggage.get_all())
        return TextResponse(context, request, text="Hi")

    @server.response_handler
    async def later(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return look(request, context)

    if kind == "sync":
        server.response_handler(look)
    headers = {"baggage": "team=blue,tier=gold", "x-request-id": "r1"}
    async with server.lifespan():
        answer = await ask(server, {"conversation": "conv_1"}, headers=headers)
    assert seen == {
        "team": "blue",
        "tier": "gold",
        "responses.response_id": answer.json["id"],
        "responses.conversation_id": "conv_1",
        "responses.streaming": "False",
        "x-request-id": "r1",
    }


@pytest.mark.parametrize(
    "headers", [{"baggage": ""}, {"baggage": ";;,="}, {"traceparent": "junk"}, {"tracestate": "="}]
)
async def test_headers_that_say_nothing_do_no_harm(headers: dict[str, str]) -> None:
    """H16.6."""
    told = Told()
    server = server_of(told)
    says(server, told)
    async with server.lifespan():
        assert (await ask(server, {}, headers=headers)).status == 200
    assert told.request.parent is None


async def test_headers_that_came_in_pieces_are_put_together() -> None:
    told = Told()
    server = server_of(told)
    seen: dict[str, object] = {}

    @server.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        seen.update(baggage.get_all())
        return TextResponse(context, request, text="Hi")

    headers = (("baggage", "a=1"), ("baggage", "b=2"), ("traceparent", TRACEPARENT))
    async with server.lifespan():
        reply = await server.handle(HttpRequest("POST", "/v1/responses", headers=headers, body=b"{}"))
        await answer_of(reply)
    assert (seen["a"], seen["b"]) == ("1", "2")
    assert parent_of(told.request) == int(CALLER, 16)


async def test_what_cannot_be_written_is_escaped_before_it_is_exported() -> None:
    """An exporter that cannot encode one attribute loses all spans of its batch."""
    told = Told()
    server = server_of(told)
    says(server, told)
    async with server.lifespan():
        body = b'{"model": "a\\u2028\\nb", "conversation": "' + b"c" * 999 + b'"}'
        assert (await ask(server, body, headers={"x-request-id": "\udcff"})).status == 200
    for span in (told.request, told.run):
        for value in told_of(span).values():
            assert str(value).encode().isascii()
            assert len(str(value)) <= 256


async def test_metrics_of_a_run() -> None:
    told = Told()
    server = server_of(told)
    says(server, told)
    async with server.lifespan():
        answer = await ask(server, {"stream": True, "model": "m"})
        await ask(server, {"model": "m", "background": True})
    common = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "responses_stream"}
    models = {"gen_ai.request.model": "m", "gen_ai.response.model": "m"}
    ended = {**common, **models, "responses.outcome": "completed"}
    assert told.points("gen_ai.server.request.duration") == [(ended, 2)]
    assert told.points("gen_ai.server.time_to_first_token") == [({**common, **models}, 2)]
    assert told.points("responses.run.events") == [(ended, 2 * len(answer.events))]
    assert [labels for labels, _ in told.points("responses.run.bytes")] == [ended]
    active = told.points("responses.runs.active")
    assert [number for _, number in active] == [0, 0]


async def test_a_request_that_attaches_to_a_run_begins_none() -> None:
    """Decision 22: two requests, two spans, one run."""
    told = Told()
    server = server_of(told)
    says(server, told)
    headers = {"idempotency-key": "k"}
    async with server.lifespan():
        first = await ask(server, {}, headers=headers)
        assert (await ask(server, {}, headers=headers)).json == first.json
    assert len(told.named("POST /v1/responses")) == 2
    assert told_of(told.run)["gen_ai.response.id"] == first.json["id"]
    assert [count for _, count in told.points("gen_ai.server.request.duration")] == [1]


class Broken:
    """A telemetry that fails at everything, or from the run on."""

    def __init__(self, what: str) -> None:
        self.what = what

    def trace_id(self) -> str:
        self.fail("trace_id")
        return ""

    def request_begins(self, request: HttpRequest) -> RequestTelemetry:  # noqa: ARG002
        self.fail("request")
        return self

    def run_begins(self, begin: RunBegin) -> RunTelemetry:  # noqa: ARG002
        self.fail("run")
        return self

    def enter(self) -> None:
        self.fail("enter")

    def ends(self, end: object) -> None:
        self.fail("request ends" if isinstance(end, RequestEnd) else "run ends")

    def fail(self, what: str) -> None:
        if what == self.what:
            raise RuntimeError(f"broken at {what}")


@pytest.mark.parametrize("what", ["trace_id", "request", "run", "enter", "request ends", "run ends"])
async def test_a_telemetry_that_fails_is_logged_and_changes_nothing(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = ResponsesServer(telemetry=Broken(what))

    @server.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text="Hi")

    async with server.lifespan():
        assert (await ask(server, {"stream": True})).types[-1] == "response.completed"
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert f"broken at {what}" in caplog.text


async def test_no_telemetry_tells_nobody() -> None:
    server = ResponsesServer(telemetry=NoTelemetry())
    seen: list[bool] = []

    @server.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        seen.append(trace.get_current_span().get_span_context().is_valid)
        return TextResponse(context, request, text="Hi")

    async with server.lifespan():
        answered = await ask(server, {}, headers={"traceparent": TRACEPARENT})
    assert (answered.status, seen) == (200, [False])
    assert answered.headers["x-request-id"] == TRACE


SERVES = """
import sys
{before}
import anyio, responses_stream
from responses_stream import HttpRequest, ResponsesServer, TextResponse
{check}
server = ResponsesServer()
@server.response_handler
async def answer(request, context):
    return TextResponse(context, request, text="Hi")
async def main():
    async with server.lifespan():
        assert (await server.handle(HttpRequest("POST", "/v1/responses", body=b"{{}}"))).status == 200
anyio.run(main)
{after}
"""


@pytest.mark.parametrize(
    ("before", "check", "after"),
    [
        # Not installed; a namespace without the API; installed.
        (
            "sys.modules['opentelemetry'] = None",
            "",
            "assert 'responses_stream.hosting.open_telemetry' not in sys.modules",
        ),
        ("sys.modules['opentelemetry.metrics'] = None", "", "assert 'opentelemetry.sdk' not in sys.modules"),
        ("", "assert 'opentelemetry' not in sys.modules", "assert 'opentelemetry.trace' in sys.modules"),
    ],
)
def test_the_package_needs_no_opentelemetry_and_loads_it_only_to_serve(before: str, check: str, after: str) -> None:
    program = SERVES.format(before=before, check=check, after=after)
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
