"""A store that fails: in which mode a client is told what, and what is mended later (section 12.6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from responses_stream import HttpRequest, ResponsesServer, ResponsesServerOptions, SyncResponseContext
from responses_stream.hosting.identity import Identity
from responses_stream.protocol.request import CompactResponse
from responses_stream.stores.base import Key

from .asking import Answer, ask
from .staging import FAILURE, STORAGE_MESSAGE, Stage, begin, check_error, check_not_found, check_stream, id_of

pytestmark = pytest.mark.anyio

ID = id_of("a")
OFTEN = ResponsesServerOptions(lease_seconds=0.03)
"""The store is attended every hundredth of a second, so that what it was not told is told soon."""


def check_storage_error(answer: Answer) -> None:
    """H12.30, H20.17: a failing store is the platform's fault."""
    check_error(answer, 500, "storage_error", STORAGE_MESSAGE, None)
    assert answer.error["type"] == "server_error"


def check_not_told(answer: Answer) -> None:
    """H20.16, H20.17: what a client is told who has asked for what the store does not tell."""
    message = "An internal error occurred where responses are stored. Please retry the request."
    check_error(answer, 500, "storage_error", message, None)
    assert answer.error["type"] == "server_error"


def check_failed(response: Any) -> None:
    assert response["status"] == "failed"
    assert response["error"] == {"code": "storage_error", "message": STORAGE_MESSAGE}


def check_error_event(event: dict[str, Any], number: int) -> None:
    """Decision 5: both shapes."""
    assert (event["type"], event["sequence_number"]) == ("error", number)
    assert (event["code"], event["message"], event["param"]) == ("storage_error", STORAGE_MESSAGE, None)
    assert event["error"] == {
        "type": "storage_error",
        "code": "storage_error",
        "message": STORAGE_MESSAGE,
        "param": None,
    }


async def recovered(stage: Stage, response_id: str) -> Any:
    """Let the store work again, and return what it has once the server has told it how the response ended."""
    stage.store.broken.clear()
    key = Key("", response_id)
    with anyio.fail_after(10):
        while not (await stage.store.get(key)).ended:
            await stage.store.changed(key, 10**9, 10)
    return (await Stage(store=stage.store).get(response_id)).json


# The store does not take what is created


@pytest.mark.parametrize("background", [False, True])
async def test_json_refused_at_created_is_an_error(background: bool) -> None:
    """H12.31, H12.33 with decision 11: 500, and nothing is there."""
    stage = Stage()
    stage.store.broken.add("create")
    check_storage_error(await stage.post(response_id=ID, background=background))
    stage.store.broken.clear()
    check_not_found(await stage.get(ID), ID)
    check_not_found(await stage.delete(ID), ID)
    assert (await stage.post(response_id=ID, background=background)).status == 200


async def test_a_stream_refused_at_created_is_created_and_fails() -> None:
    """H12.32: created is 0, then the error and the failure; nothing is there."""
    stage = Stage()
    stage.store.broken.add("create")
    told = await stage.post(response_id=ID, stream=True)
    check_stream(told)
    assert told.types == ["response.created", "error", "response.failed"]
    check_error_event(told.events[1], 1)
    check_failed(told.events[2]["response"])
    assert told.events[2]["response"]["output"] == []
    stage.store.broken.clear()
    check_not_found(await stage.get(ID), ID)


async def test_a_background_stream_refused_at_created_is_a_lone_error() -> None:
    """H12.34, H20.10, H3.10."""
    stage = Stage()
    stage.store.broken.add("create")
    told = await stage.post(response_id=ID, stream=True, background=True)
    assert (told.status, told.types) == (200, ["error"])
    check_error_event(told.events[0], 0)
    assert told.data[-1] == "[DONE]"
    stage.store.broken.clear()
    check_not_found(await stage.get(ID), ID)
    check_not_found(await stage.replay(ID), ID)


