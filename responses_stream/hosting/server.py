"""`ResponsesServer`: the front door. Give it a handler, and it answers `POST /responses` as SSE or as JSON.

It knows no socket. `handle` takes a request as plain data and returns a reply as plain data; a transport does the rest.
"""

from __future__ import annotations

import logging
import time
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeVar

import anyio
import attrs
import msgspec

from responses_stream.builders.events import Events
from responses_stream.hosting.context import ResponseContext
from responses_stream.hosting.creation import make_context, parse_create, read_body
from responses_stream.hosting.errors import HttpError, internal_error, json_reply
from responses_stream.hosting.handlers import Handler, HandlerFunction
from responses_stream.hosting.http import ByteStream, HttpReply, HttpRequest
from responses_stream.hosting.options import ResponsesServerOptions
from responses_stream.hosting.outbox import Outbox
from responses_stream.hosting.owner import RunOwner
from responses_stream.hosting.request_ids import request_id_of
from responses_stream.hosting.routing import Router
from responses_stream.hosting.run import Run
from responses_stream.hosting.transports import find_transport
from responses_stream.protocol.codec import encode
from responses_stream.protocol.request import CreateResponse
from responses_stream.sse import DONE, SSE_HEADERS

F = TypeVar("F", bound=HandlerFunction)

HEADERS_WAIT: Final = 15.0
"""How long the headers of a stream wait for its first event (decision 12)."""

_log: Final = logging.getLogger("responses_stream")


class ResponsesServer:
    """Serves the responses that one handler makes.

    Args:
        options: choices and limits; see `ResponsesServerOptions`.

    Example:
        >>> from responses_stream import ResponsesServer, TextResponse
        >>> server = ResponsesServer()
        >>> @server.response_handler
        ... async def handler(request, context):
        ...     return TextResponse(context, request, text="Hello")
        >>> server.run()  # doctest: +SKIP
    """

    def __init__(self, *, options: ResponsesServerOptions | None = None) -> None:
        self._options = options or ResponsesServerOptions()
        self._handler = Handler.of(_no_handler)
        self._owner = RunOwner(self._options.max_sync_handlers)
        bases = [self._options.prefix] if self._options.prefix else ["", "/v1"]
        self._router = Router(
            {
                **{f"{base}/responses": {"POST": self._create} for base in bases},
                **{f"{base}/models": {"GET": self._models} for base in bases},
                "/readiness": {"GET": self._readiness},
            }
        )

    @property
    def options(self) -> ResponsesServerOptions:
        """The choices and limits of this server."""
        return self._options

    def response_handler(self, function: F) -> F:
        """Register the handler, as a decorator; the last one that is registered counts (H1.15).

        It is an async generator, a sync generator, a coroutine or a function that returns a `TextResponse`, `Events`
        or an iterable of events, and takes ``(request, context)`` or ``(request, context, cancellation_signal)``.

        Raises:
            InvalidType: it is anything else.
        """
        self._handler = Handler.of(function)
        return function

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Own the runs while the context is open; leaving it cancels those that are left.

        A server that offers no such moment may do without: the first run starts an owner of its own.
        """
        return self._owner.lifespan()

    def run(self, transport: str | None = None, *, host: str = "127.0.0.1", port: int = 8088) -> None:
        """Serve until the process is told to stop.

        Args:
            transport: the name of a transport; without it, that of the options, of the environment variable
                `RESPONSES_TRANSPORT`, or `h11`.
            host: the address to listen on.
            port: the port to listen on.

        Raises:
            UnknownTransport: no installed package has a transport of that name.
            ImportError: what the transport needs is not installed.
            OSError: the address cannot be listened on.
        """
        find_transport(transport or self._options.transport)(self, host=host, port=port)

    async def handle(self, request: HttpRequest) -> HttpReply:
        """Answer one request; every error is a reply (decision 19).

        To cancel this call, or to close the body of its reply, says that the client has gone: the handler is cancelled
        (decision 13).

        Raises:
            Exception: only what iterating the body of the request raises.
        """
        request_id = request_id_of(request)
        try:
            endpoint = self._router.find(request)
            if request.method == "POST":
                # Read out here, so that what the transport raises is the transport's again.
                request = attrs.evolve(request, body=await read_body(request, self._options.max_body_bytes))
            try:
                reply = await endpoint(request, request_id)
            except HttpError:
                raise
            except Exception:
                _log.exception("the server failed at %s %s", request.method, request.path)
                raise internal_error() from None
        except HttpError as error:
            reply = error.reply(request_id)
        return attrs.evolve(reply, body=b"") if request.method == "HEAD" else reply

    async def _create(self, request: HttpRequest, request_id: str) -> HttpReply:
        assert isinstance(request.body, bytes)
        asked = parse_create(request.body, self._options)
        context = make_context(request, asked, self._options, int(time.time()))
        if context.mode_flags.stream:
            return await self._stream(context, request_id)
        run = Run(context, self._handler, None)
        await self._owner.start(run.play)
        try:
            await run.ended.wait()
        finally:
            run.leave()
        if run.refused is not None or run.response is None:
            raise run.refused or internal_error()
        return json_reply(200, encode(run.response), request_id)

    async def _stream(self, context: ResponseContext, request_id: str) -> HttpReply:
        outbox = Outbox()
        run = Run(context, self._handler, outbox)
        await self._owner.start(run.play)
        body = _EventStream(run, outbox, DONE if self._options.sse_done_marker else b"")
        try:
            with anyio.move_on_after(HEADERS_WAIT):
                await outbox.filled()
        except BaseException:
            run.leave()
            raise
        return HttpReply(200, (*SSE_HEADERS.items(), ("x-request-id", request_id)), body)

    async def _models(self, _: HttpRequest, request_id: str) -> HttpReply:
        model = (self._options.default_model or "").strip()
        known = {"id": model, "object": "model", "created": 0, "owned_by": "responses-stream"}
        return json_reply(200, msgspec.json.encode({"object": "list", "data": [known] if model else []}), request_id)

    async def _readiness(self, _: HttpRequest, request_id: str) -> HttpReply:
        return json_reply(200, b'{"status":"healthy"}', request_id)


async def _no_handler(_request: CreateResponse, _context: ResponseContext) -> Events:
    """H1.14: a server without a handler answers as one whose handler fails."""
    raise LookupError("no handler is registered: decorate one with @server.response_handler")


class _EventStream(ByteStream):
    """The frames of one run as the body of a reply. Closing it before its end says that the client has gone."""

    def __init__(self, run: Run, outbox: Outbox, last: bytes) -> None:
        self._run, self._outbox, self._last = run, outbox, last
        self._sent_all = False

    def __aiter__(self) -> _EventStream:
        return self

    async def __anext__(self) -> bytes:
        if self._sent_all:
            raise StopAsyncIteration
        frames = await self._outbox.take()
        if self._outbox.ended:
            # The marker goes out with the terminal event: clients want the end to be one moment (decision 2).
            self._sent_all = True
            frames += self._last
        return frames

    async def aclose(self) -> None:
        self._sent_all = True
        self._run.leave()
