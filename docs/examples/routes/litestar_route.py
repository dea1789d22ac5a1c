"""A Litestar route that answers Responses clients.

uvicorn --app-dir docs/examples/routes litestar_route:app
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from litestar import Litestar, Request, Response, post
from litestar.response import Stream

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


def sse_response(events: AsyncIterable[AsyncYield]) -> Stream:
    return Stream(encode_stream(aiter(events)), headers=SSE_HEADERS, media_type=SSE_HEADERS["content-type"])


@post("/v1/responses", status_code=200)
async def create(request: Request[Any, Any, Any]) -> Response[Any]:
    try:
        asked = decode_as(from_json(await request.body()), CreateResponse, strict=True)
    except DecodeError as error:
        refusal = ErrorPayload(message=str(error), code="invalid_request", type="invalid_request_error")
        return Response(encode(ErrorBody(error=refusal)), status_code=400, media_type="application/json")
    events = answer(asked)
    if asked.stream:
        return sse_response(events)
    response = await accumulate(guarded(aiter(events)))
    return Response(encode(response), media_type="application/json")


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


app = Litestar([create])
