"""What a request asks, as messages of LangChain, and the messages of a session as JSON.

A call of the agent's own tool, which its clients see as `mcp_call`, becomes a call and its `ToolMessage` again. Images,
files and audio become the standard content blocks, which the integrations of all providers read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
    messages_from_dict,
    messages_to_dict,
)
from pydantic_core import to_jsonable_python

from responses_stream.agents.bridges.asked import functions_of, plain, text_of
from responses_stream.protocol.conversions import StoredItem
from responses_stream.protocol.data_urls import get_media_type, is_data_url
from responses_stream.protocol.items import InputItem

__all__ = [
    "add_call",
    "answered",
    "answers_of",
    "loaded",
    "messages_of",
    "open_calls",
    "saved",
    "settings_of",
    "tools_of",
]

_NOT_ANSWERED: Final = "The call was not answered."
_SETTINGS: Final = {"temperature": "temperature", "top_p": "top_p", "max_output_tokens": "max_tokens"}


def messages_of(items: Iterable[InputItem | StoredItem]) -> list[BaseMessage]:
    """Return *items* as messages; what no model reads, such as an answer to a request for approval, is left out."""
    found: list[BaseMessage] = []
    for item in map(plain, items):
        match item.get("type", "message"):
            case "message" | "output_message":
                found.append(_message(item))
            case "function_call":
                add_call(found, item["call_id"], item["name"], item["arguments"])
            case "custom_tool_call":
                add_call(found, item["call_id"], item["name"], json.dumps({"input": item["input"]}))
            case "function_call_output" | "custom_tool_call_output":
                found.append(ToolMessage(_content(item["output"]), tool_call_id=item["call_id"]))
            case "mcp_call":
                call_id = str(item.get("id"))
                add_call(found, call_id, item["name"], item["arguments"])
                failed = item.get("error") is not None
                output = text_of(item["error"] if failed else item.get("output") or "")
                found.append(ToolMessage(output, tool_call_id=call_id, status="error" if failed else "success"))
            case _:
                pass
    return found


def _message(item: Mapping[str, Any]) -> BaseMessage:
    content = _content(item.get("content", ""))
    match item.get("role"):
        case "assistant":
            return AIMessage(content)
        case "system":
            return SystemMessage(content)
        case "developer":
            return SystemMessage(content, additional_kwargs={"__openai_role__": "developer"})
        case _:
            return HumanMessage(content)


def add_call(found: list[BaseMessage], call_id: str, name: str, arguments: str) -> None:
    """Add a call to the message of the assistant that is last; a model says calls and text in one message."""
    last = found[-1] if found else None
    if not isinstance(last, AIMessage):
        last = AIMessage("")
        found.append(last)
    try:
        parsed = json.loads(arguments or "{}")
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        parsed = {"input": arguments}
    last.tool_calls.append({"type": "tool_call", "id": call_id, "name": name, "args": parsed})


def _content(content: Any) -> Any:
    if isinstance(content, str):
        return content
    blocks = [block for part in content for block in _block(part)]
    if all(block["type"] == "text" for block in blocks):
        return "".join(block["text"] for block in blocks)
    return blocks


def _block(part: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    match part.get("type"):
        case "input_image" | "computer_screenshot":
            extra = {"extras": {"detail": part["detail"]}} if part.get("detail") else {}
            yield {"type": "image", **_source(part.get("image_url"), part.get("file_id")), **extra}
        case "input_file":
            extra = {"extras": {"filename": part["filename"]}} if part.get("filename") else {}
            yield {
                "type": "file",
                **_source(part.get("file_data") or part.get("file_url"), part.get("file_id")),
                **extra,
            }
        case "input_audio":
            audio = part["input_audio"]
            yield {"type": "audio", "base64": audio["data"], "mime_type": f"audio/{audio['format']}"}
        case "input_video":
            yield {"type": "video", **_source(part["video_url"], None)}
        case "refusal":
            yield {"type": "text", "text": part["refusal"]}
        case _:
            yield {"type": "text", "text": text_of([part])}


def _source(place: str | None, file_id: str | None) -> dict[str, str]:
    if place is None:
        return {"file_id": file_id or ""}
    if is_data_url(place):
        media_type = get_media_type(place)
        return {"base64": place.partition(",")[2], **({"mime_type": media_type} if media_type else {})}
    # A file may come as base64 with no head.
    return {"url": place} if "://" in place else {"base64": place}


def open_calls(messages: Sequence[BaseMessage]) -> list[tuple[AIMessage, ToolCall]]:
    """Return the calls in *messages* that have no answer, each with its message; models may use an id again."""
    waiting: list[tuple[AIMessage, ToolCall]] = []
    for message in messages:
        if isinstance(message, AIMessage):
            waiting += [(message, call) for call in message.tool_calls]
        elif isinstance(message, ToolMessage):
            answers = (place for place, (_, call) in enumerate(waiting) if (call["id"] or "") == message.tool_call_id)
            if (place := next(answers, None)) is not None:
                del waiting[place]
    return waiting


def answers_of(messages: Sequence[BaseMessage]) -> list[ToolMessage]:
    """Return an answer for each call in *messages* that has none; models refuse calls without."""
    return [_not_answered(call) for _, call in open_calls(messages)]


def answered(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return *messages* with an answer behind each call that has none."""
    waiting = open_calls(messages)
    found: list[BaseMessage] = []
    for message in messages:
        found.append(message)
        found += [_not_answered(call) for made_in, call in waiting if made_in is message]
    return found


def _not_answered(call: ToolCall) -> ToolMessage:
    return ToolMessage(_NOT_ANSWERED, tool_call_id=call["id"] or "", status="error")


def settings_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that all chat models know, under their names there."""
    return {theirs: options[ours] for ours, theirs in _SETTINGS.items() if options.get(ours) is not None}


def tools_of(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the functions of the client in the form that `bind_tools` takes."""
    members = ("name", "description", "parameters", "strict")
    return [
        {"type": "function", "function": {name: tool[name] for name in members if tool.get(name) is not None}}
        for tool in functions_of(options)
    ]


def saved(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Return *messages* as JSON values."""
    plain_messages: list[dict[str, Any]] = to_jsonable_python(messages_to_dict(messages), fallback=str)
    return plain_messages


def loaded(messages: Sequence[dict[str, Any]]) -> list[BaseMessage]:
    """Return what `saved` made JSON of."""
    return messages_from_dict(messages)
