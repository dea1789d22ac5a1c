"""An aiohttp route that answers Responses clients.

python docs/examples/routes/aiohttp_route.py
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import aclosing

from aiohttp import web

from responses_stream import (
    AsyncYield,
    CreateResponse,
    DecodeError,
    ResponseEventStream,
    accumulate,
    encode_stream,
    guarded,
)
from responses_stream.protocol import ErrorBody, ErrorPayload, decode_as, encode, from_json, new_response_id
from responses_stream.sse import SSE_HEADERS


async def sse_response(asked: web.Request, events: AsyncIterable[AsyncYield]) -> web.StreamResponse:
    response = web.StreamResponse(headers=SSE_HEADERS)
    await response.prepare(asked)
    async with aclosing(encode_stream(aiter(events))) as frames:
        async for frame in frames:
            await response.write(frame)
    return response


async def create(asked: web.Request) -> web.StreamResponse:
    try:
        request = decode_as(from_json(await asked.read()), CreateResponse, strict=True)
    except DecodeError as error:
        refusal = ErrorPayload(message=str(error), code="invalid_request", type="invalid_request_error")
        return web.Response(body=encode(ErrorBody(error=refusal)), status=400, content_type="application/json")
    events = answer(request)
    if request.stream:
        return await sse_response(asked, events)
    response = await accumulate(guarded(aiter(events)))
    return web.Response(body=encode(response), content_type="application/json")


async def answer(request: CreateResponse) -> AsyncIterator[AsyncYield]:
    stream = ResponseEventStream(new_response_id(), request)
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield stream.output_item_message(model())
    yield stream.emit_completed()


async def model() -> AsyncIterator[str]:
    """Stands for yours."""
    for token in ("Hello", " from", " your", " route"):
        yield token


app = web.Application()
app.router.add_post("/v1/responses", create)

if __name__ == "__main__":
    # Without the latter, a client that has gone is noticed with the next frame, and not while the model is silent.
    web.run_app(app, host="127.0.0.1", port=8000, handler_cancellation=True)
