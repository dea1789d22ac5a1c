"""Sample 6 (H19.6): a response with several items: what the model thought, and what it says.

responses-stream serve docs/examples/several_outputs.py
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from responses_stream import (
    AsyncYield,
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    ResponseUsage,
)

server = ResponsesServer(options=ResponsesServerOptions(default_model="thinker"))


@server.response_handler
async def think_and_say(_: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    # Items are numbered in the order in which they begin; there is no index to keep.
    yield stream.output_item_reasoning(thoughts())
    yield stream.output_item_message(["The sum", " is", " 42."], phase="final_answer")
    yield stream.emit_completed(usage=ResponseUsage(input_tokens=5, output_tokens=14, total_tokens=19))


async def thoughts() -> AsyncIterator[str]:
    """Stands for the summary of what a model thinks."""
    for piece in ("17 and 25: ", "10 and 20 are 30, ", "7 and 5 are 12."):
        yield piece
