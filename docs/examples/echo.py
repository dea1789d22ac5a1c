"""Sample 1 (H19.1): an echo, the shortest server that there is.

responses-stream serve docs/examples/echo.py
"""

from __future__ import annotations

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)

server = ResponsesServer(options=ResponsesServerOptions(default_model="echo"))


@server.response_handler
async def echo(request: CreateResponse, context: ResponseContext) -> TextResponse:
    # The input may be a string or a list of items; this is the text of both.
    question = await context.get_input_text()
    return TextResponse(context, request, text=f"You said: {question}")
