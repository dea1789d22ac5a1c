"""Asks a `ResponsesServer` without any socket, and reads its answer."""

from __future__ import annotations

import json
from typing import Any

import attrs

from responses_stream import HttpReply, HttpRequest, ResponsesServer
from responses_stream.sse import FrameDecoder


@attrs.frozen
class Answer:
    """A reply whose body was read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.json["error"]
        return error

    @property
    def data(self) -> list[str]:
        """The data of every frame of an event stream."""
        assert self.headers["content-type"] == "text/event-stream; charset=utf-8"
        decoder = FrameDecoder()
        return [frame.data.decode() for frame in decoder.feed(self.body)]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of an event stream, whose frames agree with their JSON."""
        return [json.loads(data) for data in self.data if data != "[DONE]"]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]


def request_for(
    body: object = None,
    *,
    method: str = "POST",
    path: str = "/v1/responses",
    query: str = "",
    headers: dict[str, str] | None = None,
) -> HttpRequest:
    """Return a request whose body is the JSON of *body*; bytes are sent as they are."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return HttpRequest(method, path, query, tuple((headers or {}).items()), data)


async def answer_of(reply: HttpReply) -> Answer:
    """Read a reply to its end, as a transport does."""
    if isinstance(reply.body, bytes):
        return Answer(reply.status, dict(reply.headers), reply.body)
    try:
        pieces = [piece async for piece in reply.body]
    finally:
        await reply.body.aclose()
    return Answer(reply.status, dict(reply.headers), b"".join(pieces))


async def ask(
    server: ResponsesServer,
    body: object = None,
    *,
    method: str = "POST",
    path: str = "/v1/responses",
    query: str = "",
    headers: dict[str, str] | None = None,
) -> Answer:
    """Ask *server*, and return all of its answer."""
    return await answer_of(
        await server.handle(request_for(body, method=method, path=path, query=query, headers=headers))
    )
