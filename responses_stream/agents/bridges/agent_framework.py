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

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

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
    AgentExecutor,
    AgentMiddlewareLayer,
    AgentResponse,
    AgentResponseUpdate,
    AgentSession,
    ChatMiddlewareLayer,
    Content,
    FunctionTool,
    InMemoryHistoryProvider,
    Message,
    RawAgent,
    ResponseStream,
    SupportsAgentRun,
    SwitchCaseEdgeGroup,
    ToolTypes,
    Workflow,
    WorkflowAgent,
    WorkflowExecutor,
    normalize_tools,
)
from agent_framework.exceptions import AgentContentFilterException, ChatClientContentFilterException

from responses_stream.agents.bridges.agent_framework_chat import (
    ChatRequests,
    chat_options,
    declared,
    names_of,
    own_names,
)
from responses_stream.agents.bridges.agent_framework_course import CUT
from responses_stream.agents.bridges.agent_framework_events import UpdateReader
from responses_stream.agents.bridges.agent_framework_input import Waiting, messages_of
from responses_stream.agents.bridges.apart import apart
from responses_stream.agents.bridges.asked import functions_of, plain, wants_sealed
from responses_stream.agents.contents import Incomplete, Said
from responses_stream.agents.handler import AgentHandler, agent_handler
from responses_stream.agents.hooks import Hooks
from responses_stream.agents.rendering import ToolCalls
from responses_stream.agents.sessions import Sessions
from responses_stream.agents.target import AgentState, Target
from responses_stream.agents.turn import Turn

__all__ = ["bridge"]

_Served: TypeAlias = SupportsAgentRun | Workflow


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
    content filter makes it incomplete. What a failed or abandoned run has said and done so far is kept in the history
    of the session, where that is the framework's own `InMemoryHistoryProvider`.

    Args:
        agent: the agent, a workflow, or what makes one. One instance of a workflow runs one turn at a time; give a
            factory as ``AgentState(make, cached=False)`` for one of each turn.
        options: makes chat options that are set besides, and before, those of the request.
        client_tools: whether the model may call the functions among the request's `tools`, for the client to run. A
            tool of the agent goes before one of the same name.
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
        own = self.options(turn) if self.options is not None and isinstance(agent, RawAgent) else {}
        own_tools = normalize_tools(own.get("tools"))
        tools = declared(functions_of(asked), own_names(agent) | names_of(own_tools)) if self.client_tools else []
        further = _further(agent, asked, own, [*own_tools, *tools] if tools else [])
        reader = UpdateReader(
            waiting,
            live=not tools and _runs_all(agent, own_tools),
            sealed=wants_sealed(asked),
            at_once=isinstance(agent, WorkflowAgent) and _branches(agent.workflow),
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
            left = reader.waiting
            if not reader.whole:
                _keep(agent, session, before, messages, reader)
                left = Waiting()
            turn.session = {"session": session.to_dict(), "waiting": attrs.asdict(left)}


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


def _further(
    agent: SupportsAgentRun, asked: Mapping[str, Any], own: Mapping[str, Any], tools: Sequence[ToolTypes]
) -> dict[str, Any]:
    """Return what else a run is given: options, where *own* ones go before those that were *asked* for, and *tools*."""
    further: dict[str, Any] = {"tools": tools} if tools and isinstance(agent, RawAgent | WorkflowAgent) else {}
    if isinstance(agent, RawAgent):
        options = chat_options(asked)
        further["options"] = {**options, **own}
        # Others would hand a middleware on to their service.
        if isinstance(agent, AgentMiddlewareLayer) and isinstance(agent.client, ChatMiddlewareLayer):
            further["middleware"] = [ChatRequests("tool_choice" in options.keys() - own.keys())]
    return further


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
    """Put a run that broke off into the history of its session, with a result for each call that is open in it.

    The framework writes it or not, depending on which of its layers sees the stream being closed; what it writes may
    have calls without results, which services refuse from then on.
    """
    for provider in getattr(agent, "context_providers", ()):
        if isinstance(provider, InMemoryHistoryProvider):
            history = before.get(provider.source_id, ())
            waited = _open_calls([*history, *asked])
            results = [Content.from_function_result(call, result=reader.results.get(call, CUT)) for call in waited]
            closing = [Message("tool", results)] if results else []
            state = session.state.setdefault(provider.source_id, {})
            state["messages"] = [*history, *closing, *asked, *reader.course.messages()]


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


def _runs_all(agent: SupportsAgentRun, further: Sequence[ToolTypes]) -> bool:
    """Tell whether the agent runs each tool it has itself, and asks nobody; so for those that it has *further*."""
    if not isinstance(agent, RawAgent) or agent.mcp_tools:
        return False
    # Others may bring tools of their own.
    if not all(isinstance(provider, InMemoryHistoryProvider) for provider in agent.context_providers):
        return False
    tools = [*(agent.default_options.get("tools") or ()), *further]
    return all(
        isinstance(tool, FunctionTool) and not tool.declaration_only and tool.approval_mode == "never_require"
        for tool in tools
    )


def _branches(workflow: Workflow) -> bool:
    """Tell whether several executors of *workflow* may run at the same time."""
    groups = [group for group in workflow.edge_groups if not isinstance(group, SwitchCaseEdgeGroup)]
    sources = [edge.source_id for group in groups for edge in group.edges]
    return len(set(sources)) < len(sources) or any(_branches(inner) for inner in _inner(workflow))


def _inner(workflow: Workflow) -> Iterator[Workflow]:
    for executor in workflow.get_executors_list():
        if isinstance(executor, WorkflowExecutor):
            yield executor.workflow
        elif isinstance(executor, AgentExecutor) and isinstance(executor.agent, WorkflowAgent):
            yield executor.agent.workflow
