"""`bridge(graph)`: a graph of `langgraph`, an agent or a chat model of `langchain`, as a handler.

    from langchain.agents import create_agent
    from responses_stream import ResponsesServer
    from responses_stream.agents.bridges.langgraph import bridge

    server = ResponsesServer()
    server.response_handler(bridge(create_agent("openai:gpt-5", tools=[weather])))

A graph has to keep its messages under ``messages``, as `create_agent` and `MessagesState` do, or be told how with
*to_state* and *from_update*. What was said is kept in the session, as messages of LangChain; where the graph has a
checkpointer, the session only says at which checkpoint of the graph it ended. Both run on asyncio only.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final, TypeAlias

try:
    import langchain_core  # noqa: F401
    import langgraph  # noqa: F401
except ModuleNotFoundError as missing:
    if missing.name not in ("langchain_core", "langgraph"):
        raise
    raise ImportError(
        f"this bridge needs {missing.name}; pip install 'responses-stream[langgraph]'", name=missing.name
    ) from missing

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import StateGraph
from langgraph.pregel.protocol import PregelProtocol

from responses_stream.agents.bridges.langgraph_graphs import GraphRuns
from responses_stream.agents.bridges.langgraph_models import ModelRuns
from responses_stream.agents.contents import Said
from responses_stream.agents.handler import AgentHandler, agent_handler
from responses_stream.agents.hooks import Hooks
from responses_stream.agents.rendering import RunFailed, ToolCalls
from responses_stream.agents.sessions import Sessions
from responses_stream.agents.target import AgentState, Target
from responses_stream.agents.turn import Turn
from responses_stream.errors import InvalidType

__all__ = ["Graph", "bridge"]

_TOO_MANY_REQUESTS: Final = 429
_TRY_LATER: Final = "A service that the agent needs is asked too often just now; try again later."

Graph: TypeAlias = Runnable[Any, Any] | StateGraph[Any, Any, Any, Any]
"""What can be bridged: a graph, compiled or not, a chat model, or whatever can be run with messages."""


def bridge(
    agent: Target[Graph] | AgentState[Graph],
    *,
    sessions: Sessions | None = None,
    hooks: Hooks | None = None,
    model: str | None = None,
    tool_calls: ToolCalls = "hosted",
    response_id_factory: Callable[[str | None], str] | None = None,
    config: RunnableConfig | Callable[[Turn], RunnableConfig] | None = None,
    context: Callable[[Turn], Any] | None = None,
    to_state: Callable[[Turn], Any] | None = None,
    from_update: Callable[[Mapping[str, Any]], Iterable[Said]] | None = None,
    nodes: Collection[str] | None = None,
    subgraphs: bool = True,
    client_tools: bool = False,
) -> AgentHandler:
    """Return a handler that runs *agent*.

    Args:
        agent: a graph, a chat model, or another runnable that takes messages.
        sessions, hooks, model, tool_calls, response_id_factory: as for `agent_handler`.
        config: of each run, such as its `recursion_limit`; beyond that the response is incomplete (``max_turns``).
        context: makes the context of a run, for graphs with a `context_schema`.
        to_state: makes the input of a graph whose state has no messages.
        from_update: says what the nodes of the graph have updated, by their names; then nothing else of it is said.
        nodes: the nodes whose messages are shown; None for all.
        subgraphs: whether the messages of subgraphs are shown while they come. What a tool asks a model, or another
            agent, is never shown.
        client_tools: whether the model may call the functions among the request's `tools`, for the client to run. A
            chat model is given them; the nodes of a graph find them in their config. Tools of the graph win.

    Raises:
        InvalidType: *agent* is nothing of that.
    """
    state: AgentState[Graph] = AgentState.of(agent)
    with suppress(RuntimeError):  # it is not there yet
        _check(state.target)
    graphs = GraphRuns(config, context, to_state, from_update, nodes, subgraphs, client_tools)
    models = ModelRuns(config, to_state, client_tools)

    async def speak(turn: Turn) -> AsyncGenerator[Said, None]:
        target = await state.resolve()
        _check(target)
        if isinstance(target, StateGraph):
            target = target.compile()
        said = graphs.speak(target, turn) if isinstance(target, PregelProtocol) else models.speak(target, turn)
        try:
            async with aclosing(said):
                async for content in said:
                    yield content
        except Exception as error:
            if _is_refused_for_now(error):
                raise RunFailed("rate_limit_exceeded", _TRY_LATER) from error
            raise

    return agent_handler(
        speak,
        sessions=sessions,
        hooks=hooks,
        model=model,
        tool_calls=tool_calls,
        response_id_factory=response_id_factory,
    )


def _is_refused_for_now(error: Exception) -> bool:
    """Whether a service answered that it is asked too often: each client says it in one of these ways."""
    places = [error, getattr(error, "response", None)]
    told = [getattr(place, name, None) for place in places for name in ("status_code", "code")]
    # A quota that is spent has the same status; to wait is of no use then, and the account is none of the client's.
    return "insufficient_quota" not in told and (_TOO_MANY_REQUESTS in told or "rate_limit_exceeded" in told)


def _check(agent: object) -> None:
    if not isinstance(agent, Runnable | StateGraph):
        raise InvalidType("agent", "a graph of langgraph, a runnable of langchain, or what makes one", agent)
