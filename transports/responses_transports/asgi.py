"""`ASGIApp`: an engine as an ASGI application, for any ASGI server, alone or mounted in another application.

It moves requests in and replies out. While a reply is made and sent it goes on asking the server what the client does,
because that alone tells at once that the client has gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Final, TypeAlias, cast

import anyio
from anyio.abc import TaskGroup

from responses_stream.hosting.errors import bad_http, internal_error
from responses_stream.hosting.http import ByteStream, CutShort, Engine, HttpReply, HttpRequest, WebSocketSession
from responses_stream.hosting.request_ids import request_id_of
from responses_transports.signals import draining_on_signals, on_asyncio

Message: TypeAlias = Mapping[str, object]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[MutableMapping[str, object]], Awaitable[None]]

_Pairs: TypeAlias = Iterable[tuple[bytes, bytes]]
_REFUSAL: Final = "websocket.http.response"
_SOON_SECONDS: Final = 0.005
_NO_METHOD: Final = "GET"  # of a WebSocket's handshake, which says none

_log: Final = logging.getLogger("responses_stream")


class _ClientGone(Exception):
    """The client has left."""


class _Client:
    """Whoever asked: the body that it sends, and whether it is still there.

    Once the body has come, nobody else asks the server for what the client does. On asyncio a bare task does that, and
    cancels a stream as bare: what anyio has for it would add a third to what a silent stream holds.

    Attributes:
        answering: what is cancelled when it leaves, while anything is.
        gone: whether it has left, and *answering* was cancelled.
    """

    __slots__ = ("_receive", "_tasks", "_watched", "_watching", "answering", "gone")

    def __init__(self, receive: Receive, tasks: TaskGroup | None = None) -> None:
        self._receive, self._tasks = receive, tasks
        self._watched = False
        self._watching: asyncio.Task[None] | asyncio.TimerHandle | None = None
        self.answering: anyio.CancelScope | asyncio.Task[object] | None = None
        self.gone = False

    async def body(self) -> bytes | AsyncGenerator[bytes, None]:
        """Return the body of the request: all of it, where it came at once.

        Raises:
            _ClientGone: it left.
        """
        piece, more = await self._piece()
        if more:
            return self._pieces(piece)
        if self._tasks is None:
            # Most answers are there before that, and a task for each would cost a tenth of them.
            self._watching = asyncio.get_running_loop().call_later(_SOON_SECONDS, self.watch)
        else:
            self.watch()
        return piece

    async def _pieces(self, piece: bytes) -> AsyncGenerator[bytes, None]:
        more = True
        while more:
            yield piece
            piece, more = await self._piece()
        self.watch()
        yield piece

    async def _piece(self) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] != "http.request":
            raise _ClientGone
        return cast("bytes", message.get("body", b"")), bool(message.get("more_body"))

    def streams(self) -> None:
        """Say that the running task streams to it from now on.

        Raises:
            _ClientGone: it left just when there was a reply.
        """
        if self.gone:
            raise _ClientGone
        self.answering = asyncio.current_task() if self._tasks is None else self._tasks.cancel_scope
        self.watch()

    def watch(self) -> None:
        """Begin to notice that it leaves; a rest of the body that nobody has read is lost."""
        if self._watched:
            return
        self._watched = True
        if self._tasks is None:
            self.let_be()
            self._watching = asyncio.get_running_loop().create_task(self._watch())
        else:
            self._tasks.start_soon(self._watch)

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self.answering is not None:
            self.gone = True
            self.answering.cancel()

    def let_be(self) -> None:
        """Watch no more."""
        if self._watching is not None:
            self._watching.cancel()

    def let_go(self) -> None:
        """Care no more whether it leaves: the last thing that it is told is on its way."""
        self.answering = None
        self.let_be()


class ASGIApp:
    """Serves an engine by ASGI: HTTP, WebSocket and lifespan, on asyncio and on trio.

    It may be mounted under any path, also where the lifespan does not reach it: the engine then starts with the first
    request (H15.15).

    Args:
        server: what answers.
        drain_on_signals: whether SIGINT and SIGTERM let the streams come to their end, where the lifespan runs in the
            main thread; `responses_transports.signals` tells why. An application that mounts this one and forwards no
            lifespan may enter ``draining_on_signals(server.drain)`` in its own.

    Example:
        >>> from responses_stream import ResponsesServer
        >>> from responses_transports.asgi import ASGIApp
        >>> app = ASGIApp(ResponsesServer())  # uvicorn module:app
    """

    def __init__(self, server: Engine, *, drain_on_signals: bool = True) -> None:
        self._engine = server
        self._drains = drain_on_signals

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer what one *scope* stands for.

        Raises:
            NotImplementedError: it is no HTTP request, WebSocket or lifespan.
            Exception: what the body of a reply raises; the server then ends the connection.
        """
        if scope["type"] == "http" and on_asyncio():
            await self._http(scope, send, _Client(receive))
        else:  # apart, so that a stream that waits holds a smaller frame
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        elif kind != "http":
            raise NotImplementedError(f"this application serves no {kind}")
        else:
            async with anyio.create_task_group() as tasks:
                await self._http(scope, send, _Client(receive, tasks))
                tasks.cancel_scope.cancel()

    async def drain(self) -> None:
        """Let the engine drain; SIGINT and SIGTERM do this."""
        await self._engine.drain()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        phase = "startup"
        try:
            async with contextlib.AsyncExitStack() as stack:
                await stack.enter_async_context(self._engine.lifespan())
                if self._drains:
                    await stack.enter_async_context(draining_on_signals(self.drain))
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await receive()
        except Exception:
            await send({"type": f"lifespan.{phase}.failed", "message": traceback.format_exc()})
            raise
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Message, send: Send, client: _Client) -> None:
        body: bytes | ByteStream = b""
        try:
            reply = await self._ask(scope, client)
            body = reply.body
            if isinstance(body, bytes):
                client.let_go()
                await _tell(send, _head("http.response", reply))
                await _tell(send, {"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})
                return
            client.streams()
            await _tell(send, _head("http.response", reply))
            del reply  # a stream that waits holds as little as it can
            if scope["method"] != "HEAD":
                async for piece in body:
                    try:
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                    except OSError:
                        return
                    del piece
            client.let_go()
            await _tell(send, {"type": "http.response.body", "body": b""})
        except (CutShort, _ClientGone):
            pass  # a server closes the connection of a reply that has no end
        except asyncio.CancelledError:
            if not client.gone or cast("asyncio.Task[object]", asyncio.current_task()).uncancel():
                raise
        finally:
            client.let_go()
            if not isinstance(body, bytes):
                with anyio.CancelScope(shield=True):
                    await body.aclose()

    async def _ask(self, scope: Message, client: _Client) -> HttpReply:
        """Ask the engine.

        Raises:
            _ClientGone: the client left before there was a reply.
        """
        body: bytes | AsyncGenerator[bytes, None] = b""
        with anyio.CancelScope() as client.answering:
            try:
                body = await client.body()
                return await self._engine.handle(_request(scope, body))
            except _ClientGone:
                # Who has broken off a request may read still: granian would say 500 where nothing is said.
                return bad_http().reply(request_id_of(_request(scope)))
            except Exception:
                request = _request(scope)
                _log.exception("the engine failed at %s %s", request.method, request.path)
                return internal_error().reply(request_id_of(request))
            finally:
                if isinstance(body, AsyncGenerator):
                    await body.aclose()
        raise _ClientGone

    async def _websocket(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        session = await self._engine.open_websocket(_request(scope))
        if isinstance(session, HttpReply):
            await _refuse(session, scope, send)
            return
        ended = False
        try:
            await _tell(send, {"type": "websocket.accept"})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_listen, session, receive, tasks.cancel_scope)
                ended = await _speak(session, send)
                tasks.cancel_scope.cancel()
            if ended:  # granian closes nothing while somebody waits to receive
                await _tell(send, {"type": "websocket.close", "code": session.close_code})
        except _ClientGone:
            pass
        finally:
            with anyio.CancelScope(shield=True):
                await session.aclose()


async def _tell(send: Send, message: MutableMapping[str, object]) -> None:
    """Send one message.

    Raises:
        _ClientGone: the server says that nobody is there to get it; most say nothing.
    """
    try:
        await send(message)
    except OSError:
        raise _ClientGone from None


async def _refuse(reply: HttpReply, scope: Message, send: Send) -> None:
    """Answer a handshake that opens no WebSocket. Servers without the extension for that say 403 of their own."""
    body = reply.body
    if not isinstance(body, bytes):
        await body.aclose()
        body = b""
    with contextlib.suppress(_ClientGone):
        if _REFUSAL in cast("Message", scope.get("extensions") or {}):
            await _tell(send, _head(_REFUSAL, reply))
            await _tell(send, {"type": f"{_REFUSAL}.body", "body": body})
        else:
            await _tell(send, {"type": "websocket.close"})


async def _speak(session: WebSocketSession, send: Send) -> bool:
    """Send what a session says, and tell whether the client was there to the end."""
    with contextlib.suppress(_ClientGone):
        async for message in session:
            await _tell(send, {"type": "websocket.send", "text": message})
        return True
    return False


async def _listen(session: WebSocketSession, receive: Receive, answering: anyio.CancelScope) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        text = cast("str | None", message.get("text"))
        await session.receive(cast("bytes", message.get("bytes")) if text is None else text)
    answering.cancel()


def _head(kind: str, reply: HttpReply) -> MutableMapping[str, object]:
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in reply.headers]
    return {"type": f"{kind}.start", "status": reply.status, "headers": headers}


def _request(scope: Message, body: bytes | AsyncGenerator[bytes, None] = b"") -> HttpRequest:
    query = cast("bytes", scope.get("query_string", b"")).decode("latin-1")
    target = cast("bytes", scope.get("raw_path") or b"").decode("latin-1")
    return HttpRequest(
        method=cast("str", scope.get("method", _NO_METHOD)),
        path=_path(cast("str", scope["path"]), cast("str", scope.get("root_path", ""))),
        query=query,
        headers=tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in cast("_Pairs", scope["headers"])
        ),
        body=body,
        target=f"{target}?{query}" if target and query else target,
    )


def _path(path: str, root: str) -> str:
    """Return the path below where the application is mounted: some tell the whole path, others what is left of it."""
    root = root.rstrip("/")
    if root and path.startswith(root) and path[len(root) :][:1] in ("", "/"):
        return path[len(root) :] or "/"
    return path
