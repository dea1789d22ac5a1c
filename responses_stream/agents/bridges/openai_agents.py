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

from agents import Agent, RunConfig, Runner, RunState
from agents.exceptions import (
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    ModelRefusalError,
    OutputGuardrailTripwireTriggered,
    ToolInputGuardrailTripwireTriggered,
    ToolOutputGuardrailTripwireTriggered,
)
from agents.run_config import CallModelData, ModelInputData, ToolErrorFormatterArgs
from openai import APIError, RateLimitError

from responses_stream.agents.bridges.apart import apart
from responses_stream.agents.bridges.asked import functions_of, instructions_of, plain
from responses_stream.agents.bridges.openai_agents_equipment import Equipment, is_of_client, named
from responses_stream.agents.bridges.openai_agents_events import Call, Translation, call_id_of
from responses_stream.agents.bridges.openai_agents_input import (
    AskedOutput,
    answered,
    input_items,
    model_settings,
)
from responses_stream.agents.bridges.openai_agents_memory import Answers, Memory
from responses_stream.agents.bridges.openai_agents_usage import Spending
from responses_stream.agents.contents import Incomplete, Refusal, Said
from responses_stream.agents.handler import AgentHandler, agent_handler
from responses_stream.agents.hooks import Hooks
from responses_stream.agents.rendering import RunFailed, ToolCalls
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
        # Who answers a call need not offer the tool again.
        offered = {tool["name"]: tool for tool in [*memory.tools, *functions_of(turn.run.options)]}
        tools = list(offered.values()) if self.client_tools else []
        equipment = self._equipment(turn, tools, answers)
        speaker = equipment.of(named(root, memory.agent))
        if answers.any:
            run_input: RunState[Any] | list[Any] = await memory.resumed(speaker, answers)
        else:
            run_input = answered([*memory.items, *input_items(turn.run.messages)])
        failed: set[str] = set()
        result = Runner.run_streamed(
            speaker,
            run_input,
            context=None if self.context is None else self.context(turn),
            max_turns=self.max_turns,
            run_config=self._config(turn, failed),
        )
        said = Translation(
            speaker,
            {call_id: Call(name, arguments) for call_id, name, arguments in memory.calls if answers.any},
            failed,
            equipment.worked,
            refused={call_id for call_id, (approved, _) in answers.approvals.items() if not approved},
            silent=memory.functions if answers.any else (),
            spending=Spending(result.context_wrapper),
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
                if not is_of_client(interruption.agent, interruption.name)
            }
            left = Memory.after(result, speaker.name, requests, said.known, tools)
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
        except Exception as error:
            if said.stopped is not None:
                yield said.stopped
            elif said.failure == "rate_limit_exceeded" or _is_rate_limit(error):
                message = "The model is asked too often just now; try again later."
                raise RunFailed("rate_limit_exceeded", message) from error
            else:
                raise
        finally:
            if left is None:
                unheard = [*answers.items(), *run_input.pending_input] if isinstance(run_input, RunState) else []
                left = Memory.broken(result, said.lost(result), unheard)
            turn.session = left.as_session()
            if not result.is_complete:
                result.cancel()
            await events.aclose()

    def _equipment(self, turn: Turn, tools: list[dict[str, Any]], answers: Answers) -> Equipment:
        options, base = turn.run.options, self.run_config.model_settings
        return Equipment(
            tools,
            answers.outputs,
            AskedOutput.of(options),
            plain(options.get("tool_choice")),
            None if base is None else base.tool_choice,
        )

    def _config(self, turn: Turn, failed: set[str]) -> RunConfig:
        base, asked = self.run_config, instructions_of(turn.run.options)
        settings = model_settings(turn.run.options)
        if base.model_settings is not None:
            settings = base.model_settings.resolve(settings)
        if turn.run.options.get("tool_choice") is not None:
            # Each agent has its own; and what is set here, agents that are run as tools get as well.
            settings = dataclasses.replace(settings, tool_choice=None)

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
            model_settings=settings,
            call_model_input_filter=base.call_model_input_filter if asked is None else with_instructions,
            tool_error_formatter=noting_failures,
        )


def _check(agent: object) -> None:
    if not isinstance(agent, Agent):
        raise InvalidType("agent", "an Agent of openai-agents, or what makes one", agent)


def _is_rate_limit(error: Exception) -> bool:
    # A quota that is spent has the same status; to wait is of no use then, and the account is none of the client's.
    if not isinstance(error, APIError) or error.code == "insufficient_quota":
        return False
    return isinstance(error, RateLimitError) or error.code == "rate_limit_exceeded"
