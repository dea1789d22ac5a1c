"""Whose a response is: what belongs to another reads, for every verb and by every path, as what never was (section 10).

Pains L1 to L4: one step authorises every verb, in the engine, and there is no call to the store without a partition.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from responses_stream import HttpRequest, ResponsesServer
from responses_stream.hosting.errors import HttpError
from responses_stream.hosting.identity import Identity

from .asking import Answer, ask
from .staging import Stage, begin, check_not_found, check_stream, id_of

pytestmark = pytest.mark.anyio

ID, UNKNOWN = id_of("a"), id_of("z")
USER, CHAT, ALIAS = "x-agent-user-isolation-key", "x-agent-chat-isolation-key", "x-agent-user-id"
MINE = {USER: "ada", CHAT: "c1"}
OTHERS: list[dict[str, str]] = [
    {},
    {USER: "ada"},
    {CHAT: "c1"},
    {USER: "bob", CHAT: "c1"},
    {USER: "ada", CHAT: "c2"},
    {USER: "ada", CHAT: ""},
    {USER: "", CHAT: "c1"},
    {USER: "c1", CHAT: "ada"},
    {USER: "ADA", CHAT: "c1"},
    {USER: '["ada","c1"]'},
]
MODES: list[dict[str, Any]] = [{}, {"stream": True}, {"background": True}, {"background": True, "stream": True}]

Verb = Callable[[Stage, str, dict[str, str]], Awaitable[Answer]]
VERBS: dict[str, Verb] = {
    "get": lambda stage, of, headers: stage.get(of, headers=headers),
    "replay": lambda stage, of, headers: stage.replay(of, headers=headers),
    "resume": lambda stage, of, headers: stage.replay(of, "&starting_after=1", headers),
    "cancel": lambda stage, of, headers: stage.cancel(of, headers),
    "delete": lambda stage, of, headers: stage.delete(of, headers),
    "input_items": lambda stage, of, headers: stage.input_items(of, headers=headers),
    "continue": lambda stage, of, headers: stage.post(headers, previous_response_id=of, input="more"),
}


async def traced(stage: Stage, verb: str, of: str, headers: dict[str, str]) -> tuple[Any, ...]:
    """Return all that a caller can see of an answer, with the id that was asked for as one word, and its path."""
    stage.store.calls.clear()
    answer = await VERBS[verb](stage, of, {**headers, "x-request-id": "r"})
    body = answer.body.replace(of.encode(), b"ID")
    shown = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return answer.status, body, shown, int(answer.headers["content-length"]), [*stage.store.calls]


@pytest.mark.parametrize("verb", VERBS)
async def test_what_belongs_to_another_is_like_what_never_was(verb: str) -> None:
    """Decision 24, H5.2, H10.2, H10.8, H10.10, pains L1: by status, body, headers, and by the calls to the store."""
    stage = Stage()
    await stage.post(MINE, response_id=ID, background=True, stream=True)
    for headers in OTHERS:
        foreign = await traced(stage, verb, ID, headers)
        unknown = await traced(stage, verb, UNKNOWN, headers)
        assert foreign == unknown, headers
        assert foreign[0] == 404
    assert len(stage.contexts) == 1, "no handler ran"
    assert (await stage.get(ID, headers=MINE)).status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_also_while_it_runs(mode: dict[str, Any]) -> None:
    """H10.2: the way of what is live is no other."""
    stage = Stage("created in_progress wait message completed")
    async with anyio.create_task_group() as tasks:
        asked = begin(tasks, lambda: stage.post(MINE, response_id=ID, **mode))
        await stage.gates["wait"].arrived.wait()
        await anyio.wait_all_tasks_blocked()
        for verb in VERBS:
            foreign = await traced(stage, verb, ID, {USER: "bob", CHAT: "c1"})
            assert foreign == await traced(stage, verb, UNKNOWN, {USER: "bob", CHAT: "c1"}), verb
            assert foreign[0] == 404
        assert not stage.contexts[0].cancellation.is_set()
        stage.gates["wait"].open()
        assert (await asked.wait()).status == 200
    await anyio.wait_all_tasks_blocked()
    assert (await stage.get(ID, headers=MINE)).json["status"] == "completed"


async def test_also_before_its_first_event() -> None:
    """H2.18a: only its owner is told that it is in flight."""
    stage = Stage("wait created completed")
    async with anyio.create_task_group() as tasks:
        asked = begin(tasks, lambda: stage.post(MINE, response_id=ID, background=True))
        await stage.gates["wait"].arrived.wait()
        for verb in VERBS:
            assert await traced(stage, verb, ID, {}) == await traced(stage, verb, UNKNOWN, {}), verb
        stage.gates["wait"].open()
        assert (await asked.wait()).status == 200


async def test_what_was_deleted_is_like_what_never_was() -> None:
    """H6.4: for its owner as well."""
    stage = Stage()
    await stage.post(MINE, response_id=ID, background=True, stream=True)
    await stage.delete(ID, MINE)
    for verb in VERBS:
        assert await traced(stage, verb, ID, MINE) == await traced(stage, verb, UNKNOWN, MINE)


async def test_the_owner_may_do_everything() -> None:
    """H10.2."""
    stage = Stage()
    told = await stage.post(MINE, response_id=ID, background=True, stream=True, input="hi")
    assert (await stage.get(ID, headers=MINE)).json["id"] == ID
    assert (await stage.replay(ID, headers=MINE)).body == told.body
    assert len((await stage.input_items(ID, headers=MINE)).json["data"]) == 1
    assert (await stage.cancel(ID, MINE)).error["message"] == "Cannot cancel a completed response."
    assert (await stage.post(MINE, previous_response_id=ID)).status == 200
    assert (await stage.delete(ID, MINE)).status == 200


async def test_each_pair_of_keys_is_a_partition() -> None:
    """H10.4, H10.9, H10.10: absent and empty are two things, and no value is made into another."""
    for headers in OTHERS:
        stage = Stage()
        await stage.post(headers, response_id=ID)
        for other in (*OTHERS, MINE):
            seen = await stage.get(ID, headers=other)
            assert seen.status == (200 if other == headers else 404), (headers, other)


async def test_the_alias_is_the_same_user() -> None:
    """Decision 24, H9.4: the header of the older contract comes first."""
    stage = Stage()
    await stage.post({ALIAS: "ada"}, response_id=ID)
    assert (await stage.get(ID, headers={USER: "ada"})).status == 200
    assert (await stage.get(ID, headers={ALIAS: "ada"})).status == 200
    assert (await stage.get(ID, headers={USER: "ada", ALIAS: "bob"})).status == 200
    check_not_found(await stage.get(ID, headers={USER: "bob", ALIAS: "ada"}), ID)
    check_not_found(await stage.get(ID, headers={USER: "", ALIAS: "ada"}), ID)
    check_not_found(await stage.get(ID, headers={ALIAS: "ada", CHAT: "c1"}), ID)


async def test_the_handler_is_told_whose_it_is() -> None:
    """H17.12."""
    stage = Stage()
    await stage.post(MINE)
    await stage.post({CHAT: ""})
    assert [context.isolation for context in stage.contexts] == [Identity("ada", "c1"), Identity(None, "")]


async def test_one_id_may_be_in_two_partitions() -> None:
    """H8.27, H10.11: each with its own events, its own cancel, and its own end."""
    stage = Stage("created in_progress wait message completed")
    hers, his = {USER: "ada"}, {USER: "bob"}
    async with anyio.create_task_group() as tasks:
        one = await stage.stream(tasks, hers, response_id=ID, background=True, metadata={"of": "ada"})
        two = await stage.stream(tasks, his, response_id=ID, background=True, metadata={"of": "bob"})
        await anyio.wait_all_tasks_blocked()
        cancelled = begin(tasks, lambda: stage.cancel(ID, hers))
        await anyio.wait_all_tasks_blocked()
        stage.gates["wait"].open()
        assert (await cancelled.wait()).json["status"] == "cancelled"
        told = [await one.wait(), await two.wait()]
    for stream in told:
        check_stream(stream)
    assert [stream.events[-1]["response"]["status"] for stream in told] == ["cancelled", "completed"]
    assert (await stage.get(ID, headers=his)).json["metadata"] == {"of": "bob"}
    assert (await stage.delete(ID, hers)).status == 200
    check_not_found(await stage.get(ID, headers=hers), ID)
    assert (await stage.replay(ID, headers=his)).body == told[1].body


async def test_a_conversation_of_another_is_an_empty_one() -> None:
    """Decision 24: its name is no secret, what was said in it is."""
    stage = Stage()
    await stage.post(MINE, input="secret", conversation="conv_1")
    await stage.post({USER: "bob", CHAT: "c1"}, input="hi", conversation="conv_1")
    assert await stage.contexts[-1].get_history() == []
    await stage.post(MINE, input="again", conversation="conv_1")
    assert len(await stage.contexts[-1].get_history()) == 2


async def test_items_of_another_resolve_to_nothing() -> None:
    """H11.17: in the handler and in the store, as an unknown reference does."""
    stage = Stage()
    response_id = (await stage.post(MINE, input="secret")).json["id"]
    item = (await stage.input_items(response_id, headers=MINE)).json["data"][0]["id"]
    reference = [{"type": "item_reference", "id": item}]
    for headers, count in ((MINE, 1), ({USER: "bob", CHAT: "c1"}, 0), ({}, 0)):
        second = (await stage.post(headers, input=reference)).json["id"]
        assert len(await stage.contexts[-1].get_input_items()) == count
        assert len((await stage.input_items(second, headers=headers)).json["data"]) == count


async def test_an_idempotency_key_of_another_is_a_free_one() -> None:
    """Decision 22: its scope is the partition."""
    stage = Stage()
    first = await stage.post({**MINE, "idempotency-key": "k"}, input="one")
    other = await stage.post({USER: "bob", "idempotency-key": "k"}, input="two")
    assert (first.status, other.status) == (200, 200)
    assert first.json["id"] != other.json["id"]
    assert (await stage.post({**MINE, "idempotency-key": "k"}, input="one")).json["id"] == first.json["id"]


# An `identify` function


def by_token(request: HttpRequest) -> Identity:
    token = request.header("authorization")
    if token is None:
        raise HttpError(401, "unauthorized", "Who are you?", headers=(("www-authenticate", "Bearer"),))
    return Identity(token.removeprefix("Bearer "))


async def by_token_later(request: HttpRequest) -> Identity:
    await anyio.lowlevel.checkpoint()
    return by_token(request)


def server_with(identify: Any) -> Stage:
    stage = Stage()
    stage.server = ResponsesServer(store=stage.store, identify=identify)
    stage.server.response_handler(stage.handler)
    return stage


@pytest.mark.parametrize("identify", [by_token, by_token_later])
async def test_identify_takes_the_place_of_the_headers(identify: Any) -> None:
    """Decision 24, pains L4: what a caller says of itself does not count any more."""
    stage = server_with(identify)
    ada, bob = {"authorization": "Bearer ada"}, {"authorization": "Bearer bob", USER: "ada"}
    await stage.post(ada, response_id=ID)
    assert (await stage.get(ID, headers={**ada, USER: "x", CHAT: "y"})).status == 200
    for verb in VERBS:
        assert await traced(stage, verb, ID, bob) == await traced(stage, verb, UNKNOWN, bob)


@pytest.mark.parametrize("identify", [by_token, by_token_later])
async def test_identify_may_refuse(identify: Any) -> None:
    """Pains L1: every verb then, before the store is asked, and in the envelope of all errors."""
    stage = server_with(identify)
    await stage.post({"authorization": "Bearer ada"}, response_id=ID)
    stage.store.calls.clear()
    for verb in VERBS:
        answer = await VERBS[verb](stage, ID, {})
        assert (answer.status, answer.error["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.error["additionalInfo"] == {"request_id": answer.headers["x-request-id"]}
    assert stage.store.calls == []
    assert len(stage.contexts) == 1


async def test_identify_that_breaks_lets_nobody_in() -> None:
    """Pains L3: default deny; what it raised stays inside."""

    def broken(_request: HttpRequest) -> Identity:
        raise KeyError("the secret of identify")

    stage = server_with(broken)
    for verb in VERBS:
        answer = await VERBS[verb](stage, ID, {})
        assert (answer.status, answer.error["code"]) == (500, "server_error")
        assert b"secret" not in answer.body
    assert stage.store.calls == []


async def test_all_of_it_goes_through_the_prefix_and_the_root_alike() -> None:
    """Pains L2: no path forgets the check."""
    stage = Stage()
    await stage.post(MINE, response_id=ID, background=True, stream=True)
    for path in (f"/responses/{ID}", f"/v1/responses/{ID}", f"/v1/responses/{ID}/"):
        assert (await ask(stage.server, method="GET", path=path)).status == 404
        assert (await ask(stage.server, method="HEAD", path=path)).status == 404
        assert (await ask(stage.server, method="GET", path=path, headers=MINE)).status == 200