@pytest.mark.parametrize("mode", [{}, {"stream": True}, {"background": True}, {"background": True, "stream": True}])
async def test_a_handler_whose_response_was_refused_is_stopped(mode: dict[str, Any]) -> None:
    """Decision 11: nobody waits for what it would say."""
    stage = Stage("created in_progress wait completed")
    stage.store.broken.add("create")
    await stage.post(**mode)
    await stage.stopped.wait()
    assert not stage.gates["wait"].arrived.is_set()


@pytest.mark.parametrize("mode", [{"store": False}, {"store": False, "stream": True}])
async def test_what_is_not_stored_does_not_mind(mode: dict[str, Any]) -> None:
    """H2.13: a store that fails at everything is not asked."""
    stage = Stage()
    stage.store.broken |= {"create", "append", "get", "history", "items", "claim"}
    answer = await stage.post(**mode)
    assert answer.status == 200
    assert b'"completed"' in answer.body
    assert stage.store.calls == []


# The store does not take the end


async def test_json_whose_end_is_refused_is_an_error() -> None:
    """H12.35, H12.39: 500; GET, which the server answers from memory, shows that it failed."""
    stage = Stage(options=OFTEN)
    stage.store.broken.add("ending")
    check_storage_error(await stage.post(response_id=ID))
    seen = (await stage.get(ID)).json
    check_failed(seen)
    assert [item["content"][0]["text"] for item in seen["output"]] == ["Hello"]
    assert await recovered(stage, ID) == seen


@pytest.mark.parametrize("background", [False, True])
async def test_a_stream_whose_end_is_refused_fails_instead(background: bool) -> None:
    """H12.36, H12.38, decision 11: persist, then emit, so `completed` was never told; what was done stays (H20.18)."""
    stage = Stage(options=OFTEN)
    stage.store.broken.add("ending")
    told = await stage.post(response_id=ID, stream=True, background=background)
    check_stream(told)
    assert "response.completed" not in told.types
    assert told.types[-2:] == ["error", "response.failed"]
    check_error_event(told.events[-2], len(told.events) - 2)
    check_failed(told.events[-1]["response"])
    seen = (await stage.get(ID)).json
    check_failed(seen)
    assert seen == told.events[-1]["response"]
    assert await recovered(stage, ID) == seen
    if background:
        # What the creator has read of the failure that could not be stored is the end of every later replay.
        replayed = await stage.replay(ID)
        check_stream(replayed)
        assert replayed.events[-2:] == told.events[-2:]
        assert replayed.events[0] == told.events[0]


@pytest.mark.parametrize("mode", [{}, {"stream": True}, {"background": True, "stream": True}])
async def test_a_failure_that_drops_what_was_done_drops_it_in_the_store_as_well(mode: dict[str, Any]) -> None:
    """Decision 10, `on_failure`: whoever writes the end, the run or the attendance."""
    stage = Stage(options=ResponsesServerOptions(lease_seconds=0.03, on_failure="drop"))
    stage.store.broken.add("ending")
    await stage.post(response_id=ID, **mode)
    seen = (await stage.get(ID)).json
    assert (seen["status"], seen["output"]) == ("failed", [])
    assert await recovered(stage, ID) == seen


async def test_a_run_whose_end_was_refused_lets_go_of_its_key_with_its_end() -> None:
    """Decision 22: until then a retry attaches to the run; after it, it gets what is stored."""
    stage = Stage(options=OFTEN)
    stage.store.broken.add("ending")
    key = {"idempotency-key": "k"}
    check_storage_error(await stage.post(key, response_id=ID))
    check_storage_error(await stage.post(key, response_id=ID))
    ended = await recovered(stage, ID)
    await anyio.wait_all_tasks_blocked()
    again = await stage.post(key, response_id=ID)
    assert (again.status, again.json) == (200, ended)
    assert len(stage.contexts) == 1


