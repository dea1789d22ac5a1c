"""The sessions of an agent in a server: from turn to turn, and where a turn breaks off; with the real client too."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import openai
import pytest

from responses_stream import ResponsesServer, SqliteStore
from responses_stream.agents.contents import Said
from responses_stream.agents.handler import AgentHandler, agent_handler
from responses_stream.agents.response_sessions import ResponseSessionStore
from responses_stream.agents.session_stores import MemorySessionStore, SessionKey
from responses_stream.agents.sessions import Sessions
from responses_stream.agents.turn import SessionAnchor, Turn
from responses_transports.h11_server import serve_async

from ..hosting.asking import ask, request_for
from ..hosting.connecting import connected
from ..hosting.staging import Gate, check_stream, id_of
from .acting import KEPT, asked, counting, id_in, server_of, speaking, state_of, text_in
from .remembering import BrokenSessionStore

pytestmark = pytest.mark.anyio

# Sessions.


@pytest.mark.parametrize("stream", [False, True])
async def test_three_turns_and_two_branches(stream: bool) -> None:
    """H21.8, H21.9: 1, 2, 2, 3, 3."""
    server = server_of(agent_handler(counting))
    first = await asked(server, stream=stream)
    both = [await asked(server, previous_response_id=id_in(first), stream=stream) for _ in range(2)]
    thirds = [await asked(server, previous_response_id=id_in(second), stream=stream) for second in both]
    assert [text_in(answer)[5:] for answer in (first, *both, *thirds)] == ["1", "2", "2", "3", "3"]


async def test_turns_of_one_conversation_at_the_same_time() -> None:
    handler = agent_handler(counting)
    server, answers = server_of(handler), list[str]()

    async def take() -> None:
        answers.append(text_in(await asked(server, conversation="conv_1", stream=True)))

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(take)
    assert sorted(answers) == ["Turn 1", "Turn 2", "Turn 3", "Turn 4"]
    await handler.sessions.reset("conv_1")
    assert text_in(await asked(server, conversation="conv_1")) == "Turn 1"


async def test_a_turn_that_waits_for_the_one_before_is_begun() -> None:
    gate = Gate()

    async def waiting(turn: Turn) -> AsyncIterator[Said]:
        await gate.enter()
        yield str(turn.session)

    server = server_of(agent_handler(waiting))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(functools.partial(asked, server, conversation="conv_1"))
        await gate.arrived.wait()
        second = await asked(server, conversation="conv_1", background=True)
        assert second.json["status"] == "in_progress"
        gate.open()


async def test_users_do_not_share_a_conversation() -> None:
    server = server_of(agent_handler(counting))
    for user in ("a", "b"):
        answer = await asked(server, {"x-agent-user-isolation-key": user}, conversation="conv_1")
        assert text_in(answer) == "Turn 1"


async def test_sessions_on_the_store_of_the_server_survive_a_restart(tmp_path: Path) -> None:
    previous: dict[str, Any] = {}
    for turn in range(1, 4):
        store = SqliteStore(tmp_path / "responses.db")
        server = ResponsesServer(store=store)
        server.response_handler(agent_handler(counting, sessions=Sessions(ResponseSessionStore(store))))
        async with server.lifespan():
            answer = await asked(server, **previous)
            assert text_in(answer) == f"Turn {turn}"
            previous = {"previous_response_id": id_in(answer)}
        await store.aclose()


async def test_a_websocket_goes_on_from_what_was_not_stored() -> None:
    async with connected(server_of(agent_handler(counting))) as connection:
        previous: dict[str, str] = {}
        for turn in range(1, 4):
            await connection.send(store=False, **previous)
            response = (await connection.answer())[-1]["response"]
            assert response["output"][0]["content"][0]["text"] == f"Turn {turn}"
            previous = {"previous_response_id": response["id"]}


async def test_the_session_is_kept_before_the_response_is_told_to_be_completed() -> None:
    """Who has read the end can go on from it at once."""
    gate, pieces = Gate(), list[bytes]()
    handler = agent_handler(counting, sessions=Sessions(BrokenSessionStore(gates={"set": gate})))
    reply = await server_of(handler).handle(request_for({"input": "hi", "stream": True}))

    async def read() -> None:
        assert not isinstance(reply.body, bytes)
        async with aclosing(reply.body) as body:
            async for piece in body:
                pieces.append(piece)  # it is looked into while it grows

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await gate.arrived.wait()
        await anyio.wait_all_tasks_blocked()
        assert b"response.output_text.delta" in b"".join(pieces)
        assert b"response.completed" not in b"".join(pieces)
        gate.open()
    assert b"response.completed" in b"".join(pieces)


@pytest.mark.parametrize("broken", ["get", "set"])
async def test_a_session_store_that_fails_is_told(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    handler = agent_handler(counting, sessions=Sessions(BrokenSessionStore(broken={broken})))
    answer = await asked(server_of(handler), conversation="conv_1", stream=True)
    check_stream(answer)
    response = answer.events[-1]["response"]
    assert (response["status"], response["error"]["code"]) == ("failed", "storage_error")
    assert "broken" not in answer.body.decode()
    assert f"{broken} is broken" in caplog.text
    assert handler.sessions._making == {}


async def test_a_session_that_is_not_json_fails_the_turn(caplog: pytest.LogCaptureFixture) -> None:
    async def agent(turn: Turn) -> AsyncIterator[Said]:
        turn.session = {"messages": [object()]}
        yield "hi"

    answer = await asked(server_of(agent_handler(agent)), stream=True)
    check_stream(answer)
    assert answer.events[-1]["response"]["error"]["code"] == "server_error"
    assert "session.messages[0]" in caplog.text


# How a turn breaks off.


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("break", {"code": "server_error", "message": "An internal server error occurred."}),
        ("refuse", {"code": "rate_limit_exceeded", "message": "Ask later."}),
    ],
)
async def test_a_failure_keeps_what_was_said_and_tells_only_what_it_may(
    what: str, error: dict[str, str], stream: bool
) -> None:
    server = server_of(agent_handler(speaking))
    answer = await asked(server, input=what, stream=stream, conversation="conv_1")
    response = answer.events[-1]["response"] if stream else answer.json
    if stream:
        check_stream(answer)
    assert (response["status"], response["error"]) == ("failed", error)
    assert response["output"][0]["content"][0]["text"] == "Hello"
    assert "secret" not in answer.body.decode()
    after = await asked(server, conversation="conv_1")
    assert text_in(after) == "Hello"
    # The next turn can go on from either.
    assert text_in(await asked(server, previous_response_id=response["id"])) == "Hello"


async def test_a_client_that_leaves_in_the_middle_leaves_a_session() -> None:
    handler = agent_handler(speaking)
    server = server_of(handler)
    async with server.lifespan():
        reply = await server.handle(request_for({"input": "wait", "stream": True, "response_id": id_of("a")}))
        assert not isinstance(reply.body, bytes)
        async for piece in reply.body:
            if b'"lo"' in piece:
                break
        await reply.body.aclose()
        while (await ask(server, method="GET", path=f"/v1/responses/{id_of('a')}")).status != 200:
            await anyio.sleep(0)
        answer = await ask(server, method="GET", path=f"/v1/responses/{id_of('a')}")
        assert answer.json["status"] == "cancelled"
        assert await state_of(handler, SessionAnchor(id_of("a"), "snapshot")) == KEPT
        later = await asked(server, previous_response_id=id_of("a"))
        assert text_in(later) == "Hello"


async def test_a_background_run_that_is_cancelled_leaves_a_session() -> None:
    has_spoken = anyio.Event()

    async def agent(turn: Turn) -> AsyncIterator[Said]:
        async with aclosing(speaking(turn)) as pieces:
            async for piece in pieces:
                yield piece
                if piece == "lo":
                    has_spoken.set()

    handler = agent_handler(agent)
    server = server_of(handler, cancel_grace_seconds=0.01)
    async with server.lifespan():
        await asked(server, input="wait", background=True, response_id=id_of("a"), conversation="conv_1")
        await has_spoken.wait()
        answer = await ask(server, path=f"/v1/responses/{id_of('a')}/cancel")
        assert answer.json["status"] == "cancelled"
        assert await state_of(handler, SessionAnchor("conv_1", "head")) == KEPT
        assert text_in(await asked(server, conversation="conv_1")) == "Hello"
    assert handler.sessions._making == {}


@pytest.mark.parametrize("pieces", range(12))
async def test_wherever_a_client_leaves_nothing_is_left_open(pieces: int) -> None:
    """H21.36."""
    opened, closed = 0, 0

    async def agent(turn: Turn) -> AsyncIterator[Said]:
        nonlocal opened, closed
        opened += 1
        turn.session = "asked"
        try:
            for piece in ("Hel", "lo"):
                await anyio.lowlevel.checkpoint()
                yield piece
        finally:
            turn.session = "left"
            closed += 1
            await anyio.lowlevel.checkpoint()

    handler = agent_handler(agent)
    events = handler.respond({"input": "hi", "conversation": "conv_1", "model": "m"}, response_id="resp_1")
    with anyio.CancelScope() as scope:
        async for _ in events:
            pieces -= 1
            if pieces < 0:
                if opened:
                    scope.cancel()
                break
        await events.aclose()
    assert opened == closed
    assert handler.sessions._making == {}
    expected = None if not opened else "left"
    assert await state_of(handler, SessionAnchor("conv_1", "head")) == expected


# The real client.


@contextmanager
def client_of(handler: AgentHandler, backend: str) -> Iterator[openai.OpenAI]:
    with anyio.from_thread.start_blocking_portal(backend) as portal:
        serving, port = portal.start_task(functools.partial(serve_async, server_of(handler), port=0))
        with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="-", max_retries=0, timeout=30) as client:
            yield client
        serving.cancel()


def test_three_turns_and_two_branches_over_a_socket(anyio_backend: str) -> None:
    with client_of(agent_handler(counting), anyio_backend) as client:

        def ask(previous: str | None = None) -> tuple[str, str]:
            with client.responses.stream(model="m", input="hi", previous_response_id=previous or openai.omit) as stream:
                response = stream.get_final_response()
            return response.id, response.output_text

        first, said = ask()
        second, said_2 = ask(first)
        branch, said_2b = ask(first)
        _, said_3 = ask(second)
        _, said_3b = ask(branch)
        assert [said, said_2, said_2b, said_3, said_3b] == ["Turn 1", "Turn 2", "Turn 2", "Turn 3", "Turn 3"]
        answers = [client.responses.create(model="m", input="hi", conversation="conv_1") for _ in range(3)]
        assert [answer.output_text for answer in answers] == ["Turn 1", "Turn 2", "Turn 3"]


def test_a_client_that_leaves_over_a_socket_leaves_a_session(anyio_backend: str) -> None:
    kept = threading.Event()

    class Telling(MemorySessionStore):
        async def set(self, key: SessionKey, state: bytes) -> None:
            await super().set(key, state)
            kept.set()

    with client_of(agent_handler(speaking, sessions=Sessions(Telling())), anyio_backend) as client:
        with client.responses.create(model="m", input="wait", stream=True) as events:
            for event in events:
                if event.type == "response.created":
                    left = event.response.id
                if event.type == "response.output_text.delta" and event.delta == "lo":
                    break
        assert kept.wait(30)
        while True:
            with contextlib.suppress(openai.NotFoundError):
                client.responses.retrieve(left)
                break
        later = client.responses.create(model="m", input="hi", previous_response_id=left)
        assert later.output_text == "Hello"
