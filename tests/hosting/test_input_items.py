"""`GET /responses/{id}/input_items`: what a response was given, page by page, with what it continues (section 7)."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from responses_stream.protocol.ids import partition_of

from .staging import Stage, begin, check_bad_parameter, check_error, check_not_found, id_of

pytestmark = pytest.mark.anyio

ID = id_of("a")


def texts_of(items: list[dict[str, Any]]) -> list[str]:
    return [item["content"][0]["text"] for item in items]


def messages(count: int) -> list[dict[str, Any]]:
    return [{"role": "user", "content": str(number)} for number in range(count)]


async def given(stage: Stage, items: object, **more: Any) -> str:
    answer = await stage.post(input=items, **more)
    assert answer.status == 200, answer.body
    response_id: str = answer.json["id"]
    return response_id


async def data_of(stage: Stage, response_id: str, query: str = "order=asc&limit=100") -> list[dict[str, Any]]:
    answer = await stage.input_items(response_id, query)
    assert answer.status == 200, answer.body
    data: list[dict[str, Any]] = answer.json["data"]
    return data


async def test_a_page_says_where_it_begins_and_ends() -> None:
    """H7.1, H7.2, H7.3: newest first, 20 at once."""
    stage = Stage()
    response_id = await given(stage, messages(25))
    page = (await stage.input_items(response_id)).json
    assert set(page) == {"object", "data", "first_id", "last_id", "has_more"}
    assert page["object"] == "list"
    assert texts_of(page["data"]) == [str(number) for number in range(24, 4, -1)]
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
    assert page["has_more"] is True


@pytest.mark.parametrize("nothing", [{}, {"input": []}, {"input": None}])
async def test_without_input_the_page_is_empty(nothing: dict[str, Any]) -> None:
    """H7.1, H8.16n, decision 20."""
    stage = Stage()
    response_id = (await stage.post(**nothing)).json["id"]
    page = (await stage.input_items(response_id)).json
    assert page == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


async def test_a_limit_has_to_be_a_whole_number() -> None:
    """H7.2."""
    stage = Stage()
    response_id = await given(stage, "hi")
    for value in ("", "x", "5.0", "1e1", "0x5", "None", "1_0"):
        answer = await stage.input_items(response_id, f"limit={value}")
        check_bad_parameter(answer, "limit", "limit must be an integer between 1 and 100")


async def test_a_limit_has_a_range() -> None:
    """H7.2."""
    stage = Stage()
    response_id = await given(stage, "hi")
    for value in ("0", "-1", "101", "100000"):
        answer = await stage.input_items(response_id, f"limit={value}")
        check_bad_parameter(answer, "limit", "limit must be between 1 and 100")


async def test_the_forms_of_a_limit() -> None:
    """H7.2: normal integer rules, as for a cursor."""
    stage = Stage()
    response_id = await given(stage, messages(30))
    for value, count in {"1": 1, "100": 30, "%207": 7, "%2B7": 7, "07": 7}.items():
        assert len(await data_of(stage, response_id, f"limit={value}")) == count, value


async def test_the_forms_of_an_order() -> None:
    """H7.3."""
    stage = Stage()
    response_id = await given(stage, messages(3))
    forms = {"order=asc": "0", "order=ASC": "0", "order=desc": "2", "order=Desc": "2", "order=": "2", "": "2"}
    for query, first in forms.items():
        assert texts_of(await data_of(stage, response_id, query))[0] == first, query


async def test_an_order_has_two_values() -> None:
    """H7.3."""
    stage = Stage()
    response_id = await given(stage, "hi")
    for value in ("up", "ascending", "asc,desc", "0"):
        answer = await stage.input_items(response_id, f"order={value}")
        check_bad_parameter(answer, "order", "order must be 'asc' or 'desc'")


async def test_what_is_checked_first() -> None:
    """H7.11: the id, the limit, the order, and only then what is there."""
    stage = Stage()
    malformed = await stage.input_items("x", "limit=0&order=up")
    check_error(malformed, 400, "invalid_parameters", "Malformed identifier.", "responseId{x}")
    assert (await stage.input_items(ID, "limit=0&order=up")).error["param"] == "limit"
    assert (await stage.input_items(ID, "order=up")).error["param"] == "order"
    check_not_found(await stage.input_items(ID), ID)
    assert stage.store.calls == ["input_items"]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("count", [130, 250])
async def test_every_item_is_reached_page_by_page(order: str, count: int) -> None:
    """Decision 26, H20.11 against H7.10: there is no ceiling but the limit of a page."""
    stage = Stage()
    response_id = await given(stage, messages(count))
    seen: list[str] = []
    cursor, has_more = "", True
    while has_more:
        page = (await stage.input_items(response_id, f"order={order}&limit=100{cursor}")).json
        seen += texts_of(page["data"])
        has_more = page["has_more"]
        cursor = f"&after={page['last_id']}"
        assert len(page["data"]) == (100 if has_more else count % 100)
    wanted = [str(number) for number in range(count)]
    assert seen == (wanted if order == "asc" else wanted[::-1])


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_cursors_are_exclusive_and_mean_the_order_asked_for(order: str) -> None:
    """H7.4."""
    stage = Stage()
    response_id = await given(stage, messages(10))
    listed = await data_of(stage, response_id, f"order={order}")
    ids, texts = [item["id"] for item in listed], texts_of(listed)

    async def page(query: str) -> tuple[list[str], bool]:
        answer = (await stage.input_items(response_id, f"order={order}&{query}")).json
        return texts_of(answer["data"]), answer["has_more"]

    assert await page(f"after={ids[3]}") == (texts[4:], False)
    assert await page(f"before={ids[3]}") == (texts[:3], False)
    assert await page(f"after={ids[2]}&before={ids[6]}") == (texts[3:6], False)
    assert await page(f"after={ids[2]}&limit=2") == (texts[3:5], True)
    assert await page(f"before={ids[6]}&limit=2") == (texts[:2], True)
    assert await page(f"after={ids[9]}") == ([], False)
    assert await page(f"before={ids[0]}") == ([], False)
    assert await page(f"after={ids[6]}&before={ids[2]}") == ([], False)
    assert await page("after=msg_unknown") == (texts, False)
    assert await page("before=msg_unknown&after=") == (texts, False)


async def test_what_it_continues_comes_first() -> None:
    """H7.5, W35: earlier inputs and outputs, then its own."""
    stage = Stage()
    first = await given(stage, ["one"] and messages(2))
    second = await given(stage, "three", previous_response_id=first)
    third = await given(stage, "four", previous_response_id=second)
    data = await data_of(stage, third)
    assert texts_of(data) == ["0", "1", "Hello", "three", "Hello", "four"]
    assert [item["role"] for item in data] == ["user", "user", "assistant", "user", "assistant", "user"]
    assert texts_of(await data_of(stage, third, "limit=2")) == ["four", "Hello"]
    assert texts_of(await data_of(stage, second)) == ["0", "1", "Hello", "three"]
    assert texts_of(await data_of(stage, first)) == ["0", "1"]


async def test_of_a_conversation_only_its_own_are_listed() -> None:
    """H7.6."""
    stage = Stage()
    for text in ("one", "two"):
        response_id = await given(stage, text, conversation="conv_1")
    assert texts_of(await data_of(stage, response_id)) == ["two"]
    assert len(await stage.contexts[-1].get_history()) == 2


async def test_items_are_kept_as_a_server_says_them() -> None:
    """H7.7, H11.14: ids of the response's partition, messages completed, strings as parts."""
    stage = Stage()
    items = [
        {"role": "user", "content": "hi", "id": "mine"},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "there"}]},
        {"type": "message", "role": "assistant", "content": "said before"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "status": "in_progress"},
        {"type": "function_call_output", "call_id": "c1", "output": "42"},
    ]
    response_id = await given(stage, items)
    data = await data_of(stage, response_id)
    assert [item["type"] for item in data] == [*["message"] * 3, "function_call", "function_call_output"]
    assert {item["status"] for item in data} == {"completed"}
    assert len({item["id"] for item in data}) == 5
    assert "mine" not in {item["id"] for item in data}
    assert {partition_of(item["id"]) for item in data} == {partition_of(response_id)}
    assert [item["id"].partition("_")[0] for item in data][:4] == ["msg", "msg", "msg", "fc"]
    assert data[0]["content"][0]["type"] == "input_text"
    assert data[2]["content"][0]["type"] == "output_text"
    assert data[4]["output"] == "42"


