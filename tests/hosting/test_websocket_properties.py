"""Any turns in any order, and any bytes: a small model of the memory knows which continuation works (W3 to W9)."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any, Final, Literal, TypeAlias

import anyio
import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, ResponsesServerOptions, lifecycle
from responses_stream.hosting import websocket_memory
from responses_stream.protocol.conversions import get_input_text

from .asking import ask
from .connecting import LIMIT, Connection, Message, check, connect, echoing, types
from .gates import quiet

Kind: TypeAlias = Literal["well", "failed", "error", "error first", "stray", "range"]

MOST_HELD: Final = 3
OPTIONS: Final = ResponsesServerOptions(cancel_grace_seconds=1000, shutdown_grace_period_seconds=0.001)
TOLD: Final[dict[str, list[str]]] = {
    "well": ["response.created", "response.in_progress", "response.completed"],
    "failed": ["response.created", "response.failed"],
    "error": ["response.created", "error", "response.failed"],
    "error first": ["error"],
}
CHEAP: Final = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
MANY: Final = settings(CHEAP, max_examples=300)


@attrs.frozen
class Turn:
    """A `response.create`; *previous* counts back from the newest response that the client knows of."""

    kind: Kind
    store: bool
    previous: int | None


@attrs.frozen
class Delete:
    """A `DELETE` over HTTP of a response, counted likewise."""

    which: int


@attrs.frozen
class Reconnect:
    """The client leaves, and comes again."""


@attrs.frozen
class Junk:
    """What is no message."""

    message: str | bytes


@attrs.frozen
class End:
    """How the connection ends while a turn is in flight, and how many turns wait then."""

    how: Literal["close", "drain", "shut down", "grow old"]
    waiting: int


BACK: Final = st.integers(0, 6)
KINDS: Final[st.SearchStrategy[Kind]] = st.sampled_from(
    ["well", "well", "well", "failed", "error", "error first", "stray", "range"]
)
TURNS: Final = st.builds(Turn, kind=KINDS, store=st.booleans(), previous=st.none() | BACK)
STEPS: Final = st.lists(
    st.lists(TURNS, min_size=1, max_size=3)
    | st.builds(Delete, BACK)
    | st.just(Reconnect())
    | st.builds(Junk, st.sampled_from(["{", "[]", b"{}", '{"type":"x"}'])),
    min_size=3,
    max_size=12,
)
ENDS: Final = st.builds(End, st.sampled_from(["close", "drain", "shut down", "grow old"]), st.integers(0, 2))


@attrs.define
class Model:
    """What a connection and the store have to know, by the id of the response, as the labels of its inputs."""

    held: OrderedDict[str, tuple[bool, list[str]]] = attrs.field(factory=OrderedDict)
    stored: dict[str, list[str]] = attrs.field(factory=dict)
    deleted: set[str] = attrs.field(factory=set)

    def before(self, previous: str | None, store: bool) -> list[str] | None:
        """Return what comes before a turn; None where the previous response is not to be found."""
        if previous is None:
            return []
        kept = previous in self.stored and previous not in self.deleted
        if previous in self.held:
            stored, labels = self.held[previous]
            return labels if kept or not stored else None
        return self.stored[previous] if store and kept else None

    def ends(self, turn: Turn, label: str, id: str, before: list[str], previous: str | None) -> None:
        if turn.store:
            self.stored[id] = [*self.stored.get(previous or "", []), label]
        if turn.kind == "error":
            self.held.pop(previous or "", None)
            return
        self.held[id] = (turn.store, [*before, label])
        while len(self.held) > MOST_HELD:
            self.held.popitem(last=False)


@attrs.define
class Player:
    """Plays steps on a server, and compares each answer with the model."""

    server: ResponsesServer
    connection: Connection
    model: Model = attrs.field(factory=Model)
    ids: list[str] = attrs.field(factory=list)
    count: int = 0

    def id_of(self, back: int | None) -> str | None:
        if back is None:
            return None
        return self.ids[-1 - back] if back < len(self.ids) else "resp_" + "0" * 50

    async def play(self, steps: list[Any]) -> None:
        for step in steps:
            if isinstance(step, list):
                # All are sent ahead, so that each waits for those before it (W4).
                sent = [(turn, self.id_of(turn.previous), await self.send(turn)) for turn in step]
                for turn, previous, label in sent:
                    self.judge(turn, label, previous, await self.connection.answer())
            elif isinstance(step, Delete):
                await self.delete(str(self.id_of(step.which)))
            elif isinstance(step, Reconnect):
                await self.reconnect()
            else:
                await self.connection.send_raw(step.message)
                error = await self.connection.get()
                assert (error["type"], error["status"]) == ("error", 400)

    async def send(self, turn: Turn) -> str:
        self.count += 1
        label = f"{turn.kind.replace(' ', '-')}-{self.count}"
        stray = {"type": "function_call_output", "call_id": "none", "output": "1"}
        user: dict[str, object] = {"role": "user", "content": label}
        members: dict[str, object] = {"input": [user, stray] if turn.kind == "stray" else [user]}
        if turn.kind == "range":
            members["temperature"] = 9
        await self.connection.send(store=turn.store, previous_response_id=self.id_of(turn.previous), **members)
        return label

    def judge(self, turn: Turn, label: str, previous: str | None, told: list[Message]) -> None:
        before = self.model.before(previous, turn.store)
        code = None
        if turn.kind == "range":
            code = "invalid_request"
        elif before is None:
            code = "previous_response_not_found"
        elif turn.kind == "stray" and previous is not None:
            code = "invalid_request"
        if code is not None:
            [error] = told
            assert (error["type"], error["status"], error["error"]["code"]) == ("error", 400, code)
            self.model.held.pop(previous or "", None)
            return
        assert before is not None
        assert types(told) == TOLD["well" if turn.kind == "stray" else turn.kind]
        assert [message["sequence_number"] for message in told] == [*range(len(told))]
        assert sum(message["type"] in lifecycle.TERMINAL for message in told) == (turn.kind != "error first")
        if turn.kind == "error first":
            self.model.held.pop(previous or "", None)
            return
        response = told[-1]["response"]
        assert response["metadata"] == {"before": " ".join(before)}
        self.ids.append(response["id"])
        self.model.ends(turn, label, response["id"], before, previous)

    async def delete(self, which: str) -> None:
        answer = await ask(self.server, method="DELETE", path=f"/v1/responses/{which}")
        there = which in self.model.stored and which not in self.model.deleted
        assert answer.status == (200 if there else 404)
        self.model.deleted.add(which)

    async def reconnect(self) -> None:
        await self.connection.session.aclose()
        check(self.connection.said)
        self.connection = await connect(self.server)
        self.model.held.clear()

    async def end(self, end: End) -> None:
        """End the connection while a turn waits in its handler: all that were sent are answered, or nobody is there."""
        for label in ("wait", *["well"] * end.waiting):
            await self.connection.send(input=label, store=False)
        created = await self.connection.get()
        assert created["type"] == "response.created"
        if end.how == "close":
            await self.connection.session.aclose()
            assert await self.connection.rest() == []
            return
        async with anyio.create_task_group() as tasks:
            if end.how == "grow old":
                self.connection.grow_old()
            else:
                tasks.start_soon(self.server.drain if end.how == "drain" else self.server.aclose)
            told = await self.connection.rest()
        old = end.how == "grow old"
        assert self.connection.session.close_code == (1000 if old else 1001)
        error, failed, *further = told
        codes = (LIMIT, LIMIT) if old else ("server_shutting_down", "service_unavailable")
        assert (error["error"]["code"], failed["response"]["error"]["code"]) == (codes[0], codes[0])
        assert [one["error"]["code"] for one in further] == [codes[1]] * end.waiting
        await self.connection.session.aclose()
        check(self.connection.said)


def serving() -> ResponsesServer:
    """A server that tells the labels before each turn as metadata, and does what its input says."""
    server = ResponsesServer(options=OPTIONS)

    @server.response_handler
    async def handler(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream, label = context.stream(), await context.get_input_text()
        labels = filter(None, (get_input_text([item]) for item in await context.get_history()))
        stream.response.metadata = {"before": " ".join(labels)}
        if label.startswith("error-first"):
            raise ZeroDivisionError
        yield stream.emit_created()
        if label.startswith("wait"):
            await anyio.sleep_forever()
        if label.startswith("error"):
            raise ZeroDivisionError
        if label.startswith("failed"):
            yield stream.emit_failed()
            return
        yield stream.emit_in_progress()
        yield stream.emit_completed()

    return server


async def play(steps: list[Any], end: End) -> None:
    server = serving()
    async with server.lifespan():
        await quiet()
        before = len(anyio.get_running_tasks())
        player = Player(server, await connect(server))
        host = server._host()
        before_end = len(anyio.get_running_tasks())
        with anyio.fail_after(20):
            await player.play(steps)
            await quiet()
            assert (len(host.runs), len(host.sessions)) == (0, 1)
            assert len(anyio.get_running_tasks()) == max(before, before_end)
            await player.end(end)
            await quiet()
        assert (len(host.runs), len(host.sessions)) == (0, 0)


@pytest.fixture(autouse=True)
def few_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short program is to see how the oldest is forgotten."""
    monkeypatch.setattr(websocket_memory, "MOST_HELD", MOST_HELD)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@CHEAP