async def test_a_background_run_whose_end_is_refused_has_failed() -> None:
    """H12.37: the create was answered already."""
    stage = Stage(options=OFTEN)
    stage.store.broken.add("ending")
    assert (await stage.post(response_id=ID, background=True)).json["status"] == "in_progress"
    await stage.stopped.wait()
    await anyio.wait_all_tasks_blocked()
    check_failed((await stage.get(ID)).json)
    check_failed(await recovered(stage, ID))


@pytest.mark.parametrize("mode", [{}, {"stream": True}, {"background": True}, {"background": True, "stream": True}])
async def test_what_could_not_be_stored_can_be_deleted(mode: dict[str, Any]) -> None:
    """H6.6, H12.39."""
    stage = Stage()
    stage.store.broken.add("ending")
    await stage.post(response_id=ID, **mode)
    await stage.stopped.wait()
    await anyio.wait_all_tasks_blocked()
    assert (await stage.delete(ID)).status == 200
    check_not_found(await stage.get(ID), ID)
    check_not_found(await stage.delete(ID), ID)
    stage.store.broken.clear()
    assert (await stage.post(response_id=ID, **mode)).status == 200


# The store does not take the events


@pytest.mark.parametrize("stream", [False, True])
async def test_a_background_run_whose_events_are_refused_ends(stream: bool) -> None:
    """Decision 11, design section 6: what was shown was stored; the failure is told behind it."""
    stage = Stage("created wait in_progress message message completed", OFTEN)
    async with anyio.create_task_group() as tasks:
        asked = begin(tasks, lambda: stage.post(response_id=ID, stream=stream, background=True))
        await stage.gates["wait"].arrived.wait()
        stage.store.broken.add("append")
        stage.gates["wait"].open()
        told = await asked.wait()
    await stage.stopped.wait()
    if stream:
        check_stream(told)
        assert told.types == ["response.created", "error", "response.failed"]
        check_failed(told.events[-1]["response"])
        assert told.events[-1]["response"]["output"] == []
    await anyio.wait_all_tasks_blocked()
    check_failed((await stage.get(ID)).json)
    check_failed(await recovered(stage, ID))


async def test_a_cancel_whose_end_is_refused_leaves_nothing_hanging() -> None:
    """H4.7, H12.41: the canceller is answered, and later it has an end."""
    stage = Stage("created signal return", OFTEN)
    async with anyio.create_task_group() as tasks:
        live = await stage.stream(tasks, response_id=ID, background=True)
        stage.store.broken.add("ending")
        answer = await stage.cancel(ID)
        told = await live.wait()
    check_stream(told)
    assert told.types[-1] == "response.failed"
    assert answer.status in (200, 400)
    assert (await recovered(stage, ID))["status"] in ("cancelled", "failed")


# The store cannot be read


@pytest.mark.parametrize(
    ("method", "query"),
    [("get", ""), ("get", "stream=true"), ("events", "stream=true"), ("events", "stream=true&starting_after=2")],
)
async def test_a_failing_read_is_no_404(method: str, query: str) -> None:
    """H20.16 against H5.3 and H12.40; H10.12: and nothing is shown past it."""
    stage = Stage()
    await stage.post(response_id=ID, stream=True, background=True)
    stage.store.broken.add(method)
    check_not_told(await stage.get(ID, query))
    stage.store.broken.clear()
    assert (await stage.get(ID, query)).status == 200


@pytest.mark.parametrize("verb", ["cancel", "delete", "input_items"])
async def test_every_other_verb_says_the_same(verb: str) -> None:
    """H20.16, H6.3, H12.40; for a response that is there and for one that is not."""
    stage = Stage()
    await stage.post(response_id=ID, background=True)
    await anyio.wait_all_tasks_blocked()
    stage.store.broken |= {"get", "cancel", "delete", "input_items"}
    for response_id in (ID, id_of("b")):
        check_not_told(await getattr(stage, verb)(response_id))
    stage.store.broken.clear()
    assert (await stage.get(ID)).json["status"] == "completed"


