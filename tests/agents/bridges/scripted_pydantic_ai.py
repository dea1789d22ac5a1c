"""What scripts of models for pydantic-ai look at, and what the tests read of responses."""

from __future__ import annotations

from typing import Any

from openai.types.responses import Response
from pydantic_ai import ModelMessage, ModelRequest, UserPromptPart

Piece = Any


def prompts(messages: list[ModelMessage]) -> list[str]:
    """Return what the user has said so far."""
    parts = (part for message in messages if isinstance(message, ModelRequest) for part in message.parts)
    return [str(part.content) for part in parts if isinstance(part, UserPromptPart)]


def output(response: Response) -> list[Any]:
    """Return the items of *response*, of which the test knows what they are."""
    return list(response.output)
