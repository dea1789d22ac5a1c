"""A Django view that answers Responses clients, under WSGI.

gunicorn --chdir docs/examples/routes --threads 32 django_sync_route:application
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

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


def sse_response(events: Iterable[SyncYield]) -> StreamingHttpResponse:
    return StreamingHttpResponse(encode_stream(events), headers=SSE_HEADERS)


@csrf_exempt
@require_POST
def create(asked: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    try:
        request = decode_as(from_json(asked.body), CreateResponse, strict=True)
    except DecodeError as error:
        refusal = ErrorPayload(message=str(error), code="invalid_request", type="invalid_request_error")
        return HttpResponse(encode(ErrorBody(error=refusal)), status=400, content_type="application/json")
    events = answer(request)
    if request.stream:
        return sse_response(events)
    response = accumulate(guarded(events))
    return HttpResponse(encode(response), content_type="application/json")


def answer(request: CreateResponse) -> Iterator[SyncYield]:
    stream = ResponseEventStream(new_response_id(), request)
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield stream.output_item_message(model())
    yield stream.emit_completed()


def model() -> Iterator[str]:
    """Stands for yours."""
    yield from ("Hello", " from", " your", " route")


urlpatterns = [path("v1/responses", create)]

if not settings.configured:  # a project has a module for these
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of an example")
application = get_wsgi_application()
