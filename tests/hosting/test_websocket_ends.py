"""How a WebSocket ends: the client closes it, it is too old, or the server stops (W8, W11, decision 28)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
import attrs
import pytest

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
)
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.stores.base import Key, NotStored

from .asking import ask
from .connecting import (
    LIMIT,
    check,
    check_error,
    connect,
    connected,
    echoing,
    handshake,
    id_of,
    refused,
    types,
)
from .gates import ID, OPTIONS, quiet, staged

pytestmark = pytest.mark.anyio


# W11: the client closes


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("before", ["created", "in_progress", "completed"])
async def test_closing_cancels_the_turn_in_flight(before: str, store: bool) -> None:
    """W11, decision 13: as a lost foreground client does."""
    async with staged() as stage:
        connection = await connect(stage.server)
        gate = stage.steps.hold(before)
        await connection.send(store=store, response_id=ID)
        await connection.send()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.rest)
            await gate.reached.wait()
            await quiet()
            await connection.session.aclose()
        await stage.idle()
        assert len(stage.contexts) == 1
        got = await ask(stage.server, method="GET", path=f"/v1/responses/{ID}")
        assert (got.status, got.json.get("status")) == ((200, "cancelled") if store else (404, None))
        assert not stage.server._host().sessions
        await connection.send_raw("{")
        assert await connection.rest() == []


@pytest.mark.parametrize("at", ["before create", "after create", "before end", "after end"])
async def test_closing_while_the_store_works(at: str) -> None:
    """W11: nothing is left of the run, wherever it stood."""
    async with staged() as stage:
        connection = await connect(stage.server)
        gate = stage.store.gates.hold(at)
        await connection.send()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.rest)
            await gate.reached.wait()
            await quiet()
            await connection.session.aclose()
        gate.open()
        await stage.idle()


@pytest.mark.parametrize("at", ["get", "history"])
async def test_closing_while_a_turn_is_made(at: str) -> None:
    """W11: before there is a run, there is nothing to be left of it."""
    async with staged() as stage:
        connection = await connect(stage.server)
        first = id_of(await connection.turn())
        gate = stage.store.gates.hold(f"before {at}")
        await connection.send(previous_response_id=first, response_id=ID)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.rest)
            await gate.reached.wait()
            await connection.session.aclose()
        assert len(stage.contexts) == 1
        gate.open()


@pytest.mark.parametrize("before", ["created", "in_progress"])
async def test_to_cancel_the_iteration_says_that_the_client_has_gone(before: str) -> None:
    """W11."""
    async with staged() as stage:
        connection = await connect(stage.server)
        gate = stage.steps.hold(before)
        await connection.send(response_id=ID)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.rest)
            await gate.reached.wait()
            await quiet()
            tasks.cancel_scope.cancel()
        await connection.session.aclose()
        await stage.idle()
        got = await ask(stage.server, method="GET", path=f"/v1/responses/{ID}")
        assert got.json["status"] == "cancelled"


async def test_closing_an_idle_connection() -> None:
    """W11."""
    server = echoing()
    connection = await connect(server)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.rest)
        await quiet()
        await connection.session.aclose()
    assert connection.session.close_code == 1000
    assert not server._host().sessions
    await connection.send_raw("{")
    assert not connection.session._waiting


async def test_what_was_not_sent_when_it_closes_is_not_sent_any_more() -> None:
    """W11."""
    async with staged() as stage:
        connection = await connect(stage.server)
        await connection.send()
        await quiet()
        await connection.get()
        assert connection.session._ready
        await connection.session.aclose()
        assert await connection.rest() == []
        await stage.idle()


async def test_a_response_that_is_deleted_as_it_ends() -> None:
    """What the store had whole is told whole; it cannot be continued."""
    async with staged() as stage, connected(stage.server) as connection:
        gate = stage.store.gates.hold("after end")
        await connection.send(response_id=ID)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.answer)
            await gate.reached.wait()
            assert (await ask(stage.server, method="DELETE", path=f"/v1/responses/{ID}")).status == 200
            gate.open()
        assert connection.said[-1]["type"] == "response.completed"
        for store in (True, False):
            error = await connection.error(previous_response_id=ID, store=store)
            check_error(error, 400, "previous_response_not_found", "previous_response_id")


async def test_a_response_that_another_process_deletes_closes_with_1011() -> None:
    """`CutShort`: there is no end to be told, and no form for that but the close."""
    async with staged() as stage:
        connection = await connect(stage.server)
        gate = stage.store.gates.hold("before end")
        await connection.send(response_id=ID)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.rest)
            await gate.reached.wait()
            gate.open(NotStored(Key("", ID)))
        assert types(connection.said)[1:] == ["response.created", "response.in_progress"]
        assert connection.session.close_code == 1011
        await connection.session.aclose()


async def test_a_turn_in_the_background_of_http_goes_on() -> None:
    """Decision 13: the connection ends its own turn, and no other run."""
    async with staged() as stage:
        connection = await connect(stage.server)
        gate = stage.steps.hold("completed")
        made = stage.create({"background": True})
        await made.got()
        await connection.send(store=False)
        await connection.get()
        await connection.session.aclose()
        gate.open()
        await stage.idle()
        await stage.agree()


# W8: the connection is too old


@pytest.mark.parametrize("lifespan", [True, False])
async def test_an_idle_connection_grows_old(lifespan: bool) -> None:
    """W8: told and closed. The one wait here is for a time that the options name."""
    server = echoing(websocket_seconds=0.01)
    async with server.lifespan() if lifespan else contextlib.nullcontext(), connected(server) as connection:
        [error] = await connection.rest()
        check_error(error, 400, LIMIT, None)
        assert connection.session.close_code == 1000


async def test_a_connection_is_not_old_before_its_time() -> None:
    """W8: an hour."""
    server = echoing()
    async with connected(server) as connection:
        home = await server._host().ready()
        assert 3590 < home.lifetimes._due[connection.session.grow_old] - anyio.current_time() <= 3600
        id_of(await connection.turn())
    assert not home.lifetimes._due


@pytest.mark.parametrize("before", ["in_progress", "completed"])
@pytest.mark.parametrize("store", [True, False])
async def test_a_connection_that_grows_old_in_a_turn(before: str, store: bool) -> None:
    """W8: the response ends as failed, those that wait are told why, and it closes."""
    async with staged() as stage, connected(stage.server) as connection:
        gate = stage.steps.hold(before)
        await connection.send(store=store, response_id=ID)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.rest)
            await gate.reached.wait()
            await quiet()
            connection.grow_old()
        *_, error, failed = connection.said
        check_error(error, 400, LIMIT, None)
        assert (failed["type"], failed["response"]["error"]["code"]) == ("response.failed", LIMIT)
        assert connection.session.close_code == 1000
        got = await ask(stage.server, method="GET", path=f"/v1/responses/{ID}")
        assert (got.status, got.json.get("status")) == ((200, "failed") if store else (404, None))


async def test_all_that_wait_are_told_that_it_is_old() -> None:
    """W8: each request has one answer."""
    async with staged() as stage, connected(stage.server) as connection:
        stage.steps.hold("completed")
        for _ in range(3):
            await connection.send(store=False)
        await connection.get()
        connection.grow_old()
        told = await connection.rest()
        assert types(told) == ["response.in_progress", "error", "response.failed", "error", "error"]
        for error in told[3:]:
            check_error(error, 400, LIMIT, None)
        assert len(stage.contexts) == 1


@pytest.mark.parametrize("further", [0, 2])
@pytest.mark.parametrize("at", ["before history", "created"])
async def test_a_connection_that_grows_old_while_a_turn_is_made(at: str, further: int) -> None:
    """W8: nothing was said of the response yet, so that the error alone answers."""
    async with staged() as stage, connected(stage.server) as connection:
        first = id_of(await connection.turn())
        gate = stage.steps.hold(at) if at == "created" else stage.store.gates.hold(at)
        for _ in range(1 + further):
            await connection.send(previous_response_id=first)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.rest)
            await gate.reached.wait()
            await quiet()
            connection.grow_old()
        told = connection.said[5 + further :]
        assert types(told) == ["error"] * (1 + further)
        for error in told:
            check_error(error, 400, LIMIT, None)
        gate.open()
        await stage.idle()


async def test_a_client_that_reads_slowly_grows_old_too() -> None:
    """W8: also where there is always something to read."""
    async with staged() as stage, connected(stage.server) as connection:
        await connection.send(store=False)
        await connection.get()
        await quiet()
        connection.grow_old()
        assert types(await connection.rest())[-2:] == ["response.completed", "error"]


async def test_the_last_words_of_a_handler_are_waited_for() -> None:
    """W8: what it does when it is cancelled is part of its turn."""
    async with staged() as stage, connected(stage.server) as connection:
        gone, stay = anyio.Event(), anyio.Event()

        @stage.server.response_handler
        async def slow(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
            stream = context.stream()
            yield stream.emit_created()
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    gone.set()
                    await stay.wait()

        await connection.send()
        await connection.get()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.rest)
            await quiet()
            connection.grow_old()
            await gone.wait()
            await quiet()
            assert types(connection.said) == ["response.create", "response.created"]
            stay.set()
        check_error(connection.said[-2], 400, LIMIT, None)


# Decision 28: the server stops


async def test_a_server_that_stops_closes_idle_connections() -> None:
    """Decision 28: 1001, and no error, because nothing was asked."""
    server = echoing()
    async with server.lifespan():
        connection = await connect(server)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.rest)
            await quiet()
            await server.drain()
        assert (connection.said, connection.session.close_code) == ([], 1001)
        answer = await refused(server, handshake())
        assert (answer.status, answer.error["code"]) == (503, "service_unavailable")
        await connection.session.aclose()


async def test_a_server_that_stops_lets_a_turn_come_to_its_end() -> None:
    """Decision 28: within the grace; those that wait are refused."""
    async with staged() as stage, connected(stage.server) as connection:
        gate = stage.steps.hold("in_progress")
        await connection.send()
        await connection.send()
        await connection.get()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.server.drain)
            await quiet()
            gate.open()
            told = await connection.rest()
        assert types(told) == ["response.in_progress", "response.completed", "error"]
        check_error(told[-1], 503, "service_unavailable", None)
        assert connection.session.close_code == 1001


async def test_a_turn_that_outlives_the_grace_fails() -> None:
    """Decision 28: `server_shutting_down`, as over SSE, with the status of HTTP (W9)."""
    async with staged(options=attrs.evolve(OPTIONS, shutdown_grace_period_seconds=0.01)) as stage:
        connection = await connect(stage.server)
        stage.steps.hold("in_progress")
        await connection.send()
        await connection.get()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.server.drain)
            error, failed = await connection.rest()
        check_error(error, 503, "server_shutting_down", None)
        assert failed["response"]["error"]["code"] == "server_shutting_down"
        assert connection.session.close_code == 1001
        check(connection.said)
        await connection.session.aclose()


async def test_a_turn_that_has_said_nothing_when_the_server_stops() -> None:
    """Decision 28, 12: a lone `error`."""
    options = attrs.evolve(OPTIONS, shutdown_grace_period_seconds=0.01)
    async with staged(options=options) as stage, connected(stage.server) as connection:
        gate = stage.steps.hold("created")
        await connection.send()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.rest)
            await gate.reached.wait()
            await stage.server.drain()
        check_error(connection.said[-1], 503, "server_shutting_down", None)
        assert types(connection.said) == ["response.create", "error"]


async def test_a_turn_that_is_asked_for_while_the_server_stops_is_refused() -> None:
    """Decision 28: whatever it waits for in the meantime."""
    async with staged() as stage, connected(stage.server) as connection:
        first = id_of(await connection.turn())
        gate = stage.store.gates.hold("before history")
        await connection.send(previous_response_id=first)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.rest)
            await gate.reached.wait()
            await stage.server.drain()
            gate.open()
        check_error(connection.said[-1], 503, "service_unavailable", None)
        assert connection.session.close_code == 1001
        assert len(stage.contexts) == 1


async def test_a_server_that_stops_behind_a_terminal_event() -> None:
    """Decision 28: the turn had come to its end, though nobody has read on."""
    async with staged() as stage, connected(stage.server) as connection:
        first = id_of(await connection.turn())
        await stage.server.drain()
        assert await connection.rest() == []
        assert connection.session.close_code == 1001
        assert first


async def test_a_server_that_is_closed_makes_nothing_for_an_open_connection() -> None:
    """A server may begin anew after that, but not because an old connection asks."""
    server = echoing()
    async with server.lifespan():
        connection = await connect(server)
        id_of(await connection.turn())
    await connection.send()
    [error] = await connection.rest()
    check_error(error, 503, "service_unavailable", None)
    assert server._made is None
    await connection.session.aclose()
    check(connection.said)
    async with connected(server) as again:
        id_of(await again.turn())


async def test_closing_the_server_ends_turns_without_a_grace() -> None:
    server, begun = ResponsesServer(), anyio.Event()

    @server.response_handler
    async def endless(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        stream = context.stream()
        yield stream.emit_created()
        begun.set()
        await anyio.sleep_forever()
        yield stream.emit_completed()

    connection = await connect(server)
    await connection.send()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.rest)
        await begun.wait()
        await server.aclose()
    assert types(connection.said) == ["response.create", "response.created", "error", "response.failed"]
    assert connection.session.close_code == 1001
    await connection.session.aclose()
    check(connection.said)


async def test_a_connection_that_is_stopping_and_old_closes_once() -> None:
    async with staged() as stage:
        connection = await connect(stage.server)
        gate = stage.steps.hold("in_progress")
        await connection.send()
        await connection.get()
        connection.session.go_away()
        connection.session.go_away()
        connection.grow_old()
        told = await connection.rest()
        assert types(told)[:2] == ["error", "response.failed"]
        assert connection.session.close_code == 1001
        gate.open()
        await connection.session.aclose()
