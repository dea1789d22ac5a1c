"""`bridge(agent)`: an agent of `openai-agents` as a handler.

    from agents import Agent
    from responses_stream import ResponsesServer
    from responses_stream.agents.bridges.openai_agents import bridge

    server = ResponsesServer()
    server.response_handler(bridge(Agent(name="Tutor", instructions="Explain the sky.", model="gpt-5")))

Each turn is a streamed run of the framework. What it has said is kept in the session in the framework's own form
(`to_input_list`), with the agent that spoke last; a run that waits for an approval, or for the client's answer to a
call, is kept as a `RunState`. The framework knows asyncio only, and so does this bridge.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, Final

import attrs

try:
    import agents as framework
except ModuleNotFoundError as missing:
    if missing.name != "agents":
        raise
    raise ImportError(
        "this bridge needs openai-agents; pip install 'responses-stream[openai-agents]'", name="agents"
    ) from missing

from agents import Agent, CustomTool, RunConfig, Runner
from agents.exceptions import (
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    ModelRefusalError,
    OutputGuardrailTripwireTriggered,
    ToolInputGuardrailTripwireTriggered,
    ToolOutputGuardrailTripwireTriggered,
)
from agents.run_config import CallModelData, ModelInputData, ToolErrorFormatterArgs
from agents.tool_context import ToolContext

from responses_stream.agents.bridges.apart import apart
from responses_stream.agents.bridges.asked import functions_of, instructions_of
from responses_stream.agents.bridges.openai_agents_events import Call, Translation, call_id_of
from responses_stream.agents.bridges.openai_agents_input import (
    AskedOutput,
    answered,
    input_items,
    model_settings,
    tools_of_client,
)
from responses_stream.agents.bridges.openai_agents_memory import Answers, Memory, named
from responses_stream.agents.contents import Incomplete, Refusal, Said
from responses_stream.agents.handler import AgentHandler, agent_handler
from responses_stream.agents.hooks import Hooks
from responses_stream.agents.rendering import ToolCalls
from responses_stream.agents.sessions import Sessions
from responses_stream.agents.target import AgentState, Target
from responses_stream.agents.turn import Turn
from responses_stream.errors import InvalidType
from responses_stream.protocol.ids import new_item_id

__all__ = ["bridge"]

_TRIPWIRES: Final = (
    InputGuardrailTripwireTriggered,
    OutputGuardrailTripwireTriggered,
    ToolInputGuardrailTripwireTriggered,
    ToolOutputGuardrailTripwireTriggered,
)


def bridge(
    agent: Target[Agent[Any]] | AgentState[Agent[Any]],
    *,
    sessions: Sessions | None = None,
    hooks: Hooks | None = None,
    model: str | None = None,
    tool_calls: ToolCalls = "hosted",
    response_id_factory: Callable[[str | None], str] | None = None,
    run_config: RunConfig | None = None,
    context: Callable[[Turn], Any] | None = None,
    max_turns: int | None = framework.run.DEFAULT_MAX_TURNS,
    client_tools: bool = False,
    tripwire: Said = Incomplete("content_filter"),  # noqa: B008  # frozen
) -> AgentHandler:
    """Return a handler that runs *agent*.

    Args:
        agent: what answers. After a hand-off, the next turn goes to the agent that spoke last.
        sessions, hooks, model, tool_calls, response_id_factory: as for `agent_handler`.
        run_config: as for `Runner.run_streamed`. What the request asks for goes before its model settings.
        context: makes the context object of a run. It is not kept: a run that goes on gets a new one.
        max_turns: how often the model may be asked in one turn; beyond, the response is incomplete (``max_turns``).
        client_tools: whether the functions in the `tools` of a request are offered to the model, for the client to run.
        tripwire: what is said where a guardrail trips, such as ``Refusal("I cannot help with that.")``. The turn is
            not remembered.

    Raises:
        InvalidType: *agent* is nothing of that.
    """
    state: AgentState[Agent[Any]] = AgentState.of(agent)
    with suppress(RuntimeError):  # it is not there yet
        _check(state.target)
    bridged = _Bridged(state, run_config or RunConfig(), context, max_turns, client_tools, tripwire)
    return agent_handler(
        bridged.speak,
        sessions=sessions,
        hooks=hooks,
        model=model,
        tool_calls=tool_calls,
        response_id_factory=response_id_factory,
    )


@attrs.frozen(eq=False)
class _Bridged:
    state: AgentState[Agent[Any]]
    run_config: RunConfig
    context: Callable[[Turn], Any] | None
    max_turns: int | None
    client_tools: bool
    tripwire: Said

    async def speak(self, turn: Turn) -> AsyncGenerator[Said, None]:
        asyncio.get_running_loop()  # raises where there is another one, before the framework begins anything
        memory = Memory.of(turn.session)
        if memory is None:
            memory = Memory(input_items(await turn.get_history()))
        answers = Answers.of(turn.run.messages, memory)
        root = await self.state.resolve()
        _check(root)
        agent = named(root, memory.agent)
        tools = self._tools(agent, turn, memory)
        failed: set[str] = set()
        worked: set[str] = set()
        speaker = _equipped(agent, turn, tools, answers, worked)
        if answers.any:
            run_input: Any = await memory.resumed(speaker, answers)
        else:
            run_input = answered([*memory.items, *input_items(turn.run.messages)])
        result = Runner.run_streamed(
            speaker,
            run_input,
            context=None if self.context is None else self.context(turn),
            max_turns=self.max_turns,
            run_config=self._config(turn, failed),
        )
        clients = {tool["name"] for tool in tools}
        known = {call_id: Call(name, arguments) for call_id, name, arguments in memory.calls}
        said = Translation(
            speaker,
            clients,
            known if answers.any else {},
            failed,
            worked,
            refused={call_id for call_id, (approved, _) in answers.approvals.items() if not approved},
            silent=set(answers.outputs),
        )
        left: Memory | None = None
        events = apart(result.stream_events())
        try:
            async for event in events:
                for content in said.said(event):
                    yield content
            requests = {
                call_id_of(interruption.raw_item): new_item_id("mcp_approval_request", turn.response_id)
                for interruption in result.interruptions
                if interruption.name not in clients
            }
            left = Memory.after(result, speaker.name, requests, tools)
            for content in said.ending(result, requests):
                yield content
        except _TRIPWIRES:
            left = memory
            yield self.tripwire
        except ModelRefusalError as refused:
            left = Memory.broken(result, refused.refusal)
            if refused.refusal.startswith(said.refusal) and refused.refusal != said.refusal:
                yield Refusal(refused.refusal.removeprefix(said.refusal))
        except MaxTurnsExceeded:
            yield Incomplete("max_turns")
        except Exception:
            if said.stopped is None:
                raise
            yield said.stopped
        finally:
            turn.session = (left or Memory.broken(result, said.text)).as_session()
            if not result.is_complete:
                result.cancel()
            await events.aclose()

    def _tools(self, agent: Agent[Any], turn: Turn, memory: Memory) -> list[dict[str, Any]]:
        """Return the definitions of the functions that the client runs; the agent's own tools win."""
        if not self.client_tools:
            return []
        taken = {tool.name for tool in agent.tools}
        # Who answers a call need not offer the tool again.
        tools = {tool["name"]: tool for tool in [*memory.tools, *functions_of(turn.run.options)]}
        return [tool for name, tool in tools.items() if name not in taken]

    def _config(self, turn: Turn, failed: set[str]) -> RunConfig:
        base, asked = self.run_config, instructions_of(turn.run.options)
        settings = model_settings(turn.run.options)

        async def with_instructions(data: CallModelData[Any]) -> ModelInputData:
            given = data.model_data
            if base.call_model_input_filter is not None:
                filtered = base.call_model_input_filter(data)
                given = await filtered if inspect.isawaitable(filtered) else filtered
            both = [text for text in (given.instructions, asked) if text]
            return ModelInputData(input=given.input, instructions="\n\n".join(both))

        def noting_failures(failure: ToolErrorFormatterArgs[Any]) -> Any:
            # The model is told what was raised, and the client is not.
            if failure.kind == "tool_exception":
                failed.add(failure.call_id)
            return None if base.tool_error_formatter is None else base.tool_error_formatter(failure)

        return dataclasses.replace(
            base,
            model_settings=settings if base.model_settings is None else base.model_settings.resolve(settings),
            call_model_input_filter=base.call_model_input_filter if asked is None else with_instructions,
            tool_error_formatter=noting_failures,
        )


