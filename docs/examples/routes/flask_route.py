"""A Flask route that answers Responses clients.

gunicorn --chdir docs/examples/routes --threads 32 flask_route:app
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flask import Flask, Response, request

from responses_stream import (
    CreateResponse,
    DecodeError,
    ResponseEventStream,
    SyncYield,
    accumulate,
    encode_stream,
    guarded,
)
from responses_stream.protocol import ErrorBody, ErrorPayload, decode_as, encode, from_json, new_response_id
from responses_stream.sse import SSE_HEADERS

app = Flask(__name__)


def sse_response(events: Iterable[SyncYield]) -> Response:
    return Response(encode_stream(events), headers=dict(SSE_HEADERS))


@app.post("/v1/responses")
def create() -> Response:
    try:
        asked = decode_as(from_json(request.get_data()), CreateResponse, strict=True)
    except DecodeError as error:
        refusal = ErrorPayload(message=str(error), code="invalid_request", type="invalid_request_error")
        return Response(encode(ErrorBody(error=refusal)), 400, content_type="application/json")
    events = answer(asked)
    if asked.stream:
        return sse_response(events)
    response = accumulate(guarded(events))
    return Response(encode(response), content_type="application/json")


def answer(request: CreateResponse) -> Iterator[SyncYield]:
    stream = ResponseEventStream(new_response_id(), request)
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield stream.output_item_message(model())
    yield stream.emit_completed()


def model() -> Iterator[str]:
    """Stands for yours."""
    yield from ("Hello", " from", " your", " route")
