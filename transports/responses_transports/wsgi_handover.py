"""One request between two threads: its own, which may wait, and that of the engine's loop, which never does.

What the loop says goes through one queue: orders to read on, the reply, the pieces of its body, the end. What the
thread says are callbacks of the loop. A token costs one put and one get; the loop is woken only when it waits.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Final, TypeAlias

import anyio

from responses_stream.hosting.http import CutShort, Engine, HttpReply, HttpRequest

_MOST_AHEAD: Final = 64 * 1024
"""How many bytes the loop may be ahead of the thread; a larger piece waits alone."""


class _Word(enum.Enum):
    READ = enum.auto()
    END = enum.auto()


_Said: TypeAlias = HttpReply | bytes | Exception | _Word


class Handover:
    """A request on its way: `play` is the side of the loop, all else that of the thread.

    It is the body of its request, too, where that was not read beforehand.

    Args:
        soon: lets the loop call something; raises RuntimeError when the loop has ended.
    """

    __slots__ = (
        "_arrived",
        "_full",
        "_given",
        "_heard",
        "_left",
        "_next",
        "_over",
        "_said",
        "_scope",
        "_soon",
        "_taken",
    )

    def __init__(self, soon: Callable[[Callable[[], object]], object]) -> None:
        self._soon = soon
        self._said: SimpleQueue[_Said] = SimpleQueue()
        self._next: _Said | None = None
        # Each is written by one side only, so that neither needs a lock.
        self._given = self._taken = 0
        self._over = self._left = False
        self._scope: anyio.CancelScope | None = None
        self._full: anyio.Event | None = None
        self._arrived: anyio.Event | None = None
        self._heard: bytes | Exception = b""

    def reply(self, read: Callable[[], bytes]) -> HttpReply:
        """Wait for the reply, and read what the engine asks for in the meantime.

        Args:
            read: returns the next piece of the request's body, empty at its end.

        Raises:
            Exception: what the engine has raised, or what *read* has.
        """
        try:
            while (said := self._said.get()) is _Word.READ:
                heard: bytes | Exception
                try:
                    heard = read()
                except Exception as error:
                    heard = error
                self._soon(partial(self._hear, heard))
        except BaseException:  # the server program ends this thread
            self.leave()
            raise
        if isinstance(said, Exception):
            raise said
        assert isinstance(said, HttpReply)
        return said

    @property
    def ready(self) -> bool:
        """Whether `take` would not wait."""
        return self._next is not None or not self._said.empty()

    def take(self) -> bytes:
        """Return all of the reply's body that is there, waiting for it if need be; empty at its end.

        Raises:
            Exception: what the body has raised: the client has to see that it is not whole.
        """
        said = self._said.get() if self._next is None else self._next
        self._next = None
        pieces: list[bytes] = []
        while isinstance(said, bytes):
            pieces.append(said)
            if self._said.empty():
                break
            said = self._said.get()
        else:
            if pieces:
                self._next = said
            elif isinstance(said, Exception):
                raise said
        chunk = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._taken += len(chunk)
        full = self._full
        if full is not None:
            self._call(full.set)
        return chunk

    def leave(self) -> None:
        """Say that the client has gone. Does not wait, and does nothing once the reply is whole."""
        if not self._over:
            self._call(self._cancel)

    def abandon(self) -> None:
        """Let the thread go, because the loop has ended."""
        self._said.put(CutShort("the event loop of the engine has ended"))

    async def play(self, engine: Engine, request: HttpRequest) -> None:
        """Answer *request*. Never raises but when it is cancelled from outside."""
        last: _Said = CutShort("the request was given up")
        try:
            with anyio.CancelScope() as self._scope:
                if not self._left:
                    await self._send(await engine.handle(request))
        except Exception as error:
            last = error
        finally:
            self._over = True
            self._said.put(last)

    async def _send(self, reply: HttpReply) -> None:
        body = reply.body
        if isinstance(body, bytes):
            self._said.put(reply)
            return
        try:
            self._said.put(reply)
            async for piece in body:
                if not piece:  # it would be the end
                    continue
                self._given += len(piece)
                self._said.put(piece)
                if self._given - self._taken > _MOST_AHEAD:
                    await self._room()
            self._said.put(_Word.END)
        finally:
            with anyio.CancelScope(shield=True):
                await body.aclose()

    async def _room(self) -> None:
        """Wait until the thread has taken what there is."""
        self._full = full = anyio.Event()
        # Asked again, because the thread may have taken all before it could see who waits.
        if self._given - self._taken > _MOST_AHEAD:
            await full.wait()
        self._full = None

    def __aiter__(self) -> Handover:
        return self

    async def __anext__(self) -> bytes:
        self._arrived = anyio.Event()
        self._said.put(_Word.READ)
        await self._arrived.wait()
        if isinstance(self._heard, Exception):
            raise self._heard
        if not self._heard:
            raise StopAsyncIteration
        return self._heard

    def _hear(self, heard: bytes | Exception) -> None:
        self._heard = heard
        if self._arrived is not None:
            self._arrived.set()

    def _cancel(self) -> None:
        self._left = True
        if self._scope is not None:
            self._scope.cancel()

    def _call(self, function: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and all that it did
            self._soon(function)
