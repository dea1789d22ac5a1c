"""Sample 13 (H19.13): images in the input: by URL, whole in a data URL, or by the id of a file.

responses-stream serve docs/examples/image_input.py
"""

from __future__ import annotations

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
    get_content_expanded,
    get_media_type,
    is_data_url,
    try_decode_bytes,
)
from responses_stream.protocol.items import InputMessage
from responses_stream.protocol.parts import ResponseInputImage

server = ResponsesServer(options=ResponsesServerOptions(default_model="viewer"))

FILES = {"file_sunset": b"\x89PNG of a sunset"}
"""Stands for wherever your files are; their ids are yours."""


@server.response_handler
async def look(request: CreateResponse, context: ResponseContext) -> TextResponse:
    messages = [item for item in await context.get_input_items() if isinstance(item, InputMessage)]
    # The content of a message may be a string; expanded, it is always a list of parts.
    parts = [part for message in messages for part in get_content_expanded(message)]
    seen = [describe(part) for part in parts if isinstance(part, ResponseInputImage)]
    return TextResponse(context, request, text="\n".join(seen) or "I see no image.")


def describe(image: ResponseInputImage) -> str:
    # Members that a client left out are neither None nor a string; `isinstance` is the safe question.
    if isinstance(image.file_id, str):
        content = FILES.get(image.file_id)
        return f"file {image.file_id}: {'unknown' if content is None else f'{len(content)} bytes'}"
    if not isinstance(image.image_url, str):
        return "an image without a place"
    if not is_data_url(image.image_url):
        return f"URL: {image.image_url}"  # fetching it is up to you; check first what a stranger may make you fetch
    content = try_decode_bytes(image.image_url)
    return f"data: {get_media_type(image.image_url)}, {'not base64' if content is None else f'{len(content)} bytes'}"
