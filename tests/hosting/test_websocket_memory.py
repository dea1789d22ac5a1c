"""What a connection remembers of its turns, and what it forgets (W5 to W7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from responses_stream import (
    CreateResponse,
    HttpRequest,
    MemoryStore,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
)
from responses_stream.hosting.identity import Identity
from responses_stream.hosting.websocket_memory import MOST_HELD
from responses_stream.stores.sqlite import SqliteStore

from .asking import ask
from .connecting import Connection, Message, check_error, connected, id_of, types
from .staging import WatchedStore

pytestmark = pytest.mark.anyio

CALL: Final = {"type": "function_call", "name": "f", "call_id": "call_1", "arguments": "{}"}
OUTPUT: Final = {"type": "function_call_output", "call_id": "call_1", "output": "1"}
STRAY: Final = {"type": "function_call_output", "call_id": "call_other", "output": "1"}


def remembering(store: Any = None, **options: Any) -> ResponsesServer:
    """A server that answers ``call`` with a call, fails as it is told, and else says what came before."""
    server = ResponsesServer(store=store, options=ResponsesServerOptions(**options))

    @server.response_handler
    async def handler(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream, told = context.stream(), await context.get_input_text()
        if told == "error first":
            raise ZeroDivisionError
        yield stream.emit_created()
        if told == "error":
            raise ZeroDivisionError
        if told == "failed":
            yield stream.emit_failed()
            return
        yield stream.emit_in_progress()
        if told == "call":
            yield stream.output_item_function_call("f", "call_1", "{}")
        elif told == "custom":
            yield stream.output_item_custom_tool_call("f", "call_1", "x")
        elif told == "compact":
            yield stream.output_item_compaction("secret")
        else:
            yield stream.output_item_message(" ".join(map(said, await context.get_history())))
        yield stream.emit_completed()

    return server


def said(item: Any) -> str:
    """Tell an item in one word, its text or its type."""
    if item.type != "message":
        return str(item.type)
    return f"{item.role[0]}:{item.content[0].text.replace(' ', '_')}"


def told(messages: list[Message]) -> list[str]:
    """Return what the handler has told of the items before a turn."""
    id_of(messages)
    text: str = messages[-1]["response"]["output"][0]["content"][0]["text"]
    return text.split()


def not_found(message: Message) -> None:
    """W6."""
    check_error(message, 400, "previous_response_not_found", "previous_response_id")


async def unstored(connection: Connection, input: object = "hi", **members: object) -> list[Message]:
    return await connection.turn(store=False, input=input, **members)


# W5: what was made here can be continued here


async def test_turns_that_are_not_stored_continue_each_other() -> None:
    """W5, W35: previous input, then previous output, then the new input."""
    async with connected(remembering()) as connection:
        first = id_of(await unstored(connection, "one"))
        second = await unstored(connection, "two", previous_response_id=first)
        assert told(second) == ["u:one", "a:"]
        third = await unstored(connection, "three", previous_response_id=id_of(second))
        assert told(third) == ["u:one", "a:", "u:two", "a:u:one_a:"]
        assert told(await unstored(connection, "other", previous_response_id=first)) == ["u:one", "a:"]
        assert told(await unstored(connection, "new")) == []
        for kept in (first, id_of(second)):
            assert (await ask(remembering(), method="GET", path=f"/v1/responses/{kept}")).status == 404


@pytest.mark.parametrize("stored", [(True, False), (False, True), (True, True)])
async def test_stored_and_unstored_turns_continue_each_other(stored: tuple[bool, bool]) -> None:
    """W5: on the same connection it makes no difference what is stored."""
    async with connected(remembering()) as connection:
        first = id_of(await connection.turn(input="one", store=stored[0]))
        second = await connection.turn(input="two", store=stored[1], previous_response_id=first)
        assert told(second) == ["u:one", "a:"]
        for store in (True, False):
            third = await connection.turn(input="three", store=store, previous_response_id=id_of(second))
            assert told(third) == ["u:one", "a:", "u:two", "a:u:one_a:"]


async def test_the_newest_are_remembered() -> None:
    """W5, L7: without a store, the older ones are gone."""
    async with connected(remembering()) as connection:
        ids = [id_of(await unstored(connection, str(turn))) for turn in range(MOST_HELD + 1)]
        not_found(await connection.error(store=False, previous_response_id=ids[0]))
        for kept in (ids[1], ids[-1]):
            assert len(told(await unstored(connection, previous_response_id=kept))) == 2
        assert len(connection.session._memory._held) == MOST_HELD


async def test_memory_is_bounded_in_bytes_and_the_last_response_is_always_there() -> None:
    """L7."""
    async with connected(remembering(max_body_bytes=3000)) as connection:
        first = id_of(await unstored(connection, "x" * 100))
        second = id_of(await unstored(connection, "y" * 2700))
        not_found(await connection.error(store=False, previous_response_id=first))
        assert len(told(await unstored(connection, previous_response_id=second))) == 2


async def test_what_the_store_has_is_not_held_twice() -> None:
    """A chain that is stored as a whole is read from there, exactly as over HTTP."""
    server = remembering()
    async with connected(server) as connection:
        first = id_of(await connection.turn(input="one"))
        second = id_of(await connection.turn(input="two", previous_response_id=first))
        here = told(await connection.turn(previous_response_id=second))
        assert [held.items for held in connection.session._memory._held.values()] == [None, None]
    over_http = await ask(server, {"model": "m", "input": "hi", "previous_response_id": second})
    assert over_http.json["output"][0]["content"][0]["text"].split() == here


@pytest.mark.parametrize(("count", "before"), [(1, 1), (3, 3), (-1, 6)])
async def test_as_many_items_come_before_as_over_http(count: int, before: int) -> None:
    """Decision 25: the newest ones."""
    async with connected(remembering(default_fetch_history_count=count)) as connection:
        previous = id_of(await unstored(connection, "0"))
        for turn in range(1, 3):
            previous = id_of(await unstored(connection, str(turn), previous_response_id=previous))
        items = told(await unstored(connection, previous_response_id=previous))
        assert len(items) == before
        assert items[-1].startswith("a:")


async def test_a_conversation_that_is_not_stored_goes_on_here() -> None:
    """H8.24: it is continued by its last response."""
    async with connected(remembering()) as connection:
        await connection.turn(input="kept", conversation="conv_1")
        first = await unstored(connection, "one", conversation="conv_1")
        assert told(first) == ["u:kept", "a:"]
        second = await unstored(connection, "two", previous_response_id=id_of(first))
        assert told(second) == ["u:kept", "a:", "u:one", "a:u:kept_a:"]
        del connection.said[:]  # D: the validator knows no conversation that has two requests of one history


async def test_items_with_the_same_id_count_once() -> None:
    """Decision 25, H20.12: of an id that a handler has used again, the newest item counts."""
    server = ResponsesServer()

    @server.response_handler
    async def handler(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream, before = context.stream(), await context.get_history()
        text = " ".join(map(said, before))
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        item = {"type": "message", "id": "msg_same", "role": "assistant", "status": "completed", "content": [part]}
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}}
        yield {"type": "response.output_item.done", "output_index": 0, "item": item}
        yield stream.emit_completed()

    async with connected(server) as connection:
        previous, stored = None, None
        for turn in range(3):
            held = await unstored(connection, str(turn), previous_response_id=previous)
            kept = await connection.turn(input=str(turn), previous_response_id=stored)
            assert told(held) == told(kept)
            previous, stored = id_of(held), id_of(kept)
        del connection.said[:]  # such items are not valid to begin with


# W6: what was not


async def test_without_a_store_another_connection_knows_nothing() -> None:
    """W6: the same holds on a new connection."""
    server = remembering()
    async with connected(server) as connection:
        gone = id_of(await unstored(connection))
        kept = id_of(await connection.turn())
    async with connected(server) as connection:
        not_found(await connection.error(store=False, previous_response_id=gone))
        not_found(await connection.error(store=False, previous_response_id=kept))
        not_found(await connection.error(store=True, previous_response_id=gone))
        assert len(told(await connection.turn(previous_response_id=kept))) == 2
        # And what was continued here is one of this connection, but not what that continued.
        not_found(await connection.error(store=False, previous_response_id=kept))


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("previous", ["resp_" + "0" * 50, "resp_x", "nonsense"])
async def test_an_unknown_response_is_a_400_on_a_websocket(previous: str, store: bool) -> None:
    """W6: over HTTP it is a 404 (decision 21)."""
    async with connected(remembering()) as connection:
        not_found(await connection.error(store=store, previous_response_id=previous))
        id_of(await connection.turn())


@pytest.mark.parametrize("previous", ["", None])
async def test_nothing_is_continued_where_nothing_is_named(previous: str | None) -> None:
    async with connected(remembering()) as connection:
        assert told(await unstored(connection, previous_response_id=previous)) == []
        del connection.said[:]  # R05x: an empty id is echoed as it came


@pytest.mark.parametrize("store", [True, False])
async def test_what_was_deleted_is_not_found(store: bool) -> None:
    """A `DELETE` over HTTP counts, whatever the connection remembers."""
    server = remembering()
    async with connected(server) as connection:
        plain = id_of(await connection.turn())
        mixed = id_of(await connection.turn(previous_response_id=id_of(await unstored(connection))))
        for deleted in (plain, mixed):
            assert (await ask(server, method="DELETE", path=f"/v1/responses/{deleted}")).status == 200
            if store or deleted == mixed:
                not_found(await connection.error(store=store, previous_response_id=deleted))
            else:
                not_found(await connection.error(store=False, previous_response_id=deleted))


async def test_another_identity_on_the_same_connection_knows_nothing() -> None:
    """Decision 24: whoever the hook says it is now."""
    who = "a"

    def identify(_request: HttpRequest) -> Identity:
        return Identity(who)

    server = remembering()
    server._identify = identify
    async with connected(server) as connection:
        first = id_of(await unstored(connection))
        who = "b"
        for store in (True, False):
            not_found(await connection.error(store=store, previous_response_id=first))


# W7: a continuation that fails


@pytest.mark.parametrize(
    "bad",
    [
        {"input": [STRAY]},
        {"input": [{**STRAY, "type": "custom_tool_call_output"}]},
        {"temperature": 9},
        {"input": 3},
        {"stream": True},
        {"stream_id": "lane"},
        {"input": "error first"},
        {"input": "error"},
    ],
    ids=["no call", "no custom call", "range", "schema", "stream", "lane", "lone error", "error"],
)
async def test_a_continuation_that_fails_makes_the_previous_response_be_forgotten(bad: dict[str, object]) -> None:
    """W7: trying it again gives `previous_response_not_found`, also with what would be well."""
    async with connected(remembering()) as connection:
        first = id_of(await unstored(connection))
        other = id_of(await unstored(connection))
        failed = await connection.turn(store=False, previous_response_id=first, **bad)
        assert "error" in types(failed)
        not_found(await connection.error(store=False, previous_response_id=first))
        assert len(told(await unstored(connection, previous_response_id=other))) == 2
        # What is not to be in a message is not to be in one that is valid either (R204, R205).
        connection.said = [one for one in connection.said if not {"stream", "stream_id"} & one.keys()]


@pytest.mark.parametrize("how", ["error", "error first"])
async def test_a_turn_that_told_an_error_cannot_be_continued(how: str) -> None:
    """W7: where it is not stored, or was not made at all."""
    async with connected(remembering()) as connection:
        messages = await unstored(connection, how)
        failed = messages[-1].get("response", {}).get("id", "resp_x")
        not_found(await connection.error(store=False, previous_response_id=failed))


async def test_a_turn_behind_one_that_failed_is_a_turn_like_others() -> None:
    """W7 is about one turn."""
    async with connected(remembering()) as connection:
        await unstored(connection, "error")
        previous = id_of(await unstored(connection, "one"))
        assert told(await unstored(connection, previous_response_id=previous)) == ["u:one", "a:"]


async def test_a_response_that_says_it_failed_is_a_turn_like_others() -> None:
    """W7 is about errors: a handler may end its response as failed, and be asked again."""
    async with connected(remembering()) as connection:
        first = id_of(await unstored(connection, "one"))
        failed = await unstored(connection, "failed", previous_response_id=first)
        assert types(failed) == ["response.created", "response.failed"]
        assert told(await unstored(connection, previous_response_id=first)) == ["u:one", "a:"]
        again = await unstored(connection, previous_response_id=failed[-1]["response"]["id"])
        assert told(again) == ["u:one", "a:", "u:failed"]


async def test_what_is_forgotten_here_may_still_be_stored() -> None:
    """W5, W7: a turn that is stored finds it in the store."""
    async with connected(remembering()) as connection:
        first = id_of(await connection.turn())
        await connection.error(store=False, previous_response_id=first, input=[STRAY])
        not_found(await connection.error(store=False, previous_response_id=first))
        assert len(told(await connection.turn(previous_response_id=first))) == 2
        await connection.turn(input="error", previous_response_id=first)
        assert len(told(await connection.turn(previous_response_id=first))) == 2


@pytest.mark.parametrize("store", [True, False])
async def test_an_output_answers_a_call_of_the_chain(store: bool) -> None:
    """W7: however long ago it was made, here or in the store."""
    async with connected(remembering()) as connection:
        previous = id_of(await connection.turn(input="call", store=store))
        previous = id_of(await connection.turn(input="meanwhile", store=store, previous_response_id=previous))
        answered = await connection.turn(input=[OUTPUT], store=store, previous_response_id=previous)
        assert told(answered) == ["u:call", "function_call", "u:meanwhile", "a:u:call_function_call"]
        error = await connection.error(input=[STRAY], store=store, previous_response_id=previous)
        check_error(error, 400, "invalid_request", "input")
        assert "call_other" in error["error"]["message"]
        previous = id_of(await connection.turn(input="custom", store=store))
        output = {"type": "custom_tool_call_output", "call_id": "call_1", "output": "1"}
        id_of(await connection.turn(input=[output], store=store, previous_response_id=previous))
        check_error(
            await connection.error(input=[OUTPUT], store=store, previous_response_id=previous),
            400,
            "invalid_request",
            "input",
        )


async def test_a_stored_chain_that_began_elsewhere_is_checked_too() -> None:
    """W7: on any connection."""
    server = remembering()
    async with connected(server) as connection:
        called = id_of(await connection.turn(input="call"))
    async with connected(server) as connection:
        error = await connection.error(input=[STRAY], previous_response_id=called)
        check_error(error, 400, "invalid_request", "input")
        id_of(await connection.turn(input=[OUTPUT], previous_response_id=called))


async def test_what_nobody_can_tell_is_not_refused() -> None:
    """W7: a call may be in the same input, in a reference, in what was compacted, or too far back."""
    async with connected(remembering(default_fetch_history_count=2)) as connection:
        first = id_of(await unstored(connection))
        id_of(await unstored(connection, [STRAY], previous_response_id=first))
    async with connected(remembering()) as connection:
        first = id_of(await unstored(connection))
        id_of(await unstored(connection, [CALL, OUTPUT], previous_response_id=first))
        id_of(await unstored(connection, [{"type": "item_reference", "id": "fc_1"}, STRAY], previous_response_id=first))
        id_of(await unstored(connection, [STRAY]))
        compacted = id_of(await unstored(connection, "compact"))
        id_of(await unstored(connection, [STRAY], previous_response_id=compacted))


async def test_calls_with_odd_members_are_compared_as_they_are() -> None:
    """An item of an unknown type may have anything in `call_id`."""
    odd = {"type": "acme:call", "call_id": {"a": [1]}}
    async with connected(remembering()) as connection:
        first = id_of(await unstored(connection, [odd, {**CALL, "call_id": "call_2"}]))
        id_of(await unstored(connection, [{**OUTPUT, "call_id": "call_2"}, odd], previous_response_id=first))


# The store behind it


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_stored_turn_behind_an_unstored_one_can_be_continued_from_anywhere(kind: str, tmp_path: Path) -> None:
    """Elsewhere the history begins with the first turn that is stored."""
    store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "responses.sqlite3")
    server = remembering(store)
    async with server.lifespan():
        async with connected(server) as connection:
            first = id_of(await unstored(connection, "one"))
            second = id_of(await connection.turn(input="two", previous_response_id=first))
            assert told(await connection.turn(previous_response_id=second)) == ["u:one", "a:", "u:two", "a:u:one_a:"]
        async with connected(server) as connection:
            assert told(await connection.turn(previous_response_id=second)) == ["u:two", "a:u:one_a:"]
        over_http = await ask(server, {"model": "m", "input": "hi", "previous_response_id": second})
        assert over_http.json["output"][0]["content"][0]["text"] == "u:two a:u:one_a:"
        got = await ask(server, method="GET", path=f"/v1/responses/{second}")
        assert got.json["previous_response_id"] == first
    await store.aclose()


async def test_a_store_that_fails_is_told_and_the_connection_stays() -> None:
    """W7, decision 11: what was not stored is not remembered."""
    store = WatchedStore()
    async with connected(remembering(store)) as connection:
        first = id_of(await connection.turn())
        store.broken = {"create"}
        refused = await connection.turn(previous_response_id=first)
        check_error(refused[1], 500, "storage_error", None)
        store.broken = {"ending"}
        lost = await connection.turn()
        check_error(lost[-2], 500, "storage_error", None)
        store.broken = {"history"}
        check_error(await connection.error(previous_response_id=first), 500, "storage_error", None)
        store.broken = set()
        not_found(await connection.error(store=False, previous_response_id=first))
        assert len(told(await connection.turn(previous_response_id=first))) == 2
        store.broken = {"items"}
        reference = {"type": "item_reference", "id": "msg_1"}
        without = await unstored(connection, [reference])
        check_error(without[0], 500, "server_error", None)


async def test_inputs_that_cannot_be_looked_up_at_the_end_are_not_remembered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = WatchedStore()
    server = ResponsesServer(store=store)

    @server.response_handler
    async def handler(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream = context.stream()
        yield stream.emit_created()
        store.broken = {"items"}
        yield stream.emit_completed()

    async with connected(server) as connection:
        first = id_of(await unstored(connection, [{"type": "item_reference", "id": "msg_1"}]))
        not_found(await connection.error(store=False, previous_response_id=first))
        assert f"{first} cannot be continued on its connection" in caplog.text
        id_of(await connection.turn())


async def test_an_input_of_many_items_is_remembered_whole() -> None:
    """It is made ready beside the loop (pains.md F3)."""
    many = [{"role": "user", "content": str(at)} for at in range(300)]
    async with connected(remembering(default_fetch_history_count=-1)) as connection:
        first = id_of(await unstored(connection, many))
        assert told(await unstored(connection, previous_response_id=first))[:-1] == [f"u:{at}" for at in range(300)]


async def test_an_idempotency_key_is_of_http() -> None:
    """Decision 22: turns are not retried by a header that all of them would have."""
    server = remembering()
    async with connected(server, headers={"idempotency-key": "k"}) as connection:
        ids = {id_of(await unstored(connection)) for _ in range(3)}
    assert len(ids) == 3
