"""Sample 7 (H19.7): a server with options: its models, how a silent stream is kept alive, and what it logs.

    responses-stream serve docs/examples/options.py
    responses-stream serve docs/examples/options.py --keep-alive auto --default-model other

A flag wins over what stands here. docs/options.md has them all, with their environment variables.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import anyio

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)

# The server logs to "responses_stream", never what was asked or answered. `serve` shows what is INFO or above of all
# loggers, and of this one all: each has a level of its own.
log = logging.getLogger("slow")
log.setLevel(logging.DEBUG)

server = ResponsesServer(
    options=ResponsesServerOptions(
        default_model="slow",
        models=["slower"],
        # A comment after each second of silence: a proxy would end a silent connection after a minute or so.
        keep_alive="comment",
        sse_keep_alive_interval_seconds=1,
        run_timeout_seconds=120,
        access_log=True,
    )
)

SECONDS = {"slow": 2.5, "slower": 5.0}
"""How long each model thinks."""


@server.response_handler
async def think_long(request: CreateResponse, context: ResponseContext) -> TextResponse:
    log.debug("%s thinks", context.response_id)
    return TextResponse(context, request, text=model(str(request.model)))


async def model(name: str) -> AsyncIterator[str]:
    """Stands for a language model that thinks for a long time."""
    await anyio.sleep(SECONDS.get(name, 1.0))
    yield f"I am {name}, and I have thought about it."
