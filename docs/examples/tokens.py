"""Sample 2 (H19.2): tokens as they come, from an async generator, and a response that is configured before it begins.

responses-stream serve docs/examples/tokens.py
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import anyio

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)
from responses_stream.builders.response import ResponseDraft

server = ResponsesServer(options=ResponsesServerOptions(default_model="tokens"))


@server.response_handler
async def stream_tokens(request: CreateResponse, context: ResponseContext) -> TextResponse:
    question = await context.get_input_text()
    return TextResponse(context, request, text=model(question), configure=cool_down)


def cool_down(response: ResponseDraft) -> None:
    # What the request said is echoed already. What the server decides itself is told here, before response.created.
    response.temperature = 0.2


async def model(question: str) -> AsyncIterator[str]:
    """Stands for a language model: says word by word what it was asked."""
    # Each chunk is a delta on the wire at once. When the client leaves, the generator is closed where it waits.
    for word in re.findall(r"\s*\S+", f"You asked: {question}"):
        await anyio.sleep(0.01)
        yield word
