"""`ResponseStreamRecorder`: keeps what a test's server sent, as it came, while the test reads it.

It stands wherever a test has its hands on the bytes: below an `httpx` client (and so below an `openai` client), at the
client as a hook, or around whatever the test iterates itself. Nothing is changed on the way, and no chunk is held back.
`openai` brings `httpx2`, which is `httpx` under another name, so clients are met by their shape.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

import attrs

from responses_stream.errors import InvalidType
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.pytest_plugin.assertion import judged
from responses_stream.pytest_plugin.bodies import encoding_of, is_event_stream, json_of, tapped, unpacked
from responses_stream.pytest_plugin.transcript import Transcript, is_async, read
from responses_stream.sse import decode_events, encode_event

if TYPE_CHECKING:
    from responses_stream.protocol.events import ResponseStreamEvent
    from responses_stream.validation.profiles import Profile
    from responses_stream.validation.report import Report

T = TypeVar("T")
C = TypeVar("C")
B = TypeVar("B", str, bytes)


@attrs.define(eq=False)
class RecordedStream:
    """One event stream that was recorded.

    Attributes:
        request: the body of the request that it answers, where that is known and a JSON object.
        chunks: what came, as it came: pieces of bytes, or events where those were recorded.
        complete: whether it was read until the server ended it. Of a stream that its reader left, nobody asks an end.
        encoding: the `content-encoding` of the bytes.
    """

    request: dict[str, Any] | None = None
    chunks: list[Any] = attrs.field(factory=list)
    complete: bool = False
    encoding: str = ""

    @property
    def bytes(self) -> bytes:
        """All bytes that came, unpacked; of recorded events, their frames.

        Raises:
            InvalidValue: the bytes are packed in a way that cannot be undone here.
        """
        return unpacked(b"".join(map(_bytes_of, self.chunks)), self.encoding)

    @property
    def events(self) -> list[ResponseStreamEvent]:
        """The events, typed.

        Raises:
            DecodeError: something among them is no event; `report` says more of it.
        """
        return list(decode_events(self.bytes, number_missing=True))

    def report(self, profile: Profile = "strict", **settings: Any) -> Report:
        """Judge it; *settings* are those of `responses_stream.validate_events`."""
        return self._read(profile, settings).report

    def assert_valid(self, profile: Profile = "strict", **settings: Any) -> Report:
        """Judge it, and return the report.

        Raises:
            AssertionError: it is not valid, see `assert_valid_response_stream`.
        """
        __tracebackhide__ = True
        return judged(self._read(profile, settings))

    def _read(self, profile: Profile, settings: Mapping[str, Any]) -> Transcript:
        as_bytes = all(isinstance(chunk, bytes | bytearray | memoryview | str) for chunk in self.chunks)
        source: object = self.bytes if as_bytes else self.chunks
        return read(source, profile, {"request": self.request, **settings}, whole=self.complete)


class ResponseStreamRecorder:
    """Records the event streams of a test.

    Attributes:
        streams: what was recorded, in the order in which the streams began.
    """

    def __init__(self) -> None:
        self.streams: list[RecordedStream] = []
        self._hooked: list[tuple[list[Any], Callable[..., Any]]] = []

    def transport(self, wrapped: T) -> T:
        """Return a transport for `httpx.Client(transport=...)` that sends by *wrapped* and records.

        Raises:
            InvalidType: *wrapped* is no sync transport.
        """
        if not hasattr(wrapped, "handle_request"):
            raise InvalidType("wrapped", "a transport of httpx or httpx2, with handle_request", wrapped)
        return cast("T", _Transport(wrapped, self))

    def async_transport(self, wrapped: T) -> T:
        """Return a transport for `httpx.AsyncClient(transport=...)` that sends by *wrapped* and records.

        Raises:
            InvalidType: *wrapped* is no async transport.
        """
        if not hasattr(wrapped, "handle_async_request"):
            raise InvalidType("wrapped", "an async transport of httpx or httpx2, with handle_async_request", wrapped)
        return cast("T", _Transport(wrapped, self))

    def watch(self, client: C) -> C:
        """Record what *client*, of httpx or httpx2, sync or async, is sent from now on; return it.

        The test clients of Starlette and FastAPI are such clients. `openai.OpenAI(http_client=...)` takes one.

        Raises:
            InvalidType: *client* is no such client.
        """
        hooks = getattr(client, "event_hooks", None)
        if not isinstance(hooks, dict):
            raise InvalidType("client", "a client of httpx or httpx2", client)

        def keep(response: Any) -> None:
            self.keep(response.request, response)

        async def keep_async(response: Any) -> None:
            self.keep(response.request, response)

        hook = keep_async if hasattr(client, "aclose") else keep
        # Not assigned: a client that the test shares with others keeps the hooks that it has.
        hooks["response"].append(hook)
        self._hooked.append((hooks["response"], hook))
        return client

    @overload
    def record(  # type: ignore[overload-overlap]  # text can be iterated, too, and nobody wants its letters
        self, source: B, request: Mapping[str, Any] | None = None
    ) -> B: ...
    @overload
    def record(self, source: Iterable[T], request: Mapping[str, Any] | None = None) -> Iterator[T]: ...
    @overload
    def record(self, source: AsyncIterable[T], request: Mapping[str, Any] | None = None) -> AsyncIterator[T]: ...
    def record(self, source: Any, request: Mapping[str, Any] | None = None) -> Any:
        """Record a stream that the test reads itself: read what is returned in the place of *source*.

        Args:
            source: an iterable or async iterable of bytes or of events; or all of a body, which is returned as it is.
            request: the body of the request that it answers.

        Raises:
            InvalidType: *source* cannot be iterated.
        """
        stream = RecordedStream(None if request is None else dict(request))
        if isinstance(source, str | bytes):
            stream.chunks.append(source)
            stream.complete = True
        elif not isinstance(source, Iterable | AsyncIterable) or isinstance(source, Mapping):
            raise InvalidType("source", "bytes, or an iterable of bytes or events", source)
        self.streams.append(stream)
        if stream.complete:
            return source
        return _passed_on_async(source, stream) if is_async(source) else _passed_on(source, stream)

    def assert_valid(self, profile: Profile = "strict", **settings: Any) -> None:
        """Judge all that was recorded.

        Raises:
            AssertionError: a stream is not valid, see `assert_valid_response_stream`.
        """
        __tracebackhide__ = True
        for number, stream in enumerate(self.streams, 1):
            judged(stream._read(profile, settings), f"recorded stream {number} of {len(self.streams)}")

    def keep(self, request: Any, response: Any) -> None:
        """Record the body of a response of httpx or httpx2 while it is read, where it is an event stream."""
        if not is_event_stream(response):
            return
        stream = RecordedStream(json_of(request))
        self.streams.append(stream)
        if response.is_closed:  # it was made of bytes, and not sent
            stream.chunks, stream.complete = [response.content], True
            return
        stream.encoding = encoding_of(response)
        response.stream = tapped(response, _passed_on, _passed_on_async, stream)

    def close(self) -> None:
        """Take back what `watch` did."""
        for hooks, hook in self._hooked:
            if hook in hooks:
                hooks.remove(hook)
        self._hooked.clear()


class _Transport:
    """A transport of either family, sync or async, that records what it brings."""

    def __init__(self, wrapped: Any, recorder: ResponseStreamRecorder) -> None:
        self._wrapped, self._recorder = wrapped, recorder

    def handle_request(self, request: Any) -> Any:
        response = self._wrapped.handle_request(request)
        self._recorder.keep(request, response)
        return response

    async def handle_async_request(self, request: Any) -> Any:
        response = await self._wrapped.handle_async_request(request)
        self._recorder.keep(request, response)
        return response

    def close(self) -> None:
        self._wrapped.close()

    async def aclose(self) -> None:
        await self._wrapped.aclose()

    def __enter__(self) -> _Transport:
        self._wrapped.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._wrapped.__exit__(*raised)

    async def __aenter__(self) -> _Transport:
        await self._wrapped.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await self._wrapped.__aexit__(*raised)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


def _passed_on(source: Iterable[T], stream: RecordedStream) -> Iterator[T]:
    try:
        for chunk in source:
            stream.chunks.append(chunk)
            yield chunk
    except Exception:
        # The server broke it off, and its stream has the end that it has.
        stream.complete = True
        raise
    stream.complete = True


async def _passed_on_async(source: AsyncIterable[T], stream: RecordedStream) -> AsyncIterator[T]:
    try:
        async for chunk in source:
            stream.chunks.append(chunk)
            yield chunk
    except Exception:
        stream.complete = True
        raise
    stream.complete = True


def _bytes_of(chunk: object) -> bytes:
    if isinstance(chunk, str):
        return chunk.encode("utf-8", "surrogatepass")
    if isinstance(chunk, bytes | bytearray | memoryview):
        return bytes(chunk)
    if isinstance(chunk, Event | UnknownEvent):
        return encode_event(chunk)
    plain = chunk if isinstance(chunk, Mapping) else cast("Any", chunk).model_dump(mode="json", exclude_unset=True)
    return b"data: %b\n\n" % json.dumps(plain).encode()
