"""Server-Sent Events, both ways: an event in, a frame out; bytes in, however cut, and typed events out.

`encode_event` writes one frame as the protocol wants it (events.md section 5, decision 2). `FrameDecoder` reads frames
and knows nothing of responses; `EventDecoder` and `decode_events` make events of them. No I/O happens here: a
caller brings the bytes, and takes the bytes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias, overload

import msgspec
from msgspec import UNSET

from responses_stream._frames import (
    COMMENT_FIELD,
    MAX_FRAME_BYTES,
    UNKNOWN_FIELD,
    Comment,
    Frame,
    FrameDecoder,
    FrameTooLarge,
)
from responses_stream.errors import DecodeError, InvalidType, InvalidValue
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.codec import decode_event, from_json, to_wire
from responses_stream.protocol.events import ResponseStreamEvent, ResponseTextDeltaEvent
from responses_stream.protocol.plans import plan_of

__all__ = [
    "COMMENT_FIELD",
    "DONE",
    "MAX_FRAME_BYTES",
    "SSE_HEADERS",
    "UNKNOWN_FIELD",
    "Chunk",
    "Comment",
    "EventDecoder",
    "Frame",
    "FrameDecoder",
    "FrameTooLarge",
    "decode_events",
    "encode_comment",
    "encode_event",
]

Chunk: TypeAlias = bytes | bytearray | memoryview | str
"""What decoders take: bytes cut anywhere, or text."""

DONE: Final = b"data: [DONE]\n\n"
"""The frame that may close a stream. It is no event (decision 2, R005, R006)."""

SSE_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "content-type": "text/event-stream; charset=utf-8",
        # Proxies that compress or buffer hold tokens back.
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "content-encoding": "identity",
    }
)
"""The headers of every event stream (clients.md 2.9); `x-request-id` comes on top of them."""

_DONE_DATA: Final = b"[DONE]"
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_NOT_IN_A_LINE: Final = str.maketrans("", "", "\r\n\0")

_write: Final = msgspec.json.Encoder().encode
# JSON escapes its newlines, so one data: line is enough and the payload can never end the frame early.
_TEXT_DELTA: Final = b"event: response.output_text.delta\ndata: %b\n\n"
# The frames of the classes whose members are all scalars: there, `extra` alone makes plain msgspec inexact.
_PLAIN: Final[dict[type, bytes]] = {}
_NESTED: Final[dict[type, bytes]] = {}


def encode_event(event: Event | UnknownEvent) -> bytes:
    """Write one event as a frame: its type on an `event:` line, its JSON on one `data:` line, and an empty line.

    Raises:
        InvalidType: *event* is no event.
        InvalidValue: a string in it holds half a surrogate pair, which UTF-8 cannot write; it is nested too deeply;
            or it is an unknown event without a type (R011).
        TypeError: something in its `extra` is no JSON.
    """
    try:
        # Every token takes this way: no lookup, no call but the one that writes the JSON.
        if type(event) is ResponseTextDeltaEvent and event.extra is UNSET and not event.logprobs:
            return _TEXT_DELTA % _write(event)
        frame = _PLAIN.get(type(event))
        if frame is not None and event.extra is UNSET:
            return frame % _write(event)
        return (_NESTED.get(type(event)) or _frame_of(event)) % _write(to_wire(event))
    except UnicodeEncodeError as error:
        shown = error.object[max(error.start - 20, 0) : error.end]
        raise InvalidValue("event", f"holds half a surrogate pair, at the end of {shown!r}; leave it out") from None
    except RecursionError:
        raise InvalidValue("event", "is nested too deeply to be written") from None


def _frame_of(event: Event | UnknownEvent) -> bytes:
    """Return the frame of an event with a place for the JSON, and note it for the events of the same class."""
    if isinstance(event, UnknownEvent):
        return _frame(event.type)
    if not isinstance(event, Event):
        raise InvalidType("event", "an event", event)
    kind = type(event)
    frame = _PLAIN.get(kind) or _NESTED.get(kind)
    if frame is None:
        frame = _frame(event.type)
        plain = all(member.branches.is_scalar for member in plan_of(kind).members.values())
        (_PLAIN if plain else _NESTED)[kind] = frame
    return frame


def _frame(kind: object) -> bytes:
    if not isinstance(kind, str) or not kind:
        raise InvalidValue("event", "its type has to be a non-empty string (R011)")
    # An unknown type may hold anything; a line end in it would begin a line of somebody else's choice.
    name = kind.translate(_NOT_IN_A_LINE).encode().replace(b"%", b"%%")
    return b"event: " + name + b"\ndata: %b\n\n"


def encode_comment(text: str = "keep-alive") -> bytes:
    """Write a comment, which readers skip; each line of *text* becomes a comment line.

    Raises:
        InvalidValue: *text* holds half a surrogate pair, which UTF-8 cannot write.
    """
    try:
        return b"".join(b": %b\n" % line.encode() for line in _LINE_END.split(text)) + b"\n"
    except UnicodeEncodeError as error:
        raise InvalidValue("text", f"holds half a surrogate pair, at character {error.start}") from None


class EventDecoder:
    """Reads a stream of frames as typed events; fed, iterated and closed as `FrameDecoder` is.

    An exception out of the iteration loses nothing: iterating again goes on with the next frame. Comments are
    skipped. The type of an event is the one in its JSON; whether the `event:` line agrees is R002, for a validator.

    Args:
        number_missing: give an event without `sequence_number` the number of events yielded before it; some
            services send none. Without this, such an event is an error (R012).
        max_frame_bytes: how long a frame may be.

    Raises:
        InvalidValue: *max_frame_bytes* is less than 1.

    Attributes:
        done: whether ``[DONE]`` was read. It is no event, and does not stop the decoder (R005).
    """

    __slots__ = ("_count", "_frames", "_number_missing", "done")

    def __init__(self, *, number_missing: bool = False, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._frames = FrameDecoder(max_frame_bytes=max_frame_bytes)
        self._number_missing = number_missing
        self._count = 0
        self.done = False

    @property
    def buffered(self) -> int:
        """How many bytes are kept, see `FrameDecoder.buffered`."""
        return self._frames.buffered

    def feed(self, chunk: Chunk) -> EventDecoder:
        """Take the next bytes, and return the decoder, to be iterated.

        Raises:
            OutOfOrder, InvalidType, InvalidValue: as for `FrameDecoder.feed`.
        """
        self._frames.feed(chunk)
        return self

    def close(self) -> Frame | None:
        """Say that the stream has ended, and return what was left of a frame, see `FrameDecoder.close` (R007)."""
        return self._frames.close()

    def __iter__(self) -> EventDecoder:
        return self

    def __next__(self) -> ResponseStreamEvent:
        """Return the next event.

        Raises:
            StopIteration: there is none yet; feed more.
            DecodeError: a frame holds no JSON, or JSON that is no event (R001, R008, R011-R015). `offset` is the
                place where that shows, or of the frame where only the JSON path in `problems` is known.
            FrameTooLarge: a frame has more than *max_frame_bytes*.
        """
        for frame in self._frames:
            event = self._event(frame)
            if event is not None:
                return event
        raise StopIteration

    def until_done(self) -> Iterator[ResponseStreamEvent]:
        """Yield the events up to ``[DONE]``, and leave what comes behind it unread.

        Raises:
            DecodeError, FrameTooLarge: as for the iteration.
        """
        for frame in self._frames:
            event = self._event(frame)
            if event is None:
                return
            yield event

    def _event(self, frame: Frame) -> ResponseStreamEvent | None:
        """Return the event of *frame*; None for ``[DONE]``."""
        if frame.data.startswith(_DONE_DATA):
            self.done = True
            return None
        number = self._count if self._number_missing else None
        try:
            event = decode_event(from_json(frame.data), number=number)
        except DecodeError as error:
            raise error.at(_place(frame, error.offset)) from None
        self._count += 1
        return event


def _place(frame: Frame, within: int | None) -> int:
    # Several data: lines are joined, so a place in their data is not one in the stream.
    return frame.offset if within is None or frame.data_lines != 1 else frame.data_offset + within


@overload
def decode_events(
    source: Chunk | Iterable[Chunk], *, number_missing: bool = False, max_frame_bytes: int = MAX_FRAME_BYTES
) -> Iterator[ResponseStreamEvent]: ...
@overload
def decode_events(
    source: AsyncIterable[Chunk], *, number_missing: bool = False, max_frame_bytes: int = MAX_FRAME_BYTES
) -> AsyncIterator[ResponseStreamEvent]: ...
def decode_events(
    source: Chunk | Iterable[Chunk] | AsyncIterable[Chunk],
    *,
    number_missing: bool = False,
    max_frame_bytes: int = MAX_FRAME_BYTES,
) -> Iterator[ResponseStreamEvent] | AsyncIterator[ResponseStreamEvent]:
    """Read the events of a whole stream, given at once or in chunks; chunks that come asynchronously go out so.

    It ends at ``[DONE]``, at the end of *source*, or with the first error; `EventDecoder` can go on after both. A
    last frame without its closing empty line is dropped, as the standard wants it.

    Raises:
        DecodeError, FrameTooLarge: as for `EventDecoder`, while the events are taken.
        InvalidType: *source* is neither bytes, str nor iterable.
        InvalidValue: *max_frame_bytes* is less than 1.
    """
    decoder = EventDecoder(number_missing=number_missing, max_frame_bytes=max_frame_bytes)
    if isinstance(source, bytes | bytearray | memoryview | str):
        return _events(decoder, (source,))
    if isinstance(source, AsyncIterable):
        return _events_async(decoder, source)
    if not isinstance(source, Iterable):
        raise InvalidType("source", "bytes, str, or an iterable of them", source)
    return _events(decoder, source)


def _events(decoder: EventDecoder, chunks: Iterable[Chunk]) -> Iterator[ResponseStreamEvent]:
    for chunk in chunks:
        yield from decoder.feed(chunk).until_done()
        if decoder.done:
            return


async def _events_async(decoder: EventDecoder, chunks: AsyncIterable[Chunk]) -> AsyncIterator[ResponseStreamEvent]:
    async for chunk in chunks:
        for event in decoder.feed(chunk).until_done():
            yield event
        if decoder.done:
            return
