"""What bridges read of a request, whatever their framework: plain data, text, instructions, the client's functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from responses_stream.protocol.codec import to_wire

__all__ = ["functions_of", "instructions_of", "plain", "text_of", "wants_sealed"]


def plain(value: Any) -> Any:
    """Return a wire value, or a container of some, as plain data."""
    return msgspec.to_builtins(to_wire(value))


def text_of(content: Any) -> str:
    """Return the text of a content: itself, that of its parts, or else its JSON."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping) and isinstance(content.get("content"), list):
        content = content["content"]
    if isinstance(content, list) and all(isinstance(part, Mapping) and "text" in part for part in content):
        return "".join(str(part["text"]) for part in content)
    return json.dumps(content, ensure_ascii=False)


def instructions_of(options: Mapping[str, Any]) -> str | None:
    """Return the instructions of a request as text, or None where it has none."""
    instructions = options.get("instructions")
    if isinstance(instructions, str) or instructions is None:
        return instructions or None
    texts = [text_of(item.get("content", "")) for item in plain(instructions)]
    return "\n\n".join(text for text in texts if text) or None


def functions_of(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the functions that the client offers to run, as they stand in its `tools`."""
    return [tool for tool in plain(options.get("tools")) or () if tool.get("type") == "function"]


def wants_sealed(options: Mapping[str, Any]) -> bool:
    """Whether the client wants the sealed form of thoughts, to send it back."""
    return "reasoning.encrypted_content" in (options.get("include") or ())