def _check(agent: object) -> None:
    if not isinstance(agent, Agent):
        raise InvalidType("agent", "an Agent of openai-agents, or what makes one", agent)


def _equipped(
    agent: Agent[Any], turn: Turn, tools: list[dict[str, Any]], answers: Answers, worked: set[str]
) -> Agent[Any]:
    """Return *agent* with what the request adds to it: functions that the client runs, and the form of the output.

    Nothing tells of a custom tool that it raised, so those that did not are noted in *worked*.
    """
    changes: dict[str, Any] = {}
    if tools or any(isinstance(tool, CustomTool) for tool in agent.tools):
        own = [_noting(tool, worked) if isinstance(tool, CustomTool) else tool for tool in agent.tools]
        changes["tools"] = [*own, *tools_of_client(tools, answers.outputs)]
    if agent.output_type is None and (asked := AskedOutput.of(turn.run.options)) is not None:
        changes["output_type"] = asked
    return agent.clone(**changes) if changes else agent


def _noting(tool: CustomTool, worked: set[str]) -> CustomTool:
    async def invoked(context: ToolContext[Any], text: str) -> Any:
        output = tool.on_invoke_tool(context, text)
        output = await output if inspect.isawaitable(output) else output
        worked.add(context.tool_call_id)
        return output

    return dataclasses.replace(tool, on_invoke_tool=invoked)