@given(steps=STEPS, end=ENDS)
def test_any_turns_in_any_order(backend: str, steps: list[Any], end: End) -> None:
    anyio.run(play, steps, end, backend=backend)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@MANY
@given(steps=STEPS, end=ENDS)
def test_many_turns_in_any_order(backend: str, steps: list[Any], end: End) -> None:
    anyio.run(play, steps, end, backend=backend)


# Anything at all

SCALARS: Final = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
VALUES: Final = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
MEMBERS: Final = st.sampled_from(
    [
        "input",
        "model",
        "stream",
        "store",
        "background",
        "previous_response_id",
        "conversation",
        "metadata",
        "tools",
        "tool_choice",
        "temperature",
        "response_id",
        "stream_id",
        "generate",
        "type",
        "reasoning",
        "text",
        "acme",
    ]
)
CREATES: Final = st.dictionaries(MEMBERS, VALUES, max_size=4).map(
    lambda members: json.dumps({"type": "response.create", "input": "hi", **members})
)
CUT: Final = st.tuples(CREATES, st.integers(0, 60), st.text(max_size=3)).map(
    lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] :]
)
ANYTHING: Final = st.lists(
    CREATES | CUT | VALUES.map(json.dumps) | st.text(max_size=20) | st.binary(max_size=20), min_size=1, max_size=6
)


async def fuzz(messages: list[str | bytes]) -> None:
    server = echoing()
    connection = await connect(server)
    for message in messages:
        await connection.send_raw(message)
    for _ in messages:
        await connection.answer()
    check(connection.said)
    [*_, last] = await connection.turn(store=False)
    assert last["type"] == "response.completed"
    await connection.session.aclose()
    await quiet()
    assert (len(server._host().runs), len(server._host().sessions)) == (0, 0)
    await server.aclose()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@CHEAP
@given(messages=ANYTHING)
def test_any_message_has_one_answer_and_the_connection_stays(backend: str, messages: list[str | bytes]) -> None:
    """W9, W10."""
    anyio.run(fuzz, messages, backend=backend)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(MANY, max_examples=1000)
@given(messages=ANYTHING)
def test_any_message_at_all(backend: str, messages: list[str | bytes]) -> None:
    """W9, W10."""
    anyio.run(fuzz, messages, backend=backend)