@pytest.mark.parametrize("text", ["hello", ""])
async def test_a_string_is_a_message_of_the_user(text: str) -> None:
    """H7.7, H8.16o."""
    stage = Stage()
    [item] = await data_of(stage, await given(stage, text))
    assert (item["type"], item["role"], item["status"]) == ("message", "user", "completed")
    [part] = item["content"]
    assert (part["type"], part["text"]) == ("input_text", text)


async def test_the_ids_stay_what_they_are() -> None:
    """H7.4 needs that: the cursors of one page are good for the next."""
    stage = Stage()
    response_id = await given(stage, messages(3))
    assert await data_of(stage, response_id) == await data_of(stage, response_id)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "acme:thing", "payload": {"deep": [1, None, {"é": "ü"}]}},
        {"type": "from_the_future", "id": "ff_1", "text": "x"},
        {"type": "local_shell_call_output", "id": "lsh_1", "output": "out"},
        {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
        {"type": "shell_call_output", "call_id": "c", "output": []},
    ],
)
async def test_what_nobody_has_heard_of_is_kept(item: dict[str, Any]) -> None:
    """Decision 20, against H11.18 and H8.16e: nothing is dropped because it is not known, here or in the history."""
    stage = Stage()
    response_id = await given(stage, [item])
    [kept] = await data_of(stage, response_id)
    assert {name: value for name, value in kept.items() if name in item and name not in ("id", "status")} == {
        name: value for name, value in item.items() if name != "id"
    }
    assert partition_of(kept["id"]) == partition_of(response_id)
    second = await given(stage, "next", previous_response_id=response_id)
    assert [one["type"] for one in await data_of(stage, second)] == [item["type"], "message", "message"]


