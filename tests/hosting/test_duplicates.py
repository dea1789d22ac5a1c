"""A response id that is taken: refused in every mode, and the one that has it does not notice (H8.25 to H8.27)."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from .asking import Answer
from .staging import Stage, begin, check_not_found, check_stream, id_of

pytestmark = pytest.mark.anyio

ID = id_of("a")
MODES: dict[str, dict[str, Any]] = {
    "S": {},
    "SS": {"stream": True},
    "B": {"background": True},
    "BS": {"background": True, "stream": True},
    "E": {"store": False},
    "ES": {"store": False, "stream": True},
}
STORED = ["S", "SS", "B", "BS"]
SOME = ["S", "BS", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("SS", "B", "E", "ES"))]


def check_conflict(answer: Answer) -> None:
    """H8.26."""
    assert answer.status == 409, answer.body
    error = answer.error
    assert (error["code"], error["type"], error["param"]) == ("response_id_conflict", "conflict", "response_id")
    assert error["message"] == "A response with this id exists already."
    assert answer.headers["x-platform-error-source"] == "user"


@pytest.mark.parametrize("first", STORED)
async def test_what_was_stored_keeps_its_id(first: str) -> None:
    """H8.25, decision 22: a finished response is neither overwritten nor hidden, whatever its mode."""
    stage = Stage()
    await stage.post(response_id=ID, metadata={"turn": "one"}, **MODES[first])
    await anyio.wait_all_tasks_blocked()
    for second in MODES.values():
        check_conflict(await stage.post(response_id=ID, metadata={"turn": "two"}, **second))
    assert len(stage.contexts) == 1
    assert (await stage.get(ID)).json["metadata"] == {"turn": "one"}


@pytest.mark.parametrize("first", SOME)
@pytest.mark.parametrize("begun", [False, True])
async def test_what_runs_keeps_its_id(first: str, begun: bool) -> None:
    """H8.26, H20.14: also before its first event, and where nothing is stored; the first is not disturbed."""
    stage = Stage("created wait completed" if begun else "wait created completed")
    async with anyio.create_task_group() as tasks:
        asked = begin(tasks, lambda: stage.post(response_id=ID, **MODES[first]))
        await stage.gates["wait"].arrived.wait()
        for mode in MODES.values():
            check_conflict(await stage.post(response_id=ID, **mode))
        assert len(stage.contexts) == 1
        assert not stage.contexts[0].cancellation.is_set()
        stage.gates["wait"].open()
        assert (await asked.wait()).status == 200
    await anyio.wait_all_tasks_blocked()
    if first in STORED:
        assert (await stage.get(ID)).json["status"] == "completed"
    else:
        assert (await stage.post(response_id=ID)).status == 200


@pytest.mark.parametrize("mode", STORED)
async def test_of_many_at_once_one_is_made(mode: str) -> None:
    """H8.26: there is no moment between looking and taking."""
    stage = Stage()
    async with anyio.create_task_group() as tasks:
        asked = [begin(tasks, lambda: stage.post(response_id=ID, **MODES[mode])) for _ in range(8)]
        answers = [await one.wait() for one in asked]
    assert sorted(answer.status for answer in answers) == [200, *[409] * 7]
    for answer in answers:
        if answer.status == 409:
            check_conflict(answer)
    assert len(stage.contexts) == stage.store.calls.count("create") == 1


@pytest.mark.parametrize("mode", STORED)
async def test_two_servers_on_one_store_make_one(mode: str) -> None:
    """H20.37: where both handlers began, the store decides; the loser is told 409, or that its stream failed so."""
    one = Stage("wait created in_progress message completed")
    two = Stage("wait created in_progress message completed", store=one.store)
    async with anyio.create_task_group() as tasks:
        asked = [begin(tasks, partial(stage.post, response_id=ID, **MODES[mode])) for stage in (one, two)]
        await one.gates["wait"].arrived.wait()
        await two.gates["wait"].arrived.wait()
        one.gates["wait"].open()
        first = await asked[0].wait()
        await anyio.wait_all_tasks_blocked()
        two.gates["wait"].open()
        second = await asked[1].wait()
    await anyio.wait_all_tasks_blocked()
    assert first.status == 200
    check_conflict(second)
    assert (await one.get(ID)).body == (await two.get(ID)).body
    if MODES[mode].get("stream"):
        check_stream(first)


async def test_a_deleted_id_is_free() -> None:
    """H12.12."""
    stage = Stage()
    await stage.post(response_id=ID)
    await stage.delete(ID)
    assert (await stage.post(response_id=ID)).status == 200


@pytest.mark.parametrize("mode", ["S", "SS", "E", "ES", "BS"])
async def test_an_id_whose_handler_failed_before_it_was_created_is_free(mode: str) -> None:
    """Decision 12: nothing was stored; a B response was (its failure), and keeps its id."""
    stage = Stage("raise")
    await stage.post(response_id=ID, **MODES[mode])
    await anyio.wait_all_tasks_blocked()
    check_not_found(await stage.get(ID), ID)
    stage.scenes = "created completed"
    assert (await stage.post(response_id=ID, **MODES[mode])).status == 200


async def test_a_failed_background_response_keeps_its_id() -> None:
    """Decision 12."""
    stage = Stage("raise")
    assert (await stage.post(response_id=ID, background=True)).json["status"] == "failed"
    check_conflict(await stage.post(response_id=ID, background=True))


async def test_the_header_counts_like_the_body() -> None:
    """H9.1, H9.16."""
    stage = Stage()
    await stage.post({"x-agent-response-id": ID})
    check_conflict(await stage.post({"x-agent-response-id": f" {ID} "}, response_id=id_of("b")))
    check_conflict(await stage.post(response_id=ID))


async def test_ids_are_of_their_partition() -> None:
    """H8.27."""
    stage = Stage()
    for user in ("ada", "bob"):
        assert (await stage.post({"x-agent-user-id": user}, response_id=ID)).status == 200
        check_conflict(await stage.post({"x-agent-user-id": user}, response_id=ID))
