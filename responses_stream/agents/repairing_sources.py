"""The text of an upstream, read as the events of a broken stream: nothing in it is refused.

Mostly it is an event stream, cut anywhere. A server that refuses a request answers with a JSON document or a page of
HTML, and some send one JSON object on a line; so what the first bytes are tells how the rest is read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from responses_stream.agents.repairing_report import Json
from responses_stream.errors import DecodeError
from responses_stream.protocol.codec import from_json
from responses_stream.sse import Frame, FrameDecoder
from responses_stream.validation.documents import DocumentDecoder
from responses_stream.validation.sources import bytes_of

Text: TypeAlias = bytes | bytearray | memoryview | str

_log: Final = logging.getLogger("responses_stream")

_DONE: Final = b"[DONE]"
_BLANK: Final = b"\xef\xbb\xbf \t\r\n"
_DOCUMENT: Final = (b"{", b"[")
_SHOWN: Final = 200


class TextReading:
    """Takes pieces of text, and yields the events in them with the names of their frames; None for what is no event.

    Attributes:
        done: whether ``[DONE]`` was read, behind which nothing counts (R005).
    """

    def __init__(self) -> None:
        self.done = False
        self._frames: FrameDecoder[Frame] = FrameDecoder()
        self._documents: DocumentDecoder | None = None
        # The first bytes, until they tell what it is, and then until there is an event.
        self._head = b""
        self._begun = self._read = False

    def take(self, piece: Text) -> Iterator[tuple[Json | None, str]]:
        """Take the next piece."""
        text = bytes_of(piece)
        if not self._read and len(self._head) < _SHOWN:
            self._head = (self._head + text).lstrip(_BLANK)[:_SHOWN]
            if not self._begun and self._head:
                self._begun = True
                if self._head.startswith(_DOCUMENT):
                    self._documents = DocumentDecoder()
        if self._documents is not None:
            yield from self._of_documents(self._documents.feed(text))
            return
        yield from self._of_frames(self._frames.feed(text))

    def end(self) -> Iterator[tuple[Json | None, str]]:
        """Say that nothing more comes, and take what is left; what was cut off says nothing (R007)."""
        if self.done:
            return
        if self._documents is not None:
            last = self._documents.close()
            yield from self._of_documents(self._documents)
            if last is not None and (whole := _object(last.data)) is not None:
                self._read = True
                yield whole, ""
        else:
            rest = self._frames.close()
            yield from self._of_frames(self._frames)
            event = _object(rest.data) if rest is not None and not self.done else None
            if rest is not None and event is not None:
                self._read = True
                yield event, rest.event
        if not self._read and self._head:
            _log.warning("the upstream of a repaired stream answered with no event, but with %r", self._head)

    def _of_documents(self, documents: DocumentDecoder) -> Iterator[tuple[Json | None, str]]:
        while True:
            try:
                document = next(documents)
            except StopIteration:
                return
            except DecodeError:
                yield None, ""
                continue
            event = _object(document.data)
            self._read = self._read or event is not None
            yield event, ""

    def _of_frames(self, frames: FrameDecoder[Frame]) -> Iterator[tuple[Json | None, str]]:
        while not self.done:
            try:
                frame = next(frames)
            except StopIteration:
                return
            except DecodeError:
                yield None, ""
                continue
            self.done = frame.data.startswith(_DONE)
            if frame.data and not self.done:
                self._read = True
                yield _object(frame.data), frame.event


def _object(data: bytes) -> Json | None:
    """Return a JSON object; None for what is none."""
    try:
        value: Any = from_json(data)
    except DecodeError:
        value = _with_halves(data)
    return value if isinstance(value, dict) else None


def _with_halves(data: bytes) -> Any:
    """Return JSON that strict readers refuse for half a character, whose other half the next piece has."""
    if b"\\ud" not in data.lower():
        return None
    try:
        return json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
