"""`agent_handler`: an agent as a handler of a server, or for a route of one's own; with sessions and hooks.

The agent is a function of a `Turn`; bridges make such functions of the agents of frameworks. The handler reads the
request, finds the session, lets the agent speak, and makes events of what it says.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, ClassVar, Protocol, get_args, runtime_checkable

import attrs
import msgspec

from responses_stream.agents.hooks import Hooks
from responses_stream.agents.isolation import partition_of_keys
from responses_stream.agents.reading_input import run_input
from responses_stream.agents.rendering import ToolCalls
from responses_stream.agents.running import AgentRun, TurnEvents
from responses_stream.agents.sessions import Sessions
from responses_stream.agents.turn import Agent, HasKeys, Isolation, RunContext, RunInput, Turn
from responses_stream.builders import values
from responses_stream.builders.events import AsyncEvents
from responses_stream.builders.stream import ResponseEventStream
from responses_stream.errors import DecodeError, InvalidType, InvalidValue
from responses_stream.guarding import guarded
from responses_stream.protocol.codec import decode_as, from_json
from responses_stream.protocol.conversions import get_conversation_id
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.ids import new_response_id
from responses_stream.protocol.items import ItemReference
from responses_stream.protocol.request import CreateResponse, given

__all__ = ["AgentHandler", "agent_handler"]


@runtime_checkable
class _Streams(Protocol):
    def stream(self) -> ResponseEventStream: ...


@attrs.frozen(eq=False)
class AgentHandler:
    """An agent that answers requests. It is called by a server as any handler; `respond` is for routes of one's own.

    Made by `agent_handler`.

    Attributes:
        agent: what speaks.
        sessions: what it remembers from turn to turn.
        hooks: what runs around a turn.
        model: what its responses name as their model; None for what the request names, or else what the agent says.
        tool_calls: how the tools that it runs itself look to a client, as for `render_stream`.
        response_id_factory: makes the id of a response from the id that it continues, or None, for `respond` (H21.6).
        cancelled_at_once: tells a server that there is no use in a grace: an agent does not look at a signal, and what
            it has said is kept in any case.
    """

    cancelled_at_once: ClassVar[bool] = True

    agent: Agent
    sessions: Sessions = attrs.field(factory=Sessions)
    hooks: Hooks = attrs.field(factory=Hooks)
    model: str | None = None
    tool_calls: ToolCalls = "hosted"
    response_id_factory: Callable[[str | None], str] | None = None

    async def __call__(self, request: CreateResponse, context: RunContext) -> AsyncGenerator[ResponseStreamEvent, None]:
        """Answer a request of a server: yield the events of the response.

        References in the input are replaced by the items that they name. An input that cannot be read, and a failure
        that the agent tells with `RunFailed`, is told to the client.

        Raises:
            Exception: whatever the agent or a hook raised; the server tells the client that it failed, and no more.
        """
        stream = (
            context.stream()
            if isinstance(context, _Streams)
            else ResponseEventStream(context.response_id, request=request)
        )
        read_input: Callable[[], Awaitable[RunInput]] | None = None
        try:
            run = _run_input(request)
            if any(isinstance(message, ItemReference) for message in run.messages):
                read_input = functools.partial(_resolved, request, context)
        except (DecodeError, InvalidType, InvalidValue) as error:
            run, read_input = _without_input(request), functools.partial(_refused, error)
        turn = Turn(
            run=run,
            response_id=context.response_id,
            request=request,
            isolation=Isolation(context.isolation.user_key, context.isolation.chat_key),
            previous_response_id=given(request.previous_response_id) or None,
            conversation_id=get_conversation_id(request) or None,
            history=context.get_history,
        )
        async with self._run(turn, stream, read_input).events() as events:
            async for event in events:
                yield event

    def respond(
        self,
        body: CreateResponse | Mapping[str, Any] | bytes | str,
        *,
        response_id: str | None = None,
        isolation: HasKeys | None = None,
    ) -> AsyncEvents:
        """Return the events that answer a request, for a route of one's own: numbered, and always ended in order.

        `responses_stream.encode_stream` makes a body of them, `accumulate` one `ResponseObject`. There is no server, so
        `Turn.get_history` is empty, and what a reference names is not looked up.

        Args:
            body: of the request.
            response_id: the id of the response; None for one that `response_id_factory` makes, or else a new one in
                the partition of what it continues.
            isolation: whose request it is, as the application has found out: an `Isolation`, or an `Identity`. Sessions
                of others are not seen.

        Raises:
            DecodeError, InvalidType, InvalidValue: the body is no request; nothing was begun, so a 400 can answer it.
        """
        run, request = run_input(body), _request_of(body)
        anchor = run.session.id if run.session is not None else None
        if response_id is None and self.response_id_factory is not None:
            response_id = self.response_id_factory(anchor)
        elif response_id is None:
            response_id = new_response_id(anchor)
        turn = Turn(
            run=run,
            response_id=values.name("response_id", response_id),
            request=request,
            isolation=Isolation() if isolation is None else Isolation(isolation.user_key, isolation.chat_key),
            previous_response_id=given(request.previous_response_id) or None,
            conversation_id=get_conversation_id(request) or None,
        )
        return guarded(_entered(self._run(turn, ResponseEventStream(response_id, request=request)).events()))

    def _run(
        self, turn: Turn, stream: ResponseEventStream, read_input: Callable[[], Awaitable[RunInput]] | None = None
    ) -> AgentRun:
        session = self.sessions.turn(
            turn.run.session,
            turn.response_id,
            partition_of_keys(turn.isolation),
            store=given(turn.request.store) is not False,
        )
        return AgentRun(
            agent=self.agent,
            turn=turn,
            stream=stream,
            session=session,
            hooks=self.hooks,
            model=self.model or given(turn.request.model) or None,
            tool_calls=self.tool_calls,
            read_input=read_input,
        )


def agent_handler(
    agent: Agent,
    *,
    sessions: Sessions | None = None,
    hooks: Hooks | None = None,
    model: str | None = None,
    tool_calls: ToolCalls = "hosted",
    response_id_factory: Callable[[str | None], str] | None = None,
) -> AgentHandler:
    """Return *agent* as a handler.

    Args:
        agent: an async generator function of a `Turn` that yields what it says, or a function that returns it.
        sessions: what it remembers from turn to turn; None for sessions in the memory of this process.
        hooks: what runs around a turn.
        model: what its responses name as their model; None for what the request names, or else what the agent says.
        tool_calls: how the tools that it runs itself look to a client, as for `render_stream`.
        response_id_factory: makes the id of a response from the id that it continues, or None, for
            `AgentHandler.respond` (H21.6). A server makes the ids of its responses itself.

    Raises:
        InvalidType: *agent* is no function, or a generator that is not async, which would hold up all other turns while
            it works; or another argument does not fit.
        InvalidValue: *tool_calls* is none of its values.
    """
    given_agent: object = agent
    if not callable(given_agent) or isinstance(given_agent, type):
        raise InvalidType("agent", "a function of a Turn; the agents of frameworks have bridges", agent)
    if any(inspect.isgeneratorfunction(one) for one in (agent, getattr(agent, "__call__", None))):  # noqa: B004
        raise InvalidType(
            "agent", "an async generator; write `async def`, since a plain one holds up all other turns", agent
        )
    for name, value, kind in (("sessions", sessions, Sessions), ("hooks", hooks, Hooks)):
        if value is not None and not isinstance(value, kind):
            raise InvalidType(name, f"{kind.__name__}, or None", value)
    if model is not None:
        values.name("model", model)
    values.choice("tool_calls", tool_calls, *get_args(ToolCalls))
    return AgentHandler(
        agent,
        Sessions() if sessions is None else sessions,
        Hooks() if hooks is None else hooks,
        model,
        tool_calls,
        response_id_factory,
    )


def _run_input(request: CreateResponse) -> RunInput:
    # A server lets an empty list through (H8.16n): there is nothing new, and the agent goes on from what it has.
    return run_input(request if request.input else msgspec.structs.replace(request, input=msgspec.UNSET))


def _without_input(request: CreateResponse) -> RunInput:
    try:
        return run_input(msgspec.structs.replace(request, input=msgspec.UNSET))
    except (DecodeError, InvalidType, InvalidValue):
        return RunInput(())  # it does not say in one way what it goes on from


async def _refused(error: Exception) -> RunInput:
    raise error


async def _entered(events: TurnEvents) -> AsyncGenerator[ResponseStreamEvent, None]:
    async with events:
        async for event in events:
            yield event


async def _resolved(request: CreateResponse, context: RunContext) -> RunInput:
    """Return what is asked, with the items that references name in their places."""
    items = await context.get_input_items(resolve_references=True)
    return _run_input(msgspec.structs.replace(request, input=list(items)))


def _request_of(body: CreateResponse | Mapping[str, Any] | bytes | str) -> CreateResponse:
    if isinstance(body, CreateResponse):
        return body
    return decode_as(from_json(body) if isinstance(body, bytes | str) else dict(body), CreateResponse)
