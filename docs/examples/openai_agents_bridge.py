"""Sample 25: an agent of `openai-agents`, with a tool, behind Responses.

    pip install 'responses-stream[openai-agents]'
    responses-stream serve docs/examples/openai_agents_bridge.py

The tool runs here, and a client sees that it ran, in an `mcp_call` item with its arguments and its output. A turn that
names `previous_response_id` or a `conversation` goes on with what the agent remembers.
"""

from __future__ import annotations

from agents import Agent, function_tool, set_tracing_disabled
from agents.testing import ScriptedModel, assistant_message, function_call

from responses_stream import ResponsesServer, ResponsesServerOptions
from responses_stream.agents import AgentState
from responses_stream.agents.bridges.openai_agents import bridge

server = ResponsesServer(options=ResponsesServerOptions(default_model="weather"))

set_tracing_disabled(True)  # it would be sent to OpenAI


@function_tool
def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


def make_agent() -> Agent[None]:
    # A real model is named: Agent(..., model="gpt-5"). This one plays a script, of two steps, and needs no key.
    call = function_call("weather", {"city": "Oslo"}, call_id="call_1")
    model = ScriptedModel([[call], [assistant_message("It is sunny in Oslo.")]])
    return Agent(name="Weather", instructions="Be brief.", tools=[weather], model=model)


# With a real model one agent serves all turns: bridge(Agent(...)). A script is used up, so here each turn has its own.
server.response_handler(bridge(AgentState(make_agent, cached=False)))
