"""A handler behind a real socket, and everything that it says to anybody: every stream is judged when it is over."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import anyio
import anyio.from_thread
import attrs
import httpx
import openai
from anyio.from_thread import BlockingPortal

from responses_stream import ResponsesServer, ResponsesServerOptions, validate_events
from responses_stream.hosting.http import ByteStream, HttpReply, HttpRequest
from responses_stream.stores.base import ResponseStore
from responses_transports.h11_server import serve_async

_PATIENCE: Final = 10.0
"""A test that fails must not wait for ever."""


@attrs.define(eq=False)
class Exchange:
    """One request and its answer, as they were on the wire.

    Attributes:
        method, path: of the request.
        asked: its body as JSON, None where it had none.
        streamed: whether the answer is an event stream.
        body: the bytes of the answer so far.
        status: the HTTP status.
        whole: whether the answer was read to its end.
    """

    method: str
    path: str
    asked: Any
    status: int
    streamed: bool
    body: bytes = b""
    whole: bool = False

    @property
    def answer(self) -> Any:
        """The body as JSON; of a stream, its events."""
        if not self.streamed:
            return json.loads(self.body)
        lines = self.body.decode().splitlines()
        return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


@attrs.define(eq=False)
class _Overheard:
    inner: ByteStream
    exchange: Exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self.inner:
            self.exchange.body += piece
            yield piece
        self.exchange.whole = True

    def aclose(self) -> Awaitable[object]:
        return self.inner.aclose()


class OverheardServer(ResponsesServer):
    """A server that keeps what went over its wires."""

    exchanges: list[Exchange]

    async def handle(self, request: HttpRequest) -> HttpReply:
        pieces = request.body
        body = pieces if isinstance(pieces, bytes) else b"".join([piece async for piece in pieces])
        reply = await super().handle(attrs.evolve(request, body=body))
        streamed = (reply.header("content-type") or "").startswith("text/event-stream")
        exchange = Exchange(request.method, request.path, json.loads(body) if body else None, reply.status, streamed)
        self.exchanges.append(exchange)
        if isinstance(reply.body, bytes):
            exchange.body, exchange.whole = reply.body, True
            return reply
        return attrs.evolve(reply, body=_Overheard(reply.body, exchange))


@attrs.frozen(eq=False)
class Serving:
    """A server that runs, and how to reach it.

    Attributes:
        url: what clients take as `base_url`.
        client: the `openai` client.
        exchanges: what went over the wire, in order.
        portal: calls into the loop that the server runs in.
        change: makes the server answer with another handler from now on.
    """

    url: str
    client: openai.OpenAI
    exchanges: list[Exchange]
    portal: BlockingPortal
    change: Callable[[Any], object]

    def wait_for(self, what: Callable[[], Awaitable[object]]) -> None:
        """Wait in the loop of the server until *what*, such as the `wait` of an event, returns."""

        async def waited() -> None:
            with anyio.fail_after(_PATIENCE):
                await what()

        self.portal.call(waited)

    def async_client(self) -> openai.AsyncOpenAI:
        """Return another `openai` client, for loops; who calls this closes it."""
        plain_http = openai.DefaultAsyncHttpxClient(verify=False)
        return openai.AsyncOpenAI(base_url=self.url, api_key="-", max_retries=0, timeout=30, http_client=plain_http)

    def stream(self, **body: Any) -> list[dict[str, Any]]:
        """Ask for events, as a client without any library does, and return all of them."""
        asked = {"model": "m", **body, "stream": True}
        answer = httpx.post(f"{self.url}/responses", json=asked, timeout=_PATIENCE, verify=False)
        events: list[dict[str, Any]] = Exchange("POST", "/", asked, answer.status_code, True, answer.content).answer
        return events

    @property
    def streams(self) -> list[list[dict[str, Any]]]:
        """The events of each stream that was read to its end."""
        return [exchange.answer for exchange in self.exchanges if exchange.streamed and exchange.whole]

    def judge(self) -> None:
        """Assert that each stream that was read to its end is right, in profile strict, and answers its request."""
        for exchange in self.exchanges:
            if exchange.streamed and exchange.whole:
                request = exchange.asked if exchange.method == "POST" else None
                report = validate_events(exchange.body, "strict", request=request)
                assert not report.violations, str(report)


@contextmanager
def serving(
    handler: Any,
    *,
    backend: str = "asyncio",
    options: ResponsesServerOptions | None = None,
    store: ResponseStore | None = None,
) -> Iterator[Serving]:
    """Serve *handler* with the h11 transport on a free port; when the context is left, every stream is judged."""
    server = OverheardServer(options=options, store=store)
    server.exchanges = []
    server.response_handler(handler)
    with anyio.from_thread.start_blocking_portal(backend) as portal:
        stop = portal.call(anyio.Event)
        running, port = portal.start_task(
            functools.partial(serve_async, server, port=0, stop=stop.wait, announce=False)
        )
        url = f"http://127.0.0.1:{port}/v1"
        try:
            # To load the certificates of the world takes longer than a test does.
            plain_http = openai.DefaultHttpxClient(verify=False)
            with openai.OpenAI(base_url=url, api_key="-", max_retries=0, timeout=30, http_client=plain_http) as client:
                served = Serving(url, client, server.exchanges, portal, server.response_handler)
                yield served
        finally:
            portal.call(stop.set)
            running.result()
    served.judge()
