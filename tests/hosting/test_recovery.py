"""A server dies in the midst of a background response, and another one makes it again (section 18, H18.3 to H18.47).

A server dies here by losing its store: whatever it still does reaches nobody, and its lease runs out by a clock that
the tests set. `tests/cluster` kills real ones.
"""

from __future__ import annotations

import datetime
import json
import math
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import attrs
import msgspec
import pytest
from anyio.abc import TaskGroup, TaskStatus

from responses_stream import (
    CreateResponse,
    HttpRequest,
    MemoryStore,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    ResponseStore,
    SqliteStore,
    SyncResponseContext,
    TextResponse,
)
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.hosting import attendance
from responses_stream.hosting.cancellation import Cause
from responses_stream.hosting.context import RequestContext
from responses_stream.hosting.http import CutShort
from responses_stream.hosting.recovery import ExitForRecovery, Notebook, all_frames
from responses_stream.stores import sqlite
from responses_stream.stores.base import Fenced, Key, Recovery

from .asking import Answer, ask, request_for

pytestmark = pytest.mark.anyio

ID: Final = "resp_" + "7" * 50
PATH: Final = f"/v1/responses/{ID}"
KEY: Final = Key("", ID)
ASKED: Final = {"model": "m", "input": "Write.", "background": True, "response_id": ID}
OPTIONS: Final = ResponsesServerOptions(
    resilient_background=True,
    cancel_grace_seconds=0.01,
    shutdown_grace_period_seconds=0.01,
    sse_keep_alive_interval_seconds=None,
    lease_seconds=0.3,
)
PATIENCE: Final = 8


@attrs.define
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Away(OSError):
    """What a server hears that has lost its store."""


class Line:
    """A store as one server reaches it, until the line is cut."""

    def __init__(self, store: ResponseStore) -> None:
        self.store, self.is_cut = store, False

    def __getattr__(self, name: str) -> Any:
        if self.is_cut:
            raise Away(name)
        return getattr(self.store, name)


@attrs.define(eq=False)
class Node:
    """A server, and its line to the store."""

    server: ResponsesServer
    line: Line

    async def ask(self, body: object = None, **how: Any) -> Answer:
        return await ask(self.server, body, **how)

    async def get(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.ask(method="GET", path=PATH)).json
        return found

    async def replay(self, query: str = "stream=true") -> list[dict[str, Any]]:
        return (await self.ask(method="GET", path=PATH, query=query)).events


@attrs.define(eq=False)
class Cluster:
    """Servers that share their store; each is started when a test wants it."""

    clock: Clock
    open_line: Callable[[], ResponseStore]
    tasks: TaskGroup

    async def start(
        self, handler: Any, options: ResponsesServerOptions = OPTIONS, clock: Callable[[], float] = time.time
    ) -> Node:
        line = Line(self.open_line())
        server = ResponsesServer(store=line, options=options, clock=clock)
        server.response_handler(handler)
        await self.tasks.start(_live, server)
        return Node(server, line)

    def kill(self, node: Node) -> None:
        """Cut *node* off, and let its lease run out."""
        node.line.is_cut = True
        self.clock.now += 1000

    async def log(self) -> list[dict[str, Any]]:
        """Return the events that the store has."""
        frames = await all_frames(self.open_line(), KEY)
        return [json.loads(frame.partition(b"data: ")[2]) for frame in frames]

    async def ended(self) -> dict[str, Any]:
        """Return the response once it has its end."""
        store = self.open_line()
        with anyio.fail_after(PATIENCE):
            while not (found := await store.get(KEY)).ended:
                await store.changed(KEY, found.last_number, PATIENCE)
        response: dict[str, Any] = json.loads(found.response)
        return response


@pytest.fixture(params=["memory", "sqlite"])
def shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sqlite, "_LOOK", 0.02)
    monkeypatch.setattr(attendance, "_RETRY_SECONDS", 0.02)
    return str(request.param)


@asynccontextmanager
async def clustered(shared: str) -> AsyncIterator[Cluster]:
    clock = Clock()
    async with AsyncExitStack() as closing:
        place = closing.enter_context(tempfile.TemporaryDirectory())
        memory = MemoryStore(clock=clock)

        def open_line() -> ResponseStore:
            if shared == "memory":
                return memory
            store = SqliteStore(Path(place) / "r.sqlite3", clock=clock, poll_interval=0.01)
            closing.push_async_callback(store.aclose)
            return store

        async with anyio.create_task_group() as tasks:
            yield Cluster(clock, open_line, tasks)
            tasks.cancel_scope.cancel()


