"""What a server logs, and what no record of it ever has (H16.8 to H16.14, pains.md C10, I3)."""

from __future__ import annotations

import gc
import io
import logging
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_stream import CreateResponse, MemoryStore, ResponseContext, ResponsesServer, TextResponse
from responses_stream.hosting.context import SyncResponseContext
from responses_stream.hosting.logs import LONGEST, ResponsesLogFilter, safe
from responses_stream.protocol.events import ResponseStreamEvent

from .asking import answer_of, ask, request_for

pytestmark = pytest.mark.anyio

PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def server() -> ResponsesServer:
    """Return a server that says "Hi"."""
    made = ResponsesServer()

    @made.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text="Hi")

    return made


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def fact(record: logging.LogRecord, name: str) -> Any:
    return getattr(record, name)


def everything(caplog: pytest.LogCaptureFixture) -> str:
    """Return all that the records carry, in the line or beside it."""
    facts = [{name: value for name, value in vars(one).items() if name not in PLAIN} for one in caplog.records]
    return repr((lines(caplog), facts))


async def test_a_request_has_two_lines_without_its_query(caplog: pytest.LogCaptureFixture) -> None:
    """H16.9."""
    await ask(server(), method="GET", path="/readiness", query="token=secret", headers={"x-request-id": "r1"})
    begin, end = caplog.records
    assert begin.getMessage() == "started GET /readiness"
    assert end.getMessage().startswith("finished GET /readiness: 200 in ")
    assert {record.name for record in caplog.records} == {"responses_stream"}
    assert [record.levelno for record in caplog.records] == [logging.INFO, logging.INFO]
    assert [fact(record, "request_id") for record in caplog.records] == ["r1", "r1"]
    assert [fact(end, name) for name in ("method", "path", "status")] == ["GET", "/readiness", 200]
    assert fact(end, "milliseconds") >= 0
    assert "secret" not in everything(caplog)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nowhere", None, 404),
        ("PUT", "/v1/responses", None, 405),
        ("POST", "/v1/responses", b"{", 400),
        ("GET", "/v1/responses/resp_" + "0" * 50, None, 404),
    ],
)
async def test_an_error_is_a_warning_with_its_code(
    method: str, path: str, body: bytes | None, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """H16.9, I3: the line and the body of the error have the same id."""
    answer = await ask(server(), body, method=method, path=path)
    assert answer.status == status
    begin, end = caplog.records
    assert (begin.levelno, end.levelno) == (logging.INFO, logging.WARNING)
    assert (fact(end, "status"), fact(end, "code"), fact(end, "outcome")) == (status, answer.error["code"], "refused")
    assert fact(end, "request_id") == answer.error["additionalInfo"]["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_create_tells_its_parameters_and_its_run(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    """H16.10, H16.11: each record has the ids; the keys of the caller are told as there or not."""
    made = server()
    body = {"model": "m", "stream": stream, "conversation": "conv_1", "input": "the input"}
    async with made.lifespan():
        answer = await ask(made, body, headers={"x-agent-user-isolation-key": "the user", "x-request-id": "r1"})
    assert answer.status == 200
    response = answer.events[-1]["response"] if stream else answer.json
    started, creates, runs, *rest = caplog.records
    [ended] = [record for record in rest if record.getMessage().startswith("completed of")]
    [finished] = [record for record in rest if record.getMessage().startswith("finished")]
    assert started.getMessage() == "started POST /v1/responses"
    assert creates.getMessage() == (
        f"creates {response['id']}: streaming={stream} background=False store=True model='m' "
        "conversation_id='conv_1' previous_response_id=None has_user_key=True has_chat_key=False"
    )
    assert runs.getMessage().startswith(f"runs {response['id']} with ")
    for record in (creates, runs, ended, finished):
        ids = [fact(record, name) for name in ("request_id", "response_id", "conversation_id", "streaming")]
        assert ids == ["r1", response["id"], "conv_1", stream]
    assert (fact(ended, "outcome"), fact(ended, "events")) == ("completed", len(answer.events) if stream else 9)
    assert (fact(finished, "outcome"), fact(finished, "operation")) == ("completed", "create_response")
    assert not [word for word in ("the user", "the input", "Hi") if word in everything(caplog)]


async def test_whatever_is_done_with_a_response_has_its_line(caplog: pytest.LogCaptureFixture) -> None:
    """H16.10."""
    made = server()
    async with made.lifespan():
        created = (await ask(made, {"background": True, "stream": True})).events[0]["response"]["id"]
        path = f"/v1/responses/{created}"
        caplog.clear()
        await ask(made, method="GET", path=path)
        await ask(made, method="GET", path=path, query="stream=true")
        await ask(made, method="GET", path=f"{path}/input_items")
        await ask(made, path=f"{path}/cancel")
        await ask(made, method="DELETE", path=path)
    said = [line for line in lines(caplog) if not line.startswith(("started", "finished"))]
    assert said == [
        f"retrieved {created}",
        f"replays {created}",
        f"listed the input items of {created}",
        f"deletes {created}",
        f"deleted {created}",
    ]  # it had completed, so it was not cancelled
    about = [record for record in caplog.records if not record.getMessage().startswith("started")]
    assert {fact(record, "response_id") for record in about} == {created}


async def test_a_request_that_attaches_says_to_what(caplog: pytest.LogCaptureFixture) -> None:
    """Decision 22."""
    made = server()
    async with made.lifespan():
        first = (await ask(made, {}, headers={"idempotency-key": "k"})).json["id"]
        caplog.clear()
        await ask(made, {}, headers={"idempotency-key": "k"})
    assert lines(caplog)[1] == f"attaches to {first}"
    assert fact(caplog.records[-1], "response_id") == first


async def test_a_client_that_leaves_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """C10."""
    made, waiting = ResponsesServer(), anyio.Event()

    @made.response_handler
    async def answer(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        yield context.stream().emit_created()
        waiting.set()
        await anyio.sleep_forever()

    async with made.lifespan():
        reply = await made.handle(request_for({"stream": True}))
        assert not isinstance(reply.body, bytes)
        await waiting.wait()
        await reply.body.aclose()
        await reply.body.aclose()
        await anyio.wait_all_tasks_blocked()
    assert {record.levelno for record in caplog.records} == {logging.INFO}
    outcomes = [fact(record, "outcome") for record in caplog.records if hasattr(record, "outcome")]
    assert outcomes == ["client_gone", "client_gone"]  # of the request and of the run, once each
    assert "ended by client, last event response.created" in caplog.text


async def test_a_stream_is_finished_when_it_was_read(caplog: pytest.LogCaptureFixture) -> None:
    """H16.9: the time of a stream is that of all of it."""
    made = server()
    async with made.lifespan():
        reply = await made.handle(request_for({"stream": True}))
        await anyio.wait_all_tasks_blocked()
        assert not any(line.startswith("finished") for line in lines(caplog))
        await answer_of(reply)
    [finished] = [record for record in caplog.records if record.getMessage().startswith("finished")]
    assert fact(finished, "outcome") == "completed"


async def test_head_is_finished_like_any_other(caplog: pytest.LogCaptureFixture) -> None:
    made = server()
    async with made.lifespan():
        created = (await ask(made, {"background": True, "stream": True})).events[0]["response"]["id"]
        caplog.clear()
        await ask(made, method="HEAD", path=f"/v1/responses/{created}", query="stream=true")
    assert fact(caplog.records[-1], "outcome") == "completed"


async def test_a_fault_of_a_handler_names_the_rule_and_the_event(caplog: pytest.LogCaptureFixture) -> None:
    made = ResponsesServer()

    @made.response_handler
    async def wrong(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        said = context.stream()
        said.emit_created()
        yield said.emit_in_progress()

    async with made.lifespan():
        await ask(made, {"stream": True}, headers={"x-request-id": "r1"})
    [fault] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (fact(fault, "event"), fact(fault, "rule")) == ("response.in_progress", "R030")
    assert fact(fault, "request_id") == "r1"
    assert fact(fault, "response_id").startswith("resp_")
    [ended] = [record for record in caplog.records if record.getMessage().startswith("failed of")]
    assert (fact(ended, "error"), fact(ended, "rule"), fact(ended, "ended_by")) == ("OutOfOrder", "R030", "handler")


async def test_the_trouble_of_a_store_has_the_ids(caplog: pytest.LogCaptureFixture) -> None:
    """Also from the task that saves, which is not the handler's."""

    class Full(MemoryStore):
        async def append(self, *_arguments: Any, **_more: Any) -> None:
            raise OSError("the disk is full")

    made = ResponsesServer(store=Full())

    @made.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text="Hi")

    async with made.lifespan():
        await ask(made, {"background": True, "stream": True}, headers={"x-request-id": "r1"})
        # What looks after the store tries again, in no request's name.
        [trouble] = [record for record in caplog.records if "did not take the end" in record.getMessage()]
    assert fact(trouble, "request_id") == "r1"
    assert fact(trouble, "response_id") in trouble.getMessage()


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_the_filter_adds_the_ids_to_what_a_handler_logs(kind: str) -> None:
    """H16.11: through a handler of the program's own, in the task and in the thread of a response, and nowhere else."""
    written = io.StringIO()
    output = logging.StreamHandler(written)
    output.addFilter(ResponsesLogFilter())
    output.setFormatter(
        logging.Formatter("%(request_id)s|%(response_id)s|%(conversation_id)s|%(streaming)s|%(message)s")
    )
    mine = logging.getLogger("somebody.else")
    mine.addHandler(output)
    made = ResponsesServer()

    def lazily() -> Iterator[str]:
        mine.info("lazily")
        yield "Hi"

    @made.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        mine.info("at once")
        return TextResponse(context, request, text=lazily())

    if kind == "sync":

        @made.response_handler
        def answer_in_thread(request: CreateResponse, context: SyncResponseContext) -> TextResponse:
            mine.info("at once")
            return TextResponse(context, request, text=lazily())

    try:
        async with made.lifespan():
            first = await ask(made, {"conversation": "conv_1"}, headers={"x-request-id": "r1"})
            second = await ask(made, {"stream": True}, headers={"x-request-id": "r2"})
            mine.info("outside")
    finally:
        mine.removeHandler(output)
    one, two = first.json["id"], second.events[0]["response"]["id"]
    assert written.getvalue().splitlines() == [
        f"r1|{one}|conv_1|False|at once",
        f"r1|{one}|conv_1|False|lazily",
        f"r2|{two}||True|at once",
        f"r2|{two}||True|lazily",
        "|||None|outside",
    ]


async def test_what_looks_after_the_store_is_about_no_request(caplog: pytest.LogCaptureFixture) -> None:
    """A task that outlives all requests must not have the id of the one that came first."""
    again = anyio.Event()

    class Broken(MemoryStore):
        async def attend(self, owner: str, lease: float, seconds: float, *, grace: float = 0.0) -> Any:
            if seconds:
                again.set()
                raise OSError("no")
            return await super().attend(owner, lease, seconds, grace=grace)

    made = ResponsesServer(store=Broken())
    async with anyio.create_task_group() as tasks:
        await ask(made, method="GET", path="/v1/responses/resp_" + "0" * 50, headers={"x-request-id": "r1"})
        await again.wait()
        tasks.cancel_scope.cancel()
    [trouble] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "cannot be attended" in trouble.getMessage()
    assert fact(trouble, "request_id") == ""


async def test_trouble_of_the_server_has_the_id_in_the_path(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryStore):
        async def get(self, *_arguments: Any, **_more: Any) -> Any:
            raise OSError("the disk is gone")

    response_id = "resp_" + "0" * 50
    made = ResponsesServer(store=Broken())
    async with made.lifespan():
        path = f"/v1/responses/{response_id}"
        assert (await ask(made, method="GET", path=path, headers={"x-request-id": "r1"})).status == 500
    [trouble] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (fact(trouble, "request_id"), fact(trouble, "response_id")) == ("r1", response_id)
    end = caplog.records[-1]
    assert (fact(end, "outcome"), fact(end, "code")) == ("failed", "storage_error")


async def test_what_is_told_of_a_stream_goes_with_it() -> None:
    """A soak must not need the garbage collector: nothing that is told holds the reply in a circle."""
    made = server()
    async with made.lifespan():
        reply = await made.handle(request_for({"stream": True, "store": False}))
        await answer_of(reply)
        await anyio.wait_all_tasks_blocked()
        gone = weakref.ref(reply)
        gc.disable()
        try:
            del reply
            assert gone() is None
        finally:
            gc.enable()


HOSTILE = "x\r\nERROR root the end is near\u2028\x1b[2J"


async def test_no_client_begins_a_line_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """H16.14, and what comes from clients is one short line in a record, whichever of its attributes is printed."""
    made = server()
    async with made.lifespan():
        await ask(made, {"model": HOSTILE, "conversation": HOSTILE, "previous_response_id": ""})
        await ask(made, method="GET", path=f"/v1/responses/{HOSTILE}")
        await ask(made, method="GET", path=f"/{HOSTILE}" + "y" * 9999)
        await ask(made, method=HOSTILE, path="/")
    assert len(caplog.records) >= 10
    for record in caplog.records:
        assert record.getMessage().isprintable()
        for name, value in vars(record).items():
            if name not in PLAIN and isinstance(value, str):
                assert value.isprintable()
                assert len(value) <= LONGEST


@given(st.text(max_size=2 * LONGEST))
@settings(deadline=None, derandomize=True, database=None)
def test_what_is_safe_can_be_printed_and_written(text: str) -> None:
    made = safe(text)
    assert made.isprintable()
    assert len(made) <= LONGEST
    made.encode()
    assert safe(made) == made
    if text.isprintable():
        assert made == text[:LONGEST]


async def test_nothing_is_made_for_lines_that_nobody_wants(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that logs warnings only makes no line for a request that goes well."""
    monkeypatch.setattr(logging.Logger, "makeRecord", None)
    caplog.set_level(logging.WARNING)
    made = server()
    async with made.lifespan():
        assert (await ask(made, {"stream": True})).status == 200
    assert caplog.records == []
