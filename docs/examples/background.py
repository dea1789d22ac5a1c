"""Sample 19: a long run in the background: it can be polled, read as a stream from any point on, and cancelled.

    responses-stream serve docs/examples/background.py

With `background: true` the `POST` is answered at once. `GET /v1/responses/{id}` shows the steps that are done;
`GET /v1/responses/{id}?stream=true&starting_after=N` goes on with a stream that broke; and
`POST /v1/responses/{id}/cancel` ends it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import anyio

from responses_stream import (
    AsyncYield,
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
)

server = ResponsesServer(
    options=ResponsesServerOptions(
        default_model="researcher",
        cancel_grace_seconds=5,  # how long a cancelled handler may go on
    )
)

log = logging.getLogger("researcher")

STEPS = ("I have read the question.", "I have found three sources.", "I have compared them.")


@server.response_handler
async def research(_: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    try:
        for step in STEPS:
            if context.cancellation.is_set():
                return  # somebody has cancelled it; a step that has begun is waited for, as long as the grace is
            await work(step)
            # A poll shows whole items: one for each step is what makes progress visible.
            yield stream.output_item_message(step, phase="commentary")
        yield stream.output_item_message("The answer is yes.", phase="final_answer")
        yield stream.emit_completed()
    finally:
        # Runs in any case: at the end, when it is cancelled, and when the server stops. Close connections here.
        log.info("%s: cleaned up", context.response_id)


async def work(step: str) -> None:
    """Stands for what takes long."""
    log.info("%s", step)
    await anyio.sleep(1)
