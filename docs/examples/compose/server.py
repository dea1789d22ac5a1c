"""A server for more than one machine: everything that differs between machines comes from the environment."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio

from responses_stream import AsyncYield, CreateResponse, ResponseContext, ResponsesServer, ResponsesServerOptions

PHASES = ("an outline", "a draft", "a polished text")

server = ResponsesServer(options=ResponsesServerOptions(default_model="writer"))


@server.response_handler
async def write(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    """Say one item for each phase: what is done stays done, whatever becomes of the server (docs/recovery.md)."""
    stream = context.resumed_stream()
    if not context.is_recovery:
        yield stream.emit_created()
    yield stream.emit_in_progress()
    for phase in PHASES[len(stream.response.output) :]:
        yield stream.output_item_message(words_of(phase))
    yield stream.emit_completed()


async def words_of(phase: str) -> AsyncIterator[str]:
    """Return what a model would say, word by word."""
    for word in f"Here is {phase}.".split(" "):
        yield f"{word} "
        await anyio.sleep(0.5)


if __name__ == "__main__":
    server.run()
