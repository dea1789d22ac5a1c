"""A FastAPI route that answers Responses clients. With Starlette alone, `sse_response` is the same.

uvicorn --app-dir docs/examples/routes fastapi_route:app
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

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

app = FastAPI()


def sse_response(events: AsyncIterable[AsyncYield]) -> StreamingResponse:
    return StreamingResponse(encode_stream(aiter(events)), headers=SSE_HEADERS)


@app.post("/v1/responses")
async def create(asked: Request) -> Response:
    try:
        request = decode_as(from_json(await asked.body()), CreateResponse, strict=True)
    except DecodeError as error:
        refusal = ErrorPayload(message=str(error), code="invalid_request", type="invalid_request_error")
        return Response(encode(ErrorBody(error=refusal)), 400, media_type="application/json")
    events = answer(request)
    if request.stream:
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
