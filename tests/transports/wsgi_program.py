"""A process that serves one engine by the transport `wsgi`: ``python -m tests.transports.wsgi_program ARGUMENTS``.

What it is asked decides what it says: ``hello``; ``wait``, until it is told to stop; ``stay``, whatever it is told.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncIterator

import anyio

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, ResponsesServerOptions
from responses_stream.builders.events import AsyncYield


async def handler(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    asked = await context.get_input_text()
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    if asked != "hello":
        await context.shutdown.wait()
        yield stream.output_item_message("I was told.")
    if asked == "stay":
        with anyio.CancelScope(shield=True):
            await anyio.sleep_forever()
    yield stream.emit_completed()


def main(store: str, run: dict[str, object], options: dict[str, object]) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    server = ResponsesServer(
        options=ResponsesServerOptions(default_model="m", store=store, **options)  # type: ignore[arg-type]  # from JSON
    )
    server.response_handler(handler)
    server.run("wsgi", **run)  # type: ignore[arg-type]  # from JSON
    print("returned")


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
