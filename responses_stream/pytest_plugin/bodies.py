"""Bodies of the responses of `httpx` and of `httpx2`, which differ in name only: neither is imported here.

Both want a body to be of a class of their own, so that class is looked up where the response came from.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

from responses_stream.errors import InvalidValue

_STREAM: Final = "text/event-stream"
# 16 asks zlib for gzip, 15 for deflate, and -15 for the deflate without a head that some servers send.
_WINDOWS: Final = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}


def is_event_stream(response: Any) -> bool:
    """Tell whether the body of a response is an event stream."""
    return bool(response.headers.get("content-type", "").partition(";")[0].strip().lower() == _STREAM)


def encoding_of(response: Any) -> str:
    """Return how the body of a response is packed; empty where it is not."""
    encoding = str(response.headers.get("content-encoding", "")).strip().lower()
    return "" if encoding == "identity" else encoding


def json_of(request: Any) -> dict[str, Any] | None:
    """Return the body of a request; None where it is streamed, or no JSON object."""
    try:
        found = json.loads(request.content)
    except (RuntimeError, ValueError):  # a body that is streamed cannot be looked at
        return None
    return found if isinstance(found, dict) else None


def unpacked(body: bytes, encoding: str) -> bytes:
    """Undo a content encoding, as far as the body came.

    Raises:
        InvalidValue: the encoding is none that the standard library knows.
    """
    if not encoding:
        return body
    for window in _WINDOWS.get(encoding, ()):
        try:
            return zlib.decompressobj(window).decompress(body)
        except zlib.error:
            continue
    raise InvalidValue("content-encoding", f"{encoding!r} cannot be unpacked here; let the client ask for 'identity'")


def tapped(
    response: Any,
    passed_on: Callable[[Any, Any], Iterator[bytes]],
    passed_on_async: Callable[[Any, Any], AsyncIterator[bytes]],
    stream: object,
) -> Any:
    """Return the body of *response*, whose chunks pass by *stream* while they are read."""
    family = sys.modules[type(response).__module__.partition(".")[0]]
    inner = response.stream

    class Tapped(family.SyncByteStream, family.AsyncByteStream):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[bytes]:
            return passed_on(inner, stream)

        def __aiter__(self) -> AsyncIterator[bytes]:
            return passed_on_async(inner, stream)

        def close(self) -> None:
            inner.close()

        async def aclose(self) -> None:
            await inner.aclose()

        def __getattr__(self, name: str) -> Any:
            # The client asks its own body how long it took.
            return getattr(inner, name)

    return Tapped()
