"""An agent as a handler, in a server and on a route of one's own: what it may be, and what it knows."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import Any

import anyio
import attrs
import pytest

from responses_stream import InvalidType, InvalidValue, accumulate, encode_stream, validate_events
from responses_stream.agents.contents import Result, Said, Text, Update
from responses_stream.agents.handler import AgentHandler, agent_handler
from responses_stream.agents.hooks import text_of
from responses_stream.agents.isolation import BoundTurn, current_turn
from responses_stream.agents.turn import Isolation, SessionAnchor, Turn
from responses_stream.protocol.conversions import StoredItem, get_input_text
from responses_stream.protocol.ids import partition_of
from responses_stream.protocol.items import InputItem, InputMessage, ItemReference
from responses_stream.protocol.parts import ResponseInputFile
from responses_stream.protocol.request import CreateResponse

from ..hosting.asking import ask
from ..hosting.playing import MODES, check_whole, play
from ..hosting.staging import check_stream, id_of
from .acting import Released, asked, counting, id_in, server_of, text_in

pytestmark = pytest.mark.anyio

# What an agent may be.


async def returned(turn: Turn) -> str:
    return f"said {turn.run.options['model']}"


async def resulting(_turn: Turn) -> Result:
    return Result(["said", Text(" m")], model="other")


async def iterating(_turn: Turn) -> AsyncIterator[Said]:
    return Released(["said", " m"])


def plain(_turn: Turn) -> AsyncIterator[Said]:
    return Released([Update(["said"]), Text(" m")])


def spelling(_turn: Turn) -> Iterator[Said]:
    yield "said m"


class Spelling:
    def __call__(self, turn: Turn) -> Iterator[Said]:
        yield from spelling(turn)


@pytest.mark.parametrize("agent", [returned, resulting, iterating, plain])
@pytest.mark.parametrize("stream", [False, True])
async def test_every_form_of_an_agent(agent: Any, stream: bool) -> None:
    assert text_in(await asked(server_of(agent_handler(agent)), stream=stream)) == "said m"


@pytest.mark.parametrize("agent", [lambda _: ["a"], lambda _: None, lambda _: "a"])
async def test_what_is_none_of_them_fails_and_is_logged(agent: Any, caplog: pytest.LogCaptureFixture) -> None:
    answer = await asked(server_of(agent_handler(agent)), stream=True)
    if isinstance(agent(None), str):
        assert text_in(answer) == "a"  # it need not be waited for
    else:
        assert answer.events[-1]["response"]["error"]["code"] == "server_error"
        assert "an async iterable, a string or a Result" in caplog.text


def test_what_is_no_agent_is_refused_at_once() -> None:
    for agent in (3, "x", AgentHandler):
        with pytest.raises(InvalidType, match="agent"):
            agent_handler(agent)  # type: ignore[arg-type]
    for plain_generator in (spelling, functools.partial(spelling), Spelling()):
        with pytest.raises(InvalidType, match="async def"):
            agent_handler(plain_generator)  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match="sessions"):
        agent_handler(counting, sessions=3)  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match="hooks"):
        agent_handler(counting, hooks=3)  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="model"):
        agent_handler(counting, model="")
    with pytest.raises(InvalidValue, match="tool_calls"):
        agent_handler(counting, tool_calls="x")  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", MODES)
async def test_every_mode(mode: str) -> None:
    played = await play(agent_handler(counting), mode, body={"input": "hi"})
    check_whole(played)
    assert played.response["status"] == "completed"


async def test_the_model_is_that_of_the_handler_or_of_the_request_or_of_the_agent() -> None:
    async def models(body: dict[str, object], **options: Any) -> set[str]:
        answer = await ask(server_of(agent_handler(resulting, **options)), {"input": "hi", "stream": True, **body})
        return {event["response"]["model"] for event in answer.events if "response" in event}

    assert await models({"model": "m"}, model="mine") == {"mine"}
    assert await models({"model": "m"}) == {"m"}
    assert await models({}) == {"other"}


# What the agent knows.


async def test_what_a_turn_says() -> None:
    turns: list[Turn] = []
    bound: list[BoundTurn | None] = []
    histories: list[Sequence[StoredItem]] = []

    async def agent(turn: Turn) -> str:
        turns.append(turn)
        bound.append(current_turn())
        histories.append(await turn.get_history())
        return "ok"

    server = server_of(agent_handler(agent))
    headers = {"x-agent-user-isolation-key": "u", "x-agent-chat-isolation-key": "c"}
    first = await asked(server, headers)
    second = await asked(server, headers, previous_response_id=id_in(first), input="again")
    assert [turn.response_id for turn in turns] == [id_in(first), id_in(second)]
    assert turns[1].previous_response_id == id_in(first)
    assert turns[1].isolation == Isolation("u", "c")
    assert turns[1].run.session == SessionAnchor(id_in(first), "snapshot")
    assert get_input_text(turns[1].run.messages) == "again"
    assert bound[1] == BoundTurn(id_in(second), id_in(first), None, "u", "c")
    assert [len(history) for history in histories] == [0, 2]
    assert current_turn() is None


async def test_an_agent_that_asks_another_is_in_its_own_turn_again() -> None:
    inner = agent_handler(counting)
    seen: list[str] = []

    async def outer(_turn: Turn) -> AsyncIterator[Said]:
        async for _ in inner.respond({"input": "hi"}, response_id="resp_inner"):
            bound = current_turn()
            seen.append(bound.response_id if bound is not None else "")
        yield "ok"

    events = agent_handler(outer).respond({"input": "hi"}, response_id="resp_outer")
    assert accumulate([event async for event in events]).status == "completed"
    assert set(seen) == {"resp_outer"}


async def test_references_are_resolved() -> None:
    seen: list[Sequence[InputItem]] = []

    async def agent(turn: Turn) -> str:
        seen.append(turn.run.messages)
        return "a stored answer"

    server = server_of(agent_handler(agent))
    [item] = (await asked(server)).json["output"]
    message = {"role": "user", "content": "and then?"}
    answer = await asked(server, input=[{"type": "item_reference", "id": item["id"]}, message])
    assert text_in(answer) == "a stored answer"
    assert [one.type for one in seen[1]] == ["message", "message"]
    assert "a stored answer" in repr(seen[1][0])


async def test_an_input_that_cannot_be_resolved_is_empty() -> None:
    async def agent(turn: Turn) -> str:
        return f"{len(turn.run.messages)} messages"

    server = server_of(agent_handler(agent))
    for input in ([], [{"type": "item_reference", "id": "msg_unknown"}]):
        assert text_in(await asked(server, input=input)) == "0 messages"


async def test_an_input_that_cannot_be_read_is_told() -> None:
    body: dict[str, Any] = {"input": [{"role": "user", "content": [{"type": "input_file"}]}]}
    answer = await asked(server_of(agent_handler(counting)), stream=True, **body)
    check_stream(answer)
    error = answer.events[-1]["response"]["error"]
    assert error["code"] == "invalid_prompt"
    assert "input[0].content[0]" in error["message"]


async def test_what_the_agent_has_open_is_closed() -> None:
    source = Released(["a", "b", "c"])

    def agent(_turn: Turn) -> Released:
        return source

    events = agent_handler(agent).respond({"input": "hi"})
    async for event in events:
        if event.type == "response.output_text.delta":
            break
    assert not source.closed
    await events.aclose()
    assert source.closed


# Routes of one's own.


async def test_a_route_of_ones_own_needs_no_server() -> None:
    handler = agent_handler(counting)
    previous: dict[str, str] = {}
    for turn in range(1, 4):
        body = b"".join([piece async for piece in encode_stream(handler.respond({"input": "hi", **previous}))])
        report = validate_events(body, profile="strict")
        assert report.ok
        assert not report.violations
        response = json.loads(body.split(b"data: ")[-2])["response"]
        assert response["output"][0]["content"][0]["text"] == f"Turn {turn}"
        assert response["previous_response_id"] == previous.get("previous_response_id")
        if previous:
            assert partition_of(response["id"]) == partition_of(previous["previous_response_id"])
        previous = {"previous_response_id": response["id"]}


async def test_the_ids_of_responses_can_be_made_by_the_application() -> None:
    hints: list[str | None] = []

    def make(previous: str | None) -> str:
        hints.append(previous)
        return f"answer_{len(hints)}"

    handler = agent_handler(counting, response_id_factory=make)

    async def respond(**body: str) -> str:
        return accumulate([event async for event in handler.respond({"input": "hi", **body})]).id

    assert await respond() == "answer_1"
    assert await respond(previous_response_id="answer_1") == "answer_2"
    assert await respond(conversation="conv_1") == "answer_3"
    assert hints == [None, "answer_1", "conv_1"]
    events = handler.respond(CreateResponse(input="hi"), response_id="mine")
    assert accumulate([event async for event in events]).id == "mine"
    assert len(hints) == 3


async def test_a_route_of_ones_own_says_whose_request_it_is() -> None:
    handler = agent_handler(counting)

    async def turns_of(user: str) -> str:
        events = handler.respond({"input": "hi", "conversation": "conv_1"}, isolation=Isolation(user_key=user))
        return text_of(Result(accumulate([event async for event in events]).output))

    assert [await turns_of(user) for user in "aba"] == ["Turn 1", "Turn 1", "Turn 2"]


@pytest.mark.parametrize("body", [b"{", b"[]", {"input": 3}, {"input": "hi", "stream": "yes"}, "nothing"])
def test_a_body_that_is_no_request_is_told_before_anything_begins(body: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # DecodeError, InvalidValue, as `run_input` says
        agent_handler(counting).respond(body)


@attrs.frozen
class Context:
    """That of another server."""

    response_id: str = id_of("a")
    isolation: Isolation = attrs.field(factory=Isolation)
    found: Sequence[InputItem | StoredItem] = ()

    async def get_history(self) -> list[StoredItem]:
        return []

    async def get_input_items(self, *, resolve_references: bool = True) -> Sequence[InputItem | StoredItem]:
        assert resolve_references
        return self.found


async def test_a_context_of_another_server_will_do() -> None:
    events = agent_handler(counting)(CreateResponse(input="hi"), Context())
    assert accumulate([event async for event in events]).id == id_of("a")


async def test_what_a_reference_names_has_to_be_readable_too() -> None:
    broken = InputMessage(role="user", content=[ResponseInputFile()])
    request = CreateResponse(input=[ItemReference(id="msg_1")])
    events = agent_handler(counting)(request, Context(found=[broken]))
    response = accumulate([event async for event in events])
    assert response.error
    assert response.error.code == "invalid_prompt"


@pytest.mark.anyio
async def test_a_client_that_cancels_has_not_to_wait_for_a_grace() -> None:
    """H4.11: the grace is for handlers that look at their signal, and an agent does not."""
    waits, over = anyio.Event(), anyio.Event()

    async def patient(turn: Turn) -> AsyncGenerator[Said, None]:
        try:
            yield "So far"
            waits.set()
            await anyio.sleep_forever()
        finally:
            turn.session = "kept"
            over.set()

    server = server_of(agent_handler(patient), cancel_grace_seconds=1000)
    async with server.lifespan():
        created = await asked(server, background=True)
        with anyio.fail_after(10):
            await waits.wait()
            answer = await ask(server, path=f"/v1/responses/{id_in(created)}/cancel")
            await over.wait()
        assert answer.json["status"] == "cancelled"
