"""Foreign dialects: streams that are well-formed, and speak another protocol.

Somebody who validates the wrong capture should read its name and not forty violations. Only the first event is looked
at; the facts are the public ones of each protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

CHAT_COMPLETIONS: Final = "Chat Completions"

_BY_TYPE: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
                *("message_delta", "message_stop", "ping"),
            ),
            "Anthropic Messages",
        ),
        **dict.fromkeys(
            (
                *("session.created", "session.updated", "conversation.created", "conversation.item.created"),
                *("conversation.item.added", "input_audio_buffer.committed", "rate_limits.updated"),
                *("response.text.delta", "response.text.done", "response.audio_transcript.delta"),
            ),
            "OpenAI Realtime",
        ),
        **dict.fromkeys(
            ("RUN_STARTED", "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "STATE_SNAPSHOT", "RUN_ERROR"), "AG-UI"
        ),
        **dict.fromkeys(
            ("start", "start-step", "text-start", "text-delta", "reasoning-start"), "AI SDK UI message stream"
        ),
        **dict.fromkeys(("message-start", "content-start", "content-delta"), "Cohere Chat"),
        **dict.fromkeys(("agent.start", "chat.start", "message.start"), "another chat API"),
    }
)
_BY_OBJECT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "chat.completion.chunk": CHAT_COMPLETIONS,
        "chat.completion": "a Chat Completions object",
        "text_completion": "legacy Completions",
        "response": "a Responses object, and no stream of events",
        "response.compaction": "a compaction object, and no stream of events",
        "thread.run": "OpenAI Assistants",
        "thread.message.delta": "OpenAI Assistants",
        "thread.run.step": "OpenAI Assistants",
        "thread": "OpenAI Assistants",
    }
)


def dialect_of(event: Mapping[str, Any]) -> str | None:
    """Return the name of the foreign protocol that an event is of; None where it may be one of Responses."""
    name, kind = event.get("type"), event.get("object")
    if isinstance(name, str) and name in _BY_TYPE:
        return _BY_TYPE[name]
    if isinstance(name, str) and name.startswith("response.") and isinstance(event.get("event_id"), str):
        # Realtime has events of the same names; each of its events has an id, and none has a number.
        return "OpenAI Realtime" if "sequence_number" not in event else None
    if name is not None:
        return None
    if isinstance(kind, str) and kind in _BY_OBJECT:
        return _BY_OBJECT[kind]
    if isinstance(event.get("choices"), list):
        return CHAT_COMPLETIONS
    if isinstance(event.get("candidates"), list) or "usageMetadata" in event:
        return "Gemini"
    if isinstance(event.get("jsonrpc"), str):
        return "JSON-RPC (MCP or A2A)"
    if "done" in event and ("message" in event or "response" in event) and "model" in event:
        return "Ollama"
    if "messageStart" in event or "contentBlockDelta" in event:
        return "Bedrock Converse"
    if isinstance(event.get("error"), Mapping | str) or "detail" in event:
        return "the body of an error, and no stream of events"
    return None
