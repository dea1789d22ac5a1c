"""`ResponsesServer`: the front door. Give it a handler, and it answers Responses clients.

It knows no socket. `handle` takes a request as plain data and returns a reply as plain data; a transport does the rest.
"""

from __future__ import annotations

import functools
import logging
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from responses_stream.builders.events import Events
from responses_stream.errors import InvalidValue
from responses_stream.hosting.answering import Answering
from responses_stream.hosting.attendance import Attendance
from responses_stream.hosting.compacting import CompactionFunction, CompactionHandler
from responses_stream.hosting.context import ResponseContext
from responses_stream.hosting.handlers import Handler, HandlerFunction
from responses_stream.hosting.host import Host
from responses_stream.hosting.http import HttpReply, HttpRequest, Limits, WebSocketSession
from responses_stream.hosting.identity import Identify, identity_of_headers
from responses_stream.hosting.listening import Listen
from responses_stream.hosting.options import ResponsesServerOptions
from responses_stream.hosting.owner import RunOwner
from responses_stream.hosting.recording import STORE_SECONDS
from responses_stream.hosting.recovering import recover
from responses_stream.hosting.run import Deliverer
from responses_stream.hosting.runs import Runs
from responses_stream.hosting.store_telemetry import StoreUse, TellsOfStore, tell
from responses_stream.hosting.storing import MEMORY, open_store
from responses_stream.hosting.telemetry import Telemetry, found_telemetry
from responses_stream.hosting.transports import find_transport
from responses_stream.protocol.ids import new_response_id
from responses_stream.protocol.request import CreateResponse
from responses_stream.stores.base import ResponseStore
from responses_stream.stores.memory import MemoryStore

if TYPE_CHECKING:
    import socket

F = TypeVar("F", bound=HandlerFunction)
C = TypeVar("C", bound=CompactionFunction)

_log: Final = logging.getLogger("responses_stream")


