"""Transports that do one thing wrong: our own, around an engine that is distorted as a bad transport would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import anyio
import attrs

from responses_stream.hosting.http import ByteStream, CutShort, Engine, HttpReply, HttpRequest, Limits, WebSocketSession


@attrs.define
class Through:
    """An engine that another stands behind, untouched."""

    inner: Engine

    @property
    def limits(self) -> Limits:
        return self.inner.limits

    async def handle(self, request: HttpRequest) -> HttpReply:
        return await self.inner.handle(request)

    async def open_websocket(self, request: HttpRequest) -> WebSocketSession | HttpReply:
        return await self.inner.open_websocket(request)

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        return self.inner.lifespan()

    async def drain(self) -> None:
        await self.inner.drain()


class _Asks(Through):
    """Makes something else of the request."""

    make: Callable[[HttpRequest], HttpRequest]

    async def handle(self, request: HttpRequest) -> HttpReply:
        return await self.inner.handle(type(self).make(request))


def _asks(make: Callable[[HttpRequest], HttpRequest]) -> type[Through]:
    return type("Asks", (_Asks,), {"make": staticmethod(make)})


class _Answers(Through):
    """Makes something else of the reply."""

    make: Callable[[HttpReply], HttpReply]

    async def handle(self, request: HttpRequest) -> HttpReply:
        return type(self).make(await self.inner.handle(request))


def _answers(make: Callable[[HttpReply], HttpReply]) -> type[Through]:
    return type("Answers", (_Answers,), {"make": staticmethod(make)})


def _streams(make: Callable[[ByteStream], ByteStream]) -> type[Through]:
    def made(reply: HttpReply) -> HttpReply:
        if isinstance(reply.body, bytes):
            return reply
        return attrs.evolve(reply, body=_Made(make(reply.body), reply.body))

    return _answers(made)


class _Made(ByteStream):
    """A body that is made of another; both are closed, whether or not anybody has read."""

    def __init__(self, made: ByteStream, of: ByteStream) -> None:
        self._made, self._of = made, of

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._made)

    async def aclose(self) -> None:
        await self._made.aclose()
        await self._of.aclose()


async def _collects(body: ByteStream) -> AsyncGenerator[bytes, None]:
    whole = b"".join([piece async for piece in body])
    await body.aclose()
    yield whole


async def _joins_two(body: ByteStream) -> AsyncGenerator[bytes, None]:
    held = b""
    try:
        async for piece in body:
            if held:
                yield held + piece
                held = b""
            else:
                held = piece
        if held:
            yield held
    finally:
        await body.aclose()


async def _ends_at_an_empty_piece(body: ByteStream) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in body:
            if not piece:
                return
            yield piece
    finally:
        await body.aclose()


async def _hides_a_cut(body: ByteStream) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in body:
            yield piece
    except (CutShort, RuntimeError):
        pass
    finally:
        await body.aclose()


async def _tells_errors(body: ByteStream) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in body:
            yield piece
    except RuntimeError as error:
        yield str(error).encode()
        raise
    finally:
        await body.aclose()


class _Hoard(ByteStream):
    """Reads as fast as it can, and keeps all."""

    def __init__(self, body: ByteStream) -> None:
        self._body = body
        self._pieces: list[bytes] = []
        self._arrived = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for piece in self._body:
            self._pieces.append(piece)
            self._arrived.set()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            self._arrived.clear()
            await self._arrived.wait()
        return self._pieces.pop(0)

    async def aclose(self) -> None:
        self._reading.cancel()
        await self._body.aclose()


class _Kept(ByteStream):
    """A body that nobody closes."""

    def __init__(self, body: ByteStream) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._body)

    async def aclose(self) -> None:
        pass


class _ClosesNothing(Through):
    def __init__(self, inner: Engine) -> None:
        super().__init__(inner)
        self._bodies: list[ByteStream] = []

    async def handle(self, request: HttpRequest) -> HttpReply:
        reply = await self.inner.handle(request)
        if isinstance(reply.body, bytes):
            return reply
        self._bodies.append(reply.body)
        return attrs.evolve(reply, body=_Kept(reply.body))

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with self.inner.lifespan():
            yield
            for body in self._bodies:  # or the tests would leave them behind
                await body.aclose()


@attrs.define
class _Talk(WebSocketSession):
    """A session that another stands behind; it says always the same code, and hears texts without their ends."""

    inner: WebSocketSession

    @property
    def close_code(self) -> int:
        return 1000

    def __aiter__(self) -> AsyncIterator[str]:
        return aiter(self.inner)

    async def receive(self, message: str | bytes) -> None:
        await self.inner.receive(message[:1000])

    async def aclose(self) -> None:
        await self.inner.aclose()


class _Misspeaks(Through):
    async def open_websocket(self, request: HttpRequest) -> WebSocketSession | HttpReply:
        opened = await self.inner.open_websocket(request)
        return opened if isinstance(opened, HttpReply) else _Talk(opened)


class _Shields(Through):
    """Does not let a call be cancelled."""

    async def handle(self, request: HttpRequest) -> HttpReply:
        replies = []
        with anyio.CancelScope(shield=True):
            replies.append(await self.inner.handle(request))
        return replies[0]


class _TellsErrors(Through):
    async def handle(self, request: HttpRequest) -> HttpReply:
        try:
            return await self.inner.handle(request)
        except RuntimeError as error:
            return HttpReply(500, (), str(error).encode())


class _NeverOpens(Through):
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        yield


class _NeverDrains(Through):
    async def drain(self) -> None:
        pass


class _ReadsAllFirst(Through):
    async def handle(self, request: HttpRequest) -> HttpReply:
        if isinstance(request.body, bytes):
            return await self.inner.handle(request)
        body = b"".join([piece async for piece in request.body])
        return await self.inner.handle(attrs.evolve(request, body=body))


def _only_last(request: HttpRequest) -> HttpRequest:
    return attrs.evolve(request, headers=tuple(dict(request.headers).items()))


def _without_length(reply: HttpReply) -> HttpReply:
    return attrs.evolve(reply, headers=tuple(pair for pair in reply.headers if pair[0] != "content-length"))


FAULTS: Final[dict[str, tuple[type[Through], str]]] = {
    "a path that is not decoded": (
        _asks(lambda request: attrs.evolve(request, path=request.target.partition("?")[0])),
        "test_a_request_arrives_as_plain_data",
    ),
    "a query that is decoded": (
        _asks(lambda request: attrs.evolve(request, query=request.query.replace("%20", " "))),
        "test_a_request_arrives_as_plain_data",
    ),
    "no room": (
        _asks(lambda request: attrs.evolve(request, may_wait=False)),
        "test_a_request_arrives_as_plain_data",
    ),
    "headers lost": (_asks(_only_last), "test_headers_of_one_name_stay_apart"),
    "a body lost": (_asks(lambda request: attrs.evolve(request, body=b"")), "test_a_large_body_arrives_whole"),
    "all is read first": (_ReadsAllFirst, "test_a_body_is_read_while_it_comes"),
    "another status": (
        _answers(lambda reply: attrs.evolve(reply, status=200)),
        "test_a_reply_goes_out_as_it_is",
    ),
    "a length lost": (_answers(_without_length), "test_the_reply_to_head_keeps_its_length_and_has_no_body"),
    "an error told": (_TellsErrors, "test_an_engine_that_fails_is_a_500_that_says_nothing"),
    "a stream in one": (_streams(_collects), "test_each_piece_arrives_before_the_next_is_made"),
    "a piece held back": (_streams(_joins_two), "test_each_piece_arrives_before_the_next_is_made"),
    "a stream in one, beside others": (_streams(_collects), "test_streams_do_not_wait_for_each_other"),
    "a body not closed": (_ClosesNothing, "test_each_piece_arrives_before_the_next_is_made"),
    "a body not closed when its client leaves": (
        _ClosesNothing,
        "test_a_client_that_leaves_a_silent_stream_closes_it",
    ),
    "an empty piece": (_streams(_ends_at_an_empty_piece), "test_pieces_of_every_size_arrive"),
    "a cut hidden": (_streams(_hides_a_cut), "test_a_body_that_is_cut_short_cuts_the_connection"),
    "a failure hidden": (_streams(_hides_a_cut), "test_a_body_that_fails_cuts_the_connection_and_says_nothing"),
    "a failure told": (_streams(_tells_errors), "test_a_body_that_fails_cuts_the_connection_and_says_nothing"),
    "no back-pressure": (_streams(_Hoard), "test_a_slow_client_holds_the_engine_back_and_gets_all"),
    "no cancelling": (_Shields, "test_a_client_that_leaves_before_the_reply_cancels_the_call"),
    "another close code": (_Misspeaks, "test_the_session_says_the_close_code"),
    "half a message": (_Misspeaks, "test_messages_go_both_ways"),
    "no lifespan": (_NeverOpens, "test_a_stop_drains_and_what_is_under_way_ends_in_order"),
    "no drain": (_NeverDrains, "test_a_stop_drains_and_what_is_under_way_ends_in_order"),
}
"""What is wrong, and the check that has to find it."""