@pytest.mark.parametrize("mode", [{}, {"stream": True}, {"background": True}, {"store": False}])
async def test_a_history_that_cannot_be_read_refuses_the_request(mode: dict[str, Any]) -> None:
    """H8.23, H12.40: before the handler runs."""
    stage = Stage()
    first = (await stage.post()).json["id"]
    stage.store.broken.add("history")
    check_not_told(await stage.post(previous_response_id=first, **mode))
    check_not_told(await stage.post(conversation="conv_1", **mode))
    assert len(stage.contexts) == 1


async def test_references_that_cannot_be_read_fail_the_response() -> None:
    """H11.15: they are looked up when the response is created; nothing half is stored."""
    stage = Stage()
    stage.store.broken.add("items")
    answer = await stage.post(response_id=ID, input=[{"type": "item_reference", "id": "msg_1"}])
    check_storage_error(answer)
    stage.store.broken.clear()
    check_not_found(await stage.get(ID), ID)


async def test_a_key_that_cannot_be_claimed_refuses_the_request() -> None:
    """Decision 22: better no response than two."""
    stage = Stage()
    stage.store.broken.add("claim")
    check_not_told(await stage.post({"idempotency-key": "k"}))
    assert stage.contexts == []
    stage.store.broken.clear()
    assert (await stage.post({"idempotency-key": "k"})).status == 200


async def test_a_store_that_cannot_be_attended_refuses_all_and_then_none() -> None:
    """H20.16: the first request tries again."""
    stage = Stage()
    stage.store.broken.add("attend")
    check_not_told(await stage.post())
    check_not_told(await stage.get(ID))
    stage.store.broken.clear()
    assert (await stage.post()).status == 200


async def test_what_another_server_makes_cannot_be_asked_for_either() -> None:
    """H20.16, decision 22: polled, cancelled, asked for again by its key, and by its id."""
    stage = Stage("created in_progress wait completed")
    other = Stage(store=stage.store)
    key = {"idempotency-key": "k"}
    questions: dict[str, Callable[[], Awaitable[Answer]]] = {
        "events": lambda: other.get(ID),
        "cancel": lambda: other.cancel(ID),
        "get": lambda: other.post(key, response_id=ID, background=True, stream=True),
    }
    async with anyio.create_task_group() as tasks:
        live = await stage.stream(tasks, key, response_id=ID, background=True)
        await stage.gates["wait"].arrived.wait()
        for broken, question in questions.items():
            stage.store.broken = {broken}
            check_not_told(await question())
        check_not_told(await other.post(response_id=ID))  # it is not known whether the id is free
        stage.store.broken.clear()
        stage.gates["wait"].open()
        check_stream(await live.wait())
    assert other.contexts == []


async def test_a_context_that_is_to_be_compacted_cannot_be_read() -> None:
    stage = Stage()

    @stage.server.compaction_handler
    def shorten(_request: CompactResponse, _context: SyncResponseContext) -> list[dict[str, Any]]:
        return []

    stage.store.broken.add("history")
    body = {"model": "m", "previous_response_id": ID}
    check_not_told(await ask(stage.server, body, path="/v1/responses/compact"))


async def test_what_fails_besides_the_store_is_not_blamed_on_it() -> None:
    """Whatever type the fault is of."""

    def identify(_request: HttpRequest) -> Identity:
        raise OSError("the directory of users does not answer")

    answer = await ask(ResponsesServer(identify=identify), method="GET", path=f"/v1/responses/{ID}")
    check_error(answer, 500, "server_error", FAILURE, None)


async def test_other_runs_do_not_mind() -> None:
    """One response that the store refuses takes no other with it."""
    stage = Stage("created in_progress wait message completed")
    async with anyio.create_task_group() as tasks:
        live = await stage.stream(tasks, response_id=ID, background=True)
        await stage.gates["wait"].arrived.wait()
        stage.store.broken.add("create")
        check_storage_error(await stage.post(response_id=id_of("b")))
        stage.store.broken.clear()
        stage.gates["wait"].open()
        check_stream(await live.wait())
    assert (await stage.get(ID)).json["status"] == "completed"
