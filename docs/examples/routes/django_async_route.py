"""A Django view that answers Responses clients, under ASGI.

uvicorn --app-dir docs/examples/routes --lifespan off django_async_route:application
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

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


def sse_response(events: AsyncIterable[AsyncYield]) -> StreamingHttpResponse:
    return StreamingHttpResponse(encode_stream(aiter(events)), headers=SSE_HEADERS)


@csrf_exempt
@require_POST
async def create(asked: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    try:
        request = decode_as(from_json(asked.body), CreateResponse, strict=True)
    except DecodeError as error:
        refusal = ErrorPayload(message=str(error), code="invalid_request", type="invalid_request_error")
        return HttpResponse(encode(ErrorBody(error=refusal)), status=400, content_type="application/json")
    events = answer(request)
    if request.stream:
        return sse_response(events)
    response = await accumulate(guarded(aiter(events)))
    return HttpResponse(encode(response), content_type="application/json")


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


urlpatterns = [path("v1/responses", create)]

if not settings.configured:  # a project has a module for these
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of an example")
application = get_asgi_application()
