"""Servers on Redis and PostgreSQL whose engine is gone, slow or full: what clients are told, and what they find later.

Decision 11 says what; `test_storage_failures` has it for a store that fails as it is told to. Here a real engine does,
behind a proxy. Another server, whose store has no proxy, is asked afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, cast

import anyio
import attrs
import pytest
from redis.asyncio import Redis

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    validate_events,
)
from responses_stream.builders.events import AsyncYield
from responses_stream.hosting import log as log_module
from responses_stream.hosting import recording
from responses_stream.hosting.http import ByteStream
from responses_stream.stores.base import Key, NewResponse
from responses_stream.stores.postgres_reads import Reads
from responses_stream.stores.redis import RedisStore
from tests.services import private_redis
from tests.stores.test_trouble import SOON, TROUBLE, Place, eventually, is_stored, place

from .asking import Answer, ask, request_for
from .staging import Stage, begin, check_not_found, check_stream, id_of
from .test_storage_failures import check_error_event, check_failed, check_storage_error

pytestmark = pytest.mark.anyio

ID: Final = id_of("a")
KEY: Final = Key("", ID)
OFTEN: Final = ResponsesServerOptions(lease_seconds=1.5)
"""What the store was not told is told after half a second; the lease outlasts the trouble."""

MODES: Final[list[dict[str, Any]]] = [
    {},
    {"stream": True},
    {"background": True},
    {"background": True, "stream": True},
]


in_each_mode: Final = pytest.mark.parametrize(
    "mode",
    [
        pytest.param(mode, id=name, marks=[pytest.mark.slow] if name in ("SS", "B") else [])
        for name, mode in zip(("S", "SS", "B", "BS"), MODES, strict=True)
    ],
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["redis", pytest.param("postgres", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def stage_on(
    store: object, scenes: str = "created in_progress message completed", options: ResponsesServerOptions = OFTEN
) -> Stage:
    return Stage(scenes, options, cast("Any", store))


@asynccontextmanager
async def serving(
    here: Place, scenes: str = "created in_progress message completed", options: ResponsesServerOptions = OFTEN
) -> AsyncIterator[Stage]:
    stage = stage_on(here.store, scenes, options)
    async with stage.server.lifespan():
        await stage.get(ID)  # it attends its store
        try:
            yield stage
        finally:
            here.proxy.accept()
            here.proxy.go_on()
            for gate in stage.gates.values():
                gate.open()


async def has_ended(here: Place) -> bool:
    return await is_stored(here.direct, KEY) and (await here.direct.get(KEY)).ended


@asynccontextmanager
async def elsewhere(here: Place) -> AsyncIterator[Stage]:
    """Ask another server, once the response has ended in the store."""
    await eventually(lambda: has_ended(here))
    stage = stage_on(here.direct)
    async with stage.server.lifespan():
        yield stage


async def replayed(here: Place) -> Answer:
    async with elsewhere(here) as stage:
        answer = await stage.replay(ID)
        check_stream(answer)
        assert answer.events[-1]["response"] == (await stage.get(ID)).json
        return answer


async def has_saved(stage: Stage) -> bool:
    """Tell whether the store has all that the handler has said so far, and the server knows that."""
    run = stage.server._host().runs.get(KEY)
    assert run is not None
    return run.log.shown == run.log.length > 0


# Gone before the response is created


@in_each_mode
async def test_an_engine_that_is_gone_refuses_what_is_created(engine: str, mode: dict[str, Any]) -> None:
    """H12.31 to H12.34; and when it is back, all is well."""
    async with place(engine) as here, serving(here, "wait created in_progress completed") as stage:
        async with anyio.create_task_group() as tasks:
            asked = begin(tasks, lambda: stage.post(response_id=ID, **mode))
            await stage.gates["wait"].arrived.wait()
            here.hurry()
            here.proxy.refuse()
            stage.gates["wait"].open()
            told = await asked.wait()
        if not mode.get("stream"):
            check_storage_error(told)
        elif mode.get("background"):
            assert told.types == ["error"]
            check_error_event(told.events[0], 0)
        else:
            check_stream(told)
            assert told.types == ["response.created", "error", "response.failed"]
            check_failed(told.events[-1]["response"])
        here.proxy.accept()

        async def is_back() -> bool:
            return (await stage.get(ID)).status == 404

        await eventually(is_back)
        check_not_found(await stage.get(ID), ID)
        assert (await stage.post(response_id=ID, **mode)).status == 200
        await eventually(lambda: has_ended(here))


# Gone in the middle


@in_each_mode
async def test_an_engine_that_goes_for_good_fails_the_response(engine: str, mode: dict[str, Any]) -> None:
    """H12.35 to H12.38. What a client has read is what every later client reads."""
    async with (
        place(engine) as here,
        serving(here, "created in_progress wait message completed") as stage,
    ):
        async with anyio.create_task_group() as tasks:
            asked = begin(tasks, lambda: stage.post(response_id=ID, **mode))
            await stage.gates["wait"].arrived.wait()
            await eventually(lambda: has_saved(stage))
            here.hurry()
            here.proxy.refuse()
            stage.gates["wait"].open()
            told = await asked.wait()
        await stage.stopped.wait()
        here.proxy.accept()
        async with elsewhere(here) as other:
            stored = (await other.get(ID)).json
        check_failed(stored)
        if mode == MODES[0]:
            check_storage_error(told)
        if mode.get("stream"):
            check_stream(told)
            assert told.types[-2:] == ["error", "response.failed"]
            assert "response.completed" not in told.types
            assert told.events[-1]["response"] == stored
        if mode == MODES[3]:
            assert (await replayed(here)).body == told.body


@pytest.mark.parametrize("is_ending", [False, True], ids=["in_the_midst", "at_the_end"])
async def test_what_is_made_again_does_not_fail_for_an_engine_that_goes(engine: str, is_ending: bool) -> None:
    """Who reads it is told of no end that the store will contradict: the stream breaks off, as when a server dies."""
    scenes = "created in_progress message wait completed" if is_ending else "created in_progress wait message completed"
    options = attrs.evolve(OFTEN, resilient_background=True, lease_seconds=0.6)
    async with place(engine) as here, serving(here, scenes, options) as stage:
        reply = await stage.server.handle(request_for({"response_id": ID, "background": True, "stream": True}))
        assert not isinstance(reply.body, bytes)
        wire = bytearray()

        async def read(body: ByteStream) -> None:
            async with aclosing(body):
                async for piece in body:
                    wire.extend(piece)

        async def breaks_off(body: ByteStream) -> None:
            with pytest.raises(TROUBLE):
                await read(body)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(breaks_off, reply.body)
            await stage.gates["wait"].arrived.wait()
            await eventually(lambda: has_saved(stage))
            here.hurry()
            here.proxy.refuse()
            stage.gates["wait"].open()
        here.proxy.accept()
        async with elsewhere(here) as other:
            later, ended = await other.replay(ID), (await other.get(ID)).json
        assert later.body.startswith(wire)
        assert wire.count(b"event: ") == (8 if is_ending else 2)
        # What was taken back is what some clients stumble over (docs/recovery.md).
        found = {violation.rule for violation in validate_events(later.body, retrieved=ended).violations}
        assert found == ({"R035", "R063"} if is_ending else {"R035"})
        assert later.types.count("response.created") == 1
        assert ended["status"] == "completed"
        assert [context.recovery_attempt for context in stage.contexts] == [0, 1]


async def has_events(here: Place, last: int) -> bool:
    return (await here.direct.get(KEY)).last_number >= last


@in_each_mode
async def test_an_engine_that_is_back_in_time_fails_nothing(engine: str, mode: dict[str, Any]) -> None:
    """A failover or a restart of some seconds is not seen by any client."""
    async with place(engine, patience=10) as here, serving(here, "created in_progress wait message completed") as stage:
        async with anyio.create_task_group() as tasks:
            asked = begin(tasks, lambda: stage.post(response_id=ID, **mode))
            await stage.gates["wait"].arrived.wait()
            here.proxy.refuse()
            stage.gates["wait"].open()
            await anyio.sleep(0.1)
            here.proxy.accept()
            told = await asked.wait()
        assert told.status == 200
        async with elsewhere(here) as other:
            assert (await other.get(ID)).json["status"] == "completed"
        if mode.get("stream"):
            check_stream(told)
            assert told.types[-1] == "response.completed"
        if mode == MODES[3]:
            assert (await replayed(here)).body == told.body


# Done, but the answer is lost


@in_each_mode
async def test_an_end_whose_answer_is_lost_is_the_end(engine: str, mode: dict[str, Any]) -> None:
    async with place(engine) as here, serving(here, "created in_progress message wait completed") as stage:
        async with anyio.create_task_group() as tasks:
            asked = begin(tasks, lambda: stage.post(response_id=ID, **mode))
            await stage.gates["wait"].arrived.wait()
            await eventually(lambda: has_saved(stage))
            await here.lose_answers()
            stage.gates["wait"].open()
            await eventually(lambda: has_ended(here))
            here.proxy.cut()
            here.proxy.go_on()
            told = await asked.wait()
        async with elsewhere(here) as other:
            stored = (await other.get(ID)).json
        assert stored["status"] == "completed"
        if mode == MODES[0]:
            assert told.json == stored
        if mode.get("stream"):
            check_stream(told)
            assert told.events[-1]["response"] == stored
        if mode == MODES[3]:
            assert (await replayed(here)).body == told.body


async def test_events_that_nobody_answers_for_are_no_hole(engine: str) -> None:
    """The engine has taken them and does not say so for longer than anybody waits: the client was told of a failure in
    their place, and every replay has them with an end of its own, whole and in order."""
    async with place(engine, patience=1) as here, serving(here, "created wait in_progress message end") as stage:
        async with anyio.create_task_group() as tasks:
            asked = begin(tasks, lambda: stage.post(response_id=ID, background=True, stream=True))
            await stage.gates["wait"].arrived.wait()
            await eventually(lambda: has_saved(stage))
            await here.lose_answers()
            stage.gates["wait"].open()
            await eventually(lambda: has_events(here, 1))
            told = await asked.wait()
            stage.gates["end"].open()
        check_stream(told)
        assert told.types == ["response.created", "error", "response.failed"]
        here.proxy.cut()
        here.proxy.go_on()
        later = await replayed(here)
        assert later.events[0] == told.events[0]
        assert later.types[-2:] == ["error", "response.failed"]
        assert len(later.types) > len(told.types)
        check_failed(later.events[-1]["response"])


# Slow


async def test_a_run_is_not_ahead_of_a_slow_engine_by_more_than_its_bound(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Back-pressure on the handler: what is not stored is held in memory, up to a bound."""
    monkeypatch.setattr(log_module, "MOST_UNSAVED", 64 * 1024)
    said = 0
    count, size = 1_000, 1_024
    held = anyio.Event()

    async def much(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
        nonlocal said
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        message = stream.add_output_item_message()
        yield message.emit_added()
        text = message.add_text_content()
        yield text.emit_added()
        await held.wait()
        for _ in range(count):
            yield text.emit_delta("x" * size)
            said += 1
        yield text.emit_text_done()
        yield text.emit_done()
        yield message.emit_done()
        yield stream.emit_completed()

    async with place(engine, patience=30) as here:
        server = ResponsesServer(store=here.store, options=OFTEN)
        server.response_handler(much)
        async with server.lifespan(), anyio.create_task_group() as tasks:
            body = {"response_id": ID, "background": True, "stream": True}
            asked = begin(tasks, lambda: ask(server, body))
            await eventually(lambda: is_stored(here.direct, KEY))
            await eventually(lambda: has_events(here, 3))
            here.proxy.hold()
            held.set()

            async def stands_still() -> bool:
                before = said
                await anyio.sleep(0.05)
                return said == before > 0

            await eventually(stands_still)
            # What is on its way, and as much again behind it.
            assert said < 2 * 64 + 10
            here.proxy.go_on()
            with anyio.fail_after(SOON):
                await asked.done.wait()
            told = await asked.wait()
        check_stream(told)
        assert told.types[-1] == "response.completed"
        assert said == count
        assert (await replayed(here)).body == told.body


@pytest.mark.slow
async def test_a_write_that_takes_too_long_counts_as_refused(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine of this server has a bound of its own, for a store that has none."""
    monkeypatch.setattr(recording, "STORE_SECONDS", 0.2)
    async with place(engine, patience=1) as here, serving(here, "created in_progress wait message completed") as stage:
        async with anyio.create_task_group() as tasks:
            asked = begin(tasks, lambda: stage.post(response_id=ID, background=True, stream=True))
            await stage.gates["wait"].arrived.wait()
            await eventually(lambda: has_saved(stage))
            here.proxy.hold("requests")
            stage.gates["wait"].open()
            told = await asked.wait()
        check_stream(told)
        assert told.types == ["response.created", "response.in_progress", "error", "response.failed"]
        here.proxy.cut()
        here.proxy.go_on()
        assert (await replayed(here)).body == told.body


# Full


async def test_a_redis_that_is_full_fails_what_it_does_not_take_and_has_it_later() -> None:
    server = private_redis()
    try:
        scenes = "created in_progress wait message completed"
        async with (
            place("redis", server.url, patience=1) as here,
            Redis.from_url(server.url) as client,
            serving(here, scenes) as stage,
            anyio.create_task_group() as tasks,
        ):
            asked = begin(tasks, lambda: stage.post(response_id=ID, background=True, stream=True))
            await stage.gates["wait"].arrived.wait()
            await eventually(lambda: has_saved(stage))
            await client.config_set("maxmemory", 1)
            stage.gates["wait"].open()
            told = await asked.wait()
            check_stream(told)
            assert told.types[2:] == ["error", "response.failed"]
            check_storage_error(await stage.post(response_id=id_of("b")))
            check_failed((await stage.get(ID)).json)
            await client.config_set("maxmemory", 0)
            assert (await replayed(here)).body == told.body
    finally:
        server.close()


# Followers


async def test_a_follower_on_another_server_does_not_see_that_its_connections_are_cut(engine: str) -> None:
    async with place(engine) as here:
        maker, follower = stage_on(here.direct, "created in_progress one message two completed"), stage_on(here.store)
        async with maker.server.lifespan(), follower.server.lifespan(), anyio.create_task_group() as tasks:
            asked = begin(tasks, lambda: maker.post(response_id=ID, background=True, stream=True))
            await eventually(lambda: is_stored(here.direct, KEY))
            followed = begin(tasks, lambda: follower.replay(ID))
            for gate in ("one", "two"):
                await maker.gates[gate].arrived.wait()
                here.proxy.cut()
                maker.gates[gate].open()
            told = await asked.wait()
            assert (await followed.wait()).body == told.body
        check_stream(told)


# Notices that were lost


@pytest.mark.parametrize("resilient", [False, True])
async def test_a_server_that_missed_a_notice_ends_the_orphans_and_not_its_own(
    engine: str, resilient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orphans are given to a server whose connection is cut before it hears of them: it asks for all that it owns, and
    passes over what it is making."""

    async def nobody(*_: object) -> list[bytes]:
        return []

    monkeypatch.setattr(RedisStore, "_dead_besides", nobody)
    monkeypatch.setattr(Reads, "owners", nobody)
    orphan = Key("", id_of("b"))
    options = attrs.evolve(OFTEN, resilient_background=resilient)
    async with place(engine) as here, serving(here, "created in_progress wait message completed", options) as stage:
        async with anyio.create_task_group() as tasks:
            asked = begin(tasks, lambda: stage.post(response_id=ID, background=True, stream=True))
            await stage.gates["wait"].arrived.wait()
            await eventually(lambda: has_saved(stage))
            created = NewResponse(
                key=orphan,
                owner="gone",
                response=(await here.direct.get(KEY)).response.replace(ID.encode(), orphan.response_id.encode()),
                status="in_progress",
                background=True,
                stream=True,
            )
            await here.direct.create(created)
            me = (await here.direct.get(KEY)).owner

            async def is_taken() -> bool:
                return (await here.direct.get(orphan)).owner == me

            await here.lose_answers()
            await here.direct.release("gone")
            while not await is_taken():
                # The answer that is held up may be that of the attendance before.
                with anyio.move_on_after(0.5):
                    await eventually(is_taken)
                    break
                here.proxy.go_on()
                await anyio.sleep(0.01)
                here.proxy.hold("answers")
            here.proxy.cut()
            here.proxy.go_on()

            async def is_over() -> bool:
                return (await here.direct.get(orphan)).ended

            await eventually(is_over)
            assert not (await here.direct.get(KEY)).ended
            stage.gates["wait"].open()
            told = await asked.wait()
        check_stream(told)
        assert told.types[-1] == "response.completed"
        assert len(stage.contexts) == 1
        assert (await replayed(here)).body == told.body
        assert (await here.direct.get(orphan)).status == "failed"
