"""Every fault of a handler, in every mode, async and sync: one end, the same on the wire, in the store, on replay.

Sections 3.1 to 3.3 of hosting-contract.md with decisions 5 and 8 to 12; what H20.1 to H20.9 call bugs is tested for.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import anyio
import msgspec
import pytest

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponseEventStream,
    ResponsesServer,
    ResponsesServerOptions,
)
from responses_stream.protocol.base import UnknownEvent
from responses_stream.protocol.events import ResponseCompletedEvent, ResponseFailedEvent, ResponseIncompleteEvent
from responses_stream.validation import validate_events

from .asking import ask
from .playing import MODES, STORED, STREAMS, Played, check_whole, play

pytestmark = pytest.mark.anyio

MESSAGE: Final = "An internal server error occurred."
SECRET: Final = "the secret of the handler"
QUICK: Final = {("asyncio", "async"): [*MODES], ("asyncio", "sync"): ["SS", "B"], ("trio", "async"): ["SS", "B"]}
WAYS: Final = pytest.mark.parametrize(
    ("anyio_backend", "kind", "mode"),
    [
        # What differs between the modes is the same on both backends; the whole product is for `make test-all`.
        pytest.param(backend, kind, mode, marks=() if mode in QUICK.get((backend, kind), ["BS"]) else pytest.mark.slow)
        for backend in ("asyncio", "trio")
        for kind in ("async", "sync")
        for mode in MODES
    ],
)
FAILURE: Final = {"code": "server_error", "message": MESSAGE}


def handler_of(fault: Callable[[ResponseEventStream], Iterator[Any]], kind: str) -> Callable[..., Any]:
    """Return a handler of a kind that says what *fault* does."""

    async def in_loop(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        for event in fault(context.stream()):
            yield event

    def in_thread(_request: CreateResponse, context: ResponseContext) -> Iterator[Any]:
        yield from fault(context.stream())

    return in_loop if kind == "async" else in_thread


def blamed(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what the log says of handlers."""
    return [record for record in caplog.records if record.getMessage().startswith("handler ")]


def output_of(stream: ResponseEventStream) -> list[Any]:
    """Return an item as another stream might have made it."""
    stream.emit_in_progress()
    return [[*stream.output_item_message("x")][-1].item]


def raises_at_once(_: ResponseEventStream) -> Iterator[Any]:  # H3.3
    yield from ()
    raise ValueError(SECRET)


def begins_with_in_progress(stream: ResponseEventStream) -> Iterator[Any]:  # H3.4
    stream.emit_created()
    yield stream.emit_in_progress()


def begins_with_its_end(stream: ResponseEventStream) -> Iterator[Any]:  # H3.4
    stream.emit_created()
    yield stream.emit_completed()


