"""Serve an agent of pydantic-ai: `bridge(agent)` is a handler.

    from pydantic_ai import Agent
    from responses_stream import ResponsesServer
    from responses_stream.agents.bridges.pydantic_ai import bridge

    app = ResponsesServer()
    app.response_handler(bridge(Agent("openai:gpt-5.2")))

Each turn is one run of the agent, on the messages that the turn before has left. Needs asyncio, as pydantic-ai does.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from types import UnionType
from typing import Any, Final, TypeAlias, Union, cast, get_args, get_origin

import anyio
import attrs

try:
    import pydantic_ai
except ModuleNotFoundError as error:
    if error.name != "pydantic_ai":
        raise
    raise ImportError(
        "this bridge needs pydantic-ai; pip install 'responses-stream[pydantic-ai]'", name=error.name
    ) from error

from pydantic_ai import (
    DeferredToolRequests,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    ModelSettings,
    NativeOutput,
    PromptedOutput,
    SystemPromptPart,
    TextOutput,
)
from pydantic_ai.agent import AbstractAgent, AgentRunEvents
from pydantic_ai.capabilities import ReinjectSystemPrompt
from pydantic_ai.exceptions import (
    AgentRunError,
    ContentFilterError,
    IncompleteToolCall,
    ModelContextWindowExceededError,
    ModelRateLimitError,
    UsageLimitExceeded,
    UserError,
)
from pydantic_ai.models import Model
from pydantic_ai.output import OutputSpec, StructuredDict
from pydantic_ai.run import AgentRunResultEvent
from pydantic_ai.usage import UsageLimits

from responses_stream.agents.bridges.asked import functions_of, instructions_of, plain, wants_sealed
from responses_stream.agents.bridges.pydantic_ai_events import RunReader, usage_of
from responses_stream.agents.bridges.pydantic_ai_input import asked, messages_of
from responses_stream.agents.bridges.pydantic_ai_tools import ClientTools, external_tools
from responses_stream.agents.contents import Incomplete, Said, Update
from responses_stream.agents.handler import AgentHandler, agent_handler
from responses_stream.agents.hooks import Hooks
from responses_stream.agents.rendering import RunFailed, ToolCalls
from responses_stream.agents.sessions import Sessions
from responses_stream.agents.target import AgentState, Target
from responses_stream.agents.turn import Turn
from responses_stream.protocol.ids import new_item_id

__all__ = ["bridge"]

# Any agent, whatever its dependencies and its output are.
_AnyAgent: TypeAlias = AbstractAgent[Any, Any]

# Up to 2.66 there was only one kind of it.
_OUT_OF_TOKENS: Final[type[AgentRunError]] = getattr(
    pydantic_ai.exceptions, "OutputTokenLimitExceeded", IncompleteToolCall
)

_PATIENCE: Final = 10.0
"""Seconds that a run has to let go of its model when nobody listens any more."""

_WHOLE_SETTINGS: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_tokens",
    "parallel_tool_calls": "parallel_tool_calls",
}
_EFFORTS: Final = frozenset({"minimal", "low", "medium", "high", "xhigh", "max"})
_TIERS: Final = frozenset({"auto", "default", "flex", "priority"})


def bridge(
    agent: Target[_AnyAgent] | AgentState[_AnyAgent],
    *,
    deps: Callable[[Turn], object] | None = None,
    usage_limits: UsageLimits | None = None,
    client_tools: bool = False,
    sessions: Sessions | None = None,
    hooks: Hooks | None = None,
    model: str | None = None,
    tool_calls: ToolCalls = "hosted",
    response_id_factory: Callable[[str | None], str] | None = None,
) -> AgentHandler:
    """Make a handler of an agent of pydantic-ai.

    Text and thoughts are streamed, the agent's own tools are told as `mcp_call` items with their results, structured
    output as its JSON. What the agent defers comes to the client: calls as `function_call`, approvals as
    `mcp_approval_request`; the next request answers with `function_call_output` or `mcp_approval_response`. For that,
    `DeferredToolRequests` has to be among the agent's output types.

    Of the request, these reach the model: `temperature`, `top_p`, `max_output_tokens`, `parallel_tool_calls`,
    `service_tier`, `reasoning.effort`, `instructions` (besides the agent's own), `tool_choice` (for the first request
    of the run, so that the agent can come to an end), and `text.format` where the agent's output is plain text.

    A limit that was reached is told: that of tokens as `response.incomplete`, those of *usage_limits* as a failure with
    the code ``usage_limit_exceeded``. A failed or abandoned run leaves what it came to for the next turn.

    Args:
        agent: the agent, or what makes one.
        deps: makes the dependencies of a run; may be async.
        usage_limits: what one turn may spend.
        client_tools: whether the model may call the functions among the request's `tools`, for the client to run. A
            tool of the agent goes before one of the same name.
        sessions, hooks, model, tool_calls, response_id_factory: as `agent_handler` has them.
    """
    return agent_handler(
        _Speaker(AgentState.of(agent), deps, usage_limits, client_tools).speak,
        sessions=sessions,
        hooks=hooks,
        model=model,
        tool_calls=tool_calls,
        response_id_factory=response_id_factory,
    )


@attrs.frozen(eq=False)
class _Speaker:
    agent: AgentState[_AnyAgent]
    deps: Callable[[Turn], object] | None
    usage_limits: UsageLimits | None
    client_tools: bool

    async def speak(self, turn: Turn) -> AsyncGenerator[Said, None]:
        agent = await self.agent.resolve()
        options = plain(turn.run.options)
        provider = agent.model.system if isinstance(agent.model, Model) else None
        base, approvals = await _base(turn, provider)
        ask = asked(turn.run.messages, base, approvals, provider=provider)
        deps = self.deps(turn) if self.deps is not None else None
        if inspect.isawaitable(deps):
            deps = await deps
        history = ask.history
        if not base and any(_says_system(message) for message in history):
            # What a client says as the system must not stand in the place of what the agent's maker says.
            history = [ModelRequest(await agent.system_prompt_parts(deps=deps, prompt=ask.prompt)), *history]
        tools = external_tools(functions_of(options)) if self.client_tools else []
        outputs = list(_outputs(agent.output_type))
        reader = RunReader(
            deferring=None if DeferredToolRequests in outputs else frozenset(tool.name for tool in tools),
            answered=frozenset(ask.answered),
            sealed=wants_sealed(options),
            rewritten=any(isinstance(output, TextOutput) for output in outputs),
        )
        run = agent.run_stream_events(
            ask.prompt,
            output_type=_output_type(agent, options.get("text"), bool(tools)),
            message_history=history or None,
            deferred_tool_results=ask.results,
            instructions=instructions_of(options),
            deps=deps,
            model_settings=_settings(options),
            usage_limits=self.usage_limits,
            infer_name=False,
            capabilities=[ReinjectSystemPrompt(), ClientTools(tools=tools, choice=options.get("tool_choice"))],
        )
        yield Update((), model=_model_name(agent))
        try:
            async with aclosing(_told(run, reader, turn, approvals)) as told:
                async for said in told:
                    yield said
        except UserError as error:
            if ask.prompt is None and ask.results is None and not any(isinstance(m, ModelResponse) for m in history):
                # An answer to a call that nobody made, for one: the client's mistake, and not that of the agent.
                raise RunFailed("invalid_prompt", "There is nothing in the input for the agent to answer.") from error
            raise


async def _told(
    run: AbstractAsyncContextManager[AgentRunEvents[Any]], reader: RunReader, turn: Turn, approvals: Mapping[str, str]
) -> AsyncGenerator[Said, None]:
    """Run the agent and tell what it says; whatever happens, the messages it came to are left for the next turn.

    So are *approvals*, the calls that wait for one by the ids of the requests, until a run has ended that may have made
    them.
    """
    started: AgentRunEvents[Any] | None = None
    try:
        async with run as started:
            try:
                async for event in started:
                    if not isinstance(event, AgentRunResultEvent):
                        for said in reader.read(event):
                            yield said
                        continue
                    output = event.result.output
                    waits = output.approvals if isinstance(output, DeferredToolRequests) else ()
                    # Not every model has an id of its own for each call of a conversation.
                    approvals = {
                        new_item_id("mcp_approval_request", turn.response_id): call.tool_call_id for call in waits
                    }
                    yield usage_of(event.result.usage)
                    last = _last_response(event.result.all_messages())
                    for said in reader.end(output, last, tuple(approvals)):
                        yield said
            except AgentRunError as error:
                yield usage_of(started.usage)
                yield _limit_of(error)
            finally:
                # Also when whoever listens is cancelled, the run gets the time to write down what it came to.
                with anyio.move_on_after(_PATIENCE, shield=True):
                    await started.aclose()
    finally:
        # A run that was closed before its first step has no messages, and leaves what was there.
        if started is not None:
            with suppress(UserError):
                messages = ModelMessagesTypeAdapter.dump_python(started.all_messages(), mode="json")
                turn.session = {"messages": messages, "approvals": dict(approvals)}


def _limit_of(error: AgentRunError) -> Incomplete:
    """Return the limit that ended a run.

    Raises:
        RunFailed: it was one that is a failure, and that its client may know of.
        AgentRunError: *error*, where it was none of the client's business.
    """
    match error:
        case _ if isinstance(error, _OUT_OF_TOKENS):
            return Incomplete("max_output_tokens")
        case ContentFilterError():
            return Incomplete("content_filter")
        case UsageLimitExceeded():
            raise RunFailed("usage_limit_exceeded", "The agent has spent what one turn may spend.") from error
        case ModelRateLimitError():
            raise RunFailed("rate_limit_exceeded", "The model is asked too often just now; try again later.") from error
        case ModelContextWindowExceededError():
            raise RunFailed("context_length_exceeded", "The conversation is too long for the model.") from error
    raise error


async def _base(turn: Turn, provider: str | None) -> tuple[list[ModelMessage], Mapping[str, str]]:
    """Return what the turn goes on from, and which calls of it wait for an approval, by the ids of the requests."""
    if isinstance(turn.session, dict):
        return ModelMessagesTypeAdapter.validate_python(turn.session["messages"]), turn.session["approvals"]
    return messages_of(await turn.get_history(), provider=provider)


def _last_response(messages: Sequence[ModelMessage]) -> ModelResponse | None:
    return next((message for message in reversed(messages) if isinstance(message, ModelResponse)), None)


def _says_system(message: ModelMessage) -> bool:
    return isinstance(message, ModelRequest) and any(isinstance(part, SystemPromptPart) for part in message.parts)


def _model_name(agent: _AnyAgent) -> str | None:
    if isinstance(agent.model, Model):
        return agent.model.model_name
    return agent.model.rpartition(":")[2] if agent.model else None


def _settings(options: Mapping[str, Any]) -> ModelSettings:
    """Return the settings of the requests of a run to the model."""
    settings: dict[str, Any] = {ours: options[name] for name, ours in _WHOLE_SETTINGS.items() if name in options}
    effort = (options.get("reasoning") or {}).get("effort")
    if effort == "none":
        settings["thinking"] = False
    elif effort in _EFFORTS:
        settings["thinking"] = effort
    if options.get("service_tier") in _TIERS:
        settings["service_tier"] = options["service_tier"]
    return cast("ModelSettings", settings)


def _outputs(spec: object) -> Iterator[object]:
    """Yield each type that an agent may end with."""
    if isinstance(spec, (list, tuple)):
        for one in spec:
            yield from _outputs(one)
    elif get_origin(spec) in (Union, UnionType):
        for one in get_args(spec):
            yield from _outputs(one)
    elif isinstance(spec, (NativeOutput, PromptedOutput)):
        yield from _outputs(spec.outputs)
    else:
        yield spec


def _output_type(agent: _AnyAgent, text: Mapping[str, Any] | None, client_tools: bool) -> OutputSpec[Any] | None:
    """Return what a run ends with where the request says so; None where the agent does."""
    form = (text or {}).get("format") or {}
    output: Any = None
    # A validator of the output expects the agent's own type. Nothing public tells whether there is one.
    if (
        form.get("type") == "json_schema"
        and agent.output_type is str
        and not getattr(agent, "_output_validators", None)
    ):
        output = StructuredDict(form["schema"], name=form.get("name"), description=form.get("description"))
    if client_tools:
        output = [agent.output_type if output is None else output, DeferredToolRequests]
    return cast("OutputSpec[Any] | None", output)
