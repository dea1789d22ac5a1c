"""Sample 16 (H19.16): structured output, as an item of its own, and as the text of a message.

    responses-stream serve docs/examples/structured_outputs.py

A client that sends `text.format` with a JSON schema expects JSON in the text of a message; the `openai` client's
`responses.parse` is one. The item `structured_outputs` is the platform's, and holds any JSON as it is.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from responses_stream import (
    AsyncYield,
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
)
from responses_stream.protocol.tools import (
    ResponseFormatJSONObject,
    ResponseFormatTextJSONSchema,
    ResponseTextConfig,
)

server = ResponsesServer(options=ResponsesServerOptions(default_model="extractor"))

EVENT = {"name": "Science fair", "day": "Friday", "participants": ["Ada", "Grace"]}


@server.response_handler
async def extract(request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    if wants_json(request):
        yield stream.output_item_message(json.dumps(EVENT))
    else:
        yield stream.output_item_structured_outputs(EVENT)
    yield stream.emit_completed()


def wants_json(request: CreateResponse) -> bool:
    """Tell whether the text of the answer has to be JSON."""
    text = request.text
    return isinstance(text, ResponseTextConfig) and isinstance(
        text.format, ResponseFormatTextJSONSchema | ResponseFormatJSONObject
    )
