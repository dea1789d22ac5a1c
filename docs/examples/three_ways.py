"""Sample 3 (H19.3): one answer said in three ways, from the shortest to the one that says each event itself.

    responses-stream serve docs/examples/three_ways.py

The model of the request chooses: `convenience`, `items` or `builders`. Clients cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from responses_stream import (
    AsyncYield,
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)

server = ResponsesServer(options=ResponsesServerOptions(default_model="convenience", models=["items", "builders"]))


@server.response_handler
async def answer(request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    ways = {"items": items, "builders": builders}
    way = ways.get(str(request.model), convenience)
    # A handler may yield single events, and anything that has events, such as one of the functions below.
    yield way(request, context)


def convenience(request: CreateResponse, context: ResponseContext) -> TextResponse:
    """Only text: all of the response in one call."""
    return TextResponse(context, request, text=model())


async def items(_: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    """The life of the response event by event, and each item in one call."""
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield stream.output_item_message(model())
    yield stream.emit_completed()


async def builders(_: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    """Each event: for what happens within an item, such as annotations, or a second item that is open as well."""
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    message = stream.add_output_item_message()
    yield message.emit_added()
    text = message.add_text_content()
    yield text.emit_added()
    async for token in model():
        yield text.emit_delta(token)
    yield text.emit_text_done()  # the text is what the deltas said; nobody has to repeat it
    yield text.emit_done()
    yield message.emit_done()
    yield stream.emit_completed()


async def model() -> AsyncIterator[str]:
    """Stands for a language model."""
    for token in ("There", " is", " more", " than", " one", " way."):
        yield token
