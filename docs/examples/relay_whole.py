"""Sample 11 (H19.11): an upstream that does not stream: its items are said again, each by all of its events.

    responses-stream serve docs/examples/relay_whole.py
    UPSTREAM_BASE_URL=https://api.openai.com/v1 UPSTREAM_MODEL=... OPENAI_API_KEY=... responses-stream serve ...

Without an upstream in the environment, a canned answer is relayed.
"""

from __future__ import annotations

import os
from typing import Any

import openai

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
)
from responses_stream.agents import Relayed, relay_response

server = ResponsesServer(options=ResponsesServerOptions(default_model="relay"))


@server.response_handler
async def answer(_: CreateResponse, context: ResponseContext) -> Relayed:
    # Our client reads nothing until the upstream has answered, but for keep-alives. With a stream that has said nothing
    # yet, the relay says its life too: how the upstream ended, and what it has cost.
    return relay_response(await upstream(await context.get_input_text()), context.stream())


async def upstream(question: str) -> Any:
    """Ask the upstream. Its answer may be a dict, or a `Response` of the `openai` package."""
    base_url = os.environ.get("UPSTREAM_BASE_URL")
    if base_url is None:
        return canned(question)
    async with openai.AsyncOpenAI(base_url=base_url) as client:
        return await client.responses.create(model=os.environ.get("UPSTREAM_MODEL", "tutor"), input=question)


def canned(question: str) -> dict[str, Any]:
    """Stands for the answer of an upstream."""
    text = {"type": "output_text", "text": f"You asked: {question}", "annotations": []}
    call = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "it"}}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
    return {
        "id": "resp_upstream",
        "object": "response",
        "created_at": 1767225600,
        "status": "completed",
        "model": "upstream",
        "output": [call, message],
        "usage": {"input_tokens": 4, "output_tokens": 6, "total_tokens": 10},
    }
