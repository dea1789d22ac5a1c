"""Sample 8 (H19.8): one application that speaks two protocols: Responses, and a plain route of its own.

    uvicorn --app-dir docs/examples two_protocols:app
    curl http://127.0.0.1:8000/invocations -d '{"message": "Hi"}'

The agent knows neither of them. `responses-stream serve docs/examples/two_protocols.py` serves Responses alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)
from responses_transports.asgi import ASGIApp

server = ResponsesServer(options=ResponsesServerOptions(default_model="both"))


async def agent(message: str) -> AsyncIterator[str]:
    """What both protocols reach."""
    yield "You said: "
    yield message


@server.response_handler
async def over_responses(request: CreateResponse, context: ResponseContext) -> TextResponse:
    return TextResponse(context, request, text=agent(await context.get_input_text()))


async def over_invocations(asked: Request) -> JSONResponse:
    body = await asked.json()
    return JSONResponse({"answer": "".join([piece async for piece in agent(str(body["message"]))])})


app = Starlette(
    routes=[
        Route("/invocations", over_invocations, methods=["POST"]),
        Mount("/", ASGIApp(server)),  # /v1/responses and all that belongs to it; the last, because it takes the rest
    ],
    # Whoever mounts the server enters its lifespan, so that streams end in order when the application stops.
    lifespan=lambda _: server.lifespan(),
)
