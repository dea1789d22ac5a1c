"""A transport of one's own, over aiohttp: what `responses-stream serve --transport aiohttp` would call.

The package that has it registers it:

    [project.entry-points."responses_stream.transports"]
    aiohttp = "aiohttp_transport:serve"
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote

import anyio
from aiohttp import WSMsgType, web
from anyio.abc import TaskGroup
from multidict import CIMultiDict

from responses_stream.hosting.errors import internal_error
from responses_stream.hosting.http import CutShort, Engine, HttpReply, HttpRequest, WebSocketSession
from responses_stream.hosting.listening import Listen
from responses_stream.hosting.request_ids import request_id_of
from responses_stream.hosting.transports import CannotServe

log = logging.getLogger("responses_stream")


def serve(engine: Engine, listen: Listen) -> None:
    """Serve *engine* until SIGINT or SIGTERM, then let it drain."""
    if listen.workers > 1 or listen.certfile or listen.unix_socket or listen.fd is not None or listen.sockets:
        raise CannotServe("this transport serves host and port, in one process, without TLS")
    asyncio.run(_serve_until_told(engine, listen))


async def _serve_until_told(engine: Engine, listen: Listen) -> None:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with serving(engine, listen) as port:
        log.info("listening on http://%s:%d", listen.host, port)
        await told.wait()


@asynccontextmanager
async def serving(engine: Engine, listen: Listen) -> AsyncIterator[int]:
    """Serve *engine* while the context is open, and tell the port."""

    answering: set[asyncio.Task[object] | None] = set()

    async def answer(asked: web.BaseRequest) -> web.StreamResponse:
        answers: list[web.StreamResponse] = []

        async def ask() -> None:
            answers.append(await _answer(engine, asked))

        answering.add(task := asyncio.current_task())
        try:
            # aiohttp cancels this task; what is in the group is cancelled by anyio, which respects what is shielded.
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
        finally:
            answering.discard(task)
        return answers[0]

    # Without handler_cancellation it would be noticed too late that a client has left.
    runner = web.ServerRunner(web.Server(answer, handler_cancellation=True, access_log=None))
    await runner.setup()
    async with engine.lifespan():
        site = web.TCPSite(runner, listen.host, listen.port)
        await site.start()
        try:
            yield runner.addresses[0][1]
        finally:
            await site.stop()
            await engine.drain()
            await runner.cleanup()
            # It does not wait for those whose client has just left.
            await asyncio.gather(*filter(None, answering), return_exceptions=True)


async def _answer(engine: Engine, asked: web.BaseRequest) -> web.StreamResponse:
    request = _request(asked)
    if not web.WebSocketResponse().can_prepare(asked):
        try:
            reply = await engine.handle(request)
        except Exception:
            log.exception("the engine failed")
            reply = internal_error().reply(request_id_of(request))
        return await _send(reply, asked)
    session = await engine.open_websocket(request)
    if isinstance(session, HttpReply):
        return await _send(session, asked)
    return await _pump(session, asked, engine.limits.max_message_bytes)


def _request(asked: web.BaseRequest) -> HttpRequest:
    target = _latin(asked.raw_path)
    path, _, query = target.partition("?")
    return HttpRequest(
        method=asked.method,
        path=unquote(path),
        query=query,
        headers=tuple((name.lower(), _latin(value)) for name, value in asked.headers.items()),
        body=asked.content.iter_any() if asked.body_exists else b"",
        target=target,
    )


def _latin(text: str) -> str:
    # aiohttp reads bytes as UTF-8, and escapes what is none.
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


async def _send(reply: HttpReply, asked: web.BaseRequest) -> web.StreamResponse:
    headers = CIMultiDict(reply.headers)
    if isinstance(reply.body, bytes):
        return web.Response(status=reply.status, headers=headers, body=reply.body)
    response, cut = web.StreamResponse(status=reply.status, headers=headers), False
    try:
        await response.prepare(asked)
        if asked.method != "HEAD":
            async for piece in reply.body:
                await response.write(piece)
    except CutShort:
        cut = True
    except ConnectionError:  # the client has gone
        pass
    finally:
        with anyio.CancelScope(shield=True):
            await reply.body.aclose()
    if cut and asked.transport is not None:
        asked.transport.close()
    return response


async def _pump(session: WebSocketSession, asked: web.BaseRequest, most: int) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(max_msg_size=most)

    async def speak(tasks: TaskGroup) -> None:
        async for message in session:
            await socket.send_str(message)
        await socket.close(code=session.close_code)
        tasks.cancel_scope.cancel()

    try:
        await socket.prepare(asked)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(speak, tasks)
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    await session.receive(message.data)
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await session.aclose()
    return socket
