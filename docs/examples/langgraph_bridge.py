"""Sample 28: a graph of `langgraph`, a model with a tool, behind Responses.

    pip install 'responses-stream[langgraph]'
    responses-stream serve docs/examples/langgraph_bridge.py

The tool runs here, and a client sees that it ran, in an `mcp_call` item with its arguments and its output. Any graph
whose state has `messages` is bridged so, and so is a bare chat model of langchain. A turn that names
`previous_response_id` or a `conversation` goes on with the messages of the turns before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from responses_stream import ResponsesServer, ResponsesServerOptions
from responses_stream.agents.bridges.langgraph import bridge

server = ResponsesServer(options=ResponsesServerOptions(default_model="weather"))


@tool
def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


class FakeModel(BaseChatModel):
    """Calls the tool, says what it got, and needs no key. A real one is ChatOpenAI(model="gpt-5")."""

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Runnable[Any, Any]:
        return self.bind(tools=list(tools))

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        if messages and isinstance(messages[-1], ToolMessage):
            for word in ("It", " is ", str(messages[-1].content), "."):
                yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        else:
            call = tool_call_chunk(name="weather", args='{"city": "Oslo"}', id="call_1", index=0)
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[call]))

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return generate_from_stream(self._stream(messages))

    @property
    def _llm_type(self) -> str:
        return "fake"


model = FakeModel().bind_tools([weather])


async def ask(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await model.ainvoke(state["messages"])]}


graph = StateGraph(MessagesState)
graph.add_node("model", ask)
graph.add_node("tools", ToolNode([weather]))
graph.add_edge(START, "model")
graph.add_conditional_edges("model", tools_condition)
graph.add_edge("tools", "model")

server.response_handler(bridge(graph.compile()))
