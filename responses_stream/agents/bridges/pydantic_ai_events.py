"""What a run of pydantic-ai says, as contents.

Text and thoughts are passed on as they come. A tool call is told whole, with what came of it: only then it is known
whether the agent runs the tool, somebody has to approve it, or the client has to answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
import pydantic_core
from pydantic_ai import (
    AgentStreamEvent,
    Citation,
    DeferredToolRequests,
    FilePart,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    OutputToolCallEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    WebCitationSource,
)
from pydantic_ai.messages import BaseToolReturnPart, CompactionPart
from pydantic_ai.usage import RunUsage

from responses_stream.agents.contents import (
    ApprovalRequest,
    CodeInterpreter,
    Content,
    FunctionCall,
    Incomplete,
    Media,
    Reasoning,
    Said,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)

__all__ = ["RunReader", "usage_of"]

_CODE: Final = "code_execution"
_MCP: Final = "mcp_server:"
_IMAGE: Final = "image_generation"

# The Responses API gives summaries, and raw thoughts beside them; what others call thinking is the thoughts.
_SUMMARISING: Final = frozenset({"openai", "azure"})
_RAW_FIELDS: Final = frozenset({"reasoning", "reasoning_content"})


@attrs.define(eq=False)
class RunReader:
    """Translates the events of one run.

    Attributes:
        deferring: names of tools whose calls may wait for the client; None stands for all.
        answered: ids of the calls whose results the request has brought; their client knows them.
        sealed: whether the client wants the sealed form of thoughts.
        rewritten: whether a function of the agent makes the answer out of the model's text, which is not told then.
        text: what the response of the model that comes in just now has said so far.
    """

    deferring: frozenset[str] | None = frozenset()
    answered: frozenset[str] = frozenset()
    sealed: bool = False
    rewritten: bool = False
    text: str = attrs.field(default="", init=False)
    _step: int = attrs.field(default=0, init=False)
    # Where each text part of the response begins in its text.
    _offsets: dict[int, int] = attrs.field(factory=dict, init=False)
    _thoughts: set[str] = attrs.field(factory=set, init=False)
    _thought_of: dict[int, tuple[str, bool]] = attrs.field(factory=dict, init=False)
    _held: dict[str, ToolCallPart] = attrs.field(factory=dict, init=False)
    _told: set[str] = attrs.field(factory=set, init=False)
    _output_calls: set[str] = attrs.field(factory=set, init=False)
    _files: list[bytes] = attrs.field(factory=list, init=False)

    def read(self, event: AgentStreamEvent) -> Iterator[Said]:
        """Yield what *event* says; most of the framework's own bookkeeping says nothing."""
        match event:
            case PartStartEvent(index=index, part=part):
                if index == 0:
                    self._begin_response()
                yield from self._started(index, part)
            case PartDeltaEvent(delta=TextPartDelta(content_delta=piece)):
                yield from self._texted(piece)
            case PartDeltaEvent(index=index, delta=ThinkingPartDelta(content_delta=str(piece))) if piece:
                key, summary = self._thought_of[index]
                yield Reasoning(piece, summary=summary, reasoning_id=key)
            case PartEndEvent(index=index, part=part):
                yield from self._ended(index, part)
            case FunctionToolCallEvent(part=call) if call.tool_call_id not in self.answered:
                yield from self._flushed()
                self._held[call.tool_call_id] = call
                if self.deferring is not None and call.tool_name not in self.deferring:
                    yield from self._called(call.tool_call_id)
            case FunctionToolResultEvent(part=result):
                yield from self._called(result.tool_call_id)
                if result.tool_call_id in self._told:
                    # Not every model has an id of its own for each call of a run.
                    self._told.discard(result.tool_call_id)
                    yield _result(result)
            case OutputToolCallEvent(part=call):
                self._output_calls.add(call.tool_call_id)

    def end(self, output: object, last: ModelResponse | None, requests: Sequence[str] = ()) -> Iterator[Said]:
        """Yield what is left to say when the run has ended with *output*.

        Args:
            last: the model's last response.
            requests: an id for each approval that *output* asks for.
        """
        match output:
            case DeferredToolRequests(calls=calls, approvals=approvals):
                yield from self._flushed()
                for call in calls:
                    yield FunctionCall(call.tool_call_id, call.tool_name, call.args_as_json_str())
                for request_id, call in zip(requests, approvals, strict=True):
                    yield ApprovalRequest(request_id, call.tool_name, call.args_as_json_str())
            case _ if self.rewritten or (last is not None and self._by_tool(last)):
                if output is not None:
                    written = output if isinstance(output, str) else pydantic_core.to_json(output).decode()
                    yield Text(written, message_id=f"{self._step}.output")
        if last is not None and last.finish_reason in ("length", "content_filter"):
            yield Incomplete("max_output_tokens" if last.finish_reason == "length" else "content_filter")

    def _begin_response(self) -> None:
        self._step += 1
        self.text = ""
        self._offsets.clear()
        self._thought_of.clear()

    def _started(self, index: int, part: object) -> Iterator[Said]:
        match part:
            case TextPart(content=content):
                self._offsets[index] = len(self.text)
                yield from self._texted(content)
            case ThinkingPart(content=content, id=given, provider_name=provider):
                key = f"{self._step}.{given or index}"
                summary = provider in _SUMMARISING and given not in _RAW_FIELDS
                self._thought_of[index] = key, summary
                if content:
                    yield Reasoning(content, summary=summary, reasoning_id=key, begins=key in self._thoughts)
                self._thoughts.add(key)
            case FilePart(content=file):
                yield Media(file.data_uri, file.media_type)
            case NativeToolReturnPart():
                yield from _native_result(part)
            case CompactionPart(content=str(summary)) if summary:
                yield Reasoning(summary, summary=True, reasoning_id=f"{self._step}.{index}")

    def _texted(self, piece: str) -> Iterator[Said]:
        self.text += piece
        if piece and not self.rewritten:
            yield Text(piece, message_id=str(self._step))

    def _flushed(self) -> Iterator[Said]:
        # Text beside tool calls is none that the function of the output gets to see.
        if self.rewritten and self.text:
            yield Text(self.text, message_id=str(self._step))
            self.text = ""

    def _ended(self, index: int, part: object) -> Iterator[Said]:
        match part:
            case TextPart(citations=list(citations)) if not self.rewritten:
                at = self._offsets.get(index, 0)
                cited = [note for one in citations for note in _annotations(one, at, len(self.text))]
                if cited:
                    yield Text("", cited, message_id=str(self._step))
            case ThinkingPart(signature=str(signature)) if self.sealed:
                key, summary = self._thought_of[index]
                yield Reasoning(summary=summary, encrypted_content=signature, reasoning_id=key)
            case NativeToolCallPart():
                # Told at its end, because its arguments may come in pieces of any form.
                yield from _native_call(part)

    def _called(self, call_id: str) -> Iterator[Said]:
        call = self._held.pop(call_id, None)
        if call is not None:
            self._told.add(call_id)
            yield ToolCall(call_id, call.tool_name, call.args_as_json_str())

    def _by_tool(self, last: ModelResponse) -> bool:
        return any(call.tool_call_id in self._output_calls for call in last.tool_calls)


