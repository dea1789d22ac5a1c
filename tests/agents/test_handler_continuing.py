"""Whatever has become of a response: who continues it hears an agent that remembers it. Over real sockets."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import anyio
import attrs
import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent

from responses_stream import MemoryStore, accumulate
from responses_stream.agents.contents import Result, Said
from responses_stream.agents.handler import agent_handler
from responses_stream.agents.hooks import text_of
from responses_stream.agents.response_sessions import ResponseSessionStore
from responses_stream.agents.session_stores import MemorySessionStore, SessionStore
from responses_stream.agents.sessions import Sessions
from responses_stream.agents.turn import Turn
from responses_stream.protocol.conversions import get_input_text

from ..hosting.staging import Gate
from .bridges.serving import Serving, serving
from .remembering import BrokenSessionStore

pytestmark = pytest.mark.anyio


@attrs.define(eq=False)
class Listener:
    """An agent that repeats what it has heard. Asked for something long, it goes on when its gate is opened, and when
    it is left, its clean-up lasts until another one is."""

    sessions: Sessions = attrs.field(factory=Sessions)
    goes_on: Gate = attrs.field(factory=Gate)
    cleans_up: Gate = attrs.field(factory=Gate)

    async def __call__(self, turn: Turn) -> AsyncGenerator[Said, None]:
        turn.session = heard = [*(turn.session or []), get_input_text(turn.run.messages)]
        yield ", ".join(heard)
        if heard[-1] == "long":
            try:
                await self.goes_on.enter()
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await self.cleans_up.enter()
                heard.append("(left)")
                raise


@attrs.frozen(eq=False)
class Talk:
    """A server of a listener, and its client."""

    served: Serving
    agent: Listener

    def say(self, text: str, **options: Any) -> Response:
        response = self.served.client.responses.create(model="m", input=text, **options)
        assert isinstance(response, Response)
        return response

    @contextmanager
    def begin(self, text: str, **options: Any) -> Iterator[tuple[str, Iterator[ResponseStreamEvent]]]:
        """Ask for a stream, and give the id of its response and the rest of it."""
        stream = self.served.client.responses.create(model="m", input=text, stream=True, **options)
        with cast("openai.Stream[ResponseStreamEvent]", stream) as events:
            for event in events:
                if event.type == "response.created":
                    break
            assert event.type == "response.created"
            yield event.response.id, iter(events)

    def leave(self, text: str, **options: Any) -> str:
        """Ask for a stream, and leave it where the agent has said something."""
        with self.begin(text, **options) as (response_id, events):
            assert any(event.type == "response.output_text.delta" for event in events)
        return response_id

    def open(self, gate: Gate) -> None:
        self.served.wait_for(gate.arrived.wait)
        self.served.portal.call(gate.open)

    def heard_after(self, gate: Gate, response_id: str) -> str:
        """Go on from a response, open the gate when that has begun, and return what the agent has heard."""
        with self.begin("who am I?", previous_response_id=response_id) as (_, events):
            self.open(gate)
            return "".join(event.delta for event in events if event.type == "response.output_text.delta")


@contextmanager
def talking(backend: str, store: SessionStore | None = None) -> Iterator[Talk]:
    agent = Listener(Sessions(store or MemorySessionStore()))
    with serving(agent_handler(agent, sessions=agent.sessions), backend=backend) as served:
        try:
            yield Talk(served, agent)
        finally:
            for gate in (agent.goes_on, agent.cleans_up):
                served.portal.call(gate.open)
    assert agent.sessions._making == {}


@pytest.mark.parametrize("make", [MemorySessionStore, lambda: ResponseSessionStore(MemoryStore())])
def test_stop_and_go_on_at_once(make: Callable[[], SessionStore], anyio_backend: str) -> None:
    with talking(anyio_backend, make()) as talk:
        first = talk.say("I am Ann")
        left = talk.leave("long", previous_response_id=first.id)
        assert talk.heard_after(talk.agent.cleans_up, left) == "I am Ann, long, (left), who am I?"


def test_a_background_run_is_waited_for(anyio_backend: str) -> None:
    with talking(anyio_backend) as talk:
        first = talk.say("I am Ann")
        running = talk.say("long", previous_response_id=first.id, background=True)
        assert talk.heard_after(talk.agent.goes_on, running.id) == "I am Ann, long, who am I?"


def test_a_background_run_that_is_cancelled_is_remembered(anyio_backend: str) -> None:
    with talking(anyio_backend) as talk:
        running = talk.say("long", background=True)
        talk.served.wait_for(talk.agent.goes_on.arrived.wait)
        talk.served.portal.call(talk.agent.cleans_up.open)  # the cancel waits for that
        assert talk.served.client.responses.cancel(running.id).status == "cancelled"
        assert talk.say("who am I?", previous_response_id=running.id).output_text == "long, (left), who am I?"


@pytest.mark.parametrize("what", ["previous_response_id", "conversation"])
def test_one_that_was_left_while_it_waited_has_what_it_waited_for(what: str, anyio_backend: str) -> None:
    with talking(anyio_backend) as talk:
        running = talk.say("long", background=True, conversation="conv_1")
        waits_for = running.id if what == "previous_response_id" else "conv_1"
        with talk.begin("never mind", extra_body={what: waits_for}) as (waiting, _):
            pass
        assert talk.heard_after(talk.agent.goes_on, waiting) == "long, who am I?"
        assert talk.say("and now?", conversation="conv_1").output_text == "long, and now?"


@pytest.mark.parametrize("broken", ["set", "get"])
def test_after_a_storage_error_it_goes_on(broken: str, anyio_backend: str) -> None:
    store = BrokenSessionStore()
    with talking(anyio_backend, store) as talk:
        first = talk.say("I am Ann")
        store.broken.add(broken)
        failed = talk.say("two", previous_response_id=first.id)
        assert failed.error
        assert str(failed.error.code) == "storage_error"
        store.broken.clear()
        heard = "I am Ann, two, three" if broken == "set" else "I am Ann, three"
        assert talk.say("three", previous_response_id=failed.id).output_text == heard


def test_after_a_request_that_cannot_be_read_it_goes_on(anyio_backend: str) -> None:
    with talking(anyio_backend) as talk:
        first = talk.say("I am Ann")
        message = {"role": "user", "content": [{"type": "input_file"}]}
        failed = talk.say("", extra_body={"input": [message]}, previous_response_id=first.id)
        assert failed.error
        assert failed.error.code == "invalid_prompt"
        assert talk.say("two", previous_response_id=failed.id).output_text == "I am Ann, two"


def test_an_agent_whose_session_is_lost_can_make_it_from_the_history(anyio_backend: str) -> None:
    """The agent of docs/sessions.md."""

    async def steadfast(turn: Turn) -> AsyncGenerator[Said, None]:
        if turn.session is None:
            asked = [item for item in await turn.get_history() if getattr(item, "role", None) == "user"]
            turn.session = [get_input_text([item]) for item in asked]
        turn.session.append(get_input_text(turn.run.messages))
        yield f"You have said: {', '.join(turn.session)}"

    sessions = Sessions()
    with serving(agent_handler(steadfast, sessions=sessions), backend=anyio_backend) as served:
        first = served.client.responses.create(model="m", input="one")
        second = served.client.responses.create(model="m", input="two", previous_response_id=first.id)
        assert second.output_text == "You have said: one, two"
        served.portal.call(sessions.reset, second.id)
        third = served.client.responses.create(model="m", input="three", previous_response_id=second.id)
        assert third.output_text == "You have said: one, two, three"


# On a route of one's own.


async def heard(handler: Any, text: str, **body: object) -> str:
    response = accumulate([event async for event in handler.respond({"input": text, **body}, response_id=f"r_{text}")])
    return text_of(Result(response.output))


async def test_events_that_are_closed_before_the_agent_was_asked_keep_the_chain() -> None:
    agent = Listener()
    handler = agent_handler(agent, sessions=agent.sessions)
    assert await heard(handler, "one") == "one"
    body = {"input": "two", "model": "m", "previous_response_id": "r_one"}
    unread = handler.respond(body, response_id="r_unread")
    await unread.aclose()
    events = handler.respond(body, response_id="r_two")
    async for event in events:
        if event.type == "response.created":
            break
    await events.aclose()
    assert agent.sessions._making == {}
    assert await heard(handler, "three", previous_response_id="r_two") == "one, three"


async def test_a_session_that_is_lost_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    agent = Listener()
    handler = agent_handler(agent, sessions=agent.sessions)
    with caplog.at_level(logging.WARNING, "responses_stream"):
        assert await heard(handler, "one", previous_response_id="r_lost") == "one"
    assert "no session of r_lost was found, so r_one began without it" in caplog.text


async def test_an_agent_that_goes_on_from_its_own_turn_is_told(caplog: pytest.LogCaptureFixture) -> None:
    inner: list[str] = []

    async def asks_itself(turn: Turn) -> str:
        if turn.previous_response_id is None:
            events = handler.respond({"input": "hi", "previous_response_id": turn.response_id}, response_id="r_2")
            inner.extend([event.type async for event in events])
        return "ok"

    handler = agent_handler(asks_itself)
    with anyio.fail_after(10):
        assert await heard(handler, "hi") == "ok"
    assert inner == ["error"]
    assert "each would wait for the other" in caplog.text


async def test_an_agent_cannot_reset_the_conversation_of_its_own_turn() -> None:
    async def resets(turn: Turn) -> str:
        assert turn.conversation_id
        with pytest.raises(RuntimeError, match="within the turn"):
            await sessions.reset(turn.conversation_id)
        return "ok"

    sessions = Sessions()
    with anyio.fail_after(10):
        assert await heard(agent_handler(resets, sessions=sessions), "hi", conversation="conv_1") == "ok"
    await sessions.reset("conv_1")
    assert sessions._making == {}
