"""Sample 21: an agent of one's own, in words of no framework, that remembers from turn to turn.

    responses-stream serve docs/examples/own_agent.py

An agent is a function of a `Turn` that yields what it says: strings, and contents such as reasoning and tool calls. The
handler makes items and events of them. What it leaves in `turn.session`, the next turn finds: after
`previous_response_id` as a copy of that turn's own, so that two branches do not see each other; in a `conversation` one
turn after the other.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from responses_stream import ResponsesServer, ResponsesServerOptions
from responses_stream.agents import Reasoning, Said, ToolCall, ToolResult, Turn, Usage, agent_handler
from responses_stream.protocol.conversions import get_input_text

server = ResponsesServer(options=ResponsesServerOptions(default_model="counter"))


async def count(turn: Turn) -> AsyncIterator[Said]:
    """Count the turns, and the words that were said in them."""
    session = turn.session or {"turns": 0, "words": 0}
    question = get_input_text(turn.run.messages)
    yield Reasoning("The words have to be counted.", summary=True)

    # A tool that the agent runs itself. The client sees that it ran; there is nothing for it to answer.
    yield ToolCall("call_1", "count_words", json.dumps({"text": question}))
    words = len(question.split())
    yield ToolResult("call_1", str(words))

    turn.session = {"turns": session["turns"] + 1, "words": session["words"] + words}
    # Pieces that follow each other are one message, and each is a delta.
    yield f"Turn {turn.session['turns']}: "
    yield f"{turn.session['words']} words so far."
    yield Usage(input_tokens=words, output_tokens=6)


# Sessions are in the memory of the process; `sessions=` takes a store that outlives it.
server.response_handler(agent_handler(count))
