"""A small TCP proxy between one server and the engine, which can pass, hold and cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs


@attrs.define(eq=False)
class Proxy:
    """What one server takes for the engine.

    Attributes:
        address: where the engine listens.
        port: where this listens.
        seen: called with all that a server has sent, when it was passed on.
    """

    address: tuple[str, int]
    port: int = attrs.field(init=False, default=0)
    seen: Callable[[bytes], None] | None = attrs.field(init=False, default=None)
    _passes: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)
    _is_cut: bool = attrs.field(init=False, default=False)
    _ends: set[asyncio.StreamWriter] = attrs.field(init=False, factory=set)

    def pass_on(self) -> None:
        """Pass on what is sent, and what was held."""
        self._is_cut = False
        self._passes.set()

    def hold(self) -> None:
        """Keep what is sent in either direction, for now."""
        self._passes.clear()

    def cut(self) -> None:
        """Break off all connections, and take no new ones."""
        self._is_cut = True
        for end in self._ends:
            end.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        there, back = await asyncio.open_connection(*self.address)
        self._ends.add(back)
        try:
            if not self._is_cut:
                await asyncio.gather(self._pump(reader, back, True), self._pump(there, writer, False))
        finally:
            for end in (writer, back):
                end.transport.abort()
                self._ends.discard(end)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, is_question: bool) -> None:
        try:
            while data := await source.read(64 * 1024):
                await self._passes.wait()
                target.write(data)
                await target.drain()
                if is_question and self.seen is not None:
                    self.seen(data)
        except ConnectionError:
            pass
        finally:
            target.transport.abort()


@asynccontextmanager
async def proxied(address: tuple[str, int]) -> AsyncIterator[Proxy]:
    """Open a proxy in front of *address*."""
    proxy = Proxy(address)
    proxy.pass_on()
    server = await asyncio.start_server(proxy._connected, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.pass_on()
        proxy.cut()
        await asyncio.sleep(0)
