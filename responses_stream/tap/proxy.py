"""`Tap`: an engine that answers as its upstream does, byte for byte, and lets a `Watch` look on.

A chunk goes to the client first and is looked at when the transport asks for the next one; nothing waits to be whole. A
client that leaves takes its call to the upstream with it, and an answer that breaks off breaks off here too.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.parse import quote

import anyio
import httpx

from responses_stream.hosting.errors import HttpError
from responses_stream.hosting.http import ByteStream, CutShort, HttpReply, HttpRequest, Limits
from responses_stream.hosting.request_ids import request_id_of
from responses_stream.tap.hops import to_client, to_upstream
from responses_stream.tap.upstream import Upstream
from responses_stream.tap.watching import Exchange, Watch

CONNECT_SECONDS: Final = 15.0
"""How long the upstream may take to accept a connection. Afterwards it may take as long as the client waits."""

# Servers close idle connections after a few seconds; a request must not meet one that is just being closed.
_KEEP_SECONDS: Final = 2.0
_TIMEOUT: Final = httpx.Timeout(None, connect=CONNECT_SECONDS).as_dict()


class Tap:
    """Passes every request on to an upstream, and its answer back.

    Args:
        upstream: where requests go.
        watch: what looks on.

    Example:
        >>> from responses_stream.hosting.listening import Listen
        >>> from responses_stream.hosting.transports import find_transport
        >>> tap = Tap(Upstream.at("https://api.example.com"), Watch())
        >>> find_transport("h11")(tap, Listen(port=8089))  # doctest: +SKIP
    """

    def __init__(self, upstream: Upstream, watch: Watch) -> None:
        self._upstream = upstream
        self._watch = watch
        self._client: httpx.AsyncClient | None = None

    @property
    def limits(self) -> Limits:
        """As patient as any server is."""
        return Limits()

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Keep connections to the upstream while the context is open."""
        return self._connected()

    async def open_websocket(self, request: HttpRequest) -> HttpReply:
        """Refuse it: what travels on a WebSocket is not passed on."""
        return await self.handle(request)

    async def drain(self) -> None:
        """Do nothing: what is passed on ends by itself, and a new request would be passed on as well."""

    async def handle(self, request: HttpRequest) -> HttpReply:
        """Pass *request* on. What the upstream cannot be blamed for is answered with the usual envelope.

        Raises:
            Exception: only what iterating the body of the request raises.
        """
        refused = _refusal(request)
        return refused.reply(request_id_of(request)) if refused else await self._pass_on(request)

    async def _pass_on(self, request: HttpRequest) -> HttpReply:
        assert self._client is not None, "the lifespan is not open"
        target = request.target or quote(request.path) + (f"?{request.query}" if request.query else "")
        exchange = self._watch.begin(request, self._upstream.show(target))
        try:
            answer = await self._client.send(self._asked(request, target, exchange), stream=True)
        except httpx.HTTPError as error:
            exchange.ended("broken", _told(error))
            return self._no_answer(error).reply(request_id_of(request))
        except BaseException:
            exchange.ended("left")
            raise
        headers = to_client(answer.headers.raw)
        exchange.answered(answer.status_code, headers)
        # Nobody reads the body that the answer to a `HEAD` does not have.
        body = _AnsweredBody(answer, exchange, whole=request.method == "HEAD")
        return HttpReply(answer.status_code, headers, body)

    def _asked(self, request: HttpRequest, target: str, exchange: Exchange) -> httpx.Request:
        headers = to_upstream(request, self._upstream.host)
        body = _AskedBody(request.body, exchange)
        # Made of its parts, because a client of httpx would add headers of its own.
        asked = httpx.Request(
            request.method, self._upstream.url, headers=headers, stream=body, extensions={"timeout": _TIMEOUT}
        )
        asked.url = self._upstream.ask(target)
        return asked

    def _no_answer(self, error: httpx.HTTPError) -> HttpError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            code, what = "upstream_unreachable", "cannot be reached"
        else:
            code, what = "upstream_failed", "did not answer"
        message = f"The upstream {self._upstream} {what}; the output of responses-stream tap says why."
        return HttpError(502, code, message, source="upstream")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        async with httpx.AsyncClient(
            # It would keep every cookie that it sees.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=_KEEP_SECONDS),
            follow_redirects=False,
            trust_env=not self._upstream.is_near,
        ) as self._client:
            yield


class _AskedBody(httpx.AsyncByteStream):
    """The body of the request, on its way to the upstream."""

    def __init__(self, body: bytes | AsyncIterable[bytes], exchange: Exchange) -> None:
        self._pieces = _once(body) if isinstance(body, bytes) else aiter(body)
        self._exchange = exchange

    def __aiter__(self) -> _AskedBody:
        return self

    async def __anext__(self) -> bytes:
        piece = await anext(self._pieces)
        self._exchange.asked.passed(piece)
        return piece


class _AnsweredBody(ByteStream):
    """The body of the answer, on its way to the client."""

    def __init__(self, answer: httpx.Response, exchange: Exchange, whole: bool) -> None:
        self._answer, self._exchange, self._whole = answer, exchange, whole
        self._chunks = answer.aiter_raw()
        self._passing = b""

    def __aiter__(self) -> _AnsweredBody:
        return self

    async def __anext__(self) -> bytes:
        self._look()
        try:
            self._passing = await anext(self._chunks)
        except StopAsyncIteration:
            self._whole = True
            raise
        except httpx.HTTPError as error:
            self._exchange.ended("broken", _told(error))
            raise CutShort(_told(error)) from error
        return self._passing

    async def aclose(self) -> None:
        try:
            await self._close_upstream()
        finally:
            self._look()
            self._exchange.ended("whole" if self._whole else "left")

    def _look(self) -> None:
        passed, self._passing = self._passing, b""
        if passed:
            self._exchange.passed(passed)

    async def _close_upstream(self) -> None:
        # A cancelled read unwinds the iterators within httpx, which closing the outermost would leave to the collector.
        with anyio.CancelScope() as unread, contextlib.suppress(httpx.HTTPError):
            unread.cancel()
            async for _ in self._chunks:
                pass
        await self._answer.aclose()


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


def _refusal(request: HttpRequest) -> HttpError | None:
    """Return what is said to a request that cannot be passed on as it is."""
    if request.method == "CONNECT":
        return HttpError(
            501, "not_implemented", "responses-stream tap opens no tunnels; name it as the base URL instead."
        )
    if (request.header("upgrade") or "").strip().lower() == "websocket":
        message = "responses-stream tap does not pass WebSocket connections on; ask by HTTP."
        return HttpError(426, "upgrade_required", message, headers=(("connection", "upgrade"), ("upgrade", "HTTP/1.1")))
    return None


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
