"""What a turn of a graph leaves for the next one: its messages, or the place in its own checkpoints; and its questions.

A graph that was compiled with a checkpointer keeps its state itself, and the session only says which checkpoint a turn
ended at. A checkpoint never changes, so two turns that go on from one do not see each other (H19.17-H19.21). What an
interrupt was answered is written beside its checkpoint, though; so a run that is resumed goes on in a thread of its
own, and another answer from another branch finds the question open.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

import attrs
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Interrupt

from responses_stream.agents.bridges.asked import plain
from responses_stream.agents.contents import ApprovalRequest, FunctionCall, Said
from responses_stream.protocol.hosted_items import McpApprovalResponse
from responses_stream.protocol.ids import new_item_id
from responses_stream.protocol.items import InputItem, ResponseFunctionToolCallOutputItem

__all__ = ["Answers", "Memory", "Question", "forked", "new_thread"]

_RESUME: Final = "__resume__"
_ASK: Final = "interrupt"
_NOT_APPROVED: Final = "It was not approved; do not try it again unless the user asks for it."


@attrs.frozen
class Question:
    """What an interrupt asks the client.

    Attributes:
        interrupt: its id in the graph.
        kind: ``actions`` for the tool calls of a `HITLRequest`, ``action`` for a single one, ``value`` for anything.
        asks: the ids that answers name: of the requests for approval, or of one call.
        tools: the names of the tools that may be called.
        arguments: theirs, as JSON.
    """

    interrupt: str
    kind: str
    asks: Sequence[str]
    tools: Sequence[str]
    arguments: Sequence[str]

    @classmethod
    def of(cls, interrupt: Interrupt, response_id: str) -> Question:
        """Return the question of *interrupt*, which the response *response_id* tells."""
        value = interrupt.value
        if isinstance(value, Mapping) and isinstance(value.get("action_requests"), list):
            kind, actions = "actions", value["action_requests"]
        elif isinstance(value, Mapping) and value.get("type") == "tool_approval":
            kind, actions = "action", [value]
        else:
            arguments = json.dumps(value if isinstance(value, Mapping) else {"value": value}, default=str)
            return cls(interrupt.id, "value", [f"call_{uuid4().hex}"], [_ASK], [arguments])
        return cls(
            interrupt.id,
            kind,
            [new_item_id("mcp_approval_request", response_id) for _ in actions],
            [str(action["name"]) for action in actions],
            [json.dumps(action.get("args", {}), default=str) for action in actions],
        )

    def said(self) -> Iterator[Said]:
        """Ask the client: for approvals of tools, or with a call of the function ``interrupt``."""
        for ask, tool, arguments in zip(self.asks, self.tools, self.arguments, strict=True):
            yield FunctionCall(ask, tool, arguments) if self.kind == "value" else ApprovalRequest(ask, tool, arguments)

    def resumed(self, answers: Answers) -> Any:
        """Return what the graph goes on with; what was not answered was not approved."""
        if self.kind == "value":
            return answers.outputs[self.asks[0]]
        decisions = [_decision(*answers.approvals.get(ask, (False, None))) for ask in self.asks]
        return {"decisions": decisions} if self.kind == "actions" else decisions[0]


def _decision(approve: bool, reason: str | None) -> dict[str, Any]:
    return {"type": "approve"} if approve else {"type": "reject", "message": reason or _NOT_APPROVED}


@attrs.frozen
class Memory:
    """What is known of the turns before.

    Attributes:
        messages: what was said; of a graph with checkpoints only what did not come so far as to be in one.
        thread: the thread of the graph's checkpoints; None without them.
        checkpoint: the one to go on from.
        questions: what the graph waits for.
    """

    messages: Sequence[dict[str, Any]] = ()
    thread: str | None = None
    checkpoint: str | None = None
    questions: Sequence[Question] = ()

    @classmethod
    def of(cls, session: Any) -> Memory | None:
        """Return what *session* holds; None where it is nothing of this bridge."""
        if not isinstance(session, dict) or "langgraph" not in session:
            return None
        held = session["langgraph"]
        return cls(**{**held, "questions": [Question(**question) for question in held["questions"]]})

    def as_session(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"langgraph": attrs.asdict(self)}


@attrs.frozen
class Answers:
    """What of a request answers the questions of a graph.

    Attributes:
        approvals: whether a call may be made, and why not, by the id of the request.
        outputs: what the client has said instead, by the id of the call: JSON where it is some, else text.
        others: the rest of the input.
    """

    approvals: dict[str, tuple[bool, str | None]] = attrs.field(factory=dict)
    outputs: dict[str, Any] = attrs.field(factory=dict)
    others: list[InputItem] = attrs.field(factory=list)

    @classmethod
    def of(cls, messages: Sequence[InputItem], questions: Sequence[Question]) -> Answers:
        """Return what *messages* answer of *questions*."""
        found = cls()
        approvals = {ask for question in questions if question.kind != "value" for ask in question.asks}
        calls = {ask for question in questions if question.kind == "value" for ask in question.asks}
        for item in messages:
            if isinstance(item, McpApprovalResponse) and item.approval_request_id in approvals:
                reason = item.reason if isinstance(item.reason, str) else None
                found.approvals[item.approval_request_id] = (item.approve, reason)
            elif isinstance(item, ResponseFunctionToolCallOutputItem) and item.call_id in calls:
                found.outputs[str(item.call_id)] = _value_of(plain(item.output))
            else:
                found.others.append(item)
        return found

    @property
    def refusals(self) -> list[str]:
        """Why calls may not be made; one that nothing was said of was not approved either."""
        reasons = [reason for approve, reason in self.approvals.values() if not approve and reason]
        return [*reasons, _NOT_APPROVED]

    def answers(self, question: Question) -> bool:
        """Whether *question* is answered, at least in part."""
        return any(ask in self.approvals or ask in self.outputs for ask in question.asks)


def _value_of(output: Any) -> Any:
    if not isinstance(output, str):
        return output
    try:
        return json.loads(output)
    except ValueError:
        return output


def new_thread() -> str:
    """Return the name of a thread that nobody else knows, whatever ids its client may choose."""
    return uuid4().hex


async def forked(saver: BaseCheckpointSaver[Any], thread: str, checkpoint: str) -> str:
    """Return a new thread that has *checkpoint* with all that belongs to it, but for answers to its interrupts.

    Subgraphs have checkpoints of their own, under the one of the graph that they are in.
    """
    copy = new_thread()
    tuples = [
        found
        async for found in saver.alist({"configurable": {"thread_id": thread}})
        if checkpoint in (found.checkpoint["id"], (found.metadata or {}).get("parents", {}).get(""))
    ]
    for found in reversed(tuples):
        namespace = found.config["configurable"].get("checkpoint_ns", "")
        config: Any = {"configurable": {"thread_id": copy, "checkpoint_ns": namespace}}
        versions = found.checkpoint["channel_versions"]
        stored = await saver.aput(config, found.checkpoint, found.metadata, versions)
        writes: dict[str, list[tuple[str, Any]]] = {}
        for task, channel, value in found.pending_writes or ():
            if channel != _RESUME:
                writes.setdefault(task, []).append((channel, value))
        for task, written in writes.items():
            await saver.aput_writes(stored, written, task)
    return copy
