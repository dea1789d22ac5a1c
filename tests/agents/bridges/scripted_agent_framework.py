"""A chat client of the Agent Framework whose model is a script, and what scripts look at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from agent_framework import (
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    Message,
    ResponseStream,
)
from openai.types.responses import Response

Script = Callable[[list[Message], Mapping[str, Any]], AsyncIterator[Content | str]]


class ScriptedClient(FunctionInvocationLayer[Any], ChatMiddlewareLayer[Any], BaseChatClient[Any]):
    """A chat client whose model is a script."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.script = script

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **_: Any
    ) -> Awaitable[ChatResponse] | ResponseStream[ChatResponseUpdate, ChatResponse]:
        assert stream, "the bridge streams"
        number = f"m{len(messages)}"

        async def updates() -> AsyncIterator[ChatResponseUpdate]:
            async for said in self.script(list(messages), options):
                content = Content.from_text(said) if isinstance(said, str) else said
                yield ChatResponseUpdate(role="assistant", contents=[content], message_id=number, model="script")

        return ResponseStream(updates(), finalizer=ChatResponse.from_updates)


def prompts(messages: list[Message]) -> list[str]:
    """Return what the user has said so far."""
    return [message.text for message in messages if message.role == "user" and message.text]


def results(messages: list[Message]) -> list[Content]:
    """Return the results that the model has to go on from."""
    return [content for content in messages[-1].contents if content.type == "function_result"]


def output(response: Response) -> list[Any]:
    """Return the items of *response*, of which the test knows what they are."""
    return list(response.output)
