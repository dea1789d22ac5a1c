"""Chunks of Chat Completions streams, as servers send them, and what comes of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from responses_stream import accumulate, validate_events
from responses_stream.agents.chat_completions import from_chat_completions
from responses_stream.protocol.codec import to_builtins

USAGE: Final = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
HELLO: Final = "Hello"


def chunk(delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a chunk with one choice; *more* are members of the chunk."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c_1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


def text(said: str) -> dict[str, Any]:
    return chunk({"content": said})


def stop(reason: str = "stop") -> dict[str, Any]:
    return chunk({}, reason)


def calls(*fragments: Mapping[str, Any]) -> dict[str, Any]:
    return chunk({"tool_calls": list(fragments)})


def fragment(arguments: Any = None, *, name: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a fragment of a tool call, without the members that are None."""
    function = {"name": name, "arguments": arguments}
    return {"function": {key: value for key, value in function.items() if value is not None}, **more}


def usage_chunk(usage: Mapping[str, Any] = USAGE) -> dict[str, Any]:
    return chunk() | {"choices": [], "usage": usage}


def sse(chunks: Iterable[Any], *, done: bool = True, newline: str = "\n") -> bytes:
    """Return *chunks* as the body of an event stream."""
    frames = [f"data: {json.dumps(one)}" for one in chunks] + ["data: [DONE]"] * done
    return "".join(f"{frame}{newline * 2}" for frame in frames).encode()


def answer(*chunks: Any) -> Any:
    """Return the response that *chunks* make, for any of its members; its stream breaks no rule."""
    return folded(from_chat_completions(chunks, response_id="resp_1"))


def folded(events: Iterable[Any]) -> Any:
    """Return the response that *events* make; they break no rule but those of what the model itself has said."""
    told = list(events)
    report = validate_events(told, profile="strict")
    assert [str(one) for one in report.violations if one.rule != "R144"] == []
    return accumulate(told)


def items(response: Any) -> list[Any]:
    """Return what the items of *response* say, each with its kind."""
    return [_said(to_builtins(item)) for item in response.output]


def _said(item: dict[str, Any]) -> Any:
    kind = item["type"]
    if kind == "message":
        return [kind, *[part.get("text", part.get("refusal")) for part in item["content"]]]
    if kind == "reasoning":
        parts = [*item["summary"], *item.get("content", [])]
        return [kind, *[part["text"] for part in parts], *[item[key] for key in ("encrypted_content",) if key in item]]
    if kind in ("function_call", "custom_tool_call"):
        return [kind, item["name"], item.get("arguments", item.get("input"))]
    return [kind]
