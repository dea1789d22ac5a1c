"""What a check says of handlers that are told to stop: by a cancel, by a client that leaves, in the middle and at once.

Decision 13: a foreground run goes with its client. Decision 15: cancel, its grace, the replay of what was cancelled.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest

from responses_stream import (
    CreateResponse,
    HttpReply,
    HttpRequest,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)
from responses_stream.checking import clients
from responses_stream.checking.report import CheckReport
from responses_stream.checking.runs import check_handler
from responses_stream.hosting.cancellation import CancellationSignal, Cause
from responses_stream.hosting.context import SyncResponseContext
from responses_stream.stores.sqlite import SqliteStore

STOPS = ["cancelled", "leaving", "leaving-at-once"]
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def stopped(handler: Any, **settings: Any) -> CheckReport:
    return check_handler(handler, **{"inputs": ["absent"], "modes": STOPS, "timeout": 1.0, **settings})


def outcomes(report: CheckReport) -> list[str]:
    """The outcomes of the first input, one for each mode."""
    return [case.outcome for case in report.cases][: len(report.cases) // 2]


class Notes:
    """What a handler noted down of its own end."""

    def __init__(self) -> None:
        self.ended: list[Cause | None] = []


def started(context: ResponseContext | SyncResponseContext) -> Iterator[Any]:
    """All that comes before the second delta."""
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    message = stream.add_output_item_message()
    yield message.emit_added()
    text = message.add_text_content()
    yield text.emit_added()
    yield text.emit_delta("Hel")


@BACKENDS
def test_a_handler_that_waits_for_its_model_is_cancelled_where_it_waits(backend: str) -> None:
    notes = Notes()

    async def waits(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        try:
            for event in started(context):
                yield event
            await anyio.sleep_forever()
        finally:
            notes.ended.append(context.cancellation.cause)

    report = stopped(waits, backend=backend)
    assert (report.ok, report.faults()) == (True, [])
    assert outcomes(report) == ["cancelled, 6 events", "cancelled", "cancelled"]
    assert notes.ended == [Cause.CANCELLED, Cause.CLIENT_GONE, Cause.CLIENT_GONE] * 2


def test_a_handler_that_heeds_the_signal_ends_in_its_own_way() -> None:
    ended: list[str] = []

    async def heeds(
        _request: CreateResponse, context: ResponseContext, signal: CancellationSignal
    ) -> AsyncIterator[Any]:
        for event in started(context):
            yield event
        await signal.wait()
        ended.append("told")

    assert stopped(heeds, modes=["cancelled"]).faults() == []
    assert ended == ["told"] * 2


@BACKENDS
def test_a_sync_handler_is_stopped_in_its_thread(backend: str) -> None:
    ended: list[str] = []

    def pours(_request: CreateResponse, context: SyncResponseContext) -> Iterator[Any]:
        try:
            yield from started(context)
            while True:
                yield context.stream().emit_created()  # never taken: it is told to stop before
        finally:
            ended.append(threading.current_thread().name)

    report = stopped(pours, modes=["cancelled", "leaving"], backend=backend)
    assert (report.faults(), outcomes(report)) == ([], ["cancelled, 6 events", "cancelled"])
    assert len(ended) == 4


def test_a_handler_that_says_all_at_once_is_stopped_in_the_middle_as_well() -> None:
    said: list[int] = []

    async def fast(request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        said.append(0)
        for event in TextResponse(context, request, text="ok"):
            said[-1] += 1
            yield event

    report = stopped(fast)
    assert (report.faults(), outcomes(report)) == ([], ["cancelled, 6 events", "cancelled", "cancelled"])
    # After the delta it goes on to say one more, which is not taken.
    assert said == [6, 6, 1] * 2


def test_a_handler_without_a_middle_ends_as_it_does_for_anybody() -> None:
    async def short(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield stream.emit_completed()

    report = stopped(short)
    assert (report.faults(), outcomes(report)) == ([], ["completed, 3 events", "completed, 3 events", "cancelled"])


class Obstinate:
    """Ignores the signal and the cancellation, until the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    async def in_the_loop(self, _request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        for event in started(context):
            yield event
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.over.wait)

    def in_a_thread(self, _request: CreateResponse, context: SyncResponseContext) -> Iterator[Any]:
        yield from started(context)
        self.over.wait()


