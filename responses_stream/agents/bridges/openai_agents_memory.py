"""What a turn of `openai-agents` leaves for the next one, and what of that the next request answers.

The history of a session is the framework's list of input items. A run that was interrupted is kept whole besides, as
the JSON of its `RunState`: it goes on where the client answers what it waits for, an approval or the output of a
function. Where the client says something else instead, the history goes on without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
from agents import Agent, Handoff, RunResultStreaming, RunState, UserError
from pydantic_core import to_jsonable_python

from responses_stream.agents.bridges.openai_agents_events import call_id_of, call_of
from responses_stream.agents.bridges.openai_agents_input import input_items
from responses_stream.agents.rendering import RunFailed
from responses_stream.protocol.hosted_items import McpApprovalResponse
from responses_stream.protocol.items import (
    InputItem,
    ResponseCustomToolCallOutputItem,
    ResponseFunctionToolCallOutputItem,
)

__all__ = ["Answers", "Memory", "named"]


@attrs.frozen
class Memory:
    """What is known of the turns before.

    Attributes:
        items: what was said, as input items of the framework.
        agent: the name of the agent that goes on; None stands for the first.
        state: a run that waits, as the JSON of a `RunState`; None where none does.
        requests: the ids of the calls that wait, by the ids of the requests for their approval.
        calls: the calls that wait: their ids, names and arguments.
        tools: the definitions of the client's functions that the run has.
    """

    items: Sequence[Any] = ()
    agent: str | None = None
    state: dict[str, Any] | None = None
    requests: Mapping[str, str] = attrs.field(factory=dict)
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
        cls, result: RunResultStreaming, speaker: str, requests: Mapping[str, str], tools: Sequence[dict[str, Any]]
    ) -> Memory:
        """Return what a run leaves that has ended, or waits.

        Args:
            result: the run.
            speaker: the name of the agent that it began with.
            requests: the ids of the requests for approval, by the ids of the calls.
            tools: the definitions of the client's functions.
        """
        items = _items_of(result)
        if not result.interruptions:
            return cls(items, result.last_agent.name)
        raws = [interruption.raw_item for interruption in result.interruptions]
        calls = [
            (call_id_of(raw), interruption.name or "", call_of(raw).arguments)
            for interruption, raw in zip(result.interruptions, raws, strict=True)
        ]
        # What the application knows of a run is its own; the next turn makes it anew.
        state = result.to_state().to_json(context_serializer=lambda _: {})
        by_request = {request: call for call, request in requests.items()}
        return cls(items, speaker, to_jsonable_python(state), by_request, calls, tools)

    @classmethod
    def broken(cls, result: RunResultStreaming, text: str) -> Memory:
        """Return what a run leaves that broke off while its model said *text*."""
        items = _items_of(result)
        if text and text not in _texts_of(items):
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
                state.add_input(input_items(answers.others))
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
        others: the rest of the input.
    """

    approvals: dict[str, tuple[bool, str | None]] = attrs.field(factory=dict)
    outputs: dict[str, Any] = attrs.field(factory=dict)
    others: list[InputItem] = attrs.field(factory=list)

    @classmethod
    def of(cls, messages: Sequence[InputItem], memory: Memory) -> Answers:
        """Return what *messages* answer of what *memory* waits for."""
        found = cls()
        open_calls = {call[0] for call in memory.calls} - set(memory.requests.values())
        for item in messages:
            if isinstance(item, McpApprovalResponse) and item.approval_request_id in memory.requests:
                reason = item.reason if isinstance(item.reason, str) else None
                found.approvals[memory.requests[item.approval_request_id]] = (item.approve, reason)
            elif (
                isinstance(item, ResponseFunctionToolCallOutputItem | ResponseCustomToolCallOutputItem)
                and item.call_id in open_calls
            ):
                [plain] = input_items([item])
                found.outputs[str(item.call_id)] = plain["output"]
            else:
                found.others.append(item)
        return found

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.approvals or self.outputs)


def named(root: Agent[Any], name: str | None) -> Agent[Any]:
    """Return the agent of that name that *root* can hand over to, however far; *root* where there is none."""
    return next((agent for agent in _reachable(root) if agent.name == name), root)


def _reachable(root: Agent[Any]) -> Iterator[Agent[Any]]:
    seen: list[Agent[Any]] = [root]
    for agent in seen:
        yield agent
        for handoff in agent.handoffs:
            target = handoff._agent_ref and handoff._agent_ref() if isinstance(handoff, Handoff) else handoff
            if isinstance(target, Agent) and all(target is not known for known in seen):
                seen.append(target)


def _items_of(result: RunResultStreaming) -> list[Any]:
    items: list[Any] = to_jsonable_python(result.to_input_list(mode="normalized"))
    return items


def _texts_of(items: Sequence[Any]) -> Iterator[str]:
    for item in items:
        content = item.get("content") if item.get("role") == "assistant" else None
        yield content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())