class ResponsesServer:
    """Serves the responses that one handler makes.

    Args:
        store: where responses are kept; whoever made it closes it. Without one, the server makes and closes that of the
            options, or a `MemoryStore`.
        options: choices and limits; see `ResponsesServerOptions`.
        identify: tells whose a request is; by default its isolation headers do, which a gateway has to have checked
            (decision 24).
        clock: seconds since the epoch.
        make_response_id: makes the id of a response, in the partition of the id that it is given, or a new one.
        telemetry: who is told of requests and runs, besides the log; by default OpenTelemetry, where its API is
            installed. `NoTelemetry` tells nobody.

    Example:
        >>> from responses_stream import ResponsesServer, TextResponse
        >>> server = ResponsesServer()
        >>> @server.response_handler
        ... async def handler(request, context):
        ...     return TextResponse(context, request, text="Hello")
        >>> server.run()  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        store: ResponseStore | None = None,
        options: ResponsesServerOptions | None = None,
        identify: Identify = identity_of_headers,
        clock: Callable[[], float] = time.time,
        make_response_id: Callable[[str | None], str] | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._handler: Deliverer = Handler.of(_no_handler)
        self._compaction_handler: CompactionHandler | None = None
        self._identify, self._clock, self._make_id = identify, clock, make_response_id
        self._telemetry = found_telemetry() if telemetry is None else telemetry
        self._given_store = store
        self._own_store: ResponseStore | None = None
        self._options = options or ResponsesServerOptions()
        self._set_up()

    def _set_up(self) -> None:
        options = self._options
        prefix = options.id_prefix
        self._made: Host | None = None
        self._left_to_parent: object = None
        self._homes = RunOwner(options.max_sync_handlers)
        self._make = self._make_id or (lambda hint: new_response_id(hint, prefix))
        self._answering = Answering(options, self._telemetry, self._host)

    @property
    def options(self) -> ResponsesServerOptions:
        """The choices and limits of this server."""
        return self._options

    @property
    def limits(self) -> Limits:
        """What a transport is to let clients do (decision 27)."""
        options = self._options
        return Limits(
            header_seconds=options.header_seconds,
            idle_seconds=options.idle_seconds,
            write_stall_seconds=options.write_stall_seconds,
            max_header_bytes=options.max_header_bytes,
            max_message_bytes=options.max_body_bytes,
            grace_seconds=options.shutdown_grace_period_seconds + STORE_SECONDS,
        )

    @property
    def has_store(self) -> bool:
        """Whether it was told where to keep responses."""
        return self._given_store is not None or self._options.store is not None

    @property
    def handler(self) -> Deliverer:
        """What makes the responses. May be set, to something that stands between the handler and the engine."""
        return self._handler

    @handler.setter
    def handler(self, handler: Deliverer) -> None:
        self._handler = handler
        if self._made is not None:
            self._made.handler = handler

    @property
    def has_handler(self) -> bool:
        """Whether a handler was registered."""
        return not (isinstance(self._handler, Handler) and self._handler.is_of(_no_handler))

    def configure(self, options: ResponsesServerOptions) -> None:
        """Replace the options, before the first request; a store that they name replaces that of the server.

        Raises:
            RuntimeError: a request was handled already.
        """
        if self._made is not None:
            raise RuntimeError("a server is configured before its first request")
        if options.store is not None and options.store != self._options.store:
            self._given_store = None
        self._options = options
        self._set_up()

    def response_handler(self, function: F) -> F:
        """Register the handler, as a decorator; the last one that is registered counts (H1.15).

        It is an async generator, a sync generator, a coroutine or a function that returns a `TextResponse`, `Events`
        or an iterable of events, and takes ``(request, context)`` or ``(request, context, cancellation_signal)``. An
        async one gets a `ResponseContext`, a sync one a `SyncResponseContext` and a thread of its own.

        Raises:
            HandlerForm: it is anything else.
        """
        self.handler = Handler.of(function)
        return function

    def compaction_handler(self, function: C) -> C:
        """Register what answers `POST /responses/compact`, as a decorator (W23).

        It takes ``(request, context)`` and returns items, or a dict with them as ``output``; the server adds what is
        missing.

        Raises:
            InvalidType: it does not take ``(request, context)``.
        """
        self._compaction_handler = CompactionHandler.of(function)
        if self._made is not None:
            self._made.compaction_handler = self._compaction_handler
        return function

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Own the runs while the context is open; leaving it drains and closes the server.

        A server that offers no such moment may do without: the first request starts an owner of its own.

        Raises:
            InvalidValue: the options take a store that outlives the process, and there is none (H18.49).
            Exception: what the store has trouble with when it is first asked.
        """
        host = self._host()
        try:
            async with self._homes.lifespan():
                try:
                    await host.ready()
                    yield
                finally:
                    with anyio.CancelScope(shield=True):
                        await self.drain()
        finally:
            with anyio.CancelScope(shield=True):
                await self.aclose()

    async def drain(self) -> None:
        """Take no further responses, and wait until those in the making have ended (decision 28).

        Their handlers are told, and have the grace of the options; what has not ended then ends as failed, with the
        code `server_shutting_down`. `GET`, cancel and delete go on to be answered.
        """
        await self._stop(self._host(), self._options.shutdown_grace_period_seconds)

    async def _stop(self, host: Host, grace: float) -> None:
        home = self._homes.current
        if home is not None:
            home.shutdown.set()
        live = host.runs.stop(grace)
        for session in host.sessions:
            session.go_away()
        with anyio.move_on_after(grace + STORE_SECONDS):
            for run in live:
                await run.ended.wait()

    async def aclose(self) -> None:
        """End what is still in the making, without a grace, and let go of the store; one of its own is closed.

        After that, the server may begin anew, in this event loop or another.
        """
        host = self._made
        if host is None:
            return
        await self._stop(host, 0)
        home = self._homes.current
        if home is not None:
            host.attendance.end(home)
            home.shutdown = anyio.Event()
        self._made = None
        if host.attendance.telemetry is not None:
            tell(host.attendance.telemetry.ends)
        with anyio.move_on_after(STORE_SECONDS):
            try:
                await host.store.release(host.owner)
                if self._own_store is not None:
                    own, self._own_store = self._own_store, None
                    await own.aclose()
            except Exception:
                _log.exception("the store could not be closed in order")

    def run(
        self,
        transport: str | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
        server: str | None = None,
        workers: int | None = None,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        """Serve until the process is told to stop.

        Args:
            transport: the name of a transport; without it, that of the options, of the environment variable
                `RESPONSES_TRANSPORT`, or `h11`.
            host: the address to listen on; by default that of the options.
            port: the port to listen on; by default that of the options.
            server: the program that speaks HTTP, for the transports that have a choice; by default that of the options.
            workers: how many processes serve; by default that of the options. They need a store that they can share.
            sockets: listening sockets to serve instead of the address; closed when that ends.

        Raises:
            UnknownTransport: no installed package has a transport of that name.
            CannotServe: what the transport needs is not installed, or it cannot do what is asked.
            InvalidValue: what is asked contradicts itself, or the options take a store that outlives the process, and
                there is none (H18.49).
            OSError: the address cannot be listened on.
        """
        options = self._options
        self._check_store()
        listen = Listen(
            host=options.host if host is None else host,
            port=options.port if port is None else port,
            unix_socket=None if sockets else options.unix_socket,
            fd=None if sockets else options.fd,
            sockets=sockets,
            certfile=options.certfile,
            keyfile=options.keyfile,
            server=server or options.server,
            workers=options.workers if workers is None else workers,
            threads=options.threads,
            max_connections=options.max_connections,
            access_log=options.access_log,
        )
        if listen.workers > 1 and self._keeps_in_memory:
            message = "each worker would know only its own responses; give the server a store that processes share"
            raise InvalidValue("workers", f"{message}, such as sqlite:///responses.sqlite3")
        find_transport(transport or options.transport)(self, listen)

    def _check_store(self) -> None:
        """H18.49: what is to survive a server is not kept in its memory.

        Raises:
            InvalidValue: it would be.
        """
        # One that was handed in may be shared with other servers of the process, as tests of a handler do.
        if self._options.resilient_background and self._given_store is None and self._keeps_in_memory:
            message = "nobody could make a response again that this process alone knows; give the server another store"
            raise InvalidValue("resilient_background", f"{message}, such as sqlite:///responses.sqlite3")

    @property
    def _keeps_in_memory(self) -> bool:
        if self._given_store is not None:
            return isinstance(self._given_store, MemoryStore)
        return (self._options.store or MEMORY).startswith(MEMORY)

    async def handle(self, request: HttpRequest) -> HttpReply:
        """Answer one request; every error is a reply (decision 19).

        To cancel this call, or to close the body of its reply, says that the client has gone: a foreground run is
        cancelled, a background run goes on (decision 13).

        Raises:
            Exception: only what iterating the body of the request raises.
        """
        return await self._answering.answer(request)

    async def open_websocket(self, request: HttpRequest) -> WebSocketSession | HttpReply:
        """Answer the handshake of a WebSocket (W1): with a session, or with the reply that refuses it.

        The session gives the events of one response after the other, and remembers them (W3 to W7). To close it says
        that the client has gone: the response in the making is cancelled (W11).
        """
        return await self._answering.open_websocket(request)

    def _host(self) -> Host:
        """Return the inside of the server, made when it is first needed: only then is it known which options count."""
        if self._made is not None and self._made.process != os.getpid():
            # A fork has copied it. What it makes is made by the parent, whose connections are not to be closed here.
            self._left_to_parent = (self._made, self._own_store)
            self._made = self._own_store = None
        if self._made is None:
            self._check_store()
            options = self._options
            if self._given_store is None and self._own_store is None:
                self._own_store = open_store(
                    options.store,
                    max_responses=options.max_stored_responses,
                    event_retention=options.event_retention_seconds,
                    response_retention=options.response_retention_seconds,
                )
            store = self._given_store or self._own_store
            assert store is not None
            runs, owner = Runs(options.max_concurrent_runs), uuid.uuid4().hex
            self._made = Host(
                options=options,
                store=store,
                owner=owner,
                runs=runs,
                homes=self._homes,
                attendance=Attendance(
                    store=store,
                    owner=owner,
                    runs=runs,
                    lease=options.lease_seconds,
                    grace=options.cancel_grace_seconds,
                    keep_failed=options.on_failure == "keep",
                ),
                handler=self._handler,
                compaction_handler=self._compaction_handler,
                identify=self._identify,
                clock=self._clock,
                make_response_id=self._make,
            )
            if isinstance(self._telemetry, TellsOfStore):
                attendance = self._made.attendance
                use = StoreUse(lag=runs.lag, lease_age=attendance.lease_age)
                attendance.telemetry = tell(self._telemetry.store_begins, use)
            if options.resilient_background:
                self._made.attendance.recover = functools.partial(recover, self._made)
        return self._made


async def _no_handler(_request: CreateResponse, _context: ResponseContext) -> Events:
    """H1.14: a server without a handler answers as one whose handler fails."""
    raise LookupError("no handler is registered: decorate one with @server.response_handler")