@pytest.fixture
def obstinate() -> Iterator[Obstinate]:
    found = Obstinate()
    yield found
    found.over.set()


@pytest.mark.parametrize("mode", ["cancelled", "leaving"])
@pytest.mark.parametrize("form", ["in_the_loop", "in_a_thread"])
def test_a_handler_that_does_not_stop_is_told_with_the_place_where_it_hangs(
    obstinate: Obstinate, form: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "TO_BE_CANCELLED", 0.1)
    report = stopped(getattr(obstinate, form), modes=[mode], fail_fast=True)
    [(finding, _)] = report.faults()
    assert (finding.code, finding.severity, finding.where) == ("unstopped", "error", "handler")
    assert finding.message == "it still runs 1.1 s after it was told to stop"
    assert "context.cancellation" in finding.hint
    assert form == "in_the_loop" or "self.over.wait()" in finding.traceback


def test_a_handler_that_swallows_the_cancellation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "TO_BE_CANCELLED", 0.1)
    over = threading.Event()

    async def swallows(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        for event in started(context):
            yield event
        while not over.is_set():
            try:
                await anyio.sleep_forever()
            except BaseException:
                await anyio.lowlevel.cancel_shielded_checkpoint()

    report = stopped(swallows, modes=["leaving"], fail_fast=True)
    over.set()  # so that the loop that was left behind comes to its end
    assert [finding.code for finding, _ in report.faults()] == ["unstopped"]


def test_a_handler_that_says_something_when_it_is_stopped_is_told() -> None:
    async def last_words(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        try:
            for event in started(context):
                yield event
            yield {"type": "acme:late"}
        finally:
            yield {"type": "acme:later"}

    report = stopped(last_words, modes=["cancelled", "leaving"])
    [(finding, cases)] = report.faults()
    assert (finding.code, finding.message) == ("raised", "RuntimeError: async generator ignored GeneratorExit")
    assert "only the log will tell" in finding.hint
    assert cases == list(report.cases)


@pytest.mark.filterwarnings("error")
def test_a_server_with_a_file_is_checked_in_every_mode(tmp_path: Any) -> None:
    store = SqliteStore(tmp_path / "responses.db")
    server = ResponsesServer(store=store, options=ResponsesServerOptions(cancel_grace_seconds=1))

    @server.response_handler
    async def echo(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text="ok")

    report = check_handler(server, inputs=["absent"], deterministic=True)
    assert report.faults() == []
    anyio.run(store.aclose)


class Forgetting(ResponsesServer):
    """Loses the beginning of what it replays."""

    async def handle(self, request: HttpRequest) -> HttpReply:
        query = "stream=true&starting_after=1" if request.query else ""
        return await super().handle(attrs.evolve(request, query=query))


class Uncancelling(ResponsesServer):
    """Says that it cancels, and does not."""

    async def handle(self, request: HttpRequest) -> HttpReply:
        if request.path.endswith("/cancel"):
            return await super().handle(attrs.evolve(request, path="/nowhere"))
        return await super().handle(request)


def test_faults_of_the_engine_are_not_put_down_to_the_handler() -> None:
    for kind, mode, messages in (
        (
            Forgetting,
            "background-stream",
            [f"the replay of the stream from event {first} on is not what was streamed" for first in (0, 4)],
        ),
        (Uncancelling, "cancelled", ["a response that was live could not be cancelled"]),
    ):
        server = kind()
        server.response_handler(lambda request, context: TextResponse(context, request, text="ok"))
        report = stopped(server, modes=[mode], fail_fast=True)
        found = [finding.message for finding, _ in report.faults() if finding.code == "engine"]
        assert found == messages
