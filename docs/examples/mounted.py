"""Sample 9 (H19.9): the server below `/api` in an application that is there already.

    uvicorn --app-dir docs/examples mounted:app
    curl http://127.0.0.1:8000/api/v1/responses -d '{"input": "Hi"}'

docs/transports.md has the same for Flask, Django, Litestar and Quart.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)
from responses_transports.asgi import ASGIApp
from responses_transports.signals import draining_on_signals

server = ResponsesServer(options=ResponsesServerOptions(default_model="guest"))


@server.response_handler
async def greet(request: CreateResponse, context: ResponseContext) -> TextResponse:
    return TextResponse(context, request, text="I live below /api.")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    # Applications do not pass their lifespan on to what they mount. With these two, streams end in order on SIGTERM.
    async with server.lifespan(), draining_on_signals(server.drain):
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def home() -> dict[str, str]:
    return {"page": "of the application"}


app.mount("/api", ASGIApp(server))
