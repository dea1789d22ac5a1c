"""Sample 12 (H19.12): an image that the agent makes, said in three ways.

    responses-stream serve docs/examples/image_generation.py

The model of the request chooses: `whole`, `partial`, which shows two rough images before it, or `live`, which shows
each image when it is there. The clients of all three read an `image_generation_call` with the image in base64.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import AsyncIterator

from responses_stream import (
    AsyncYield,
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
)
from responses_stream.builders.stream import ResponseEventStream

server = ResponsesServer(options=ResponsesServerOptions(default_model="whole", models=["partial", "live"]))


@server.response_handler
async def draw(request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    if request.model == "live":
        async for event in live(stream):
            yield event
    elif request.model == "partial":
        *rough, image = [picture async for picture in pictures()]
        # At most three partial images are shown.
        yield stream.output_item_image_generation_call(image, partial_images=rough, output_format="png")
    else:
        images = [picture async for picture in pictures()]
        yield stream.output_item_image_generation_call(images[-1], output_format="png", size="64x64")
    yield stream.emit_completed()


async def live(stream: ResponseEventStream) -> AsyncIterator[AsyncYield]:
    """Each event when it is true: a client can show the rough images while the next one is made."""
    call = stream.add_output_item_image_generation_call()
    yield call.emit_added()
    yield call.emit_in_progress()
    yield call.emit_generating()
    image = ""
    async for picture in pictures():
        if image:
            yield call.emit_partial_image(image, output_format="png")
        image = picture
    yield call.emit_completed()
    yield call.emit_done(image, revised_prompt="A red square, sharper and sharper.", output_format="png")


async def pictures() -> AsyncIterator[str]:
    """Stands for a model of images: two rough ones and the final one, as PNG in base64."""
    for size in (8, 16, 64):
        yield base64.b64encode(red_square(size)).decode()


def red_square(size: int) -> bytes:
    """Return a PNG of *size* by *size* pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)  # eight bits for each of red, green and blue
    rows = b"".join(b"\0" + b"\xff\0\0" * size for _ in range(size))
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
