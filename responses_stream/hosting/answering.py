"""What a server answers: it finds the endpoint of a request, and every error is a reply (decision 19).

It knows which paths there are, what stands in the header of each reply, and how the handshake of a WebSocket is
answered. What an endpoint does is a module of its own, and gets the inside of the server, its `Host`.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import attrs
import msgspec

from responses_stream._version import __version__
from responses_stream.hosting.compacting import compact
from responses_stream.hosting.creating import create
from responses_stream.hosting.errors import HttpError, check_may_wait, internal_error, shutting_down
from responses_stream.hosting.exchange import CREATE, DELETE, Exchange
from responses_stream.hosting.host import Host
from responses_stream.hosting.http import HttpReply, HttpRequest, WebSocketSession
from responses_stream.hosting.logs import safe
from responses_stream.hosting.managing import cancel, delete, input_items
from responses_stream.hosting.options import ResponsesServerOptions
from responses_stream.hosting.reading import EventBody
from responses_stream.hosting.requests import read_body
from responses_stream.hosting.retrieving import retrieve
from responses_stream.hosting.routing import ID, Call, Endpoint, Router
from responses_stream.hosting.telemetry import Telemetry
from responses_stream.hosting.websocket import Session, no_websocket, wants_websocket
from responses_stream.hosting.websocket_memory import Memory

_log: Final = logging.getLogger("responses_stream")


class Answering:
    """Answers the requests to one server.

    Args:
        options: choices and limits.
        telemetry: who is told of each request.
        host: returns the inside of the server, as it is now.
    """

    def __init__(self, options: ResponsesServerOptions, telemetry: Telemetry, host: Callable[[], Host]) -> None:
        self._options, self._telemetry, self._host = options, telemetry, host
        bases = [options.prefix] if options.prefix else ["", "/v1"]
        self._operations: dict[Endpoint, str] = {}
        routes: dict[str, dict[str, Endpoint]] = {"/readiness": {"GET": self._readiness}}
        for base in bases:
            one = f"{base}/responses/{ID}"
            routes |= {
                f"{base}/responses": {"POST": self._to(CREATE, create)},
                f"{base}/responses/compact": {"POST": self._to("compact_response", compact)},
                one: {"GET": self._to("get_response", retrieve), "DELETE": self._to(DELETE, delete)},
                f"{one}/cancel": {"POST": self._to("cancel_response", cancel)},
                f"{one}/input_items": {"GET": self._to("list_input_items", input_items)},
                f"{base}/models": {"GET": self._models},
            }
        self._router = Router(routes)
        self._websockets = frozenset(f"{base}/responses" for base in bases)
        own = f"responses-stream/{__version__} (python/{'.'.join(platform.python_version_tuple()[:2])})"
        self._version = " ".join(filter(None, (own, options.additional_server_version)))

    async def answer(
        self, request: HttpRequest, memory: Memory | None = None, endpoint: Endpoint | None = None
    ) -> HttpReply:
        """Answer a request.

        Args:
            request: the request.
            memory: what the WebSocket remembers that it came by, if it did.
            endpoint: what answers it; by default, what its path and method say.

        Raises:
            Exception: only what iterating the body of the request raises.
        """
        exchange = Exchange.of(request, self._telemetry)
        with exchange.answering():
            reply = await self._reply(request, exchange, memory, endpoint)
        tell = exchange.answered(reply)
        if tell is not None and isinstance(reply.body, EventBody):
            reply.body.on_close = tell
        return reply

    async def open_websocket(self, request: HttpRequest) -> WebSocketSession | HttpReply:
        """Answer the handshake of a WebSocket: with a session, or with the reply that refuses it."""
        opened: list[Session] = []

        async def handshake(call: Call) -> HttpReply:
            opened.append(await self._open(call))
            return HttpReply(101, (), b"")

        # HTTP/2 has another method for it (RFC 8441).
        reply = await self.answer(attrs.evolve(request, method="GET"), endpoint=handshake)
        return opened[0] if opened else reply

    async def _open(self, call: Call) -> Session:
        request, options = call.request, self._options
        if request.path.rstrip("/") not in self._websockets:
            raise HttpError(404, "not_found", "There is no WebSocket at this path.")
        if not options.websocket:
            raise no_websocket()
        host = self._host()
        check_may_wait(request)
        home = await host.ask(host.ready())
        await host.identity(call)
        if host.runs.draining:
            raise shutting_down()

        def closed(session: Session) -> None:
            host.sessions.discard(session)
            home.lifetimes.remove(session.grow_old)

        memory = Memory(options.max_body_bytes)
        session = Session(request, self.answer, memory, max_bytes=options.max_body_bytes, on_close=closed)
        host.sessions.add(session)
        home.lifetimes.add(session.grow_old, anyio.current_time() + options.websocket_seconds)
        return session

    async def _reply(
        self, request: HttpRequest, exchange: Exchange, memory: Memory | None, endpoint: Endpoint | None
    ) -> HttpReply:
        try:
            response_id = ""
            if endpoint is None:
                if wants_websocket(request) and request.path.rstrip("/") in self._websockets:
                    raise no_websocket()
                endpoint, response_id = self._router.find(request)
            exchange.finds(self._operations.get(endpoint, ""), response_id, request, self._telemetry)
            if request.method == "POST":
                # Read out here, so that what the transport raises is the transport's again.
                body = await read_body(request, self._options.max_body_bytes)
                if body is not request.body:
                    request = attrs.evolve(request, body=body)
            try:
                reply = await endpoint(Call(request, exchange.request_id, exchange, response_id, memory))
            except HttpError:
                raise
            except Exception:
                _log.exception("the server failed at %s %s", safe(request.method), safe(request.path))
                raise internal_error() from None
        except HttpError as error:
            exchange.error = error.code
            reply = error.reply(exchange.request_id)
        headers = (*reply.headers, ("x-platform-server", self._version))
        if request.method != "HEAD":
            return HttpReply(reply.status, headers, reply.body)
        if not isinstance(reply.body, bytes):
            await reply.body.aclose()
        return HttpReply(reply.status, headers, b"")

    def _to(self, operation: str, endpoint: Callable[[Host, Call], Awaitable[HttpReply]]) -> Endpoint:
        async def answer(call: Call) -> HttpReply:
            return await endpoint(self._host(), call)

        self._operations[answer] = operation
        return answer

    async def _models(self, call: Call) -> HttpReply:
        default = (self._options.default_model or "").strip()
        names = dict.fromkeys([*([default] if default else []), *self._options.models])
        known = [{"id": name, "object": "model", "created": 0, "owned_by": "responses-stream"} for name in names]
        return self._host().json(call, msgspec.json.encode({"object": "list", "data": known}))

    async def _readiness(self, call: Call) -> HttpReply:
        return self._host().json(call, b'{"status":"healthy"}')
