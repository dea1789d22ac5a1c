"""What chat models and graphs of LangChain stream, as contents: pieces of messages, results of tools, interrupts.

A piece is read by its standard content blocks, which are the same for the models of all providers. Not every call of a
model is one of a tool: some only give a form to an answer, some are for the client, some wait for an approval. So a
call is said when it is known what becomes of it, at the latest with its `ToolMessage`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage

from responses_stream.agents.bridges.asked import text_of
from responses_stream.agents.contents import (
    FunctionCall,
    Image,
    Media,
    Reasoning,
    Refusal,
    Said,
    Text,
    ToolCall,
    ToolResult,
    Update,
    Usage,
)

__all__ = ["Translation"]

_TOOL_FAILED: Final = "The tool failed."
# So `HumanInTheLoopMiddleware` says it, before the reason.
_REJECTED: Final = "User rejected the tool call"
_CUT: Final = {
    "length": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "MAX_TOKENS": "max_output_tokens",
    "content_filter": "content_filter",
    "SAFETY": "content_filter",
}


@attrs.define
class _Call:
    name: str
    arguments: str = ""
    # Whether the service of the model runs it.
    hosted: bool = False


@attrs.define(eq=False)
class Translation:
    """What one run has said so far.

    Attributes:
        clients: names of the functions that the client runs.
        runs_tools: whether there is anybody but the client to run a call.
        refused: why the client did not approve calls.
        sealed: whether the client wants the sealed form of thoughts.
        message_id: the message that was said last.
        text: what it says so far.
        cut: why the last message was broken off by its model, where it was.
        anything: whether anything was said.
    """

    clients: Collection[str] = ()
    runs_tools: bool = True
    refused: Collection[str] = ()
    sealed: bool = False
    message_id: str | None = None
    text: str = ""
    cut: str | None = None
    anything: bool = False
    _calls: dict[str, _Call] = attrs.field(factory=dict)
    # Pieces of a call after the first have its index only.
    _by_index: dict[tuple[str | None, Any], str] = attrs.field(factory=dict)
    _answered: set[str] = attrs.field(factory=set)
    _coming: list[str] = attrs.field(factory=list)
    _told: set[str] = attrs.field(factory=set)
    _part: Any = None
    # Which block of the message its text is of, and where that begins: citations count from there.
    _block_index: Any = None
    _offset: int = 0

    def know(self, messages: Sequence[BaseMessage]) -> None:
        """Take note of calls that were told before, and whose results may come."""
        answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
        for message in messages:
            for call in message.tool_calls if isinstance(message, AIMessage) else ():
                if call["id"] and call["id"] not in answered:
                    self._calls[call["id"]] = _Call(call["name"], _json(call["args"]))

    def said(self, message: BaseMessage) -> Iterator[Said]:
        """Say a message of a model or of a tool, or a piece of one. Others are of no interest to a client."""
        if isinstance(message, AIMessage):
            self.anything = True
            yield from self._spoken(message)
        elif isinstance(message, ToolMessage) and message.tool_call_id not in self._answered:
            self._answered.add(message.tool_call_id)
            yield from self._result(message)

    def knows(self, call_id: str) -> bool:
        """Whether the call is one of a message that was shown."""
        return call_id in self._calls

    def coming(self, messages: Sequence[BaseMessage]) -> None:
        """Take note that the calls in *messages* are part of what the graph goes on with."""
        for message in messages:
            for call in message.tool_calls if isinstance(message, AIMessage) else ():
                if call["id"] in self._calls:
                    self._coming.append(str(call["id"]))

    def begun(self) -> Iterator[Said]:
        """Say the calls that were coming: the graph makes them now."""
        for call_id in self._coming:
            call = self._calls[call_id]
            if call_id not in self._told | self._answered and call.name not in self.clients:
                self._told.add(call_id)
                yield ToolCall(call_id, call.name, call.arguments or "{}")
        self._coming.clear()

    def unmade(self, messages: Sequence[BaseMessage]) -> Iterator[Said]:
        """Say the calls that *messages*, those of a graph that has ended, end with: nobody but the client is left."""
        last = messages[-1] if messages else None
        for made in last.tool_calls if isinstance(last, AIMessage) else ():
            call = self._calls.get(made["id"] or "")
            if call is not None and call.name not in self.clients and made["id"] not in self._told | self._answered:
                yield FunctionCall(str(made["id"]), call.name, call.arguments or "{}")

    def _spoken(self, message: AIMessage) -> Iterator[Said]:
        metadata = message.response_metadata
        if model := metadata.get("model_name") or metadata.get("model"):
            yield Update((), model=str(model))
        if message.id != self.message_id:
            self.message_id, self.text, self.cut = message.id, "", None
            self._part = self._block_index = None
            self._offset = 0
        for number, block in enumerate(message.content_blocks):
            yield from self._block(message, number, dict(block))
        if refusal := message.additional_kwargs.get("refusal"):
            yield Refusal(refusal)
        if (usage := message.usage_metadata) is not None:
            cached = usage.get("input_token_details", {}).get("cache_read", 0)
            reasoning = usage.get("output_token_details", {}).get("reasoning", 0)
            yield Usage(usage["input_tokens"], usage["output_tokens"], cached, reasoning)
        self.cut = _cut(metadata) or self.cut

    def _block(self, message: AIMessage, number: int, block: dict[str, Any]) -> Iterator[Said]:
        match block["type"]:
            case "text":
                text = block.get("text") or ""
                if not isinstance(message, AIMessageChunk) or block.get("index") != self._block_index:
                    self._offset, self._block_index = len(self.text), block.get("index")
                self.text += text
                annotations = [made for one in block.get("annotations") or () if (made := self._citation(one))]
                if text or annotations:
                    yield Text(text, annotations=annotations, message_id=message.id)
            case "reasoning":
                yield from self._thought(message, block)
            case "tool_call_chunk" | "tool_call" | "invalid_tool_call" | "server_tool_call_chunk" | "server_tool_call":
                yield from self._call(message, block)
            case "server_tool_result":
                yield from self._server_result(block)
            case "image" if "base64" in block:
                yield Image(str(block.get("id") or f"{message.id} {number}"), result=block["base64"])
            case "image" | "audio" | "video" | "file":
                yield from self._media(block)
            case "non_standard":
                if refusal := block["value"].get("refusal"):
                    yield Refusal(refusal)
            case _:
                pass

    def _thought(self, message: AIMessage, block: dict[str, Any]) -> Iterator[Said]:
        extras = block.get("extras") or {}
        # What others than OpenAI tell of the thoughts of their models is the thoughts themselves.
        summary = message.response_metadata.get("model_provider") == "openai"
        part = (block.get("id"), block.get("index"))
        begins, self._part = summary and part != self._part, part
        forms = (block.get("encrypted_content"), extras.get("encrypted_content"), extras.get("signature"))
        sealed = next((form for form in forms if form), None) if self.sealed else None
        if block.get("reasoning") or sealed:
            yield Reasoning(
                block.get("reasoning") or "",
                summary=summary,
                begins=begins,
                encrypted_content=sealed,
                reasoning_id=message.id,
            )

    def _call(self, message: AIMessage, block: dict[str, Any]) -> Iterator[Said]:
        place = (message.id, block.get("index"))
        call_id = block.get("id") or self._by_index.get(place)
        if not call_id:
            return
        if not block["type"].endswith("_chunk") and call_id in self._calls:
            # The last piece of a stream tells its calls once more.
            return
        arguments = block.get("args") or ""
        if not isinstance(arguments, str):
            arguments = _json(arguments)
        name = ""
        if call_id not in self._calls:
            name = block.get("name") or "tool"
            self._calls[call_id] = _Call(name, hosted=block["type"].startswith("server_"))
            self._by_index[place] = call_id
        call = self._calls[call_id]
        call.arguments += arguments
        if call.hosted:
            return
        if call.name in self.clients or not self.runs_tools:
            yield FunctionCall(call_id, name, arguments)

    def _result(self, message: ToolMessage) -> Iterator[Said]:
        call_id = message.tool_call_id
        call = self._calls.get(call_id)
        if call is not None and call.name in self.clients:
            return
        self.anything = True
        if call_id not in self._told:
            name = call.name if call is not None else message.name or "tool"
            yield ToolCall(call_id, name, (call.arguments if call is not None else "") or "{}")
        output = str(message.text) or ("" if isinstance(message.content, str) else text_of(message.content))
        if message.status == "error":
            # It may hold what the tool has raised, which is for the model alone.
            refused = output.startswith(_REJECTED) and any(output.endswith(reason) for reason in self.refused)
            yield ToolResult(call_id, error=output if refused else _TOOL_FAILED)
        else:
            yield ToolResult(call_id, output)

    def _server_result(self, block: Mapping[str, Any]) -> Iterator[Said]:
        call_id = str(block["tool_call_id"])
        call = self._calls.get(call_id) or _Call("tool", "{}")
        self._answered.add(call_id)
        yield ToolCall(call_id, call.name, call.arguments)
        if block.get("status") == "error":
            yield ToolResult(call_id, error=_TOOL_FAILED)
        else:
            yield ToolResult(call_id, _json(block.get("output")))

    def _media(self, block: Mapping[str, Any]) -> Iterator[Said]:
        media_type = block.get("mime_type")
        if "base64" in block:
            yield Media(f"data:{media_type or 'application/octet-stream'};base64,{block['base64']}", media_type)
        elif place := block.get("url") or block.get("file_id"):
            yield Media(place, media_type)

    def _citation(self, annotation: Mapping[str, Any]) -> dict[str, Any] | None:
        start, end = annotation.get("start_index"), annotation.get("end_index")
        if not annotation.get("url") or not isinstance(start, int) or not isinstance(end, int):
            return None
        start, end = start + self._offset, end + self._offset
        if not 0 <= start <= end <= len(self.text):
            return None
        title = annotation.get("title") or annotation["url"]
        return {
            "type": "url_citation",
            "url": annotation["url"],
            "title": title,
            "start_index": start,
            "end_index": end,
        }


def _cut(metadata: Mapping[str, Any]) -> str | None:
    if metadata.get("status") == "incomplete":
        return str((metadata.get("incomplete_details") or {}).get("reason") or "max_output_tokens")
    reason = metadata.get("finish_reason") or metadata.get("stop_reason")
    return _CUT.get(reason) if isinstance(reason, str) else None


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
