"""`DELETE /responses/{id}`: what may be deleted, that nothing is left, and what goes on without it (section 6)."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from responses_stream import HttpReply
from responses_stream.hosting.http import CutShort

from .asking import answer_of, ask, request_for
from .staging import Stage, begin, check_bad_parameter, check_error, check_not_found, check_stream, id_of

pytestmark = pytest.mark.anyio

ID = id_of("a")
STORED: list[dict[str, Any]] = [{}, {"stream": True}, {"background": True}, {"background": True, "stream": True}]
EPHEMERAL: list[dict[str, Any]] = [{"store": False}, {"store": False, "stream": True}]
IN_FLIGHT = "Cannot delete an in-flight response."


async def check_gone(stage: Stage, response_id: str = ID) -> None:
    """H6.4: every verb says so, in the same words."""
    for answer in (
        await stage.get(response_id),
        await stage.replay(response_id),
        await stage.replay(response_id, "&starting_after=1"),
        await stage.input_items(response_id),
        await stage.cancel(response_id),
        await stage.delete(response_id),
    ):
        check_not_found(answer, response_id)


@pytest.mark.parametrize("mode", STORED)
async def test_what_has_ended_is_deleted_and_gone(mode: dict[str, Any]) -> None:
    """H6.1, H6.4: any status, any mode."""
    stage = Stage()
    for end in ("completed", "failed", "incomplete", "raise"):
        stage.scenes = f"created in_progress message {end}"
        await stage.post(response_id=ID, input="hi", **mode)
        await anyio.wait_all_tasks_blocked()
        answer = await stage.delete(ID)
        assert answer.status == 200
        assert answer.json == {"id": ID, "object": "response", "deleted": True}
        assert "x-platform-error-source" not in answer.headers
        await check_gone(stage)


async def test_a_cancelled_response_is_deleted_like_any_other() -> None:
    """H6.1."""
    stage = Stage("created signal return")
    await stage.post(response_id=ID, background=True)
    await stage.cancel(ID)
    assert (await stage.delete(ID)).status == 200
    await check_gone(stage)


@pytest.mark.parametrize("mode", STORED + EPHEMERAL)
async def test_what_runs_cannot_be_deleted(mode: dict[str, Any]) -> None:
    """H6.2, H2.17, H2.18, H2.20: a background response is in flight, any other is not there; both go on."""
    stage = Stage("created in_progress wait message completed")
    async with anyio.create_task_group() as tasks:
        asked = begin(tasks, lambda: stage.post(response_id=ID, **mode))
        await stage.gates["wait"].arrived.wait()
        answer = await stage.delete(ID)
        if mode.get("background"):
            check_bad_parameter(answer, "response_id", IN_FLIGHT)
        else:
            check_not_found(answer, ID)
        assert not stage.contexts[0].cancellation.is_set()
        stage.gates["wait"].open()
        assert (await asked.wait()).status == 200
    await anyio.wait_all_tasks_blocked()
    if mode.get("store", True):
        assert (await stage.get(ID)).json["status"] == "completed"
        assert (await stage.delete(ID)).status == 200
    await check_gone(stage)


@pytest.mark.parametrize("mode", STORED)
async def test_before_its_first_event(mode: dict[str, Any]) -> None:
    """H2.18a, H2.19a: only a B response can be told to be in flight."""
    stage = Stage("wait created completed")
    async with anyio.create_task_group() as tasks:
        asked = begin(tasks, lambda: stage.post(response_id=ID, **mode))
        await stage.gates["wait"].arrived.wait()
        answer = await stage.delete(ID)
        if mode == {"background": True}:
            check_bad_parameter(answer, "response_id", IN_FLIGHT)
        else:
            check_not_found(answer, ID)
        stage.gates["wait"].open()
        await asked.wait()


async def test_unknown_and_malformed_ids() -> None:
    """H6.3, H8.20."""
    stage = Stage()
    check_not_found(await stage.delete(ID), ID)
    check_error(await stage.delete("a"), 400, "invalid_parameters", "Malformed identifier.", "responseId{a}")


async def test_of_several_deletes_at_once_one_is_the_first() -> None:
    """H6.4, H6.5."""
    stage = Stage()
    await stage.post(response_id=ID)
    async with anyio.create_task_group() as tasks:
        asked = [begin(tasks, lambda: stage.delete(ID)) for _ in range(5)]
        answers = [await one.wait() for one in asked]
    assert sorted(answer.status for answer in answers) == [200, 404, 404, 404, 404]


async def test_a_delete_that_races_the_end_says_one_or_the_other() -> None:
    """H6.5, H6.8: while the end is being written the response is in flight; after it, nothing is in the way."""
    stage = Stage()
    gate = stage.store.gates["ending"] = stage.gates["ending"]
    await stage.post(response_id=ID, background=True)
    await gate.arrived.wait()
    check_bad_parameter(await stage.delete(ID), "response_id", IN_FLIGHT)
    gate.open()
    await anyio.wait_all_tasks_blocked()
    assert (await stage.delete(ID)).status == 200
    await check_gone(stage)


async def test_the_id_is_free_again() -> None:
    """H12.12, H8.26."""
    stage = Stage()
    body = {"response_id": ID, "background": True, "stream": True}
    first = await ask(stage.server, {**body, "input": "one"})
    assert (await ask(stage.server, body)).status == 409
    await stage.delete(ID)
    second = await ask(stage.server, {**body, "metadata": {"turn": "two"}})
    check_stream(second)
    assert (await stage.replay(ID)).body == second.body != first.body
    assert (await stage.input_items(ID)).json["data"] == []


async def test_its_idempotency_key_is_free_again() -> None:
    """Decision 22: the key lasts as long as the response."""
    stage = Stage()
    key = {"idempotency-key": "k"}
    first = (await stage.post(key, input="one")).json["id"]
    assert (await stage.post(key, input="one")).json["id"] == first
    await stage.delete(first)
    second = (await stage.post(key, input="two")).json["id"]
    assert second != first


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_who_still_reads_a_deleted_response_is_cut_off(elsewhere: bool) -> None:
    """A reader that stood still while the response was cancelled and deleted gets no end that never was."""
    stage = Stage("created in_progress stubborn completed")
    asked = Stage(store=stage.store) if elsewhere else stage
    async with anyio.create_task_group() as tasks:
        live = await stage.stream(tasks, response_id=ID, background=True)
        await stage.gates["stubborn"].arrived.wait()
        follower = begin(tasks, lambda: asked.replay(ID))
        canceller = begin(tasks, lambda: stage.cancel(ID))
        await anyio.wait_all_tasks_blocked()
        assert (await asked.delete(ID)).status == 200
        stage.gates["stubborn"].open()
        assert (await canceller.wait()).json["status"] == "cancelled"
        for reader in (live, follower):
            with pytest.raises(CutShort):
                await reader.wait()
        await check_gone(stage)
        await check_gone(asked)


async def test_who_has_all_of_it_in_hand_reads_on() -> None:
    """Deleting a response that has ended takes nothing from whom it was sent to."""
    stage = Stage()
    reply: HttpReply = await stage.server.handle(request_for({"response_id": ID, "stream": True}))
    assert not isinstance(reply.body, bytes)
    await anyio.wait_all_tasks_blocked()
    assert (await stage.delete(ID)).status == 200
    check_stream(await answer_of(reply))


async def test_what_continues_it_keeps_its_items() -> None:
    """H6.7, H11.12: and it can be continued no more."""
    stage = Stage()
    first = (await stage.post(input="one")).json["id"]
    second = (await stage.post(input="two", previous_response_id=first)).json["id"]
    before = (await stage.input_items(second)).json
    assert len(before["data"]) == 3
    assert (await stage.delete(first)).status == 200
    assert (await stage.input_items(second)).json == before
    third = await stage.post(input="three", previous_response_id=second)
    assert third.status == 200
    assert len(await stage.contexts[-1].get_history()) == 4
    refused = await stage.post(input="again", previous_response_id=first)
    assert (refused.status, refused.error["code"]) == (404, "previous_response_not_found")


async def test_the_body_of_a_delete_is_ignored() -> None:
    """Section 6 knows of none."""
    stage = Stage()
    await stage.post(response_id=ID)
    answer = await ask(stage.server, b"{ no JSON", method="DELETE", path=f"/responses/{ID}/", query="a=b")
    assert answer.json["deleted"] is True
