"""What a turn knows of the turns before it: chains, branches and conversations, and what ends them (section 11)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from responses_stream import CreateResponse, ResponseContext, ResponsesServerOptions
from responses_stream.builders.events import AsyncYield
from responses_stream.protocol.codec import to_builtins

from .staging import Stage, begin, check_error, check_stream, id_of

pytestmark = pytest.mark.anyio

ID = id_of("a")


async def turn(stage: Stage, text: object, **more: Any) -> str:
    """Take a turn, and return the id of its response."""
    answer = await stage.post(input=text, **more)
    assert answer.status == 200, answer.body
    response_id: str = answer.json["id"]
    return response_id


async def history(stage: Stage) -> list[str]:
    """Return the texts of what the last handler could know of the turns before, with their roles in short."""
    items = [to_builtins(item) for item in await stage.contexts[-1].get_history()]
    return [f"{item['role'][0]}:{item['content'][0]['text']}" for item in items]


async def test_without_a_previous_turn_there_is_no_history() -> None:
    """H8.24, H11.22: and no call to the store."""
    stage = Stage()
    await turn(stage, "one")
    assert await history(stage) == []
    assert "history" not in stage.store.calls


async def test_a_chain_is_known_in_its_order() -> None:
    """H11.2, W35, decision 25: previous input, previous output, and so on, oldest first; its own input is not in it."""
    stage = Stage()
    first = await turn(stage, "one")
    second = await turn(stage, "two", previous_response_id=first)
    assert await history(stage) == ["u:one", "a:Hello"]
    await turn(stage, "three", previous_response_id=second)
    assert await history(stage) == ["u:one", "a:Hello", "u:two", "a:Hello"]
    assert stage.store.calls.count("history") == 2, "once for each turn, and before its handler (H11.20)"


@pytest.mark.parametrize("mode", [{}, {"stream": True}, {"background": True}, {"store": False}])
async def test_every_mode_knows_it(mode: dict[str, Any]) -> None:
    """H11.13: also what is not stored itself."""
    stage = Stage()
    first = await turn(stage, "one")
    answer = await stage.post(input="two", previous_response_id=first, **mode)
    assert answer.status == 200
    assert await history(stage) == ["u:one", "a:Hello"]


async def test_branches_do_not_see_each_other() -> None:
    """H11.2: a previous response is a snapshot."""
    stage = Stage()
    root = await turn(stage, "root")
    left = await turn(stage, "left", previous_response_id=root)
    right = await turn(stage, "right", previous_response_id=root)
    await turn(stage, "x", previous_response_id=left)
    assert await history(stage) == ["u:root", "a:Hello", "u:left", "a:Hello"]
    await turn(stage, "y", previous_response_id=right)
    assert await history(stage) == ["u:root", "a:Hello", "u:right", "a:Hello"]


async def test_a_conversation_is_known_in_the_order_of_its_turns() -> None:
    """H11.3, H9.24: whichever form names it; an unknown one is empty (H8.22)."""
    stage = Stage()
    await turn(stage, "one", conversation="conv")
    assert await history(stage) == []
    await turn(stage, "two", conversation={"id": "conv"})
    assert await history(stage) == ["u:one", "a:Hello"]
    await turn(stage, "apart", conversation="another")
    assert await history(stage) == []
    await turn(stage, "three", conversation="conv")
    assert await history(stage) == ["u:one", "a:Hello", "u:two", "a:Hello"]


async def test_a_turn_of_a_conversation_can_be_continued_by_its_id() -> None:
    """H11.7: then only what it continues itself is known."""
    stage = Stage()
    await turn(stage, "one", conversation="conv")
    second = await turn(stage, "two", conversation="conv")
    await turn(stage, "three", previous_response_id=second)
    assert await history(stage) == ["u:two", "a:Hello"]


async def test_a_turn_that_was_not_stored_is_in_no_conversation() -> None:
    """H11.8, H8.16m."""
    stage = Stage()
    await turn(stage, "one", conversation="conv", store=False)
    await turn(stage, "two", conversation="conv")
    assert await history(stage) == []


async def test_a_turn_in_flight_is_in_its_conversation_with_its_input() -> None:
    """H11.9."""
    stage = Stage("created in_progress message wait completed")
    await turn(stage, "one", conversation="conv", background=True)
    await stage.gates["wait"].arrived.wait()
    stage.scenes = "created completed"
    await turn(stage, "two", conversation="conv")
    assert await history(stage) == ["u:one"]
    stage.gates["wait"].open()
    await anyio.wait_all_tasks_blocked()
    await turn(stage, "three", conversation="conv")
    assert await history(stage) == ["u:one", "a:Hello", "u:two"]


async def test_a_turn_in_flight_can_be_continued() -> None:
    """H11.9: what it has not said yet is not known, and its continuation is not held up."""
    stage = Stage("created in_progress message wait completed")
    first = await turn(stage, "one", background=True)
    await stage.gates["wait"].arrived.wait()
    stage.scenes = "created in_progress message completed"
    second = await turn(stage, "two", previous_response_id=first)
    assert await history(stage) == ["u:one"]
    stage.gates["wait"].open()
    await anyio.wait_all_tasks_blocked()
    await turn(stage, "three", previous_response_id=second)
    assert await history(stage) == ["u:one", "a:Hello", "u:two", "a:Hello"]


@pytest.mark.parametrize("end", ["failed", "incomplete", "raise"])
async def test_a_turn_that_went_wrong_leaves_what_was_done(end: str) -> None:
    """Decision 10, H11.19."""
    stage = Stage(f"created in_progress message {end}")
    first = (await stage.post(input="one")).json["id"]
    stage.scenes = "created completed"
    await turn(stage, "two", previous_response_id=first)
    assert await history(stage) == ["u:one", "a:Hello"]


async def test_of_a_cancelled_turn_only_the_input_is_known() -> None:
    """H4.8, decision 10."""
    stage = Stage("created in_progress message signal return")
    first = await turn(stage, "one", background=True)
    await stage.cancel(first)
    stage.scenes = "created completed"
    await turn(stage, "two", previous_response_id=first)
    assert await history(stage) == ["u:one"]


@pytest.mark.parametrize("limit", [1, 3, 4, 100])
async def test_of_a_long_history_the_newest_is_known(limit: int) -> None:
    """Decision 25, H20.12 against H11.5."""
    stage = Stage(options=ResponsesServerOptions(default_fetch_history_count=limit))
    previous: dict[str, str] = {}
    known: list[str] = []
    for number in range(4):
        previous = {"previous_response_id": await turn(stage, str(number), **previous)}
        assert await history(stage) == known[-limit:]
        known += [f"u:{number}", "a:Hello"]


async def test_by_default_a_hundred_items_are_known_and_all_on_request() -> None:
    """Decision 25, H14.3."""
    for count, known in ((100, 100), (-1, 131)):
        stage = Stage(options=ResponsesServerOptions(default_fetch_history_count=count))
        assert ResponsesServerOptions().default_fetch_history_count == 100
        first = await turn(stage, [{"role": "user", "content": str(number)} for number in range(130)])
        await turn(stage, "next", previous_response_id=first)
        found = await history(stage)
        assert len(found) == known
        assert found[-2:] == ["u:129", "a:Hello"]


async def test_each_caller_gets_a_list_of_its_own() -> None:
    """H11.21."""
    stage = Stage()
    first = await turn(stage, "one")
    await turn(stage, "two", previous_response_id=first)
    context = stage.contexts[-1]
    (await context.get_history()).clear()
    (await context.get_input_items()).clear()
    assert len(await context.get_history()) == 2
    assert len(await context.get_input_items()) == 1


# What cannot be continued


def not_found(previous: str) -> tuple[int, str, str, str]:
    message = f"Previous response with id '{previous}' not found."
    return 404, "previous_response_not_found", message, "previous_response_id"


@pytest.mark.parametrize("mode", [{}, {"stream": True}, {"background": True}, {"store": False}])
async def test_what_is_not_there_cannot_be_continued(mode: dict[str, Any]) -> None:
    """Decision 21 against H8.14, H8.21 and H11.6: 404 before the handler runs, also where it is malformed."""
    stage = Stage()
    for previous in (ID, "resp_short", "nonsense", "conv_1", "resp_" + "!" * 50, "x" * 5000, "é", " "):
        check_error(await stage.post(previous_response_id=previous, response_id=ID, **mode), *not_found(previous))
    assert stage.contexts == []
    assert "create" not in stage.store.calls


@pytest.mark.parametrize("previous", ["", None])
async def test_an_empty_one_names_nothing(previous: str | None) -> None:
    """H8.16k."""
    stage = Stage()
    await turn(stage, "one", previous_response_id=previous)
    assert await history(stage) == []


async def test_what_was_not_stored_cannot_be_continued() -> None:
    """H11.8."""
    stage = Stage()
    first = await turn(stage, "one", store=False)
    check_error(await stage.post(previous_response_id=first), *not_found(first))


async def test_what_was_refused_can_be_asked_for_again_with_the_same_key() -> None:
    """Decision 22: nothing was created, so the claim is free."""
    stage = Stage()
    key = {"idempotency-key": "k"}
    assert (await stage.post(key, previous_response_id=ID)).status == 404
    assert (await stage.post(key, input="hi")).status == 200


async def test_a_previous_response_and_a_conversation_do_not_go_together() -> None:
    """Decision 21 against H8.16j and H11.4; whether or not there is such a response."""
    stage = Stage()
    message = "previous_response_id and conversation cannot be given together."
    for conversation in ("conv", {"id": "conv"}):
        answer = await stage.post(previous_response_id=ID, conversation=conversation)
        check_error(answer, 400, "invalid_request", message, "conversation")
    assert (await stage.post(previous_response_id="", conversation="conv")).status == 200
    assert len(stage.contexts) == 1


async def test_a_deleted_turn_ends_what_may_continue_it_and_not_what_has() -> None:
    """H11.12: in the middle of a chain."""
    stage = Stage()
    first = await turn(stage, "one")
    second = await turn(stage, "two", previous_response_id=first)
    third = await turn(stage, "three", previous_response_id=second)
    assert (await stage.delete(second)).status == 200
    check_error(await stage.post(previous_response_id=second), *not_found(second))
    await turn(stage, "four", previous_response_id=third)
    assert await history(stage) == ["u:one", "a:Hello", "u:two", "a:Hello", "u:three", "a:Hello"]


async def test_a_deleted_turn_is_no_more_in_its_conversation() -> None:
    """H11.3, H11.12."""
    stage = Stage()
    await turn(stage, "one", conversation="conv")
    second = await turn(stage, "two", conversation="conv")
    await stage.delete(second)
    await turn(stage, "three", conversation="conv")
    assert await history(stage) == ["u:one", "a:Hello"]


async def test_a_turn_that_is_deleted_while_its_continuation_runs() -> None:
    """H11.20: its history was fetched before the handler began."""
    stage = Stage()
    first = await turn(stage, "one")
    stage.scenes = "wait created in_progress message completed"
    async with anyio.create_task_group() as tasks:
        asked = begin(tasks, lambda: stage.post(input="two", previous_response_id=first, stream=True))
        await stage.gates["wait"].arrived.wait()
        assert (await stage.delete(first)).status == 200
        stage.gates["wait"].open()
        check_stream(await asked.wait())
    assert await history(stage) == ["u:one", "a:Hello"]


# What a handler asks for


async def test_references_are_resolved_in_place() -> None:
    """H11.15, H11.16: in one lookup, and not where the handler does not want it."""
    stage = Stage()
    first = await turn(stage, "one")
    item = (await stage.input_items(first)).json["data"][0]["id"]
    references = [{"type": "item_reference", "id": item}, {"role": "user", "content": "two"}, {"id": "msg_unknown"}]
    await turn(stage, references)
    context = stage.contexts[-1]
    assert await context.get_input_text() == "one\ntwo"
    assert [one.type for one in await context.get_input_items(resolve_references=False)] == [
        "item_reference",
        "message",
        "item_reference",
    ]
    assert stage.store.calls.count("items") == 1, "shared with what was stored (H11.21)"


async def test_a_failed_lookup_is_not_kept() -> None:
    """H11.21."""
    stage = Stage()
    seen: list[object] = []

    async def handler(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
        try:
            await context.get_input_items()
        except Exception as error:
            seen.append(type(error).__name__)
        stage.store.broken.clear()
        seen.append(len(await context.get_input_items()))
        yield context.stream().emit_created()

    stage.server.response_handler(handler)
    stage.store.broken.add("items")
    await stage.post(input=[{"type": "item_reference", "id": "msg_1"}])
    assert seen == ["StoreTrouble", 0]
