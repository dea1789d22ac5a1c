"""Sample 26: an agent of the Microsoft Agent Framework, with a tool, behind Responses.

    pip install 'responses-stream[agent-framework]'
    responses-stream serve docs/examples/agent_framework_bridge.py

The tool runs here, and a client sees that it ran, in an `mcp_call` item with its arguments and its output. A turn that
names `previous_response_id` or a `conversation` goes on with the session of the turn before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

from agent_framework import (
    Agent,
    BaseChatClient,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    Message,
    ResponseStream,
    tool,
)

from responses_stream import ResponsesServer, ResponsesServerOptions
from responses_stream.agents.bridges.agent_framework import bridge

server = ResponsesServer(options=ResponsesServerOptions(default_model="weather"))


@tool(approval_mode="never_require")
def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


class FakeClient(FunctionInvocationLayer[Any], BaseChatClient[Any]):
    """Calls the tool, says what it got, and needs no key. A real one is OpenAIChatClient(model="gpt-5")."""

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, **_: Any
    ) -> Awaitable[ChatResponse[Any]] | ResponseStream[ChatResponseUpdate, ChatResponse[Any]]:
        said = [content for message in messages[-1:] for content in message.contents]
        results = [content for content in said if content.type == "function_result"]

        async def updates() -> AsyncIterator[ChatResponseUpdate]:
            if not results:
                call = Content.from_function_call("call_1", "weather", arguments={"city": "Oslo"})
                yield ChatResponseUpdate(contents=[call], role="assistant")
            for word in ("It", " is ", str(results[0].result), ".") if results else ():
                yield ChatResponseUpdate(contents=[Content.from_text(word)], role="assistant")

        answer = ResponseStream(updates(), finalizer=ChatResponse.from_updates)
        return answer if stream else answer.get_final_response()


agent = Agent(FakeClient(), instructions="Be brief.", tools=[weather])

server.response_handler(bridge(agent))
