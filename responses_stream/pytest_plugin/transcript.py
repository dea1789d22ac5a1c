"""A stream that was read with a validator listening: the report, and the events by the numbers that the report uses.

Bytes are fed frame by frame, or value by value where they are JSON, so that the validator itself says which event it
found where; a frame that is no JSON is kept as text.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeGuard, cast

import attrs

from responses_stream.excerpts import Shown
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.validation import EventValidator
from responses_stream.validation.documents import DocumentDecoder, DocumentError
from responses_stream.validation.profiles import Profile
from responses_stream.validation.report import Report
from responses_stream.validation.sources import TEXT, Dumps, Source, bytes_of, plain
from responses_stream.validation.whole import Readable

_END: Final = re.compile(rb"(?:\r\n|\r|\n){2}")
_CHUNK: Final = 256 * 1024
_DATA: Final = re.compile(rb"^data: ?(.*?)\r?$", re.M)


@attrs.frozen
class Transcript:
    """What was read.

    Attributes:
        report: what is wrong with it.
        events: the events, by the numbers of the report.
    """

    report: Report
    events: list[Shown]


def is_async(source: object) -> TypeGuard[AsyncIterable[object]]:
    """Tell whether *source* can only be iterated with ``async for``."""
    return isinstance(source, AsyncIterable) and not isinstance(source, Iterable)


def read(source: object, profile: Profile, settings: Mapping[str, Any], *, whole: bool = True) -> Transcript:
    """Read *source* to its end; with *whole* false, nothing is said of what its end lacks."""
    validator = EventValidator(profile, **settings)
    events: list[Shown] = []
    rest = b""
    # The messages of a WebSocket have no frames to be cut into.
    pieces = _chunks(source) if settings.get("transport") == "websocket" else _pieces(source)
    for piece in pieces:
        validator.feed(cast("Source", piece))
        if isinstance(piece, TEXT):
            rest += bytes_of(piece)
            if validator.events > len(events):
                events.append(_shown(rest))
                rest = b""
        elif isinstance(piece, Dumps):
            events.append(plain(piece, "source"))
        elif isinstance(piece, Event | UnknownEvent | Mapping):
            events.append(piece)
        # Several events may stand in one piece; the first one shows it.
        events += ["..."] * (validator.events - len(events))
    if whole:
        validator.finish()
    if validator.events > len(events):
        events.append(_shown(rest))
    return Transcript(validator.report, events)


def _pieces(source: object) -> Iterator[object]:
    """Yield the events of *source* one by one, or its bytes frame by frame."""
    kept: list[bytes] = []
    for chunk in _chunks(source):
        if isinstance(chunk, TEXT):
            kept.append(bytes_of(chunk))
        else:
            yield from _frames(b"".join(kept))
            kept.clear()
            yield chunk
    yield from _frames(b"".join(kept))


def _frames(text: bytes) -> Iterator[bytes]:
    """Cut *text* behind each frame, or behind each value where it is JSON."""
    at = 0
    for end in _ends_of_values(text) if text.lstrip()[:1] in (b"{", b"[") else map(re.Match.end, _END.finditer(text)):
        yield text[at:end]
        at = end
    if at < len(text):
        yield text[at:]


def _ends_of_values(text: bytes) -> Iterator[int]:
    decoder = DocumentDecoder().feed(text)
    decoder.close()
    while True:
        try:
            document = next(decoder)
        except StopIteration:
            return
        except DocumentError:
            continue
        yield document.offset + len(document.data)


def _chunks(source: object) -> Iterable[object]:
    if isinstance(source, os.PathLike):
        return [Path(source).read_bytes()]
    if isinstance(source, (*TEXT, Mapping, Event, UnknownEvent, Dumps)):
        return [source]
    for name in ("iter_bytes", "iter_encoded"):  # the responses of httpx, of Starlette's and of Werkzeug's test clients
        body = getattr(source, name, None)
        if callable(body):
            return cast("Iterable[object]", body())
    if isinstance(source, Readable) and not isinstance(source, Iterable):
        return _of_file(source)
    # What cannot be iterated is the validator's to refuse: it says what it takes.
    return source if isinstance(source, Iterable) else [source]


def _of_file(file: Readable) -> Iterator[object]:
    while piece := file.read(_CHUNK):
        yield piece


def _shown(text: bytes) -> Shown:
    # Between the values of a list there is what belongs to the list.
    data = b"\n".join(_DATA.findall(text)) or text.strip(b" \t\r\n[,")
    try:
        found = json.loads(data)
    except ValueError:
        return repr(text.decode("utf-8", "replace").strip())
    return found if isinstance(found, dict) else repr(found)