def usage_of(usage: RunUsage) -> Usage:
    """Return what a run has spent."""
    reasoning = usage.output_reasoning_tokens or usage.details.get("reasoning_tokens", 0)
    return Usage(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, reasoning)


def _result(result: BaseToolReturnPart[Any]) -> ToolResult:
    told = result.model_response_str(wrap_if_error=False)
    if result.outcome == "success":
        return ToolResult(result.tool_call_id, told or ("[file]" if result.files else ""))
    return ToolResult(result.tool_call_id, error=told)


def _native_call(call: NativeToolCallPart) -> Iterator[Content]:
    call_id, arguments = call.tool_call_id, call.args_as_dict()
    if call.tool_name == _CODE and isinstance(arguments.get("code"), str):
        yield CodeInterpreter(call_id, arguments["code"], container_id=str(arguments.get("container_id") or ""))
    elif call.tool_name.startswith(_MCP):
        name = str(arguments.get("tool_name") or arguments.get("action") or "call")
        inner = json.dumps(arguments.get("tool_args", {}))
        yield ToolCall(call_id, name, inner, call.tool_name.removeprefix(_MCP))
    elif call.tool_name != _IMAGE:  # an image says itself that it was made
        yield ToolCall(call_id, call.tool_name, call.args_as_json_str())


def _native_result(result: NativeToolReturnPart) -> Iterator[Content]:
    content = result.content
    if result.tool_name == _CODE:
        yield CodeInterpreter(result.tool_call_id, outputs=[{"type": "logs", "logs": logs} for logs in _logs(content)])
    elif result.tool_name.startswith(_MCP) and isinstance(content, Mapping) and content.get("error") is not None:
        error = content["error"]
        yield ToolResult(result.tool_call_id, error=error if isinstance(error, str) else json.dumps(error))
    elif result.tool_name.startswith(_MCP) and isinstance(content, Mapping) and isinstance(content.get("output"), str):
        yield ToolResult(result.tool_call_id, content["output"])
    elif result.tool_name != _IMAGE:
        yield _result(result)


def _logs(content: object) -> Sequence[str]:
    """Return what code has printed, as the providers have it: a list of logs, or a text for each of two streams."""
    if not isinstance(content, Mapping):
        return [content] if isinstance(content, str) and content else []
    logs = content.get("logs")
    if isinstance(logs, list):
        return [str(log) for log in logs]
    return [str(content[key]) for key in ("stdout", "stderr", "output") if content.get(key)]


def _annotations(citation: Citation, at: int, end: int) -> Iterator[dict[str, Any]]:
    start, stop = (at, end) if citation.anchor is None else (at + citation.anchor.start, at + citation.anchor.end)
    for source in citation.sources:
        if isinstance(source, WebCitationSource):
            where = {"start_index": start, "end_index": min(stop, end)}
            yield {"type": "url_citation", "url": source.url, "title": source.title or source.url, **where}
        else:
            known = source.document_id or source.title or "document"
            name = source.title or known
            yield {"type": "file_citation", "file_id": known, "filename": name, "index": min(stop, end)}