async def test_references_are_stored_as_what_they_name() -> None:
    """H11.15: in place, with a new id; one that names nothing leaves nothing."""
    stage = Stage()
    first = await given(stage, messages(2))
    said = (await stage.get(first)).json["output"][0]["id"]
    old = await data_of(stage, first)
    references = [
        {"type": "item_reference", "id": said},
        {"role": "user", "content": "between"},
        {"type": "item_reference", "id": "msg_unknown"},
        {"id": old[0]["id"]},
    ]
    second = await given(stage, references)
    data = await data_of(stage, second)
    assert texts_of(data) == ["Hello", "between", "0"]
    assert [item["role"] for item in data] == ["assistant", "user", "user"]
    assert not {item["id"] for item in data} & {said, old[0]["id"]}


@pytest.mark.parametrize("mode", [{}, {"stream": True}, {"background": True}, {"background": True, "stream": True}])
async def test_in_flight_they_are_there_already(mode: dict[str, Any]) -> None:
    """H7.8, H2.17 to H2.19: from `response.created` on, and not before."""
    stage = Stage("before created wait completed")
    async with anyio.create_task_group() as tasks:
        asked = begin(tasks, lambda: stage.post(response_id=ID, input=messages(2), **mode))
        await stage.gates["before"].arrived.wait()
        check_not_found(await stage.input_items(ID), ID)
        stage.gates["before"].open()
        await stage.gates["wait"].arrived.wait()
        assert texts_of(await data_of(stage, ID)) == ["0", "1"]
        stage.gates["wait"].open()
        await asked.wait()
    assert texts_of(await data_of(stage, ID)) == ["0", "1"]


@pytest.mark.parametrize("mode", [{"store": False}, {"store": False, "stream": True}])
async def test_what_was_not_stored_has_none(mode: dict[str, Any]) -> None:
    """H7.9, H2.20."""
    stage = Stage()
    await stage.post(response_id=ID, input="hi", **mode)
    check_not_found(await stage.input_items(ID), ID)


async def test_instructions_are_no_input() -> None:
    """H11.10."""
    stage = Stage()
    first = await given(stage, "hi", instructions="be brief")
    second = await given(stage, "next", previous_response_id=first)
    assert texts_of(await data_of(stage, second)) == ["hi", "Hello", "next"]