async def _live(server: ResponsesServer, *, task_status: TaskStatus[None]) -> None:
    """Be the owner of *server*, in a task of its own: its lifespan ends when the cluster does."""
    async with server.lifespan():
        task_status.started()
        await anyio.sleep_forever()


def texts(response: dict[str, Any]) -> list[str]:
    return [item["content"][0]["text"] for item in response["output"]]


def check_numbers(events: Sequence[dict[str, Any]]) -> None:
    """H18.33, H18.34: no number twice, none left out, created once, one end, and it is the last."""
    types = [event["type"] for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert types.count("response.created") == 1
    ends = [at for at, name in enumerate(types) if name in ("response.completed", "response.failed")]
    assert ends == [len(types) - 1]


@attrs.define(eq=False)
class Phases:
    """A handler that says one item after the other, and stays behind the one at *stop*; seeded by what is stored."""

    name: str
    stop: int | None = None
    reached: anyio.Event = attrs.field(factory=anyio.Event)
    seen: list[ResponseContext] = attrs.field(factory=list)

    async def __call__(self, _request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        self.seen.append(context)
        stream = context.resumed_stream()
        if not context.is_recovery:
            yield stream.emit_created()
        yield stream.emit_in_progress()
        for phase in range(len(stream.response.output), 3):
            context.metadata["phase"] = phase
            await context.flush()
            yield stream.output_item_message(f"{self.name}{phase}")
            if phase == self.stop:
                self.reached.set()
                await anyio.sleep_forever()
        yield stream.emit_completed()


async def begun(cluster: Cluster, handler: Phases, **more: Any) -> Node:
    """Start a server that has begun the response, and said all that *handler* says before it stays."""
    node = await cluster.start(handler)
    assert (await node.ask({**ASKED, **more})).status == 200
    with anyio.fail_after(PATIENCE):
        await handler.reached.wait()
        store = cluster.open_line()
        while (last := (await store.get(KEY)).last_number) < 7:
            await store.changed(KEY, last, PATIENCE)
    return node


async def test_another_server_goes_on_with_what_was_done(shared: str) -> None:
    async with clustered(shared) as cluster:
        node = await begun(cluster, Phases("a", 0))
        cluster.kill(node)
        second = Phases("b")
        await cluster.start(second)
        assert texts(await cluster.ended()) == ["a0", "b1", "b2"]
        events = await cluster.log()
        check_numbers(events)
        assert [e["type"] for e in events].count("response.in_progress") == 2
        reset = [event for event in events if event["type"] == "response.in_progress"][1]
        assert texts(reset["response"]) == ["a0"], "H18.35: it says what stays"
        [context] = second.seen
        assert (context.is_recovery, context.recovery_attempt) == (True, 1)
        assert context.metadata == {"phase": 2}


async def test_a_handler_that_knows_of_nothing_begins_anew(shared: str) -> None:
    """H18.38: created is left out, its empty in_progress takes back what was said before."""

    async def naive(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield stream.output_item_message("again")
        yield stream.emit_completed()

    async with clustered(shared) as cluster:
        node = await begun(cluster, Phases("a", 1))
        cluster.kill(node)
        other = await cluster.start(naive, clock=lambda: time.time() + 100)
        assert texts(await cluster.ended()) == ["again"]
        assert texts(await other.get()) == ["again"]
        events = await cluster.log()
        check_numbers(events)
        assert len({event["response"]["created_at"] for event in events if "response" in event}) == 1, "R043"


@pytest.mark.parametrize("crashes", [2, 5])
async def test_many_crashes_and_one_end(shared: str, crashes: int) -> None:
    async with clustered(shared) as cluster:
        node = await begun(cluster, Phases("0", 0))
        cluster.kill(node)
        for crash in range(1, crashes):
            handler = Phases(str(crash), 1 if crash == 1 else 2)
            if crash > 1:
                handler = Phases(str(crash), None)
                handler.stop = -1
            node = await cluster.start(_held(handler) if crash > 1 else handler)
            with anyio.fail_after(PATIENCE):
                await handler.reached.wait()
            cluster.kill(node)
        last = Phases("z")
        await cluster.start(last)
        found = texts(await cluster.ended())
        assert (found[0], found[-1]) == ("00", "z2")
        check_numbers(await cluster.log())
        assert last.seen[0].recovery_attempt == crashes


def _held(handler: Phases) -> Any:
    """Return a handler that stays before it has said anything: a crash in the midst of a recovery."""

    async def stay(_request: CreateResponse, _context: ResponseContext) -> AsyncIterator[Any]:
        handler.reached.set()
        await anyio.sleep_forever()
        yield  # an async generator, like any handler

    return stay


async def test_one_that_brings_its_servers_down_is_given_up(shared: str) -> None:
    options = attrs.evolve(OPTIONS, recovery_attempts=2)
    async with clustered(shared) as cluster:
        node = await begun(cluster, Phases("a", 0))
        cluster.kill(node)
        for _ in range(2):
            handler = Phases("x")
            node = await cluster.start(_held(handler), options)
            with anyio.fail_after(PATIENCE):
                await handler.reached.wait()
            cluster.kill(node)
        await cluster.start(Phases("z"), options)
        ended = await cluster.ended()
        assert (ended["status"], ended["error"]["code"], texts(ended)) == ("failed", "server_restarted", ["a0"])
        check_numbers(await cluster.log())


async def test_a_server_that_is_full_begins_nothing_again_and_counts_nothing(
    shared: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is to be made again waits for a place, however long that takes."""
    caplog.set_level("INFO", "responses_stream")
    options = attrs.evolve(OPTIONS, recovery_attempts=1, max_concurrent_runs=1)
    gate, phases = anyio.Event(), Phases("b")

    async def busy(request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        if context.is_recovery:
            async for event in phases(request, context):
                yield event
            return
        stream = context.stream()
        yield stream.emit_created()
        await gate.wait()
        yield stream.emit_completed()

    async with clustered(shared) as cluster, anyio.create_task_group() as tasks:
        full = await cluster.start(busy, options)
        tasks.start_soon(full.ask, {"model": "m", "input": "x"})
        with anyio.fail_after(PATIENCE):
            while not len(full.server._host().runs):
                await anyio.sleep(0.001)
            cluster.kill(await begun(cluster, Phases("a", 0)))
            while "is made again later" not in caplog.text:
                await anyio.sleep(0.001)
            looking = full.server._host().attendance
            refused = time.monotonic()
            while time.monotonic() - (looking.lease_age() or 0) < refused:  # it looks again, and has not forgotten
                await anyio.sleep(0.001)
        assert not phases.seen
        gate.set()
        assert texts(await cluster.ended()) == ["a0", "b1", "b2"]
        assert phases.seen[0].recovery_attempt == 1


async def test_a_handler_that_was_left_in_its_thread_writes_no_notes_any_more(tmp_path: Path) -> None:
    """Its server has the response again, by the same name; the notes are those of the run that goes on."""
    left, goes_on, noted = threading.Event(), threading.Event(), []

    class Told(SqliteStore):
        async def note(self, key: Key, owner: str, notes: bytes) -> None:
            noted.append(json.loads(notes))
            await super().note(key, owner, notes)

    store = Told(tmp_path / "r")

    def handler(_request: CreateResponse, context: SyncResponseContext) -> Iterator[Any]:
        stream = context.resumed_stream()
        if not context.is_recovery:
            yield stream.emit_created()
            yield stream.emit_in_progress()
            left.wait(PATIENCE)
            context.metadata["order"] = "of the run that was left"
            try:
                context.flush()
            finally:
                goes_on.set()
        yield stream.emit_in_progress()
        context.metadata["order"] = "paid"
        context.flush()
        left.set()
        goes_on.wait(PATIENCE)
        yield stream.emit_completed()

    server = ResponsesServer(store=store, options=OPTIONS)
    server.response_handler(handler)
    async with server.lifespan():
        assert (await ask(server, ASKED)).status == 200
        run = server._host().runs.get(KEY)
        assert run is not None
        with anyio.fail_after(PATIENCE):
            while (await store.get(KEY)).last_number < 1:
                await anyio.sleep(0.001)
            run.trouble = Away()
            run.stop(Cause.STORE_FAILED, 0)
            while not (await store.get(KEY)).ended:
                await anyio.sleep(0.001)
    assert goes_on.is_set()
    assert noted == [{"attempt": 1, "metadata": {}}, {"attempt": 1, "metadata": {"order": "paid"}}]
    await store.aclose()


async def test_notes_on_their_way_arrive_before_those_of_the_next_run() -> None:
    noted: list[bytes] = []
    arrives = anyio.Event()

    class Slow(MemoryStore):
        async def note(self, key: Key, owner: str, notes: bytes) -> None:
            assert (key, owner) == (KEY, "me")
            await arrives.wait()
            noted.append(notes)

    notebook = Notebook(Slow(), KEY, "me", 3)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(notebook.write, {"order": 1})
        await anyio.wait_all_tasks_blocked()
        notebook.close()
        tasks.start_soon(notebook.closed)
        await anyio.wait_all_tasks_blocked()
        assert not noted
        arrives.set()
    assert noted == [b'{"attempt":3,"metadata":{"order":1}}']
    with pytest.raises(Fenced, match="its run has ended"):
        await notebook.write({"order": 2})
    assert len(noted) == 1


async def test_an_owner_that_was_away_cannot_write_when_it_comes_back(shared: str) -> None:
    gate = anyio.Event()

    async def slow(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield stream.output_item_message("slow")
        await gate.wait()
        yield stream.output_item_message("too late")
        yield stream.emit_completed()

    async with clustered(shared) as cluster:
        node = await cluster.start(slow)
        reader: list[Answer] = []
        async with anyio.create_task_group() as tasks:

            async def read() -> None:
                reader.append(await node.ask({**ASKED, "stream": True}))

            tasks.start_soon(read)
            store = cluster.open_line()
            with anyio.fail_after(PATIENCE):
                while not await _has(store, 7):
                    await anyio.lowlevel.checkpoint()
            cluster.kill(node)
            await cluster.start(Phases("b"))
            ended = await cluster.ended()
            node.line.is_cut = False
            gate.set()
        assert texts(ended) == ["slow", "b1", "b2"]
        check_numbers(reader[0].events)
        assert texts(reader[0].events[-1]["response"]) == ["slow", "b1", "b2"], "its own reader sees how it went on"


async def _has(store: ResponseStore, number: int) -> bool:
    try:
        return (await store.get(KEY)).last_number >= number
    except LookupError:
        return False


async def test_the_handler_sees_the_same_request(shared: str) -> None:
    """H18.12."""
    how: dict[str, Any] = {
        "headers": {"x-client-lamp": "on", "x-agent-user-id": "ann", "x-agent-foundry-call-id": "c1"},
        "query": "a=1&b=",
    }

    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text="before")

    async with clustered(shared) as cluster:
        earlier = await cluster.start(answer)
        before = (await earlier.ask({"model": "m", "input": "Hi", "store": True}, **how)).json
        first = Phases("a", 0)
        node = await cluster.start(first)
        asked = {**ASKED, "previous_response_id": before["id"], "temperature": 0.5, "metadata": {"k": "v"}}
        await node.ask(asked, **how)
        with anyio.fail_after(PATIENCE):
            await first.reached.wait()
        await earlier.server.aclose()
        cluster.kill(node)
        second = Phases("b", 1)
        await cluster.start(second)
        with anyio.fail_after(PATIENCE):
            await second.reached.wait()
        [one], [other] = first.seen, second.seen
        for member in ("raw_body", "created_at", "client_headers", "query_parameters", "session_id", "call_id",
                       "conversation_id", "mode_flags", "isolation", "response_id"):  # fmt: skip
            assert getattr(other, member) == getattr(one, member), member
        assert msgspec.json.encode(other.request) == msgspec.json.encode(one.request)
        assert await other.get_history() == await one.get_history() != []
        assert await other.get_input_items() == await one.get_input_items()
        assert (one.is_recovery, one.persisted_response, one.is_resilient) == (False, None, True)


async def test_the_events_so_far_can_be_asked_for(shared: str) -> None:
    async with clustered(shared) as cluster:
        first = Phases("a", 0)
        node = await begun(cluster, first)
        before = [event.type for event in await first.seen[0].get_persisted_events()]
        assert before[:2] == ["response.created", "response.in_progress"]
        cluster.kill(node)
        second = Phases("b", 1)
        await cluster.start(second)
        with anyio.fail_after(PATIENCE):
            await second.reached.wait()
        assert [event.type for event in await second.seen[0].get_persisted_events()][: len(before)] == before


async def test_a_response_that_is_being_cancelled_is_not_made_again(shared: str) -> None:
    async with clustered(shared) as cluster:
        node = await begun(cluster, Phases("a", 0))
        node.line.is_cut = True
        await cluster.open_line().cancel(KEY)
        cluster.clock.now += 1000
        second = Phases("b")
        await cluster.start(second)
        assert (await cluster.ended())["status"] == "cancelled"
        assert second.seen == []


async def test_a_recovery_can_be_cancelled(shared: str) -> None:
    """H18.66."""
    async with clustered(shared) as cluster:
        node = await begun(cluster, Phases("a", 0))
        cluster.kill(node)
        second = Phases("b", 1)
        other = await cluster.start(second)
        with anyio.fail_after(PATIENCE):
            await second.reached.wait()
            answer = await other.ask(method="POST", path=f"{PATH}/cancel")
        assert (answer.status, answer.json["status"]) == (200, "cancelled")
        assert (await cluster.ended())["output"] == []
        check_numbers(await cluster.log())


async def test_what_cannot_be_read_any_more_fails(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """H18.13: fail closed."""
    async with clustered(shared) as cluster:
        node = await begun(cluster, Phases("a", 0))
        cluster.kill(node)

        async def broken(_store: object, _key: Key) -> Recovery:
            return Recovery(b'{"body": 1}', None)

        for kind in (MemoryStore, SqliteStore):
            monkeypatch.setattr(kind, "recovery", broken)
        second = Phases("b")
        await cluster.start(second)
        ended = await cluster.ended()
        assert (ended["status"], ended["error"]["code"]) == ("failed", "server_restarted")
        assert second.seen == []


@pytest.mark.parametrize("why", ["the option is off", "it ran in the foreground"])
async def test_what_is_not_resilient_fails(shared: str, why: str) -> None:
    """H18.4, H18.5."""
    options = attrs.evolve(OPTIONS, resilient_background=why != "the option is off")
    first = Phases("a", 0)
    async with clustered(shared) as cluster:
        node = await cluster.start(first, options)
        async with anyio.create_task_group() as tasks:
            mode = {"background": False} if "foreground" in why else {}
            tasks.start_soon(node.ask, {**ASKED, **mode})
            with anyio.fail_after(PATIENCE):
                await first.reached.wait()
            [context] = first.seen
            assert not context.is_resilient
            await context.flush()  # H18.41: nothing happens
            assert await context.get_persisted_events() == []
            with pytest.raises(RuntimeError, match="nobody would make this response again"):
                context.exit_for_recovery()
            cluster.kill(node)
            second = Phases("b")
            await cluster.start(second, options)
            assert (await cluster.ended())["error"]["code"] == "server_restarted"
            assert second.seen == []
            tasks.cancel_scope.cancel()


async def test_a_server_that_shuts_down_leaves_its_work_to_the_next(shared: str) -> None:
    """H18.3, path B: the grace is used up, and the response stays in progress."""
    async with clustered(shared) as cluster:
        first = Phases("a", 0)
        node = await begun(cluster, first)
        await node.server.aclose()
        assert not (await cluster.open_line().get(KEY)).ended
        await cluster.start(Phases("b"))
        assert texts(await cluster.ended()) == ["a0", "b1", "b2"]


async def test_a_stream_is_cut_where_its_server_shuts_down(shared: str) -> None:
    """Its client sees no end that there was not, and goes on reading elsewhere (H18.32)."""
    first = Phases("a", 0)
    async with clustered(shared) as cluster:
        node = await cluster.start(first)
        reply = await node.server.handle(request_for({**ASKED, "stream": True}))
        assert not isinstance(reply.body, bytes)
        with anyio.fail_after(PATIENCE):
            await first.reached.wait()
        await node.server.aclose()
        pieces: list[bytes] = []
        body = reply.body

        async def read() -> None:
            async for piece in body:
                pieces.append(piece)  # noqa: PERF401  # what came before the cut has to be there

        with pytest.raises(CutShort):
            await read()
        await body.aclose()
        other = await cluster.start(Phases("b"))
        await cluster.ended()
        seen = b"".join(pieces).count(b"event: ")
        rest = await other.replay(f"stream=true&starting_after={seen - 1}")
        assert [event["sequence_number"] for event in rest] == list(range(seen, seen + len(rest)))


async def test_a_handler_may_leave_its_work_to_be_made_again(shared: str) -> None:
    """H18.47: in a server that goes on, by that server itself."""
    seen: list[int] = []

    async def leaving(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        seen.append(context.recovery_attempt)
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        if len(seen) < 3:
            context.metadata["seen"] = len(seen)
            await context.flush()
            try:
                context.exit_for_recovery()
            except Exception as error:  # what a careless handler does
                raise AssertionError("it was caught") from error
        assert context.metadata == {"seen": 2}
        yield stream.output_item_message("done")
        yield stream.emit_completed()

    async with clustered(shared) as cluster:
        node = await cluster.start(leaving)
        await node.ask(ASKED)
        assert texts(await cluster.ended()) == ["done"]
        assert seen == [0, 1, 2]
        check_numbers(await cluster.log())


async def test_a_sync_handler_is_made_again(shared: str) -> None:
    stay = anyio.Event()
    reached = anyio.Event()

    async def first(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream = context.stream()
        yield stream.emit_created()
        context.metadata["told"] = ["x"]
        await context.flush()
        reached.set()
        await stay.wait()

    def second(_request: CreateResponse, context: SyncResponseContext) -> Any:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        context.metadata["told"].append(len(context.get_persisted_events()))
        context.flush()
        yield stream.output_item_message(json.dumps(context.metadata))
        yield stream.emit_completed()

    async with clustered(shared) as cluster:
        node = await cluster.start(first)
        await node.ask(ASKED)
        with anyio.fail_after(PATIENCE):
            await reached.wait()
        cluster.kill(node)
        await cluster.start(second)
        [text] = texts(await cluster.ended())
        assert json.loads(text)["told"][0] == "x"
        assert json.loads(text)["told"][1] >= 1


_LOOP: Final[list[Any]] = []
_LOOP.append(_LOOP)


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ({"x": "y" * 70_000}, InvalidValue),
        *(({"x": value}, InvalidType) for value in (object(), {1}, b"1", math.nan, math.inf, {1: "a"}, (1, 2), _LOOP)),
        ({"x": datetime.datetime(2026, 1, 1)}, InvalidType),
        ({1: "x"}, InvalidType),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, dict) else str(value),
)
async def test_metadata_that_cannot_be_kept_is_refused(told: dict[Any, Any], error: type[Exception]) -> None:
    raised: list[BaseException] = []

    async def handler(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream = context.stream()
        yield stream.emit_created()
        context.metadata.update(told)
        try:
            await context.flush()
        except (InvalidType, InvalidValue) as refused:
            raised.append(refused)
        yield stream.emit_completed()

    server = ResponsesServer(store=MemoryStore(), options=OPTIONS)
    server.response_handler(handler)
    async with server.lifespan():
        await server.handle(HttpRequest("POST", "/responses", body=json.dumps({**ASKED, "stream": True}).encode()))
    assert [type(one) for one in raised] == [error]
    assert "context.metadata" in str(raised[0])


def test_who_leaves_is_not_held_up_by_what_catches_exceptions() -> None:
    assert not issubclass(ExitForRecovery, Exception)
    assert RequestContext.exit_for_recovery.__doc__


@pytest.mark.parametrize("url", [None, "memory:"])
async def test_what_is_to_survive_a_server_is_not_kept_in_its_memory(url: str | None, tmp_path: Path) -> None:
    """H18.49: it does not start, and says what is missing; a store that comes later is as good."""
    options = ResponsesServerOptions(store=url, resilient_background=True)
    server = ResponsesServer(options=options)
    message = "^resilient_background: .* give the server another store, such as sqlite:///"
    with pytest.raises(InvalidValue, match=message):
        async with server.lifespan():
            pass
    with pytest.raises(InvalidValue, match=message):
        server.run("h11", port=0)
    server.configure(attrs.evolve(options, store=f"sqlite:///{tmp_path / 'r.sqlite3'}"))
    async with server.lifespan():
        assert (await ask(server, method="GET", path="/readiness")).status == 200
