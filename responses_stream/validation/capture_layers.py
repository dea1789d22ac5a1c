"""Taking a capture out of its wrapping: gzip, and the heads of HTTP that ``curl -i`` leaves in front of a body.

Everything here is an iterator of bytes over an iterator of bytes. Nothing is read before it is asked for, so a capture
may be as long as it likes, or be a stream that is still coming.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from responses_stream.errors import ResponsesStreamError

CHUNK_BYTES: Final = 256 * 1024
"""How much is unpacked, and by convention read, at a time."""

_GZIP: Final = b"\x1f\x8b"
_WITH_GZIP_HEADER: Final = 16 + zlib.MAX_WBITS
_HEAD_BEGINS: Final = re.compile(rb"HTTP/[0-9.]+ ([0-9]{3})[^\r\n]*\r?\n")
_HEAD_ENDS: Final = re.compile(rb"\r?\n\r?\n")
_LONGEST_HEAD: Final = 256 * 1024
# A gzip file can hold itself, and a proxy may have answered before the server did.
_MOST_LAYERS: Final = 8


class UnusableCapture(ResponsesStreamError):
    """Bytes that cannot be judged because they are not, or do not hold, a stream of events."""


@attrs.define
class Bytes:
    """Bytes that can be looked at before they are taken.

    Attributes:
        seen: what was looked at and not taken.
        ended: whether there is nothing behind `seen`.
        offset, line: how many bytes, and how many ends of lines, were dropped in front of it.
    """

    _chunks: Iterator[bytes]
    seen: bytearray = attrs.field(factory=bytearray, init=False)
    ended: bool = attrs.field(default=False, init=False)
    offset: int = attrs.field(default=0, init=False)
    line: int = attrs.field(default=0, init=False)

    def look(self, count: int) -> bytearray:
        """Look at *count* bytes at least, or at all there are."""
        while len(self.seen) < count and self.look_on():
            pass
        return self.seen

    def look_on(self) -> bool:
        """Look at one chunk more; return whether there was one."""
        if not self.ended:
            chunk = next(self._chunks, None)
            self.ended = chunk is None
            self.seen += chunk or b""
        return not self.ended

    def drop(self, count: int) -> None:
        """Drop what was seen of a wrapping."""
        self.line += self.seen.count(b"\n", 0, count)
        self.offset += count
        del self.seen[:count]

    def __iter__(self) -> Iterator[bytes]:
        seen, self.seen = bytes(self.seen), bytearray()
        if seen:
            yield seen
        if not self.ended:
            yield from self._chunks


def unwrap(chunks: Iterable[bytes], max_bytes: int) -> Bytes:
    """Return the bytes inside all gzip and HTTP heads around them, no more than *max_bytes*.

    Raises:
        UnusableCapture: a head tells of a failure, or the wrappings do not end. Iterating raises it where gzip breaks,
            and where there are more than *max_bytes*.
    """
    inside = Bytes(bounded(chunks, max_bytes))
    for _ in range(_MOST_LAYERS):
        if inside.look(len(_GZIP)).startswith(_GZIP):
            inside = Bytes(bounded(gunzip(inside), max_bytes))
        elif not _drop_head(inside):
            return inside
    raise UnusableCapture("the capture is wrapped in gzip or HTTP again and again; unpack it first")


def bounded(chunks: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield *chunks* until they exceed *max_bytes*.

    Raises:
        UnusableCapture: they do.
    """
    count = 0
    for chunk in chunks:
        count += len(chunk)
        if count > max_bytes:
            raise UnusableCapture(f"the capture is longer than {max_bytes} bytes; --max-bytes sets another limit")
        yield chunk


def gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack *chunks*, which may be several gzip files in a row, never more than `CHUNK_BYTES` at a time.

    Raises:
        UnusableCapture: the data is damaged, or ends early.
    """
    member, count = zlib.decompressobj(_WITH_GZIP_HEADER), 0
    for chunk in chunks:
        rest = chunk
        while rest:
            if member.eof:
                # Behind a file there may be another one, or padding.
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                member = zlib.decompressobj(_WITH_GZIP_HEADER)
            try:
                unpacked = member.decompress(rest, CHUNK_BYTES)
            except zlib.error as error:
                raise UnusableCapture(f"the gzip data is damaged: {error}") from None
            rest = member.unconsumed_tail or member.unused_data
            count += len(unpacked)
            if unpacked:
                yield unpacked
    while not member.eof and (unpacked := member.decompress(b"", CHUNK_BYTES)):
        count += len(unpacked)
        yield unpacked
    if not member.eof:
        raise UnusableCapture(f"the gzip data ends early, after {count} bytes of text; the file was cut off")


def _drop_head(inside: Bytes) -> bool:
    """Drop one head of HTTP; return whether there was one."""
    if not inside.look(5).startswith(b"HTTP/"):
        return False
    while (end := _HEAD_ENDS.search(inside.seen)) is None:
        if len(inside.seen) > _LONGEST_HEAD or not inside.look_on():
            raise UnusableCapture("the capture begins with the head of an HTTP answer and has no body behind it")
    begin = _HEAD_BEGINS.match(inside.seen)
    status = int(begin[1]) if begin else 0
    inside.drop(end.end())
    # What went before the answer: 100 Continue, the proxy's 200, and redirects have another head behind them.
    if 400 <= status <= 599:
        raise UnusableCapture(f"the answer has the status {status}{beginning(inside.look(1024))}")
    return True


def beginning(text: bytes | bytearray) -> str:
    """Return how *text* begins, for a message, on one line."""
    words = " ".join(bytes(text[:1024]).decode("utf-8", "replace").split())
    shown = words if len(words) <= 300 else f"{words[:300]}..."
    return f": {shown}" if shown else " and no body"
