"""Where the chunks of a Chat Completions stream come from: objects, plain data, or the text of an event stream.

Text may be cut anywhere, or come line by line without the ends of the lines, as clients hand it out. A server that was
asked for a stream and answers with a JSON document is understood as well.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any, Final

import attrs

from responses_stream.errors import DecodeError
from responses_stream.protocol.codec import from_json
from responses_stream.sse import MAX_FRAME_BYTES, Frame, FrameDecoder, FrameTooLarge

_log: Final = logging.getLogger("responses_stream")

_DONE: Final = b"[DONE]"
_BREAK: Final = b"\n\n"
_LINE_END: Final = re.compile(rb"[\r\n]")
# How much of an open line tells what it is.
_ENOUGH: Final = 8
_WHOLE_LINE: Final = re.compile(rb"data: ?")
# What strict readers refuse: half a character, whose other half the next chunk has, and a probability of nothing.
_LENIENT: Final = re.compile(rb"\\ud|Infinity|NaN", re.IGNORECASE)


@attrs.define(eq=False)
class ChunkReading:
    """Takes what a source yields, and yields the chunks in it with the names of their frames.

    Attributes:
        done: whether ``[DONE]`` was read, behind which nothing counts.
    """

    done: bool = attrs.field(init=False, default=False)
    _frames: FrameDecoder[Frame] = attrs.field(init=False, factory=FrameDecoder)
    # What stands on the line that is open: None for nothing, else its first bytes.
    _line: bytes | None = attrs.field(init=False, default=None)
    _document: bytearray | None = attrs.field(init=False, default=None)
    _begun: bool = attrs.field(init=False, default=False)

    def take(self, piece: Any) -> Iterator[tuple[Any, str]]:
        """Take the next that the source yields: a chunk, or text.

        Raises:
            DecodeError: a frame holds no JSON, or is longer than a frame may be.
        """
        if isinstance(piece, str):
            piece = piece.encode("utf-8", "replace")
        if not isinstance(piece, bytes | bytearray | memoryview):
            yield piece, ""
            return
        yield from self._text(bytes(piece))

    def end(self) -> Iterator[tuple[Any, str]]:
        """Say that the source has ended, and take what is left; a frame that was cut off says nothing.

        Raises:
            DecodeError: what came is one JSON document that is none.
        """
        if self._document is not None:
            document = _json(bytes(self._document))
            # Some tell an error in a list of one.
            for chunk in document if isinstance(document, list) else [document]:
                yield chunk, ""
            return
        try:
            yield from self._feed(_BREAK)
        except DecodeError as error:
            _log.error("what the upstream sent last is no chunk; a blank line has to end each frame: %s", error)

    def _text(self, piece: bytes) -> Iterator[tuple[Any, str]]:
        if not self._begun and piece.strip():
            self._begun = True
            if piece.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
                self._document = bytearray()
        if self._document is not None:
            self._document += piece
            if len(self._document) > MAX_FRAME_BYTES:
                raise FrameTooLarge(MAX_FRAME_BYTES, 0)
            return
        if not piece or self.done:
            return
        if self._line is not None and not self._line.startswith(b"data") and _WHOLE_LINE.match(piece):
            # A line before it came without its end.
            yield from self._feed(b"\n")
        if self._line is None and _is_line(piece):
            yield from self._feed(piece + _BREAK)
        else:
            yield from self._feed(piece)

    def _feed(self, text: bytes) -> Iterator[tuple[Any, str]]:
        begun = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
        before = b"" if begun else self._line or b""
        self._line = (before + text[begun:])[:_ENOUGH] or None
        for frame in self._frames.feed(text):
            if self.done:
                return
            data = frame.data.strip()
            if data.startswith(_DONE):
                self.done = True
                return
            if data:
                yield _json(data), frame.event


def _json(data: bytes) -> Any:
    try:
        return from_json(data)
    except DecodeError:
        if not _LENIENT.search(data):
            raise
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            pass
        raise


def _is_line(piece: bytes) -> bool:
    """Tell whether *piece* is a whole line of data without its end: JSON that is there as a whole."""
    prefix = _WHOLE_LINE.match(piece)
    if prefix is None or _LINE_END.search(piece):
        return False
    data = piece[prefix.end() :].strip()
    if data.startswith(_DONE) or not data.startswith(b"{"):
        return data.startswith(_DONE)
    try:
        _json(data)
    except DecodeError:
        return False
    return True
