"""`POST /responses/{id}/cancel`: what may be cancelled, how long a handler has, and that a cancel wins (section 4)."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, ResponsesServerOptions
from responses_stream.builders.events import AsyncYield, SyncYield
from responses_stream.hosting.cancellation import CancellationSignal, Cause
from responses_stream.hosting.context import SyncResponseContext
from responses_stream.hosting.http import CutShort

from .asking import ask
from .staging import Stage, begin, check_bad_parameter, check_error, check_not_found, check_stream, id_of

pytestmark = pytest.mark.anyio

ID = id_of("a")
SHORT = ResponsesServerOptions(cancel_grace_seconds=0.01)
MODES: dict[str, dict[str, Any]] = {
    "S": {},
    "SS": {"stream": True},
    "B": {"background": True},
    "BS": {"background": True, "stream": True},
    "E": {"store": False},
    "ES": {"store": False, "stream": True},
}


def check_cancelled(response: Any, response_id: str = ID) -> None:
    """H4.8, with all the members of decision 1."""
    assert response["id"] == response["response_id"] == response_id
    assert response["status"] == "cancelled"
    assert response["output"] == []
    assert response["error"] is response["completed_at"] is response["incomplete_details"] is None
    assert response["background"] is True
    assert isinstance(response["created_at"], int)
    assert "sequence_number" not in response


async def test_a_malformed_id_is_told_before_anything_else() -> None:
    """H4.1."""
    answer = await Stage().cancel("nonsense")
    check_error(answer, 400, "invalid_parameters", "Malformed identifier.", "responseId{nonsense}")


async def test_an_unknown_id_is_not_found() -> None:
    """H4.6, H4.15."""
    check_not_found(await Stage().cancel(ID), ID)


@pytest.mark.parametrize("mode", ["S", "SS"])
@pytest.mark.parametrize("end", ["completed", "failed", "incomplete"])
async def test_a_finished_foreground_response_is_called_synchronous_however_it_ended(mode: str, end: str) -> None:
    """H4.3, H4.6: that check comes before the one of the status."""
    stage = Stage(f"created in_progress message {end}")
    await stage.post(response_id=ID, **MODES[mode])
    check_bad_parameter(await stage.cancel(ID), "response_id", "Cannot cancel a synchronous response.")


@pytest.mark.parametrize("mode", ["S", "SS", "E", "ES"])
async def test_a_running_foreground_response_is_not_there(mode: str) -> None:
    """H4.3, H4.15, H2.17, H2.20: and goes on."""
    stage = Stage("created wait completed")
    async with anyio.create_task_group() as tasks:
        asked = begin(tasks, lambda: stage.post(response_id=ID, **MODES[mode]))
        await stage.gates["wait"].arrived.wait()
        check_not_found(await stage.cancel(ID), ID)
        assert not stage.contexts[0].cancellation.is_set()
        stage.gates["wait"].open()
        answer = await asked.wait()
    assert b'"completed"' in answer.body


@pytest.mark.parametrize("mode", ["E", "ES"])
async def test_a_response_that_was_not_stored_is_not_there_afterwards(mode: str) -> None:
    """H4.15, H2.20."""
    stage = Stage()
    await stage.post(response_id=ID, **MODES[mode])
    check_not_found(await stage.cancel(ID), ID)


@pytest.mark.parametrize("mode", ["B", "BS"])
@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("completed", "Cannot cancel a completed response."),
        ("failed", "Cannot cancel a failed response."),
        ("incomplete", "Cannot cancel a response in terminal state."),
    ],
)
async def test_a_response_that_has_ended_cannot_be_cancelled(mode: str, end: str, message: str) -> None:
    """H4.4: the message says how it ended."""
    stage = Stage(f"created in_progress message {end}")
    await stage.post(response_id=ID, **MODES[mode])
    await anyio.wait_all_tasks_blocked()
    check_bad_parameter(await stage.cancel(ID), "response_id", message)
    assert (await stage.get(ID)).json["status"] == end


async def test_the_message_of_a_failed_one_is_the_same_where_the_handler_broke() -> None:
    """H4.4."""
    stage = Stage("created raise")
    await stage.post(response_id=ID, background=True)
    await anyio.wait_all_tasks_blocked()
    check_bad_parameter(await stage.cancel(ID), "response_id", "Cannot cancel a failed response.")


@pytest.mark.parametrize("mode", ["B", "BS"])
async def test_a_deleted_response_is_not_there(mode: str) -> None:
    """H4.15, H6.4."""
    stage = Stage()
    await stage.post(response_id=ID, **MODES[mode])
    await anyio.wait_all_tasks_blocked()
    assert (await stage.delete(ID)).status == 200
    check_not_found(await stage.cancel(ID), ID)


@pytest.mark.parametrize("scenes", ["created in_progress message wait completed", "queued wait in_progress completed"])
async def test_a_running_response_is_cancelled_for_everybody(scenes: str) -> None:
    """H4.5 to H4.8, H4.10, H4.16, H20.2: a queued one as well; the answer, GET and a second cancel are one."""
    stage = Stage(scenes, SHORT)
    created = (await stage.post(response_id=ID, background=True)).json
    assert created["status"] in ("queued", "in_progress")
    await stage.gates["wait"].arrived.wait()
    answer = await stage.cancel(ID)
    assert answer.status == 200
    check_cancelled(answer.json)
    assert answer.json["created_at"] == created["created_at"]
    await stage.stopped.wait()
    again = await stage.cancel(ID)
    assert again.status == 200
    assert again.body == answer.body == (await stage.get(ID)).body


async def test_the_handler_is_told_why_and_may_tidy_up() -> None:
    """H4.7, H2.30: it has the grace to itself, and what it says of its own is dropped (H4.11)."""
    stage = Stage("created signal message completed")
    await stage.post(response_id=ID, background=True)
    answer = await stage.cancel(ID)
    check_cancelled(answer.json)
    assert stage.stopped.is_set()
    assert stage.contexts[0].cancellation.cause is Cause.CANCELLED
    assert stage.contexts[0].client_cancelled
    check_cancelled((await stage.get(ID)).json)


async def test_a_handler_that_just_ends_was_cancelled_all_the_same() -> None:
    """H4.10: cancel wins over a handler that returns without a terminal event, and over one that raises."""
    for scenes in ("created signal return", "created signal raise", "created signal failed"):
        stage = Stage(scenes)
        await stage.post(response_id=ID, background=True)
        check_cancelled((await stage.cancel(ID)).json)
        check_cancelled((await stage.get(ID)).json)


async def test_a_handler_that_waits_for_something_else_is_stopped_after_the_grace() -> None:
    """H4.11, decision 15: its `finally` has run by then."""
    stage = Stage("created wait completed", SHORT)
    await stage.post(response_id=ID, background=True)
    check_cancelled((await stage.cancel(ID)).json)
    assert stage.stopped.is_set()


async def test_within_the_grace_a_handler_is_left_alone() -> None:
    """H4.11: the default is 10 s; an async handler that does not look at its signal has all of it."""
    stage = Stage("created wait completed")
    async with anyio.create_task_group() as tasks:
        await stage.post(response_id=ID, background=True)
        await stage.gates["wait"].arrived.wait()
        asked = begin(tasks, lambda: stage.cancel(ID))
        await anyio.wait_all_tasks_blocked()
        assert not asked.done.is_set()
        assert not stage.stopped.is_set()
        stage.gates["wait"].open()
        check_cancelled((await asked.wait()).json)
    check_cancelled((await stage.get(ID)).json)


async def test_a_sync_handler_is_stopped_at_its_next_event() -> None:
    """H4.11: it hears `GeneratorExit`, and what it said is dropped."""
    server = ResponsesServer()
    closed, cancelled = threading.Event(), threading.Event()

    @server.response_handler
    def handler(_request: CreateResponse, context: SyncResponseContext) -> Iterator[SyncYield]:
        stream = context.stream()
        try:
            yield stream.emit_created()
            yield stream.emit_in_progress()
            cancelled.wait(10)
            yield stream.output_item_message("too late")
        finally:
            closed.set()

    async with anyio.create_task_group() as tasks:
        await ask(server, {"response_id": ID, "background": True})
        asked = begin(tasks, lambda: ask(server, path=f"/v1/responses/{ID}/cancel"))
        await anyio.wait_all_tasks_blocked()
        cancelled.set()
        check_cancelled((await asked.wait()).json)
    await anyio.to_thread.run_sync(closed.wait, 10)
    assert closed.is_set()


async def test_a_sync_handler_that_says_nothing_more_is_left_behind_after_the_grace() -> None:
    """H4.11: nothing can stop its thread; the response ends all the same."""
    server = ResponsesServer(options=SHORT)
    release, left = threading.Event(), threading.Event()

    @server.response_handler
    def handler(_request: CreateResponse, context: SyncResponseContext) -> Iterator[SyncYield]:
        stream = context.stream()
        yield stream.emit_created()
        release.wait(10)
        left.set()

    await ask(server, {"response_id": ID, "background": True})
    answer = await ask(server, path=f"/v1/responses/{ID}/cancel")
    check_cancelled(answer.json)
    assert not left.is_set()
    assert (await ask(server, method="GET", path=f"/v1/responses/{ID}")).body == answer.body
    release.set()
    await anyio.to_thread.run_sync(left.wait, 10)
    assert (await ask(server, method="GET", path=f"/v1/responses/{ID}")).body == answer.body


async def test_while_a_handler_winds_down_everybody_sees_it_cancelled() -> None:
    """H4.9: GET and a second cancel do not wait."""
    stage = Stage("created in_progress message stubborn completed")
    async with anyio.create_task_group() as tasks:
        await stage.post(response_id=ID, background=True)
        await stage.gates["stubborn"].arrived.wait()
        first = begin(tasks, lambda: stage.cancel(ID))
        await anyio.wait_all_tasks_blocked()
        assert not first.done.is_set()
        seen, second = await stage.get(ID), await stage.cancel(ID)
        assert (seen.status, second.status) == (200, 200)
        check_cancelled(seen.json)
        check_cancelled(second.json)
        assert not first.done.is_set()
        stage.gates["stubborn"].open()
        last = await first.wait()
    assert last.json == seen.json == second.json


async def test_a_response_may_be_deleted_while_it_is_cancelled() -> None:
    """H4.14: the canceller is answered still, and afterwards it is not there."""
    stage = Stage("created in_progress stubborn completed")
    async with anyio.create_task_group() as tasks:
        live = await stage.stream(tasks, response_id=ID, background=True)
        await stage.gates["stubborn"].arrived.wait()
        asked = begin(tasks, lambda: stage.cancel(ID))
        await anyio.wait_all_tasks_blocked()
        assert (await stage.delete(ID)).status == 200
        check_not_found(await stage.get(ID), ID)
        check_not_found(await stage.cancel(ID), ID)
        check_not_found(await stage.delete(ID), ID)
        stage.gates["stubborn"].open()
        answer = await asked.wait()
        assert answer.status == 200
        check_cancelled(answer.json)
        with pytest.raises(CutShort):  # its stream has no end that could be told
            await live.wait()
    await anyio.wait_all_tasks_blocked()
    check_not_found(await stage.get(ID), ID)


@pytest.mark.parametrize("scenes", ["created in_progress message wait completed", "created signal completed"])
async def test_the_streams_of_a_cancelled_response_end_with_a_failed_event(scenes: str) -> None:
    """H4.12, decisions 6 and 29: those of the creator and of the replayers, without an `error` event."""
    stage = Stage(scenes, SHORT)
    async with anyio.create_task_group() as tasks:
        creator = await stage.stream(tasks, response_id=ID, background=True)
        follower = begin(tasks, lambda: stage.replay(ID))
        await anyio.wait_all_tasks_blocked()
        answer = await stage.cancel(ID)
        created, followed = await creator.wait(), await follower.wait()
    check_stream(created)
    assert created.types[-1] == "response.failed"
    assert "error" not in created.types
    assert created.events[-1]["response"] == answer.json
    check_cancelled(created.events[-1]["response"])
    assert followed.body == created.body


async def test_a_cancelled_response_replays_like_any_other() -> None:
    """Decision 15, against H4.13."""
    stage = Stage("created in_progress message wait completed", SHORT)
    async with anyio.create_task_group() as tasks:
        live = await stage.stream(tasks, response_id=ID, background=True)
        await stage.cancel(ID)
        told = await live.wait()
    replayed = await stage.replay(ID)
    assert replayed.body == told.body
    rest = await stage.replay(ID, "&starting_after=1")
    assert rest.events == told.events[2:]


@pytest.mark.parametrize("end", ["wait completed", "stubborn completed", "wait return"])
async def test_a_background_response_is_cancelled_before_its_first_event(end: str) -> None:
    """H4.17 with H20.46: whoever waits for the create is answered, and it stays cancelled."""
    stage = Stage(end, SHORT)
    async with anyio.create_task_group() as tasks:
        created = begin(tasks, lambda: stage.post(response_id=ID, background=True, input="hi"))
        await stage.gates[end.split()[0]].arrived.wait()
        check_not_found(await stage.get(ID), ID)
        cancelled = begin(tasks, lambda: stage.cancel(ID))
        await anyio.wait_all_tasks_blocked()
        stage.gates[end.split()[0]].open()
        answer, answered = await cancelled.wait(), await created.wait()
    assert (answer.status, answered.status) == (200, 200)
    check_cancelled(answer.json)
    assert answered.json == answer.json
    assert (await stage.get(ID)).body == answer.body == (await stage.cancel(ID)).body
    assert len((await stage.input_items(ID)).json["data"]) == 1
    assert (await stage.delete(ID)).status == 200


async def test_a_background_stream_is_cancelled_before_its_first_event() -> None:
    """H20.46, against H2.19a: a run that exists can be cancelled; its stream is a whole one."""
    stage = Stage("wait created completed", SHORT)
    async with anyio.create_task_group() as tasks:
        created = begin(tasks, lambda: stage.post(response_id=ID, background=True, stream=True))
        await stage.gates["wait"].arrived.wait()
        answer = await stage.cancel(ID)
        told = await created.wait()
    check_cancelled(answer.json)
    check_stream(told)
    assert told.types == ["response.created", "response.failed"]
    assert told.events[-1]["response"] == answer.json
    assert (await stage.get(ID)).json == answer.json
    assert (await stage.replay(ID)).body == told.body


async def test_a_run_that_was_cancelled_before_its_first_event_ends_at_it() -> None:
    """H4.17: whether or not the handler looks at the signal."""
    stage = Stage("signal created message completed")
    async with anyio.create_task_group() as tasks:
        created = begin(tasks, lambda: stage.post(response_id=ID, background=True))
        await anyio.wait_all_tasks_blocked()
        check_cancelled((await stage.cancel(ID)).json)
        check_cancelled((await created.wait()).json)


async def test_a_cancel_that_comes_while_the_end_is_written_comes_too_late() -> None:
    """The first terminal is the only one (decision 8): the canceller is told how it ended."""
    stage = Stage()
    gate = stage.store.gates["ending"] = stage.gates["ending"]
    async with anyio.create_task_group() as tasks:
        await stage.post(response_id=ID, background=True)
        await gate.arrived.wait()
        asked = begin(tasks, lambda: stage.cancel(ID))
        await anyio.wait_all_tasks_blocked()
        gate.open()
        check_bad_parameter(await asked.wait(), "response_id", "Cannot cancel a completed response.")
    assert (await stage.get(ID)).json["status"] == "completed"


async def test_the_body_of_a_cancel_is_ignored() -> None:
    """Section 4."""
    stage = Stage("created wait completed", SHORT)
    await stage.post(response_id=ID, background=True)
    answer = await ask(stage.server, b"{ no JSON", path=f"/responses/{ID}/cancel")
    check_cancelled(answer.json)


async def test_two_cancels_at_once_get_one_answer() -> None:
    """H4.4, H4.9."""
    stage = Stage("created in_progress message wait completed", SHORT)
    await stage.post(response_id=ID, background=True)
    async with anyio.create_task_group() as tasks:
        asked = [begin(tasks, lambda: stage.cancel(ID)) for _ in range(5)]
        answers = [await one.wait() for one in asked]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert stage.store.calls.count("create") == 1


async def test_a_canceller_that_leaves_has_cancelled_all_the_same() -> None:
    """H4.7: what was accepted is done."""
    stage = Stage("created stubborn completed")
    await stage.post(response_id=ID, background=True)
    await stage.gates["stubborn"].arrived.wait()
    async with anyio.create_task_group() as tasks:
        begin(tasks, lambda: stage.cancel(ID))
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    stage.gates["stubborn"].open()
    await anyio.wait_all_tasks_blocked()
    check_cancelled((await stage.get(ID)).json)


async def test_a_response_of_another_server_is_cancelled_through_the_store() -> None:
    """H20.37: the one that makes it is told, ends it, and both show the same."""
    here = Stage("created in_progress signal completed")
    there = Stage(store=here.store)
    async with anyio.create_task_group() as tasks:
        live = await here.stream(tasks, response_id=ID, background=True)
        answer = await there.cancel(ID)
        told = await live.wait()
    check_cancelled(answer.json)
    check_stream(told)
    assert told.events[-1]["response"] == answer.json
    assert (await there.cancel(ID)).body == answer.body == (await here.get(ID)).body
    assert (await there.replay(ID)).body == told.body


async def test_the_signal_is_a_flag_an_awaitable_and_an_argument() -> None:
    """H2.30: one object, set once."""
    server = ResponsesServer()
    seen: list[bool] = []

    @server.response_handler
    async def handler(
        _request: CreateResponse, context: ResponseContext, signal: CancellationSignal
    ) -> AsyncIterator[AsyncYield]:
        yield context.stream().emit_created()
        seen.append(signal.is_set())
        await signal.wait()
        seen.append(signal.is_set() and signal is context.cancellation)
        await anyio.lowlevel.checkpoint()

    await ask(server, {"response_id": ID, "background": True})
    check_cancelled((await ask(server, path=f"/v1/responses/{ID}/cancel")).json)
    assert seen == [False, True]
