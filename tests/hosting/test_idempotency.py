"""`Idempotency-Key`: the same request again is the same response, running or finished, made once (decision 22)."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import anyio
import attrs
import pytest

from responses_stream import HttpReply

from .asking import Answer, answer_of, ask, request_for
from .staging import Stage, WatchedStore, begin, check_error, check_stream, id_of

pytestmark = pytest.mark.anyio

ID = id_of("a")
KEY = {"idempotency-key": "k1"}
MODES: dict[str, dict[str, Any]] = {
    "S": {},
    "SS": {"stream": True},
    "B": {"background": True},
    "BS": {"background": True, "stream": True},
    "E": {"store": False},
    "ES": {"store": False, "stream": True},
}
SOME = ["S", "ES", "BS", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("SS", "B", "E"))]
STORED = ["S", "SS", "B", "BS"]
STORED_SOME = ["S", "BS", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("SS", "B"))]
WAITING = "created in_progress message wait message completed"


@attrs.define
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def response_of(answer: Answer) -> Any:
    """The response that an answer shows last."""
    assert answer.status == 200, answer.body
    if answer.headers["content-type"] == "application/json":
        return answer.json
    check_stream(answer)
    return answer.events[-1]["response"]


def check_reused(answer: Answer) -> None:
    message = "This Idempotency-Key was used with another request."
    check_error(answer, 409, "idempotency_key_reused", message, "Idempotency-Key")
    assert answer.error["type"] == "conflict"


async def leave(reply: HttpReply) -> None:
    assert not isinstance(reply.body, bytes)
    await reply.body.aclose()


@pytest.mark.parametrize("mode", MODES)
async def test_who_comes_while_it_runs_gets_the_same_answer(mode: str) -> None:
    """A stream from its beginning, to the byte; the handler runs once."""
    stage = Stage(WAITING)
    async with anyio.create_task_group() as tasks:
        first = begin(tasks, lambda: stage.post(KEY, input="hi", **MODES[mode]))
        await stage.gates["wait"].arrived.wait()
        others = [begin(tasks, lambda: stage.post(KEY, input="hi", **MODES[mode])) for _ in range(3)]
        await anyio.wait_all_tasks_blocked()
        stage.gates["wait"].open()
        answer = await first.wait()
        response_of(answer)
        for one in others:
            attached = await one.wait()
            assert attached.body == answer.body
            assert attached.headers["x-agent-session-id"] == answer.headers["x-agent-session-id"]
    assert len(stage.contexts) == 1


@pytest.mark.parametrize("mode", SOME)
async def test_who_comes_before_its_first_event_waits_with_the_first(mode: str) -> None:
    """On the server that makes it."""
    stage = Stage("wait created in_progress message completed")
    async with anyio.create_task_group() as tasks:
        asked = [begin(tasks, lambda: stage.post(KEY, **MODES[mode])) for _ in range(3)]
        await stage.gates["wait"].arrived.wait()
        await anyio.wait_all_tasks_blocked()
        stage.gates["wait"].open()
        assert len({(await one.wait()).body for one in asked}) == 1
    assert len(stage.contexts) == 1


@pytest.mark.parametrize("mode", STORED)
async def test_who_comes_afterwards_gets_the_response_that_was_made(mode: str) -> None:
    """As it ended; a stream again from its beginning, foreground ones too."""
    stage = Stage()
    first = await stage.post(KEY, input="hi", **MODES[mode])
    await anyio.wait_all_tasks_blocked()
    again = await stage.post(KEY, input="hi", **MODES[mode])
    if mode == "B":
        assert (first.json["status"], again.json["status"]) == ("in_progress", "completed")
        assert first.json["id"] == again.json["id"]
    else:
        assert again.body == first.body
    assert len(stage.contexts) == stage.store.calls.count("create") == 1


@pytest.mark.parametrize("mode", ["E", "ES"])
async def test_what_is_not_stored_is_known_while_it_runs(mode: str) -> None:
    """Decision 22: its key is free afterwards, for whatever body."""
    stage = Stage()
    first = response_of(await stage.post(KEY, input="hi", **MODES[mode]))
    await anyio.wait_all_tasks_blocked()
    second = response_of(await stage.post(KEY, input="other", **MODES[mode]))
    assert first["id"] != second["id"]
    assert len(stage.contexts) == 2


@pytest.mark.parametrize("mode", STORED_SOME)
async def test_a_response_that_went_wrong_is_not_made_again(mode: str) -> None:
    """It is an answer like any other: who wants another takes another key."""
    for end in ("failed", "incomplete", "raise"):
        stage = Stage(f"created in_progress message {end}")
        await stage.post(KEY, **MODES[mode])
        await anyio.wait_all_tasks_blocked()
        again = response_of(await stage.post(KEY, **MODES[mode]))
        assert again["status"] == {"raise": "failed"}.get(end, end)
        assert len(stage.contexts) == 1


@pytest.mark.parametrize("mode", SOME)
async def test_another_body_is_refused(mode: str) -> None:
    """409, while it runs and afterwards."""
    stage = Stage(WAITING)
    others: list[dict[str, Any]] = [
        {"input": "other"},
        {"input": "hi", "metadata": {"a": "b"}},
        {"input": "hi", "temperature": 1},
        {},
    ]
    async with anyio.create_task_group() as tasks:
        first = begin(tasks, lambda: stage.post(KEY, input="hi", **MODES[mode]))
        await stage.gates["wait"].arrived.wait()
        for other in others:
            check_reused(await stage.post(KEY, **{**MODES[mode], **other}))
        stage.gates["wait"].open()
        await first.wait()
    await anyio.wait_all_tasks_blocked()
    for other in others if mode in STORED else ():
        check_reused(await stage.post(KEY, **{**MODES[mode], **other}))
    assert len(stage.contexts) == 1


async def test_another_mode_is_another_body() -> None:
    """Who asked for JSON is not answered with a stream."""
    stage = Stage()
    await stage.post(KEY, input="hi")
    check_reused(await stage.post(KEY, input="hi", stream=True))
    check_reused(await stage.post(KEY, input="hi", background=True))
    check_reused(await stage.post(KEY, input="hi", store=False))


async def test_a_body_is_the_same_however_it_is_written() -> None:
    """Blanks, the order of members and escapes say nothing."""
    stage = Stage()
    body = {"input": "héllo", "metadata": {"a": "1", "b": "2"}, "temperature": 1}
    first = await ask(stage.server, json.dumps(body).encode(), headers=KEY)
    other = dict(reversed(body.items())) | {"metadata": {"b": "2", "a": "1"}}
    written = json.dumps(other, indent=4, ensure_ascii=False).encode()
    assert (await ask(stage.server, written, headers=KEY)).body == first.body
    assert len(stage.contexts) == 1


async def test_keys_are_each_for_itself() -> None:
    """And no key is no key."""
    stage = Stage()
    headers: list[dict[str, str]] = [{}, {}, {"idempotency-key": ""}, {"idempotency-key": "  "}, KEY]
    headers += [{"idempotency-key": "K1"}, {"idempotency-key": "k1", "x-agent-user-id": "ada"}]
    ids = [(await stage.post(one, input="hi")).json["id"] for one in headers]
    assert len(set(ids)) == len(ids)
    assert (await stage.post({"idempotency-key": " k1 "}, input="hi")).json["id"] == ids[4]


async def test_a_key_has_a_length() -> None:
    stage = Stage()
    assert (await stage.post({"idempotency-key": "k" * 255})).status == 200
    answer = await stage.post({"idempotency-key": "k" * 256})
    message = "Idempotency-Key must have at most 255 characters"
    check_error(answer, 400, "invalid_request", message, "Idempotency-Key")


async def test_a_wanted_id_is_no_duplicate_of_itself() -> None:
    """H8.26 is for other requests."""
    stage = Stage()
    first = await stage.post(KEY, response_id=ID)
    assert (await stage.post(KEY, response_id=ID)).body == first.body
    assert (await stage.post({"idempotency-key": "k2"}, response_id=ID)).error["code"] == "response_id_conflict"
    assert (await stage.post({"idempotency-key": "k2"})).status == 200, "which had not been claimed for that"


# Who leaves


@pytest.mark.parametrize("mode", ["SS", "ES"])
async def test_a_run_goes_on_until_its_last_reader_has_left(mode: str) -> None:
    """Decision 22; then it is cancelled like any foreground run (decision 13)."""
    stage = Stage("created in_progress message wait completed")
    body = {"response_id": ID, "stream": True, **MODES[mode]}
    replies = [await stage.server.handle(request_for(body, headers=KEY)) for _ in range(3)]
    await stage.gates["wait"].arrived.wait()
    for reply in replies:
        assert not stage.contexts[0].cancellation.is_set()
        await leave(reply)
        await leave(reply)  # twice is once
    assert stage.contexts[0].client_cancelled
    await stage.stopped.wait()
    await anyio.wait_all_tasks_blocked()
    assert len(stage.contexts) == 1
    if mode == "SS":
        assert (await stage.get(ID)).json["status"] == "cancelled"
        again = await ask(stage.server, body, headers=KEY)
        assert response_of(again)["status"] == "cancelled"
        assert len(stage.contexts) == 1


@pytest.mark.parametrize("first_leaves", [True, False])
async def test_who_stays_gets_all_of_it(first_leaves: bool) -> None:
    """Whether the first or the second of two goes."""
    stage = Stage(WAITING)
    body = {"stream": True, "input": "hi"}
    replies = [await stage.server.handle(request_for(body, headers=KEY)) for _ in range(2)]
    await stage.gates["wait"].arrived.wait()
    await leave(replies[0 if first_leaves else 1])
    stage.gates["wait"].open()
    assert response_of(await answer_of(replies[1 if first_leaves else 0]))["status"] == "completed"


@pytest.mark.parametrize("mode", ["S", "E"])
async def test_who_waits_for_json_counts_like_who_reads(mode: str) -> None:
    """Decision 13: calls that are cancelled have left."""
    stage = Stage("created in_progress wait completed")
    async with anyio.create_task_group() as staying:
        async with anyio.create_task_group() as leaving:
            begin(leaving, lambda: stage.post(KEY, **MODES[mode]))
            await stage.gates["wait"].arrived.wait()
            stays = begin(staying, lambda: stage.post(KEY, **MODES[mode]))
            await anyio.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert not stage.contexts[0].cancellation.is_set()
        stage.gates["wait"].open()
        assert (await stays.wait()).json["status"] == "completed"


async def test_a_background_run_does_not_mind_who_leaves() -> None:
    """Decision 13."""
    stage = Stage("created in_progress wait completed")
    body = {"stream": True, "background": True, "response_id": ID}
    replies = [await stage.server.handle(request_for(body, headers=KEY)) for _ in range(2)]
    for reply in replies:
        await leave(reply)
    assert not stage.contexts[0].cancellation.is_set()
    stage.gates["wait"].open()
    await anyio.wait_all_tasks_blocked()
    assert (await stage.get(ID)).json["status"] == "completed"


# When a key is free again


@pytest.mark.parametrize("mode", ["S", "SS", "E", "ES", "BS"])
async def test_where_nothing_was_created_the_key_is_free(mode: str) -> None:
    """Decision 12: a handler that failed before it began has used nothing up."""
    stage = Stage("raise")
    first = await stage.post(KEY, input="hi", **MODES[mode])
    assert first.status == 500 or first.types == ["error"]
    await anyio.wait_all_tasks_blocked()
    stage.scenes = "created in_progress message completed"
    assert response_of(await stage.post(KEY, input="other", **MODES[mode]))["status"] == "completed"


async def test_a_background_failure_was_created() -> None:
    """Decision 12: B is answered with a failed response, and so is who asks again."""
    stage = Stage("raise")
    first = await stage.post(KEY, background=True)
    assert first.json["status"] == "failed"
    assert (await stage.post(KEY, background=True)).body == first.body


@pytest.mark.parametrize("mode", STORED_SOME)
async def test_where_the_store_refused_it_the_key_is_free(mode: str) -> None:
    """Decision 11."""
    stage = Stage()
    stage.store.broken.add("create")
    await stage.post(KEY, input="hi", **MODES[mode])
    await anyio.wait_all_tasks_blocked()
    stage.store.broken.clear()
    assert (await stage.post(KEY, input="other", **MODES[mode])).status == 200


async def test_a_request_that_is_refused_claims_nothing() -> None:
    """H8.2: neither by its own checks, nor by what it refers to."""
    stage = Stage()
    for refused in (
        b"{",
        {"background": True, "store": False},
        {"temperature": 7},
        {"response_id": "short"},
        {"previous_response_id": id_of("b")},
    ):
        assert (await ask(stage.server, refused, headers=KEY)).status in (400, 404)
    assert (await stage.post(KEY, input="hi")).status == 200


async def test_a_key_lasts_as_long_as_its_response() -> None:
    """Decision 22: until its retention is over."""
    clock = Clock()
    stage = Stage(store=WatchedStore(clock=clock))
    first = await stage.post(KEY, input="hi")
    clock.now += 86_399
    assert (await stage.post(KEY, input="hi")).body == first.body
    check_reused(await stage.post(KEY, input="other"))
    clock.now += 1
    assert (await stage.post(KEY, input="other")).json["id"] != first.json["id"]


@pytest.mark.parametrize("mode", ["SS", "BS"])
async def test_a_stream_that_cannot_be_told_again_is_refused(mode: str) -> None:
    """Pains D3: its events are gone before its response is; never a 200 without a stream."""
    clock = Clock()
    stage = Stage(store=WatchedStore(clock=clock))
    first = await stage.post(KEY, **MODES[mode])
    clock.now += 599
    assert (await stage.post(KEY, **MODES[mode])).body == first.body
    clock.now += 1
    response_id = first.events[0]["response"]["id"]
    message = f"The events of '{response_id}', made for this Idempotency-Key, are gone. Get the response."
    refused = await stage.post(KEY, **MODES[mode])
    check_error(refused, 409, "idempotency_key_expired", message, "Idempotency-Key")
    assert (await stage.get(response_id)).json == first.events[-1]["response"]
    assert len(stage.contexts) == 1


# Two servers on one store


@pytest.mark.parametrize("mode", STORED)
async def test_another_server_attaches_through_the_store(mode: str) -> None:
    """H20.37: as soon as the response was created, to the byte."""
    here = Stage(WAITING)
    there = Stage(store=here.store)
    async with anyio.create_task_group() as tasks:
        first = begin(tasks, lambda: here.post(KEY, input="hi", **MODES[mode]))
        await here.gates["wait"].arrived.wait()
        await anyio.wait_all_tasks_blocked()
        attached = begin(tasks, lambda: there.post(KEY, input="hi", **MODES[mode]))
        check_reused(await there.post(KEY, input="other", **MODES[mode]))
        await anyio.wait_all_tasks_blocked()
        here.gates["wait"].open()
        answers = [await first.wait(), await attached.wait()]
    if mode == "B":
        assert answers[0].json["id"] == answers[1].json["id"]
    else:
        assert answers[0].body == answers[1].body
    assert there.contexts == []
    assert (await there.post(KEY, input="hi", **MODES[mode])).status == 200
    assert there.contexts == []


@pytest.mark.parametrize("mode", STORED_SOME)
async def test_before_it_was_created_another_server_says_when_to_ask_again(mode: str) -> None:
    """It cannot know whether there will be a response."""
    here = Stage("wait created in_progress message completed")
    there = Stage(store=here.store)
    async with anyio.create_task_group() as tasks:
        first = begin(tasks, partial(here.post, KEY, **MODES[mode]))
        await here.gates["wait"].arrived.wait()
        refused = await there.post(KEY, **MODES[mode])
        message = "A request with this Idempotency-Key is being answered. Retry later."
        check_error(refused, 409, "idempotency_key_in_use", message, "Idempotency-Key")
        assert refused.headers["retry-after"] == "1"
        here.gates["wait"].open()
        assert (await first.wait()).status == 200
    assert (await there.post(KEY, **MODES[mode])).status == 200
    assert there.contexts == []


async def test_of_many_at_once_one_is_made() -> None:
    """Wherever they come in; the others attach, or are told to ask again."""
    stages = [Stage()]
    stages += [Stage(store=stages[0].store) for _ in range(3)]
    async with anyio.create_task_group() as tasks:
        asked = [begin(tasks, partial(stage.post, KEY, input="hi")) for stage in stages * 3]
        answers = [await one.wait() for one in asked]
    made = {answer.json["id"] for answer in answers if answer.status == 200}
    assert len(made) == sum(len(stage.contexts) for stage in stages) == 1
    assert {answer.error["code"] for answer in answers if answer.status != 200} <= {"idempotency_key_in_use"}
