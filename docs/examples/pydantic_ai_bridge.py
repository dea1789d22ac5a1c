"""Sample 27: an agent of `pydantic-ai`, with a tool, behind Responses.

    pip install 'responses-stream[pydantic-ai]'
    responses-stream serve docs/examples/pydantic_ai_bridge.py

The tool runs here, and a client sees that it ran, in an `mcp_call` item with its arguments and its output. A turn that
names `previous_response_id` or a `conversation` goes on with the messages of the turns before.
"""

from __future__ import annotations

from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

from responses_stream import ResponsesServer, ResponsesServerOptions
from responses_stream.agents.bridges.pydantic_ai import bridge

server = ResponsesServer(options=ResponsesServerOptions(default_model="weather"))

# A real model is named: Agent("openai:gpt-5"). This one calls every tool once, answers, and needs no key.
agent = Agent(TestModel(custom_output_text="It is sunny there."), system_prompt="Be brief.")


@agent.tool_plain
def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


server.response_handler(bridge(agent))
