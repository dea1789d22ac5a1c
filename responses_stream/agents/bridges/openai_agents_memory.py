"""What a turn of `openai-agents` leaves for the next one, and what of that the next request answers.

The history of a session is the framework's list of input items. A run that was interrupted is kept whole besides, as
the JSON of its `RunState`: it goes on where the client answers what it waits for, an approval or the output of a
function. Where the client says something else instead, the history goes on without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from agents import Agent, RunResultStreaming, RunState, UserError
from pydantic_core import to_jsonable_python

from responses_stream.agents.bridges.openai_agents_events import Call, call_id_of, call_of
from responses_stream.agents.bridges.openai_agents_input import NOT_ANSWERED, input_items
from responses_stream.agents.rendering import RunFailed
from responses_stream.protocol.hosted_items import McpApprovalResponse
from responses_stream.protocol.items import (
    InputItem,
    ResponseCustomToolCallOutputItem,
    ResponseFunctionToolCallOutputItem,
)

__all__ = ["Answers", "Memory"]


@attrs.frozen
class Memory:
    """What is known of the turns before.

    Attributes:
        items: what was said, as input items of the framework.
        agent: the name of the agent that goes on; None stands for the first.
        state: a run that waits, as the JSON of a `RunState`; None where none does.
        requests: the ids of the calls that wait for an approval, by the ids of the requests for it.
        functions: the ids of the calls that wait for the client to make them.
        calls: the agent's own calls that have no output yet, for one reason or another: their ids, names and arguments.
        tools: the definitions of the client's functions that the run has.
    """

    items: Sequence[Any] = ()
    agent: str | None = None
    state: dict[str, Any] | None = None
    requests: Mapping[str, str] = attrs.field(factory=dict)
    functions: Sequence[str] = ()
    calls: Sequence[Sequence[str]] = ()
    tools: Sequence[dict[str, Any]] = ()

    @classmethod
    def of(cls, session: Any) -> Memory | None:
        """Return what *session* holds; None where it is nothing of this bridge."""
        if not isinstance(session, dict) or "openai_agents" not in session:
            return None
        return cls(**session["openai_agents"])

    @classmethod
    def after(
        cls,
        result: RunResultStreaming,
        speaker: str,
        requests: Mapping[str, str],
        known: Mapping[str, Call],
        tools: Sequence[dict[str, Any]],
    ) -> Memory:
        """Return what a run leaves that has ended, or waits.

        Args:
            result: the run.
            speaker: the name of the agent that it began with.
            requests: the ids of the requests for approval, by the ids of the calls.
            known: calls without an output, by their ids.
            tools: the definitions of the client's functions.
        """
        items = _items_of(result)
        if not result.interruptions:
            return cls(items, result.last_agent.name)
        calls = {call_id: (call_id, call.name, call.arguments) for call_id, call in known.items() if call.item is None}
        functions: list[str] = []
        for interruption in result.interruptions:
            call_id, call = call_id_of(interruption.raw_item), call_of(interruption.raw_item)
            if call_id in requests:
                calls[call_id] = call_id, interruption.name or call.name, call.arguments
            else:
                functions.append(call_id)
        state = result.to_state()
        # Who moves on has said this all the same.
        items += to_jsonable_python(state.pending_input)
        # What the application knows of a run is its own; the next turn makes it anew.
        kept = to_jsonable_python(state.to_json(context_serializer=lambda _: {}))
        by_request = {request: call for call, request in requests.items()}
        return cls(items, speaker, kept, by_request, functions, list(calls.values()), tools)

    @classmethod
    def broken(cls, result: RunResultStreaming, text: str, unheard: Sequence[Any] = ()) -> Memory:
        """Return what a run leaves that broke off.

        Args:
            result: the run.
            text: its last message, as far as it has no item of that.
            unheard: what the client said, and answered, as input items of which the run may have taken some.
        """
        items = _items_of(result)
        heard = {item.get("call_id") for item in items if item.get("type") == "function_call_output"} - {None}
        items += [item for item in to_jsonable_python(unheard) if item.get("call_id") not in heard]
        if text:
            items.append({"role": "assistant", "content": text})
        return cls(items, result.last_agent.name)

    def as_session(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"openai_agents": attrs.asdict(self)}

    async def resumed(self, agent: Agent[Any], answers: Answers) -> RunState[Any]:
        """Return the run that waits, with the client's answers.

        Raises:
            RunFailed: the client says more than the run can take where it stands.
        """
        assert self.state is not None
        state = await RunState.from_json(agent, self.state, context_deserializer=lambda context: context)
        for interruption in state.get_interruptions():
            call_id = call_id_of(interruption.raw_item)
            approve, reason = answers.approvals.get(call_id, (True, None))
            if call_id in answers.outputs or (call_id in answers.approvals and approve):
                state.approve(interruption)
            elif call_id in answers.approvals:
                state.reject(interruption, rejection_message=reason)
        if answers.others:
            try:
                state.add_input(answers.others)
            except UserError:
                message = "Answer the open calls of the previous response first, with nothing else in the input."
                raise RunFailed("invalid_prompt", message) from None
        return state


@attrs.frozen
class Answers:
    """What of a request is the answer to a run that waits.

    Attributes:
        approvals: whether a call may be made, and why not, by its id.
        outputs: what the client's functions came to, by the ids of their calls.
        others: the rest of the input, as input items of the framework.
    """

    approvals: dict[str, tuple[bool, str | None]] = attrs.field(factory=dict)
    outputs: dict[str, Any] = attrs.field(factory=dict)
    others: list[Any] = attrs.field(factory=list)

    @classmethod
    def of(cls, messages: Sequence[InputItem], memory: Memory) -> Answers:
        """Return what *messages* answer of what *memory* waits for.

        Who answers a part of it and says something else besides moves on: the rest counts as not answered. Who says
        nothing else is asked for the rest again.
        """
        found = cls()
        for item in messages:
            if isinstance(item, McpApprovalResponse) and item.approval_request_id in memory.requests:
                reason = item.reason if isinstance(item.reason, str) else None
                found.approvals[memory.requests[item.approval_request_id]] = (item.approve, reason)
            elif (
                isinstance(item, ResponseFunctionToolCallOutputItem | ResponseCustomToolCallOutputItem)
                and item.call_id in memory.functions
            ):
                [plain] = input_items([item])
                found.outputs[str(item.call_id)] = plain["output"]
            else:
                found.others.extend(input_items([item]))
        if found.any and found.others:
            for call_id in memory.requests.values():
                found.approvals.setdefault(call_id, (False, NOT_ANSWERED))
            for call_id in memory.functions:
                found.outputs.setdefault(call_id, NOT_ANSWERED)
        return found

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.approvals or self.outputs)

    def items(self) -> list[Any]:
        """Return what the client's functions came to, as input items of the framework."""
        kind = "function_call_output"
        return [{"type": kind, "call_id": call_id, "output": output} for call_id, output in self.outputs.items()]


def _items_of(result: RunResultStreaming) -> list[Any]:
    items: list[Any] = to_jsonable_python(result.to_input_list(mode="normalized"))
    return items
