"""What is told of the store: how long it takes, how far it is behind, the lease, and what the dead have left."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import anyio
import attrs
import pytest

from responses_stream import (
    CreateResponse,
    MemoryStore,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)
from responses_stream.hosting.attendance import Attendance
from responses_stream.hosting.http import HttpRequest
from responses_stream.hosting.runs import Runs
from responses_stream.hosting.store_telemetry import StoreTelemetry, StoreUse, TellsOfStore
from responses_stream.hosting.telemetry import NoTelemetry, RequestTelemetry
from responses_stream.stores.base import Ending, Key, NewResponse, Notices

from .asking import ask
from .telling import Told

pytestmark = pytest.mark.anyio

ID: Final = "resp_" + "7" * 50
KEY: Final = Key("", ID)
ASKED: Final = {"model": "m", "input": "Write.", "background": True, "stream": True, "response_id": ID}
OPTIONS: Final = ResponsesServerOptions(shutdown_grace_period_seconds=0.01, sse_keep_alive_interval_seconds=None)
APPENDS, LAG, AGE, TAKEN = (
    "responses.store.append.duration",
    "responses.store.lag",
    "responses.lease.age",
    "responses.taken_over",
)


def server_of(telemetry: Any, store: MemoryStore, options: ResponsesServerOptions = OPTIONS) -> ResponsesServer:
    server = ResponsesServer(store=store, telemetry=telemetry, options=options)

    @server.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text="Hi")

    return server


class Slow(MemoryStore):
    """A store that takes events when it may."""

    def __init__(self, trouble: Exception | None = None) -> None:
        super().__init__()
        self.trouble = trouble
        self.asked, self.may = anyio.Event(), anyio.Event()

    async def append(
        self, key: Key, owner: str, first: int, frames: Sequence[bytes], ending: Ending | None = None
    ) -> None:
        self.asked.set()
        await self.may.wait()
        if self.trouble is not None:
            raise self.trouble
        await super().append(key, owner, first, frames, ending)


async def test_how_long_the_store_takes_and_how_far_it_is_behind() -> None:
    told, store = Told(), Slow()
    server = server_of(told.telemetry, store)
    async with server.lifespan(), anyio.create_task_group() as tasks:
        assert told.points(LAG) == [({}, 0)]
        tasks.start_soon(ask, server, ASKED)
        await store.asked.wait()
        await anyio.wait_all_tasks_blocked()
        [(_, behind)] = told.points(LAG)
        assert behind >= 7, "all that TextResponse says behind created"
        assert told.points(APPENDS) == []
        store.may.set()
        while not (await store.get(KEY)).ended:
            await store.changed(KEY, (await store.get(KEY)).last_number, 1)
        await anyio.wait_all_tasks_blocked()
        assert told.points(LAG) == [({}, 0)]
        [(labels, count)] = told.points(APPENDS)
        assert labels == {}
        assert 1 <= count <= behind, "once for what is written at once, and not for each event"
    assert told.points(LAG) == [], "a server that has ended is told of no more"


async def test_what_the_store_did_not_take() -> None:
    told, store = Told(), Slow(OSError("full"))
    store.may.set()
    server = server_of(told.telemetry, store)
    async with server.lifespan():
        answer = await ask(server, ASKED)
        assert answer.types[-1] == "response.failed"
        labels = [labels for labels, _ in told.points(APPENDS)]
        assert labels == [{"error.type": "OSError"}]
        store.trouble = None


async def test_what_is_not_stored_is_not_told() -> None:
    told = Told()
    server = server_of(told.telemetry, MemoryStore())
    async with server.lifespan():
        await ask(server, {"model": "m", "input": "Hi", "store": False, "stream": True})
        assert told.points(APPENDS) == []


async def test_the_age_of_the_lease() -> None:
    told = Told()
    server = server_of(told.telemetry, MemoryStore())
    async with server.lifespan():
        [(labels, age)] = told.points(AGE)
        assert labels == {}
        assert 0 <= age < 15
    assert told.points(AGE) == []


async def test_a_lease_that_was_not_renewed_grows_old() -> None:
    class Away(MemoryStore):
        is_away = False

        async def attend(self, owner: str, lease: float, seconds: float, *, grace: float = 0.0) -> Notices:
            if self.is_away:
                raise OSError("away")
            return await super().attend(owner, lease, seconds, grace=grace)

    store = Away()
    attendance = Attendance(store=store, owner="o", runs=Runs(1), lease=15, grace=1, keep_failed=True)
    assert attendance.lease_age() is None
    await attendance._attend(0)
    renewed = attendance._renewed
    store.is_away = True
    with pytest.raises(OSError, match="away"):
        await attendance._attend(0)
    assert attendance._renewed == renewed is not None


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
async def test_a_response_that_the_dead_have_left(outcome: str) -> None:
    told, store = Told(), MemoryStore()
    response = b'{"id":"%s","object":"response","created_at":1,"status":"in_progress","output":[]}' % ID.encode()
    await store.create(
        NewResponse(key=KEY, owner="dead", response=response, status="in_progress", background=True, stream=False)
    )
    if outcome == "cancelled":
        await store.cancel(KEY)
    await store.release("dead")
    async with server_of(told.telemetry, store).lifespan():
        while not (await store.get(KEY)).ended:
            await store.changed(KEY, 0, 1)
        await anyio.wait_all_tasks_blocked()
        assert told.points(TAKEN) == [({"responses.outcome": outcome}, 1)]


async def test_a_response_that_is_made_again() -> None:
    told, store = Told(), MemoryStore()
    options = attrs.evolve(OPTIONS, resilient_background=True)
    first = ResponsesServer(store=store, options=options, telemetry=NoTelemetry())
    reached = anyio.Event()

    @first.response_handler
    async def stay(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        yield context.stream().emit_created()
        reached.set()
        await anyio.sleep_forever()

    async with first.lifespan():
        await ask(first, {**ASKED, "stream": False})
        await reached.wait()
    async with server_of(told.telemetry, store, options).lifespan():
        while not (await store.get(KEY)).ended:
            await store.changed(KEY, (await store.get(KEY)).last_number, 1)
        assert told.points(TAKEN) == [({"responses.outcome": "recovered"}, 1)]


async def test_servers_of_a_process_are_told_of_as_one() -> None:
    told = Told()
    async with server_of(told.telemetry, MemoryStore()).lifespan(), server_of(told.telemetry, MemoryStore()).lifespan():
        assert told.points(LAG) == [({}, 0)]
        assert len(told.points(AGE)) == 1


class Two(NoTelemetry):
    """What knows of requests and runs only."""


class Failing:
    """What fails at everything."""

    def trace_id(self) -> str:
        raise RuntimeError("no")

    def request_begins(self, request: HttpRequest) -> RequestTelemetry:  # noqa: ARG002  # the protocol's
        raise RuntimeError("no")

    def store_begins(self, use: StoreUse) -> StoreTelemetry:
        class Fails:
            def appended(self, seconds: float, error: str | None) -> None:  # noqa: ARG002
                raise RuntimeError("no")

            def taken_over(self, outcome: str) -> None:  # noqa: ARG002
                raise RuntimeError("no")

            def ends(self) -> None:
                raise RuntimeError("no")

        assert (use.lag(), use.lease_age()) == (0, None)
        return Fails()


@pytest.mark.parametrize("telemetry", [NoTelemetry(), Two(), Failing()], ids=lambda one: type(one).__name__)
async def test_a_server_works_the_same_whoever_is_told(telemetry: Any) -> None:
    server = server_of(telemetry, MemoryStore())
    async with server.lifespan():
        assert (await ask(server, ASKED)).types[-1] == "response.completed"
        host = server._host()
        assert (host.attendance.telemetry is not None) == isinstance(telemetry, TellsOfStore)
    assert isinstance(telemetry, TellsOfStore) == isinstance(telemetry, Failing)
