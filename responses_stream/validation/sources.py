"""What a stream may come in: typed events, plain dicts, objects of the `openai` package, and text."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET

from responses_stream.errors import DecodeError, InvalidType
from responses_stream.protocol.base import Wire
from responses_stream.protocol.codec import from_json, to_builtins
from responses_stream.protocol.dumping import Dumps as Dumps
from responses_stream.protocol.dumping import dumped
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.plans import plan_of, tags_of
from responses_stream.sse import FrameDecoder
from responses_stream.validation.documents import DocumentDecoder

TEXT: Final = (bytes, bytearray, memoryview, str)
"""The types of text."""

_DONE: Final = b"[DONE]"


Source: TypeAlias = Wire | Mapping[str, Any] | Dumps | bytes | bytearray | memoryview | str
"""An event, or a piece of the text of a stream, cut anywhere."""

Body: TypeAlias = Mapping[str, Any] | Wire | Dumps
"""A request, or a response."""


@functools.cache
def _flat() -> frozenset[type]:
    """Return the classes of events that hold no struct, or none but log probabilities."""
    kinds = tags_of(ResponseStreamEvent).values()
    nested = {
        kind: [name for name, member in plan_of(kind).members.items() if member.branches.holds_structs]
        for kind in kinds
    }
    return frozenset(kind for kind, members in nested.items() if set(members) <= {"logprobs"})


def plain(value: object, name: str) -> dict[str, Any]:
    """Return an event, a request or a response as a dict of its own.

    Raises:
        InvalidType: it is none of the things that can be read; *name* says what it was given as.
    """
    if isinstance(value, Wire):
        if value.extra is UNSET and type(value) in _flat() and not getattr(value, "logprobs", None):
            # Most events of a stream: nothing below them can hold an `extra`, so msgspec alone is exact.
            flat: dict[str, Any] = msgspec.to_builtins(value)
            return flat
        return to_builtins(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Dumps):
        return dumped(value)
    raise InvalidType(name, "an event, a dict, an object of the openai package, bytes or text", value)


def bytes_of(piece: bytes | bytearray | memoryview | str) -> bytes:
    """Return a piece of text as bytes. Half a surrogate pair, which no UTF-8 can say, becomes bytes that are none."""
    return piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else bytes(piece)


def events_of(source: Iterable[Source] | Source, name: str) -> list[dict[str, Any]]:
    """Return the events of a whole stream as dicts; frames that hold none are left out.

    Raises:
        InvalidType: something in it is none of the things that can be read.
    """
    if isinstance(source, TEXT):
        return _of_text(bytes_of(source))
    if isinstance(source, Mapping | Wire | Dumps):
        return [plain(source, name)]
    pieces = list(source)
    if pieces and all(isinstance(piece, TEXT) for piece in pieces):
        return _of_text(b"".join(bytes_of(piece) for piece in pieces if isinstance(piece, TEXT)))
    return [plain(piece, name) for piece in pieces]


def _of_text(data: bytes) -> list[dict[str, Any]]:
    if data.lstrip()[:1] in (b"{", b"["):
        documents = DocumentDecoder().feed(data)
        rest = documents.close()
        texts = [document.data for document in documents] + ([rest.data] if rest is not None else [])
    else:
        frames: FrameDecoder[Any] = FrameDecoder().feed(data)
        frames.close()
        texts = [frame.data for frame in frames if frame.data != _DONE]
    events = []
    for text in texts:
        try:
            event = from_json(text)
        except DecodeError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events
