"""Sample 17: tenants that are known by their API keys, and cannot see each other's responses.

    responses-stream serve docs/examples/multi_tenant.py

Every lookup is made for the tenant: an id of another one is answered exactly as an unknown one, with a 404. So are
`previous_response_id`, cancel, delete, replay and the input items.
"""

from __future__ import annotations

import hashlib

from responses_stream import (
    CreateResponse,
    HttpError,
    HttpRequest,
    Identity,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


# Keys are kept as digests, so that who reads this table cannot use them.
TENANTS = {digest("key-of-north"): "north", digest("key-of-south"): "south"}


async def identify(request: HttpRequest) -> Identity:
    scheme, _, key = (request.header("authorization") or "").partition(" ")
    tenant = TENANTS.get(digest(key)) if scheme.lower() == "bearer" else None
    if tenant is None:
        raise HttpError(401, "invalid_api_key", "This API key is not known.")
    return Identity(user_key=tenant)


# Called for every request, of every route, before anything is looked up.
server = ResponsesServer(identify=identify, options=ResponsesServerOptions(default_model="tenant"))


@server.response_handler
async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
    before = len(await context.get_history())
    text = f"{context.isolation.user_key}, this is {await context.get_input_text()!r} after {before} items."
    return TextResponse(context, request, text=text)
