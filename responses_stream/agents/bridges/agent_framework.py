"""Serve an agent of the Microsoft Agent Framework: `bridge(agent)` is a handler.

    from agent_framework import Agent
    from responses_stream import ResponsesServer
    from responses_stream.agents.bridges.agent_framework import bridge

    app = ResponsesServer()
    app.response_handler(bridge(Agent(client, instructions="Be brief.")))

Each turn is one run of the agent on an `AgentSession`, which is kept from turn to turn. A workflow is served as its
`as_agent()`. Needs asyncio, as the framework does.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

try:
    import agent_framework  # noqa: F401 - asked for by name, to tell what is missing
except ModuleNotFoundError as error:
    if error.name != "agent_framework":
        raise
    raise ImportError(
        "this bridge needs agent-framework-core; pip install 'responses-stream[agent-framework]'", name=error.name
    ) from error

from agent_framework import (
    AgentResponse,
    AgentResponseUpdate,
    AgentSession,
    Content,
    FunctionTool,
    InMemoryHistoryProvider,
    Message,
    RawAgent,
    ResponseStream,
    SupportsAgentRun,
    Workflow,
    WorkflowAgent,
)
from agent_framework.exceptions import AgentContentFilterException, ChatClientContentFilterException

from responses_stream.agents.bridges.agent_framework_events import UpdateReader
from responses_stream.agents.bridges.agent_framework_input import Waiting, messages_of
from responses_stream.agents.bridges.apart import apart
from responses_stream.agents.bridges.asked import functions_of, instructions_of, plain, wants_sealed
from responses_stream.agents.contents import Incomplete, Said
from responses_stream.agents.handler import AgentHandler, agent_handler
from responses_stream.agents.hooks import Hooks
from responses_stream.agents.rendering import ToolCalls
from responses_stream.agents.sessions import Sessions
from responses_stream.agents.target import AgentState, Target
from responses_stream.agents.turn import Turn

__all__ = ["bridge"]

_Served: TypeAlias = SupportsAgentRun | Workflow

_CUT: Final = "The call was cut short before it had a result."

_RENAMED: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_tokens",
    "parallel_tool_calls": "allow_multiple_tool_calls",
}
_SCHEMA: Final = ("name", "description", "schema", "strict")


def bridge(
    agent: Target[_Served] | AgentState[_Served],
    *,
    options: Callable[[Turn], Mapping[str, Any]] | None = None,
    client_tools: bool = False,
    sessions: Sessions | None = None,
    hooks: Hooks | None = None,
    model: str | None = None,
    tool_calls: ToolCalls = "hosted",
    response_id_factory: Callable[[str | None], str] | None = None,
) -> AgentHandler:
    """Make a handler of an agent or a workflow of the Microsoft Agent Framework.

    Text and thoughts are streamed, the agent's own functions are told as `mcp_call` items with their results. What
    waits for the client comes to it: calls of functions that are only declared as `function_call`, approvals as
    `mcp_approval_request`; the next request answers with `function_call_output` or `mcp_approval_response`.

    Of the request, these reach the chat client of an `Agent`: `temperature`, `top_p`, `max_output_tokens`,
    `parallel_tool_calls`, `instructions` (besides the agent's own), `tool_choice`, and a JSON schema in `text.format`
    as `response_format`.

    An error that the service says, or that the run raises, fails the response, and its text goes to the log only; a
    content filter makes it incomplete. What a failed or abandoned run has said so far is kept in the history of the
    session, where that is the framework's own `InMemoryHistoryProvider`.

    Args:
        agent: the agent, a workflow, or what makes one. One instance of a workflow runs one turn at a time; give a
            factory as ``AgentState(make, cached=False)`` for one of each turn.
        options: makes chat options that are set besides, and before, those of the request.
        client_tools: whether the model may call the functions among the request's `tools`, for the client to run.
        sessions, hooks, model, tool_calls, response_id_factory: as `agent_handler` has them.
    """
    return agent_handler(
        _Speaker(AgentState.of(agent), options, client_tools).speak,
        sessions=sessions,
        hooks=hooks,
        model=model,
        tool_calls=tool_calls,
        response_id_factory=response_id_factory,
    )


@attrs.frozen(eq=False)
class _Speaker:
    agent: AgentState[_Served]
    options: Callable[[Turn], Mapping[str, Any]] | None
    client_tools: bool

    async def speak(self, turn: Turn) -> AsyncGenerator[Said, None]:
        served = await self.agent.resolve()
        agent = served.as_agent() if isinstance(served, Workflow) else served
        asked = plain(turn.run.options)
        session, waiting = _left(turn, agent)
        items = turn.run.messages if turn.session is not None else [*await turn.get_history(), *turn.run.messages]
        messages = messages_of(items, waiting)
        tools = _declared(functions_of(asked)) if self.client_tools else []
        further: dict[str, Any] = {"tools": tools} if tools and isinstance(agent, RawAgent | WorkflowAgent) else {}
        if isinstance(agent, RawAgent):
            own = self.options(turn) if self.options is not None else {}
            further["options"] = {**_chat_options(asked), **own}
        reader = UpdateReader(
            waiting,
            live=not tools and _runs_all(agent),
            sealed=wants_sealed(asked),
        )
        stream: ResponseStream[AgentResponseUpdate, AgentResponse[Any]]
        stream = agent.run(messages, stream=True, session=session, **further)
        before = {source: state["messages"] for source, state in session.state.items() if "messages" in state}
        told = apart(_told(stream, reader))
        try:
            async for said in told:
                yield said
        finally:
            await told.aclose()
            if not reader.whole:
                _keep(agent, session, before, messages, reader)
            turn.session = {"session": session.to_dict(), "waiting": attrs.asdict(reader.waiting)}


async def _told(
    stream: ResponseStream[AgentResponseUpdate, AgentResponse[Any]], reader: UpdateReader
) -> AsyncGenerator[Said, None]:
    try:
        async for update in stream:
            for said in reader.read(update):
                yield said
        # The framework writes its history when the final response is made.
        await stream.get_final_response()
        reader.whole = True
        yield reader.usage
        for said in reader.end():
            yield said
    except Exception as error:
        yield reader.usage
        if not isinstance(error, AgentContentFilterException | ChatClientContentFilterException):
            raise
        yield Incomplete("content_filter")
    finally:
        await stream.close()


def _left(turn: Turn, agent: SupportsAgentRun) -> tuple[AgentSession, Waiting]:
    """Return the session that the turn goes on with, and what waits in it."""
    if isinstance(turn.session, dict):
        return AgentSession.from_dict(turn.session["session"]), Waiting(**turn.session["waiting"])
    return agent.create_session(), Waiting()


def _keep(
    agent: SupportsAgentRun,
    session: AgentSession,
    before: Mapping[str, Sequence[Message]],
    asked: Sequence[Message],
    reader: UpdateReader,
) -> None:
    """Put a run that broke off into the history of its session, with a result for each call that waited.

    The framework writes it or not, depending on which of its layers sees the stream being closed; what it writes may
    have calls without results, which services refuse from then on.
    """
    for provider in getattr(agent, "context_providers", ()):
        if isinstance(provider, InMemoryHistoryProvider):
            history = before.get(provider.source_id, ())
            waited = _open_calls([*history, *asked])
            results = [Content.from_function_result(call, result=reader.results.get(call, _CUT)) for call in waited]
            closing = [Message("tool", results)] if results else []
            state = session.state.setdefault(provider.source_id, {})
            state["messages"] = [*history, *closing, *asked, *reader.said]


def _open_calls(messages: Iterable[Message]) -> list[str]:
    """Return the ids of the calls that have no result."""
    waiting: dict[str, None] = {}
    for message in messages:
        for content in message.contents:
            if content.type == "function_call" and content.call_id:
                waiting[content.call_id] = None
            elif content.type == "function_result" and content.call_id:
                waiting.pop(content.call_id, None)
    return list(waiting)


def _runs_all(agent: SupportsAgentRun) -> bool:
    """Tell whether the agent runs each tool it has itself, and asks nobody."""
    if not isinstance(agent, RawAgent) or agent.mcp_tools:
        return False
    # Others may bring tools of their own.
    if not all(isinstance(provider, InMemoryHistoryProvider) for provider in agent.context_providers):
        return False
    tools = agent.default_options.get("tools") or ()
    return all(
        isinstance(tool, FunctionTool) and not tool.declaration_only and tool.approval_mode == "never_require"
        for tool in tools
    )


def _chat_options(asked: Mapping[str, Any]) -> dict[str, Any]:
    options = {theirs: asked[name] for name, theirs in _RENAMED.items() if name in asked}
    if (instructions := instructions_of(asked)) is not None:
        options["instructions"] = instructions
    match asked.get("tool_choice"):
        case "auto" | "none" | "required" as mode:
            options["tool_choice"] = mode
        case {"type": "function", "name": str(name)}:
            options["tool_choice"] = {"mode": "required", "required_function_name": name}
        case {"type": "allowed_tools", "mode": mode, "tools": list(tools)}:
            names = [tool["name"] for tool in tools if tool.get("type") == "function"]
            options["tool_choice"] = {"mode": mode, "allowed_tools": names}
    form = (asked.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        options["response_format"] = {
            "type": "json_schema",
            "json_schema": {name: form[name] for name in _SCHEMA if form.get(name) is not None},
        }
    return options


def _declared(tools: Sequence[Mapping[str, Any]]) -> list[FunctionTool]:
    return [
        FunctionTool(
            name=tool["name"],
            description=tool.get("description") or "",
            func=None,
            input_model=tool.get("parameters") or {"type": "object", "properties": {}},
        )
        for tool in tools
    ]
