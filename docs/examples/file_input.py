"""Sample 14 (H19.14): files in the input: whole in a data URL, by URL, or by their id.

responses-stream serve docs/examples/file_input.py
"""

from __future__ import annotations

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
    get_content_expanded,
    try_decode_bytes,
)
from responses_stream.protocol.items import InputMessage
from responses_stream.protocol.parts import ResponseInputFile

server = ResponsesServer(options=ResponsesServerOptions(default_model="reader"))

FILES = {"file_minutes": b"Minutes of the meeting"}
"""Stands for wherever your files are; their ids are yours."""


@server.response_handler
async def read(request: CreateResponse, context: ResponseContext) -> TextResponse:
    messages = [item for item in await context.get_input_items() if isinstance(item, InputMessage)]
    parts = [part for message in messages for part in get_content_expanded(message)]
    told = [describe(part) for part in parts if isinstance(part, ResponseInputFile)]
    return TextResponse(context, request, text="\n".join(told) or "I was given no file.")


def describe(file: ResponseInputFile) -> str:
    name = file.filename if isinstance(file.filename, str) else "a file"
    if isinstance(file.file_url, str):
        return f"{name} is at {file.file_url}"
    content: bytes | None = None
    if isinstance(file.file_data, str):
        content = try_decode_bytes(file.file_data)
    elif isinstance(file.file_id, str):
        name, content = file.file_id, FILES.get(file.file_id)
    if content is None:
        return f"{name} cannot be read"
    return f"{name}: {content.decode(errors='replace')}"
