"""What a run of `openai-agents` tells, as contents: its raw events for what the model says, its items for the rest.

The raw events are those of the protocol, one response after the other; the framework adds the outputs of tools,
hand-offs and interruptions. A call of a tool that runs at once is said while the model writes it. One that may have to
be approved first, or that an agent answers whose own calls may have to, is held back, until its output or the request
for an approval shows what became of it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import attrs
from agents import Agent, FunctionTool, RunContextWrapper, RunResultStreaming, StreamEvent
from pydantic import BaseModel

from responses_stream.agents.bridges.openai_agents_equipment import handoff_names, is_of_client
from responses_stream.agents.bridges.openai_agents_usage import Spending
from responses_stream.agents.contents import (
    ApprovalRequest,
    FunctionCall,
    Incomplete,
    Reasoning,
    Refusal,
    Said,
    Text,
    ToolCall,
    ToolResult,
    Update,
    Usage,
)

__all__ = ["Call", "Translation"]

_TOOL_FAILED: Final = "The tool failed."
# They are run by the framework, on this machine; a client has nothing to do with them.
_LOCAL_TOOLS: Final = {
    "computer_call": "computer",
    "local_shell_call": "local_shell",
    "shell_call": "shell",
    "apply_patch_call": "apply_patch",
}
_NO_ARGUMENTS: Final = frozenset({"id", "type", "status", "call_id", "created_by"})


@attrs.frozen
class Call:
    """A call of a tool of the agent.

    Attributes:
        item: what the model wrote, for calls that a service may run as well; else None.
    """

    name: str
    arguments: str
    item: Mapping[str, Any] | None = None


@attrs.define(eq=False)
class Translation:
    """What one run has said so far.

    Attributes:
        agent: who speaks.
        known: calls that were held back, of earlier turns as well, and whose outputs may come, by their ids.
        failed: ids of calls whose functions raised; what they raised is for the model alone.
        worked: ids of calls whose custom tools did not raise.
        refused: ids of calls that the client did not approve.
        silent: ids of calls of earlier turns that the client answers itself.
        spending: what the run has spent.
        text: what the last message says so far.
        refusal: the model's refusal so far.
        stopped: why the model's service broke off, where it told that.
        failure: the code with which it failed, where it told that.
    """

    agent: Agent[Any]
    known: dict[str, Call] = attrs.field(factory=dict)
    failed: Collection[str] = ()
    worked: Collection[str] = ()
    refused: Collection[str] = ()
    silent: Collection[str] = ()
    spending: Spending = attrs.field(factory=lambda: Spending(RunContextWrapper(None)))
    text: str = ""
    refusal: str = ""
    stopped: Incomplete | None = None
    failure: str | None = None
    _has_begun: bool = False
    _responses: int = 0
    # The items of the response that the model writes: by index, and which of them have said something.
    _items: dict[int, Any] = attrs.field(factory=dict)
    _spoken: set[int] = attrs.field(factory=set)
    _finished: set[int] = attrs.field(factory=set)
    # Items of the model are the framework's items too; who holds them knows which are no news.
    _told: list[Any] = attrs.field(factory=list)
    # The item of the last message, once it is whole.
    _message_item: Any = None
    _live: set[str] = attrs.field(factory=set)
    _of_client: set[str] = attrs.field(factory=set)

    def said(self, event: StreamEvent) -> Iterator[Said]:
        """Say what *event* tells."""
        if event.type == "raw_response_event":
            yield from self._raw(event.data)
        elif event.type == "agent_updated_stream_event":
            if self._has_begun:
                yield from self._handed_over(event.new_agent)
            self._has_begun, self.agent, self.text = True, event.new_agent, ""
        elif event.type == "run_item_stream_event":
            yield from self._item(event.name, event.item)

    def ending(self, result: RunResultStreaming, requests: Mapping[str, str]) -> Iterator[Said]:
        """Say what is left when the run has ended.

        Args:
            result: the run.
            requests: the ids of the requests for approval to make, by the ids of the calls. The other calls that it
                waits for are the client's; those that were open before are told again.
        """
        for interruption in result.interruptions:
            call_id = call_id_of(interruption.raw_item)
            call = self.known.pop(call_id, None) or call_of(interruption.raw_item)
            if call_id in requests:
                label = as_plain(interruption.raw_item).get("server_label")
                yield ApprovalRequest(requests[call_id], interruption.name or call.name, call.arguments, label)
            elif call_id not in self._of_client:
                yield FunctionCall(call_id, interruption.name or call.name, call.arguments)
        for call in self.known.values():
            if call.item is not None:
                yield dict(call.item)
        last = result.new_items[-1] if result.new_items else None
        if not result.interruptions and getattr(last, "type", None) == "tool_call_output_item":
            # The output of a tool is the answer (`tool_use_behavior`), and no model says it.
            output = result.final_output
            if output is not None:
                yield Text(output if isinstance(output, str) else as_json(output), message_id="final")
        yield from self._spent()

    def lost(self, result: RunResultStreaming) -> str:
        """Return the text of the last message, where the run broke off before it became an item of the run."""
        kept = any(item.raw_item is self._message_item for item in result.new_items)
        return "" if kept else self.text

    def _handed_over(self, agent: Agent[Any]) -> Iterator[Said]:
        """Say that *agent* goes on, where a filter of its input has taken the output away that would have told."""
        names = handoff_names(self.agent)
        call_id = next((call_id for call_id, call in self.known.items() if call.name in names), None)
        if call_id is not None:
            call = self.known.pop(call_id)
            yield ToolCall(call_id, call.name, call.arguments)
            yield ToolResult(call_id, as_json({"assistant": agent.name}))

    def _spent(self) -> Iterator[Usage]:
        if (news := self.spending.news()) != Usage():
            yield news

    def _raw(self, event: Any) -> Iterator[Said]:
        index = getattr(event, "output_index", -1)
        match event.type:
            case "response.created":
                self.failure = None
                self._begin()
                yield from self._model(event.response)
            case "response.output_item.added":
                self._items[index] = event.item
                yield from self._begun(event.item)
            case "response.output_text.delta" if event.delta:
                self._spoken.add(index)
                self.text += event.delta
                logprobs = [as_plain(logprob) for logprob in getattr(event, "logprobs", None) or ()]
                yield self._text(index, event, logprobs=logprobs)
            case "response.output_text.annotation.added":
                yield Text("", annotations=[as_plain(event.annotation)], message_id=self._part(index, event))
            case "response.refusal.delta" if event.delta:
                self._spoken.add(index)
                self.refusal += event.delta
                yield Refusal(event.delta)
            case "response.reasoning_summary_part.added":
                self._spoken.add(index)
                yield Reasoning(summary=True, begins=True, reasoning_id=self._id(index))
            case "response.reasoning_summary_text.delta":
                self._spoken.add(index)
                yield Reasoning(event.delta, summary=True, reasoning_id=self._id(index))
            case "response.reasoning_text.delta":
                self._spoken.add(index)
                yield Reasoning(event.delta, reasoning_id=self._id(index))
            case "response.function_call_arguments.delta":
                yield from self._arguments(index, event.delta)
            case "response.output_item.done":
                yield from self._done(index, event.item)
            case "response.completed" | "response.incomplete":
                yield from self._ended(event.response)
            case "response.failed":
                self.failure = event.response.error and event.response.error.code
            case "error":
                self.failure = event.code

    def _begin(self) -> None:
        self._responses += 1
        self._items.clear()
        self._spoken.clear()
        self._finished.clear()

    def _id(self, index: int) -> str:
        # The ids of some services are all alike.
        return f"{self._responses}.{index}"

    def _part(self, index: int, event: Any) -> str:
        return f"{self._id(index)}.{getattr(event, 'content_index', 0)}"

    def _text(self, index: int, event: Any, logprobs: list[Any]) -> Text:
        phase = getattr(self._items.get(index), "phase", None)
        known = phase if phase in ("commentary", "final_answer") else None
        return Text(event.delta, logprobs=logprobs, phase=known, message_id=self._part(index, event))

    def _model(self, response: Any) -> Iterator[Said]:
        if isinstance(model := getattr(response, "model", None), str) and model:
            yield Update((), model=model)

    def _begun(self, item: Any) -> Iterator[Said]:
        if item.type == "message":
            self.text, self._message_item = "", None
        elif item.type == "function_call" and item.call_id:
            if is_of_client(self.agent, item.name):
                self._of_client.add(item.call_id)
                yield FunctionCall(item.call_id, item.name)
            elif self._runs_at_once(item):
                self._live.add(item.call_id)
                yield ToolCall(item.call_id, item.name)

    def _runs_at_once(self, item: Any) -> bool:
        return not getattr(item, "namespace", None) and any(
            isinstance(tool, FunctionTool)
            and tool.name == item.name
            and tool.needs_approval is False
            and not tool._is_agent_tool
            for tool in self.agent.tools
        )

    def _arguments(self, index: int, delta: str) -> Iterator[Said]:
        item = self._items.get(index)
        if item is not None and delta:
            self._spoken.add(index)
            if item.call_id in self._of_client:
                yield FunctionCall(item.call_id, arguments=delta)
            elif item.call_id in self._live:
                yield ToolCall(item.call_id, arguments=delta)

    def _done(self, index: int, item: Any) -> Iterator[Said]:
        """Say what was not said yet of an item that is whole."""
        if index in self._finished:
            return
        begun, spoken = index in self._items, index in self._spoken
        self._finished.add(index)
        match item.type:
            case "message":
                if not spoken:
                    yield from self._message(item, self._id(index))
            case "reasoning":
                yield from self._thought(item, self._id(index), spoken)
            case "function_call":
                if not begun:
                    yield from self._begun(item)
                if item.call_id in self._of_client:
                    if not spoken and item.arguments:
                        yield FunctionCall(item.call_id, arguments=item.arguments)
                elif item.call_id in self._live:
                    if not spoken and item.arguments:
                        yield ToolCall(item.call_id, arguments=item.arguments)
                else:
                    self.known[item.call_id] = call_of(item)
            case "custom_tool_call":
                self.known[item.call_id] = call_of(item)
            case "mcp_approval_request":
                self.known[item.id] = attrs.evolve(call_of(item), item=as_plain(item))
            case kind if kind in _LOCAL_TOOLS:
                self.known[call_id_of(item)] = call_of(item)
            case _:
                call_id = getattr(item, "call_id", None)
                if item.type.endswith("_call_output") and (call := self.known.pop(call_id or "", None)) and call.item:
                    # The service has run it.
                    yield dict(call.item)
                yield as_plain(item)

    def _ended(self, response: Any) -> Iterator[Said]:
        for index, item in enumerate(response.output or ()):
            # Some models tell their items at the end only.
            yield from self._done(index, item)
            self._told.append(item)
            if item.type == "message":
                self._message_item = item
        if response.usage is not None:
            self.spending.hear(response.usage)
            yield self.spending.news()
        if response.status == "incomplete":
            details = response.incomplete_details
            self.stopped = Incomplete((details and details.reason) or "max_output_tokens")
        # Some models do not tell that the next response begins.
        self._begin()

    def _item(self, name: str, item: Any) -> Iterator[Said]:
        raw = item.raw_item
        if any(raw is told for told in self._told):
            return
        if name == "message_output_created":
            yield from self._message(raw, f"item {id(raw)}")
            self._message_item = raw
        elif name == "mcp_approval_response":
            self.known.pop(str(as_plain(raw).get("approval_request_id")), None)
        elif name in ("tool_output", "handoff_occured"):
            call_id = call_id_of(raw)
            if call_id in self.silent:
                return
            if (call := self.known.pop(call_id, None)) is not None:
                yield ToolCall(call_id, call.name, call.arguments)
            plain = as_plain(raw)
            output = _output_of(plain.get("output", getattr(item, "output", "")))
            if call_id in self.refused:
                yield ToolResult(call_id, error=output)
            elif call_id in self.failed or plain.get("status") == "failed":
                yield ToolResult(call_id, error=_TOOL_FAILED)
            elif plain.get("type") != "custom_tool_call_output" or call_id in self.worked:
                yield ToolResult(call_id, output)
            else:
                yield ToolResult(call_id, error=_TOOL_FAILED)
            yield from self._spent()

    def _message(self, item: Any, message_id: str) -> Iterator[Said]:
        self.text, self._message_item = "", None
        for number, part in enumerate(item.content):
            if part.type == "refusal":
                self.refusal += part.refusal
                yield Refusal(part.refusal)
            elif part.text:
                self.text += part.text
                annotations = [as_plain(annotation) for annotation in getattr(part, "annotations", None) or ()]
                yield Text(part.text, annotations=annotations, message_id=f"{message_id}.{number}")

    def _thought(self, item: Any, reasoning_id: str, spoken: bool) -> Iterator[Said]:
        if not spoken:
            for part in item.summary or ():
                yield Reasoning(part.text, summary=True, begins=True, reasoning_id=reasoning_id)
            for part in getattr(item, "content", None) or ():
                yield Reasoning(part.text, reasoning_id=reasoning_id)
        if sealed := getattr(item, "encrypted_content", None):
            yield Reasoning(encrypted_content=sealed, reasoning_id=reasoning_id)


def call_id_of(raw: Any) -> str:
    """Return the id of a call, or of what came of it, in whatever form the framework has it."""
    item = raw if isinstance(raw, Mapping) else vars(raw)
    return str(item.get("call_id") or item.get("id") or "")


def call_of(raw: Any) -> Call:
    """Return what the model has called."""
    item = as_plain(raw)
    kind = item.get("type", "")
    if "arguments" in item:
        return Call(str(item.get("name") or kind), item["arguments"] or "{}")
    arguments = {name: value for name, value in item.items() if name not in _NO_ARGUMENTS and value is not None}
    if kind == "custom_tool_call":
        return Call(item["name"], as_json({"input": item.get("input", "")}))
    return Call(_LOCAL_TOOLS.get(kind, kind), as_json(arguments), item=item)


def as_plain(value: Any) -> dict[str, Any]:
    """Return an object of the `openai` package as plain data, as it came."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True, by_alias=True)
    return dict(value)


def as_json(value: Any) -> str:
    """Return what a tool or an agent came to as JSON."""
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    return json.dumps(value, ensure_ascii=False, default=str)


def _output_of(output: Any) -> str:
    if isinstance(output, str):
        return output
    if isinstance(output, list):
        return "".join(_output_of(part) for part in output)
    if isinstance(output, Mapping) and isinstance(output.get("text"), str):
        return str(output["text"])
    return as_json(output)
