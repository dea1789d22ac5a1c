"""Which headers go on to the next hop: all but those that speak of one connection only (RFC 9110, section 7.6.1).

How a body is framed is a matter of the connection too, so its length and its chunks are said anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from responses_stream.hosting.http import Headers, HttpRequest

Raw: TypeAlias = tuple[bytes, bytes]

_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
# `expect` was answered by the transport, which has read the body.
_SAID_ANEW: Final = frozenset({"host", "content-length", "expect"})


def to_upstream(request: HttpRequest, host: bytes) -> list[Raw]:
    """Return the headers of *request* as the server at *host* gets them."""
    kept = [header for header in _end_to_end(request.headers) if header[0] not in _SAID_ANEW]
    return [(b"host", host), *_raw([*kept, *_framing(request)])]


def to_client(headers: Iterable[Raw]) -> Headers:
    """Return the headers of an upstream's answer as the client gets them."""
    return tuple(_end_to_end([(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]))


def _end_to_end(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    headers = tuple(headers)
    named = {word.strip().lower() for name, value in headers if name == "connection" for word in value.split(",")}
    for name, value in headers:
        if name not in _HOP_BY_HOP and name not in named and not name.startswith("proxy-"):
            yield name, value


def _framing(request: HttpRequest) -> Iterator[tuple[str, str]]:
    # Chunks win over a length that stands beside them (RFC 9112, section 6.3).
    if request.header("transfer-encoding") is not None:
        yield "transfer-encoding", "chunked"
    elif (length := request.header("content-length")) is not None:
        yield "content-length", length


def _raw(headers: Iterable[tuple[str, str]]) -> list[Raw]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
