"""Sample 20: a chat over one WebSocket. The server has nothing to do for it; the client is here as well.

    responses-stream serve docs/examples/websocket_chat.py    # needs responses-stream[ws]
    python docs/examples/websocket_chat.py                    # in another terminal; needs openai[realtime]

Nothing is stored (`store=False`): the connection remembers its turns, and each continues the one before.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)
from responses_stream.protocol.conversions import get_input_text

server = ResponsesServer(options=ResponsesServerOptions(default_model="chat"))


@server.response_handler
async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
    # A turn of a WebSocket is a request like any other: the same handler, the same context.
    before = [text for item in await context.get_history() if (text := get_input_text([item]))]
    return TextResponse(context, request, text=["After ", f"{len(before)} turns: ", await context.get_input_text()])


def chat(lines: Iterable[str], base_url: str = "http://127.0.0.1:8088/v1") -> None:
    """Say each line in a turn of its own, and print the answers as they come."""
    from openai import OpenAI

    last: str | None = None
    with OpenAI(base_url=base_url, api_key="-") as client, client.responses.connect() as connection:
        for line in lines:
            if last is None:
                connection.response.create(model="chat", input=line, store=False)
            else:
                connection.response.create(model="chat", input=line, store=False, previous_response_id=last)
            for event in connection:
                if event.type == "response.output_text.delta":
                    print(event.delta, end="", flush=True)
                elif event.type == "response.completed":
                    last = event.response.id
                    break
                elif event.type in ("response.failed", "response.incomplete", "error"):
                    last = None  # the connection has forgotten it too
                    break
            print()


if __name__ == "__main__":
    chat(line.rstrip("\n") for line in sys.stdin)
