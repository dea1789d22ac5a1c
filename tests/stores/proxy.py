"""A network between a store and its engine, which a test may cut, hold up, close and let fall silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import attrs

_PIECE: Final = 64 * 1024


@attrs.define(eq=False)
class _Link:
    """One connection of a client, and that to the engine behind it."""

    client: asyncio.StreamWriter
    engine: asyncio.StreamWriter
    is_silent: bool = False
    said: bytearray = attrs.field(factory=bytearray)

    def cut(self) -> None:
        self.client.transport.abort()
        self.engine.transport.abort()


@attrs.define(eq=False)
class Proxy:
    """A TCP proxy on a port of this machine.

    Attributes:
        host, port: of the engine.
        own_port: where it listens itself.
        passed: how many bytes have gone to the engine, and how many have come back.
    """

    host: str
    port: int
    own_port: int = attrs.field(init=False, default=0)
    passed: dict[str, int] = attrs.field(init=False, factory=lambda: {"requests": 0, "answers": 0})
    _links: dict[_Link, None] = attrs.field(init=False, factory=dict)
    _open: dict[str, asyncio.Event] = attrs.field(init=False, factory=dict)
    _tasks: set[asyncio.Task[None]] = attrs.field(init=False, factory=set)
    _is_refusing: bool = attrs.field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        for way in self.passed:
            self._open[way] = asyncio.Event()
            self._open[way].set()

    def url(self, url: str) -> str:
        """Return the URL of the engine so that it leads here."""
        place = f"{self.host}:{self.port}"
        assert url.count(place) == 1
        return url.replace(place, f"127.0.0.1:{self.own_port}")

    def cut(self) -> None:
        """End all connections, and lose what was on its way."""
        for link in tuple(self._links):
            link.cut()

    def refuse(self) -> None:
        """End all connections, and let nobody in."""
        self._is_refusing = True
        self.cut()

    def accept(self) -> None:
        """Let everybody in again."""
        self._is_refusing = False

    def hold(self, *ways: str) -> None:
        """Keep back what comes, ``requests`` or ``answers`` or both, for as long as `go_on` is not called."""
        for way in ways or self._open:
            self._open[way].clear()

    def go_on(self) -> None:
        """Pass on what was kept back, in order."""
        for gate in self._open.values():
            gate.set()

    def fall_silent(self, said: bytes) -> None:
        """Let no byte through on the connections on which that was *said*, and tell nobody; as if it was forgotten."""
        for link in self._links:
            link.is_silent = link.is_silent or said in link.said

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, forth)
        if self._is_refusing:
            link.cut()
            return
        self._links[link] = None
        pumps = [
            asyncio.create_task(self._pump("requests", link, reader, forth)),
            asyncio.create_task(self._pump("answers", link, back, writer)),
        ]
        self._tasks.update(pumps)
        try:
            await asyncio.wait(pumps)
        finally:
            link.cut()
            del self._links[link]
            self._tasks.difference_update(pumps)

    async def _pump(self, way: str, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(_PIECE):
                await self._open[way].wait()
                if link.is_silent:
                    await asyncio.Event().wait()
                if way == "requests":
                    link.said += piece
                writer.write(piece)
                await writer.drain()
                self.passed[way] += len(piece)
        if not link.is_silent:
            link.cut()


@asynccontextmanager
async def proxying(host: str, port: int) -> AsyncIterator[Proxy]:
    """Open a proxy in front of *port* of *host*."""
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy._connected, "127.0.0.1", 0)
    proxy.own_port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.refuse()
        for task in tuple(proxy._tasks):
            task.cancel()
        while proxy._links:
            await asyncio.sleep(0)
