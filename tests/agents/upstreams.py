"""Upstreams that a relay reads, and the streams of ours that they go into."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from responses_stream import OrderGuard, ResponseEventStream
from responses_stream.protocol.events import ResponseStreamEvent

from ..builders.programs import as_dicts

Json = dict[str, Any]

OURS: Final = "resp_" + "a" * 50
SECRET: Final = "the upstream's own"
BROKEN: Final = (
    '{"type":"response.failed","response":{"$R":{"status":"failed","error":{"code":"overloaded","message":"Later."}}}}'
)
ERROR: Final = '{"type":"error","code":"overloaded","message":"Later.","param":null}'


def said(source: Iterable[Any]) -> list[ResponseStreamEvent]:
    return list(source)


def begun(**members: Any) -> tuple[ResponseEventStream, list[ResponseStreamEvent]]:
    """Return a stream of ours that takes items, and what it has said."""
    stream = ResponseEventStream(OURS, {"model": "ours", **members})
    return stream, [stream.emit_created(), stream.emit_in_progress()]


async def later(pieces: Iterable[Any]) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece


def checked(events: Iterable[ResponseStreamEvent]) -> list[ResponseStreamEvent]:
    """Return what gets past who checks the order, which every route of ours does."""
    guard, told = OrderGuard(), []
    for event in events:
        guard.check(event)
        told.append(event)
    return told


def agentic() -> list[Json]:
    """An upstream whose items name each other, stamped as the platform does it, with settings of its own."""
    stream = ResponseEventStream(
        "resp_theirs",
        {"model": "theirs", "instructions": SECRET, "metadata": {"key": SECRET}, "user": SECRET},
        clock=lambda: 1767225600,
    )
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    events += stream.output_item_mcp_approval_request("files", "delete", "{}", item_id="mcpr_theirs")
    events += stream.output_item_mcp_approval_response("mcpr_theirs", True, item_id="mcpa_theirs")
    events += stream.output_item_function_call("get", "call_theirs", "{}", item_id="call_theirs")
    events.append(stream.emit_completed(usage={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}))
    told = as_dicts(events)
    for event in told:
        for item in [event.get("item"), *event.get("response", {}).get("output", ())]:
            if item is not None:
                item |= {"response_id": "resp_theirs", "agent_reference": {"type": "agent_reference", "name": SECRET}}
        if "response" in event:
            event["response"]["response_id"] = "resp_theirs"
    return told
