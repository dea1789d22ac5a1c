"""`GET /responses/{id}`: the response as it is, while it is made and afterwards (section 5.1)."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from .staging import Stage, begin, check_bad_parameter, check_error, check_not_found, check_stream, id_of

pytestmark = pytest.mark.anyio

ID = id_of("a")
NOT_BACKGROUND = "This response cannot be streamed because it was not created with background=true."
NOT_STREAM = "This response cannot be streamed because it was not created with stream=true."
BS: dict[str, Any] = {"background": True, "stream": True, "response_id": ID}


@pytest.mark.parametrize("mode", [{}, {"stream": True}, {"background": True}, BS])
async def test_what_was_stored_is_what_was_told(mode: dict[str, Any]) -> None:
    """H5.1, H2.31: in each mode, GET shows the response of the terminal event, however it ended."""
    for end in ("completed", "failed", "incomplete", "raise"):
        stage = Stage(f"created in_progress message {end}")
        told = await stage.post(**{**mode, "response_id": ID})
        await anyio.wait_all_tasks_blocked()
        answer = await stage.get(ID)
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json["status"] == {"raise": "failed"}.get(end, end)
        if mode.get("stream"):
            assert answer.json == told.events[-1]["response"]
        elif not mode:
            assert answer.json == told.json


async def test_a_background_run_shows_its_progress() -> None:
    """H2.18, H2.22, decision 15 against H2.21: items appear as they are added, also where nothing streams."""
    for stream in (False, True):
        stage = Stage("created in_progress one message two completed")
        async with anyio.create_task_group() as tasks:
            asked = begin(tasks, lambda: stage.post(response_id=ID, background=True, stream=stream))  # noqa: B023
            await stage.gates["one"].arrived.wait()
            seen = (await stage.get(ID)).json
            assert (seen["status"], seen["output"]) == ("in_progress", [])
            stage.gates["one"].open()
            await stage.gates["two"].arrived.wait()
            await anyio.wait_all_tasks_blocked()
            seen = (await stage.get(ID)).json
            assert seen["status"] == "in_progress"
            assert [item["content"][0]["text"] for item in seen["output"]] == ["Hello"]
            stage.gates["two"].open()
            await asked.wait()
        await anyio.wait_all_tasks_blocked()
        assert (await stage.get(ID)).json["status"] == "completed"


async def test_another_server_on_the_same_store_sees_the_same_progress() -> None:
    """H20.37."""
    here = Stage("created in_progress message wait completed")
    there = Stage(store=here.store)
    await here.post(response_id=ID, background=True)
    await here.gates["wait"].arrived.wait()
    await anyio.wait_all_tasks_blocked()
    assert (await there.get(ID)).json == (await here.get(ID)).json
    here.gates["wait"].open()
    await anyio.wait_all_tasks_blocked()
    assert (await there.get(ID)).body == (await here.get(ID)).body


@pytest.mark.parametrize("mode", [{}, {"stream": True}, {"store": False}, {"store": False, "stream": True}])
async def test_a_foreground_run_is_not_there_yet(mode: dict[str, Any]) -> None:
    """H5.2, H2.17, H2.20, decision 16."""
    stage = Stage("created wait completed")
    async with anyio.create_task_group() as tasks:
        asked = begin(tasks, lambda: stage.post(response_id=ID, **mode))
        await stage.gates["wait"].arrived.wait()
        check_not_found(await stage.get(ID), ID)
        replayed = await stage.replay(ID)
        if mode.get("store", True):
            check_bad_parameter(replayed, "stream", NOT_BACKGROUND)
        else:
            check_not_found(replayed, ID)
        stage.gates["wait"].open()
        await asked.wait()
    assert (await stage.get(ID)).status == (200 if mode.get("store", True) else 404)


async def test_before_its_first_event_a_response_is_not_there() -> None:
    """H2.14, H2.18a, H2.19a."""
    for mode in ({}, {"stream": True}, {"background": True}, BS):
        stage = Stage("wait created completed")
        async with anyio.create_task_group() as tasks:
            asked = begin(tasks, lambda: stage.post(**{**mode, "response_id": ID}))  # noqa: B023
            await stage.gates["wait"].arrived.wait()
            check_not_found(await stage.get(ID), ID)
            replayed = await stage.replay(ID)
            if mode == {"background": True}:
                check_bad_parameter(replayed, "stream", NOT_STREAM)
            else:
                check_not_found(replayed, ID)
            stage.gates["wait"].open()
            await asked.wait()


async def test_other_parameters_are_ignored() -> None:
    """H5.4; without `stream` a cursor means nothing."""
    stage = Stage()
    await stage.post(response_id=ID)
    for query in ("include=x", "starting_after=x", "Stream=true", "stream=", "a&b=&=c", "%ff=%ff"):
        answer = await stage.get(ID, query)
        assert (answer.status, answer.json["status"]) == (200, "completed"), query


async def test_what_the_client_accepts_does_not_count() -> None:
    """H1.3, decision 23: the query decides alone."""
    stage = Stage()
    await stage.post(**BS)
    as_json = await stage.get(ID, headers={"accept": "text/event-stream"})
    assert as_json.headers["content-type"] == "application/json"
    check_stream(await stage.replay(ID, headers={"accept": "application/json"}))


@pytest.mark.parametrize("query", ["", "stream=true"])
async def test_unknown_and_malformed_ids(query: str) -> None:
    """H5.2, H5.14, H8.20."""
    stage = Stage()
    check_not_found(await stage.get(ID, query), ID)
    malformed = await stage.get("resp_short", query)
    check_error(malformed, 400, "invalid_parameters", "Malformed identifier.", "responseId{resp_short}")
