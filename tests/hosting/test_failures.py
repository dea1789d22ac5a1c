"""Handlers that fail or break the order: the client gets a whole stream and a fixed sentence, the log gets the rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import attrs
import msgspec
import pytest

from responses_stream import CreateResponse, ResponseContext, ResponseEventStream, ResponsesServer
from responses_stream.hosting.http import CutShort
from responses_stream.protocol.base import UnknownEvent
from responses_stream.protocol.events import ResponseErrorEvent

from .asking import Answer, ask

pytestmark = pytest.mark.anyio

MESSAGE = "An internal server error occurred."
SECRET = "the secret of the handler"


@attrs.frozen
class Fault:
    """What a handler does wrong, and how the log names it."""

    logged: str
    events: Any

    def __str__(self) -> str:
        return str(self.events.__name__)


def raises_at_once(_: ResponseEventStream) -> Iterator[Any]:
    yield from ()
    raise RuntimeError(SECRET)


def yields_text(_: ResponseEventStream) -> Iterator[Any]:
    yield SECRET


def yields_a_dict(_: ResponseEventStream) -> Iterator[Any]:
    yield {"type": "response.created"}


def yields_none(_: ResponseEventStream) -> Iterator[Any]:
    yield None


def begins_with_in_progress(stream: ResponseEventStream) -> Iterator[Any]:
    stream.emit_created()
    yield stream.emit_in_progress()


def begins_with_an_unknown_event(_: ResponseEventStream) -> Iterator[Any]:
    yield UnknownEvent(type="acme:hello")


def has_another_id(_: ResponseEventStream) -> Iterator[Any]:
    yield ResponseEventStream("resp_of_somebody_else").emit_created()


def is_created_as_ended(stream: ResponseEventStream) -> Iterator[Any]:
    created = stream.emit_created()
    yield msgspec.structs.replace(created, response=msgspec.structs.replace(created.response, status="completed"))


def is_created_with_output(stream: ResponseEventStream) -> Iterator[Any]:
    created = stream.emit_created()
    stream.emit_in_progress()
    item = [*stream.output_item_message("x")][-1].item
    yield msgspec.structs.replace(created, response=msgspec.structs.replace(created.response, output=[item]))


BEFORE = [
    Fault("raised", raises_at_once),
    Fault("what the handler said: expected an event", yields_text),
    Fault("not a valid response.created event", yields_a_dict),
    Fault("what the handler said: expected an event", yields_none),
    Fault("response.in_progress in state response before response.created", begins_with_in_progress),
    Fault("R030", begins_with_an_unknown_event),
    Fault("R042", has_another_id),
    Fault("response.created with status completed", is_created_as_ended),
    Fault("R045", is_created_with_output),
]


def raises(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    raise RuntimeError(SECRET)


def ends_early(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    yield stream.emit_in_progress()


def builder_out_of_order(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    yield stream.emit_created()


def event_out_of_order(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    other = ResponseEventStream(stream.response_id)
    other.emit_created()
    other.emit_in_progress()
    yield [*other.output_item_message(SECRET)][3]


def completes_with_another_status(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    completed = stream.emit_completed()
    yield msgspec.structs.replace(completed, response=msgspec.structs.replace(completed.response, status="failed"))


def cannot_be_written(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    yield UnknownEvent(type="acme:\ud800")


def yields_an_exception(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    yield RuntimeError(SECRET)


AFTER = [
    Fault("raised", raises),
    Fault("ended without a terminal event", ends_early),
    Fault("broke the order of events", builder_out_of_order),
    Fault("broke the order of events", event_out_of_order),
    Fault("response.completed with status failed", completes_with_another_status),
    Fault("half a surrogate pair", cannot_be_written),
    Fault("what the handler said: expected an event", yields_an_exception),
]


async def answer_to(fault: Any, kind: str, stream: bool) -> Answer:
    server = ResponsesServer()

    async def in_loop(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        for event in fault(context.stream()):
            yield event

    def in_thread(_request: CreateResponse, context: ResponseContext) -> Iterator[Any]:
        yield from fault(context.stream())

    server.response_handler(in_loop if kind == "async" else in_thread)
    answer = await ask(server, {"stream": stream, "model": "m"}, headers={"x-request-id": "mine"})
    assert SECRET not in answer.body.decode()
    return answer


@pytest.mark.parametrize("fault", BEFORE, ids=str)
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_before_created_json_is_a_500(fault: Fault, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = await answer_to(fault.events, kind, stream=False)
    assert answer.status == 500
    assert answer.error == {
        "code": "server_error",
        "message": MESSAGE,
        "param": None,
        "type": "server_error",
        "additionalInfo": {"request_id": "mine"},
    }
    assert answer.headers["x-platform-error-source"] == "upstream"
    assert fault.logged in caplog.text


@pytest.mark.parametrize("fault", BEFORE, ids=str)
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_before_created_a_stream_is_one_error(fault: Fault, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = await answer_to(fault.events, kind, stream=True)
    assert answer.status == 200
    assert answer.events == [
        {
            "type": "error",
            "sequence_number": 0,
            "code": "server_error",
            "message": MESSAGE,
            "param": None,
            "error": {"message": MESSAGE, "type": "server_error", "code": "server_error", "param": None},
        }
    ]
    assert answer.data[-1] == "[DONE]"
    assert fault.logged in caplog.text


@pytest.mark.parametrize("fault", AFTER, ids=str)
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_after_created_a_stream_ends_with_error_and_failed(
    fault: Fault, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await answer_to(fault.events, kind, stream=True)
    assert answer.types[0] == "response.created"
    assert answer.types[-2:] == ["error", "response.failed"]
    assert [event["sequence_number"] for event in answer.events] == list(range(len(answer.events)))
    error, failed = answer.events[-2:]
    assert (error["code"], error["message"]) == ("server_error", MESSAGE)
    response = failed["response"]
    assert response == {
        **answer.events[0]["response"],
        "status": "failed",
        "error": {"code": "server_error", "message": MESSAGE},
    }
    [record] = [record for record in caplog.records if record.getMessage().startswith("handler ")]
    assert (record.name, record.levelno) == ("responses_stream", logging.ERROR)
    assert response["id"] in record.getMessage()
    assert fault.logged in caplog.text


@pytest.mark.parametrize("fault", AFTER, ids=str)
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_after_created_json_is_a_failed_response(fault: Fault, kind: str) -> None:
    answer = await answer_to(fault.events, kind, stream=False)
    assert answer.status == 200
    assert answer.json["status"] == "failed"
    assert answer.json["error"] == {"code": "server_error", "message": MESSAGE}
    assert answer.json["model"] == "m"


def fails_between_items(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    yield stream.emit_in_progress()
    first, second = stream.add_output_item_message(), stream.add_output_item_message()
    yield first.emit_added()
    yield second.emit_added()
    text = second.add_text_content()
    yield text.emit_added()
    yield text.emit_delta("kept")
    yield text.emit_text_done()
    yield text.emit_done()
    yield second.emit_done()
    raise RuntimeError(SECRET)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_failed_response_keeps_the_items_that_were_done(stream: bool) -> None:
    answer = await answer_to(fails_between_items, "async", stream)
    response = answer.events[-1]["response"] if stream else answer.json
    [item] = response["output"]
    assert item["content"][0]["text"] == "kept"


def tells_an_error(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    yield stream.emit_error("rate_limit_exceeded", "Slow down.")


async def test_an_error_that_the_handler_told_is_not_told_again() -> None:
    answer = await answer_to(tells_an_error, "async", stream=True)
    assert answer.types == ["response.created", "error", "response.failed"]
    assert answer.events[-1]["response"]["error"] == {"code": "rate_limit_exceeded", "message": "Slow down."}
    answer = await answer_to(tells_an_error, "async", stream=False)
    assert answer.json["error"] == {"code": "rate_limit_exceeded", "message": "Slow down."}


def tells_an_error_first(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_error("no_capacity", "Come back later.", param="model")


async def test_an_error_that_comes_first_is_all_there_is() -> None:
    answer = await answer_to(tells_an_error_first, "async", stream=True)
    assert answer.types == ["error"]
    assert answer.events[0]["code"] == "no_capacity"
    answer = await answer_to(tells_an_error_first, "async", stream=False)
    assert answer.status == 500
    assert (answer.error["code"], answer.error["message"]) == ("no_capacity", "Come back later.")
    assert answer.error["param"] == "model"


def tells_a_bare_error_first(_: ResponseEventStream) -> Iterator[Any]:
    yield ResponseErrorEvent(sequence_number=0)


async def test_an_error_that_says_nothing_gets_the_fixed_sentence() -> None:
    answer = await answer_to(tells_a_bare_error_first, "async", stream=False)
    assert (answer.status, answer.error["code"], answer.error["message"]) == (500, "server_error", MESSAGE)


def fails_after_the_end(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    yield stream.emit_completed()
    raise RuntimeError(SECRET)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_failure_after_the_end_changes_nothing(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    answer = await answer_to(fails_after_the_end, "async", stream)
    response = answer.events[-1]["response"] if stream else answer.json
    assert response["status"] == "completed"
    await anyio.wait_all_tasks_blocked()
    assert SECRET in caplog.text


@pytest.mark.parametrize("stream", [True, False])
async def test_without_a_handler_the_server_fails_as_a_handler_would(
    stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await ask(ResponsesServer(), {"stream": stream})
    if stream:
        assert answer.types == ["error"]
    else:
        assert (answer.status, answer.error["code"]) == (500, "server_error")
    assert "@server.response_handler" in caplog.text


@pytest.mark.parametrize("stream", [True, False])
async def test_a_fault_of_the_engine_ends_one_run_and_no_other(
    stream: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = ResponsesServer()
    release = anyio.Event()

    @server.response_handler
    async def handler(request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        events = context.stream()
        yield events.emit_created()
        if request.input == "first":
            await release.wait()
            yield events.emit_completed()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET)

    answers = []

    async def first() -> None:
        answers.append(await ask(server, {"input": "first"}))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first)
        await anyio.wait_all_tasks_blocked()
        with monkeypatch.context() as patch:
            patch.setattr("responses_stream.hosting.publication.failed", fail)
            if stream:
                # A stream that cannot be ended is cut: a client must not take it for a whole one.
                with pytest.raises(CutShort):
                    await ask(server, {"stream": True})
            else:
                answer = await ask(server, {})
                assert (answer.status, answer.error["code"]) == (500, "server_error")
                assert answer.headers["x-platform-error-source"] == "platform"
        release.set()
    assert answers[0].json["status"] == "completed"
    assert "the engine failed" in caplog.text


@pytest.mark.parametrize("returned", [None, 3, "text", b"bytes", object()])
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_handler_has_to_return_events(returned: Any, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    server = ResponsesServer()

    async def in_loop(_request: CreateResponse, _context: ResponseContext) -> Any:
        return returned

    def in_thread(_request: CreateResponse, _context: ResponseContext) -> Any:
        return returned

    server.response_handler(in_loop if kind == "async" else in_thread)
    assert (await ask(server, {})).status == 500
    assert "what the handler said: expected an event" in caplog.text


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("created", [True, False])
async def test_a_cancellation_of_the_handlers_own_is_a_failure(created: bool, caplog: pytest.LogCaptureFixture) -> None:
    def cancels(stream: ResponseEventStream) -> Iterator[Any]:
        if created:
            yield stream.emit_created()
        raise asyncio.CancelledError

    answer = await answer_to(cancels, "async", stream=True)
    assert answer.types == (["response.created", "error", "response.failed"] if created else ["error"])
    answer = await answer_to(cancels, "async", stream=False)
    assert answer.status == (200 if created else 500)
    assert "H20.9" in caplog.text