def begins_with_a_dict_of_another_type(_: ResponseEventStream) -> Iterator[Any]:  # H3.4
    yield {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": "x"}


def begins_with_no_event(_: ResponseEventStream) -> Iterator[Any]:  # H3.2, H3.14
    yield SECRET


def begins_without_a_type(_: ResponseEventStream) -> Iterator[Any]:  # H3.14
    yield {"response": {}}


def has_another_id(_: ResponseEventStream) -> Iterator[Any]:  # H3.5, H3.7, H20.7
    yield ResponseEventStream("resp_" + "0" * 50).emit_created()


def has_another_id_in_a_dict(_: ResponseEventStream) -> Iterator[Any]:  # H3.5
    yield {"type": "response.created", "response": {"id": "resp_" + "0" * 50, "status": "in_progress", "output": []}}


def created_as(status: str) -> Callable[[ResponseEventStream], Iterator[Any]]:
    def created(stream: ResponseEventStream) -> Iterator[Any]:  # H3.6, H3.8, H20.7
        event = stream.emit_created()
        yield msgspec.structs.replace(event, response=msgspec.structs.replace(event.response, status=status))

    created.__name__ = f"is_created_as_{status}"
    return created


def is_created_with_output(stream: ResponseEventStream) -> Iterator[Any]:  # H3.11
    event = stream.emit_created()
    yield msgspec.structs.replace(event, response=msgspec.structs.replace(event.response, output=output_of(stream)))


BEFORE: Final = [
    raises_at_once,
    begins_with_in_progress,
    begins_with_its_end,
    begins_with_a_dict_of_another_type,
    begins_with_no_event,
    begins_without_a_type,
    has_another_id,
    has_another_id_in_a_dict,
    created_as("completed"),
    created_as("failed"),
    created_as("cancelled"),
    created_as("incomplete"),
    is_created_with_output,
]


def check_failed_before(played: Played) -> None:
    """Check what decision 12 says of a handler that fails before it has created its response (H3.10, H8.40)."""
    created = played.created
    if played.mode in ("S", "E"):
        assert created.status == 500
        assert created.error == {
            **FAILURE,
            "param": None,
            "type": "server_error",
            "additionalInfo": {"request_id": "mine"},
        }
        assert created.headers["x-platform-error-source"] == "upstream"
    elif played.mode == "B":
        assert created.status == 200
        assert (created.json["status"], created.json["error"], created.json["output"]) == ("failed", FAILURE, [])
        assert played.got.json == created.json
    else:
        assert created.status == 200
        [event] = created.events
        assert event == {
            "type": "error",
            "sequence_number": 0,
            **FAILURE,
            "param": None,
            "error": {**FAILURE, "type": "server_error", "param": None},
        }
        assert validate_events(created.body, "strict").ok
    # H20.6: what was never created is not there, and nothing is invented for it.
    assert played.got.status == (200 if played.mode == "B" else 404)
    assert played.replayed.status == (400 if played.mode == "B" else 404)
    assert SECRET.encode() not in created.body + played.got.body


@WAYS
@pytest.mark.parametrize("fault", BEFORE, ids=lambda fault: fault.__name__)
async def test_a_fault_before_created(
    fault: Callable[..., Any], kind: str, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    """H3.2 to H3.11 and H3.39, each in every mode (decision 12)."""
    check_failed_before(await play(handler_of(fault, kind), mode))
    [record] = blamed(caplog)
    assert record.levelno == logging.ERROR


@WAYS
@pytest.mark.parametrize("returned", [None, "text"])
async def test_a_handler_that_returns_nothing_of_use(returned: object, kind: str, mode: str) -> None:
    """H3.2 and H17.6."""

    async def in_loop(_request: CreateResponse, _context: ResponseContext) -> Any:
        return returned

    def in_thread(_request: CreateResponse, _context: ResponseContext) -> Any:
        return returned

    check_failed_before(await play(in_loop if kind == "async" else in_thread, mode))


@pytest.mark.parametrize("mode", MODES)
async def test_without_a_handler_a_create_fails_before_created(mode: str) -> None:
    """H1.14."""
    server = ResponsesServer()
    answer = await ask(server, MODES[mode])
    if mode in STREAMS:
        assert answer.types == ["error"]
    elif mode == "B":
        assert (answer.status, answer.json["status"]) == (200, "failed")
    else:
        assert (answer.status, answer.error["code"]) == (500, "server_error")


@WAYS
async def test_a_handler_that_says_nothing_has_completed(
    kind: str, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    """H3.1 and decision 8: the same invented lifecycle in every mode, and a warning."""
    played = await play(handler_of(lambda _: iter(()), kind), mode)
    check_whole(played)
    response = played.response
    assert (response["status"], response["output"], response["error"]) == ("completed", [], None)
    if mode in STREAMS:
        assert played.created.types == ["response.created", "response.in_progress", "response.completed"]
    if mode == "B":
        assert played.created.json["status"] == "completed"
    [record] = blamed(caplog)
    assert (record.levelno, "said nothing" in record.getMessage()) == (logging.WARNING, True)


def raises(stream: ResponseEventStream) -> Iterator[Any]:  # H3.12
    yield stream.emit_created()
    yield stream.emit_in_progress()
    raise RuntimeError(SECRET)


def raises_within_an_item(stream: ResponseEventStream) -> Iterator[Any]:  # H3.12
    yield stream.emit_created()
    yield stream.emit_in_progress()
    message = stream.add_output_item_message()
    yield message.emit_added()
    text = message.add_text_content()
    yield text.emit_added()
    yield text.emit_delta("half")
    raise RuntimeError(SECRET)


def ends_early(stream: ResponseEventStream) -> Iterator[Any]:  # H3.13, H3.20, H20.1
    yield stream.emit_created()


def says_no_event(stream: ResponseEventStream) -> Iterator[Any]:  # H3.14
    yield stream.emit_created()
    yield 3


def says_something_without_a_type(stream: ResponseEventStream) -> Iterator[Any]:  # H3.14
    yield stream.emit_created()
    yield {"delta": SECRET}


def says_an_item_without_index(stream: ResponseEventStream) -> Iterator[Any]:  # H3.15
    yield stream.emit_created()
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "item": item}


def says_an_event_without_an_item(stream: ResponseEventStream) -> Iterator[Any]:  # H3.15
    yield stream.emit_created()
    yield {"type": "response.output_item.added", "output_index": 0}


def says_done_of_what_was_not_added(stream: ResponseEventStream) -> Iterator[Any]:  # H3.16
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield [*stream.output_item_message("x")][-1]


def ends_with_more_than_was_added(stream: ResponseEventStream) -> Iterator[Any]:  # H3.17
    yield stream.emit_created()
    yield stream.emit_in_progress()
    other = ResponseEventStream(stream.response_id)
    other.emit_created()
    item = output_of(other)
    completed = stream.emit_completed()
    yield msgspec.structs.replace(completed, response=msgspec.structs.replace(completed.response, output=item))


def is_in_progress_with_output(stream: ResponseEventStream) -> Iterator[Any]:  # H3.17
    yield stream.emit_created()
    other = ResponseEventStream(stream.response_id)
    other.emit_created()
    event = stream.emit_in_progress()
    item = output_of(other)
    yield msgspec.structs.replace(event, response=msgspec.structs.replace(event.response, output=item))


def is_created_twice(stream: ResponseEventStream) -> Iterator[Any]:  # H3.18, H3.33
    created = stream.emit_created()
    yield created
    yield created


def is_queued_after_in_progress(stream: ResponseEventStream) -> Iterator[Any]:  # H3.33
    yield stream.emit_created(status="queued")
    queued = stream.emit_queued()
    yield stream.emit_in_progress()
    other = ResponseEventStream("resp_" + "9" * 50)
    other.emit_created()
    yield msgspec.structs.replace(queued, response=other.emit_in_progress().response)


def completes_another(stream: ResponseEventStream) -> Iterator[Any]:  # H3.5 at the end
    yield stream.emit_created()
    other = ResponseEventStream("resp_" + "9" * 50)
    other.emit_created()
    yield other.emit_completed()


def ending(event: str, status: str) -> Callable[[ResponseEventStream], Iterator[Any]]:
    def contradicts(stream: ResponseEventStream) -> Iterator[Any]:  # H3.24, H3.25, H20.5
        yield stream.emit_created()
        end: ResponseCompletedEvent | ResponseFailedEvent | ResponseIncompleteEvent
        if event == "completed":
            end = stream.emit_completed()
        elif event == "failed":
            end = stream.emit_failed()
        else:
            end = stream.emit_incomplete("content_filter")
        yield msgspec.structs.replace(end, response=msgspec.structs.replace(end.response, status=status))

    contradicts.__name__ = f"is_{event}_with_status_{status}"
    return contradicts


def cannot_be_written(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    yield UnknownEvent(type="acme:\ud800")


AFTER: Final = [
    raises,
    raises_within_an_item,
    ends_early,
    says_no_event,
    says_something_without_a_type,
    says_an_item_without_index,
    says_an_event_without_an_item,
    says_done_of_what_was_not_added,
    ends_with_more_than_was_added,
    is_in_progress_with_output,
    is_created_twice,
    is_queued_after_in_progress,
    completes_another,
    ending("completed", "failed"),
    ending("completed", "in_progress"),
    ending("failed", "completed"),
    ending("incomplete", "completed"),
    cannot_be_written,
]


@WAYS
@pytest.mark.parametrize("fault", AFTER, ids=lambda fault: fault.__name__)
async def test_a_fault_after_created(
    fault: Callable[..., Any], kind: str, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    """H3.12 to H3.21 and H3.24: failed, in every mode (H20.1), numbered without a gap (H3.19)."""
    played = await play(handler_of(fault, kind), mode, body={"metadata": {"a": "b"}, "conversation": "conv_1"})
    check_whole(played)
    response = played.response
    assert (response["status"], response["error"], response["output"]) == ("failed", FAILURE, [])
    # H3.21: what the server makes itself has all that the handler's events had (H20.15).
    assert (response["metadata"], response["conversation"]) == ({"a": "b"}, {"id": "conv_1"})
    assert isinstance(response["created_at"], int)
    if mode in STREAMS:
        assert played.created.types[0] == "response.created"
        assert played.created.types[-2:] == ["error", "response.failed"]
        assert played.created.events[-2]["error"] == {**FAILURE, "type": "server_error", "param": None}
        first = played.created.events[0]["response"]
        assert {**first, "status": "failed", "error": FAILURE} == response
    if mode == "B":
        # H2.8: what the first event said, whatever came after.
        assert played.created.json["status"] in ("in_progress", "queued")
    assert SECRET.encode() not in played.created.body + played.got.body + played.replayed.body
    [record] = blamed(caplog)
    assert record.levelno == logging.ERROR


def fails_between_items(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield from stream.output_item_message("kept")
    message = stream.add_output_item_message()
    yield message.emit_added()
    raise RuntimeError(SECRET)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("on_failure", ["keep", "drop"])
async def test_a_failed_response_keeps_what_was_done(on_failure: Any, mode: str) -> None:
    """Decision 10, H20.18; `drop` gives H3.12."""
    options = ResponsesServerOptions(on_failure=on_failure)
    played = await play(handler_of(fails_between_items, "async"), mode, options=options)
    check_whole(played)
    texts = [item["content"][0]["text"] for item in played.response["output"]]
    assert texts == (["kept"] if on_failure == "keep" else [])


def says_more_after_the_end(stream: ResponseEventStream) -> Iterator[Any]:  # H3.22, H20.3
    yield stream.emit_created()
    yield stream.emit_completed()
    yield UnknownEvent(type="acme:late")


def ends_twice(stream: ResponseEventStream) -> Iterator[Any]:  # H3.23, H20.5
    yield stream.emit_created()
    yield stream.emit_completed()
    other = ResponseEventStream(stream.response_id)
    other.emit_created()
    yield other.emit_failed()


def raises_after_the_end(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    yield stream.emit_completed()
    raise RuntimeError(SECRET)


@WAYS
@pytest.mark.parametrize("late", [says_more_after_the_end, ends_twice, raises_after_the_end])
async def test_the_first_terminal_event_is_final(
    late: Callable[..., Any], kind: str, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    """H3.22, H3.23, H20.3, H20.5 and decision 8: what comes after the end is dropped and logged."""
    finished = anyio.Event()
    made = handler_of(late, kind)

    async def watched(request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        try:
            async for event in made(request, context):
                yield event
        finally:
            finished.set()

    played = await play(watched if kind == "async" else made, mode)
    check_whole(played)
    assert played.response["status"] == "completed"
    if mode in STREAMS:
        assert played.created.types == ["response.created", "response.completed"]
    if kind == "async":
        await finished.wait()
        await anyio.wait_all_tasks_blocked()
        assert (SECRET if late is raises_after_the_end else "R036") in caplog.text


def fails_as_cancelled(stream: ResponseEventStream) -> Iterator[Any]:  # H3.26, H20.8
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield stream.emit_cancelled()


@WAYS
async def test_a_handler_may_say_that_its_response_was_cancelled(kind: str, mode: str) -> None:
    """H3.25, H3.26, H20.8: cancelled everywhere."""
    played = await play(handler_of(fails_as_cancelled, kind), mode)
    check_whole(played)
    response = played.response
    assert (response["status"], response["error"], response["output"]) == ("cancelled", None, [])
    if mode in STREAMS:
        assert played.created.types == ["response.created", "response.in_progress", "response.failed"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("begins", [True, False])
async def test_a_cancellation_that_the_server_did_not_cause(
    begins: bool, mode: str, anyio_backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    """H3.27, H20.9: a failure like any other."""

    async def cancels(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        if begins:
            yield context.stream().emit_created()
        if anyio_backend == "asyncio":
            raise anyio.get_cancelled_exc_class()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
        raise RuntimeError("trio does not let anybody make its exception")

    played = await play(cancels, mode)
    if begins:
        check_whole(played)
        assert (played.response["status"], played.response["error"]) == ("failed", FAILURE)
    else:
        check_failed_before(played)
    if anyio_backend == "asyncio":
        assert "H20.9" in caplog.text


class Hard(BaseException):
    """What no `except Exception` catches."""


@WAYS
@pytest.mark.parametrize("begins", [True, False])
async def test_no_handler_takes_other_runs_with_it(begins: bool, kind: str, mode: str) -> None:
    """A handler that raises what is not an `Exception` fails like any other, in its own run."""

    def raises_hard(stream: ResponseEventStream) -> Iterator[Any]:
        if begins:
            yield stream.emit_created()
        raise Hard(SECRET)

    played = await play(handler_of(raises_hard, kind), mode)
    if begins:
        check_whole(played)
        assert played.response["status"] == "failed"
    else:
        check_failed_before(played)


def tells_an_error(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_created()
    yield stream.emit_error("rate_limit_exceeded", "Slow down.")


@WAYS
async def test_an_error_that_the_handler_tells_is_the_reason_of_its_failure(kind: str, mode: str) -> None:
    """Decision 5 and 29: one `error`, then `response.failed`, with the reason that the handler gave."""
    played = await play(handler_of(tells_an_error, kind), mode)
    check_whole(played)
    assert played.response["error"] == {"code": "rate_limit_exceeded", "message": "Slow down."}
    if mode in STREAMS:
        assert played.created.types == ["response.created", "error", "response.failed"]


def tells_an_error_first(stream: ResponseEventStream) -> Iterator[Any]:
    yield stream.emit_error("no_capacity", "Come back later.", param="model")


@WAYS
async def test_an_error_before_created_is_what_a_client_is_told(kind: str, mode: str) -> None:
    """Decision 5: alone in a stream (H3.10); as the reason of the 500, or of the stored failure."""
    played = await play(handler_of(tells_an_error_first, kind), mode)
    if mode in STREAMS:
        [event] = played.created.events
        assert (event["type"], event["code"], event["param"]) == ("error", "no_capacity", "model")
        assert validate_events(played.created.body, "strict").ok
    elif mode == "B":
        assert played.created.json["error"] == {"code": "no_capacity", "message": "Come back later."}
        assert played.got.json == played.created.json
    else:
        assert (played.created.status, played.created.error["code"]) == (500, "no_capacity")
        assert played.created.error["param"] == "model"
    assert played.got.status == (200 if mode == "B" else 404)


@pytest.mark.parametrize("mode", STORED)
async def test_a_failed_response_can_be_listed_and_deleted(mode: str) -> None:
    """H6.1: a response that has ended can be deleted, however it ended; nothing is stuck (H20.1)."""
    server = ResponsesServer()
    server.response_handler(handler_of(ends_early, "async"))
    answer = await ask(server, {"input": "hi", **MODES[mode]})
    response = answer.events[-1]["response"] if mode in STREAMS else answer.json
    path = f"/v1/responses/{response['id']}"
    await anyio.wait_all_tasks_blocked()
    items = await ask(server, method="GET", path=f"{path}/input_items")
    assert [item["content"][0]["text"] for item in items.json["data"]] == ["hi"]
    assert (await ask(server, method="DELETE", path=path)).json["deleted"] is True
    assert (await ask(server, method="GET", path=path)).status == 404


def test_a_failed_event_is_one_of_the_terminal_ones() -> None:
    """There is no `response.cancelled` (decision 6): the type of the event is that of a failure."""
    stream = ResponseEventStream("resp_" + "0" * 50)
    stream.emit_created()
    assert isinstance(stream.emit_cancelled(), ResponseFailedEvent)
