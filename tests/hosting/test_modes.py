"""The mode matrix, row by row: what a create answers and when, and who sees the response before and after its end.

Section 2 of hosting-contract.md (H2.1 to H2.22, H2.28 to H2.30) with decisions 12, 13, 15 and 16.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import anyio
import attrs
import pytest

from responses_stream import CreateResponse, HttpReply, ResponseContext, ResponsesServer, ResponsesServerOptions
from responses_stream.hosting.cancellation import CancellationSignal, Cause
from responses_stream.hosting.modes import MODES as ROWS
from responses_stream.hosting.modes import mode_of
from responses_stream.protocol.codec import decode_as
from responses_stream.protocol.ids import new_response_id
from responses_stream.stores.base import Key
from responses_stream.stores.memory import MemoryStore

from .asking import Answer, answer_of, ask, request_for
from .playing import MODES, STREAMS, ended

pytestmark = pytest.mark.anyio

NOT_BACKGROUND: Final = "This response cannot be streamed because it was not created with background=true."
NOT_STREAM: Final = "This response cannot be streamed because it was not created with stream=true."


@attrs.define
class Staged:
    """A server whose handler stops before it begins, after `response.created`, after an item, and before its end."""

    store: MemoryStore = attrs.field(factory=MemoryStore)
    options: ResponsesServerOptions | None = None
    server: ResponsesServer = attrs.field(init=False)
    begin: anyio.Event = attrs.field(factory=anyio.Event)
    go_on: anyio.Event = attrs.field(factory=anyio.Event)
    finish: anyio.Event = attrs.field(factory=anyio.Event)
    stopped: anyio.Event = attrs.field(factory=anyio.Event)
    signals: list[CancellationSignal] = attrs.field(factory=list)
    response_id: str = attrs.field(factory=new_response_id)

    def __attrs_post_init__(self) -> None:
        self.server = ResponsesServer(store=self.store, options=self.options)
        self.server.response_handler(self.handler)

    async def handler(
        self, _request: CreateResponse, context: ResponseContext, signal: CancellationSignal
    ) -> AsyncIterator[Any]:
        self.signals.append(signal)
        stream = context.stream()
        try:
            await self.begin.wait()
            yield stream.emit_created()
            await self.go_on.wait()
            yield stream.emit_in_progress()
            yield stream.output_item_message("one")
            await self.finish.wait()
            yield stream.emit_completed()
        finally:
            self.stopped.set()

    def asked(self, mode: str) -> dict[str, Any]:
        return {"input": "hi", **MODES[mode], "response_id": self.response_id}

    async def see(self, what: str) -> tuple[int, str]:
        """Ask an endpoint about the response; return the status, and the message of the error or the status of it."""
        path = f"/v1/responses/{self.response_id}"
        reply = await {
            "GET": lambda: self.server.handle(request_for(method="GET", path=path)),
            "replay": lambda: self.server.handle(request_for(method="GET", path=path, query="stream=true")),
            "cancel": lambda: self.server.handle(request_for(path=f"{path}/cancel")),
            "DELETE": lambda: self.server.handle(request_for(method="DELETE", path=path)),
            "input_items": lambda: self.server.handle(request_for(method="GET", path=f"{path}/input_items")),
        }[what]()
        if not isinstance(reply.body, bytes):
            await reply.body.aclose()
            return reply.status, "SSE"
        body = json.loads(reply.body)
        return reply.status, body["error"]["message"] if reply.status >= 400 else body.get("status", "")


class Creating:
    """A create on its way: asks, and keeps the answer."""

    def __init__(self, staged: Staged, mode: str) -> None:
        self._staged, self._mode = staged, mode
        self.replied = anyio.Event()
        self.reply: HttpReply | None = None
        self.answer: Answer | None = None

    async def __call__(self) -> None:
        self.reply = await self._staged.server.handle(request_for(self._staged.asked(self._mode)))
        self.replied.set()
        self.answer = await answer_of(self.reply)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_has_a_row(mode: str) -> None:
    flags = MODES[mode]
    assert mode_of(decode_as(dict(flags), CreateResponse)).name == mode
    assert len(ROWS) == len(MODES) == 6


@pytest.mark.parametrize("body", [{}, {"stream": None, "store": None, "background": None}])
def test_absent_and_null_flags_mean_their_defaults(body: dict[str, Any]) -> None:
    """H2.7, H8.16c."""
    assert mode_of(decode_as(body, CreateResponse)).name == "S"


@pytest.mark.parametrize("stream", [True, False])
async def test_background_needs_a_store(stream: bool) -> None:
    """H2.7 and decision 22; the handler does not run."""
    staged = Staged()
    body = {"background": True, "store": False, "stream": stream}
    answer = await ask(staged.server, body)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "unsupported_parameter", "background")
    assert staged.signals == []


# H2.1 to H2.6: after which of the moments of `Staged` the answer starts, and what it is.
ANSWERS: Final = {
    "S": ("end", "completed"),
    "SS": ("created", "SSE"),
    "B": ("created", "in_progress"),
    "BS": ("created", "SSE"),
    "E": ("end", "completed"),
    "ES": ("created", "SSE"),
}


@pytest.mark.parametrize("mode", MODES)
async def test_when_a_create_is_answered_and_with_what(mode: str) -> None:
    """H2.1 to H2.6 with decision 12: the headers of a stream wait for its first event."""
    staged = Staged()
    creating = Creating(staged, mode)
    moment, what = ANSWERS[mode]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(creating)
        await anyio.wait_all_tasks_blocked()
        assert not creating.replied.is_set()
        staged.begin.set()
        if moment == "end":
            staged.go_on.set()
            await anyio.wait_all_tasks_blocked()
            assert not creating.replied.is_set()
            staged.finish.set()
        await creating.replied.wait()
        assert creating.reply is not None
        assert creating.reply.status == 200
        if what == "SSE":
            assert creating.reply.header("content-type") == "text/event-stream; charset=utf-8"
        else:
            assert isinstance(creating.reply.body, bytes)
            assert json.loads(creating.reply.body)["status"] == what
        staged.go_on.set()
        staged.finish.set()
    if mode in STREAMS:
        assert creating.answer is not None
        assert creating.answer.types[-1] == "response.completed"


HIDDEN: Final = (404, "not found")
# What `Staged.see` finds: H2.17 for S and SS (decision 16), H2.18 to H2.20 for the others.
IN_FLIGHT: Final = {
    "S": {"GET": HIDDEN, "replay": (400, NOT_BACKGROUND), "DELETE": HIDDEN, "input_items": (200, ""), "cancel": HIDDEN},
    "B": {
        "GET": (200, "in_progress"),
        "replay": (400, NOT_STREAM),
        "DELETE": (400, "Cannot delete an in-flight response."),
        "input_items": (200, ""),
        "cancel": (200, "cancelled"),
    },
    "BS": {
        "GET": (200, "in_progress"),
        "replay": (200, "SSE"),
        "DELETE": (400, "Cannot delete an in-flight response."),
        "input_items": (200, ""),
        "cancel": (200, "cancelled"),
    },
    "E": dict.fromkeys(["GET", "replay", "DELETE", "input_items", "cancel"], HIDDEN),
}
# H2.18a and H2.19a.
BEFORE: Final = {
    **{mode: dict.fromkeys(["GET", "replay", "DELETE", "input_items", "cancel"], HIDDEN) for mode in MODES},
    "B": {
        "GET": HIDDEN,
        "replay": (400, NOT_STREAM),
        "DELETE": (400, "Cannot delete an in-flight response."),
        "input_items": HIDDEN,
    },
    "BS": dict.fromkeys(["GET", "replay", "DELETE", "input_items"], HIDDEN),
}
SYNCHRONOUS: Final = (400, "Cannot cancel a synchronous response.")
DONE: Final = {
    "S": {"GET": (200, "completed"), "replay": (400, NOT_BACKGROUND), "cancel": SYNCHRONOUS, "input_items": (200, "")},
    "B": {
        "GET": (200, "completed"),
        "replay": (400, f"{NOT_STREAM[:-1]} or the stream TTL has expired."),
        "cancel": (400, "Cannot cancel a completed response."),
        "input_items": (200, ""),
    },
    "BS": {
        "GET": (200, "completed"),
        "replay": (200, "SSE"),
        "cancel": (400, "Cannot cancel a completed response."),
        "input_items": (200, ""),
    },
    "E": dict.fromkeys(["GET", "replay", "cancel", "input_items", "DELETE"], HIDDEN),
}
for table in (IN_FLIGHT, DONE):
    table["SS"], table["ES"] = table["S"], table["E"]


async def check(staged: Staged, table: dict[str, dict[str, tuple[int, str]]], mode: str) -> None:
    for what, (status, message) in table[mode].items():
        wanted = f"Response with id '{staged.response_id}' not found." if status == 404 else message
        assert (what, *await staged.see(what)) == (what, status, wanted)


@pytest.mark.parametrize("mode", MODES)
async def test_who_sees_a_response_before_its_first_event(mode: str) -> None:
    """H2.14, H2.18a, H2.19a."""
    staged = Staged(options=ResponsesServerOptions(cancel_grace_seconds=0.001))
    creating = Creating(staged, mode)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(creating)
        await anyio.wait_all_tasks_blocked()
        await check(staged, BEFORE, mode)
        staged.begin.set()
        staged.go_on.set()
        staged.finish.set()
    assert creating.answer is not None
    assert creating.answer.status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_who_sees_a_response_in_flight(mode: str) -> None:
    """H2.16 to H2.20 by the [B] column (decision 16)."""
    staged = Staged(options=ResponsesServerOptions(cancel_grace_seconds=0.001))
    staged.begin.set()
    creating = Creating(staged, mode)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(creating)
        await anyio.wait_all_tasks_blocked()
        await check(staged, IN_FLIGHT, mode)
        staged.go_on.set()
        staged.finish.set()


@pytest.mark.parametrize("mode", MODES)
async def test_who_sees_a_response_afterwards(mode: str) -> None:
    """H2.16 to H2.20, the columns of what is done; then it can be deleted (H6.1)."""
    staged = Staged()
    for event in (staged.begin, staged.go_on, staged.finish):
        event.set()
    await ask(staged.server, staged.asked(mode))
    await ended(staged.store, Key("", staged.response_id))
    await check(staged, DONE, mode)
    if mode not in ("E", "ES"):
        assert (await staged.see("DELETE"))[0] == 200
        assert [(await staged.see(what))[0] for what in ("GET", "replay", "cancel", "input_items", "DELETE")] == [
            404,
            404,
            404,
            404,
            404,
        ]


@pytest.mark.parametrize("mode", ["B", "BS"])
async def test_polling_shows_progress(mode: str) -> None:
    """H2.22, for B as well (decision 15, against H2.21): an item is there when it was added."""
    staged = Staged()
    staged.begin.set()
    creating = Creating(staged, mode)
    path = f"/v1/responses/{staged.response_id}"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(creating)
        await anyio.wait_all_tasks_blocked()
        assert (await ask(staged.server, method="GET", path=path)).json["output"] == []
        staged.go_on.set()
        await anyio.wait_all_tasks_blocked()
        shown = (await ask(staged.server, method="GET", path=path)).json
        assert (shown["status"], shown["output"][0]["content"][0]["text"]) == ("in_progress", "one")
        staged.finish.set()
    await ended(staged.store, Key("", staged.response_id))
    assert (await ask(staged.server, method="GET", path=path)).json["output"] == shown["output"]


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("status", ["in_progress", "queued"])
async def test_a_background_create_answers_with_its_first_event(kind: str, status: Any) -> None:
    """H2.3 and H2.8: never `completed`, however fast the handler is."""
    server = ResponsesServer()

    def fast(_request: CreateResponse, context: Any) -> Any:
        stream = context.stream()
        return [stream.emit_created(status=status), stream.emit_in_progress(), stream.emit_completed()]

    async def fast_too(request: CreateResponse, context: ResponseContext) -> Any:
        return fast(request, context)

    server.response_handler(fast if kind == "sync" else fast_too)
    for _ in range(10):
        answer = await ask(server, {"background": True})
        assert (answer.status, answer.json["status"], answer.json["output"]) == (200, status, [])


@pytest.mark.parametrize("mode", ["B", "BS"])
async def test_a_background_run_does_not_notice_that_its_client_has_gone(mode: str) -> None:
    """H2.28, H2.29, H20.4 and decision 13: the run completes, and the replay is whole."""
    staged = Staged()
    staged.begin.set()
    creating = Creating(staged, mode)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(creating)
        await creating.replied.wait()
        assert creating.reply is not None
        if not isinstance(creating.reply.body, bytes):
            tasks.cancel_scope.cancel()
    if creating.reply is not None and not isinstance(creating.reply.body, bytes):
        await creating.reply.body.aclose()
    [signal] = staged.signals
    assert not signal.is_set()
    staged.go_on.set()
    staged.finish.set()
    await ended(staged.store, Key("", staged.response_id))
    assert not signal.is_set()
    path = f"/v1/responses/{staged.response_id}"
    assert (await ask(staged.server, method="GET", path=path)).json["status"] == "completed"
    if mode == "BS":
        replay = await ask(staged.server, method="GET", path=path, query="stream=true")
        assert replay.types[-1] == "response.completed"
        assert [event["sequence_number"] for event in replay.events] == list(range(len(replay.events)))


@pytest.mark.parametrize("mode", ["B", "BS"])
async def test_a_background_client_that_leaves_before_the_first_event(mode: str) -> None:
    """H2.28, H2.29: the call is cancelled, the run is not."""
    staged = Staged()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Creating(staged, mode))
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    for event in (staged.begin, staged.go_on, staged.finish):
        event.set()
    await staged.stopped.wait()
    await anyio.wait_all_tasks_blocked()
    assert await staged.see("GET") == (200, "completed")


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("mode", ["S", "SS", "E", "ES"])
async def test_a_foreground_run_is_cancelled_when_its_client_has_gone(mode: str, begun: bool) -> None:
    """H2.23 to H2.27 by the [B] column and decision 13: the handler is told why, and `cancelled` is stored."""
    staged = Staged()
    if begun:
        staged.begin.set()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Creating(staged, mode))
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    await staged.stopped.wait()
    await anyio.wait_all_tasks_blocked()
    [signal] = staged.signals
    assert signal.cause is Cause.CLIENT_GONE
    assert await staged.see("GET") == (
        (200, "cancelled") if mode in ("S", "SS") else (404, f"Response with id '{staged.response_id}' not found.")
    )


def test_the_signal_is_set_once_and_never_cleared() -> None:
    """H2.30: the first cause stays, unless a client comes after it."""
    signal = CancellationSignal()
    assert not signal.is_set()
    signal.set(Cause.SHUTTING_DOWN)
    signal.set(Cause.TIMED_OUT)
    assert (signal.is_set(), signal.cause) == (True, Cause.SHUTTING_DOWN)
    signal.set(Cause.CANCELLED)
    signal.set(Cause.CLIENT_GONE)
    assert signal.cause is Cause.CANCELLED
