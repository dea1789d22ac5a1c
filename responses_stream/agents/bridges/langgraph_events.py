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
from pydantic_core import to_jsonable_python

from responses_stream.agents.bridges.asked import text_of
from responses_stream.agents.bridges.langgraph_input import add_call, open_calls
from responses_stream.agents.contents import (
    Content,
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

__all__ = ["Spoken", "Translation"]

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


@attrs.define(eq=False)
class _Call:
    call_id: str
    name: str
    arguments: str = ""
    message_id: str | None = None
    # What it is told as, where the agent runs it and where the client does: some models use an id again.
    told_id: str = ""
    asked_id: str = ""
    # Whether it is of a function of the client; who runs it is known when it has an answer, or none is to come.
    for_client: bool = False
    # Whether the service of the model runs it.
    hosted: bool = False
    told: bool = False
    answered: bool = False
    result: ToolMessage | None = None


@attrs.define(eq=False)
class Spoken:
    """A message of a model, as far as it was said.

    Attributes:
        namespace: the graph inside the graph whose node says it.
        text: what it says so far.
        cut: why it was broken off by its model, where it was.
        over: whether its model has said that there is no more of it.
        settled: whether the graph has gone on from it.
    """

    namespace: Sequence[str] = ()
    text: str = ""
    cut: str | None = None
    over: bool = False
    settled: bool = False
    part: Any = None
    # Which block its text is of, and where that begins: citations count from there.
    block_index: Any = None
    offset: int = 0


@attrs.define(eq=False)
class Translation:
    """What one run has said so far.

    Attributes:
        clients: names of the functions that the client runs.
        runs_tools: whether there is anybody but the client to run a call.
        refused: why the client did not approve calls.
        sealed: whether the client wants the sealed form of thoughts.
        spoken: the messages, by their ids; nodes that run side by side say theirs at the same time.
        cut: why the message that was said last was broken off by its model, where it was.
        anything: whether anything was said.
    """

    clients: Collection[str] = ()
    runs_tools: bool = True
    refused: Collection[str] = ()
    sealed: bool = False
    spoken: dict[str | None, Spoken] = attrs.field(factory=dict)
    cut: str | None = None
    anything: bool = False
    # By their ids, which may come again.
    _calls: dict[str, list[_Call]] = attrs.field(factory=dict)
    # Pieces of a call after the first have its index only.
    _by_index: dict[tuple[str | None, Any], _Call] = attrs.field(factory=dict)
    _coming: list[_Call] = attrs.field(factory=list)
    _forms: set[str | None] = attrs.field(factory=set)

    def know(self, messages: Sequence[BaseMessage]) -> None:
        """Take note of calls that were told before, and whose results may come."""
        for message, made in open_calls(messages):
            self._note(made["id"] or "", made["name"], message.id).arguments = _json(made["args"])

    def said(self, message: BaseMessage, namespace: Sequence[str] = ()) -> Iterator[Said]:
        """Say a message of a model or of a tool, or a piece of one. Others are of no interest to a client."""
        if isinstance(message, AIMessage):
            self.anything = True
            spoken = self.spoken.setdefault(message.id, Spoken(namespace))
            spoken.over = not isinstance(message, AIMessageChunk) or message.chunk_position == "last"
            metadata = message.response_metadata
            model = metadata.get("model_name") or metadata.get("model")
            pieces = list(self._pieces(message, spoken))
            if pieces or model or spoken.over:
                yield Update(pieces, str(model) if model else None, speaker=message.id, ends=spoken.over)
        elif isinstance(message, ToolMessage):
            yield from self._result(message)

    def knows(self, call_id: str) -> bool:
        """Whether the call is one of a message that was shown."""
        return call_id in self._calls

    def coming(self, messages: Sequence[BaseMessage]) -> None:
        """Take note that the calls in *messages* are part of what the graph goes on with."""
        for _, made in open_calls(messages):
            self._coming += [call for call in self._open(made["id"]) if call not in self._coming][:1]

    def begun(self) -> Iterator[Said]:
        """Say the calls that were coming: the graph makes them now."""
        for call in self._coming:
            if not (call.told or call.answered or call.for_client):
                call.told = True
                yield ToolCall(call.told_id, call.name, call.arguments or "{}")
        self._coming.clear()

    def unmade(self, messages: Sequence[BaseMessage] | None) -> Iterator[Said]:
        """Say the calls that nobody but the client is left for, where the graph has ended with *messages*.

        These are the calls of the last of them, and those of the client's functions wherever they stand. A graph that
        keeps no messages has only the latter.
        """
        if messages is None:
            left = [(call, False) for calls in self._calls.values() for call in calls]
        else:
            left = [
                (call, message is messages[-1])
                for message, made in open_calls(messages)
                for call in self._calls.get(made["id"] or "", ())
            ]
        for call, ends in left:
            if not (call.answered or call.told or call.hosted) and (call.for_client or ends):
                call.told = True
                yield FunctionCall(call.asked_id, call.name, call.arguments or "{}")

    def formed(self, message: ToolMessage) -> None:
        """Take note of a call that only gave a form to an answer: *message* says what became of it."""
        for call in self._open(message.tool_call_id)[:1]:
            call.answered = True

    def form(self, message: ToolMessage, structured: Any) -> Iterator[Said]:
        """Say the answer that such a call gave; the graphs around its own tell it again."""
        if message.id not in self._forms:
            self._forms.add(message.id)
            self.anything = True
            answer = json.dumps(to_jsonable_python(structured, fallback=str), ensure_ascii=False)
            yield Update([answer], speaker=message.id, ends=True)

    def unsettled(self, message_id: str | None) -> Iterator[BaseMessage]:
        """Yield a message as far as it was said, with those of its calls that have come to something, and what to."""
        made = [call for calls in self._calls.values() for call in calls if call.message_id == message_id]
        results = [call.result for call in made if call.result is not None]
        if self.spoken[message_id].text or results:
            found: list[BaseMessage] = [AIMessage(self.spoken[message_id].text)]
            for call in made:
                if call.result is not None:
                    add_call(found, call.call_id, call.name, call.arguments)
            yield from [*found, *results]

    def settle(self, namespace: Sequence[str]) -> Iterator[Said]:
        """Say that what the nodes of a graph were saying is over: it has gone on from there."""
        for message_id, spoken in self.spoken.items():
            if tuple(spoken.namespace[: len(namespace)]) == tuple(namespace):
                if not spoken.over:
                    spoken.over = True
                    yield Update((), speaker=message_id, ends=True)
                spoken.settled = spoken.settled or not namespace

    def _pieces(self, message: AIMessage, spoken: Spoken) -> Iterator[Content]:
        for number, block in enumerate(message.content_blocks):
            yield from self._block(message, spoken, number, dict(block))
        if refusal := message.additional_kwargs.get("refusal"):
            yield Refusal(refusal)
        if (usage := message.usage_metadata) is not None:
            cached = usage.get("input_token_details", {}).get("cache_read", 0)
            reasoning = usage.get("output_token_details", {}).get("reasoning", 0)
            yield Usage(usage["input_tokens"], usage["output_tokens"], cached, reasoning)
        spoken.cut = _cut(message.response_metadata) or spoken.cut
        self.cut = spoken.cut

    def _block(self, message: AIMessage, spoken: Spoken, number: int, block: dict[str, Any]) -> Iterator[Content]:
        match block["type"]:
            case "text":
                text = block.get("text") or ""
                if not isinstance(message, AIMessageChunk) or block.get("index") != spoken.block_index:
                    spoken.offset, spoken.block_index = len(spoken.text), block.get("index")
                spoken.text += text
                annotations = [made for one in block.get("annotations") or () if (made := _citation(one, spoken))]
                if text or annotations:
                    yield Text(text, annotations=annotations, message_id=message.id)
            case "reasoning":
                yield from self._thought(message, spoken, block)
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

    def _thought(self, message: AIMessage, spoken: Spoken, block: dict[str, Any]) -> Iterator[Content]:
        extras = block.get("extras") or {}
        # What others than OpenAI tell of the thoughts of their models is the thoughts themselves.
        summary = message.response_metadata.get("model_provider") == "openai"
        part = (block.get("id"), block.get("index"))
        begins, spoken.part = summary and part != spoken.part, part
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

    def _call(self, message: AIMessage, block: dict[str, Any]) -> Iterator[Content]:
        place, call_id = (message.id, block.get("index")), block.get("id")
        call = self._by_index.get(place)
        name = ""
        if call_id and (call is None or call.call_id != call_id):
            whole = not block["type"].endswith("_chunk")
            if whole and any(one.message_id == message.id or not one.answered for one in self._calls.get(call_id, ())):
                # The last piece of a stream tells its calls once more.
                return
            name = block.get("name") or "tool"
            call = self._note(call_id, name, message.id, hosted=block["type"].startswith("server_"))
            self._by_index[place] = call
        elif call is None or not block["type"].endswith("_chunk"):
            return
        arguments = block.get("args") or ""
        if not isinstance(arguments, str):
            arguments = _json(arguments)
        call.arguments += arguments
        if call.for_client and not self.runs_tools:
            yield FunctionCall(call.asked_id, name, arguments)

    def _note(self, call_id: str, name: str, message_id: str | None, *, hosted: bool = False) -> _Call:
        """Return a call that is new."""
        for_client = not hosted and (name in self.clients or not self.runs_tools)
        call = _Call(call_id, name, message_id=message_id, for_client=for_client, hosted=hosted)
        known = self._calls.setdefault(call_id, [])
        call.told_id = f"{call_id}_{len(known) + 1}" if known else call_id
        # An answer names the id that the model gave, so that is what the client has to be told.
        call.asked_id = call.told_id if any(other.for_client for other in known) else call_id
        known.append(call)
        return call

    def _open(self, call_id: str | None) -> list[_Call]:
        return [call for call in self._calls.get(call_id or "", ()) if not call.answered]

    def _result(self, message: ToolMessage) -> Iterator[Said]:
        call_id = message.tool_call_id
        if call_id in self._calls and not self._open(call_id):
            return
        call = next(iter(self._open(call_id)), None) or self._note(call_id, message.name or "tool", None)
        call.answered = self.anything = True
        call.result = message
        if not call.told:
            yield ToolCall(call.told_id, call.name, call.arguments or "{}")
        output = str(message.text) or ("" if isinstance(message.content, str) else text_of(message.content))
        if message.status == "error":
            # It may hold what the tool has raised, which is for the model alone.
            refused = output.startswith(_REJECTED) and any(output.endswith(reason) for reason in self.refused)
            yield ToolResult(call.told_id, error=output if refused else _TOOL_FAILED)
        else:
            yield ToolResult(call.told_id, output)

    def _server_result(self, block: Mapping[str, Any]) -> Iterator[Content]:
        call_id = str(block["tool_call_id"])
        call = next(iter(self._open(call_id)), None) or self._note(call_id, "tool", None, hosted=True)
        call.answered = True
        yield ToolCall(call.told_id, call.name, call.arguments or "{}")
        if block.get("status") == "error":
            yield ToolResult(call.told_id, error=_TOOL_FAILED)
        else:
            yield ToolResult(call.told_id, _json(block.get("output")))

    def _media(self, block: Mapping[str, Any]) -> Iterator[Content]:
        media_type = block.get("mime_type")
        if "base64" in block:
            yield Media(f"data:{media_type or 'application/octet-stream'};base64,{block['base64']}", media_type)
        elif place := block.get("url") or block.get("file_id"):
            yield Media(place, media_type)


def _citation(annotation: Mapping[str, Any], spoken: Spoken) -> dict[str, Any] | None:
    start, end = annotation.get("start_index"), annotation.get("end_index")
    if not annotation.get("url") or not isinstance(start, int) or not isinstance(end, int):
        return None
    start, end = start + spoken.offset, end + spoken.offset
    if not 0 <= start <= end <= len(spoken.text):
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
